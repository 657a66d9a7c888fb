"""What is wrong is found, and only that: each test lets a server say something, true or not."""

from typing import Any

import pytest
from conduit_load import reads, writes
from conduit_load.http1 import NoAnswer
from conduit_load.sight import PARAGRAPH
from conduit_load.tests.scene import Scene


@pytest.fixture
def scene() -> Scene:
    return Scene()


# Reads


def test_the_truth_is_not_objected_to(scene: Scene) -> None:
    """Else nobody would look at what is."""
    assert scene.found(lambda s: reads.read_article(s, scene.ann, scene.article), (200, {"article": scene.seen()})) == {}
    assert scene.found(lambda s: reads.read_list_of(s, scene.ann, scene.bob), scene.listed(scene.seen())) == {}
    assert scene.found(lambda s: reads.read_newest(s, None), scene.listed(scene.seen(), count=7)) == {}


def test_an_acknowledged_article_that_is_not_shown_is_stale(scene: Scene) -> None:
    """Whether it is lost is known when nobody writes any more."""
    assert scene.found(lambda s: reads.read_article(s, scene.ann, scene.article), (404, {})) == {"stale": 1}
    assert scene.found(lambda s: reads.read_list_of(s, None, scene.bob), scene.listed()) == {"stale": 1}


def test_an_article_that_is_there_twice_is_noticed(scene: Scene) -> None:
    """Under two slugs, as a command that ran twice would leave it."""
    listed = scene.listed(scene.seen(), scene.seen(slug="title-2"))
    assert scene.found(lambda s: reads.read_list_of(s, None, scene.bob), listed) == {"twice": 1}


def test_the_second_of_two_is_not_held_against_the_first(scene: Scene) -> None:
    """It has the old title and no likes for good, which is no staleness of the one that was renamed and liked."""
    both = scene.listed(scene.seen(), scene.seen(slug="title-2"))
    assert scene.found(lambda s: reads.read_list_of(s, None, scene.bob), both) == {"twice": 1}
    renamed = scene.seen(title="Once more on w1", slug="once-more")
    rename = [lambda s: writes.rename(s, scene.bob, scene.article), (200, {"article": renamed}), (200, {"article": renamed})]
    assert scene.found(*rename) == {}
    listed = scene.listed(renamed, scene.seen(slug="title-2"))
    assert scene.found(lambda s: reads.read_list_of(s, None, scene.bob), listed) == {}  # told already, and nothing else


def test_under_a_slug_that_it_had_the_old_title_is_stale(scene: Scene) -> None:
    """A cache shows it as it was; that is no second article."""
    renamed = scene.seen(title="Once more on w1", slug="once-more")
    rename = [lambda s: writes.rename(s, scene.bob, scene.article), (200, {"article": renamed}), (200, {"article": renamed})]
    assert scene.found(*rename) == {}
    assert scene.found(lambda s: reads.read_list_of(s, None, scene.bob), scene.listed(scene.seen())) == {"stale": 1}


def test_an_article_that_nobody_published_is_noticed(scene: Scene) -> None:
    """By an author of this world; others may have written before."""
    listed = scene.listed(scene.seen(), scene.seen(description="?"), scene.seen(description="?", author={"username": "carl"}))
    assert scene.found(lambda s: reads.read_newest(s, None), listed) == {"unexpected": 1}


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"version": "older"}, "unexpected"),
        ({"title": "?"}, "unexpected"),
        ({"author": {"bio": "?"}}, "unexpected"),
        ({"favorited": True, "favoritesCount": 1}, "unexpected"),
        ({"favoritesCount": 1}, "twice"),
        ({"author": {"following": True}}, "unexpected"),
        ({"tagList": []}, "failed"),
        ({"description": "About another"}, "failed"),
        ({"body": "not the paragraph"}, "failed"),
        ({"author": {"username": "ann"}}, "failed"),
        ({"author": None}, "failed"),
    ],
)
def test_what_nobody_has_written_is_noticed(scene: Scene, wrong: dict[str, Any], expected: str) -> None:
    """What cannot be at all is no good answer; what might have been written is for the history to judge."""
    seen = scene.seen(**wrong) if wrong != {"author": None} else scene.seen() | wrong
    assert expected in scene.found(lambda s: reads.read_article(s, scene.ann, scene.article), (200, {"article": seen}))


@pytest.mark.parametrize("wrong", [{"favorited": True}, {"author": {"following": True}}])
def test_who_has_not_signed_in_likes_and_follows_nobody(scene: Scene, wrong: dict[str, Any]) -> None:
    """Such an answer was meant for somebody else."""
    answer = (200, {"article": scene.seen(**wrong)})
    assert scene.found(lambda s: reads.read_article(s, None, scene.article), answer) == {"failed": 1}


