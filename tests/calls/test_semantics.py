"""What a call means, in every placement."""

import asyncio

import pytest

import ramet
from ramet import BadAnswer, BadArgument, CallError, DeadlineExceeded, RemoteError
from ramet.data.transactions import open_block
from ramet.wire.context import Context, current
from tests.calls.placing import placed, run, wait_until
from tests.calls.shop import Frozen, Item, Note, Shop, SoldOut


def at(shop: Shop, placement: str, body) -> None:
    async def main() -> None:
        async with placed(shop.modules, placement, caller="front", callee="orders") as calls:
            await body(calls)

    run(main())


def test_arguments_arrive_by_position_name_and_default(shop: Shop, placement: str) -> None:
    """The facade has the author's own signature."""

    async def body(_) -> None:
        assert await shop.add(1) == 123
        assert await shop.add(1, 4) == 143
        assert await shop.add(b=5, a=1, c=6) == 156
        with pytest.raises(TypeError):
            await shop.add()
        with pytest.raises(TypeError):
            await shop.add(1, 2, 3)

    at(shop, placement, body)


def test_what_the_callee_changes_stays_with_the_callee(shop: Shop, placement: str) -> None:
    """Arguments are copied, so that an aliasing bug cannot hide until the modules are taken apart."""

    async def body(_) -> None:
        item = Item("a", ["new"])
        assert (await shop.change(item)).tags == ["new", "changed"]
        assert item.tags == ["new"]
        note = Note("n", {})
        assert (await shop.keep(note)).parts == {"x": [1]}
        assert note.parts == {}

    at(shop, placement, body)


def test_what_the_caller_changes_in_a_result_stays_with_the_caller(shop: Shop, placement: str) -> None:
    """Results are copied too."""

    async def body(_) -> None:
        result = await shop.change(Item("a", []))
        result.tags.append("mine")
        assert shop.kept[-1].tags == ["changed"]

    at(shop, placement, body)


def test_deeply_immutable_values_pass_by_reference_in_production(shop: Shop) -> None:
    """Nothing can be changed, so nothing needs to be copied."""

    async def hot(_) -> None:
        current.set(Context(asyncio.get_running_loop().time() + 1000, 5.0))
        shop.orders.calls["frozen"].refill(10)
        value = Frozen("a")
        assert await shop.frozen(value) is value
        assert shop.kept[-1] is value

    at(shop, "together, production", hot)


def test_a_declared_failure_arrives_as_itself(shop: Shop, placement: str) -> None:
    """Failures are values: same type, same fields."""

    async def body(_) -> None:
        with pytest.raises(SoldOut) as caught:
            await shop.buy("x")
        assert caught.value == SoldOut("x", left=3)

    at(shop, placement, body)


@pytest.mark.parametrize(("sku", "type_name"), [("bug", "KeyError"), ("unlisted", "NotListed")])
def test_anything_else_arrives_as_remote_error(shop: Shop, placement: str, sku: str, type_name: str, caplog) -> None:
    """With the type's name and a trace id, and never as a local type; in one process as well."""

    async def body(_) -> None:
        with pytest.raises(RemoteError) as caught:
            await shop.buy(sku)
        assert caught.value.type_name == type_name
        assert len(caught.value.trace_id) == 32
        assert caught.value.may_have_run
        assert caught.value.call == "orders.buy"

    at(shop, placement, body)
    assert any(record.message == "call.failed" for record in caplog.records)


@pytest.mark.parametrize("value", ["1", 1.5, None, [1], 2**70])
def test_an_argument_of_another_type_is_refused_by_name(shop: Shop, placement: str, value: object) -> None:
    """Named, and provably before anything ran."""

    async def body(_) -> None:
        with pytest.raises(BadArgument, match="`b`") as caught:
            await shop.add(1, value)  # type: ignore[arg-type]
        assert not caught.value.may_have_run
        assert shop.ran == 0

    at(shop, placement, body)


def test_a_result_of_another_type_is_the_callees_fault(shop: Shop, placement: str) -> None:
    """A result that does not fit is an error of the call, which may have run."""

    async def body(_) -> None:
        with pytest.raises(BadAnswer) as caught:
            await shop.wrong_result()
        assert caught.value.may_have_run

    at(shop, placement, body)


def test_a_plain_function_runs_in_a_thread_with_its_context(shop: Shop, placement: str) -> None:
    """A `def` may block; it still knows which module it is."""

    async def body(_) -> None:
        assert await shop.plain("in") == "in orders"

    at(shop, placement, body)


def test_the_deadline_ends_the_wait_and_the_work(shop: Shop, placement: str) -> None:
    """A call that takes longer than declared ends in DeadlineExceeded, and its function is cancelled."""

    async def body(_) -> None:
        with pytest.raises(DeadlineExceeded) as caught:
            await shop.slow(30)
        assert caught.value.may_have_run
        await wait_until(lambda: shop.ended == 1)

    at(shop, placement, body)


def test_a_caller_may_ask_for_less_time(shop: Shop, placement: str) -> None:
    """`calling(deadline=)` holds for the calls in its block."""

    async def body(_) -> None:
        with ramet.calling(deadline="50ms"), pytest.raises(DeadlineExceeded):
            await shop.hang()
        await wait_until(lambda: shop.ended == 1)

    at(shop, placement, body)


