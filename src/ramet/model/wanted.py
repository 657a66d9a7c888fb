"""What is wanted of the running system: services of one version, and how to get there."""

import enum

import msgspec

from ramet.model.gates.reading import CANARY_BAKE_S
from ramet.model.system import Deployed
from ramet.model.topology import Layout

KEEP_S = 30.0
"""How long the old version stays after a blue/green switch."""


class Strategy(enum.StrEnum):
    ROLLING = "rolling"
    CANARY = "canary"
    BLUE_GREEN = "blue-green"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """services: name -> how it is to run, all of one version. databases: module -> how it is to be divided, where the topology
    says it. gate_s: how long a gate compares versions at least. title: of the plan; empty for one from what it changes."""

    topology: str
    services: dict[str, Deployed]
    strategy: Strategy = Strategy.ROLLING
    missing: dict[str, tuple[str, ...]] = {}
    """Migrations of the wanted version that the databases lack: module -> ids."""
    databases: dict[str, Layout] = {}
    gate_s: float = CANARY_BAKE_S
    keep_s: float = KEEP_S
    title: str = ""

    @property
    def version(self) -> str:
        return next(iter(self.services.values())).version

    def home_of(self, module: str) -> str:
        return next(each.service for each in self.services.values() if module in each.modules)

    def kept(self, service: str) -> int:
        """How many of its instances stay."""
        return self.services[service].instances if service in self.services else 0
