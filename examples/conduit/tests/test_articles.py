"""Articles: published, read, changed, deleted, liked; their tags."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import Api, User, path, unique

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_an_article_is_answered_as_it_was_published(user: User) -> None:
    title = unique("How to train your dragon")
    article = user.publish(title, tagList=["dragons", "training"])
    assert TIME.fullmatch(article.pop("createdAt"))
    assert TIME.fullmatch(article.pop("updatedAt"))
    assert article == {
        "slug": title.lower().replace(" ", "-"),
        "title": title,
        "description": "About it",
        "body": "All of it",
        "tagList": ["dragons", "training"],
        "favorited": False,
        "favoritesCount": 0,
        "author": {"username": user.name, "bio": None, "image": None, "following": False},
    }


def test_an_article_is_read_as_it_was_answered(api: Api, user: User, other: User) -> None:
    article = user.publish()
    for reader in (api, user, other):
        answer = reader.get(path("articles", article["slug"]))
        assert answer.status == 200
        assert answer.json == {"article": article}


def test_tags_keep_their_order_and_can_be_left_out(user: User) -> None:
    assert user.publish(tagList=["zebra", "ant", " zebra ", "", "Mule"])["tagList"] == ["zebra", "ant", "Mule"]
    assert user.publish()["tagList"] == []


@pytest.mark.parametrize("value", ["", None, "  ", ...], ids=["empty", "null", "spaces", "left out"])
@pytest.mark.parametrize("field", ["title", "description", "body"])
def test_no_text_of_an_article_can_be_blank(user: User, field: str, value: Any) -> None:
    body = {"title": "Title", "description": "Description", "body": "Body", field: value}
    answer = user.post("/articles", {"article": {key: each for key, each in body.items() if each is not ...}})
    assert (answer.status, answer.errors) == (422, {field: ["can't be blank"]})


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Hello, World! {}", "hello-world-{}"),
        ("  -- Dashes __ and   spaces -- {}", "dashes-and-spaces-{}"),
        ("Größe und Straße {}", "grösse-und-strasse-{}"),
        ("日本語 {}", "日本語-{}"),
    ],
)
def test_the_slug_comes_from_the_title(api: Api, user: User, title: str, slug: str) -> None:
    number = unique("x").removeprefix("x_")
    article = user.publish(title.format(number))
    assert article["slug"] == slug.format(number)
    assert api.get(path("articles", article["slug"])).json["article"]["title"] == title.format(number)


@pytest.mark.parametrize("title", ["feed", "???", "x" * 300])
def test_titles_that_make_no_good_slug_get_one_all_the_same(api: Api, user: User, title: str) -> None:
    slug = user.publish(title)["slug"]
    assert api.get(path("articles", slug)).json["article"]["title"] == title


def test_equal_titles_get_different_slugs(user: User) -> None:
    title = unique("The same title")
    with ThreadPoolExecutor(8) as threads:
        slugs = list(threads.map(lambda _: user.publish(title)["slug"], range(8)))
    assert len(set(slugs)) == 8
    assert all(slug.startswith(title.lower().replace(" ", "-")) for slug in slugs)


def test_what_is_changed_is_answered_and_stays(api: Api, user: User) -> None:
    article = user.publish(tagList=["a", "b"])
    answer = user.put(path("articles", article["slug"]), {"article": {"body": "Better"}})
    assert answer.status == 200
    changed = answer.json["article"]
    assert changed["updatedAt"] > article["updatedAt"]
    assert changed == {**article, "body": "Better", "updatedAt": changed["updatedAt"]}
    assert api.get(path("articles", article["slug"])).json == {"article": changed}


def test_the_slug_follows_a_changed_title_and_only_that(api: Api, user: User) -> None:
    article = user.publish()
    same = user.put(path("articles", article["slug"]), {"article": {"title": article["title"], "description": "New"}})
    assert same.json["article"]["slug"] == article["slug"]
    title = unique("Another title")
    changed = user.put(path("articles", article["slug"]), {"article": {"title": title}}).json["article"]
    assert (changed["title"], changed["slug"]) == (title, title.lower().replace(" ", "-"))
    assert api.get(path("articles", changed["slug"])).status == 200
    assert api.get(path("articles", article["slug"])).status == 404


def test_a_changed_title_does_not_take_the_slug_of_another_article(user: User) -> None:
    first, second = user.publish(), user.publish()
    changed = user.put(path("articles", second["slug"]), {"article": {"title": first["title"]}})
    assert changed.status == 200
    assert changed.json["article"]["slug"] not in {first["slug"], second["slug"]}


def test_tags_are_replaced_if_they_are_given(user: User) -> None:
    slug = user.publish(tagList=["a", "b"])["slug"]
    for change, expected in (({"body": "x"}, ["a", "b"]), ({"tagList": ["c"]}, ["c"]), ({"tagList": []}, [])):
        assert user.put(path("articles", slug), {"article": change}).json["article"]["tagList"] == expected
    assert user.get(path("articles", slug)).json["article"]["tagList"] == []
    assert user.put(path("articles", slug), {"article": {"tagList": None}}).status == 422


@pytest.mark.parametrize("field", ["title", "description", "body"])
@pytest.mark.parametrize("value", ["", None])
def test_no_text_can_be_changed_to_blank(user: User, field: str, value: str | None) -> None:
    answer = user.put(path("articles", user.publish()["slug"]), {"article": {field: value}})
    assert (answer.status, answer.errors) == (422, {field: ["can't be blank"]})


def test_a_deleted_article_is_gone(api: Api, user: User) -> None:
    slug = user.publish()["slug"]
    user.post(path("articles", slug, "comments"), {"comment": {"body": "First"}})
    answer = user.delete(path("articles", slug))
    assert (answer.status, answer.body) == (204, b"")
    for gone in (path("articles", slug), path("articles", slug, "comments")):
        answer = api.get(gone)
        assert (answer.status, answer.errors) == (404, {"article": ["not found"]})
    assert user.delete(path("articles", slug)).status == 404
    assert api.get(f"/articles?author={user.name}").json == {"articles": [], "articlesCount": 0}


def test_an_article_belongs_to_its_author(user: User, other: User) -> None:
    article = user.publish()
    for answer in (
        other.delete(path("articles", article["slug"])),
        other.put(path("articles", article["slug"]), {"article": {"body": "Mine now"}}),
    ):
        assert (answer.status, answer.errors) == (403, {"article": ["forbidden"]})
    assert other.get(path("articles", article["slug"])).json == {"article": article}


def test_fields_that_are_the_servers_cannot_be_set(user: User) -> None:
    article = user.publish(slug="mine", favoritesCount=99, favorited=True, createdAt="2000-01-01T00:00:00Z", author="x")
    assert article["slug"] != "mine"
    assert (article["favoritesCount"], article["favorited"], article["author"]["username"]) == (0, False, user.name)
    assert not article["createdAt"].startswith("2000")


def test_likes_are_counted_once_for_each_user(api: Api, user: User, other: User) -> None:
    slug = user.publish()["slug"]
    favorite = path("articles", slug, "favorite")
    for who, count in ((user, 1), (user, 1), (other, 2), (other, 2)):
        answer = who.post(favorite)
        assert answer.status == 200
        assert (answer.json["article"]["favorited"], answer.json["article"]["favoritesCount"]) == (True, count)
    assert user.get(path("articles", slug)).json["article"]["favorited"] is True
    seen = api.get(path("articles", slug)).json["article"]
    assert (seen["favorited"], seen["favoritesCount"]) == (False, 2)
    for who, count in ((user, 1), (user, 1), (other, 0)):
        answer = who.delete(favorite)
        assert answer.status == 200
        assert (answer.json["article"]["favorited"], answer.json["article"]["favoritesCount"]) == (False, count)
    assert user.get(path("articles", slug)).json["article"]["favoritesCount"] == 0


def test_one_user_who_likes_an_article_many_times_at_once_likes_it_once(user: User) -> None:
    slug = user.publish()["slug"]
    with ThreadPoolExecutor(8) as threads:
        statuses = set(threads.map(lambda _: user.post(path("articles", slug, "favorite")).status, range(8)))
    assert statuses == {200}
    assert user.get(path("articles", slug)).json["article"]["favoritesCount"] == 1


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("POST", "/articles", {"article": {"title": "t", "description": "d", "body": "b"}}),
        ("PUT", "/articles/some-slug", {"article": {"body": "b"}}),
        ("DELETE", "/articles/some-slug", None),
        ("POST", "/articles/some-slug/favorite", None),
        ("DELETE", "/articles/some-slug/favorite", None),
        ("POST", "/articles/some-slug/comments", {"comment": {"body": "b"}}),
        ("DELETE", "/articles/some-slug/comments/1", None),
    ],
)
def test_without_a_token_nothing_is_written(api: Api, method: str, target: str, body: Any) -> None:
    answer = api.send(method, target, body)
    assert (answer.status, answer.errors) == (401, {"token": ["is missing"]})


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("GET", "/articles/no-such-article", None),
        ("PUT", "/articles/no-such-article", {"article": {"body": "b"}}),
        ("DELETE", "/articles/no-such-article", None),
        ("POST", "/articles/no-such-article/favorite", None),
        ("DELETE", "/articles/no-such-article/favorite", None),
        ("GET", "/articles/no-such-article/comments", None),
        ("POST", "/articles/no-such-article/comments", {"comment": {"body": "b"}}),
        ("DELETE", "/articles/no-such-article/comments/1", None),
    ],
)
def test_what_is_not_there_is_not_found(user: User, method: str, target: str, body: Any) -> None:
    answer = user.api.send(method, target, body, token=user.token)
    assert (answer.status, answer.errors) == (404, {"article": ["not found"]})


def test_all_tags_are_listed_once(api: Api, user: User) -> None:
    first, second = unique("t"), unique("t")
    user.publish(tagList=[first, second])
    user.publish(tagList=[second])
    tags = api.get("/tags").json["tags"]
    assert (tags.count(first), tags.count(second)) == (1, 1)
