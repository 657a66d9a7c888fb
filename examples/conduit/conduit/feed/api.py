"""The face of `feed`."""

import asyncio
from typing import Annotated

import msgspec

from conduit.accounts import api as accounts
from conduit.accounts.api import Authorization
from conduit.articles import api as articles
from conduit.failures import Unauthorized
from conduit.social import api as social
from conduit.social.api import Profile
from ramet import Module, Query, Reply

module = Module("feed", uses=["accounts", "articles", "social"])
db = module.database()

UNSEEN = "x-feed-unseen"
"""Header of a feed's first page: how many of its articles are new since this reader's last look."""

MAX_LIMIT = 100
"""More are not given at once, whoever asks for them."""


class Window(msgspec.Struct, frozen=True):
    """Which of the articles, counted from the newest."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=10**12)] = 20
    offset: Annotated[int, msgspec.Meta(ge=0, le=10**12)] = 0


class Filter(Window, frozen=True):
    """tag: of the article. author, favorited: names of users."""

    tag: str | None = None
    author: str | None = None
    favorited: str | None = None


class Entry(msgspec.Struct, frozen=True, rename="camel"):
    """An article in a list: without its body."""

    slug: str
    title: str
    description: str
    tag_list: tuple[str, ...]
    created_at: str
    updated_at: str
    favorited: bool
    favorites_count: int
    author: Profile


class Entries(msgspec.Struct, frozen=True, rename="camel"):
    """articles_count: of all that match, on all pages."""

    articles: list[Entry]
    articles_count: int


@module.get("/articles", raises=[Unauthorized])
async def list_articles(wanted: Annotated[Filter, Query()], authorization: Authorization = None) -> Entries:
    """The newest articles, by tag, author, or who likes them."""
    reader_id = await accounts.reader_of(authorization)
    author_ids = ids = None
    if wanted.author is not None:
        author = await accounts.person_named(wanted.author)
        author_ids = [author.id] if author else []
    if wanted.favorited is not None:
        fan = await accounts.person_named(wanted.favorited)
        ids = await social.favorites_of(fan.id) if fan else []
    page = await articles.newest(min(wanted.limit, MAX_LIMIT), wanted.offset, wanted.tag, author_ids, ids)
    return await _seen_by(reader_id, page)


@module.get("/articles/feed", raises=[Unauthorized])
async def get_feed(window: Annotated[Window, Query()], authorization: Authorization = None) -> Reply[Entries]:
    """The newest articles by those whom the user follows."""
    reader_id = await accounts.user_of(authorization)
    authors = await social.followed_by(reader_id)
    page = await articles.newest(min(window.limit, MAX_LIMIT), window.offset, None, authors)
    entries = await _seen_by(reader_id, page)
    if window.offset:
        return Reply(entries)
    return Reply(entries, headers={UNSEEN: str(await _look(reader_id, page.total))})


async def _look(reader_id: int, articles: int) -> int:
    """Note how many articles the reader's feed has now. Returns how many more that is than at the last look."""
    # What RETURNING selects is as it was before this statement.
    before = await db.write().fetchval(
        "INSERT INTO readings (reader_id, articles) VALUES ($1, $2)"
        " ON CONFLICT (reader_id) DO UPDATE SET articles = EXCLUDED.articles, seen_at = now()"
        " RETURNING (SELECT articles FROM readings WHERE reader_id = $1)",
        reader_id,
        articles,
    )
    return max(articles - (before or 0), 0)


async def _seen_by(reader_id: int | None, page: articles.Page) -> Entries:
    found = page.articles
    if not found:
        return Entries([], page.total)
    author_ids = [each.author_id for each in found]
    persons, opinions = await asyncio.gather(
        accounts.persons(list(set(author_ids))), social.opinions(reader_id, [each.id for each in found], author_ids)
    )
    entries = [
        Entry(
            each.slug,
            each.title,
            each.description,
            each.tag_list,
            each.created_at,
            each.updated_at,
            opinion.favorited,
            opinion.favorites,
            Profile.of(persons[each.author_id], following=opinion.following),
        )
        for each, opinion in zip(found, opinions, strict=True)
    ]
    return Entries(entries, page.total)
