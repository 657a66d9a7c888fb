"""Where modules can be called, and who owns them: what is pushed to every instance. Nobody looks these up; all are told."""

import msgspec


class Address(msgspec.Struct, frozen=True):
    """One instance's door for calls.

    instance: unique name, such as `feed-2`. unix: path of its socket on its own machine, or empty. host_id: identity of that
    machine, so that a caller knows whether the path is the same one there. host, port: its TCP door, port 0 for none.
    """

    instance: str
    service: str
    version: str = ""
    unix: str = ""
    host_id: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        return f"{self.instance} ({self.unix or f'{self.host}:{self.port}'})"


class Owner(msgspec.Struct, frozen=True):
    """Who runs what a module has one owner for: its schedules.

    instance: empty for nobody, while it is handed over. epoch: of the ownership. It grows with every change of the owner, also
    from one fleet to the next, and is what the module's database compares (`ramet.data.ownership`).
    """

    instance: str
    epoch: int


class RoutingTable(msgspec.Struct, frozen=True):
    """modules: module -> the instances that host it. owners: module -> its owner. `epoch` grows with each table; an older one is
    ignored."""

    epoch: int
    modules: dict[str, list[Address]]
    owners: dict[str, Owner] = {}
