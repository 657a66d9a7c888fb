"""Where modules can be called, and who owns them: what is pushed to every instance. Nobody looks these up; all are told."""

from collections.abc import Mapping

import msgspec


def place(service: str, version: str) -> str:
    """A version of a service: what shares and weights are given to. Also the name of its cluster in Envoy."""
    return f"{service}@{version}"


def service_of(place: str) -> str:
    return place.partition("@")[0]


def version_of(place: str) -> str:
    return place.partition("@")[2]


class Address(msgspec.Struct, frozen=True):
    """One instance's door for calls.

    instance: unique name, such as `feed-2`. unix: path of its socket on its own machine, or empty. host_id: identity of that
    machine, so that a caller knows whether the path is the same one there. host, port: its TCP door, port 0 for none. revision:
    grows when the instance begins to host another module: callers connect anew, since a handshake settles what is hosted.
    """

    instance: str
    service: str
    version: str = ""
    unix: str = ""
    host_id: str = ""
    host: str = ""
    port: int = 0
    revision: int = 0

    def __str__(self) -> str:
        return f"{self.instance} ({self.unix or f'{self.host}:{self.port}'})"

    @property
    def place(self) -> str:
        return place(self.service, self.version)


class Owner(msgspec.Struct, frozen=True):
    """Who runs what a module has one owner for: its schedules.

    instance: empty for nobody, while it is handed over. epoch: of the ownership. It grows with every change of the owner, also
    from one controller to the next, and is what the module's database compares (`ramet.data.ownership`).
    """

    instance: str
    epoch: int


class RoutingTable(msgspec.Struct, frozen=True):
    """Module -> the instances that host it. `epoch` grows with each table; an older one is ignored.

    shares: module -> place -> percent of its calls; a module without an entry is called at all of its instances alike. owners:
    module -> who owns its schedules.
    """

    epoch: int
    modules: dict[str, list[Address]]
    shares: dict[str, dict[str, int]] = {}
    owners: dict[str, Owner] = {}


def open_places(shares: Mapping[str, int], version: str) -> dict[str, int]:
    """The places that a caller of this version chooses from, with their weights.

    Those of its own version, where any of them has a share: what entered a version stays in it. Else all that have a share.
    """
    having = {place: share for place, share in shares.items() if share > 0}
    own = {place: share for place, share in having.items() if version_of(place) == version}
    return own or having
