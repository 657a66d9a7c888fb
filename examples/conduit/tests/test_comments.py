"""Comments on articles."""

import pytest
from conftest import Api, User, path


def test_a_comment_is_answered_and_listed(api: Api, user: User, other: User) -> None:
    slug = user.publish()["slug"]
    answer = other.post(path("articles", slug, "comments"), {"comment": {"body": "Thank you"}})
    assert answer.status == 200
    comment = answer.json["comment"]
    assert isinstance(comment["id"], int)
    assert comment["createdAt"] == comment["updatedAt"]
    assert comment["body"] == "Thank you"
    assert comment["author"] == {"username": other.name, "bio": None, "image": None, "following": False}
    for reader in (api, user, other):
        assert reader.get(path("articles", slug, "comments")).json == {"comments": [comment]}


def test_an_article_without_comments_has_an_empty_list(api: Api, user: User) -> None:
    answer = api.get(path("articles", user.publish()["slug"], "comments"))
    assert (answer.status, answer.json) == (200, {"comments": []})


def test_a_reader_sees_whom_they_follow(user: User, other: User) -> None:
    slug = user.publish()["slug"]
    other.post(path("articles", slug, "comments"), {"comment": {"body": "Hello"}})
    user.post(path("profiles", other.name, "follow"))
    assert user.get(path("articles", slug, "comments")).json["comments"][0]["author"]["following"] is True
    assert other.get(path("articles", slug, "comments")).json["comments"][0]["author"]["following"] is False


def test_one_of_two_is_deleted(api: Api, user: User) -> None:
    slug = user.publish()["slug"]
    comments = path("articles", slug, "comments")
    first, _ = (user.post(comments, {"comment": {"body": body}}).json["comment"] for body in ("First", "Second"))
    answer = user.delete(path("articles", slug, "comments", first["id"]))
    assert (answer.status, answer.body) == (204, b"")
    assert [comment["body"] for comment in api.get(comments).json["comments"]] == ["Second"]
    assert user.delete(path("articles", slug, "comments", first["id"])).status == 404


def test_a_comment_belongs_to_its_author(api: Api, user: User, other: User) -> None:
    slug = user.publish()["slug"]
    comment = other.post(path("articles", slug, "comments"), {"comment": {"body": "Mine"}}).json["comment"]
    answer = user.delete(path("articles", slug, "comments", comment["id"]))
    assert (answer.status, answer.errors) == (403, {"comment": ["forbidden"]})
    assert len(api.get(path("articles", slug, "comments")).json["comments"]) == 1


def test_a_comment_is_deleted_from_its_own_article_alone(user: User) -> None:
    slug, another = user.publish()["slug"], user.publish()["slug"]
    comment = user.post(path("articles", slug, "comments"), {"comment": {"body": "Here"}}).json["comment"]
    answer = user.delete(path("articles", another, "comments", comment["id"]))
    assert (answer.status, answer.errors) == (404, {"comment": ["not found"]})


@pytest.mark.parametrize("number", ["9007199254740993", "9223372036854775807"])
def test_a_comment_that_is_not_there_is_not_found(user: User, number: str) -> None:
    answer = user.delete(path("articles", user.publish()["slug"], "comments", number))
    assert (answer.status, answer.errors) == (404, {"comment": ["not found"]})


@pytest.mark.parametrize("number", ["first", "-1", "9223372036854775808", "1" * 40])
def test_what_can_be_no_comment_is_refused(user: User, number: str) -> None:
    assert user.delete(path("articles", user.publish()["slug"], "comments", number)).status in {404, 422}


@pytest.mark.parametrize("comment", [{"body": ""}, {"body": None}, {}])
def test_a_comment_says_something(user: User, comment: dict[str, str]) -> None:
    answer = user.post(path("articles", user.publish()["slug"], "comments"), {"comment": comment})
    assert (answer.status, answer.errors) == (422, {"body": ["can't be blank"]})
