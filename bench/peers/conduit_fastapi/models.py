"""The tables of `examples/conduit`, and the shapes of what is answered."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainSerializer, StringConstraints
from pydantic.alias_generators import to_camel
from sqlalchemy import ARRAY, BigInteger, FetchedValue, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    __table_args__ = {"schema": "accounts"}

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    username: Mapped[str]
    bio: Mapped[str | None]
    image: Mapped[str | None]


class Follow(Base):
    __tablename__ = "follows"
    __table_args__ = {"schema": "social"}

    follower_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    followed_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)


class Favorite(Base):
    __tablename__ = "favorites"
    __table_args__ = {"schema": "social"}

    article_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    user_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)


class Tag(Base):
    __tablename__ = "tags"
    __table_args__ = {"schema": "articles"}

    name: Mapped[str] = mapped_column(primary_key=True)


class Article(Base):
    __tablename__ = "articles"
    __table_args__ = {"schema": "articles"}

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    slug: Mapped[str]
    title: Mapped[str]
    description: Mapped[str]
    body: Mapped[str]
    tag_list: Mapped[list[str]] = mapped_column(ARRAY(Text))
    author_id: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())
    updated_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())


class Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


def with_milliseconds(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[datetime, PlainSerializer(with_milliseconds, str)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Words = Annotated[str, StringConstraints(min_length=1)]


class Profile(Model):
    username: str
    bio: str | None
    image: str | None
    following: bool


class Entry(Model):
    slug: str
    title: str
    description: str
    tag_list: list[str]
    created_at: Moment
    updated_at: Moment
    favorited: bool
    favorites_count: int
    author: Profile


class Whole(Entry):
    body: str


class Entries(Model):
    articles: list[Entry]
    articles_count: int


class WholeReply(Model):
    article: Whole


class NewArticle(Model):
    title: Title
    description: Words
    body: Words
    tag_list: list[str] = []


class NewArticleBody(Model):
    article: NewArticle
