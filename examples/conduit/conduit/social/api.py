"""The face of `social`."""

import msgspec

from conduit.accounts import api as accounts
from conduit.accounts.api import Authorization
from conduit.failures import NotFound, Unauthorized
from ramet import Module

module = Module("social", uses=["accounts"])
db = module.database()


class Profile(msgspec.Struct, frozen=True):
    """A person as a reader sees them."""

    username: str
    bio: str | None
    image: str | None
    following: bool

    @classmethod
    def of(cls, person: accounts.Person, *, following: bool) -> "Profile":
        return cls(person.username, person.bio, person.image, following)


class ProfileReply(msgspec.Struct, frozen=True):
    profile: Profile


class Opinion(msgspec.Struct, frozen=True):
    """Of one article: how many like it, whether the reader does, and whether the reader follows its author."""

    favorites: int
    favorited: bool
    following: bool


# For other modules


@module.expose(idempotent=True)
async def following(reader_id: int, author_ids: list[int]) -> list[int]:
    """Those of the authors whom the reader follows."""
    rows = await db.read().fetch(
        "SELECT followed_id FROM follows WHERE follower_id = $1 AND followed_id = ANY($2::bigint[])", reader_id, author_ids
    )
    return [row[0] for row in rows]


@module.expose(idempotent=True)
async def followed_by(reader_id: int) -> list[int]:
    return [row[0] for row in await db.read().fetch("SELECT followed_id FROM follows WHERE follower_id = $1", reader_id)]


@module.expose(idempotent=True)
async def favorites_of(user_id: int) -> list[int]:
    """Ids of articles, also of such that have been deleted."""
    return [row[0] for row in await db.read().fetch("SELECT article_id FROM favorites WHERE user_id = $1", user_id)]


@module.expose(idempotent=True)
async def opinions(reader_id: int | None, article_ids: list[int], author_ids: list[int]) -> list[Opinion]:
    """Of each article, in their order. author_ids: of each article. reader_id: None for somebody who has not signed in."""
    rows = await db.read().fetch(
        """
        SELECT (SELECT count(*) FROM favorites WHERE article_id = a.id),
               EXISTS (SELECT FROM favorites WHERE article_id = a.id AND user_id = $1),
               EXISTS (SELECT FROM follows WHERE follower_id = $1 AND followed_id = a.author_id)
        FROM unnest($2::bigint[], $3::bigint[]) WITH ORDINALITY AS a (id, author_id, number)
        ORDER BY number
        """,
        reader_id,
        article_ids,
        author_ids,
    )
    return [Opinion(*row) for row in rows]


@module.expose(idempotent=True)
async def favorite(user_id: int, article_id: int) -> None:
    await db.write().execute(
        "INSERT INTO favorites (user_id, article_id) VALUES ($1, $2) ON CONFLICT DO NOTHING", user_id, article_id
    )


@module.expose(idempotent=True)
async def unfavorite(user_id: int, article_id: int) -> None:
    await db.write().execute("DELETE FROM favorites WHERE user_id = $1 AND article_id = $2", user_id, article_id)


@module.expose(idempotent=True)
async def forget_articles(article_ids: list[int]) -> None:
    await db.write().execute("DELETE FROM favorites WHERE article_id = ANY($1::bigint[])", article_ids)


# For clients


@module.get("/profiles/{username}", raises=[NotFound, Unauthorized])
async def get_profile(username: str, authorization: Authorization = None) -> ProfileReply:
    """A user, as the reader sees them."""
    reader_id = await accounts.reader_of(authorization)
    person = await _person(username)
    is_followed = reader_id is not None and bool(await following(reader_id, [person.id]))
    return ProfileReply(Profile.of(person, following=is_followed))


@module.post("/profiles/{username}/follow", idempotent=True, raises=[NotFound, Unauthorized])
async def follow(username: str, authorization: Authorization = None) -> ProfileReply:
    """Follow a user."""
    reader_id = await accounts.user_of(authorization)
    person = await _person(username)
    await db.write().execute(
        "INSERT INTO follows (follower_id, followed_id) VALUES ($1, $2) ON CONFLICT DO NOTHING", reader_id, person.id
    )
    return ProfileReply(Profile.of(person, following=True))


@module.delete("/profiles/{username}/follow", idempotent=True, raises=[NotFound, Unauthorized])
async def unfollow(username: str, authorization: Authorization = None) -> ProfileReply:
    """Follow a user no more."""
    reader_id = await accounts.user_of(authorization)
    person = await _person(username)
    await db.write().execute("DELETE FROM follows WHERE follower_id = $1 AND followed_id = $2", reader_id, person.id)
    return ProfileReply(Profile.of(person, following=False))


async def _person(username: str) -> accounts.Person:
    person = await accounts.person_named(username)
    if person is None:
        raise NotFound("profile")
    return person
