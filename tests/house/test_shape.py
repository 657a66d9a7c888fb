"""The house's rules on size and names: what is public, what a code means, how long a file is."""

import ast
import copy
import importlib
import inspect
import io
import pickle
import pkgutil
import re
import tokenize
from pathlib import Path
from types import ModuleType

import pytest

import ramet
from ramet import errors
from ramet.errors import CallError, RametError, RemoteError

SOURCE = Path(ramet.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
MAX_CODE_LINES = 400

PUBLIC = {
    "BadAnswer",
    "BadArgument",
    "Body",
    "CallError",
    "ConnectionLost",
    "ContractMismatch",
    "Cookie",
    "DeadlineExceeded",
    "Failure",
    "Form",
    "Header",
    "Module",
    "NotAllowed",
    "Overloaded",
    "Query",
    "RametError",
    "RemoteError",
    "Reply",
    "ServerEvent",
    "SetCookie",
    "Unavailable",
    "calling",
    "context",
}
"""The vocabulary. A new word is added here, documented, and kept."""


def test_what_ramet_exports_is_this_and_no_more() -> None:
    """Each name is a promise to every module's author."""
    tree = ast.parse((SOURCE / "__init__.py").read_text())
    exported = {each.asname for node in tree.body if isinstance(node, ast.ImportFrom) for each in node.names}
    assert exported == PUBLIC | {"__version__"}
    assert {
        name for name, value in vars(ramet).items() if not name.startswith("_") and not isinstance(value, ModuleType)
    } == PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_what_ramet_exports_says_what_it_is(name: str) -> None:
    """Or inherits it from a base that says so."""
    value = getattr(ramet, name)
    assert inspect.getdoc(value)


# Errors

CLASSES = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, RametError)]


def every_error() -> list[type[RametError]]:
    """Those of all parts: each keeps its own in a module called `errors`."""
    for info in pkgutil.walk_packages(ramet.__path__, "ramet."):
        if info.name.endswith(("errors", "refusals", "certificates")):
            importlib.import_module(info.name)
    pending, found = [RametError], []
    while pending:
        cls = pending.pop()
        found.append(cls)
        pending += cls.__subclasses__()
    return [cls for cls in found if cls.__module__.startswith("ramet.")]


def test_no_two_errors_have_one_code() -> None:
    """The code is what a person searches for."""
    codes: dict[str, list[str]] = {}
    for cls in every_error():
        if "code" in cls.__dict__:
            codes.setdefault(cls.code, []).append(cls.__qualname__)
    assert {code: names for code, names in codes.items() if len(names) > 1} == {}
    assert all(re.fullmatch(r"RM\d{3}", code) for code in codes)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_each_error_of_the_tree_has_a_code_and_stands_in_the_drawing(cls: type[RametError]) -> None:
    """The drawing is the documentation: a class that is not in it is not found."""
    assert "code" in cls.__dict__
    drawing = errors.__doc__ or ""
    drawn = re.search(rf"[─ ]{cls.__name__}(?:\s+(RM\d+))?(?:\s|$)", drawing)
    assert drawn
    assert drawn[1] in (cls.code, None)


def test_the_drawing_has_no_error_that_is_not_there() -> None:
    """And none is drawn below another's child."""
    drawn = re.findall(r"── (\w+)", errors.__doc__ or "")
    assert set(drawn) | {"RametError"} == {cls.__name__ for cls in CLASSES}


def test_an_error_says_where_and_what_to_do_in_a_plain_traceback() -> None:
    """As notes, which Python prints."""
    error = RametError("no such thing", where="a.py:3", hint="make one")
    assert str(error) == "no such thing [RM000]"
    assert error.__notes__ == ["at: a.py:3", "hint: make one"]
    assert not hasattr(RametError("no such thing"), "__notes__")


@pytest.mark.parametrize(("may_have_run", "words"), [(True, "may have run"), (False, "did not run")])
def test_an_error_of_a_call_says_whether_it_may_have_run(may_have_run: bool, words: str) -> None:
    """Nobody has to look it up to know whether a repeat is safe."""
    error = CallError("lost", may_have_run=may_have_run, call="shop.order")
    assert str(error) == f"shop.order: lost ({words}) [RM300]"


def test_a_remote_error_names_the_type_and_the_trace() -> None:
    """With which the callee's own log line is found."""
    error = RemoteError("a", type_name="KeyError", trace_id="ab" * 16, call="shop.order")
    assert str(error) == "shop.order: KeyError: a (may have run) [RM309]"
    assert error.__notes__ == ["trace: " + "ab" * 16]


@pytest.mark.parametrize(
    "error",
    [
        RametError("no", where="a.py:3", hint="yes"),
        CallError("lost", may_have_run=True, call="shop.order"),
        RemoteError("a", type_name="KeyError", trace_id="ab", call="shop.order", hint="look"),
        errors.ProtocolError("bad-hello", "it is", hint="no"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_survives_pickle_and_copy(error: RametError) -> None:
    """One that cannot be read back breaks the process pool that it was raised in."""
    error.add_note("seen")
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert str(twin) == str(error)
        assert twin.__dict__ == error.__dict__


# Files


def code_lines(path: Path) -> int:
    """Lines that hold code: not blank, not a comment, not a docstring."""
    text = path.read_text()
    lines: set[int] = set()
    skipped = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENCODING,
        tokenize.ENDMARKER,
    }
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in skipped:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_file_has_one_subject(path: Path) -> None:
    """Past 400 lines of code it has two."""
    assert code_lines(path) <= MAX_CODE_LINES


def test_lines_of_code_are_counted_as_a_person_would(tmp_path: Path) -> None:
    """The measure itself."""
    file = tmp_path / "a.py"
    file.write_text(
        '"""Doc\n\nstring."""\n\n# comment\nA = """\ntext\n"""\n\ndef f():  # why\n    """Doc."""\n    return (\n        1\n    )\n'
    )
    assert code_lines(file) == 3 + 1 + 3


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.name == "__init__.py" and path.parent != SOURCE], ids=lambda path: path.parent.name
)
def test_each_package_says_what_belongs_in_it_and_what_does_not(path: Path) -> None:
    """The second half is what keeps it one thing."""
    doc = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert "Not here:" in doc


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.name != "__init__.py"], ids=lambda path: str(path.relative_to(SOURCE))
)
def test_each_file_says_what_it_is(path: Path) -> None:
    """In its first lines, before the imports."""
    assert ast.get_docstring(ast.parse(path.read_text())) or path.name in {"version.py", "__main__.py"}
