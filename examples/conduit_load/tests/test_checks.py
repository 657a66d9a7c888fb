"""The checker finds what is wrong, and only that: each test lets a server say something, true or not."""

import asyncio
import json
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from conduit_load import reads, writes
from conduit_load.http1 import Answer, NoAnswer
from conduit_load.memory import Article, Comment, Marks, Person, Value, World
from conduit_load.session import Session
from conduit_load.tally import Tally


class Server:
    """Answers with what it is given, one after the other; an exception is raised, a function called before it answers."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    async def send(self, *_: Any) -> Answer:
        answer = self.answers.pop(0)
        if callable(answer):
            answer = answer()
        if isinstance(answer, Exception):
            raise answer
        status, value = answer
        return Answer(status, b"" if value is None else json.dumps(value).encode())


class Scene:
    """Ann, and Bob's article."""

    def __init__(self) -> None:
        self.world = World("w")
        self.ann, self.bob = (Person(name, f"{name}@example.org", "secret") for name in ("ann", "bob"))
        self.world.add(self.ann)
        self.world.add(self.bob)
        self.article = Article(self.bob, "Title", "About it", Value("body"), ["tag"], slug="title")
        self.article.exists.write(True)
        self.article.exists.acknowledge()
        self.bob.articles.append(self.article)
        self.world.published(self.article)

    def seen(self, **changes: Any) -> dict[str, Any]:
        author = {"username": "bob", "bio": None, "image": None, "following": False, **changes.pop("author", {})}
        return {
            "slug": "title",
            "title": "Title",
            "description": "About it",
            "body": "body",
            "tagList": ["tag"],
            "createdAt": "2026-01-01T00:00:00.000Z",
            "favorited": False,
            "favoritesCount": 0,
            "author": author,
            **changes,
        }

    def found(self, action: Callable[[Session], Coroutine[Any, Any, Any]], *answers: Any) -> dict[str, int]:
        """What the checker says of these answers."""
        session = Session(self.world, Server(*answers), Tally(), random.Random(1))  # type: ignore[arg-type]  # noqa: S311
        asyncio.run(action(session))
        return dict(session.tally.found)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_the_truth_is_not_objected_to(scene: Scene) -> None:
    assert scene.found(lambda s: reads.read_article(s, scene.ann, scene.article), (200, {"article": scene.seen()})) == {}
    listed = {"articles": [scene.seen()], "articlesCount": 1}
    assert scene.found(lambda s: reads.read_list_of(s, scene.ann, scene.bob), (200, listed)) == {}


def test_an_acknowledged_article_that_is_not_found_is_lost(scene: Scene) -> None:
    assert scene.found(lambda s: reads.read_article(s, scene.ann, scene.article), (404, {})) == {"lost": 1}
    empty = {"articles": [], "articlesCount": 0}
    assert scene.found(lambda s: reads.read_list_of(s, None, scene.bob), (200, empty)) == {"lost": 1}


def test_an_article_that_is_there_twice_is_noticed(scene: Scene) -> None:
    listed = {"articles": [scene.seen(), scene.seen(slug="title-2")], "articlesCount": 2}
    assert scene.found(lambda s: reads.read_list_of(s, None, scene.bob), (200, listed)) == {"twice": 2}


@pytest.mark.parametrize(
    "wrong",
    [
        {"body": "older"},
        {"favorited": True, "favoritesCount": 1},
        {"author": {"following": True}},
        {"author": {"bio": "?"}},
        {"tagList": []},
    ],
)
def test_what_nobody_has_written_is_stale(scene: Scene, wrong: dict[str, Any]) -> None:
    answer = (200, {"article": scene.seen(**wrong)})
    assert scene.found(lambda s: reads.read_article(s, scene.ann, scene.article), answer) == {"stale": 1}


def test_after_an_acknowledged_write_the_value_before_it_is_stale(scene: Scene) -> None:
    def rewritten() -> Any:
        return 200, {"article": scene.seen(body=scene.article.body.last)}

    found = scene.found(
        lambda s: writes.rewrite(s, scene.bob, scene.article), rewritten, (200, {"article": scene.seen(body="body")})
    )
    assert found == {"stale": 1}