def test_a_deadline_that_has_passed_starts_nothing(shop: Shop, placement: str) -> None:
    """Deadlines shrink along the tree; below zero there is nothing to do."""

    async def body(_) -> None:
        outer = current.get()
        current.set(outer.derive(deadline=asyncio.get_running_loop().time() - 1))
        try:
            with pytest.raises(DeadlineExceeded) as caught:
                await shop.add(1)
        finally:
            current.set(outer)
        assert not caught.value.may_have_run
        assert shop.ran == 0

    at(shop, placement, body)


def test_a_caller_that_leaves_cancels_the_work(shop: Shop, placement: str) -> None:
    """Nobody works for nobody."""

    async def body(_) -> None:
        task = asyncio.create_task(shop.hang())
        await wait_until(lambda: shop.ran == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await wait_until(lambda: shop.ended == 1)

    at(shop, placement, body)


def test_trace_caller_and_baggage_travel(shop: Shop, placement: str) -> None:
    """The callee knows who calls and for what."""

    async def body(_) -> None:
        with ramet.calling(baggage={"color": "red"}):
            seen = await shop.look()
        assert seen["caller"] == "front"
        assert seen["module"] == "orders"
        assert seen["color"] == "red"
        assert seen["left"] == "some"
        assert len(seen["trace"]) == 32

    at(shop, placement, body)


def test_baggage_has_a_limit(shop: Shop, placement: str) -> None:
    """4 KiB travel with every call of the tree; more is refused where it is set."""

    async def body(_) -> None:
        with pytest.raises(ramet.RametError, match="4096"), ramet.calling(baggage={"x": "y" * 5000}):
            pass

    at(shop, placement, body)


def test_the_context_is_the_callers_again_after_the_call(shop: Shop, placement: str) -> None:
    """A call leaves no trace in its caller."""

    async def body(_) -> None:
        before = ramet.context()
        await shop.add(1)
        assert ramet.context() is before
        with pytest.raises(SoldOut):
            await shop.buy("x")
        assert ramet.context() is before

    at(shop, placement, body)


def test_a_once_call_runs_once_for_a_key(shop: Shop, placement: str) -> None:
    """The second call with a key gets what the first one got."""

    async def body(_) -> None:
        with ramet.calling(key="k1"):
            first = await shop.pay(5)
        with ramet.calling(key="k1"):
            assert await shop.pay(5) == first == "5 as k1"
        assert shop.ran == 1
        with ramet.calling(key="k2"):
            assert await shop.pay(5) == "5 as k2"
        assert await shop.pay(5) != await shop.pay(5)

    at(shop, placement, body)


def test_concurrent_once_calls_share_one_run(shop: Shop, placement: str) -> None:
    """They need not wait for the first one's end to be joined to it."""

    async def one() -> str:
        with ramet.calling(key="same"):
            return await shop.pay(1)

    async def body(_) -> None:
        assert set(await asyncio.gather(*(one() for _ in range(20)))) == {"1 as same"}
        assert shop.ran == 1

    at(shop, placement, body)


def test_many_calls_share_what_there_is(shop: Shop, placement: str) -> None:
    """Each gets its own answer, in whatever order they end."""

    async def body(_) -> None:
        answers = await asyncio.gather(*(shop.add(number) for number in range(500)))
        assert answers == [number * 100 + 23 for number in range(500)]

    at(shop, placement, body)


def test_every_error_of_a_call_says_whether_it_may_have_run(shop: Shop, placement: str) -> None:
    """Rule of the vocabulary: no CallError without the answer, in its text too."""

    async def body(_) -> None:
        for call in (lambda: shop.slow(30), lambda: shop.add("x"), shop.wrong_result, lambda: shop.buy("bug")):  # type: ignore[arg-type]
            with pytest.raises(CallError, match=r"(may have run|did not run)"):
                await call()

    at(shop, placement, body)


class OpenBlock:
    """What `data` keeps while a transaction is open."""

    is_open = True
    pool = task = None


@pytest.mark.parametrize("wire", ["together", "unix"])
def test_a_call_inside_a_transaction_is_an_error_in_strict_mode(shop: Shop, wire: str) -> None:
    """It works together and breaks apart, so development and tests refuse it, before anything ran."""

    async def body(_) -> None:
        before = open_block.set(OpenBlock())
        try:
            with pytest.raises(ramet.RametError, match="inside a transaction"):
                await shop.add(1)
        finally:
            open_block.reset(before)
        assert shop.ran == 0
        assert await shop.add(1) == 123

    at(shop, wire, body)


def test_in_production_a_call_inside_a_transaction_is_counted(shop: Shop) -> None:
    """The request of a user is not failed for it."""

    async def body(calls) -> None:
        before = open_block.set(OpenBlock())
        try:
            assert await shop.add(1) == 123
        finally:
            open_block.reset(before)
        counted = [each for each in calls.recorder.all_counters() if each.metric.name == "ramet_calls_in_transaction"]
        assert sum(each.value for each in counted) == 1

    at(shop, "together, production", body)
