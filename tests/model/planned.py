"""Topologies of a small application, generated, and facts in which everything fits."""

from collections.abc import Mapping

from hypothesis import strategies as st

from ramet.model.facts import Facts
from ramet.model.release import Part, Release
from ramet.model.system import Deployed, System, initial
from ramet.model.wanted import Strategy, Wanted

MODULES = ("accounts", "articles", "social", "feed", "search")
SCHEDULED = {"feed", "articles"}
SERVICES = ("web", "main", "feed", "extra", "core")


def release(version: str, **changed: Part) -> Release:
    parts = {name: Part(has_database=True, schedules=("tick",) if name in SCHEDULED else ()) for name in MODULES}
    return Release(app="shop", version=version, file="ramet.toml", python="python", modules={**parts, **changed})


FACTS = Facts(releases={"1": release("1"), "2": release("2")}, pool_size=4, start_s=1.5)


@st.composite
def services(draw: st.DrawFn, version: str = "1") -> dict[str, Deployed]:
    homes = draw(st.lists(st.sampled_from(SERVICES), min_size=len(MODULES), max_size=len(MODULES)))
    found: dict[str, Deployed] = {}
    for name in dict.fromkeys(homes):
        modules = tuple(module for module, home in zip(MODULES, homes, strict=True) if home == name)
        found[name] = Deployed(name, version, modules, draw(st.integers(1, 3)))
    return found


@st.composite
def systems(draw: st.DrawFn) -> System:
    return initial("now", draw(services()).values(), SCHEDULED)


@st.composite
def wishes(draw: st.DrawFn, running: System) -> Wanted:
    """Another topology, or another version in the same one."""
    if draw(st.booleans()):
        return Wanted(topology="then", services=draw(services()))
    rolled = {name: Deployed(name, "2", each.modules, each.instances) for name, each in running.services.items()}
    missing = {"feed": ("0002",)} if draw(st.booleans()) else {}
    return Wanted(topology="now", services=rolled, strategy=draw(st.sampled_from(Strategy)), missing=missing)


def same_shares(one: Mapping[str, Mapping[str, int]], other: Mapping[str, Mapping[str, int]]) -> bool:
    """Whether two tables of shares send every call to the same places: a share of 0 is none."""

    def bare(shares: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
        return {module: {name: share for name, share in each.items() if share} for module, each in shares.items()}

    return bare(one) == bare(other)
