"""Which queries deserve a look."""

from ramet.advise.slow import fans_out, is_loop, rank, words
from ramet.model.insight import Sample
from ramet.observe.names import CALL_BOUNDS_S
from tests.advise.support import use

OFTEN = use(
    "SELECT a FROM t WHERE id = $1", executions=1000, total_s=1.0, worst=Sample(0.002, "SELECT a FROM t WHERE id = $1", None)
)
HEAVY = use("SELECT b FROM t", executions=2, total_s=3.0)
LOOP = use(
    "SELECT c FROM t WHERE id = $1",
    executions=40,
    total_s=0.1,
    traces=4,
    traced=40,
    most=12,
    repeating=4,
    within=4,
    call="orders.page",
)

KEYED = use("SELECT c FROM t WHERE customer = $1")


def ranked(by: str, **keys: str) -> list[str]:
    return [row.query.text for row in rank([OFTEN, HEAVY, LOOP], by=by, keys=keys, bounds=CALL_BOUNDS_S)]


def test_each_order_has_its_own_first() -> None:
    assert ranked("total")[0] == HEAVY.text
    assert ranked("calls")[0] == OFTEN.text
    assert ranked("p99")[-1] == OFTEN.text
    assert ranked("n+1") == [LOOP.text]


def test_a_query_of_two_calls_is_one_row_with_both() -> None:
    """Of the one that takes the most time first; shares are of all."""
    other = use(HEAVY.text, total_s=5.0, call="orders.other")
    rows = rank([HEAVY, OFTEN, other], by="total", keys={}, bounds=CALL_BOUNDS_S)
    assert [each.call for each in rows[0].uses] == ["orders.other", "orders.get"]
    assert rows[0].query.total_s == 8.0
    assert rows[0].shards == {0: 12}
    assert rows[0].share == 8 / 9


def test_a_call_on_several_shards_is_one_and_its_loop_is_told_once() -> None:
    """How the executions are spread over the shards is told beside it."""
    other = use(LOOP.text, executions=10, traces=2, traced=10, most=5, repeating=2, within=2, call="orders.page", shard=3)
    (row,) = rank([LOOP, other], by="n+1", keys={}, bounds=CALL_BOUNDS_S)
    assert [(each.call, each.executions, each.repeating) for each in row.uses] == [("orders.page", 50, 6)]
    assert row.shards == {0: 40, 3: 10}
    assert len(words(row)) == 1


def test_a_loop_is_what_repeats_in_a_tenth_of_the_requests() -> None:
    """One odd request in a hundred is no loop."""
    assert is_loop(LOOP)
    assert is_loop(use("SELECT 1", traces=100, repeating=10))
    assert not is_loop(use("SELECT 1", traces=100, repeating=9))
    assert not is_loop(use("SELECT 1", traces=0, repeating=0))
    (row,) = rank([LOOP], by="n+1", keys={}, bounds=CALL_BOUNDS_S)
    assert words(row)[0].startswith("N+1: orders.page runs it 10 times in a request, 12 at most")


def test_the_loop_may_be_the_callers() -> None:
    """Then it is the module that makes the call for each of many which has to change."""
    around = use(
        "SELECT 1", traces=4, traced=40, most=12, repeating=4, within=1, callers={"front": 2, "admin": 1}, call="orders.get"
    )
    (row,) = rank([around], by="n+1", keys={}, bounds=CALL_BOUNDS_S)
    assert words(row)[0].startswith("N+1: front makes the call orders.get 10 times in a request, 12 at most")


def test_a_query_fans_out_that_compares_the_key_with_nothing() -> None:
    assert fans_out(use("SELECT a FROM t WHERE b = 1"), "customer")
    assert not fans_out(use("SELECT a FROM t WHERE b = 1 AND customer = $1"), "customer")
    assert not fans_out(use("INSERT INTO t (customer, a) VALUES (1, 2)"), "customer")
    assert not fans_out(use("SELECT now()"), "customer"), "it asks no table"
    assert not fans_out(use("nobody can read this"), "customer")
    (row,) = rank([HEAVY], by="total", keys={"orders": "customer"}, bounds=CALL_BOUNDS_S)
    assert row.fans_out
    assert [row.query for row in rank([HEAVY, KEYED], by="fan-out", keys={"orders": "customer"}, bounds=CALL_BOUNDS_S)] == [HEAVY]
    assert "asks every shard" in words(row)[0]