def test_after_a_write_without_an_answer_both_values_may_be_seen(scene: Scene) -> None:
    assert scene.found(lambda s: writes.rewrite(s, scene.bob, scene.article), NoAnswer("?")) == {"failed": 1}
    for body in ("body", scene.article.body.last):
        answer = (200, {"article": scene.seen(body=body)})
        assert scene.found(lambda s: reads.read_article(s, None, scene.article), answer) == {}


def test_a_read_may_see_a_write_that_goes_on_meanwhile(scene: Scene) -> None:
    def meanwhile() -> Any:
        scene.article.body.write("newer")
        return 200, {"article": scene.seen(body="newer")}

    assert scene.found(lambda s: reads.read_article(s, None, scene.article), meanwhile) == {}

    def deleted() -> Any:
        scene.article.exists.write(False)
        return 404, {}

    assert scene.found(lambda s: reads.read_article(s, None, scene.article), deleted) == {}


def test_an_article_whose_publication_was_not_answered_may_be_there_or_not(scene: Scene) -> None:
    assert scene.found(lambda s: writes.publish(s, scene.bob), (503, {})) == {"failed": 1}
    for count in (1, 2):
        listed = {"articles": [], "articlesCount": count}
        assert scene.found(lambda s: reads.read_list_of(s, None, scene.bob), (200, listed)) == {}
    assert scene.found(lambda s: reads.read_list_of(s, None, scene.bob), (200, {"articles": [], "articlesCount": 3})) == {
        "twice": 1
    }


def test_a_deleted_article_that_is_still_there_is_stale(scene: Scene) -> None:
    found = scene.found(lambda s: writes.delete(s, scene.bob, scene.article), (204, None), (200, {"article": scene.seen()}))
    assert found == {"stale": 1}


@pytest.mark.parametrize(("bodies", "expected"), [([], {"lost": 1}), (["b"], {}), (["b", "b"], {"twice": 1})])
def test_comments_are_there_once(scene: Scene, bodies: list[str], expected: dict[str, int]) -> None:
    comment = Comment(scene.article, scene.ann, "b", 1)
    comment.exists.write(True)
    comment.exists.acknowledge()
    scene.article.comments.append(comment)
    answer = (200, {"comments": [{"body": body} for body in bodies]})
    assert scene.found(lambda s: reads.read_comments(s, None, scene.article), answer) == expected


def test_the_feed_counts_the_articles_of_whom_one_follows(scene: Scene) -> None:
    follow = scene.ann.follow(scene.bob)
    follow.write(True)
    follow.acknowledge()
    assert scene.found(lambda s: reads.read_feed(s, scene.ann), (200, {"articles": [], "articlesCount": 0})) == {"lost": 1}
    listed = {"articles": [scene.seen(author={"following": True})], "articlesCount": 1}
    assert scene.found(lambda s: reads.read_feed(s, scene.ann), (200, listed)) == {}
    assert scene.found(lambda s: reads.read_feed(s, scene.bob), (200, listed))["twice"] == 1


@pytest.mark.parametrize("answer", [NoAnswer("closed"), (500, {}), (503, {}), (401, {}), (422, {})])
def test_what_is_no_good_answer_has_failed(scene: Scene, answer: Any) -> None:
    assert scene.found(lambda s: reads.read_self(s, scene.ann), answer) == {"failed": 1}


def test_a_list_that_is_not_the_newest_first_is_noticed(scene: Scene) -> None:
    entries = [scene.seen(slug=f"s{day}", createdAt=f"2026-01-0{day}T00:00:00.000Z") for day in (1, 2)]
    assert scene.found(lambda s: reads.read_newest(s, None), (200, {"articles": entries, "articlesCount": 2})) == {"stale": 1}


def test_bounds_of_a_list() -> None:
    sure, unsure, never = Value(True), Value(False), Value(False)
    unsure.write(True)
    marks = Marks([sure, unsure, never])
    assert marks.bounds([(sure,), (unsure,), (never,), (sure, unsure), (sure, never)]) == (1, 3)


def test_percentiles_are_of_the_timed_part() -> None:
    tally = Tally()
    tally.answered(100.0)
    tally.begin_timing()
    for milliseconds in range(1, 101):
        tally.answered(milliseconds / 1000)
    tally.end_timing(2.0)
    phase = tally.phase("p")
    assert (phase["p50_ms"], phase["p99_ms"], phase["rps"]) == (51.0, 100.0, 50.0)
