"""What import statements and a few calls say: which file, under which name. Relative imports are resolved."""

import ast
from collections.abc import Iterable, Iterator, Mapping

from ramet.check.facts import Declaration, Import

MODULE = {"ramet.Module", "ramet.module.Module"}
"""Paths of the class with which a module declares itself."""


def plain(node: ast.Import, *, is_typing: bool) -> Iterator[Import]:
    for alias in node.names:
        yield Import(node.lineno, alias.name, "", alias.asname or alias.name.partition(".")[0], is_typing)


def of_names(node: ast.ImportFrom, name: str, *, is_package: bool, is_typing: bool) -> Iterator[Import]:
    """Nothing for one that leaves the topmost package."""
    target = absolute(node.module or "", node.level, name, is_package=is_package)
    if target:
        for alias in node.names:
            yield Import(alias.lineno, target, alias.name, alias.asname or alias.name, is_typing)


def dynamic(node: ast.Call, name: str, *, is_package: bool, is_typing: bool) -> Import | None:
    """`importlib.import_module("shop.orders")`, also relative to this file's package. None where the target is computed."""
    target = node.args[0]
    if not (isinstance(target, ast.Constant) and isinstance(target.value, str)):
        return None
    bare = target.value.lstrip(".")
    level = len(target.value) - len(bare)
    if level and not _is_own_package(node):
        return None
    path = absolute(bare, level, name, is_package=is_package)
    return Import(node.lineno, path, "", "", is_typing) if path else None


def _is_own_package(node: ast.Call) -> bool:
    given = [*node.args[1:], *(each.value for each in node.keywords if each.arg == "package")]
    return len(given) == 1 and isinstance(given[0], ast.Name) and given[0].id in {"__package__", "__name__"}


def absolute(target: str, level: int, name: str, *, is_package: bool) -> str:
    """level: the number of dots. Empty for one that leaves the topmost package."""
    if level == 0:
        return target
    package = name.split(".") if is_package else name.split(".")[:-1]
    if level > len(package):
        return ""
    return ".".join([*package[: len(package) - level + 1], *([target] if target else [])])


def bindings(imports: Iterable[Import]) -> dict[str, str]:
    """Name in the file -> path of what it is."""
    found: dict[str, str] = {}
    for each in imports:
        if each.bound and each.bound != "*":
            is_root = not each.name and each.bound == each.target.partition(".")[0]
            found.setdefault(each.bound, each.bound if is_root else each.path)
    return found


def resolve(dotted: str, bound: Mapping[str, str]) -> str:
    """`accounts.persons` as the path of what it means, such as `shop.accounts.api.persons`. Empty: not something imported."""
    root, _, rest = dotted.partition(".")
    if root not in bound:
        return ""
    return f"{bound[root]}.{rest}" if rest else bound[root]


def declaration(node: ast.Call, name: str) -> Declaration:
    """Of a call of `Module`."""
    given = _given_uses(node)
    return Declaration(node.lineno, name, declared_uses(node), given.lineno if given is not None else node.lineno)


def declared_uses(node: ast.Call) -> tuple[str, ...] | None:
    """Of a call of `Module`; None where they are more than a list of texts, or may be among `**options`."""
    given = _given_uses(node)
    if given is None:
        return ()
    if not isinstance(given, (ast.List, ast.Tuple, ast.Set)):
        return None
    values = [each.value for each in given.elts if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    return tuple(values) if len(values) == len(given.elts) else None


def _given_uses(node: ast.Call) -> ast.expr | None:
    by_name = {keyword.arg: keyword.value for keyword in node.keywords}
    return by_name.get("uses", by_name.get(None))
