"""What a Python file imports, read from its text and never run.

What cannot be read is doubt, and doubt is a fact about the file: it imports by a name that is computed, runs text as code, or
starts processes that may import anything.
"""

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass

from ramet.check.imports import declared_uses

_PROCESSES = {"subprocess", "multiprocessing", "runpy", "pkgutil", "zipimport", "imp"}
_DYNAMIC = {"__import__", "import_module", "importorskip", "find_spec", "spec_from_file_location", "entry_points", "exec", "eval",
            "create_subprocess_exec", "create_subprocess_shell", "ProcessPoolExecutor", "system", "popen", "execv", "execve",
            "spawnv", "runpytest", "runpytest_subprocess", "runpytest_inprocess", "inline_run", "getfixturevalue"}  # fmt: skip
"""Functions by their last name: `importlib.import_module`, `os.system`."""
_BY_NAME = {"__import__", "import_module", "importorskip"}
"""Those that are an ordinary import when they are given a text."""
_PATCHES = {"patch", "setattr", "delattr"}
"""Those that import by a text too, which is no doubt as long as it is not computed."""
_COMPUTED = (ast.JoinedStr, ast.BinOp)
_HARMLESS = {"metadata", "resources"}
"""Of importlib."""
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


@dataclass(frozen=True, slots=True)
class Imports:
    """names: absolute, dotted; for `from a import b` both `a` and `a.b`, since b may be a module, and every text that looks like
    one, since it may be patched or imported by that name. relative: (dots, name), such as
    (1, "b") for `from . import b`. uses: names of the modules that a `Module(...)` declares. doubt: why it may import anything,
    with the line; empty if it cannot."""

    names: tuple[str, ...]
    relative: tuple[tuple[int, str], ...] = ()
    uses: tuple[str, ...] = ()
    doubt: str = ""


def read_imports(source: str | bytes) -> Imports:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        return Imports((), doubt=f"it cannot be parsed: {error}")
    nodes = list(ast.walk(tree))
    names = dict.fromkeys(name for node in nodes for name in _names(node))
    relative = dict.fromkeys(
        each for node in nodes if isinstance(node, ast.ImportFrom) and node.level for each in _relative(node)
    )
    uses = dict.fromkeys(name for node in nodes for name in _declared_uses(node) or ())
    harmless = {id(node.func) for node in nodes if isinstance(node, ast.Call) and _imports_by_text(node)}
    doubts = [doubt for node in nodes if id(node) not in harmless and (doubt := _doubt(node))]
    return Imports(tuple(names), tuple(relative), tuple(uses), doubts[0] if doubts else "")


def _names(node: ast.AST) -> Iterable[str]:
    match node:
        case ast.Import(names=aliases):
            return [alias.name for alias in aliases]
        case ast.ImportFrom(level=0, module=str(module), names=aliases):
            return [module, *(f"{module}.{alias.name}" for alias in aliases)]
        case ast.Call(func=func, args=[ast.Constant(value=str(name)), *_]) if _last_name(func) in _BY_NAME:
            return [name]
        case ast.Constant(value=str(text)) if (found := _DOTTED.match(text)) is not None:
            return [found[0]]
        case _:
            return ()


def _relative(node: ast.ImportFrom) -> Iterable[tuple[int, str]]:
    base = node.module or ""
    return [(node.level, base), *((node.level, f"{base}.{alias.name}".lstrip(".")) for alias in node.names)]


def _imports_by_text(call: ast.Call) -> bool:
    is_text = bool(call.args) and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
    return is_text and _last_name(call.func) in _BY_NAME


def _doubt(node: ast.AST) -> str:
    """Why a file with this in it may import anything. A mention is enough: what is named can be called by another name."""
    at = f"line {getattr(node, 'lineno', 1)} has"
    match node:
        case ast.Import() | ast.ImportFrom():
            return next((f"{at} {name}" for name in _names(node) if _is_doubtful(name)), "")
        case ast.Attribute(attr="modules", value=ast.Name(id="sys")):
            return f"{at} sys.modules"
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in _DYNAMIC:
            return f"{at} {name}"
        case ast.Call(func=func, args=[first, *_]) if _last_name(func) in _PATCHES and isinstance(first, _COMPUTED):
            return f"{at} {_last_name(func)}(...) with a name that is computed"
        case ast.Call() if _declared_uses(node) is None:
            return f"{at} a Module(...) whose `uses` is more than a list of texts"
        case _:
            return ""


def _is_doubtful(name: str) -> bool:
    top, _, rest = name.partition(".")
    return (
        top in _PROCESSES
        or (top == "importlib" and rest.partition(".")[0] not in _HARMLESS)
        or name.rpartition(".")[2] in _DYNAMIC
    )


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _declared_uses(node: ast.AST) -> tuple[str, ...] | None:
    """Of `Module("name", uses=[...])`, whatever the file calls the class's module; of anything else none. None where they are not
    written out."""
    return declared_uses(node) if isinstance(node, ast.Call) and _last_name(node.func) == "Module" else ()
