"""The face of `articles`."""

import asyncio
import contextlib
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from conduit.accounts import api as accounts
from conduit.accounts.api import Authorization
from conduit.articles import store
from conduit.failures import Forbidden, NotFound, Unauthorized
from conduit.social import api as social
from conduit.social.api import Profile
from ramet import Body, CallError, Module

module = Module("articles", uses=["accounts", "social"])
db = module.database()

Title = Annotated[str, msgspec.Meta(min_length=1, max_length=300, pattern=r"\S")]
Text = Annotated[str, msgspec.Meta(min_length=1, pattern=r"\S")]
Tags = list[Annotated[str, msgspec.Meta(max_length=100)]]
CommentId = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Summary(msgspec.Struct, frozen=True):
    """An article but for its body, as `articles` knows it: nothing of readers."""

    id: int
    slug: str
    title: str
    description: str
    tag_list: tuple[str, ...]
    author_id: int
    created_at: str
    updated_at: str


class Page(msgspec.Struct, frozen=True):
    """total: how many there are on all pages."""

    total: int
    articles: tuple[Summary, ...]


class Article(msgspec.Struct, frozen=True, rename="camel"):
    """An article as a reader sees it."""

    slug: str
    title: str
    description: str
    body: str
    tag_list: tuple[str, ...]
    created_at: str
    updated_at: str
    favorited: bool
    favorites_count: int
    author: Profile


class ArticleReply(msgspec.Struct, frozen=True):
    article: Article


class NewArticle(msgspec.Struct, frozen=True, rename="camel"):
    title: Title
    description: Text
    body: Text
    tag_list: Tags = []


class ArticleUpdate(msgspec.Struct, frozen=True, rename="camel"):
    """What is left out stays as it is."""

    title: Title | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    body: Text | UnsetType = UNSET
    tag_list: Tags | UnsetType = UNSET


class NewComment(msgspec.Struct, frozen=True):
    body: Text


class Comment(msgspec.Struct, frozen=True, rename="camel"):
    id: int
    created_at: str
    updated_at: str
    body: str
    author: Profile


class CommentReply(msgspec.Struct, frozen=True):
    comment: Comment


class CommentsReply(msgspec.Struct, frozen=True):
    comments: list[Comment]


class TagsReply(msgspec.Struct, frozen=True):
    tags: list[str]


# For other modules


@module.expose(idempotent=True)
async def newest(
    limit: int,
    offset: int,
    tag: str | None = None,
    author_ids: list[int] | None = None,
    ids: list[int] | None = None,
) -> Page:
    """Newest first: those with the tag, by one of the authors, and among `ids`; None is any."""
    wanted = [each for each in (tag, author_ids, ids) if each is not None]
    statement = store.page(tag=tag is not None, authors=author_ids is not None, ids=ids is not None)
    rows = await db.read().fetch(statement, limit, offset, *wanted)
    return Page(rows[0][0], tuple(_summary(row, 1) for row in rows if row[1] is not None))


# For clients


@module.post("/articles", status=201, raises=[Unauthorized])
async def publish(article: Annotated[NewArticle, Body(embed=True)], authorization: Authorization = None) -> ArticleReply:
    """Publish an article."""
    author_id = await accounts.user_of(authorization)
    author = await _profile(author_id, author_id)  # before the write: what comes after a write can fail, and leave it behind
    row = await store.insert(db, article.title, article.description, article.body, _tags(article.tag_list), author_id)
    return ArticleReply(_article(row, author, favorited=False, favorites=0))


@module.get("/articles/{slug}", raises=[NotFound, Unauthorized])
async def get_article(slug: str, authorization: Authorization = None) -> ArticleReply:
    """An article, as the reader sees it."""
    reader_id = await accounts.reader_of(authorization)
    return await _seen_by(reader_id, await _get(slug))


@module.put("/articles/{slug}", raises=[NotFound, Unauthorized, Forbidden])
async def update_article(
    slug: str, article: Annotated[ArticleUpdate, Body(embed=True)], authorization: Authorization = None
) -> ArticleReply:
    """Change what is given."""
    user_id = await accounts.user_of(authorization)
    found = _summary(await _get(slug))
    if found.author_id != user_id:
        raise Forbidden("article")
    title = None if article.title in {UNSET, found.title} else article.title
    tags = None if article.tag_list is UNSET else _tags(article.tag_list)
    row = await store.update(db, found.id, user_id, title, article.description or None, article.body or None, tags)
    if row is None:
        raise NotFound("article")
    return await _seen_by(user_id, row)


@module.delete("/articles/{slug}", raises=[NotFound, Unauthorized, Forbidden])
async def delete_article(slug: str, authorization: Authorization = None) -> None:
    """Delete an article, with its comments."""
    user_id = await accounts.user_of(authorization)
    article = _summary(await _get(slug))
    if article.author_id != user_id:
        raise Forbidden("article")
    await db.write().execute(store.DELETE, article.id)
    with contextlib.suppress(CallError):  # what stays is never seen, and `schedules` comes back to it
        await social.forget_articles([article.id])