def test_a_list_that_is_not_the_newest_first_is_noticed(scene: Scene) -> None:
    """No state of Conduit gives it."""
    entries = [scene.seen(createdAt=f"2026-01-0{day}T00:00:00.000Z") for day in (1, 2)]
    assert scene.found(lambda s: reads.read_newest(s, None), scene.listed(*entries)) == {"failed": 1}


def test_a_list_of_a_topic_has_nothing_else(scene: Scene) -> None:
    """Nor does a list of an author."""
    assert scene.found(lambda s: reads.read_topic(s, None, "topic-2"), scene.listed(scene.seen())) == {"failed": 1}
    assert scene.found(lambda s: reads.read_list_of(s, None, scene.ann), scene.listed(scene.seen())) == {"failed": 1}


@pytest.mark.parametrize(
    ("bodies", "expected"), [([], {"stale": 1}), (["b"], {}), (["b", "b"], {"twice": 1}), (["b", "c"], {"unexpected": 1})]
)
def test_comments_are_there_once(scene: Scene, bodies: list[str], expected: dict[str, int]) -> None:
    """All of them are shown."""
    scene.commented("b")
    answer = (200, {"comments": [{"body": body} for body in bodies]})
    assert scene.found(lambda s: reads.read_comments(s, None, scene.article), answer) == expected


def test_the_feed_has_the_articles_of_whom_one_follows(scene: Scene) -> None:
    """All, where it says that these are all; of others none."""
    scene.follows()
    assert scene.found(lambda s: reads.read_feed(s, scene.ann), scene.listed(scene.seen(author={"following": True}))) == {}
    assert scene.found(lambda s: reads.read_feed(s, scene.ann), scene.listed(count=1)) == {}
    assert scene.found(lambda s: reads.read_feed(s, scene.ann), scene.listed()) == {"stale": 1}
    assert scene.found(lambda s: reads.read_feed(s, scene.bob), scene.listed(scene.seen())) == {"unexpected": 1}


# Writes


def test_after_an_acknowledged_write_the_value_before_it_is_stale(scene: Scene) -> None:
    """To everybody: Conduit reads from primaries."""

    def rewritten() -> Any:
        return 200, {"article": scene.seen(version="version w1")}

    action = [lambda s: writes.rewrite(s, scene.bob, scene.article), rewritten]
    assert scene.found(*action, (200, {"article": scene.seen(version="version 1")})) == {"stale": 1}


def test_after_a_write_without_an_answer_both_values_may_be_seen(scene: Scene) -> None:
    """It may have run, or run later."""
    assert scene.found(lambda s: writes.rewrite(s, scene.bob, scene.article), NoAnswer("?")) == {"failed": 1}
    for version in ("version 1", "version w1"):
        answer = (200, {"article": scene.seen(version=version)})
        assert scene.found(lambda s: reads.read_article(s, None, scene.article), answer) == {}


def test_a_write_that_was_not_sent_did_not_run(scene: Scene) -> None:
    """Where it is seen all the same, something is wrong."""
    unsent = NoAnswer("no connection", may_have_run=False)
    assert scene.found(lambda s: writes.rewrite(s, scene.bob, scene.article), unsent) == {"failed": 1}
    answer = (200, {"article": scene.seen(version="version w1")})
    assert scene.found(lambda s: reads.read_article(s, None, scene.article), answer) == {"unexpected": 1}


def test_an_article_whose_publication_was_not_answered_may_be_there_or_not(scene: Scene) -> None:
    """Once; and the one that was answered is there too."""
    assert scene.found(lambda s: writes.publish(s, scene.bob), (503, {})) == {"failed": 1}
    (other,) = [article for article in scene.bob.articles if article is not scene.article]
    new = scene.seen(title=other.title, description=other.description, tagList=other.tags)
    for entries in ([scene.seen()], [new, scene.seen()]):
        assert scene.found(lambda s: reads.read_list_of(s, None, scene.bob), scene.listed(*entries)) == {}
    assert scene.found(lambda s: reads.read_list_of(s, None, scene.bob), scene.listed(new, new, scene.seen())) == {"twice": 1}


def test_a_deleted_article_that_is_still_there_is_stale(scene: Scene) -> None:
    """Its deletion was acknowledged."""
    found = scene.found(lambda s: writes.delete(s, scene.bob, scene.article), (204, None), (200, {"article": scene.seen()}))
    assert found == {"stale": 1}


def test_a_404_while_the_slug_changes_says_nothing(scene: Scene) -> None:
    """The article is somewhere else."""

    def moves() -> Any:
        scene.world.moved(scene.article, "elsewhere")
        return 404, {}

    assert scene.found(lambda s: reads.read_article(s, scene.ann, scene.article), moves) == {}


