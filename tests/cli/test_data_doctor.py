"""`ramet data doctor`, with a real PostgreSQL that the command starts for itself."""

import json
import re

import pytest

from tests.operate.app import Command

pytestmark = pytest.mark.timeout(120)


def test_a_new_application_s_databases_are_sound(shop: Command) -> None:
    """Where nothing runs the server is started for it, as by `migrate status`."""
    shop.ok("migrate", "up")
    findings = json.loads(shop.ok("data", "doctor", "--json"))
    assert {each["what"]: each["severity"] for each in findings} == dict.fromkeys(
        ("pool budget", "indexes", "transactions", "sequences", "keys", "buckets", "slots", "replicas", "leftovers"), "ok"
    )
    assert findings[0]["where"] == "topology seed"
    assert "  web   main/orders  1 x 4 = 4" in findings[0]["found"].splitlines()


def test_a_problem_ends_it_with_1_and_says_what_mends_it(shop: Command) -> None:
    """A keyed database whose table has another primary key."""
    face = shop.folder / "shop/orders/api.py"
    face.write_text(face.read_text().replace("module.database()", 'module.database(key="sku")'))
    shop.ok("migrate", "up")
    done = shop.run("data", "doctor")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "problem  keys" in done.stdout
    assert 'mend: ALTER TABLE "orders"."orders" DROP CONSTRAINT "orders_pkey", ADD PRIMARY KEY ("sku", "id")' in done.stdout
    assert re.fullmatch(r"1 problems, \d+ to watch, \d+ fine\n", done.stderr)
    done = shop.run("data", "doctor", "--module", "front", "--json")
    assert done.returncode == 0
    assert {each["what"] for each in json.loads(done.stdout)} == {"indexes", "transactions", "sequences", "keys", "buckets"}


def test_a_module_that_is_not_there_is_refused_before_a_server_is_started(shop: Command) -> None:
    done = shop.run("data", "doctor", "--module", "ordrs")
    assert done.returncode == 2
    assert "did you mean `orders`?" in done.stderr
    assert not (shop.folder / ".ramet").exists()


def test_an_application_without_a_database_has_nothing_to_tell(desk: Command) -> None:
    assert json.loads(desk.ok("data", "doctor", "--json")) == []
