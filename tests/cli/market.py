"""An application whose queries have something wrong with them: a loop that asks for each row, a filter without an index, indexes
that nobody needs, a query that does not say its key."""

import textwrap
from pathlib import Path

TOML = """
[app]
name = "market"
modules = ["market.orders"]

[topology.seed.services]
main = { modules = ["*"], instances = 2 }
"""

ORDERS = """
from ramet import Module

module = Module("orders")
db = module.database(key="customer_id")


@module.get("/pages/{customer}")
async def page(customer: int) -> list[str]:
    rows = await db.read(customer).fetch("SELECT id FROM orders WHERE customer_id = $1 ORDER BY id LIMIT 8", customer)
    return [
        await db.read(customer).fetchval("SELECT sku FROM orders WHERE customer_id = $1 AND id = $2", customer, row["id"])
        for row in rows
    ]


@module.get("/skus/{sku}")
async def by_sku(sku: str) -> int:
    return await db.read(1).fetchval("SELECT count(note) FROM orders WHERE sku = $1", sku)


@module.post("/orders/{customer}")
async def rename(customer: int, note: str) -> str:
    return await db.write(customer).execute("UPDATE orders SET note = $2 WHERE customer_id = $1 AND id = 7", customer, note)
"""

MIGRATION = """
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(
        '''
        CREATE TABLE orders (
            customer_id int NOT NULL, id int NOT NULL, sku text NOT NULL, note text, PRIMARY KEY (customer_id, id)
        );
        INSERT INTO orders SELECT g % 500, g, 'sku ' || g % 5000, repeat('x', 40) FROM generate_series(1, 40000) g;
        CREATE INDEX orders_customer ON orders (customer_id);
        CREATE INDEX orders_note ON orders (note);
        CREATE INDEX orders_note_again ON orders (note);
        ANALYZE orders
        '''
    )
"""


def write(folder: Path) -> Path:
    for path, text in {
        "ramet.toml": TOML,
        "market/__init__.py": "",
        "market/orders/__init__.py": "",
        "market/orders/api.py": ORDERS,
        "market/orders/migrations/versions/0001_orders.py": MIGRATION,
    }.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
    return folder
