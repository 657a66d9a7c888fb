"""The application."""

import re
import secrets
from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Annotated, Any

import jwt
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Query
from sqlalchemy import Select, exists, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from bench.peers.conduit_fastapi.models import (
    Article,
    Entries,
    Entry,
    Favorite,
    Follow,
    NewArticleBody,
    Profile,
    Tag,
    User,
    Whole,
    WholeReply,
)

POOL_SIZE = 16
SUMMARY = (Article.slug, Article.title, Article.description, Article.tag_list, Article.created_at, Article.updated_at)
PROFILE = (User.username, User.bio, User.image)
router = APIRouter(prefix="/api")


class State:
    """What the requests need, made once: two views of one pool, and the key that checks tokens."""

    reads: async_sessionmaker[AsyncSession]
    writes: async_sessionmaker[AsyncSession]
    public_key: str


state = State()


def create_app(url: str, public_key: str) -> tuple[FastAPI, AsyncEngine]:
    """url: `postgresql+asyncpg://...`, as a role that may use all tables."""
    engine = create_async_engine(url, pool_size=POOL_SIZE, max_overflow=0)
    state.reads = async_sessionmaker(engine.execution_options(isolation_level="AUTOCOMMIT"), expire_on_commit=False)
    state.writes = async_sessionmaker(engine, expire_on_commit=False)
    state.public_key = public_key
    app = FastAPI(docs_url=None, redoc_url=None)
    app.include_router(router)
    return app, engine


async def reading() -> AsyncIterator[AsyncSession]:
    async with state.reads() as session:
        yield session


async def writing() -> AsyncIterator[AsyncSession]:
    async with state.writes() as session:
        yield session


@lru_cache(10_000)
def _user_of(token: str, public_key: str) -> int:
    return int(jwt.decode(token, public_key, algorithms=["EdDSA"])["sub"])


async def reader_of(authorization: Annotated[str | None, Header()] = None) -> int | None:
    if authorization is None:
        return None
    try:
        return _user_of(authorization.partition(" ")[2], state.public_key)
    except jwt.InvalidTokenError as error:
        raise HTTPException(401) from error


async def user_of(reader: Annotated[int | None, Depends(reader_of)]) -> int:
    if reader is None:
        raise HTTPException(401)
    return reader


Reader = Annotated[int | None, Depends(reader_of)]
Writer = Annotated[int, Depends(user_of)]
Reading = Annotated[AsyncSession, Depends(reading)]
Writing = Annotated[AsyncSession, Depends(writing)]


def _seen_by(reader: int | None, *columns: Any) -> Select[Any]:
    """Articles with all that a reader sees of them, in one statement."""
    count = select(func.count()).select_from(Favorite).where(Favorite.article_id == Article.id).scalar_subquery()
    favorited: Any = literal(False)
    following: Any = literal(False)
    if reader is not None:
        favorited = exists().where(Favorite.article_id == Article.id, Favorite.user_id == reader)
        following = exists().where(Follow.follower_id == reader, Follow.followed_id == Article.author_id)
    seen = (favorited.label("favorited"), count.label("favorites"), *PROFILE, following.label("following"))
    return select(*SUMMARY, *columns, *seen).join_from(Article, User, User.id == Article.author_id)


def _common(row: Any) -> dict[str, Any]:
    return {
        "slug": row.slug,
        "title": row.title,
        "description": row.description,
        "tag_list": row.tag_list,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "favorited": row.favorited,
        "favorites_count": row.favorites,
        "author": Profile(username=row.username, bio=row.bio, image=row.image, following=row.following),
    }


@router.get("/articles")
async def list_articles(
    session: Reading,
    reader: Reader,
    tag: str | None = None,
    author: str | None = None,
    limit: Annotated[int, Query(ge=1)] = 20,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Entries:
    wanted: list[Any] = []
    if tag is not None:
        wanted.append(Article.tag_list.contains([tag]))
    if author is not None:
        wanted.append(Article.author_id == select(User.id).where(User.username == author).scalar_subquery())
    total = await session.scalar(select(func.count()).select_from(Article).where(*wanted))
    page = _seen_by(reader).where(*wanted).order_by(Article.created_at.desc(), Article.id.desc()).limit(limit).offset(offset)
    rows = (await session.execute(page)).all()
    return Entries(articles=[Entry(**_common(row)) for row in rows], articles_count=total or 0)


@router.get("/articles/{slug}")
async def get_article(session: Reading, reader: Reader, slug: str) -> WholeReply:
    row = (await session.execute(_seen_by(reader, Article.body).where(Article.slug == slug))).one_or_none()
    if row is None:
        raise HTTPException(404)
    return WholeReply(article=Whole(body=row.body, **_common(row)))


@router.post("/articles", status_code=201)
async def create_article(session: Writing, author_id: Writer, body: NewArticleBody) -> WholeReply:
    new = body.article
    author = (await session.execute(select(*PROFILE).where(User.id == author_id))).one_or_none()
    if author is None:
        raise HTTPException(401)
    if new.tag_list:
        tags = [{"name": name} for name in sorted(set(new.tag_list))]
        await session.execute(insert(Tag).values(tags).on_conflict_do_nothing())
    row = None
    slug = plain = re.sub(r"[\W_]+", "-", new.title.casefold())[:80].strip("-")
    while row is None:
        values = {**new.model_dump(), "slug": slug, "author_id": author_id}
        inserted = insert(Article).values(values).on_conflict_do_nothing(index_elements=["slug"])
        row = (await session.execute(inserted.returning(*SUMMARY, Article.body))).one_or_none()
        slug = f"{plain}-{secrets.token_hex(3)}"
    await session.commit()
    profile = Profile(username=author.username, bio=author.bio, image=author.image, following=False)
    whole = Whole(**row._mapping, favorited=False, favorites_count=0, author=profile)
    return WholeReply(article=whole)
