"""Profiles, following, and the lists of articles."""

from typing import Any

import pytest
from conftest import Api, User, path, unique


def slugs(answer: Any) -> list[str]:
    assert answer.status == 200, answer
    return [article["slug"] for article in answer.json["articles"]]


def test_a_profile_shows_what_its_user_tells(api: Api, user: User) -> None:
    user.put("/user", {"user": {"bio": "I write", "image": "https://example.org/me.jpg"}})
    expected = {"username": user.name, "bio": "I write", "image": "https://example.org/me.jpg", "following": False}
    for reader in (api, user):
        answer = reader.get(path("profiles", user.name))
        assert (answer.status, answer.json) == (200, {"profile": expected})


def test_following_is_the_readers_own(api: Api, user: User, other: User) -> None:
    profile = path("profiles", other.name)
    for _ in range(2):
        answer = user.post(f"{profile}/follow")
        assert (answer.status, answer.json["profile"]["following"]) == (200, True)
    assert user.get(profile).json["profile"]["following"] is True
    assert api.get(profile).json["profile"]["following"] is False
    assert other.get(path("profiles", user.name)).json["profile"]["following"] is False
    for _ in range(2):
        answer = user.delete(f"{profile}/follow")
        assert (answer.status, answer.json["profile"]["following"]) == (200, False)
    assert user.get(profile).json["profile"]["following"] is False


def test_a_name_may_have_any_characters(api: Api) -> None:
    name = unique("ümlaut / 100% ?")
    body = {"username": name, "email": f"{unique('name')}@example.org", "password": "correct horse"}
    assert api.post("/users", {"user": body}).status == 201
    assert api.get(path("profiles", name)).json["profile"]["username"] == name


def test_nobody_is_not_found(api: Api, user: User) -> None:
    nobody = path("profiles", unique("nobody"))
    for answer in (api.get(nobody), user.get(nobody), user.post(f"{nobody}/follow"), user.delete(f"{nobody}/follow")):
        assert (answer.status, answer.errors) == (404, {"profile": ["not found"]})
    for answer in (api.post(f"{nobody}/follow"), api.delete(f"{nobody}/follow")):
        assert (answer.status, answer.errors) == (401, {"token": ["is missing"]})


def test_a_list_has_everything_but_bodies(api: Api, user: User) -> None:
    article = user.publish(tagList=["z", "a"])
    del article["body"]
    answer = api.get(f"/articles?author={user.name}")
    assert (answer.status, answer.json) == (200, {"articles": [article], "articlesCount": 1})


def test_lists_come_newest_first_and_in_pages(api: Api, user: User) -> None:
    published = [user.publish()["slug"] for _ in range(3)][::-1]
    assert slugs(api.get(f"/articles?author={user.name}")) == published
    for offset in range(4):
        answer = api.get(f"/articles?author={user.name}&limit=2&offset={offset}")
        assert slugs(answer) == published[offset : offset + 2]
        assert answer.json["articlesCount"] == 3
    newest = api.get("/articles?limit=5").json["articles"]
    assert [each["createdAt"] for each in newest] == sorted((each["createdAt"] for each in newest), reverse=True)


def test_a_page_has_20_articles_if_nothing_is_said(api: Api, user: User) -> None:
    for _ in range(21):
        user.publish()
    answer = api.get(f"/articles?author={user.name}")
    assert len(slugs(answer)) == 20
    assert answer.json["articlesCount"] == 21
    assert len(slugs(api.get(f"/articles?author={user.name}&limit=1000"))) == 21


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=-1", "limit=x", "offset=-1", "offset=x", "limit=1.5", "limit=" + "9" * 30, "offset=" + "9" * 30]
)
@pytest.mark.parametrize("target", ["/articles", "/articles/feed"])
def test_a_page_that_cannot_be_is_refused(user: User, target: str, query: str) -> None:
    answer = user.get(f"{target}?{query}")
    assert answer.status == 422
    assert list(answer.errors) == [query.partition("=")[0]]


@pytest.mark.parametrize(
    "target", ["/articles/%00", "/profiles/%00", "/articles/%FF", "/articles?tag=%00", "/articles?author=%FF"]
)
def test_texts_that_no_database_can_hold_are_refused(api: Api, target: str) -> None:
    assert api.get(target).status in {400, 404, 422}


