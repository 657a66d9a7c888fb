"""`[pools]` of ramet.toml: how many connections parts of the application may open."""

from dataclasses import dataclass

from ramet.model.toml import Reader

WEB = 4


@dataclass(frozen=True, slots=True)
class Pools:
    """web: of each module's database in each instance, at most; for calls, requests, events and schedules."""

    web: int = WEB


def read(table: Reader) -> Pools:
    pools = Pools(table.count("web", default=WEB))
    table.done()
    return pools
