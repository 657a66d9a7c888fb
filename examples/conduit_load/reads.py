"""What people read, and what they must and may see. who: None for somebody who has not signed in."""

from abc import ABC, abstractmethod
from typing import Any
from urllib.parse import quote

from conduit_load.memory import Article, Conditions, Marks, Person
from conduit_load.session import Session


async def read_self(session: Session, who: Person) -> None:
    marks = Marks([who.bio])
    status, value = await session.send(who, "GET", "/user")
    if status:
        session.check(value["user"]["username"], [who.name], "the name of the current user")
        session.check(value["user"]["bio"], marks.possible(who.bio), f"bio of {who.name}")


async def read_profile(session: Session, who: Person | None, other: Person) -> None:
    marks = Marks([other.bio, *([who.follow(other)] if who else [])])
    status, value = await session.send(who, "GET", f"/profiles/{other.name}")
    if status:
        session.check_profile(who, other, value["profile"], marks)


async def read_article(session: Session, who: Person | None, article: Article) -> None:
    own = [who.like(article), who.follow(article.author)] if who else []
    marks = Marks([article.exists, article.body, article.author.bio, *own])
    was_moving, slug = article.is_moving, article.slug
    status, value = await session.send(who, "GET", f"/articles/{quote(slug)}", expected=[200, 404])
    if status == 404:
        if not was_moving:
            session.check_missing(article, slug, marks)
    elif status:
        session.check(True, marks.possible(article.exists), f"existence of {slug}")
        session.check(value["article"]["body"], marks.possible(article.body), f"body of {slug}")
        session.check_article(who, article, value["article"], marks)


async def read_comments(session: Session, who: Person | None, article: Article) -> None:
    marks = Marks([article.exists, *(comment.exists for comment in article.comments)])
    was_moving, slug = article.is_moving, article.slug
    status, value = await session.send(who, "GET", f"/articles/{quote(slug)}/comments", expected=[200, 404])
    if status == 404 and not was_moving:
        session.check_missing(article, slug, marks)
    if status != 200:
        return
    seen = [each["body"] for each in value["comments"]]
    for comment in article.comments:
        least, most = marks.bounds([(comment.exists,)])
        count = seen.count(comment.body)
        if count < least:
            session.tally.note("lost", f"comment {comment.body!r} on {slug}")
        elif count > 1:
            session.tally.note("twice", f"comment {comment.body!r} on {slug}")
        elif count > most:
            session.tally.note("stale", f"the deleted comment {comment.body!r} on {slug}")


async def read_tags(session: Session, who: Person | None) -> None:
    expected = set(session.world.tags)
    status, value = await session.send(who, "GET", "/tags")
    if status and (missing := expected.difference(value["tags"])):
        session.tally.note("lost", f"tags {sorted(missing)}")


# Lists


async def read_newest(session: Session, who: Person | None) -> None:
    await _read_list(session, who, "/articles")


async def read_topic(session: Session, who: Person | None, topic: str) -> None:
    entries = await _read_list(session, who, f"/articles?tag={topic}")
    if not all(topic in each["tagList"] for each in entries):
        session.tally.note("stale", f"an article in the list of {topic} has not that tag")


async def read_list_of(session: Session, who: Person | None, author: Person) -> None:
    path = f"/articles?author={author.name}&limit=100"
    entries = await _read_list(session, who, path, _Articles(author))
    titles = [each["title"] for each in entries]
    for title in {each for each in titles if titles.count(each) > 1}:
        session.tally.note("twice", f"{title!r} in the list of its author")


async def read_likes(session: Session, who: Person) -> None:
    await _read_list(session, who, f"/articles?favorited={who.name}&limit=100", _Likes(who))


async def read_feed(session: Session, who: Person) -> None:
    for each in await _read_list(session, who, "/articles/feed", _Feed(who)):
        if not each["author"]["following"]:
            session.tally.note("stale", f"the feed of {who.name} has an article by {each['author']['username']}")


class _Counted(ABC):
    """What a list is to hold."""

    def __init__(self, who: Person) -> None:
        self._who = who

    @abstractmethod
    def conditions(self) -> Conditions: ...


class _Articles(_Counted):
    def conditions(self) -> Conditions:
        return [(article.exists,) for article in self._who.articles]


class _Likes(_Counted):
    def conditions(self) -> Conditions:
        return [(like, article.exists) for article, like in self._who.likes.items()]


class _Feed(_Counted):
    def conditions(self) -> Conditions:
        return [(follow, article.exists) for other, follow in self._who.follows.items() for article in other.articles]


async def _read_list(session: Session, who: Person | None, path: str, counted: _Counted | None = None) -> list[Any]:
    world = session.world
    own = [*who.likes.values(), *who.follows.values()] if who else []
    listed = [value for values in (counted.conditions() if counted else ()) for value in values]
    marks = Marks([*listed, *own, *(person.bio for person in world.people)])
    status, value = await session.send(who, "GET", path)
    if not status:
        return []
    if counted is not None:
        count, (least, most) = value["articlesCount"], marks.bounds(counted.conditions())
        if not least <= count <= most:
            kind = "lost" if count < least else "twice"
            session.tally.note(kind, f"GET {path} of {who}: {count} articles in place of {least} to {most}")
    entries = value["articles"]
    created = [each["createdAt"] for each in entries]
    if created != sorted(created, reverse=True):
        session.tally.note("stale", f"GET {path}: not the newest first")
    for each in entries:
        article = world.by_slug.get(each["slug"])
        if article is not None and article.title == each["title"]:
            session.check_article(who, article, each, marks)
    return entries