@module.post("/articles/{slug}/favorite", idempotent=True, raises=[NotFound, Unauthorized])
async def favorite_article(slug: str, authorization: Authorization = None) -> ArticleReply:
    """Like an article."""
    user_id = await accounts.user_of(authorization)
    row = await _get(slug)
    await social.favorite(user_id, row["id"])
    return await _seen_by(user_id, row)


@module.delete("/articles/{slug}/favorite", idempotent=True, raises=[NotFound, Unauthorized])
async def unfavorite_article(slug: str, authorization: Authorization = None) -> ArticleReply:
    """Like an article no more."""
    user_id = await accounts.user_of(authorization)
    row = await _get(slug)
    await social.unfavorite(user_id, row["id"])
    return await _seen_by(user_id, row)


@module.get("/articles/{slug}/comments", raises=[NotFound, Unauthorized])
async def get_comments(slug: str, authorization: Authorization = None) -> CommentsReply:
    """The comments on an article, the oldest first."""
    reader_id = await accounts.reader_of(authorization)
    rows = await db.read().fetch(store.GET_COMMENTS, slug)
    if not rows:
        raise NotFound("article")
    rows = [row for row in rows if row["id"] is not None]
    profiles = await _profiles(reader_id, sorted({row["author_id"] for row in rows}))
    return CommentsReply([_comment(row, profiles[row["author_id"]]) for row in rows])


@module.post("/articles/{slug}/comments", raises=[NotFound, Unauthorized])
async def add_comment(
    slug: str, comment: Annotated[NewComment, Body(embed=True)], authorization: Authorization = None
) -> CommentReply:
    """Comment on an article."""
    user_id = await accounts.user_of(authorization)
    author = await _profile(user_id, user_id)
    row = await store.insert_comment(db, slug, user_id, comment.body)
    if row is None:
        raise NotFound("article")
    return CommentReply(_comment(row, author))


@module.delete("/articles/{slug}/comments/{comment_id}", raises=[NotFound, Unauthorized, Forbidden])
async def delete_comment(slug: str, comment_id: CommentId, authorization: Authorization = None) -> None:
    """Delete a comment."""
    user_id = await accounts.user_of(authorization)
    author_id = await db.write().fetchval(store.DELETE_COMMENT, slug, comment_id, user_id)
    if author_id is None:
        await _get(slug)
        raise NotFound("comment")
    if author_id != user_id:
        raise Forbidden("comment")


@module.get("/tags")
async def get_tags() -> TagsReply:
    """All tags that articles were given, in alphabetical order."""
    return TagsReply([row[0] for row in await db.read().fetch("SELECT name FROM tags ORDER BY name")])


# From rows, and from what other modules know, to what a reader sees


async def _get(slug: str) -> Any:
    row = await db.read().fetchrow(store.GET, slug)
    if row is None:
        raise NotFound("article")
    return row


async def _seen_by(reader_id: int | None, row: Any) -> ArticleReply:
    persons, opinions = await asyncio.gather(
        accounts.persons([row["author_id"]]), social.opinions(reader_id, [row["id"]], [row["author_id"]])
    )
    opinion = opinions[0]
    author = Profile.of(persons[row["author_id"]], following=opinion.following)
    return ArticleReply(_article(row, author, favorited=opinion.favorited, favorites=opinion.favorites))


async def _profiles(reader_id: int | None, ids: list[int]) -> dict[int, Profile]:
    if not ids:
        return {}
    persons, followed = await asyncio.gather(
        accounts.persons(ids), social.following(reader_id, ids) if reader_id is not None else _nobody()
    )
    return {person.id: Profile.of(person, following=person.id in followed) for person in persons.values()}


async def _profile(reader_id: int, user_id: int) -> Profile:
    """Raises Unauthorized: it is asked of who has signed in."""
    profiles = await _profiles(reader_id, [user_id])
    if user_id not in profiles:
        raise Unauthorized("token", "is of a user who is gone")
    return profiles[user_id]


async def _nobody() -> list[int]:
    return []


def _tags(given: list[str]) -> list[str]:
    """In the author's order, each once."""
    return list(dict.fromkeys(tag for each in given if (tag := each.strip())))


def _summary(row: Any, first: int = 0) -> Summary:
    """first: the column at which `store.SUMMARY` begins."""
    slug_id, slug, title, description, tags, author_id, created_at, updated_at = row[first : first + 8]
    return Summary(slug_id, slug, title, description, tuple(tags), author_id, created_at, updated_at)


def _article(row: Any, author: Profile, *, favorited: bool, favorites: int) -> Article:
    _, slug, title, description, tags, _, created_at, updated_at, body = row
    return Article(slug, title, description, body, tuple(tags), created_at, updated_at, favorited, favorites, author)


def _comment(row: Any, author: Profile) -> Comment:
    comment_id, created_at, body, _ = row
    return Comment(comment_id, created_at, created_at, body, author)
