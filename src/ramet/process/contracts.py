"""From imported modules to what they promise."""

from collections.abc import Iterable
from pathlib import Path

from ramet.model.compatibility import Descriptor
from ramet.model.surface import Surface
from ramet.module import Module


def contracts_of(modules: Iterable[Module]) -> dict[str, Descriptor]:
    """Of all calls, by qualified name."""
    return {call.contract.qualified: call.contract.descriptor for module in modules for call in module.calls.values()}


def surface_of(modules: Iterable[Module], folder: Path) -> Surface:
    """folder: the application's, which places are relative to."""
    modules = list(modules)
    places: dict[str, str] = {}
    for module in modules:
        for call in module.calls.values():
            path, _, line = call.contract.where.rpartition(":")
            if path and Path(path).is_relative_to(folder):
                places[call.contract.qualified] = f"{Path(path).relative_to(folder).as_posix()}:{line}"
    return Surface(contracts_of(modules), {module.name: sorted(module.uses) for module in modules}, places)
