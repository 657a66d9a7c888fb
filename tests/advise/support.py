"""Queries and catalogs for tests of advice, without a server."""

from ramet.data.insight.fingerprint import fingerprint
from ramet.model.catalog import Catalog, Column, Index, Table
from ramet.model.insight import QueryUse, Sample
from ramet.observe.names import CALL_BOUNDS_S


def use(text: str, *, executions: int = 10, total_s: float = 1.0, **changes: object) -> QueryUse:
    buckets = [0] * (len(CALL_BOUNDS_S) + 1)
    buckets[5] = executions
    fields: dict[str, object] = {
        "fingerprint": fingerprint(text),
        "module": "orders",
        "shard": 0,
        "call": "orders.get",
        "text": text,
        "errors": 0,
        "rows": executions,
        "total_s": total_s,
        "buckets": buckets,
        "traces": executions,
        "traced": executions,
        "most": 1,
        "repeating": 0,
        "within": 0,
        "callers": {},
        "worst": Sample(total_s, text, None),
    }
    return QueryUse(**{**fields, **changes})  # pyright: ignore[reportArgumentType]


def index(name: str, *columns: str, table: str = "orders", **changes: object) -> Index:
    keys = tuple(f"{column} 1 0 0" for column in columns)
    fields: dict[str, object] = {"scans": 5, "bytes": 8192, **changes}
    return Index(name, table, "btree", columns, keys, f"CREATE INDEX {name} ...", **fields)  # pyright: ignore[reportArgumentType]


def catalog(
    *indexes: Index, rows: float = 100_000, columns: str = "id:100000 customer:1000 sku:5000 state:3 made:90000"
) -> Catalog:
    """columns: `name:how many values`, of the one table `orders`; and `lines` beside it with the same customers."""
    names = [pair.split(":") for pair in columns.split()]
    found = {name: Column(name, "json" if name == "body" else "int", distinct=float(count)) for name, count in names}
    orders = Table("orders", rows, 1000, 0, 7, found, indexes)
    lines = Table(
        "lines", rows, 1000, 0, 7, {"customer": found["customer"], "order_id": Column("order_id", "int", distinct=rows)}
    )
    return Catalog("orders", {"orders": orders, "lines": lines})
