"""Settings of a running process: each a field with unit, default, and why that default.

Read once from the environment (`RAMET_*`); the topology's own values are in `ramet.toml` and not here.
"""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass

from ramet.errors import ConfigError
from ramet.kit.durations import parse_duration_s
from ramet.kit.near import did_you_mean

PREFIX = "RAMET_"


_LOWEST = {
    "max_frame_bytes": 64 * 1024,
    "max_calls_per_connection": 1,
    "max_calls": 1,
    "max_queued_calls": 0,
    "stream_window_bytes": 1,
    "ping_interval_s": 0.05,
    "handshake_s": 0.05,
    "ring_records": 1,
}
_SHARES = {"RAMET_RETRY_BUDGET", "RAMET_MAX_EJECTED_SHARE"}
_CHOICES = {"log_format": ("auto", "json", "color", "plain"), "log_level": ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One process's settings. Environment variable: `RAMET_` and the field's name in capitals."""

    strict: bool = True
    """Check every local call as if it crossed the wire: caller declared, values encoded and decoded. On by default, because
    what works together must work apart; production instances turn it off and pay 0.15 us for a local call instead of 10."""

    max_frame_bytes: int = 16 * 1024 * 1024
    """Largest frame sent or taken, in bytes. 16 MiB: larger values belong in a stream or an object store."""

    max_calls_per_connection: int = 1024
    """Calls that one peer may have in flight on one connection; others wait at the caller. Eight times what fills a core."""

    max_calls: int = 4096
    """Calls in flight in one instance over all connections; further ones are shed with `Overloaded`. A guess: 4 busy peers."""

    max_queued_calls: int = 1000
    """Calls that may wait for an endpoint of one module that is not there yet, or has no room. Beyond: `Unavailable` at once."""

    stream_window_bytes: int = 256 * 1024
    """Bytes of a stream that may be under way unread. 256 KiB: over the bandwidth-delay product of a local network."""

    retry_budget: float = 0.1
    """Retries as a share of calls, so that retries cannot double an overload. 10 %, the field's usual figure."""

    ping_interval_s: float = 5.0
    """A silent connection is asked for a sign of life this often, in seconds; silence for another interval closes it."""

    handshake_s: float = 5.0
    """Time for connect, TLS and HELLO together, in seconds."""

    max_ejected_share: float = 0.5
    """Share of a module's endpoints that health checks may take out of use. Half: the rest could not carry the load of all."""

    log_format: str = "auto"
    """`json`, `color`, `plain`, or `auto`: color on a terminal, else json."""

    log_level: str = "INFO"
    """Lowest level that is written."""

    ring_records: int = 4096
    """Finished records of work kept in memory for inspection. About 1.5 MB when full."""

    query_parameters: bool = True
    """Keep in memory the parameters of each query's slowest execution, so that `ramet data explain` shows the plan that it had.
    They may be personal data: off, a plan is the one for any parameters."""

    def __post_init__(self) -> None:
        for name, lowest in _LOWEST.items():
            if (value := getattr(self, name)) < lowest:
                raise ConfigError(f"{PREFIX}{name.upper()} is {value}, it must be at least {lowest}")
        for name in ("retry_budget", "max_ejected_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{PREFIX}{name.upper()} is {getattr(self, name)}, it is a share between 0 and 1")
        for name, known in _CHOICES.items():
            if (value := getattr(self, name)) not in known:
                raise ConfigError(
                    f"{PREFIX}{name.upper()} is {value!r}", hint=did_you_mean(value, known) or f"one of {', '.join(known)}"
                )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read `RAMET_*`. Raises ConfigError for a value that does not fit, and for an unknown name close to a known one."""
        fields = {field.name: field for field in dataclasses.fields(cls)}
        values: dict[str, object] = {}
        for variable, text in environment.items():
            if not variable.startswith(PREFIX):
                continue
            name = variable.removeprefix(PREFIX).lower()
            if name in fields:
                values[name] = _parse(variable, text, fields[name].type)
            elif hint := did_you_mean(name, fields):
                raise ConfigError(
                    f"there is no setting {variable}",
                    where=f"environment variable {variable}",
                    hint=hint.upper().replace("DID YOU MEAN `", f"did you mean `{PREFIX}"),
                )
        return cls(**values)  # pyright: ignore[reportArgumentType]  (each value was parsed by its field's type)


def _parse(variable: str, text: str, kind: object) -> object:
    try:
        if kind is bool:
            return {
                "1": True,
                "true": True,
                "yes": True,
                "on": True,
                "0": False,
                "false": False,
                "no": False,
                "off": False,
            }[text.lower()]
        if kind is int:
            return int(text)
        if kind is float:
            return float(text) if variable in _SHARES else parse_duration_s(text)
    except (KeyError, ValueError):
        wanted = {bool: "1 or 0", int: "a whole number", float: "a number, or a duration such as 250ms"}[kind]  # pyright: ignore[reportArgumentType]
        raise ConfigError(f"{variable} is {text!r}, expected {wanted}", where=f"environment variable {variable}") from None
    return text
