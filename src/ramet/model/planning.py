"""From what runs and what is wanted to the steps between: the planner. Pure.

A topology of the same version is reached by `moves`, another version of the code by a `roll`. In every state between two steps
each module has a ready owner for all of its traffic (`system.problems`), and what has one owner has one.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from ramet.errors import PlanImpossible
from ramet.kit.near import did_you_mean
from ramet.model import facts
from ramet.model.dividing import DataWish, divide
from ramet.model.facts import Facts, Needs
from ramet.model.moves import moves
from ramet.model.release import breaks
from ramet.model.rolls import roll
from ramet.model.steps import AnyStep, Settle, states
from ramet.model.system import System
from ramet.model.wanted import Wanted


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """title: for people. steps: in order. needs: at its height."""

    title: str
    steps: tuple[AnyStep, ...]
    needs: Needs


def plan(running: System, wanted: Wanted, known: Facts) -> Plan:
    """Raises PlanImpossible with every reason. A plan without steps: the system is what is wanted already."""
    refuse(_refusals(running, wanted, known))
    versions = {each.version for each in running.services.values()}
    if versions == {wanted.version}:
        steps = moves(running, wanted)
        title = wanted.title or f"{running.topology} -> {wanted.topology}"
    else:
        steps = roll(running, wanted)
        title = f"{', '.join(sorted(versions))} -> {wanted.version}, {wanted.strategy}"
    steps += _divisions(running, wanted, known)
    if steps or running.topology != wanted.topology:  # ranges and databases belong to the name
        steps.append(Settle(old=running.topology, new=wanted.topology, why="it is equal to that from here on"))
    needed = facts.needs(states(running, steps), known)
    refuse(facts.shortfalls(needed))
    return Plan(title=title, steps=tuple(steps), needs=needed)


def refuse(reasons: Sequence[str]) -> None:
    """Raises PlanImpossible if there are any."""
    if reasons:
        raise PlanImpossible("; ".join(reasons), hint="nothing was changed")


def _refusals(running: System, wanted: Wanted, known: Facts) -> list[str]:
    hosts: dict[str, list[str]] = {}
    for service in wanted.services.values():
        for module in service.modules:
            hosts.setdefault(module, []).append(service.service)
    return [
        *_unhosted(hosts, wanted, known),
        *separated({module: names[0] for module, names in hosts.items()}, known.inseparable),
        *_divided(wanted, known),
        *_incompatible(running, wanted, known),
    ]


def _unhosted(hosts: Mapping[str, list[str]], wanted: Wanted, known: Facts) -> Iterable[str]:
    release = known.releases[wanted.version]
    for module in release.modules:
        if module not in hosts:
            yield f"no service hosts {module}"
    for module, names in hosts.items():
        if module not in release.modules:
            yield f"{module} is no module of {release.app} {release.version}"
        if len(names) > 1:
            yield f"{module} is in {' and '.join(names)}; a module has one owner"
    for each in wanted.services.values():
        if each.instances < 1:
            yield f"{each.service} would have {each.instances} instances, and is the only owner of {', '.join(each.modules)}"


def separated(homes: Mapping[str, str], inseparable: Iterable[Sequence[str]]) -> Iterable[str]:
    """homes: module -> its service."""
    for group in inseparable:
        apart = {module: homes[module] for module in group if module in homes}
        if len(set(apart.values())) > 1:
            where = ", ".join(f"{module} in {service}" for module, service in apart.items())
            yield f"{' and '.join(group)} share state or a database role and must stay in one service: {where}"


def _divided(wanted: Wanted, known: Facts) -> Iterable[str]:
    parts = known.releases[wanted.version].modules
    for module, layout in wanted.databases.items():
        part = parts.get(module)
        if part is None or not part.has_database:
            yield f"{module} has no database that could have shards or replicas"
            continue
        if layout.shards > 1 and part.key is None:
            yield (
                f"the database of {module} cannot have {layout.shards} shards, since its rows have no key; declare it with"
                " module.database(key=...)"
            )


def _divisions(running: System, wanted: Wanted, known: Facts) -> list[AnyStep]:
    """What divides databases as a topology has them, one module after another."""
    steps: list[AnyStep] = []
    for module, layout in wanted.databases.items():
        if module not in known.data:
            continue
        wishes = [DataWish(module=module, replicas=layout.replicas)]
        if layout.shards != len(running.division(module).map.shards):
            wishes.insert(0, DataWish(module=module, shards=layout.shards))
        for wish in wishes:
            _, more = divide(running, wish, known.data[module])
            for step in more:
                running = step.after(running)
            steps += more
    return steps


def plan_data(running: System, wish: DataWish, known: Facts) -> Plan:
    """Raises PlanImpossible. A plan without steps: the data is so already."""
    parts = known.releases[min(known.releases)].modules
    if wish.module not in parts:
        hint = did_you_mean(wish.module, parts) or f"known: {', '.join(parts)}"
        raise PlanImpossible(f"there is no module `{wish.module}`", hint=hint)
    if not parts[wish.module].has_database:
        raise PlanImpossible(f"{wish.module} has no database")
    title, steps = divide(running, wish, known.data[wish.module])
    needed = facts.needs(states(running, steps), known)
    return Plan(title=title, steps=tuple(steps), needs=needed)


def _incompatible(running: System, wanted: Wanted, known: Facts) -> Iterable[str]:
    release = known.releases[wanted.version]
    deployed = running.services
    for version in sorted({each.version for each in deployed.values()} - {wanted.version}):
        old = known.releases[version]
        yield from map(str, (*breaks(old, release), *breaks(release, old)))
        now = {name: set(each.modules) for name, each in deployed.items()}
        if now != {name: set(each.modules) for name, each in wanted.services.items()}:
            yield "a release and another topology are two plans: roll first, then apply"
