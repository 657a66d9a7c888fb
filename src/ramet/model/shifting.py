"""What moves and rolls have in common: traffic that goes from place to place in shares, and owners that go with it. Pure."""

from collections.abc import Iterable, Mapping

from ramet.model.steps import AnyStep, HandOver, Shift, Watch
from ramet.model.system import WHOLE, System, first_hosting

SHARES = (5, 25, 50, 100)
"""Percent of the traffic that a new place has after each shift. The field's usual ladder."""
MOVE_GATE_S = 2.0
"""Both sides of a move run the same code, so its gates look for hard signals: 2 s are two looks."""


def ladder(moves: Mapping[str, tuple[str, str]], *, seconds: float, holds: bool) -> Iterable[AnyStep]:
    """moves: module -> (old place, new place). A gate after every shift."""
    at = 0
    for share in SHARES:
        yield Shift(
            old={module: divided(source, target, at) for module, (source, target) in moves.items()},
            new={module: divided(source, target, share) for module, (source, target) in moves.items()},
            why="a little more at a time, so that what is wrong shows on few requests",
        )
        yield Watch(
            modules=tuple(moves),
            old=tuple(dict.fromkeys(source for source, _ in moves.values())),
            new=tuple(dict.fromkeys(target for _, target in moves.values())),
            seconds=seconds,
            holds=holds and share < WHOLE,  # with all of the traffic there is nothing left to compare it with
            why="hard signals undo the plan at once" + (", and so does a worse rate of errors or slow requests" if holds else ""),
        )
        at = share


def divided(source: str, target: str, share: int) -> dict[str, int]:
    """share: percent of the target."""
    shares = {source: WHOLE - share, target: share}
    return {name: each for name, each in shares.items() if each}


def owners(state: System, leaving: set[str], targets: Mapping[str, str]) -> list[AnyStep]:
    """The hand-over of schedules away from instances that end, and along with modules that move; none where nothing is owned.

    targets: module -> its new place.
    """
    new: dict[str, str] = {}
    for module, owner in state.owners.items():
        running = state.find(owner)
        if running is not None and (owner in leaving or targets.get(module, running.place) != running.place):
            candidates = [each for each in state.instances if each.instance not in leaving]
            new[module] = first_hosting(candidates, module, targets.get(module, running.place))
    old = {module: state.owners[module] for module in new}
    why = "one owner at any time: the new one begins when the old one has said that it stopped"
    return [HandOver(old=old, new=new, why=why)] if new else []
