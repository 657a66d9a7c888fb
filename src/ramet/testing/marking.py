"""What a test asks for with `@pytest.mark.ramet(...)`: in which placements it runs. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ramet.kit.near import did_you_mean
from ramet.testing.errors import PlacementRefused

TOGETHER, WIRE, PROCESSES = "together", "wire", "processes"
PLACEMENTS = (TOGETHER, WIRE, PROCESSES)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One placement. topology: for `processes`, the one whose services run apart; None: each module apart."""

    placement: str
    topology: str | None = None

    def __str__(self) -> str:
        return f"{self.placement} {self.topology}" if self.topology else self.placement


def read_marker(args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Wanted]:
    """The placements of `@pytest.mark.ramet(*args, **kwargs)`, in the order of PLACEMENTS; all three where none is named.

    Raises PlacementRefused.
    """
    example = '@pytest.mark.ramet("wire", "processes", topology="grown")'
    for name in kwargs:
        if name != "topology":
            raise PlacementRefused(f"the marker `ramet` takes no {name!r}", hint=did_you_mean(name, ["topology"]) or example)
    for name in args:
        if name not in PLACEMENTS:
            hint = did_you_mean(str(name), PLACEMENTS) or f"one of {', '.join(PLACEMENTS)}"
            raise PlacementRefused(f"there is no placement {name!r}", hint=hint)
    topology = kwargs.get("topology")
    if topology is not None and args and PROCESSES not in args:
        raise PlacementRefused(f"topology={topology!r} says what runs apart in `processes`, which is not asked for", hint=example)
    wanted = [placement for placement in PLACEMENTS if not args or placement in args]
    return [Wanted(placement, topology if placement == PROCESSES else None) for placement in wanted]
