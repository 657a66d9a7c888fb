"""`ramet certs`: the application's certificate authority on this machine."""

import json
from pathlib import Path

import click

from ramet.cli import completing
from ramet.cli.application import current
from ramet.cli.groups import Group
from ramet.errors import ConfigError
from ramet.model.toml import NAMES, is_name
from ramet.process.certificates import Authority

FOLDER = Path(".ramet/certificates")


@click.group(cls=Group)
def certs() -> None:
    """Certificates with which services prove to each other who they are (mTLS).

    \b
    ramet certs init --app shop      make the authority in .ramet/certificates
    ramet certs issue web feed       a certificate for each of two services
    """


_folder = click.option(
    "--folder", type=click.Path(path_type=Path), default=FOLDER, show_default=True, help="Where the files are."
)


def _app_here() -> str:
    """The application of the current folder. Raises ConfigError where there is none."""
    try:
        here = current()
    except ConfigError as error:
        raise ConfigError("which application?", hint="--app NAME, or run it in the folder of ramet.toml") from error
    return here.application.name


def _checked(_context: click.Context, _option: click.Parameter, app: str) -> str:
    if not is_name(app):
        raise ConfigError(f"{app!r} cannot be the name of an application", hint=NAMES)
    return app


_app = click.option(
    "--app", default=_app_here, callback=_checked, show_default="that of ramet.toml", help="Name of the application."
)


@certs.command()
@_app
@_folder
def init(app: str, folder: Path) -> None:
    """Make the authority, or check the one that is there.

    \b
    ramet certs init --app shop
    ramet certs init --app shop --folder /etc/shop/certificates
    """
    authority = Authority.at(folder, app=app)
    click.echo(f"authority of {app} in {folder}, good until {authority.not_after:%Y-%m-%d}")
    click.echo("keep authority.key secret: whoever has it can speak for any service", err=True)


@certs.command()
@click.argument("services", nargs=-1, required=True, shell_complete=completing.services)
@_app
@_folder
def issue(services: tuple[str, ...], app: str, folder: Path) -> None:
    """Issue or renew the certificates of SERVICES. Those with more than a third of their life left stay as they are.

    \b
    ramet certs issue web --app shop
    ramet certs issue web feed --app shop --folder /etc/shop/certificates
    """
    authority = Authority.at(folder, app=app)
    for service in services:
        click.echo(str(authority.identity(service).certificate))


@certs.command()
@_app
@_folder
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def show(app: str, folder: Path, as_json: bool) -> None:
    """List what was issued, and until when it is good.

    \b
    ramet certs show --app shop
    ramet certs show --app shop --json
    """
    if not (folder / "authority.pem").exists():
        raise ConfigError("there is no authority", where=str(folder), hint=f"ramet certs init --app {app}")
    issued = Authority.at(folder, app=app).issued()
    if as_json:
        click.echo(
            json.dumps(
                [
                    {
                        "service": each.service,
                        "path": str(each.path),
                        "not_after": each.not_after.isoformat(),
                        "renewable": each.is_renewable,
                    }
                    for each in issued
                ]
            )
        )
        return
    for each in issued:
        click.echo(
            f"{each.service:<20} until {each.not_after:%Y-%m-%d}{'  renew it: ramet certs issue' if each.is_renewable else ''}"
        )
