"""Where modules can be called: what is pushed to every instance. Callers never look an address up; they are told."""

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


class RoutingTable(msgspec.Struct, frozen=True):
    """Module -> the instances that host it. `epoch` grows with each table; an older one is ignored."""

    epoch: int
    modules: dict[str, list[Address]]