def test_filters_combine(api: Api, user: User, other: User) -> None:
    tag = unique("tag")
    liked = user.publish(tagList=["x", tag])["slug"]
    tagged = user.publish(tagList=[tag])["slug"]
    plain = user.publish()["slug"]
    others = other.publish(tagList=[tag])["slug"]
    other.post(path("articles", liked, "favorite"))
    other.post(path("articles", others, "favorite"))
    for query, expected in {
        f"tag={tag}": [others, tagged, liked],
        f"author={user.name}": [plain, tagged, liked],
        f"favorited={other.name}": [others, liked],
        f"tag={tag}&author={user.name}": [tagged, liked],
        f"favorited={other.name}&author={user.name}": [liked],
        f"favorited={other.name}&author={user.name}&tag={tag}": [liked],
        f"favorited={user.name}": [],
        f"author={unique('nobody')}": [],
        f"favorited={unique('nobody')}": [],
        f"tag={unique('none')}": [],
    }.items():
        answer = api.get(f"/articles?{query}")
        assert slugs(answer) == expected, query
        assert answer.json["articlesCount"] == len(expected), query


def test_what_is_deleted_is_in_no_list(api: Api, user: User, other: User) -> None:
    tag = unique("tag")
    slug = user.publish(tagList=[tag])["slug"]
    other.post(path("articles", slug, "favorite"))
    other.post(path("profiles", user.name, "follow"))
    user.delete(path("articles", slug))
    for answer in (api.get(f"/articles?tag={tag}"), api.get(f"/articles?favorited={other.name}"), other.get("/articles/feed")):
        assert answer.json == {"articles": [], "articlesCount": 0}


def test_a_list_is_seen_by_its_reader(api: Api, user: User, other: User) -> None:
    slug = other.publish()["slug"]
    user.post(path("profiles", other.name, "follow"))
    user.post(path("articles", slug, "favorite"))
    for reader, is_mine in ((user, True), (api, False), (other, False)):
        (article,) = reader.get(f"/articles?author={other.name}").json["articles"]
        assert (article["author"]["following"], article["favoritesCount"]) == (is_mine, 1)
        assert article["favorited"] is is_mine


def test_the_feed_has_the_articles_of_whom_one_follows(user: User, other: User) -> None:
    user.publish()
    assert user.get("/articles/feed").json == {"articles": [], "articlesCount": 0}
    older, newer = (other.publish()["slug"] for _ in range(2))
    user.post(path("profiles", other.name, "follow"))
    answer = user.get("/articles/feed")
    assert slugs(answer) == [newer, older]
    assert answer.json["articlesCount"] == 2
    assert all(article["author"]["following"] and "body" not in article for article in answer.json["articles"])
    answer = user.get("/articles/feed?limit=1&offset=1")
    assert slugs(answer) == [older]
    assert answer.json["articlesCount"] == 2
    user.delete(path("profiles", other.name, "follow"))
    assert user.get("/articles/feed").json == {"articles": [], "articlesCount": 0}


def test_the_feed_counts_what_is_new_since_the_last_look(user: User, other: User) -> None:
    """The feed's own data: a mark for each reader. Further pages move nothing."""
    user.post(path("profiles", other.name, "follow"))
    assert user.get("/articles/feed").headers["x-feed-unseen"] == "0"
    other.publish()
    other.publish()
    assert "x-feed-unseen" not in user.get("/articles/feed?offset=1").headers
    assert user.get("/articles/feed").headers["x-feed-unseen"] == "2"
    assert user.get("/articles/feed").headers["x-feed-unseen"] == "0"


def test_the_feed_is_somebodys(api: Api) -> None:
    answer = api.get("/articles/feed")
    assert (answer.status, answer.errors) == (401, {"token": ["is missing"]})


def test_browsers_of_other_origins_are_served(api: Api) -> None:
    asked = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
    answer = api.send("OPTIONS", "/users", **asked)
    assert answer.status in {200, 204}
    assert answer.headers["access-control-allow-origin"] in {"*", "https://example.org"}
    assert api.send("GET", "/tags", Origin="https://example.org").headers["access-control-allow-origin"]
