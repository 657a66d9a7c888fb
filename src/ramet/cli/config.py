"""`ramet config`: the settings in force, and where each comes from."""

import json

import click

from ramet.cli.application import current
from ramet.operate.files import settings_in_force


@click.command()
@click.option("--json", "json_", is_flag=True, help="One JSON array.")
def config(json_: bool) -> None:
    """Print each setting with its value and where that came from: default, ramet.toml, or the environment.

    \b
    ramet config
    RAMET_LOG_LEVEL=DEBUG ramet config --json
    """
    here = current()
    origins = settings_in_force(here.application, str(here.file))
    if json_:
        click.echo(json.dumps([{"name": each.name, "value": each.value, "source": each.source} for each in origins], indent=2))
        return
    application = here.application
    for name, value, key in (
        ("app.name", application.name, ("app", "name")),
        ("app.version", application.version, ("app", "version")),
        ("engines.postgres", application.postgres, ("engines", "postgres")),
        ("http.prefix", application.http_prefix or "none", ("http", "prefix")),
        ("http.problems", application.http_problems or "none", ("http", "problems")),
        ("http.cors", ", ".join(application.http_cors) or "none", ("http", "cors")),
    ):
        line = application.lines.get(key)
        click.echo(f"{name:<36} {value!s:<12} {f'{here.file}:{line}' if line else 'default'}")
    for each in origins:
        click.echo(f"{'settings.' + each.name:<36} {each.value!s:<12} {each.source}")
