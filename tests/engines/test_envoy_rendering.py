"""The files for Envoy, as values: no Envoy runs here."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramet.engines import envoy_changes
from ramet.engines.envoy_config import CLUSTERS, LISTENERS, ROUTES, Files, render, render_bootstrap, version_of
from ramet.engines.envoy_model import Cluster, Endpoint, Listener, Route, Target, cluster_name
from ramet.errors import ConfigError

LISTENER = Listener(port=8080)


def cluster(version: str = "v1", *ports: int, service: str = "web") -> Cluster:
    return Cluster(service=service, version=version, endpoints=[Endpoint("127.0.0.1", port) for port in ports or (9001,)])


def to(version: str = "v1", weight: int = 1, *, service: str = "web") -> Target:
    return Target(service=service, version=version, weight=weight)


def routes_of(files: Files) -> list[dict[str, Any]]:
    table: Any = json.loads(files[ROUTES])
    return table["resources"][0]["virtual_hosts"][0]["routes"]


def made(*routes: Route, clusters: Sequence[Cluster] = (cluster(),)) -> Files:
    return render(routes=routes, clusters=clusters, listener=LISTENER)


def test_the_longest_prefix_comes_first() -> None:
    """Envoy takes the first route that matches, so `/` before `/a` would take everything."""
    rendered = routes_of(made(*(Route(prefix=prefix, targets=[to()]) for prefix in ("/", "/a", "/a/long", "/b"))))
    assert [route["match"] for route in rendered] == [
        {"path_separated_prefix": "/a/long"},
        {"path_separated_prefix": "/a"},
        {"path_separated_prefix": "/b"},
        {"prefix": "/"},
    ]


def test_a_template_is_matched_to_the_letter() -> None:
    """A path with a slash more is another one, which a mounted application may have: Django's end with one."""
    paths = ("/", "/a", "/a/", "/a/{id}", "/{id}/")
    rendered = routes_of(made(*(Route(prefix=path, targets=[to()], is_exact=True) for path in paths)))
    assert [route["match"]["safe_regex"]["regex"] for route in rendered] == ["/", "/a", "/a/", "/a/[^/]+", "/[^/]+/"]


def test_only_safe_methods_of_idempotent_routes_are_sent_again_after_a_reset() -> None:
    """A POST that was reset may have run: sending it again could write twice, whatever the route says of its GETs."""
    safe, other = routes_of(made(Route(prefix="/", targets=[to()], idempotent=True)))
    assert safe["match"]["headers"][0]["string_match"]["safe_regex"]["regex"] == "GET|HEAD|OPTIONS"
    assert "reset" in safe["route"]["retry_policy"]["retry_on"].split(",")
    assert "headers" not in other["match"]
    assert set(other["route"]["retry_policy"]["retry_on"].split(",")) == {
        "connect-failure",
        "refused-stream",
        "reset-before-request",
    }
    (plain,) = routes_of(made(Route(prefix="/", targets=[to()])))
    assert plain == other
    (never,) = routes_of(made(Route(prefix="/", targets=[to()], retries=0)))
    assert "retry_policy" not in never["route"]


def test_the_version_is_that_of_the_content() -> None:
    """Equal content is not written again, and different content can be told from what is in force."""
    one, same = made(Route(prefix="/", targets=[to()])), made(Route(prefix="/", targets=[to()]))
    other = made(Route(prefix="/", targets=[to()], timeout_s=2))
    assert one == same
    assert version_of(one[ROUTES]) != version_of(other[ROUTES])
    assert one[CLUSTERS] == other[CLUSTERS]


def test_an_instance_more_changes_only_the_instances() -> None:
    """A cluster that is made anew forgets the health of its instances and their connections."""
    before, after = made(clusters=[cluster("v1", 9001)]), made(clusters=[cluster("v1", 9001, 9002)])
    assert [path for path in after if after[path] != before[path]] == ["eds/web@v1.json"]


