"""The reader of tables: what it takes, what it refuses, and where in the file it says that the mistake is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ramet.errors import ConfigError
from ramet.kit.toml_lines import key_lines, line_of
from ramet.model.toml import Reader, is_name


def reader(text: str) -> Reader:
    return Reader.of(text, file="f.toml")


def refusal(root: Reader) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        root.finish()
    return caught.value


def test_a_table_without_mistakes_is_read_in_silence() -> None:
    """Each kind of value once."""
    root = reader('text = "a"\nnumber = 1\ncount = 2\nlist = ["b"]\n[table]\n[tables.x]\n')
    assert root.text("text") == "a"
    assert root.number("number") == 1.0
    assert root.count("count", default=1) == 2
    assert root.texts("list") == ["b"]
    assert root.table("table").values == {}
    assert [key for key, _ in root.table("tables").tables()] == ["x"]
    root.done()
    root.finish()
    assert not root.has_faults


def test_what_is_not_there_has_its_default() -> None:
    """And nothing is wrong with that."""
    root = reader("")
    assert (root.text("a", default="x"), root.number("b", default=2.5), root.count("c", default=3)) == ("x", 2.5, 3)
    assert (root.texts("d"), root.table("e").values) == ([], {})
    root.finish()


@pytest.mark.parametrize(
    ("take", "expected"),
    [
        (lambda root: root.text("key"), "a text"),
        (lambda root: root.number("key"), "a number"),
        (lambda root: root.count("key", default=1), "a whole number"),
        (lambda root: root.texts("key"), "a list of texts"),
        (lambda root: root.table("key"), "a table"),
    ],
)
def test_a_value_of_another_type_is_shown_beside_what_was_expected(take, expected: str) -> None:
    """A boolean is of another type than all of them, also than a number, which Python would let pass."""
    root = reader("key = true")
    take(root)
    error = refusal(root)
    assert error.message.startswith(f"key: True is not {expected}")
    assert error.where == "f.toml:1"


def test_a_long_value_is_cut() -> None:
    """The message stays readable."""
    root = reader(f"key = {list(range(500))}")
    root.text("key")
    assert len(refusal(root).message) < 100


def test_a_mistake_inside_of_a_table_marks_that_table() -> None:
    """So that a caller does not add a second error for the same thing."""
    root = reader("[a]\nx = 1\n[b]\n")
    a, b = root.table("a"), root.table("b")
    a.text("x")
    assert (a.has_faults, b.has_faults) == (True, False)


@pytest.mark.parametrize(
    ("name", "fits"),
    [("web", True), ("web-2_b", True), ("a" * 48, True), ("a" * 49, False), ("2web", False), ("", False), ("web\n", False)],
)
def test_a_name_is_what_can_stand_in_a_path_and_a_role(name: str, fits: bool) -> None:
    """It becomes a folder, a schema and a part of a URI."""
    assert is_name(name) is fits


# Lines

TEXT = """\
# a comment [app]
top = 1

[app]
name = "x"   # trailing
"quoted key" = 2
dotted.inner = 3

[topology.grown.services]
web = { modules = ["a"], instances = 2 }

  [ topology . "my.seed" . services ]   # spaces and quotes
main = {}

[[list]]
x = 1
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("app",), 4),
        (("app", "name"), 5),
        (("app", "quoted key"), 6),
        (("app", "dotted"), 7),
        (("app", "dotted", "inner"), 7),
        (("topology",), 9),
        (("topology", "grown", "services", "web"), 10),
        (("topology", "grown", "services", "web", "instances"), 10),
        (("topology", "my.seed", "services", "main"), 13),
        (("list",), 15),
        (("list", "x"), 16),
        (("app", "missing"), 4),
        (("missing",), None),
    ],
)
def test_a_key_has_a_line(path: tuple[str, ...], line: int | None) -> None:
    """Its own, or that of the nearest table around it."""
    assert line_of(key_lines(TEXT), path) == line


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["\u2028", "\u0085", "\f", "\v", "\x1c"])
def test_only_toml_s_own_line_ends_count(end: str, mark: str) -> None:
    """An editor shows the same number; Python's splitlines would not."""
    assert key_lines(end.join([f"# {mark}", "[a]", "b = 1"]))["a", "b"] == 3


bare = st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True)


@settings(deadline=None)
@given(st.lists(st.tuples(bare, st.lists(bare, min_size=1, max_size=4, unique=True)), max_size=5, unique_by=lambda each: each[0]))
def test_lines_are_those_at_which_it_was_written(tables: list[tuple[str, list[str]]]) -> None:
    """For any tables and keys."""
    lines: list[str] = []
    expected: dict[tuple[str, ...], int] = {}
    for table, keys in tables:
        lines.append(f"[{table}]")
        expected[(table,)] = len(lines)
        for key in keys:
            lines.append(f"{key} = 1")
            expected[table, key] = len(lines)
    assert key_lines("\n".join(lines)) == expected


@settings(deadline=None)
@given(st.text())
def test_lines_are_looked_for_in_any_text(text: str) -> None:
    """Never more than there are."""
    assert all(1 <= line <= text.count("\n") + 1 for line in key_lines(text).values())
