"""The face of `accounts`.

A request's user is found without a call: tokens are signed by `accounts` alone, with a key that it makes on first use and keeps
in its database, and checked by every module itself with the public half.
"""

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from conduit.accounts import passwords, tokens
from conduit.failures import Taken, Unauthorized
from ramet import Body, Header, Module
from ramet.data.errors import UniqueViolation

module = Module("accounts")
db = module.database()

Authorization = Annotated[str | None, Header("authorization", "`Token` and a token")]
Username = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"\S")]
Email = Annotated[str, msgspec.Meta(min_length=1, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")]
Password = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
OptionalText = Annotated[str, msgspec.Meta(max_length=10_000)] | None


class Person(msgspec.Struct, frozen=True):
    """What anyone may know of a user."""

    id: int
    username: str
    bio: str | None
    image: str | None


class User(msgspec.Struct, frozen=True):
    """What a user gets of themselves."""

    email: str
    token: str
    username: str
    bio: str | None
    image: str | None


class UserReply(msgspec.Struct, frozen=True):
    user: User


class NewUser(msgspec.Struct, frozen=True):
    username: Username
    email: Email
    password: Password


class Login(msgspec.Struct, frozen=True):
    email: Annotated[str, msgspec.Meta(min_length=1)]
    password: Annotated[str, msgspec.Meta(min_length=1)]


class UserUpdate(msgspec.Struct, frozen=True):
    """What is left out stays as it is. An empty bio or image is none."""

    username: Username | UnsetType = UNSET
    email: Email | UnsetType = UNSET
    password: Password | UnsetType = UNSET
    bio: OptionalText | UnsetType = UNSET
    image: OptionalText | UnsetType = UNSET


# For other modules


@module.expose(idempotent=True)
async def persons(ids: list[int]) -> dict[int, Person]:
    """Those of them that exist, by id."""
    rows = await db.read().fetch("SELECT id, username, bio, image FROM users WHERE id = ANY($1::bigint[])", ids)
    return {row[0]: Person(*row) for row in rows}


@module.expose(idempotent=True)
async def person_named(username: str) -> Person | None:
    row = await db.read().fetchrow("SELECT id, username, bio, image FROM users WHERE username = $1", username)
    return Person(*row) if row else None


@module.expose(idempotent=True)
async def public_key() -> str:
    """Checks tokens."""
    return tokens.public_key_of(await _private_key())


async def reader_of(authorization: str | None) -> int | None:
    """The user's id, None where no token was sent. Raises Unauthorized for a bad one. No call, but the first time."""
    if authorization is None:
        return None
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() not in {"token", "bearer"}:
        raise Unauthorized("token", "is invalid")
    if "public" not in _keys:
        _keys["public"] = await public_key()
    user_id = tokens.user_of(token.strip(), _keys["public"])
    if user_id is None:
        raise Unauthorized("token", "is invalid")
    return user_id


async def user_of(authorization: str | None) -> int:
    """The user's id. Raises Unauthorized where no token was sent, or a bad one."""
    user_id = await reader_of(authorization)
    if user_id is None:
        raise Unauthorized("token", "is missing")
    return user_id


# For clients


@module.post("/users", status=201, raises=[Taken])
async def register(user: Annotated[NewUser, Body(embed=True)]) -> UserReply:
    """Register a new user."""
    hashed = await passwords.hash_of(user.password)
    try:
        user_id = await db.write().fetchval(
            "INSERT INTO users (username, email, password) VALUES ($1, $2, $3) RETURNING id", user.username, user.email, hashed
        )
    except UniqueViolation as error:
        raise _taken(error) from error
    return UserReply(User(user.email, await _token(user_id), user.username, None, None))


@module.post("/users/login", raises=[Unauthorized])
async def login(user: Annotated[Login, Body(embed=True)]) -> UserReply:
    """Sign in."""
    found = await db.read().fetchrow(
        "SELECT id, email, username, bio, image, password FROM users WHERE lower(email) = lower($1)", user.email
    )
    if not await passwords.is_right(user.password, found["password"] if found else None):
        raise Unauthorized("credentials", "invalid")
    return UserReply(User(found["email"], await _token(found["id"]), found["username"], found["bio"], found["image"]))


@module.get("/user", raises=[Unauthorized])
async def current_user(authorization: Authorization = None) -> UserReply:
    """The user who is signed in."""
    user_id = await user_of(authorization)
    return _same_user(
        await db.read().fetchrow("SELECT email, username, bio, image FROM users WHERE id = $1", user_id), authorization
    )


@module.put("/user", raises=[Unauthorized, Taken])
async def update_user(user: Annotated[UserUpdate, Body(embed=True)], authorization: Authorization = None) -> UserReply:
    """Change what is given."""
    user_id = await user_of(authorization)
    hashed = None if user.password is UNSET else await passwords.hash_of(user.password)
    try:
        found = await db.write().fetchrow(
            """
            UPDATE users SET
                username = coalesce($2, username),
                email = coalesce($3, email),
                password = coalesce($4, password),
                bio = CASE WHEN $5 THEN $6 ELSE bio END,
                image = CASE WHEN $7 THEN $8 ELSE image END
            WHERE id = $1
            RETURNING email, username, bio, image
            """,
            user_id,
            user.username or None,
            user.email or None,
            hashed,
            user.bio is not UNSET,
            user.bio or None,
            user.image is not UNSET,
            user.image or None,
        )
    except UniqueViolation as error:
        raise _taken(error) from error
    return _same_user(found, authorization)


def _same_user(found: dict[str, str] | None, authorization: str | None) -> UserReply:
    """With the token that they have shown."""
    if found is None:
        raise Unauthorized("token", "is of a user who is gone")
    token = (authorization or "").partition(" ")[2].strip()
    return UserReply(User(found["email"], token, found["username"], found["bio"], found["image"]))


def _taken(error: UniqueViolation) -> Taken:
    return Taken("email" if error.constraint == "users_email" else "username")


_keys: dict[str, str] = {}  # ramet: allow RM705 because a key never changes, so each instance may have read it by itself
"""`private` and `public`, once this process has needed them. They never change."""


async def _private_key() -> str:
    if "private" not in _keys:
        read = "SELECT pem FROM signing_key"
        pem = await db.read().fetchval(read)
        if pem is None:
            # Of several instances that start together, one's key stays.
            await db.write().execute("INSERT INTO signing_key (pem) VALUES ($1) ON CONFLICT DO NOTHING", tokens.new_key())
            pem = await db.read().fetchval(read)
        _keys["private"] = pem
    return _keys["private"]


async def _token(user_id: int) -> str:
    return tokens.token_of(user_id, await _private_key())