def test_nothing_is_cached_and_no_access_log_is_written_by_default() -> None:
    """What answers is always an instance, and what is logged is what it recorded."""
    text = b"".join(made(Route(prefix="/", targets=[to()])).values())
    assert b"cache" not in text
    assert b"access_log" not in text
    logged = render(routes=[], clusters=[], listener=Listener(port=1, access_log=True))
    assert b"StdoutAccessLog" in logged[LISTENERS]


def test_the_bootstrap_keeps_a_node_named_n() -> None:
    """In YAML that name is the value false."""
    from pathlib import Path

    assert json.loads(render_bootstrap(node="n", admin_socket=Path("/x")))["node"]["id"] == "n"


@pytest.mark.parametrize(
    ("routes", "clusters", "complaint"),
    [
        pytest.param([Route(prefix="a", targets=[to()])], [cluster()], "not a path prefix", id="no leading slash"),
        pytest.param([Route(prefix="/a?b", targets=[to()])], [cluster()], "not a path prefix", id="a query"),
        pytest.param([Route(prefix="/a", targets=[to("v9")])], [cluster()], "web v9, which is not among", id="unknown version"),
        pytest.param([Route(prefix="/a", targets=[to("v1", 0)])], [cluster()], "nowhere", id="all weights are 0"),
        pytest.param([Route(prefix="/a", targets=[])], [cluster()], "nowhere", id="no target"),
        pytest.param([Route(prefix="/a", targets=[to("v1", -1)])], [cluster()], "nowhere", id="a weight below 0"),
        pytest.param([Route(prefix=p, targets=[to()]) for p in ("/a", "/a/")], [cluster()], "twice", id="a prefix twice"),
        pytest.param([], [cluster(), cluster()], "twice", id="a cluster twice"),
        pytest.param([], [cluster(service="../x")], "cannot name", id="a name that is a path"),
        pytest.param(
            [],
            [Cluster(service="web", version="v1", endpoints=[Endpoint("localhost", 1)])],
            "not an IP address",
            id="a host name",
        ),
    ],
)
def test_what_envoy_would_refuse_or_serve_wrongly_is_an_error_here(
    routes: list[Route], clusters: list[Cluster], complaint: str
) -> None:
    """Our message names the route; Envoy's would name a field of a protocol buffer, and only after the file was written."""
    with pytest.raises(ConfigError, match=complaint):
        render(routes=routes, clusters=clusters, listener=LISTENER)


VERSIONS = st.sets(st.sampled_from(["v1", "v2", "v3", "v4"]), min_size=1)


@st.composite
def configurations(draw: st.DrawFn) -> Files:
    versions = sorted(draw(VERSIONS))
    clusters = [cluster(version, *draw(st.sets(st.integers(9001, 9004), min_size=1))) for version in versions]
    used = draw(st.sets(st.sampled_from(versions), min_size=1))
    route = Route(prefix="/", targets=[to(version, draw(st.integers(1, 3))) for version in sorted(used)])
    return render(routes=[route], clusters=clusters, listener=LISTENER)


@given(before=st.just({}) | configurations(), after=configurations())
def test_no_route_ever_leads_to_a_cluster_that_is_not_there(before: Files, after: Files) -> None:
    """The order of the groups is what keeps every request of a change alive; it must hold from anything to anything."""
    state = dict(before)
    for group in envoy_changes.phases(before, after):
        state |= group
        if ROUTES not in state:
            continue
        clusters = envoy_changes.names_in(state[CLUSTERS])
        for route in routes_of(state):
            for target in route["route"]["weighted_clusters"]["clusters"]:
                assert target["name"] in clusters
        assert all(f"eds/{name}.json" in state for name in clusters)
    kept = {path: content for path, content in state.items() if path not in envoy_changes.leftovers(state, after)}
    assert kept == after
    assert envoy_changes.phases(after, after) == []


def test_the_name_of_a_cluster_is_its_service_and_version() -> None:
    """The name that statistics carry, and gates look for."""
    assert cluster().name == cluster_name("web", "v1") == "web@v1"
