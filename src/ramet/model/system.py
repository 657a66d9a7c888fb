"""What runs, as one value: instances, what each hosts, who gets which share of the traffic, who owns what can have one owner.

Every step of a plan takes one such value to the next. Pure.
"""

from collections.abc import Collection, Iterable

import msgspec

from ramet.model.divisions import Division
from ramet.model.routing import place, service_of, version_of

WHOLE = 100


class Running(msgspec.Struct, frozen=True, order=True):
    """One instance that is ready. place: `service@version`. modules: what it hosts."""

    instance: str
    place: str
    modules: tuple[str, ...]


class System(msgspec.Struct, frozen=True, kw_only=True):
    """topology: name of what it is equal to, or was before a plan began. shares: module -> place -> percent, 100 in all.
    owners: module that has schedules -> the instance that runs them. databases: module -> how it is divided, where it is not all
    on the server `main`. servers: names of those beside it. replicas: server -> its nodes that are read, where they
    are no primary. tracked: servers whose writers note positions."""

    topology: str = ""
    instances: tuple[Running, ...] = ()
    shares: dict[str, dict[str, int]] = {}
    owners: dict[str, str] = {}
    databases: dict[str, Division] = {}
    servers: tuple[str, ...] = ()
    replicas: dict[str, tuple[str, ...]] = {}
    tracked: tuple[str, ...] = ()

    def division(self, module: str) -> Division:
        return self.databases.get(module, Division())

    @property
    def at_rest(self) -> "System":
        """What is left of it when all instances have been stopped: where databases are."""
        return System().on_data_of(self)

    def on_data_of(self, other: "System") -> "System":
        """The same, with databases where another one has them."""
        return msgspec.structs.replace(
            self, databases=other.databases, servers=other.servers, replicas=other.replicas, tracked=other.tracked
        )

    def at(self, place: str) -> list[Running]:
        return [each for each in self.instances if each.place == place]

    def hosting(self, module: str, place: str | None = None) -> list[Running]:
        return [each for each in self.instances if module in each.modules and place in (None, each.place)]

    def find(self, instance: str) -> Running | None:
        return next((each for each in self.instances if each.instance == instance), None)

    @property
    def places(self) -> list[str]:
        return list(dict.fromkeys(each.place for each in self.instances))

    @property
    def services(self) -> "dict[str, Deployed]":
        """What is deployed as what, for a system that no plan is changing: one place for each service."""
        found: dict[str, Deployed] = {}
        for name in self.places:
            running = self.at(name)
            modules = tuple(dict.fromkeys(module for each in running for module in each.modules))
            found[service_of(name)] = Deployed(service_of(name), version_of(name), modules, len(running))
        return found

    def with_instances(self, instances: Iterable[Running]) -> "System":
        return msgspec.structs.replace(self, instances=tuple(sorted(instances)))


class Deployed(msgspec.Struct, frozen=True):
    """A service as it is to run, or runs."""

    service: str
    version: str
    modules: tuple[str, ...]
    instances: int

    @property
    def place(self) -> str:
        return place(self.service, self.version)


def problems(system: System, modules: Collection[str]) -> list[str]:
    """What would keep a request from being answered, or let two do what one must. Empty for every state between two steps."""
    found: list[str] = []
    for module in modules:
        shares = system.shares.get(module, {})
        if sum(shares.values()) != WHOLE or min(shares.values(), default=0) < 0:
            found.append(f"the shares of {module} are {shares or 'none'}, not {WHOLE} in all")
        found += [
            f"{share} % of {module} go to {name}, where no instance hosts it"
            for name, share in shares.items()
            if share and not system.hosting(module, name)
        ]
    names = [each.instance for each in system.instances]
    found += [f"two instances are named {name}" for name in dict.fromkeys(names) if names.count(name) > 1]
    for module, owner in system.owners.items():
        running = system.find(owner)
        if running is None or module not in running.modules:
            found.append(f"{owner} owns the schedules of {module} and does not host it")
    return found


def initial(topology: str, services: Iterable[Deployed], scheduled: Collection[str]) -> System:
    """The system that a topology describes, when nothing ran before. scheduled: modules that have schedules."""
    instances = [
        Running(f"{each.service}-{number}", each.place, tuple(sorted(each.modules)))
        for each in services
        for number in range(1, each.instances + 1)
    ]
    hosts: dict[str, str] = {module: each.place for each in services for module in each.modules}
    return System(
        topology=topology,
        instances=tuple(sorted(instances)),
        shares={module: {name: WHOLE} for module, name in hosts.items()},
        owners={module: first_hosting(instances, module, hosts[module]) for module in hosts if module in scheduled},
    )


def first_hosting(instances: Iterable[Running], module: str, place: str) -> str:
    """The instance that owns what a place can own once. The first by name, so that everyone finds the same one."""
    return min(each.instance for each in instances if each.place == place and module in each.modules)


def fresh_names(service: str, count: int, taken: Collection[str]) -> tuple[str, ...]:
    """Names for new instances of a service: the lowest numbers that are free."""
    names: list[str] = []
    number = 0
    while len(names) < count:
        number += 1
        if (name := f"{service}-{number}") not in taken:
            names.append(name)
    return tuple(names)
