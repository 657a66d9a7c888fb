"""What a controller writes down of the running system, so that another one can take it over."""

import msgspec

from ramet.model.launch import Launch
from ramet.model.release import Release
from ramet.model.routing import Owner
from ramet.model.system import System


class Kept(msgspec.Struct, frozen=True):
    """An instance: how it was started, where it listens, and its revision (see `Address`).

    Written down before it is started. One that is in no system any more, or not yet, is ended by who takes over.
    """

    launch: Launch
    host: str
    port: int
    revision: int = 0


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """epoch: of the last routing table. http: host and port of the entrance. instances: by name. releases: by version. owners: by
    module."""

    system: System
    epoch: int
    host: str
    port: int
    instances: dict[str, Kept]
    releases: dict[str, Release]
    owners: dict[str, Owner] = {}

    @property
    def at_rest(self) -> "Recorded":
        """What the next start begins with, after a stop of the whole system."""
        return msgspec.structs.replace(self, system=self.system.at_rest, instances={}, owners={})
