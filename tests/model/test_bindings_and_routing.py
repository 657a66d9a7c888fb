"""HTTP bindings as data, and the table of where modules are."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramet import Module
from ramet.errors import DeclarationError
from ramet.model.http import METHODS, Endpoint, Source
from ramet.model.routing import Address, RoutingTable
from tests.wire.generated import quick


def bound(path: str, **options: Any) -> Endpoint:
    module = Module("shop")

    @module.get(path, **options)
    async def show(slug: str, page: int = 1) -> str:
        return slug

    return module.endpoints[0]


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/", []),
        ("/articles", []),
        ("/articles/{slug}", ["slug"]),
        ("/articles/{slug}/pages/{page}", ["slug", "page"]),
        ("/a-b_c.d~e/$&'()*+,;=:@!%20", []),
        ("/articles/", []),
    ],
)
def test_a_path_names_parameters_of_its_call(path: str, names: list[str]) -> None:
    """Any character that a URL's path may have, and names in braces."""
    assert [binding.name for binding in bound(path).from_source(Source.PATH)] == names


WRONG_PATHS = {
    "": "not a path",
    "articles": "not a path",
    "articles/{slug}": "not a path",
    "/articles/{slug": "not a path",
    "/articles/slug}": "not a path",
    "/articles/{}": "not a path",
    "/articles/{1}": "not a path",
    "/articles/a{slug}": "not a path",
    "/articles/{slug:path}": "not a path",
    "/articles?page={page}": "not a path",
    "/articles#top": "not a path",
    "/my articles": "not a path",
    "/artíkel": "not a path",
    "/a\n": "not a path",
    "/articles/{id}": "names {id}, which is not a parameter",
    "/{slug}/{slug}": "names a parameter twice",
}


@pytest.mark.parametrize("path", WRONG_PATHS)
def test_a_path_that_cannot_be_served_is_an_error_at_import(path: str) -> None:
    """With the call, the place and what to write."""
    with pytest.raises(DeclarationError) as caught:
        bound(path)
    assert WRONG_PATHS[path] in caught.value.message
    assert caught.value.message.startswith("shop.show: ")
    assert (caught.value.where or "").startswith(__file__)


@pytest.mark.parametrize("path", ["/" + "a" * 5000 + " ", "/" + "{a}" * 2000 + "{", "/a" * 3000 + " ", "//" * 3000 + "?"])
def test_a_long_wrong_path_is_refused_without_backtracking(path: str) -> None:
    """The pattern repeats a repetition: it must have one way to match."""
    with pytest.raises(DeclarationError):
        bound(path)


@pytest.mark.parametrize(
    ("status", "taken"), [(200, True), (201, True), (204, True), (299, True), (199, False), (300, False), (404, False)]
)
def test_the_status_of_a_binding_is_that_of_a_success(status: int, taken: bool) -> None:
    """A failure has its own."""
    if taken:
        assert bound("/a", status=status).status == status
    else:
        with pytest.raises(DeclarationError, match=f"status={status} is not a success"):
            bound("/a", status=status)


@pytest.mark.parametrize("method", METHODS)
def test_each_verb_exposes_a_call_and_binds_it(method: str) -> None:
    """One declaration, two ways in. A GET is idempotent by itself, the others by declaration."""
    module = Module("shop")

    async def show(slug: str) -> str:
        return slug

    getattr(module, method.lower())("/articles/{slug}", deadline="1s")(show)
    contract = module.contract("show")
    [endpoint] = module.endpoints
    assert (endpoint.method, endpoint.path, endpoint.name, endpoint.status) == (method, "/articles/{slug}", "show", 200)
    assert contract is not None
    assert contract.idempotent == (method == "GET")
    assert contract.deadline_s == 1.0


# Routing

addresses = st.builds(
    Address,
    instance=st.text(max_size=5),
    service=st.text(max_size=5),
    version=st.text(max_size=3),
    unix=st.text(max_size=5),
    host_id=st.text(max_size=3),
    host=st.text(max_size=5),
    port=st.integers(0, 65535),
)


@quick
@given(
    st.builds(
        RoutingTable, epoch=st.integers(0, 2**63), modules=st.dictionaries(st.text(max_size=5), st.lists(addresses, max_size=3))
    )
)
def test_a_routing_table_survives_as_json_and_as_msgpack(table: RoutingTable) -> None:
    """It is pushed to instances, and each keeps its last one on disk."""
    assert msgspec.json.decode(msgspec.json.encode(table), type=RoutingTable) == table
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(table), type=RoutingTable) == table


def test_an_instance_of_today_reads_the_table_of_tomorrow() -> None:
    """The controller may be newer than the instances."""
    text = b'{"epoch": 3, "region": "eu", "modules": {"feed": [{"instance": "feed-1", "service": "feed", "zone": "a"}]}}'
    table = msgspec.json.decode(text, type=RoutingTable)
    assert table == RoutingTable(3, {"feed": [Address("feed-1", "feed")]})


def test_an_address_reads_as_where_it_is() -> None:
    """In logs and errors."""
    assert str(Address("feed-1", "feed", unix="/run/feed-1.sock", host="10.0.0.1", port=80)) == "feed-1 (/run/feed-1.sock)"
    assert str(Address("feed-1", "feed", host="10.0.0.1", port=80)) == "feed-1 (10.0.0.1:80)"
