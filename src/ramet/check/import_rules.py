"""What may import what, as somebody has declared it: layers and forbidden imports, by ways of any length."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """Packages on one level. are_independent: they may not import each other."""

    packages: tuple[str, ...]
    are_independent: bool = True


@dataclass(frozen=True, slots=True)
class ImportRule:
    """Which imports there must not be. source: where it stands, such as `pyproject.toml`.

    ignored: direct imports that do not count, as `importer -> imported` with wildcards. What counts: with_typing, imports for
    type checkers; with_dynamic, `import_module("...")`; with_indirect, ways over other files.
    """

    name: str
    source: str
    ignored: tuple[str, ...] = ()
    with_typing: bool = True
    with_dynamic: bool = True
    with_indirect: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers(ImportRule):
    """rows: the highest first. Each may import those below it."""

    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forbidden(ImportRule):
    """pairs: (what must not import, what must not be imported). Names may have wildcards: `shop.*`, `shop.**`.

    as_packages: what is below a name is meant too.
    """

    pairs: tuple[tuple[str, str], ...]
    as_packages: bool = True
