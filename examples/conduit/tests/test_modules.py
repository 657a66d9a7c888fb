"""How the modules work with each other: in one process, over the wire and across processes, by Ramet's pytest plugin.

The other files ask the API of a whole fleet; these call the modules themselves, and put one of them out of order.
"""

from typing import Any

import pytest
from conduit.accounts import api as accounts
from conduit.articles import api as articles
from conduit.failures import NotFound
from conduit.feed import api as feed
from conduit.social import api as social

from ramet import RemoteError, Unavailable

pytestmark = pytest.mark.ramet

DOWN = Unavailable("switched off for the test", may_have_run=False)


async def sign_up(name: str) -> str:
    """What the new user's requests are authorized by."""
    reply = await accounts.register(accounts.NewUser(name, f"{name}@example.org", "correct horse"))
    return f"Token {reply.user.token}"


@pytest.fixture
async def writer() -> str:
    return await sign_up("writer")


@pytest.fixture
async def slug(writer: str) -> str:
    article = articles.NewArticle("Aspens", "About them", "All of it", ["trees"])
    return (await articles.publish(article, writer)).article.slug


async def test_a_follower_s_feed_has_the_article_with_what_all_modules_know(slug: str, ramet_http: Any) -> None:
    """One request, four modules."""
    reader = await sign_up("reader")
    await social.follow("writer", reader)
    await articles.favorite_article(slug, reader)
    answer = await ramet_http.get("/api/articles/feed", headers={"Authorization": reader})
    assert (answer.status, answer.json["articlesCount"]) == (200, 1)
    entry = answer.json["articles"][0]
    assert (entry["slug"], entry["favorited"], entry["favoritesCount"]) == (slug, True, 1)
    assert entry["author"] == {"username": "writer", "bio": None, "image": None, "following": True}


async def test_an_article_is_deleted_though_its_favorites_cannot_be(slug: str, writer: str, ramet_fake: Any) -> None:
    """They are left behind unseen, for the schedule to find, which is better than an article that cannot be deleted."""
    asked = await ramet_fake(social.forget_articles, DOWN)
    await articles.delete_article(slug, writer)
    with pytest.raises(NotFound):
        await articles.get_article(slug)
    assert asked.calls


@pytest.mark.usefixtures("slug")
async def test_a_list_fails_as_a_whole_where_its_authors_cannot_be_known(ramet_fake: Any) -> None:
    """It says so, and shows no article without an author."""
    await ramet_fake(accounts.persons, DOWN)
    with pytest.raises(RemoteError, match="switched off"):
        await feed.list_articles(feed.Filter())
