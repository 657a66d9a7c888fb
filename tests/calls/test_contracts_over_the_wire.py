"""Two versions of a module meet: equal, additively different, incompatible, not allowed."""

import tempfile
from pathlib import Path

import pytest

import ramet
from ramet import ContractMismatch, Module, NotAllowed, Unavailable
from ramet.calls.server_connection import door
from ramet.calls.transport import listen_tcp
from ramet.model.routing import Address
from tests.calls.placing import APART, calling_from, run, serving
from tests.calls.shop import Shop


def old() -> tuple[Module, Module]:
    orders, front = Module("orders"), Module("front", uses=["orders"])

    @orders.expose
    async def price(sku: str) -> float:
        return 1.0

    @orders.expose
    async def stock(sku: str) -> int:
        return 5

    return orders, front


def new() -> tuple[Module, Module]:
    orders, front = Module("orders"), Module("front", uses=["orders"])

    @orders.expose
    async def price(sku: str, currency: str = "EUR") -> float:
        return {"EUR": 2.0, "USD": 2.2}[currency]

    @orders.expose
    async def stock(warehouse: int) -> list[int]:
        return [warehouse]

    @orders.expose
    async def added() -> str:
        return "new"

    return orders, front


def meet(server: tuple[Module, Module], client: tuple[Module, Module], body, placement: str = "unix") -> None:
    async def main() -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            async with (
                serving(server, hosts="orders", placement=placement, folder=folder) as (_, address),
                calling_from(client, caller="front", addresses={"orders": [address]}, folder=folder, placement=placement),
            ):
                await body(client[0].calls)

    run(main())


def test_an_older_caller_gets_the_new_default() -> None:
    """An optional parameter is additive: sent by name, it takes the callee's default."""

    async def body(calls) -> None:
        assert await calls["price"].facade("a") == 2.0

    meet(new(), old(), body)


def test_a_newer_caller_may_leave_the_new_parameter_out() -> None:
    """At its default it is not sent, so the older callee understands the call."""

    async def body(calls) -> None:
        assert await calls["price"].facade("a") == 1.0

    meet(old(), new(), body)


def test_a_newer_caller_that_sets_it_is_refused_by_name() -> None:
    """Dropping what the caller asked for would be worse."""

    async def body(calls) -> None:
        with pytest.raises(ramet.BadArgument, match="currency") as caught:
            await calls["price"].facade("a", "USD")
        assert not caught.value.may_have_run

    meet(old(), new(), body)


def test_an_incompatible_call_is_refused_with_both_signatures() -> None:
    """And only that call: the others work."""

    async def body(calls) -> None:
        with pytest.raises(ContractMismatch) as caught:
            await calls["stock"].facade("a")
        text = str(caught.value)
        assert "caller: orders.stock(sku: str) -> int" in text
        assert "callee: orders.stock(warehouse: int) -> list[int]" in text
        assert not caught.value.may_have_run
        assert await calls["price"].facade("a") == 2.0

    meet(new(), old(), body)


def test_a_call_that_the_callee_does_not_have_is_unavailable() -> None:
    """Named, at once, and not sent."""

    async def body(calls) -> None:
        with pytest.raises(Unavailable, match="does not host"):
            await calls["added"].facade()

    meet(old(), new(), body)


@pytest.mark.parametrize("placement", ["together", *APART])
def test_a_module_that_did_not_declare_it_is_refused(placement: str) -> None:
    """`uses` is enforced where the call is made, and by the callee."""
    shop = Shop()

    async def main() -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            async with (
                serving(shop.modules, hosts="orders", placement=placement, folder=folder) as (_, address),
                calling_from(
                    shop.modules, caller="stranger", addresses={"orders": [address]}, folder=folder, placement=placement
                ),
            ):
                with pytest.raises(ramet.RametError, match="stranger"):
                    await shop.add(1)
        assert shop.ran == 0

    run(main())


def test_the_callee_refuses_a_caller_whose_own_check_is_off() -> None:
    """A production caller does not check; its callee still does."""
    shop = Shop()

    async def main() -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            settings = ramet.settings.Settings(strict=False)
            async with (
                serving(shop.modules, hosts="orders", folder=folder) as (_, address),
                calling_from(shop.modules, caller="stranger", addresses={"orders": [address]}, folder=folder, settings=settings),
            ):
                with pytest.raises(NotAllowed) as caught:
                    await shop.add(1)
                assert not caught.value.may_have_run

    run(main())


@pytest.mark.parametrize(("outside", "allowed"), [(True, True), (False, False)])
def test_code_outside_of_modules_needs_a_door_of_its_own(outside: bool, allowed: bool) -> None:
    """A Unix door is for this user's own tools; the network's door is for modules."""
    shop = Shop()

    async def main() -> None:
        with tempfile.TemporaryDirectory() as name:
            async with serving(shop.modules, hosts="orders", folder=Path(name)) as (server, _):
                listener, port = await listen_tcp("127.0.0.1", 0, door(server.server, outside=outside), tls=None)
                address = Address("orders-1", "orders", host="127.0.0.1", port=port)
                async with calling_from(shop.modules, caller="front", addresses={"orders": [address]}, folder=Path(name)):
                    with ramet.calling():
                        from ramet.wire.context import NOTHING, current

                        current.set(NOTHING)
                        if allowed:
                            assert await shop.add(1) == 123
                        else:
                            with pytest.raises(NotAllowed, match="outside"):
                                await shop.add(1)
                listener.close()

    run(main())


def test_a_certificate_of_another_service_is_refused() -> None:
    """Who calls itself `front` must be `front`."""
    shop = Shop()

    async def main() -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            async with serving(shop.modules, hosts="orders", placement="mtls", folder=folder) as (server, address):
                wrong = Address("other-1", "other", host=address.host, port=address.port)
                async with calling_from(
                    shop.modules, caller="front", addresses={"orders": [wrong]}, folder=folder, placement="mtls"
                ) as client:
                    with ramet.calling(deadline="1s"), pytest.raises(ramet.CallError) as caught:
                        await shop.add(1)
                    assert "certificate names 'orders'" in str(caught.value)
                    assert client.statistics()
                assert server.server.in_flight == 0

    run(main())


def test_a_peer_without_a_certificate_gets_nowhere() -> None:
    """mTLS: both sides show who they are."""
    shop = Shop()

    async def main() -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            async with (
                serving(shop.modules, hosts="orders", placement="mtls", folder=folder) as (_, address),
                calling_from(shop.modules, caller="front", addresses={"orders": [address]}, folder=folder, placement="tcp"),
            ):
                with ramet.calling(deadline="1s"), pytest.raises(ramet.CallError) as caught:
                    await shop.add(1)
                assert not caught.value.may_have_run
        assert shop.ran == 0

    run(main())
