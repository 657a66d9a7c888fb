"""`ramet openapi`: the OpenAPI document of the application, without a server."""

import json
from pathlib import Path

import click

from ramet.cli.application import current
from ramet.edge.openapi import described, openapi
from ramet.process.modules import import_render


@click.command("openapi")
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Write it to this file.")
def show_openapi(output: Path | None) -> None:
    """Print the OpenAPI 3.1 document of all modules, the same that an instance serves at /openapi.json. Nothing is started.

    \b
    ramet openapi
    ramet openapi -o openapi.json
    """
    here = current()
    application = here.application
    document = openapi(
        described(here.modules.values(), application.http_prefix),
        title=application.name,
        version=application.version,
        render=import_render(application),
    )
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if output is None:
        click.echo(text, nl=False)
        return
    output.write_text(text, encoding="utf-8")
    click.echo(f"{output}: {len(document['paths'])} paths", err=True)
