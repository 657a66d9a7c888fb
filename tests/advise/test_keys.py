"""Which column to divide rows by."""

from ramet.advise.keys import is_single, keys
from ramet.advise.predicates import read
from tests.advise.support import catalog, use


def single(text: str, column: str = "customer") -> bool | None:
    return is_single(read(text), column, catalog())


def test_a_query_is_one_shards_if_it_says_the_key_of_each_table() -> None:
    """Or of one of them, if the others are joined to it by the key."""
    assert single("SELECT 1 FROM orders WHERE customer = $1") is True
    assert single("SELECT 1 FROM orders WHERE sku = $1") is False
    assert single("INSERT INTO orders (id, customer) VALUES (1, 2)") is True
    assert single("INSERT INTO orders (id) VALUES (1)") is False
    join = "SELECT 1 FROM orders o JOIN lines l ON l.order_id = o.id"
    assert single(f"{join} WHERE o.customer = $1") is False
    assert single(f"{join} AND l.customer = o.customer WHERE o.customer = $1") is True
    assert single("SELECT 1 FROM lines WHERE order_id = 1", "sku") is None, "the table does not have it"


def test_keys_are_ranked_by_the_share_of_executions_that_one_shard_answers() -> None:
    found = keys(
        [
            use("SELECT 1 FROM orders WHERE customer = $1", executions=80),
            use("SELECT 1 FROM orders WHERE sku = $1", executions=15),
            use("SELECT 1 FROM lines WHERE order_id = $1", executions=5),
        ],
        catalog(),
    )
    customer, sku, order = found
    assert (customer.column, customer.single, customer.fanned, customer.elsewhere, customer.share) == ("customer", 80, 20, 0, 0.8)
    assert customer.tables == ("lines", "orders")
    assert customer.worst is not None
    assert customer.worst.text == "SELECT 1 FROM orders WHERE sku = $1"
    assert (sku.column, sku.single, sku.fanned, sku.elsewhere) == ("sku", 15, 80, 5)
    assert (order.column, order.single, order.elsewhere) == ("order_id", 5, 95)
