"""The load itself: people who act when they are due, and an audit in which everyone looks at all that they know."""

import asyncio
import random
import time
from collections.abc import Awaitable, Iterable
from urllib.parse import urlsplit

from conduit_load import habits, reads, writes
from conduit_load.http1 import Client
from conduit_load.memory import Person, World
from conduit_load.session import Session
from conduit_load.tally import Tally

AT_ONCE = 8
"""Requests under way in what is not timed."""


class Load:
    """On the API at `url`. world: what is known of it; what people do is added."""

    def __init__(self, url: str, world: World, *, seed: int) -> None:
        parts = urlsplit(url)
        self.world = world
        self._client = Client(parts.hostname or "127.0.0.1", parts.port or 80)
        self._chance = random.Random(seed)  # noqa: S311  (guards nothing)

    def close(self) -> None:
        self._client.close()

    def _session(self, tally: Tally, due: float | None = None) -> Session:
        return Session(self.world, self._client, tally, self._chance, due)

    async def settle(self, tally: Tally, people: int) -> None:
        """Let people register, publish and follow each other, so that there is something to read."""
        await _all(writes.register(self._session(tally)) for _ in range(people))
        everyone = list(self.world.people)
        await _all(writes.publish(self._session(tally), who) for who in everyone for _ in range(2))
        pairs = dict.fromkeys((who, self._chance.choice(everyone)) for who in everyone for _ in range(3))
        await _all(writes.follow(self._session(tally), *pair, wanted=True) for pair in pairs if pair[0] is not pair[1])

    async def run(self, tally: Tally, *, rate: float, seconds: float) -> float:
        """Let `rate` people a second begin to do something, at random times. Returns how long it took until all was answered.

        One person does one thing at a time. Who is due while nobody is free waits, and that is in their latency.
        """
        free: asyncio.Queue[Person] = asyncio.Queue()
        for person in self.world.people:
            free.put_nowait(person)
        known = len(self.world.people)

        async def one(due: float) -> None:
            nonlocal known
            who = await free.get()
            try:
                await habits.act(self._session(tally, due), who)
            finally:
                free.put_nowait(who)
                for person in self.world.people[known:]:
                    free.put_nowait(person)
                known = len(self.world.people)

        begin = due = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            while (due := due + self._chance.expovariate(rate)) < begin + seconds:
                await asyncio.sleep(due - time.perf_counter())
                group.create_task(one(due))
        return time.perf_counter() - begin

    async def audit(self, tally: Tally) -> None:
        """Read all that is known, while nobody writes: every article, comment, like and follow."""
        world = self.world
        await _all(self._audit_person(tally, who) for who in world.people)
        await _all(reads.read_article(self._session(tally), article.author, article) for article in world.articles)
        await _all(reads.read_comments(self._session(tally), None, article) for article in world.articles if article.comments)
        await _all(self._audit_likes(tally))
        await reads.read_tags(self._session(tally), None)

    async def _audit_person(self, tally: Tally, who: Person) -> None:
        session = self._session(tally)
        await reads.read_self(session, who)
        await reads.read_list_of(session, who, who)
        await reads.read_likes(session, who)
        await reads.read_feed(session, who)

    def _audit_likes(self, tally: Tally) -> Iterable[Awaitable[None]]:
        """Each like is counted once."""
        for article in self.world.articles:
            likes = [person.likes[article] for person in self.world.people if article in person.likes]
            if article.is_usable and all(like.is_sure for like in likes):
                yield self._audit_count(tally, article.slug, sum(like.last for like in likes))

    async def _audit_count(self, tally: Tally, slug: str, expected: int) -> None:
        status, value = await self._session(tally).send(None, "GET", f"/articles/{slug}")
        if status and (count := value["article"]["favoritesCount"]) != expected:
            tally.note("lost" if count < expected else "twice", f"{count} likes of {slug} in place of {expected}")


async def _all(work: Iterable[Awaitable[object]]) -> None:
    """A few at a time."""
    waiting = iter(work)

    async def one_after_the_other() -> None:
        for each in waiting:
            await each

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(one_after_the_other())
