"""What people read, and what it shows. who: None for somebody who has not signed in."""

from collections.abc import Callable
from urllib.parse import quote

from conduit_load.memory import PEOPLE_KEY, Article, Person
from conduit_load.session import Reply, Session
from conduit_load.sight import Sight, expect

MOST = 100
"""Articles in one list; more are not given."""


async def read_self(session: Session, who: Person) -> None:
    await session.send(who, "GET", "/user", lambda reply, sight: sight.person(who, reply.value["user"]))


async def read_profile(session: Session, who: Person | None, other: Person) -> None:
    def show(reply: Reply, sight: Sight) -> None:
        if reply.status == 404:
            sight.flag(PEOPLE_KEY, other.name, False)
        else:
            sight.profile(other, reply.value["profile"])

    await session.send(who, "GET", f"/profiles/{other.name}", show, expected=[200, 404])


async def read_article(session: Session, who: Person | None, article: Article) -> None:
    missing = missing_at(article)

    def show(reply: Reply, sight: Sight) -> None:
        if reply.status == 404:
            missing(sight)
        else:
            sight.article(article, reply.value["article"])
            sight.body(article, reply.value["article"])

    await session.send(who, "GET", f"/articles/{quote(article.slug)}", show, expected=[200, 404])


async def read_comments(session: Session, who: Person | None, article: Article) -> None:
    missing = missing_at(article)

    def show(reply: Reply, sight: Sight) -> None:
        if reply.status == 404:
            missing(sight)
            return
        for each in reply.value["comments"]:
            sight.listed(article.comments_key, each["body"])
        sight.complete(article.comments_key)

    await session.send(who, "GET", f"/articles/{quote(article.slug)}/comments", show, expected=[200, 404])


async def read_tags(session: Session, who: Person | None) -> None:
    await session.send(who, "GET", "/tags", lambda reply, sight: sight.tags(reply.value["tags"]))


def missing_at(article: Article) -> Callable[[Sight], None]:
    """What a 404 says of an article that is asked for now: nothing, if its slug changes meanwhile."""
    was_moving, slug = article.is_moving, article.slug

    def missing(sight: Sight) -> None:
        if not was_moving and not article.is_moving and article.slug == slug:
            sight.missing(article)

    return missing


# Lists


async def read_newest(session: Session, who: Person | None) -> None:
    await session.send(who, "GET", "/articles", _newest)


def _newest(reply: Reply, sight: Sight) -> None:
    sight.entries(reply.value["articles"])


async def read_topic(session: Session, who: Person | None, topic: str) -> None:
    def show(reply: Reply, sight: Sight) -> None:
        entries = reply.value["articles"]
        expect(all(topic in each["tagList"] for each in entries), True, f"{topic} as a tag of each")
        sight.entries(entries)

    await session.send(who, "GET", f"/articles?tag={topic}", show)


async def read_list_of(session: Session, who: Person | None, author: Person) -> None:
    def show(reply: Reply, sight: Sight) -> None:
        entries = reply.value["articles"]
        expect({each["author"]["username"] for each in entries} - {author.name}, set(), f"authors beside {author.name}")
        sight.entries(entries)
        if _is_whole(reply):
            sight.complete(author.articles_key)

    await session.send(who, "GET", f"/articles?author={author.name}&limit={MOST}", show)


async def read_likes(session: Session, who: Person) -> None:
    certain = [article for article, like in who.likes.items() if like.is_certain]

    def show(reply: Reply, sight: Sight) -> None:
        shown = set(sight.entries(reply.value["articles"]))
        for article in shown:
            if article.exists.is_so:
                sight.flag(article.likes_key, who.name, True)
        if _is_whole(reply):
            for article in certain:
                if article not in shown and who.likes[article].is_certain:
                    sight.missing(article)

    await session.send(who, "GET", f"/articles?favorited={who.name}&limit={MOST}", show)


async def read_feed(session: Session, who: Person, *, limit: int = 20) -> None:
    certain = [other for other, follow in who.follows.items() if follow.is_certain]

    def show(reply: Reply, sight: Sight) -> None:
        for article in sight.entries(reply.value["articles"]):
            sight.flag(who.follows_key, article.author.name, True)
        if _is_whole(reply):
            for other in certain:
                if who.follows[other].is_certain:
                    sight.complete(other.articles_key)

    await session.send(who, "GET", f"/articles/feed?limit={limit}", show)


def _is_whole(reply: Reply) -> bool:
    """Whether the list has all that there are. Raises Wrong where it has more."""
    count, shown = reply.value["articlesCount"], len(reply.value["articles"])
    expect(count >= shown, True, f"a list of {shown} and a count of {count}: at least as many")
    return count == shown
