"""What somebody does next: mostly they read."""

from collections.abc import Awaitable, Callable
from typing import Any

from conduit_load import reads, writes
from conduit_load.memory import Article, Person
from conduit_load.session import Session
from conduit_load.sight import TOPICS

Act = Callable[[Session, Person], Awaitable[Any] | None]
"""None where that person cannot do it now."""

ANONYMOUS = 0.2
"""Share of the reads that nobody has signed in for."""


def _somebody(session: Session, who: Person) -> Person | None:
    return None if session.chance.random() < ANONYMOUS else who


def _any_article(session: Session) -> Article | None:
    """One of the newer ones more often than an older one, as it is with readers."""
    articles = session.world.articles
    if not articles:
        return None
    found = articles[-1 - int(len(articles) * session.chance.random() ** 2)]
    return found if found.is_usable else None


def _own_article(session: Session, who: Person) -> Article | None:
    own = [article for article in who.articles if article.is_usable]
    return session.chance.choice(own) if own else None


def _read_article(session: Session, who: Person) -> Awaitable[Any] | None:
    article = _any_article(session)
    return article and reads.read_article(session, _somebody(session, who), article)


def _read_comments(session: Session, who: Person) -> Awaitable[Any] | None:
    article = _any_article(session)
    return article and reads.read_comments(session, _somebody(session, who), article)


def _read_newest(session: Session, who: Person) -> Awaitable[Any]:
    return reads.read_newest(session, _somebody(session, who))


def _read_topic(session: Session, who: Person) -> Awaitable[Any]:
    return reads.read_topic(session, _somebody(session, who), session.chance.choice(TOPICS))


def _read_profile(session: Session, who: Person) -> Awaitable[Any]:
    return reads.read_profile(session, _somebody(session, who), session.chance.choice(session.world.people))


def _register(session: Session, _: Person) -> Awaitable[Any]:
    return writes.register(session)


def _read_list_of(session: Session, who: Person) -> Awaitable[Any]:
    return reads.read_list_of(session, _somebody(session, who), session.chance.choice(session.world.people))


def _rewrite(session: Session, who: Person) -> Awaitable[Any] | None:
    article = _own_article(session, who)
    return article and writes.rewrite(session, who, article)


def _rename(session: Session, who: Person) -> Awaitable[Any] | None:
    article = _own_article(session, who)
    return article and writes.rename(session, who, article)


def _delete(session: Session, who: Person) -> Awaitable[Any] | None:
    article = _own_article(session, who)
    return article and writes.delete(session, who, article)


def _like(session: Session, who: Person) -> Awaitable[Any] | None:
    article = _any_article(session)
    return article and writes.like(session, who, article, wanted=not who.like(article).is_so)


def _follow(session: Session, who: Person) -> Awaitable[Any] | None:
    other = session.chance.choice(session.world.people)
    return writes.follow(session, who, other, wanted=not who.follow(other).is_so) if other is not who else None


def _comment(session: Session, who: Person) -> Awaitable[Any] | None:
    article = _any_article(session)
    return article and writes.comment(session, who, article)


def _uncomment(session: Session, who: Person) -> Awaitable[Any] | None:
    articles = [article for article in who.likes if article.is_usable]
    own = [each for article in articles for each in article.comments if each.author is who and each.number and each.exists.is_so]
    return writes.uncomment(session, who, session.chance.choice(own)) if own else None


WEIGHTS: dict[str, tuple[float, Act]] = {
    "read an article": (26, _read_article),
    "list the newest": (16, _read_newest),
    "list a topic": (5, _read_topic),
    "list an author's": (5, _read_list_of),
    "list what they like": (2, reads.read_likes),
    "read the feed": (10, reads.read_feed),
    "read comments": (5, _read_comments),
    "look at a profile": (3, _read_profile),
    "look at themselves": (2, reads.read_self),
    "read the tags": (1, reads.read_tags),
    "publish": (6, writes.publish),
    "rewrite": (3, _rewrite),
    "rename": (1, _rename),
    "delete": (1, _delete),
    "like": (6, _like),
    "follow": (3, _follow),
    "comment": (4, _comment),
    "delete a comment": (1, _uncomment),
    "tell about themselves": (1, writes.tell_bio),
    "sign in": (1, writes.log_in),
    "register": (1, _register),
}
"""In percent, about. After most writes a read of the same person follows."""


async def act(session: Session, who: Person) -> None:
    """Do one of these."""
    names = list(WEIGHTS)
    while True:
        (name,) = session.chance.choices(names, [WEIGHTS[each][0] for each in names])
        doing = WEIGHTS[name][1](session, who)
        if doing is not None:
            await doing
            return
