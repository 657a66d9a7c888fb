"""The module map as Markdown: a table of all modules, then each one's face."""

from collections.abc import Iterable, Iterator, Sequence

from ramet.deliver.faces import ModuleFace

PICTURE = "modules.svg"


def markdown(faces: Sequence[ModuleFace], *, app: str, topology: str | None, picture: str = f"![modules]({PICTURE})") -> str:
    """picture: what stands in its place; by default a link to the file beside the page."""
    return "\n".join(_lines(faces, app, topology, picture)) + "\n"


def _lines(faces: Sequence[ModuleFace], app: str, topology: str | None, picture: str) -> Iterator[str]:
    yield f"# Modules of {app}"
    yield ""
    command = f"ramet docs --topology {topology}" if topology else "ramet docs"
    yield f"Made from the code by `{command}`. An arrow leads from a module to one that it uses."
    yield ""
    yield picture
    yield ""
    heads = ["module", "what it is for", *(["service"] if topology else []), "uses", "used by"]
    yield from _table(
        heads,
        (
            [_link(face.name), face.says, *([f"`{face.service}`"] if topology else []), _links(face.uses), _links(face.used_by)]
            for face in faces
        ),
    )
    for face in faces:
        yield from _module(face)


def _module(face: ModuleFace) -> Iterator[str]:
    yield f"\n## {face.name}\n"
    if face.says:
        yield f"{face.says}\n"
    service = f"Service: `{face.service}`. " if face.service else ""
    yield f"{service}Uses: {_links(face.uses) or 'none'}. Used by: {_links(face.used_by) or 'none'}."
    yield f"\n{_data(face)}"
    if face.calls:
        yield from _section("Calls", ["call", "options", "raises", "what it does"])
        yield from (
            _row([_code(each.signature), ", ".join(each.options), _codes(each.failures), each.says]) for each in face.calls
        )
    if face.endpoints:
        yield from _section("Endpoints", ["endpoint", "function", "success", "raises", "what it does"])
        yield from (
            _row([f"`{each.method} {each.path}`", f"`{each.call}`", str(each.status or ""), _codes(each.failures), each.says])
            for each in face.endpoints
        )
    if face.mounts:
        yield f"\nMounted applications: {_codes(face.mounts)}."
    if face.failures:
        yield from _section("Failures", ["failure", "status", "fields", "title"])
        yield from (_row([f"`{each.name}`", str(each.status), _fields(each.fields), each.title]) for each in face.failures)
    if face.types:
        yield from _section("Types", ["type", "fields"])
        yield from (_row([f"`{each.name}`", _fields(each.fields)]) for each in face.types)


def _data(face: ModuleFace) -> str:
    if face.data is None:
        return "Data: none."
    key = f", divided by `{face.data.key}`" if face.data.key else ""
    migrations = f" Migrations: {', '.join(face.data.migrations)}." if face.data.migrations else " No migrations."
    return f"Data: schema `{face.data.schema}`{key}.{migrations}"


def _section(title: str, heads: Sequence[str]) -> Iterator[str]:
    yield f"\n### {title}\n"
    yield from _table(heads, ())


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield _row(heads)
    yield _row(["---"] * len(heads))
    yield from map(_row, rows)


def _row(cells: Sequence[str]) -> str:
    written = [cell.replace("|", r"\|") for cell in cells]  # a bar ends a cell, also within code
    return f"| {' | '.join(written)} |"


def _fields(fields: Iterable[tuple[str, str]]) -> str:
    return _codes(f"{name}: {written}" for name, written in fields)


def _codes(texts: Iterable[str]) -> str:
    return ", ".join(map(_code, texts))


def _code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _link(name: str) -> str:
    return f"[{name}](#{name})"


def _links(names: Iterable[str]) -> str:
    return ", ".join(map(_link, names))
