"""A service of a topology: which modules, how many instances, and what bounds it.

web = { modules = ["front"], instances = "2..8", target = { cpu = 0.6, window = "5m" }, memory = "512MB" }
"""

import re
from dataclasses import dataclass, field

from ramet.kit.sizes import parse_size_bytes
from ramet.model.autoscale import Limits, Target
from ramet.model.toml import Reader

MOST = 1000
_RANGE = re.compile(r"([0-9]{1,4})\.\.([0-9]{1,4})")


@dataclass(frozen=True, slots=True)
class Service:
    name: str
    modules: tuple[str, ...]
    """Names of modules, in the order of the application's list."""
    instances: int = 1
    """That it starts with; the lower end of a range."""
    most: int | None = None
    """The upper end of a range; None where it is not scaled by what is measured."""
    target: Target = field(default_factory=Target)
    memory_bytes: int | None = None
    """Of one instance; a gate takes more for a hard signal. None for no limit."""

    @property
    def limits(self) -> Limits | None:
        return Limits(self.instances, self.most, self.target) if self.most is not None else None


def read(name: str, table: Reader) -> Service:
    """With the modules as they are written there, `*` among them. Mistakes go to the table."""
    table.check_name(name)
    modules = table.texts("modules", required=True)
    least, most = _instances(table)
    target = _target(table.table("target"))
    if "target" in table.values and most is None and not isinstance(table.values.get("instances"), str):
        hint = f'instances = "{least}..{max(2 * least, 4)}"'
        table.fault("target", "a target needs a range of instances to scale in", hint=hint)
    memory = _memory(table)
    table.done()
    return Service(name, tuple(modules), least, most, target, memory)


def _instances(table: Reader) -> tuple[int, int | None]:
    if not isinstance(table.values.get("instances"), str):
        return table.count("instances", default=1), None
    text = table.text("instances")
    match = _RANGE.fullmatch(text)
    least, most = (int(match[1]), int(match[2])) if match else (0, 0)
    if 1 <= least < most <= MOST:
        return least, most
    table.fault("instances", f"{text!r} is not a range within 1 to {MOST}", hint='instances = "2..8", or a number without quotes')
    return 1, None


def _target(table: Reader) -> Target:
    default = Target()
    target = Target(
        cpu=_positive(table, "cpu", table.number("cpu", default=default.cpu), default.cpu),
        in_flight=_positive(table, "in_flight", table.number("in_flight", default=default.in_flight), default.in_flight),
        queue_wait_s=_positive(
            table, "queue_wait", table.duration("queue_wait", default=default.queue_wait_s), default.queue_wait_s
        ),
        window_s=table.duration("window", default=default.window_s),
        cooldown_s=table.duration("cooldown", default=default.cooldown_s),
    )
    table.done()
    return target


def _positive(table: Reader, key: str, value: float, default: float) -> float:
    """The smallest target is what can be measured at all; nothing is divided by less."""
    if 1e-6 <= value <= 1e6:
        return value
    table.fault(key, f"{value:g} is no target", hint="a number above 0, and at most a million")
    return default


def _memory(table: Reader) -> int | None:
    text = table.text("memory")
    if "memory" not in table.values or not isinstance(table.values["memory"], str):
        return None
    try:
        return parse_size_bytes(text)
    except ValueError as error:
        table.fault("memory", str(error), hint='memory = "512MB"')
        return None
