"""What is counted of statements, on a real server: by the call that runs them, with the slowest's parameters and what repeats."""

import asyncio
import datetime
import decimal
import enum
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramet.data import errors
from ramet.data.insight import literals
from ramet.data.insight.collecting import MAX_OPEN, MAX_QUERIES, QueryLog
from ramet.data.insight.fingerprint import fingerprint
from ramet.model.insight import Queries, QueryUse, merged, quantile_s
from ramet.observe import names
from ramet.observe.record import new_span_id, new_trace_id
from ramet.wire import values
from ramet.wire.context import Context, Face, current
from tests.data.support import Server, pool_of, within

TABLE = "CREATE TABLE item (id int PRIMARY KEY, name text)"
BY_ID = "SELECT name FROM item WHERE id = $1"
LIST = "SELECT id FROM item ORDER BY id"


def of(uses: list[QueryUse], text: str, call: str = "") -> QueryUse:
    return next(use for use in uses if (use.fingerprint, use.call) == (fingerprint(text), call))


def inside(call: str, work: Callable[[], Awaitable[Any]]) -> Awaitable[Any]:
    """As a request that runs a call, in a task of its own."""

    async def run() -> Any:
        current.set(Context(trace_id=new_trace_id(), span_id=new_span_id(), face=Face("shop", frozenset(), call)))
        return await work()

    return asyncio.create_task(run())


def test_each_query_is_counted_under_the_call_that_runs_it(server: Server) -> None:
    """Rows are those returned, or changed by what returns none."""

    async def main() -> None:
        async with server.database(TABLE, "INSERT INTO item SELECT g, 'n' || g FROM generate_series(1, 10) g") as db:
            await inside("shop.list", lambda: db.read().fetch(LIST))
            for number in (1, 2, 3):
                await inside("shop.get", lambda number=number: db.read().fetchval(BY_ID, number))
            await inside("shop.drop", lambda: db.write().execute("DELETE FROM item WHERE id > $1", 6))
            await db.read().fetch(LIST)
            uses = pool_of(db).queries.tell()
            listed = of(uses, LIST, "shop.list")
            assert (listed.executions, listed.rows, listed.errors) == (1, 10, 0)
            assert (of(uses, BY_ID, "shop.get").executions, of(uses, BY_ID, "shop.get").rows) == (3, 3)
            assert of(uses, "DELETE FROM item WHERE id > $1", "shop.drop").rows == 4
            assert of(uses, LIST).executions == 1, "outside of all calls"
            assert {(use.module, use.shard) for use in uses} == {(db.module, 0)}
            assert not any("COMMIT" in use.text or "BEGIN" in use.text for use in uses)

    asyncio.run(main())


def test_a_query_that_repeats_within_a_request_is_told_apart_from_one_that_is_asked_often(server: Server) -> None:
    """The planted N+1: a list and then each of its items; beside it as many requests for one item each, at the same time."""

    async def main() -> None:
        async with server.database(TABLE, "INSERT INTO item SELECT g, 'n' || g FROM generate_series(1, 10) g") as db:

            async def page() -> None:
                for row in await db.read().fetch(LIST):
                    await db.read().fetchval(BY_ID, row["id"])

            async def one() -> None:
                await db.read().fetchval(BY_ID, 1)

            await asyncio.gather(*(inside("shop.page", page) for _ in range(4)), *(inside("shop.one", one) for _ in range(40)))
            uses = pool_of(db).queries.tell()
            planted, innocent = of(uses, BY_ID, "shop.page"), of(uses, BY_ID, "shop.one")
            assert (planted.executions, planted.traces, planted.most, planted.repeating) == (40, 4, 10, 4)
            assert (planted.within, planted.callers) == (4, {})
            assert (innocent.executions, innocent.traces, innocent.most, innocent.repeating) == (40, 40, 1, 0)

    asyncio.run(main())


def test_a_loop_around_a_call_is_the_callers(server: Server) -> None:
    """Each run of the call asks once; the request asks ten times, because `front` makes the call ten times."""

    async def main() -> None:
        async with server.database(TABLE) as db:
            trace = new_trace_id()
            for _ in range(10):
                face = Face("shop", frozenset(), "shop.get")
                current.set(Context(trace_id=trace, span_id=new_span_id(), face=face, caller="front"))
                await db.read().fetchval(BY_ID, 1)
            use = of(pool_of(db).queries.tell(), BY_ID, "shop.get")
            assert (use.traces, use.most, use.repeating, use.within, use.callers) == (1, 10, 1, 0, {"front": 1})

    asyncio.run(main())


def test_requests_are_counted_however_many_there_are(server: Server) -> None:
    """Only the last ones are kept one by one."""

    async def main() -> None:
        async with server.database(TABLE) as db:
            for _ in range(3 * MAX_OPEN):
                await inside("shop.get", lambda: db.read().fetchval(BY_ID, 1))
            use = of(pool_of(db).queries.tell(), BY_ID, "shop.get")
            assert (use.traces, use.traced, use.most) == (3 * MAX_OPEN, 3 * MAX_OPEN, 1)

    asyncio.run(main())


def test_the_slowest_execution_keeps_its_text_and_parameters(server: Server) -> None:
    async def main() -> None:
        async with server.database(TABLE) as db:
            query = "SELECT pg_sleep($1), $2::text"
            for seconds, word in ((0.0, "first"), (0.05, "it's"), (0.0, "last")):
                await db.read().fetch(query, seconds, word)
            use = of(pool_of(db).queries.tell(), query)
            assert use.worst.parameters == ["0.05", "it's"]
            assert use.worst.text == query
            assert 0.05 <= use.worst.duration_s <= use.total_s
            assert quantile_s(use, 0.99, names.CALL_BOUNDS_S) <= use.worst.duration_s
            assert quantile_s(use, 0.5, names.CALL_BOUNDS_S) < 0.05

    asyncio.run(main())


