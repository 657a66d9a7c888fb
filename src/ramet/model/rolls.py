"""From one version of the code to another in the same topology. Pure.

rolling        a service at a time, an instance at a time, its share growing with it
canary         all of the new version, then 5, 25, 50, 100 % of everything with a gate at each
blue-green     all of the new version, one switch, the old one kept for 30 s
"""

from collections.abc import Iterable

from ramet.model.shifting import MOVE_GATE_S, divided, ladder, owners
from ramet.model.steps import AnyStep, Migrate, Shift, Start, Stop, Watch, end_of
from ramet.model.system import WHOLE, Deployed, System, fresh_names
from ramet.model.wanted import Strategy, Wanted


def roll(running: System, wanted: Wanted) -> list[AnyStep]:
    steps: list[AnyStep] = []
    if wanted.missing:
        why = "both versions must run on the new schema; migrations go forward only"
        steps.append(Migrate(version=wanted.version, revisions=wanted.missing, why=why))
    steps += _rolling(running, wanted) if wanted.strategy is Strategy.ROLLING else _whole(running, wanted)
    return steps


def _whole(running: System, wanted: Wanted) -> list[AnyStep]:
    """All of the new version beside all of the old one, then the traffic."""
    old = running.services
    names = [each.instance for each in running.instances]
    steps: list[AnyStep] = []
    for service in wanted.services.values():
        fresh = fresh_names(service.service, service.instances, names)
        modules = tuple(sorted(service.modules))
        steps.append(Start(place=service.place, instances=fresh, modules=modules, why="the new version, without traffic"))
    pairs = {module: (old[each.service].place, each.place) for each in wanted.services.values() for module in each.modules}
    is_canary = wanted.strategy is Strategy.CANARY
    steps += ladder(pairs, seconds=wanted.gate_s, holds=True) if is_canary else [_switch(pairs)]
    leaving = {each.instance for each in running.instances}
    steps += owners(end_of(running, steps), leaving, {module: target for module, (_, target) in pairs.items()})
    if not is_canary:
        new = tuple(each.place for each in wanted.services.values())
        why = "the old version stays, for the way back"
        steps.append(Watch(modules=tuple(pairs), old=(), new=new, seconds=wanted.keep_s, why=why))
    for service in old.values():
        instances = tuple(each.instance for each in running.at(service.place))
        modules = tuple(sorted(service.modules))
        steps.append(Stop(place=service.place, instances=instances, modules=modules, why="the old version is over"))
    return steps


def _switch(pairs: dict[str, tuple[str, str]]) -> Shift:
    return Shift(
        old={module: {source: WHOLE} for module, (source, _) in pairs.items()},
        new={module: {target: WHOLE} for module, (_, target) in pairs.items()},
        why="one switch",
    )


def _rolling(running: System, wanted: Wanted) -> list[AnyStep]:
    steps: list[AnyStep] = []
    names = {each.instance for each in running.instances}
    for service in wanted.services.values():
        steps += _one_by_one(end_of(running, steps), service, names)
    return steps


def _one_by_one(state: System, service: Deployed, names: set[str]) -> Iterable[AnyStep]:
    """names: taken so far, to which those of the new instances are added."""
    source, target = state.services[service.service].place, service.place
    old = [each.instance for each in state.at(source)]
    modules = tuple(sorted(service.modules))
    before = 0
    for number in range(1, service.instances + 1):
        (fresh,) = fresh_names(service.service, 1, names)
        names.add(fresh)
        share = WHOLE * number // service.instances
        last = number == service.instances
        leaving, old = (old, []) if last else (old[:1], old[1:])
        steps: list[AnyStep] = [
            Start(place=target, instances=(fresh,), modules=modules, why=f"{number} of {service.instances}"),
            Shift(
                old=dict.fromkeys(modules, divided(source, target, before)),
                new=dict.fromkeys(modules, divided(source, target, share)),
                why="in proportion to the instances",
            ),
            Watch(modules=modules, old=(source,), new=(target,), seconds=MOVE_GATE_S, why="hard signals undo the plan at once"),
        ]
        steps += owners(end_of(state, steps), set(leaving), dict.fromkeys(modules, target))
        if leaving:
            steps.append(Stop(place=source, instances=tuple(leaving), modules=modules, why="its successor serves"))
        state = end_of(state, steps)
        before = share
        yield from steps
