"""`ramet docs`: the module map, as files or as a page on this machine."""

import inspect
import sys
from collections.abc import Iterator
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click

from ramet.cli.application import Current, current
from ramet.data import revisions
from ramet.deliver import map_picture, module_map
from ramet.deliver.faces import ModuleFace, faces_of
from ramet.errors import ConfigError
from ramet.operate import files
from ramet.process.modules import FACE

PAGE = "modules.md"

_HTML = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #1c2430; max-width: 1008px; margin: 2em auto; padding: 0 1em; }}
svg {{ max-width: 100%; height: auto; }}
table {{ border-collapse: collapse; font-size: 14px; }}
th, td {{ border: 1px solid #a3b1c2; padding: 3px 8px; text-align: left; vertical-align: top; }}
th {{ background: #e4ecf5; }}
</style>
{body}
</html>
"""


@click.command()
@click.option("--write", "folder", type=click.Path(path_type=Path, file_okay=False), help="Write it into this folder instead.")
@click.option("--topology", help="Show which service each module is in.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the page. 0, the default: a free one.")
def docs(folder: Path | None, topology: str | None, port: int) -> None:
    """Show the module map until Ctrl-C: what each module offers, owns and uses, with a picture.

    \b
    ramet docs                                     a page on this machine
    ramet docs --topology grown --write docs       modules.md and modules.svg, to be kept with the code
    """
    here = current()
    named = files.topology_of(here.application, topology) if topology else None
    faces = faces_of(
        here.modules,
        purposes=dict(_purposes(here)),
        migrations=dict(_migrations(here)),
        topology=named,
        prefix=here.application.http_prefix,
    )
    app = here.application.name
    picture = map_picture.svg(faces, app=app, topology=topology)
    if folder is None:
        _serve(_page(faces, picture, app, topology), port)
        return
    folder.mkdir(parents=True, exist_ok=True)
    written = {PAGE: module_map.markdown(faces, app=app, topology=topology), module_map.PICTURE: picture}
    for name, text in written.items():
        (folder / name).write_text(text, encoding="utf-8")
        click.echo(str(folder / name))


def _purposes(here: Current) -> Iterator[tuple[str, str]]:
    """What each package says of itself, or its face where it says nothing."""
    for name, path in here.application.modules.items():
        known = (sys.modules.get(each) for each in (path, f"{path}.{FACE}"))
        yield name, next(filter(None, (inspect.getdoc(each) for each in known if each is not None)), "")


def _migrations(here: Current) -> Iterator[tuple[str, list[str]]]:
    """Raises MigrationFailed for a file that cannot be read."""
    for name, module in here.modules.items():
        if module.db is not None:
            history = revisions.read(revisions.folder_of(here.application.modules[name]))
            yield name, [str(revision) for revision in history.revisions]


def _page(faces: list[ModuleFace], picture: str, app: str, topology: str | None) -> bytes:
    try:
        from markdown_it import MarkdownIt  # deferred: an extra that the other verbs do without
    except ModuleNotFoundError as error:
        hint = "pip install 'ramet[docs]', or write files: ramet docs --write docs"
        raise ConfigError(f"{error.name} is not installed", hint=hint) from error
    mark = "THE-PICTURE"
    text = module_map.markdown(faces, app=app, topology=topology, picture=mark)
    made: str = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    for face in faces:
        made = made.replace(f"<h2>{face.name}</h2>", f'<h2 id="{face.name}">{face.name}</h2>')
    return _HTML.format(title=escape(f"Modules of {app}"), body=made.replace(f"<p>{mark}</p>", picture, 1)).encode()


def _serve(page: bytes, port: int) -> None:
    """Answers every path with the page, on this machine alone."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.send_header("content-length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base's name)
            """Nobody wants to read that a page was read."""

    with ThreadingHTTPServer(("127.0.0.1", port), Page) as server:
        click.echo(f"http://127.0.0.1:{server.server_port}")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("stopped", err=True)
