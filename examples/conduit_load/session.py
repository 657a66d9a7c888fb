"""What all that people do has in common: a request is sent, counted, timed, and its answer compared with what is known."""

import json
import random
import time
from collections.abc import Iterable
from typing import Any

from conduit_load.http1 import Client, NoAnswer
from conduit_load.memory import Article, Marks, Person, World
from conduit_load.tally import Tally


class Session:
    """due: when the next request was to begin, on the clock of time.perf_counter; None for now."""

    def __init__(self, world: World, client: Client, tally: Tally, chance: random.Random, due: float | None = None) -> None:
        self.world = world
        self.tally = tally
        self.chance = chance
        self._client = client
        self._due = due

    async def send(
        self, who: Person | None, method: str, path: str, body: Any = None, *, expected: Iterable[int] = (200,)
    ) -> tuple[int, Any]:
        """(status, the value answered). Status 0 for any that was not expected, which is counted as a failure."""
        payload = None if body is None else json.dumps(body).encode()
        due, self._due = self._due, None
        begin = time.perf_counter() if due is None else due
        self.tally.requests += 1
        try:
            answer = await self._client.send(method, f"/api{path}", payload, who.token if who else None)
        except NoAnswer as error:
            self.tally.note("failed", f"{method} {path}: {error}")
            return 0, None
        finally:
            self.tally.answered(time.perf_counter() - begin)
        if answer.status not in expected:
            self.tally.note("failed", f"{method} {path}: {answer.status} {answer.body[:200]!r}")
            return 0, None
        try:
            return answer.status, json.loads(answer.body) if answer.body else None
        except ValueError:
            self.tally.note("failed", f"{method} {path}: {answer.status} and no JSON, {answer.body[:200]!r}")
            return 0, None

    def check(self, seen: Any, possible: list[Any], what: str) -> None:
        if seen not in possible:
            self.tally.note("stale", f"{what}: {seen!r} in place of {possible!r}")

    def check_profile(self, who: Person | None, other: Person, profile: Any, marks: Marks) -> None:
        self.check(profile["username"], [other.name], "the name in a profile")
        self.check(profile["bio"], marks.possible(other.bio), f"bio of {other.name}")
        following = marks.possible(who.follow(other)) if who else [False]
        self.check(profile["following"], following, f"{who} follows {other.name}")

    def check_article(self, who: Person | None, article: Article, seen: Any, marks: Marks) -> None:
        """But for its body, which lists do not have."""
        self.check(seen["description"], [article.description], f"description of {article.slug}")
        self.check(seen["tagList"], [article.tags], f"tags of {article.slug}")
        favorited = marks.possible(who.like(article)) if who else [False]
        self.check(seen["favorited"], favorited, f"{who} likes {article.slug}")
        if seen["favorited"] and seen["favoritesCount"] < 1:
            self.tally.note("lost", f"the like of {who} for {article.slug} is not counted")
        self.check_profile(who, article.author, seen["author"], marks)

    def check_missing(self, article: Article, slug: str, marks: Marks) -> None:
        """A request for the article at `slug` found none."""
        if article.slug == slug and not article.is_moving and all(marks.possible(article.exists)):
            self.tally.note("lost", f"article {slug}")