def test_likes_are_not_looked_at_where_the_article_is_being_deleted(scene: Scene) -> None:
    """They go with it, though an answer that was begun before still has the article."""

    def deleted() -> Any:
        scene.article.exists.ask(False)
        return 200, {"article": scene.seen(favorited=False)}

    liked = (200, {"article": scene.seen(favorited=True, favoritesCount=1)})
    assert scene.found(lambda s: writes.like(s, scene.ann, scene.article, wanted=True), liked, liked) == {}
    assert scene.found(lambda s: reads.read_article(s, scene.ann, scene.article), deleted) == {}


def test_a_like_of_what_is_deleted_meanwhile_is_refused_and_did_nothing(scene: Scene) -> None:
    """That is an answer, and no failure."""
    scene.article.exists.ask(False)
    with scene.world.history.request("bob", "DELETE", removes={scene.bob.articles_key: scene.article.description}):
        action = lambda s: writes.like(s, scene.ann, scene.article, wanted=True)  # noqa: E731
        assert scene.found(action, (404, {})) == {}
    assert scene.ann.likes[scene.article].is_so is False


@pytest.mark.parametrize("answer", [NoAnswer("closed"), (500, {}), (503, {}), (401, {}), (422, {}), (200, None), (200, [])])
def test_what_is_no_good_answer_has_failed(scene: Scene, answer: Any) -> None:
    """Whatever is wrong with it."""
    assert scene.found(lambda s: reads.read_self(s, scene.ann), answer) == {"failed": 1}


def test_an_answer_to_a_write_that_shows_another_value_has_failed(scene: Scene) -> None:
    """Its client cannot know what is there now."""
    older = (200, {"article": scene.seen()})
    assert scene.found(lambda s: writes.rewrite(s, scene.bob, scene.article), older) == {"failed": 1}
    assert scene.found(lambda s: writes.like(s, scene.ann, scene.article, wanted=True), older) == {"failed": 1}


# The audit


def test_an_audit_of_what_is_so_finds_nothing(scene: Scene) -> None:
    """And looks at every key."""
    assert scene.audited({}) == {}


PROFILE = {"username": "bob", "bio": None}
SO = {
    "GET /api/articles/title/comments": (200, {"comments": [{"body": "b"}]}),
    "GET /api/profiles/bob": (200, {"profile": {**PROFILE, "following": True}}),
    "GET /api/articles/feed?limit=100": (200, {"articles": [], "articlesCount": 1}),
}
"""With a comment, and a follower."""


@pytest.mark.parametrize(
    "lost",
    [
        {
            "GET /api/articles?author=bob&limit=100": (200, {"articles": [], "articlesCount": 0}),
            "GET /api/articles/title": (404, {}),
        },
        {"GET /api/articles/title/comments": (200, {"comments": []})},
        {"GET /api/profiles/bob": (200, {"profile": {**PROFILE, "following": False}})},
        {"GET /api/tags": (200, {"tags": []})},
    ],
    ids=["article", "comment", "follow", "tag"],
)
def test_what_was_acknowledged_and_is_not_there_in_the_end_is_lost(scene: Scene, lost: dict[str, Any]) -> None:
    """One request each."""
    scene.commented("b")
    scene.follows()
    assert scene.audited(SO) == {}
    assert scene.audited(SO | lost) == {"lost": 1}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({"favoritesCount": 1}, {"twice": 1}), ({"version": "older"}, {"unexpected": 1}), ({"title": "older"}, {"unexpected": 1})],
)
def test_what_is_there_in_the_end_and_nobody_asked_for_is_noticed(
    scene: Scene, changes: dict[str, Any], expected: dict[str, int]
) -> None:
    """It came from somewhere."""
    assert scene.audited({}, **changes) == expected


def test_an_audit_whose_answers_contradict_each_other_has_failed(scene: Scene) -> None:
    """Nobody writes meanwhile, so one of them is wrong."""
    assert scene.audited({"GET /api/articles/title": (200, {"article": scene.seen(title="older")})}) == {"failed": 1}


def test_what_the_audit_cannot_look_at_is_not_lost(scene: Scene) -> None:
    """It has failed, and that is found."""
    paths = [
        "GET /api/articles?author=bob&limit=100",
        "GET /api/articles/title",
        "GET /api/articles/title/comments",
        "GET /api/tags",
    ]
    found = scene.audited(dict.fromkeys(paths, (503, {})))
    assert found == {"failed": len(paths)}


def test_the_paragraph_of_all_bodies_has_no_line_break() -> None:
    """The version is what comes after the last one."""
    assert "\n" not in PARAGRAPH
