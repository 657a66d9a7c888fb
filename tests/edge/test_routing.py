"""Which path leads where."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramet.edge.routing import Router

STR = {"kind": "str"}
PATHS = {
    "/items": {},
    "/items/{slug}": {"slug": STR},
    "/items/feed": {},
    "/items/{slug}/tags": {"slug": STR},
    "/items/feed/{day}": {"day": {"kind": "date"}},
    "/things/{number}": {"number": {"kind": "int"}},
    "/things/{name}": {"name": STR},
    "/things/{key}": {"key": {"kind": "uuid"}},
    "/": {},
}


@pytest.fixture(scope="module")
def router() -> Router[str]:
    made: Router[str] = Router()
    for path, shapes in PATHS.items():
        # All under methods of their own where they would meet.
        made.add("GET", path, path, shapes=shapes)
    made.add("DELETE", "/items/{slug}", "delete", shapes={"slug": STR})
    made.mount("", "everything")
    made.mount("/old", "old")
    made.mount("/old/deeper", "deeper")
    return made


@pytest.mark.parametrize(
    ("path", "handler", "values"),
    [
        ("/", "/", ()),
        ("/items", "/items", ()),
        ("/items/feed", "/items/feed", ()),
        ("/items/a", "/items/{slug}", ("a",)),
        ("/items/feed/tags", "/items/{slug}/tags", ("feed",)),
        ("/items/feed/2026-01-02", "/items/feed/{day}", ("2026-01-02",)),
        ("/things/12", "/things/{number}", ("12",)),
        ("/things/twelve", "/things/{name}", ("twelve",)),
        ("/things/7d5e8f0a-0000-4000-8000-000000000000", "/things/{key}", ("7d5e8f0a-0000-4000-8000-000000000000",)),
    ],
)
def test_the_most_particular_route_wins(router: Router[str], path: str, handler: str, values: tuple[str, ...]) -> None:
    """Fixed before parameters, a parameter whose type fits the text before one that takes all; dead ends are left again."""
    assert router.find("GET", path) == (handler, values)


@pytest.mark.parametrize("path", ["", "//", "/items/", "/items//tags", "/items/a/b/c", "/nothing", "/items/a/tags/"])
def test_near_misses_are_misses(router: Router[str], path: str) -> None:
    """A slash more is another path, and a parameter is never empty."""
    assert router.find("GET", path) is None


def test_a_method_may_be_served_by_another_route_of_the_same_path(router: Router[str]) -> None:
    """GET /items/feed is fixed; DELETE /items/feed deletes the item that is called feed."""
    assert router.find("DELETE", "/items/feed") == ("delete", ("feed",))
    assert router.allowed("/items/feed") == ["GET", "DELETE"]


def test_an_encoded_slash_is_part_of_the_value(router: Router[str]) -> None:
    """Which the decoded path alone cannot tell."""
    assert router.find("GET", "/items/a/b", b"/items/a%2Fb") == ("/items/{slug}", ("a/b",))


def test_the_longest_prefix_takes_what_is_left(router: Router[str]) -> None:
    """And a prefix ends at a slash."""
    assert router.find_mount("/old/deeper/x") == ("deeper", "/old/deeper")
    assert router.find_mount("/old/deep") == ("old", "/old")
    assert router.find_mount("/older") == ("everything", "")


@given(st.text(alphabet="/ab{}%?#\x00é", max_size=12), st.binary(max_size=12))
def test_any_text_is_found_or_not(path: str, raw: bytes) -> None:
    """Whatever comes, an answer comes back."""
    made: Router[str] = Router()
    made.add("GET", "/a/{x}/b", "h", shapes={"x": STR})
    found = made.find("GET", path, raw)
    assert found is None or found[0] == "h"
