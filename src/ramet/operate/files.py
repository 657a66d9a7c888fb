"""Finding and reading an application's `ramet.toml`, and the settings that are in force, with where each comes from."""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ramet.errors import ConfigError
from ramet.kit.near import did_you_mean
from ramet.model.topology import Application, Topology, parse
from ramet.settings import PREFIX, Settings

FILE = "ramet.toml"


def find(start: Path) -> Path:
    """`ramet.toml` here or in a folder above. Raises ConfigError."""
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / FILE).is_file():
            return folder / FILE
    raise ConfigError(
        f"there is no {FILE} here or above", where=str(start.resolve()), hint="run it in the folder of an application"
    )


def load(path: Path) -> Application:
    """Raises ConfigError."""
    try:
        return parse(path.read_text(encoding="utf-8"), file=str(path))
    except UnicodeDecodeError as error:
        raise ConfigError(f"not UTF-8: {error}", where=str(path)) from error
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path)) from error


def topology_of(application: Application, name: str | None) -> Topology:
    """By name; None for the first in the file. Raises ConfigError."""
    if name is None:
        return application.first_topology
    if name not in application.topologies:
        known = application.topologies
        raise ConfigError(f"there is no topology `{name}`", hint=did_you_mean(name, known) or f"known: {', '.join(known)}")
    return application.topologies[name]


@dataclass(frozen=True, slots=True)
class Origin:
    """A setting in force. source: default, ramet.toml:LINE, or the environment variable."""

    name: str
    value: object
    source: str


def settings_of(application: Application, environment: Mapping[str, str] = os.environ) -> Settings:
    """Environment before file before default. Raises ConfigError for a value that does not fit."""
    chosen = {name: text for name, text in environment.items() if name.startswith(PREFIX)}
    return Settings.from_environment({**as_environment(application), **chosen})


def settings_in_force(application: Application, file: str, environment: Mapping[str, str] = os.environ) -> list[Origin]:
    """As `settings_of`, one by one."""
    written = as_environment(application)
    settings = settings_of(application, environment)
    origins: list[Origin] = []
    for field in dataclasses.fields(Settings):
        variable = PREFIX + field.name.upper()
        source = "default"
        if variable in environment:
            source = f"environment variable {variable}"
        elif variable in written:
            source = f"{file}:{application.lines.get(('settings', field.name), '?')}"
        origins.append(Origin(field.name, getattr(settings, field.name), source))
    return origins


def as_environment(application: Application) -> dict[str, str]:
    """The file's [settings] as RAMET_* values. Raises ConfigError for a name that is no setting."""
    known = [field.name for field in dataclasses.fields(Settings)]
    for name in application.settings:
        if name not in known:
            line = application.lines.get(("settings", name))
            raise ConfigError(
                f"settings.{name}: there is no such setting",
                where=f"{FILE}:{line}",
                hint=did_you_mean(name, known) or "ramet config",
            )
    written = {PREFIX + name.upper(): str(value) for name, value in application.settings.items()}
    for name in application.settings:
        variable = PREFIX + name.upper()
        try:
            Settings.from_environment({variable: written[variable]})
        except ConfigError as error:
            line = application.lines.get(("settings", name))
            message = error.message.replace(variable, f"settings.{name}")
            raise ConfigError(message, where=f"{FILE}:{line}", hint=error.hint) from None
    return written