def test_parameters_are_not_kept_where_they_must_not_be(server: Server) -> None:
    log = QueryLog("m", keeps_parameters=False)
    watched = log.of(BY_ID)
    assert watched is not None
    watched.add(Context(), 0.1, (1,), [])
    assert log.tell()[0].worst.parameters is None


def test_a_statement_that_failed_counts_with_its_time(server: Server) -> None:
    """Above all one that was stopped at its deadline."""

    async def main() -> None:
        async with server.database(TABLE) as db:
            with within(0.05), pytest.raises(errors.StatementDeadline):
                await db.read().fetch("SELECT pg_sleep($1)", 10.0)
            with pytest.raises(errors.StatementRefused):
                await db.read().fetch("SELECT 1 / $1::int", 0)
            uses = pool_of(db).queries.tell()
            slept = of(uses, "SELECT pg_sleep($1)")
            assert (slept.executions, slept.errors) == (1, 1)
            assert slept.total_s >= 0.04
            assert of(uses, "SELECT 1 / $1::int").errors == 1

    asyncio.run(main())


def test_text_made_of_values_does_not_grow_without_end() -> None:
    log = QueryLog("m")
    assert all(log.of(f"SELECT c{number} FROM t") for number in range(MAX_QUERIES))
    assert log.of("SELECT one_more FROM t") is None
    assert log.of("SELECT c1 FROM t") is not None
    assert (log.dropped, len(log.tell())) == (1, 0)
    assert len([use for use in log.tell() if use.executions]) == 0


def test_what_instances_counted_adds_up() -> None:
    def counted(duration_s: float) -> Any:
        log = QueryLog("m")
        watched = log.of(BY_ID)
        assert watched is not None
        for number in range(3):
            watched.add(Context(trace_id=b"t"), duration_s, (number,), [1])
        return log.tell()

    both = merged([Queries(2.0, counted(0.1)), Queries(1.0, counted(0.3))], {"web-3": "no answer"})
    (use,) = both.uses
    assert (both.started, both.unreachable) == (1.0, {"web-3": "no answer"})
    assert (use.executions, use.rows, use.traces, use.most, use.repeating) == (6, 6, 2, 3, 0)
    assert use.total_s == pytest.approx(1.2)
    assert use.worst.duration_s == 0.3


VALUES = [
    ("int", 5), ("int", None), ("text", "it's \\ \"x\" é"), ("bool", True), ("float8", 1.5e300), ("float8", float("-inf")),
    ("numeric", decimal.Decimal("1.230")), ("uuid", uuid.UUID(int=7)), ("date", datetime.date(2026, 2, 3)),
    ("timestamptz", datetime.datetime(2026, 2, 3, 4, 5, 6, 789, datetime.UTC)), ("time", datetime.time(1, 2, 3)),
    ("interval", datetime.timedelta(days=-1, seconds=5, microseconds=7)), ("bytea", b"\0\xff'"), ("int[]", [1, None, 3]),
    ("text[]", ["a,b", '"q"', "\\", "NULL", "", None]), ("int[]", []), ("int[]", [[1, 2], [3, 4]]), ("jsonb", '{"a": "b\'"}'),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value"), VALUES)
def test_a_parameter_as_text_is_what_was_sent(kind: str, value: Any, server: Server) -> None:
    """What the server reads from the text is what the driver gave it."""
    texts = literals.as_texts([value])
    assert texts is not None

    async def main() -> None:
        async with server.superuser() as connection:
            await connection.execute(f"PREPARE q ({kind}) AS SELECT $1")
            as_text = await connection.fetchval(f"EXECUTE q({literals.quoted(texts[0])})")
            assert as_text == await connection.fetchval(f"SELECT $1::{kind}", value)

    asyncio.run(main())


class Color(enum.StrEnum):
    RED = "red"


class Size(enum.IntEnum):
    LARGE = 3


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.dates()
    | st.uuids()
    | st.sampled_from([Color.RED, Size.LARGE, object()]),
    lambda inner: st.lists(inner) | st.tuples(inner),
    max_leaves=8,
)


@given(st.text(st.characters()), st.lists(ANYTHING))
def test_whatever_was_asked_crosses_to_whoever_asks(text: str, args: list[Any]) -> None:
    """One statement that cannot would hide all the others. What is refused by the server is counted, too."""
    log = QueryLog("m")
    watched = log.of(text)
    assert watched is not None
    watched.fail(Context(), 0.1, args)
    (use,) = values.decode_json_as(values.encode_json(log.tell()), list[QueryUse])
    assert values.ENCODER.encode(log.tell())
    assert use.errors == 1


def test_a_subclass_counts_as_what_it_is_made_of() -> None:
    assert literals.as_texts([Color.RED, Size.LARGE, [Color.RED]]) == ["red", "3", '{"red"}']


def test_what_cannot_be_text_or_is_too_long_is_not_kept() -> None:
    """For all parameters of the statement, since a plan needs all of them."""
    assert literals.as_texts([1, object()]) is None
    assert literals.as_texts([(1, "a row")]) is None
    assert literals.as_texts(["x" * 5000]) is None
    assert literals.as_texts([list(range(5000))]) is None
    assert literals.as_texts([b"x" * 3000]) is None
    assert literals.as_texts(["zero\0"]) is None
    assert literals.as_texts(["x" * 3000, "x" * 3000]) is None
