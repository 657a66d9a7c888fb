"""Where calls and requests go, from the system and the releases alone."""

import pytest

from ramet.engines.envoy_model import Endpoint, Route
from ramet.model.release import HttpEndpoint, Part, Release
from ramet.model.routing import Address, Owner
from ramet.model.system import Running, System
from ramet.operate import traffic


def release(version: str, **modules: Part) -> Release:
    return Release(app="shop", version=version, file="ramet.toml", python="python", modules=modules)


def get(path: str, *, is_repeatable: bool = False) -> HttpEndpoint:
    return HttpEndpoint("GET", path, "call", is_repeatable)


ONE = release("1", orders=Part(endpoints=(get("/orders/{id}", is_repeatable=True),)), front=Part(endpoints=(get("/"),)))
TWO = release(
    "2",
    orders=Part(endpoints=(get("/orders/{number}", is_repeatable=True), get("/orders/new/report"))),
    front=Part(endpoints=(get("/"),)),
)
RELEASES = {"1": ONE, "2": TWO}
BOTH = ("front", "orders")


def system(share: int) -> System:
    """share: percent of version 2."""
    shares = {"main@1": 100 - share, "main@2": share}
    return System(
        instances=(Running("main-1", "main@1", BOTH), Running("main-2", "main@2", BOTH)),
        shares=dict.fromkeys(BOTH, shares),
    )


def targets(routes: list[Route], path: str, method: str = "") -> dict[str, int]:
    """place -> weight of the route with this path."""
    [found] = [each for each in routes if each.prefix == path and (not method or method in each.methods)]
    return {f"{each.service}@{each.version}": each.weight for each in found.targets}


@pytest.mark.parametrize(("share", "expected"), [(0, {"main@1": 100}), (5, {"main@1": 95, "main@2": 5}), (100, {"main@2": 100})])
def test_a_path_of_both_versions_goes_by_shares(share: int, expected: dict[str, int]) -> None:
    """One route, whatever its parameters are called; a place without a share is no target."""
    routes = traffic.routes(system(share), RELEASES)
    assert targets(routes, "/orders/{number}" if share == 100 else "/orders/{id}") == expected


def test_what_only_the_new_version_serves_goes_to_it_alone_and_not_before_it_has_a_share() -> None:
    """Else 95 of 100 requests for it would meet 404."""
    assert "/orders/new/report" not in {each.prefix for each in traffic.routes(system(0), RELEASES)}
    assert targets(traffic.routes(system(5), RELEASES), "/orders/new/report") == {"main@2": 5}


def test_a_path_of_two_modules_goes_by_method_to_each() -> None:
    """HEAD with GET; the first takes what the path does not have, and answers 405."""
    parts = {"a": Part(endpoints=(HttpEndpoint("GET", "/x"),)), "b": Part(endpoints=(HttpEndpoint("POST", "/x"),))}
    apart = System(
        instances=(Running("a-1", "a@1", ("a",)), Running("b-1", "b@1", ("b",))), shares={"a": {"a@1": 100}, "b": {"b@1": 100}}
    )
    posts, rest, _ = traffic.routes(apart, {"1": release("1", **parts)})
    assert (posts.prefix, posts.methods, [each.service for each in posts.targets]) == ("/x", ("POST",), ["b"])
    assert (rest.prefix, tuple(rest.methods), [each.service for each in rest.targets]) == ("/x", (), ["a"])
    swapped = {"a": parts["b"], "b": parts["a"]}
    gets, *_ = traffic.routes(apart, {"1": release("1", **swapped)})
    assert gets.methods == ("GET", "HEAD")


def test_only_a_get_that_may_run_twice_is_sent_again() -> None:
    """By the contract of its call."""
    routes = {each.prefix: each.idempotent for each in traffic.routes(system(5), RELEASES)}
    assert routes == {"/orders/{id}": True, "/orders/new/report": False, "/": False}


def test_mounts_are_led_by_prefix_and_the_rest_goes_to_the_first_module() -> None:
    """So that somebody answers 404."""
    parts = {"a": Part(), "b": Part(mounts=("/old",))}
    apart = System(
        instances=(Running("a-1", "a@1", ("a",)), Running("b-1", "b@1", ("b",))), shares={"a": {"a@1": 100}, "b": {"b@1": 100}}
    )
    routes = traffic.routes(apart, {"1": release("1", **parts)})
    assert [(each.prefix, each.is_exact) for each in routes] == [("/old", False), ("/", False)]
    assert targets(routes, "/old") == {"b@1": 100}
    assert targets(routes, "/") == {"a@1": 100}


def test_methods_that_no_endpoint_of_a_path_takes_go_on_to_the_mount_that_holds_it() -> None:
    """One endpoint of an old application moved, and was extracted: DELETE of the same path has not moved."""
    parts = {"old": Part(mounts=("/old",)), "new": Part(endpoints=(get("/old/x"), HttpEndpoint("POST", "/old/x"), get("/older")))}
    apart = System(
        instances=(Running("a-1", "a@1", ("old",)), Running("b-1", "b@1", ("new",))),
        shares={"old": {"a@1": 100}, "new": {"b@1": 100}},
    )
    routes = traffic.routes(apart, {"1": release("1", **parts)})
    assert [(each.prefix, tuple(each.methods), each.targets[0].service) for each in routes] == [
        ("/old/x", ("GET", "POST", "HEAD"), "b"),
        ("/older", (), "b"),
        ("/old", (), "a"),
        ("/", (), "a"),
    ]


def test_a_cluster_has_the_instances_of_its_place_that_listen() -> None:
    """One for each version of a service."""
    made = traffic.clusters(system(5), {"main-1": ("127.0.0.1", 1)})
    assert [(each.name, list(each.endpoints)) for each in made] == [("main@1", [Endpoint("127.0.0.1", 1)]), ("main@2", [])]


def test_a_table_tells_who_hosts_what_with_which_share_and_who_owns_it() -> None:
    """Every instance is told the same."""
    addresses = {"main-1": Address("main-1", "main", "1"), "main-2": Address("main-2", "main", "2")}
    owner = Owner("main-1", 3)
    table = traffic.table(system(25), addresses, {"orders": owner}, 7)
    assert table.epoch == 7
    assert table.modules == {module: list(addresses.values()) for module in BOTH}
    assert table.shares["orders"] == {"main@1": 75, "main@2": 25}
    assert table.owners == {"orders": owner}
