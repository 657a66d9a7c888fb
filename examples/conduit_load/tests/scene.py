"""A small world, and servers that say what a test lets them say, true or not."""

import asyncio
import json
import random
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from conduit_load.audit import audit
from conduit_load.http1 import Answer
from conduit_load.memory import Article, Comment, Known, Person, World
from conduit_load.session import Session
from conduit_load.sight import PARAGRAPH

from ramet.testing.history import Promise, check


class Answers:
    """One after the other; an exception is raised, a function called before it answers."""

    def __init__(self, answers: Iterable[Any]) -> None:
        self._answers = list(answers)

    async def send(self, *_: Any) -> Answer:
        answer = self._answers.pop(0)
        if callable(answer):
            answer = answer()
        if isinstance(answer, Exception):
            raise answer
        status, value = answer
        return Answer(status, b"" if value is None else json.dumps(value).encode())


class ByPath:
    """The same path is always answered in the same way. A function gets the token of who asks: the name."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self._answers = answers

    async def send(self, method: str, path: str, _: bytes | None, token: str | None) -> Answer:
        answer = self._answers[f"{method} {path}"]
        status, value = answer(token) if callable(answer) else answer
        return Answer(status, json.dumps(value).encode())


class Scene:
    """Ann, and Bob's article, which both were acknowledged."""

    def __init__(self) -> None:
        self.world = World("w")
        self.ann, self.bob = (Person(name, f"{name}@example.org", "secret", token=name) for name in ("ann", "bob"))
        for person in (self.ann, self.bob):
            self.world.add(person)
            with self.world.history.request(None, "POST /users", adds={"people": person.name}):
                pass
        self.article = article = Article(self.bob, "Title", ["topic-1"], slug="title", exists=Known(is_so=True))
        self.world.planned(article)
        self.world.published(article)
        sets = {article.title_key: "Title", article.body_key: "version 1"}
        adds = {self.bob.articles_key: article.description, "tags": article.tags}
        with self.world.history.request("bob", "POST /articles", sets=sets, adds=adds):
            pass

    def commented(self, body: str) -> Comment:
        """By Ann, acknowledged."""
        comment = Comment(self.article, self.ann, body, 1, Known(is_so=True))
        self.article.comments.append(comment)
        with self.world.history.request("ann", "POST comment", adds={self.article.comments_key: body}):
            pass
        return comment

    def follows(self) -> None:
        """Ann follows Bob, acknowledged."""
        self.ann.follows[self.bob] = Known(is_so=True)
        with self.world.history.request("ann", "POST follow", adds={self.ann.follows_key: "bob"}):
            pass

    def seen(self, **changes: Any) -> dict[str, Any]:
        """The article as it is, but for the changes."""
        author = {"username": "bob", "bio": None, "image": None, "following": False, **changes.pop("author", {})}
        return {
            "slug": "title",
            "title": "Title",
            "description": "About Title",
            "body": f"{PARAGRAPH}\n{changes.pop('version', 'version 1')}",
            "tagList": ["topic-1"],
            "createdAt": "2026-01-01T00:00:00.000Z",
            "favorited": False,
            "favoritesCount": 0,
            "author": author,
            **changes,
        }

    def listed(self, *entries: Any, count: int | None = None) -> tuple[int, Any]:
        """The answer to a list."""
        return 200, {"articles": list(entries), "articlesCount": len(entries) if count is None else count}

    def found(self, action: Callable[[Session], Coroutine[Any, Any, Any]], *answers: Any) -> dict[str, int]:
        """What the checker says of these answers; nothing else was wrong."""
        before = self.counts()
        session = Session(self.world, Answers(answers), random.Random(1))  # type: ignore[arg-type]  # noqa: S311
        asyncio.run(action(session))
        return {kind: count - before.get(kind, 0) for kind, count in self.counts().items() if count != before.get(kind, 0)}

    def counts(self, final: Any = None) -> dict[str, int]:
        counts = check(self.world.history, final, promise=Promise.REAL_TIME).counts
        return {kind.value: count for kind, count in counts.items() if count}

    def audited(self, changes: dict[str, Any], **article_changes: Any) -> dict[str, int]:
        """What is found where Conduit answers the audit with what is so, but for these: `METHOD path` -> (status, value),

        and what is other with the article wherever it is shown.
        """
        article = self.seen(**article_changes)
        author = {"username": "bob", "bio": None, "following": False}
        answers: dict[str, Any] = {
            "GET /api/user": lambda name: (200, {"user": {"username": name, "bio": None}}),
            "GET /api/articles?author=ann&limit=100": self.listed(),
            "GET /api/articles?author=bob&limit=100": self.listed(article),
            "GET /api/articles/title": (200, {"article": article}),
            "GET /api/articles/title/comments": (200, {"comments": []}),
            "GET /api/profiles/bob": (200, {"profile": author}),
            "GET /api/tags": (200, {"tags": ["topic-1"]}),
        }
        for name in ("ann", "bob"):
            answers[f"GET /api/articles?favorited={name}&limit=100"] = self.listed()
        answers["GET /api/articles/feed?limit=100"] = self.listed()
        assert set(changes) <= set(answers)
        server: Any = ByPath(answers | changes)
        chance = random.Random(1)  # noqa: S311
        state = asyncio.run(audit(self.world, lambda final: Session(self.world, server, chance, final=final)))
        return self.counts(state)
