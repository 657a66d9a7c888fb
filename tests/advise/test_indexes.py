"""Which index would help, and which helps nobody."""

import pytest

from ramet.advise.indexes import candidates, needless, tried
from ramet.model.catalog import NewIndex, Trial
from tests.advise.support import catalog, index, use

KEY = index("orders_pkey", "id", is_unique=True, is_constraint=True)

CASES: list[tuple[str, tuple[str, ...] | None]] = [
    ("SELECT 1 FROM orders WHERE sku = $1", ("sku",)),
    ("SELECT 1 FROM orders WHERE state = $1 AND sku = $2", ("sku",)),
    ("SELECT 1 FROM orders WHERE customer = $1 AND state = $2", ("customer",)),
    ("SELECT 1 FROM orders WHERE customer = $1 AND made > $2", ("customer", "made")),
    ("SELECT 1 FROM orders WHERE customer = $1 ORDER BY made", ("customer", "made")),
    ("SELECT 1 FROM orders WHERE made > $1", ("made",)),
    ("SELECT 1 FROM orders WHERE state = $1", None),
    ("SELECT 1 FROM orders WHERE id = $1", None),
    ("SELECT 1 FROM orders WHERE id = $1 AND customer = $2", None),
    ("SELECT 1 FROM orders WHERE body = $1", None),
    ("SELECT 1 FROM orders WHERE unknown = $1", None),
    ("SELECT 1 FROM nowhere WHERE sku = $1", None),
    ("SELECT 1 FROM orders WHERE sku = $1 OR customer = $2", None),
    ("UPDATE orders SET state = 1 WHERE sku = $1", ("sku",)),
    ("SELECT 1 FROM orders JOIN lines ON lines.order_id = orders.id WHERE orders.sku = $1", ("sku",)),
]


@pytest.mark.parametrize(("text", "columns"), CASES, ids=[text for text, _ in CASES])
def test_the_most_selective_columns_make_the_index(text: str, columns: tuple[str, ...] | None) -> None:
    """Where the primary key is the only index there is."""
    of_orders = [each for each in candidates([use(text)], catalog(KEY, columns=COLUMNS)) if each.index.table == "orders"]
    assert [each.index.columns for each in of_orders] == ([] if columns is None else [columns])


COLUMNS = "id:100000 customer:1000 sku:5000 state:3 made:90000 body:90000"


def test_a_join_wants_the_column_that_finds_the_other_rows() -> None:
    (found,) = candidates(
        [use("SELECT 1 FROM orders JOIN lines ON lines.order_id = orders.id WHERE orders.id = $1")], catalog(KEY)
    )
    assert found.index == NewIndex("lines", ("order_id",))


def test_a_small_table_needs_no_index() -> None:
    assert candidates([use("SELECT 1 FROM orders WHERE sku = $1")], catalog(rows=400)) == []


@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        (index("a", "sku"), False),
        (index("a", "sku", "made"), False),
        (index("a", "made", "sku"), True),
        (index("a", "sku", is_valid=False), True),
        (index("a", "sku", where="state = 1"), True),
        (index("a", "customer"), True),
    ],
    ids=["the same", "begins with it", "does not begin with it", "invalid", "partial", "another"],
)
def test_an_index_is_not_wanted_where_one_does_as_well(there: object, wanted: bool) -> None:
    assert bool(candidates([use("SELECT 1 FROM orders WHERE sku = $1")], catalog(there))) is wanted  # type: ignore[arg-type]


def test_one_index_serves_two_queries_and_counts_for_both() -> None:
    """Of (customer) and (customer, made) the longer one is enough."""
    one, two = use("SELECT 1 FROM orders WHERE customer = $1"), use("SELECT 2 FROM orders WHERE customer = $1 AND made > $2")
    (found,) = candidates([one, two], catalog(KEY))
    assert found.index.columns == ("customer", "made")
    assert {query.fingerprint for query in found.queries} == {one.fingerprint, two.fingerprint}
    assert found.total_s == 2.0
    assert found.saved_s == pytest.approx(2.0, rel=0.01)
    assert found.writes == 7


def test_what_a_trial_found_counts_more_than_what_was_guessed() -> None:
    (found,) = candidates([use("SELECT 1 FROM orders WHERE sku = $1", total_s=4.0)], catalog(KEY))
    assert found.helps
    better = tried(found, [Trial(1000.0, 250.0, used=True)])
    assert (better.helps, better.saved_s) == (True, 3.0)
    assert not tried(found, [Trial(1000.0, 900.0, used=True)]).helps
    assert not tried(found, [Trial(1000.0, 1000.0)]).helps
    untried = tried(found, [Trial(problem="a type that is not there")])
    assert (untried.helps, untried.saved_s, untried.problem) == (True, found.saved_s, "a type that is not there")


def test_of_indexes_that_do_the_same_one_can_go() -> None:
    found = needless(
        catalog(
            KEY,
            index("by_sku", "sku", "made"),
            index("short", "sku"),
            index("twin_one", "customer", scans=1),
            index("twin_two", "customer", scans=9),
            index("partial", "sku", where="state = 1"),
            index("backwards", "made", "sku"),
        )
    )
    assert {(each.index.name, each.instead) for each in found} == {("short", "by_sku"), ("twin_one", "twin_two")}


def test_an_index_that_a_constraint_needs_never_goes() -> None:
    """Nor one that is unique, unless another sees to the same."""
    found = needless(
        catalog(
            KEY,
            index("also_id", "id", "made"),
            index("unique_sku", "sku", is_unique=True, scans=0),
            index("longer", "sku", "made", scans=0),
            index("unique_twin", "sku", is_unique=True, scans=7),
        )
    )
    assert {(each.index.name, each.instead) for each in found} == {("longer", ""), ("unique_sku", "unique_twin")}


def test_what_nothing_used_and_what_was_never_finished_can_go() -> None:
    found = {
        each.index.name: each.why
        for each in needless(catalog(KEY, index("idle", "sku", scans=0), index("half", "made", is_valid=False)))
    }
    assert found["idle"] == "nothing has used it"
    assert found["half"].startswith("it is invalid")
    assert len(found) == 2


def test_the_name_of_an_index_is_free_and_fits() -> None:
    """PostgreSQL would cut a longer one off, and the next would be the same."""
    wanted = NewIndex("orders", ("sku",))
    assert wanted.name() == "orders_sku_idx"
    assert wanted.name({"orders_sku_idx", "orders_sku_idx_2"}) == "orders_sku_idx_3"
    names = {NewIndex("t" * 60, (column,)).name() for column in ("one", "two")}
    assert len(names) == 2
    assert all(len(name) <= 63 for name in names)
    assert NewIndex("Order", ("user", "Sku")).create("i") == 'CREATE INDEX i ON "Order" ("user", "Sku")'
