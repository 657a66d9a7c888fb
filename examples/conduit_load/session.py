"""What all that people do has in common: a request is sent and recorded, with what its answer shows."""

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from conduit_load.final import FinalState
from conduit_load.http1 import Client, NoAnswer
from conduit_load.memory import Person, World
from conduit_load.sight import Sight, Wrong
from ramet.testing.history import Value


class Reply(NamedTuple):
    status: int
    value: Any
    """None where there was no body."""


Show = Callable[[Reply, Sight], None]
"""Tells what a reply shows. Raises Wrong, or LookupError or TypeError where it has not the form that it should have."""


def show_nothing(reply: Reply, sight: Sight) -> None:
    """For answers that only acknowledge."""


class Session:
    """What one person does next.

    due_s: when the next request was to begin, on the history's clock; None for now.
    final: where what is seen belongs if it is the final state, which is not judged as a read; else None.
    """

    def __init__(
        self,
        world: World,
        client: Client,
        chance: random.Random,
        *,
        due_s: float | None = None,
        final: FinalState | None = None,
    ) -> None:
        self.world = world
        self.chance = chance
        self._client = client
        self._due_s = due_s
        self._final = final

    async def send(
        self,
        who: Person | None,
        method: str,
        path: str,
        show: Show,
        body: Any = None,
        *,
        expected: Iterable[int] = (200,),
        sets: Mapping[str, Value] | None = None,
        adds: Mapping[str, str | Iterable[str]] | None = None,
        removes: Mapping[str, str | Iterable[str]] | None = None,
    ) -> Reply | None:
        """The reply; None where it is not one of those expected, which is recorded as a failure.

        sets, adds, removes: what is asked for. An expected 404 says that none of it was done.
        """
        payload = None if body is None else msgspec.json.encode(body)
        due_s, self._due_s = self._due_s, None
        name = who.name if who else None
        request = self.world.history.request(name, f"{method} {path}", sets=sets, adds=adds, removes=removes, due_s=due_s)
        with request:
            try:
                answer = await self._client.send(method, f"/api{path}", payload, who.token if who else None)
            except NoAnswer as error:
                request.fail(str(error), may_have_run=error.may_have_run)
                return None
            request.answered()
            if answer.status not in expected:
                told = answer.body[:200].decode(errors="replace")
                request.fail(told, status=answer.status, may_have_run=answer.status >= 500)
                return None
            if answer.status == 404:
                request.did_nothing()
            try:
                reply = Reply(answer.status, msgspec.json.decode(answer.body) if answer.body else None)
                sight = Sight(self.world, who)
                show(reply, sight)
                (self._final or request).saw(sight.reads())
            except (Wrong, LookupError, TypeError, AttributeError, msgspec.DecodeError) as error:
                request.fail(f"an answer that cannot be: {type(error).__name__}: {error}", status=answer.status)
                return None
            return reply
