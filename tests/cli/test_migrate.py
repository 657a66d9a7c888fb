"""`ramet migrate`: new, up and status, with a real PostgreSQL that the command starts for itself."""

import ast
import json
from pathlib import Path

import pytest

from tests.operate.app import Command

pytestmark = pytest.mark.timeout(120)


def test_a_new_migration_follows_the_last_one_and_is_python(shop: Command) -> None:
    """Whatever the message says. Its path is on stdout, to be opened."""
    first = Path(shop.ok("migrate", "new", "orders", 'add "tags"\n"""{x}').strip())
    second = Path(shop.ok("migrate", "new", "orders", "second").strip())
    assert first.parent == second.parent == shop.folder / "shop/orders/migrations/versions"
    ast.parse(first.read_text())
    assert 'down_revision = "0001"' in first.read_text()
    assert f'down_revision = "{first.name.partition("_")[0]}"' in second.read_text()


@pytest.mark.parametrize("verb", [["new", "ordrs", "x"], ["up", "ordrs"]], ids=" ".join)
def test_a_module_that_is_not_there_is_refused(verb: list[str], shop: Command) -> None:
    """Before a database is started for it."""
    done = shop.run("migrate", *verb)
    assert done.returncode == 2
    assert "there is no module `ordrs`" in done.stderr
    assert "did you mean `orders`?" in done.stderr
    assert not (shop.folder / ".ramet").exists()


def test_a_module_without_a_database_gets_no_migration(shop: Command) -> None:
    """Nothing would run it. The hint is the line that gives the module one."""
    face = shop.folder / "shop/front/api.py"
    face.write_text('from ramet import Module\n\nmodule = Module("front")\n')
    done = shop.run("migrate", "new", "front", "x")
    assert done.returncode == 2
    assert "the module `front` has no database" in done.stderr
    assert "hint: db = module.database() in shop.front.api" in done.stderr
    assert not (shop.folder / "shop/front/migrations").exists()


def test_status_ends_with_1_until_up_has_run(shop: Command) -> None:
    """For a deployment that asks first; `up` says what it did, and does it once. No fleet has to run."""
    done = shop.run("migrate", "status")
    assert done.returncode == 1, done.stderr
    assert done.stdout.split() == ["orders", "nothing", "lacks", "1:", "0001"]
    done = shop.run("migrate", "status", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout) == [{"module": "orders", "shard": 0, "current": [], "head": "0001", "missing": ["0001"]}]
    done = shop.run("migrate", "up", "orders")
    assert (done.returncode, done.stdout) == (0, "orders: 0001\n"), done.stderr
    assert "up to date" in done.stderr
    assert shop.ok("migrate", "status").split() == ["orders", "0001", "up", "to", "date"]
    assert json.loads(shop.ok("migrate", "status", "--json"))[0]["current"] == ["0001"]
    assert shop.ok("migrate", "up") == ""


def test_a_database_s_address_that_cannot_be_one_is_told(shop: Command) -> None:
    """With one that can."""
    file = shop.folder / "ramet.toml"
    file.write_text(f'{file.read_text()}\n[engines]\npostgres = "postgresql://[::1"\n')
    done = shop.run("migrate", "status")
    assert done.returncode == 2
    assert "not the URL of a PostgreSQL" in done.stderr
    assert "hint: postgresql://" in done.stderr


SOLD = """

@module.materialized(depends={"orders": "sku"}, columns={"sku": "text", "orders": "bigint"}, key="sku")
def sold() -> str:
    return "SELECT sku, count(*) AS orders FROM orders WHERE sku = ANY($1) GROUP BY sku"
"""


def test_the_migration_of_a_materialised_result_is_written_from_its_declaration(shop: Command) -> None:
    """It can be read, is applied like any other, and is replaced by the next for the same name."""
    face = shop.folder / "shop/orders/api.py"
    face.write_text(face.read_text() + SOLD)
    first = Path(shop.ok("migrate", "new", "orders", "--materialized", "sold").strip())
    assert 'CREATE TABLE "sold"' in first.read_text()
    assert "DROP" not in first.read_text().partition("def downgrade")[0]
    assert len(shop.ok("migrate", "up").splitlines()) == 2
    face.write_text(face.read_text().replace('"orders": "bigint"', '"orders": "int"'))
    second = Path(shop.ok("migrate", "new", "orders", "--materialized", "sold").strip())
    assert second.read_text().index("DROP FUNCTION") < second.read_text().index('"orders" int')
    assert shop.ok("migrate", "up").strip() == f"orders: {second.name.partition('_')[0]} (materialised sold)"
    face.write_text(face.read_text().partition("@module.materialized")[0])
    assert "materialised" not in (third := Path(shop.ok("migrate", "new", "orders", "--materialized", "sold").strip())).name
    assert third.read_text().index("DROP TABLE") < third.read_text().index("def downgrade")
    assert shop.ok("migrate", "up").strip() == f"orders: {third.name.partition('_')[0]} (no more sold)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--materialized", "sol"], "did you mean `sold`?"),
        (["a message", "--materialized", "sold"], "a MESSAGE, or one of: --rename"),
        ([], "a MESSAGE, or one of: --rename"),
    ],
    ids=str,
)
def test_what_the_migration_is_to_do_is_said_once(arguments: list[str], message: str, shop: Command) -> None:
    """In words, or by the name of a result."""
    face = shop.folder / "shop/orders/api.py"
    face.write_text(face.read_text() + SOLD)
    done = shop.run("migrate", "new", "orders", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
