"""A look at all that there should be, while nobody writes: the final state, which the history is judged against."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator

from conduit_load import reads
from conduit_load.final import FinalState
from conduit_load.memory import PEOPLE_KEY, TAGS_KEY, World
from conduit_load.session import Session
from ramet.testing.history import Seen

AT_ONCE = 8
"""Requests under way in what is not timed."""


async def audit(world: World, session: Callable[[FinalState | None], Session]) -> dict[str, Seen]:
    """What everybody sees of their own, and all of each article.

    session: makes one, whose answers belong to the final state it is given, or are judged as reads. What cannot be looked at,
    such as the likes of what was deleted, is left open.
    """
    final = FinalState()
    await in_turn(_looks(world, lambda: session(final)))
    # A list of what somebody likes or follows is made of several answers of the system, and is judged as a read.
    await in_turn(reads.read_likes(session(None), who) for who in world.people)
    await in_turn(reads.read_feed(session(None), who, limit=reads.MOST) for who in world.people)
    return final.over(dict.fromkeys(_keys(world)))


def _looks(world: World, session: Callable[[], Session]) -> Iterator[Awaitable[None]]:
    for who in world.people:
        yield reads.read_self(session(), who)
        yield reads.read_list_of(session(), who, who)
        for other in who.follows:
            yield reads.read_profile(session(), who, other)
    for article in world.articles:
        if article.is_usable:
            fans = [who for who in world.people if article in who.likes]
            for who in (article.author, *fans):
                yield reads.read_article(session(), who, article)
            yield reads.read_comments(session(), None, article)
    yield reads.read_tags(session(), None)


def _keys(world: World) -> Iterator[str]:
    yield from (PEOPLE_KEY, TAGS_KEY)
    for who in world.people:
        yield from (who.bio_key, who.articles_key, who.follows_key)
    for article in world.by_description.values():
        yield from (article.title_key, article.body_key, article.likes_key, article.comments_key)


async def in_turn(work: Iterable[Awaitable[object]]) -> None:
    """A few at a time."""
    waiting = iter(work)

    async def one_after_the_other() -> None:
        for each in waiting:
            await each

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(one_after_the_other())
