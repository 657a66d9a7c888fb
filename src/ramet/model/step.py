"""What each step is: it says what it changes in the system, both ways. Pure."""

import msgspec

from ramet.model.system import System


class Step(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """why: in the words of the plan that it is part of."""

    why: str = ""

    def after(self, system: System) -> System:
        return system

    def before(self, system: System) -> System:
        """The way back: the system without what this step did."""
        return system

    @property
    def is_irreversible(self) -> bool:
        return False
