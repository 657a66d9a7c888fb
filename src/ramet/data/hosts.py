"""Which of several hosts to go to: what each has answered, and the choice. Pure."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class Role(enum.StrEnum):
    """What a server is to be."""

    ANY = "any"
    """The primary where there is a choice."""
    PRIMARY = "primary"
    STANDBY = "standby"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """host: as in `Address.hosts`. timeline: of a primary; grows with each promotion. error: why there is no answer."""

    host: str
    is_standby: bool = False
    timeline: int = 0
    error: str = ""

    def __str__(self) -> str:
        if self.error:
            return f"{self.host}: {self.error}"
        return f"{self.host} is {'a standby' if self.is_standby else f'a primary, of timeline {self.timeline}'}"


def choose(answers: Iterable[Answer], role: Role, *, current: str = "") -> Answer | None:
    """The host to go to, or None.

    Of two primaries the one of the higher timeline: it was promoted, and the other one does not know yet. Of equals the current
    one, then the first.
    """
    fitting = [each for each in answers if not each.error and _fits(each, role)]
    if not fitting:
        return None
    return max(fitting, key=lambda each: (not each.is_standby, each.timeline, each.host == current))


def _fits(answer: Answer, role: Role) -> bool:
    return role is Role.ANY or answer.is_standby == (role is Role.STANDBY)
