"""Replies that get lost on their way: the callee has run, the caller does not hear of it, and the connection is gone.

Which ones is decided by a seed, the test, the call and how many replies of it there were before: not by the order in which tests
and calls happen to run, so the same seed loses the same replies again. Only replies of calls that may be repeated pass a door
that loses some, so whoever calls gets an answer in the end: the one of the second run.
"""

import asyncio
import random
from collections import Counter

from ramet.calls import failures
from ramet.calls.hosting import Work
from ramet.calls.server import CallServer
from ramet.calls.server_connection import ServerConnection
from ramet.testing.errors import Posed
from ramet.wire.frames import HEADER, Kind

SHARE = 0.1
"""Of replies. A lost one costs the time to connect again, about 50 ms."""
_REPLIES = frozenset(map(int, (Kind.RESULT, Kind.FAILURE)))


class Losses:
    """test: its node id."""

    def __init__(self, seed: int, test: str) -> None:
        self.seed = seed
        self.lost: list[str] = []
        """`call #n` for each, n being its reply's number."""
        self._test = test
        self._replies: Counter[str] = Counter()
        self._was_lost: set[str] = set()
        """Calls whose last reply was lost. The next one is not: an answer has to come within three attempts."""

    def __repr__(self) -> str:
        return f"<Losses of seed {self.seed}: {', '.join(self.lost) or 'none yet'}>"

    def is_next_lost(self, call: str) -> bool:
        """Count a reply of this call, and decide whether it gets lost."""
        self._replies[call] += 1
        number = self._replies[call]
        chance = random.Random(f"{self.seed} {self._test} {call} {number}").random()  # noqa: S311  (repeats a test, guards nothing)
        if chance >= SHARE or call in self._was_lost:
            self._was_lost.discard(call)
            return False
        self._was_lost.add(call)
        self.lost.append(f"{call} #{number}")
        return True


class StagedConnection(ServerConnection):
    """A callee's end of a connection in a test. losses: None for a door at which nothing gets lost."""

    def __init__(self, server: CallServer, losses: Losses | None) -> None:
        super().__init__(server, outside_allowed=True)
        self._losses = losses

    def write(self, data: bytes) -> None:
        kind, number = _kind_and_number(data)
        work = self._calls.get(number) if kind in _REPLIES else None
        if self._losses is not None and work is not None and self._losses.is_next_lost(work.hosted.contract.qualified):
            # In the next turn: the call that has just ended must not be cancelled by it.
            asyncio.get_running_loop().call_soon(self.close)
            return
        super().write(data)

    def _answer_error(self, raised: Exception, work: Work) -> None:
        if isinstance(raised, Posed):
            self._fail(work.number, failures.refusal_body(raised.error))
        else:
            super()._answer_error(raised, work)


def _kind_and_number(data: bytes) -> tuple[int, int]:
    _, kind, _, _, number = HEADER.unpack_from(data)
    return kind, number
