"""The release that a folder holds, as data: `python -m ramet.process.describe FILE OUT` imports it and writes it as JSON.

In a process of its own, since a process can import one version of a package only; into a file, since what is imported may print.
Exit 2 with the reason in place of the release: it does not import, or its declarations cannot work.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from ramet.data import revisions
from ramet.errors import RametError
from ramet.model.http import SOCKET_METHOD
from ramet.model.release import HttpEndpoint, Part, Release
from ramet.model.topology import Application, parse
from ramet.module import Module
from ramet.process.modules import import_modules
from ramet.wire import values

REFUSED = 2


def describe(application: Application, modules: Mapping[str, Module], *, version: str, file: Path, python: str) -> Release:
    """version: the label that it shall run under. python: the interpreter that runs it."""
    parts = {name: _part(module, application, name) for name, module in modules.items()}
    return Release(app=application.name, version=version, file=str(file), python=python, modules=parts)


def _part(module: Module, application: Application, name: str) -> Part:
    prefix = application.http_prefix
    folder = revisions.folder_of(application.modules[name]) if module.db is not None else None
    return Part(
        uses=tuple(sorted(module.uses)),
        calls={name: call.contract.descriptor for name, call in module.calls.items()},
        endpoints=tuple(
            HttpEndpoint(
                # A WebSocket begins as a GET.
                "GET" if endpoint.method == SOCKET_METHOD else endpoint.method,
                prefix + endpoint.path,
                "" if endpoint.function is not None else endpoint.name,
                endpoint.function is None and endpoint.method == "GET" and module.calls[endpoint.name].contract.idempotent,
            )
            for endpoint in module.endpoints
        ),
        mounts=tuple(prefix + mount.prefix for mount in module.mounts),
        has_database=module.db is not None,
        key=module.db.key if module.db is not None else None,
        migrations=str(folder) if folder is not None and folder.is_dir() else "",
        schedules=(*module.schedules, *module.results),
    )


def main(arguments: list[str]) -> int:
    path, out = arguments
    file = Path(path).resolve()
    sys.path.insert(0, str(file.parent))
    try:
        application = parse(file.read_text(encoding="utf-8"), file=str(file))
        release = describe(
            application, import_modules(application), version=application.version, file=file, python=sys.executable
        )
    except (RametError, OSError, UnicodeDecodeError) as error:
        said = {"error": str(error), "where": getattr(error, "where", None), "hint": getattr(error, "hint", None)}
        Path(out).write_bytes(values.encode_json(said))
        return REFUSED
    Path(out).write_bytes(values.encode_json(release))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
