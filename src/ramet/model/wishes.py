"""What a person asks for, as data, and what that means for the services that run. Pure."""

from collections.abc import Mapping

import msgspec

from ramet.errors import PlanImpossible
from ramet.kit.near import did_you_mean
from ramet.model.autoscale import Limits
from ramet.model.dividing import DataWish
from ramet.model.gates.reading import CANARY_BAKE_S
from ramet.model.service import Service
from ramet.model.system import Deployed, System
from ramet.model.topology import Topology
from ramet.model.wanted import Strategy, Wanted


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of: data, about one module's database; topology, a name in ramet.toml; extract, a module, with the name of its service;
    absorb, a service, with the one that takes its modules; scale, a service and how many instances; roll, a folder
    with another version of the code.
    why: for the title of the plan, of scale."""

    topology: str = ""
    extract: str = ""
    service: str = ""
    absorb: str = ""
    into: str = ""
    scale: str = ""
    instances: int = 0
    roll: str = ""
    strategy: Strategy = Strategy.ROLLING
    why: str = ""
    data: DataWish | None = None


def wanted_of(
    wish: Wish,
    running: System,
    topologies: Mapping[str, Topology],
    version: str,
    *,
    missing: Mapping[str, tuple[str, ...]] | None = None,
    gate_s: float = CANARY_BAKE_S,
) -> Wanted:
    """version: that is to run. missing: migrations of it. Raises PlanImpossible for a module or service that there is not."""
    asked = [name for name in ("topology", "extract", "absorb", "scale", "roll") if getattr(wish, name)]
    if len(asked) != 1:
        raise PlanImpossible(
            f"a wish is one of topology, extract, absorb, scale and roll; this has {' and '.join(asked) or 'none'}"
        )
    now = running.services
    title = ""
    databases = {}
    if wish.topology:
        topology = _topology(wish.topology, topologies)
        name, databases = topology.name, dict(topology.databases)
        services = {
            each.name: Deployed(each.name, version, each.modules, _instances(each, now)) for each in topology.services.values()
        }
    elif wish.extract:
        name, services = _extracted(wish, now, running.topology)
    elif wish.absorb:
        name, services = _absorbed(wish, now, running.topology)
    elif wish.scale:
        service = now[_known(wish.scale, now, "service")]
        _check_range(wish, limits_of(running.topology, topologies).get(service.service))
        title = f"scale {wish.scale} {service.instances} -> {wish.instances}{f': {wish.why}' if wish.why else ''}"
        scaled = Deployed(service.service, service.version, service.modules, wish.instances)
        name, services = running.topology, {**now, service.service: scaled}
    else:
        name = running.topology
        services = {each.service: Deployed(each.service, version, each.modules, each.instances) for each in now.values()}
    return Wanted(
        topology=name,
        services=services,
        strategy=wish.strategy,
        missing=dict(missing or {}),
        gate_s=gate_s,
        databases=databases,
        title=title,
    )


def limits_of(running: str, topologies: Mapping[str, Topology]) -> dict[str, Limits]:
    """By service, of what runs under a topology's name, or one made from it by `extract` and `absorb`: `grown+feed`,
    `grown-feed`. A service that the file does not have, has no limits."""
    bases = [name for name in topologies if running == name or running.startswith((f"{name}+", f"{name}-"))]
    if not bases:
        return {}
    services = topologies[max(bases, key=len)].services
    return {name: each.limits for name, each in services.items() if each.limits is not None}


def _instances(service: Service, now: Mapping[str, Deployed]) -> int:
    """As many as run, where they are within its range: what was measured is better than where it began."""
    if service.most is None or service.name not in now:
        return service.instances
    return min(max(now[service.name].instances, service.instances), service.most)


def _check_range(wish: Wish, limits: Limits | None) -> None:
    if limits is not None and not limits.least <= wish.instances <= limits.most:
        raise PlanImpossible(
            f"{wish.scale} is to have {limits.least} to {limits.most} instances, not {wish.instances}",
            hint=f'a number within, or another range in ramet.toml: instances = "{limits.least}..{limits.most}"',
        )


def _topology(name: str, topologies: Mapping[str, Topology]) -> Topology:
    if name not in topologies:
        raise PlanImpossible(
            f"there is no topology `{name}`", hint=did_you_mean(name, topologies) or f"known: {', '.join(topologies)}"
        )
    return topologies[name]


def _known(name: str, known: Mapping[str, object], what: str) -> str:
    if name not in known:
        raise PlanImpossible(f"there is no {what} `{name}`", hint=did_you_mean(name, known) or f"known: {', '.join(known)}")
    return name


def _extracted(wish: Wish, now: dict[str, Deployed], topology: str) -> tuple[str, dict[str, Deployed]]:
    homes = {module: each.service for each in now.values() for module in each.modules}
    module = _known(wish.extract, homes, "module")
    home, name = now[homes[module]], wish.service or module
    if len(home.modules) == 1:
        raise PlanImpossible(
            f"{module} is alone in service `{home.service}` already", hint=f"ramet scale {home.service} 2 gives it more instances"
        )
    if name in now:
        raise PlanImpossible(
            f"there is a service `{name}` already, with {', '.join(now[name].modules)}", hint=f"ramet extract {module} --as NAME"
        )
    rest = Deployed(home.service, home.version, tuple(each for each in home.modules if each != module), home.instances)
    services = {**now, home.service: rest, name: Deployed(name, home.version, (module,), 1)}
    return f"{topology}+{name}", services


def _absorbed(wish: Wish, now: dict[str, Deployed], topology: str) -> tuple[str, dict[str, Deployed]]:
    service = now[_known(wish.absorb, now, "service")]
    others = {name: each for name, each in now.items() if name != service.service}
    if not others:
        raise PlanImpossible(f"`{service.service}` is the only service; there is none to take its modules")
    if wish.into == service.service:
        raise PlanImpossible(f"`{service.service}` cannot be absorbed into itself", hint=f"one of {', '.join(others)}")
    into = others[_known(wish.into, others, "service")] if wish.into else _largest(others)
    merged = Deployed(into.service, into.version, (*into.modules, *service.modules), into.instances)
    name = topology.replace(f"+{service.service}", "") if f"+{service.service}" in topology else f"{topology}-{service.service}"
    return name, {**others, into.service: merged}


def _largest(services: Mapping[str, Deployed]) -> Deployed:
    """Where modules go that nobody named a place for: to the service with the most modules, the monolith that is left."""
    return max(services.values(), key=lambda each: len(each.modules))
