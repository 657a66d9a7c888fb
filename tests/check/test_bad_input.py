"""What a folder may hold: each is a finding or a clear error, and never a traceback."""

import os
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ramet.check import reading
from ramet.check.sql import looks_like_sql, tables
from ramet.errors import ConfigError
from tests.check.support import check_application, check_package, codes, told, write

FILES: dict[str, tuple[bytes, str]] = {
    "a syntax error": (b"def (:\n", "invalid syntax"),
    "an unclosed bracket": (b"x = (1,\n\n", "'(' was never closed"),
    "Python 2": (b"print 'a'\n", "Missing parentheses"),
    "another encoding than it says": ("x = 'é'\n".encode("latin-1"), "codec can't decode"),
    "an encoding that there is not": (b"# -*- coding: klingon -*-\nx = 1\n", "klingon"),
    "null bytes": (b"x = 1\0\n", "null byte"),
    "UTF-16": ("x = 1\n".encode("utf-16"), ""),
    "brackets a thousand deep": (b"x = " + b"(" * 1000 + b")" * 1000, ""),
    "a binary": (bytes(range(256)) * 10, ""),
    "an indentation that does not fit": (b"if True:\n        x = 1\n    y = 2\n", "unindent does not match"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_python_is_one_finding_with_its_line(name: str, tmp_path: Path) -> None:
    """And the rest is checked."""
    content, says = FILES[name]
    write(
        tmp_path,
        {
            "shop/__init__.py": "",
            "shop/a/__init__.py": content,
            "shop/b/__init__.py": "from shop.c import inner\n",
            "shop/c/__init__.py": "y = 1\n",
            "shop/c/inner.py": "",
        },
    )
    report = check_package("shop", tmp_path)
    assert codes(report) == ["RM711", "RM701"]
    assert says in report.new[0].message
    assert report.new[0].line >= 1


READABLE: dict[str, bytes] = {
    "an empty file": b"",
    "a file of comments": b"# nothing\n",
    "a byte order mark": b"\xef\xbb\xbfx = 1\n",
    "latin-1 that says so": "# -*- coding: latin-1 -*-\nx = 'é'\n".encode("latin-1"),
    "lines of Windows": b"x = 1\r\ny = 2\r\n",
    "an escape that Python warns of": b"x = '\\d'\n",
    "a sum of nine hundred texts": b"x = " + b" + ".join([b"'a'"] * 900) + b"\n",
    "a chain of two hundred methods": b"x = y" + b".a()" * 200 + b"\n",
    "relative imports that leave the package": b"from ....... import x\nfrom .. import y\n",
    "a class with nothing but a docstring": b"class A:\n    '''Select a table.'''\n",
    "names of the future": b"type = 1\nmatch = 2\ncase = 3\nmatch[case] = type\n",
}


@pytest.mark.parametrize("name", READABLE)
def test_a_file_that_python_reads_is_read(name: str, tmp_path: Path) -> None:
    """However odd."""
    write(tmp_path, {"shop/__init__.py": READABLE[name], "shop/a/__init__.py": READABLE[name]})
    assert "RM711" not in codes(check_package("shop", tmp_path))


def test_a_namespace_package_is_checked_by_its_name_and_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No `__init__.py`, neither in the package nor in its modules: they have no face."""
    write(tmp_path, {"space/a/one.py": "x = 1\n", "space/b/two.py": "from space.a.one import x\n"})
    for given_ in ("space", str(tmp_path / "space")):
        report = check_package(given_, tmp_path)
        assert told(report) == ["RM709 space/a/one.py:1"]
        assert "write space.a.api with what they use: space.a.one.x" in report.new[0].change


def test_a_folder_of_packages_is_an_error_that_names_the_package(tmp_path: Path) -> None:
    """`src` is no package: its files import each other without it."""
    write(tmp_path, {"src/shop/__init__.py": "", "src/shop/a.py": "import shop.b\n", "src/shop/b.py": ""})
    with pytest.raises(ConfigError, match="src is no package but a folder of packages") as caught:
        check_package("src", tmp_path)
    assert caught.value.hint == "ramet check src/shop"


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        ("nothing", "there is no package nothing"),
        ("no/thing", "there is no folder no/thing"),
        ("shop.nothing", "there is no package shop.nothing"),
        ("shop/a.py", "shop/a.py is a file"),
        ("a b", "neither a folder nor the name of a package"),
        ("empty", "empty has no Python files"),
        ("my-shop", "my-shop cannot be imported by its name"),
        ("sys", "there is no package sys"),
    ],
)
def test_a_target_that_cannot_be_checked_is_an_error(given_: str, says: str, tmp_path: Path) -> None:
    """With what to do."""
    write(tmp_path, {"shop/__init__.py": "", "shop/a.py": "", "empty/readme": "", "my-shop/a.py": ""})
    with pytest.raises(ConfigError, match=says):
        check_package(given_, tmp_path)


def test_dynamic_imports_count_where_they_are_literal_and_are_a_note_where_not(tmp_path: Path) -> None:
    """Absolute ones, relative ones, `__import__`."""
    source = """
        import importlib
        from importlib import import_module
        def load(name):
            importlib.import_module("shop.b.inner")
            import_module("..b.deep", __package__)
            __import__("shop.b.third")
            import_module(name)
            import_module("..b.inner", name)
            __import__(f"shop.{name}")
        """
    write(tmp_path, {"shop/__init__.py": "", "shop/a/__init__.py": source, "shop/b/__init__.py": "x = 1\n"})
    write(tmp_path, {f"shop/b/{name}.py": "" for name in ("inner", "deep", "third")})
    assert told(check_package("shop", tmp_path)) == [
        "RM701 shop/a/__init__.py:5",
        "RM701 shop/a/__init__.py:6",
        "RM701 shop/a/__init__.py:7",
        "RM710 shop/a/__init__.py:8",
        "RM710 shop/a/__init__.py:9",
        "RM710 shop/a/__init__.py:10",
    ]


def test_a_package_of_five_thousand_modules_is_checked(tmp_path: Path) -> None:
    """A hundred packages of fifty files each, all in one circle."""
    texts: dict[str, str | bytes] = {"big/__init__.py": ""}
    for number in range(100):
        after = (number + 1) % 100
        texts[f"big/p{number}/__init__.py"] = "x = 1\n"
        for file in range(49):
            texts[f"big/p{number}/f{file}.py"] = (
                f"from big.p{after} import x\nfrom big.p{after}.f{file} import y\n\n\ndef run():\n    return x\n"
            )
    write(tmp_path, texts)
    report = check_package("big", tmp_path)
    assert report.files == 5001
    assert report.modules == 100
    assert codes(report).count("RM701") == 4900
    assert codes(report).count("RM702") == 1


def test_a_circle_of_five_thousand_modules_is_one_finding_that_can_be_read(tmp_path: Path) -> None:
    """Each a package of its own, each importing the next."""
    texts: dict[str, str | bytes] = {"big/__init__.py": ""}
    for number in range(5000):
        texts[f"big/m{number}/__init__.py"] = f"from big.m{(number + 1) % 5000} import x\n"
    write(tmp_path, texts)
    (finding,) = check_package("big", tmp_path).new
    assert finding.code == "RM702"
    assert "and 4,993 more: each imports the next" in finding.message
    assert len(finding.message) < 300


def test_circular_imports_end(tmp_path: Path) -> None:
    """Of files that import names from each other without defining them, and of a file that imports itself."""
    write(
        tmp_path,
        {
            "shop/__init__.py": "from shop import *\n",
            "shop/a/__init__.py": "from shop.b import f\nfrom shop.a import g\ndef run(db):\n    with db.begin():\n        f()\n        g()\n",
            "shop/b/__init__.py": "from shop.a import f\n",
        },
    )
    assert codes(check_package("shop", tmp_path)) == ["RM702"]


def test_functions_that_call_each_other_in_a_circle_are_followed_once(tmp_path: Path) -> None:
    """Also where the circle goes over two modules."""
    body = "from shop.{other} import {other}\ndef {own}(db):\n    with db.begin():\n        step(db)\ndef step(db):\n    {own}(db)\n    step(db)\n    {other}(db)\n"
    write(tmp_path, {"shop/__init__.py": ""})
    for own, other in (("a", "b"), ("b", "a")):
        write(tmp_path, {f"shop/{own}/__init__.py": body.format(own=own, other=other)})
    assert sorted(codes(check_package("shop", tmp_path))) == ["RM105", "RM105", "RM702"]


@pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_a_finding(tmp_path: Path) -> None:
    """As in a checkout of somebody else."""
    write(tmp_path, {"shop/__init__.py": "", "shop/a/__init__.py": "x = 1\n"})
    (tmp_path / "shop/a/__init__.py").chmod(0)
    assert codes(check_package("shop", tmp_path)) == ["RM711"]


def test_a_link_to_nowhere_and_a_folder_called_like_a_file_are_no_crash(tmp_path: Path) -> None:
    """Editors leave the first behind (`.#a.py`), and people the second."""
    write(tmp_path, {"shop/__init__.py": "", "shop/a/__init__.py": "x = 1\n", "shop/b.py/readme": ""})
    (tmp_path / "shop/a/gone.py").symlink_to("nowhere.py")
    assert codes(check_package("shop", tmp_path)) == ["RM711"]


@pytest.mark.parametrize("listed", ["shop.orders.deep", "other.orders"])
def test_a_module_of_the_application_that_is_not_there_is_an_error(listed: str, tmp_path: Path) -> None:
    """Before anything is checked."""
    write(tmp_path, {"ramet.toml": f'[app]\nname = "shop"\nmodules = ["{listed}"]\n', "shop/orders/__init__.py": ""})
    with pytest.raises(
        ConfigError, match=f"there is no package {listed.partition('.')[0] if listed.startswith('other') else listed}"
    ):
        check_application(tmp_path)


# Anything


SNIPPETS = st.lists(
    st.sampled_from(
        [
            "import shop.b.inner as {n}",
            "from shop.b import {n}, inner",
            "from .{n} import *",
            "{n} = {{}}",
            "{n}[1] = {n}.pop({n})",
            "global {n}",
            "def {n}(self, *{n}, **x): {n}[1] += 1; return self.{n}()",
            "class {n}({n}): {n} = []",
            "async def {n}():\n    async with db.write(): await {n}.{n}({n})",
            "with {n}.begin() as {n}: {n}()",
            "x = f'SELECT {{{n}}} FROM {{{n}!r:>3}} {n}' % {n}",
            "{n} = 'INSERT INTO {n} ' + {n} + 'VALUES {{}}'.format({n})",
            "lambda {n}=1, *a, b={n}: {n}.append({n})",
            "match {n}:\n    case {{'a': {n}, **rest}}: pass\n    case [_, *{n}]: pass",
            "try: pass\nexcept* {n} as e: {n}(e)",
            "module = Module('{n}', uses=['a', {n}])",
            "@module.get('/')\n@{n}\ndef {n}({n}: {n} = {n}) -> {n}: ...",
            "[{n} := {n} for {n} in {n} if {n}]",
            "del {n}, {n}[0], {n}.{n}",
            "importlib.import_module('{n}', {n})",
            "# ramet: allow RM705 because",
            "db.run({n})",
            "op.create_table('{n}', schema={n}); op.execute({n})",
            "{n}: dict[{n}, 'x'] = next({n})",
        ]
    ),
    max_size=12,
)


@given(SNIPPETS, st.lists(st.sampled_from(["a", "b", "inner", "db", "self", "module"]), min_size=12, max_size=12))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_python_is_read(snippets: list[str], names: list[str]) -> None:
    """Whatever it means. What does not parse is said to be so."""
    text = "\n".join(textwrap.dedent(snippet).format(n=name) for snippet, name in zip(snippets, names, strict=False))
    facts = reading.read(text.encode(), "shop.a", is_package=False)
    assert facts.problem is None or facts == reading.Facts(problem=facts.problem)


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read(data: bytes) -> None:
    """Facts or a problem with a line."""
    problem = reading.read(data, "shop.a", is_package=True).problem
    assert problem is None or problem.line >= 0


@given(
    st.lists(
        st.sampled_from(
            [
                "SELECT",
                "FROM",
                "WITH",
                "x",
                "AS",
                "(",
                ")",
                "INSERT",
                "INTO",
                "UPDATE",
                "SET",
                "DELETE",
                "a.b",
                ",",
                "*",
                "$1",
                "'q'",
                '"',
                ";",
                "--",
                "\x00",
                "JOIN",
                "ON",
                "=",
                "CREATE",
                "TABLE",
                "{}",
                "%s",
                ":id",
                "::int",
            ]
        ),
        max_size=15,
    )
)
@settings(max_examples=300, deadline=None)
def test_any_sql_is_read_or_said_not_to_be(words: list[str]) -> None:
    """sqlglot's errors stay behind the door."""
    text = " ".join(words)
    looks_like_sql(text)
    uses, creates, problem = tables(text)
    assert isinstance(problem, str)
    assert all(table.name for table in (*uses, *creates))


def test_nothing_of_the_code_is_run(tmp_path: Path) -> None:
    """A check of what somebody sent must be safe."""
    bomb = "raise SystemExit('run')\n"
    write(
        tmp_path,
        {
            "ramet.toml": '[app]\nname = "shop"\nmodules = ["shop.a"]\n',
            "shop/__init__.py": bomb,
            "shop/a/__init__.py": bomb,
            "shop/a/api.py": bomb,
        },
    )
    assert codes(check_application(tmp_path)) == ["RM709"]
    assert codes(check_package("shop", tmp_path)) == []
    assert "shop" not in sys.modules
