"""Registering, signing in, the current user."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import Api, User, unique


def test_a_new_user_gets_a_token_and_has_neither_bio_nor_image(api: Api) -> None:
    name = unique("jake")
    answer = api.post("/users", {"user": {"username": name, "email": f"{name}@example.org", "password": "jakejake"}})
    assert answer.status == 201
    assert answer.headers["content-type"].startswith("application/json")
    user = answer.json["user"]
    assert user.pop("token")
    assert user == {"username": name, "email": f"{name}@example.org", "bio": None, "image": None}


@pytest.mark.parametrize("value", ["", None, ...], ids=["empty", "null", "left out"])
@pytest.mark.parametrize("field", ["username", "email", "password"])
def test_no_field_of_a_new_user_can_be_blank(api: Api, field: str, value: Any) -> None:
    name = unique("blank")
    body = {"username": name, "email": f"{name}@example.org", "password": "jakejake", field: value}
    answer = api.post("/users", {"user": {key: each for key, each in body.items() if each is not ...}})
    assert answer.status == 422
    assert answer.errors == {field: ["can't be blank"]}


def test_all_that_is_wrong_is_told_at_once(api: Api) -> None:
    answer = api.post("/users", {"user": {"username": "", "email": "nowhere", "password": "x" * 2000}})
    assert answer.status == 422
    assert answer.errors == {
        "username": ["can't be blank"],
        "email": ["is invalid"],
        "password": ["is too long (maximum is 1000 characters)"],
    }


def test_a_name_and_an_address_belong_to_one_user(api: Api, user: User) -> None:
    name = unique("second")
    answer = api.post("/users", {"user": {"username": user.name, "email": f"{name}@example.org", "password": "jakejake"}})
    assert (answer.status, answer.errors) == (422, {"username": ["has already been taken"]})
    for email in (f"{user.name}@example.org", f"{user.name}@EXAMPLE.org"):
        answer = api.post("/users", {"user": {"username": name, "email": email, "password": "jakejake"}})
        assert (answer.status, answer.errors) == (422, {"email": ["has already been taken"]})


def test_of_many_who_want_one_name_at_once_one_gets_it(api: Api) -> None:
    name = unique("wanted")

    def register(number: int) -> int:
        body = {"username": name, "email": f"{name}{number}@example.org", "password": "jakejake"}
        return api.post("/users", {"user": body}).status

    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(register, range(8)))
    assert sorted(statuses) == [201] + [422] * 7


def test_who_signs_in_is_known_again(api: Api, user: User) -> None:
    answer = api.post("/users/login", {"user": {"email": f"{user.name}@example.org", "password": "correct horse"}})
    assert answer.status == 200
    assert answer.json["user"]["username"] == user.name
    assert api.get("/user", token=answer.json["user"]["token"]).json["user"]["username"] == user.name


@pytest.mark.parametrize("email", [None, "nobody@example.org"], ids=["wrong password", "no such user"])
def test_who_does_not_know_the_password_is_refused(api: Api, user: User, email: str | None) -> None:
    answer = api.post("/users/login", {"user": {"email": email or f"{user.name}@example.org", "password": "wrong"}})
    assert (answer.status, answer.errors) == (401, {"credentials": ["invalid"]})


@pytest.mark.parametrize("field", ["email", "password"])
def test_signing_in_takes_both_fields(api: Api, field: str) -> None:
    answer = api.post("/users/login", {"user": {"email": "a@example.org", "password": "jakejake", field: ""}})
    assert (answer.status, answer.errors) == (422, {field: ["can't be blank"]})


def test_the_current_user(user: User) -> None:
    answer = user.get("/user")
    assert answer.status == 200
    assert answer.json["user"] == {
        "username": user.name,
        "email": f"{user.name}@example.org",
        "bio": None,
        "image": None,
        "token": user.token,
    }


def test_a_token_may_be_called_bearer(api: Api, user: User) -> None:
    assert api.send("GET", "/user", Authorization=f"Bearer {user.token}").status == 200


@pytest.mark.parametrize(("method", "path"), [("GET", "/user"), ("PUT", "/user")])
def test_without_a_token_there_is_no_current_user(api: Api, method: str, path: str) -> None:
    answer = api.send(method, path, {"user": {"bio": "x"}} if method == "PUT" else None)
    assert (answer.status, answer.errors) == (401, {"token": ["is missing"]})


def forged(token: str) -> dict[str, str]:
    """Tokens that nobody of ours has signed."""
    import base64

    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    head, claims, signature = token.split(".")
    return {
        "not a token": "abc",
        "empty": "",
        "without a signature": f"{head}.{claims}.",
        "signed by nobody": f"{part({'alg': 'none', 'typ': 'JWT'})}.{claims}.",
        "of another user": f"{head}.{part({'sub': '1', 'exp': 9999999999})}.{signature}",
        "by a symmetric key": f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{claims}.{signature}",
    }


@pytest.mark.parametrize("kind", forged("a.b.c"))
def test_a_token_that_is_not_ours_is_refused(api: Api, user: User, kind: str) -> None:
    for path in ("/user", "/articles", f"/profiles/{user.name}", "/articles/feed"):
        answer = api.get(path, token=forged(user.token)[kind])
        assert (answer.status, answer.errors) == (401, {"token": ["is invalid"]}), path
    assert api.send("GET", "/user", Authorization="Basic abc").status == 401


def test_what_is_changed_stays_changed_and_the_rest_stays_as_it_was(user: User) -> None:
    answer = user.put("/user", {"user": {"bio": "I write", "image": "https://example.org/me.jpg"}})
    assert answer.status == 200
    for seen in (answer, user.get("/user")):
        assert seen.json["user"]["bio"] == "I write"
        assert seen.json["user"]["image"] == "https://example.org/me.jpg"
        assert seen.json["user"]["username"] == user.name
    assert user.put("/user", {"user": {}}).json == answer.json


@pytest.mark.parametrize("nothing", ["", None])
@pytest.mark.parametrize("field", ["bio", "image"])
def test_bio_and_image_can_be_removed(user: User, field: str, nothing: str | None) -> None:
    user.put("/user", {"user": {field: "something"}})
    assert user.put("/user", {"user": {field: nothing}}).json["user"][field] is None
    assert user.get("/user").json["user"][field] is None


@pytest.mark.parametrize("nothing", ["", None])
@pytest.mark.parametrize("field", ["username", "email", "password"])
def test_name_address_and_password_cannot_be_removed(user: User, field: str, nothing: str | None) -> None:
    answer = user.put("/user", {"user": {field: nothing}})
    assert (answer.status, answer.errors) == (422, {field: ["can't be blank"]})


def test_a_user_can_change_everything_and_stays_signed_in(api: Api, user: User) -> None:
    name = unique("renamed")
    article = user.publish()
    changed = {"username": name, "email": f"{name}@example.org", "password": "another horse"}
    answer = user.put("/user", {"user": changed})
    assert (answer.json["user"]["username"], answer.json["user"]["email"]) == (name, f"{name}@example.org")
    assert user.get("/user").json["user"]["username"] == name
    login = {"email": f"{name}@example.org", "password": "another horse"}
    assert api.post("/users/login", {"user": login}).status == 200
    assert api.post("/users/login", {"user": {**login, "password": "correct horse"}}).status == 401
    assert api.get(f"/profiles/{user.name}").status == 404
    assert api.get(f"/articles/{article['slug']}").json["article"]["author"]["username"] == name


def test_a_user_cannot_take_what_is_anothers(user: User, other: User) -> None:
    answer = user.put("/user", {"user": {"username": other.name}})
    assert (answer.status, answer.errors) == (422, {"username": ["has already been taken"]})
    answer = user.put("/user", {"user": {"email": f"{other.name}@example.org"}})
    assert (answer.status, answer.errors) == (422, {"email": ["has already been taken"]})


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"user": 1}', b'{"user": null}', b'{"user": {"username": 1}}', b"\xff"]
)
def test_what_is_no_user_is_refused_with_a_reason(api: Api, body: bytes) -> None:
    answer = api.send("POST", "/users", body)
    assert answer.status in {400, 422}
    assert all(isinstance(each, str) for told in answer.errors.values() for each in told)


def test_a_text_with_nul_is_refused(api: Api) -> None:
    name = unique("nul")
    answer = api.post("/users", {"user": {"username": f"{name}\0", "email": f"{name}@example.org", "password": "jakejake"}})
    assert answer.status == 422


def test_requests_are_answered_while_passwords_are_checked(api: Api, user: User) -> None:
    """Argon2 keeps a core busy for a while; the loop is not to stand still meanwhile."""
    import time

    async def check() -> float:
        loop = asyncio.get_running_loop()
        body = {"user": {"email": f"{user.name}@example.org", "password": "correct horse"}}
        with ThreadPoolExecutor(16) as threads:
            logins = [loop.run_in_executor(threads, lambda: api.post("/users/login", body).status) for _ in range(12)]
            slowest = 0.0
            while not all(each.done() for each in logins):
                begin = time.perf_counter()
                await loop.run_in_executor(threads, lambda: api.get("/tags"))
                slowest = max(slowest, time.perf_counter() - begin)
            assert {await each for each in logins} == {200}
            return slowest

    assert asyncio.run(check()) < 1.0
