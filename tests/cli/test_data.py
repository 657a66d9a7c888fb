"""`ramet data`: slow, explain and advise, of an application that runs as two instances, with a real PostgreSQL."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli import market
from tests.operate.app import Command, request

pytestmark = pytest.mark.timeout(180)

LOOP = "SELECT sku FROM orders WHERE customer_id = $1 AND id = $2"
BY_SKU = "SELECT count(note) FROM orders WHERE sku = $1"
RENAME = "UPDATE orders SET note = $2 WHERE customer_id = $1 AND id = ?"
REQUESTS = 12


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """It has answered some requests of each kind, on both instances."""
    made = Command(market.write(tmp_path_factory.mktemp("market")))

    async def ask(url: str) -> None:
        for number in range(1, REQUESTS + 1):
            assert (await request(url, "GET", f"/pages/{number}"))[0] == 200
            assert (await request(url, "GET", f"/skus/sku%20{number}"))[0] == 200
            assert (await request(url, "POST", f"/orders/{number}?note=x"))[0] == 200

    try:
        asyncio.run(ask(made.up("seed")))
        yield made
    finally:
        made.clean()


def queries(command: Command, *options: str) -> dict[str, Any]:
    told = json.loads(command.ok("data", "slow", "--json", *options))
    assert told["unreachable"] == {}
    return {each["text"]: each for each in told["queries"]}


def test_slow_counts_all_instances_together(command: Command) -> None:
    """The one that cost the most first, whichever that was on this machine."""
    found = queries(command)
    totals = [each["total_s"] for each in found.values()]
    assert totals == sorted(totals, reverse=True)
    assert found[BY_SKU]["executions"] == REQUESTS
    assert found[BY_SKU]["calls"][0]["call"] == "orders.by_sku"
    assert found[LOOP]["executions"] == found[LOOP]["rows"] == 8 * REQUESTS
    assert sum(each["share"] for each in found.values()) == pytest.approx(1.0)


def test_slow_names_the_call_whose_loop_it_is(command: Command) -> None:
    """And that alone: the page's first query runs once in a request."""
    found = queries(command, "--by", "n+1")
    assert list(found) == [LOOP]
    (call,) = found[LOOP]["calls"]
    assert (call["call"], call["per_request"], call["most_in_a_request"], call["n_plus_1"]) == ("orders.page", 8.0, 8, True)
    assert "N+1: orders.page runs it 8 times in a request" in command.ok("data", "slow")


def test_slow_names_what_fans_out(command: Command) -> None:
    assert {text: each["fans_out"] for text, each in queries(command).items() if "orders" in text and "ramet" not in text} == {
        BY_SKU: True,
        LOOP: False,
        RENAME: False,
        "SELECT id FROM orders WHERE customer_id = $1 ORDER BY id LIMIT ?": False,
    }


def test_explain_draws_the_plan_and_says_what_to_do(command: Command) -> None:
    """Some digits of the fingerprint do."""
    name = queries(command)[BY_SKU]["fingerprint"]
    text = command.ok("data", "explain", name[:6])
    assert re.search(r"parameters of its slowest execution, [\d.e+]+ ms: \$1 = sku \d+", text)
    (marked,) = [line for line in text.splitlines() if line.endswith("<-- most of it")]
    assert "Seq Scan on orders" in marked
    assert "it reads all 40,000 rows of orders and keeps 8" in text
    assert "it fans out: customer_id" in text
    told = json.loads(command.ok("data", "explain", name, "--analyze", "--json"))
    assert told["took_ms"] > 0
    assert told["expensive"]["node"] == "Seq Scan on orders"
    assert not told["generic"]
    assert told["server"]["executions"] >= REQUESTS, "pg_stat_statements has counted them too"
    assert told["server"]["total_s"] > 0


def test_explain_runs_nothing_that_writes(command: Command) -> None:
    name = queries(command)[RENAME]["fingerprint"]
    assert "Update on orders" in command.ok("data", "explain", name)
    done = command.run("data", "explain", name, "--analyze")
    assert done.returncode == 2
    assert "--analyze runs the query, and this one may write: it is an UPDATE" in done.stderr


def test_a_query_that_never_ran_is_refused(command: Command) -> None:
    done = command.run("data", "explain", "0000")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no query that ran here is called 0000" in done.stderr
    assert "hint: ramet data slow" in done.stderr


def test_advise_tries_the_missing_index_and_finds_the_needless_ones(command: Command) -> None:
    (told,) = json.loads(command.ok("data", "advise", "--json"))
    (index,) = told["indexes"]
    assert (index["table"], index["columns"], index["helps"]) == ("orders", ["sku"], True)
    (trial,) = index["trials"]
    assert trial["used"]
    assert trial["after"] < trial["before"] / 10
    assert index["saved_s"] > 0.9 * index["total_s"]
    needless = {each["index"]: each["instead"] for each in told["needless"]}
    assert needless.pop("orders_customer") == "orders_pkey"
    assert needless.keys() == {"orders_note", "orders_note_again"}
    assert set(needless.values()) & needless.keys(), "of the two that are the same one does the work of the other"


def test_advise_says_how_many_queries_each_key_keeps_on_one_shard(command: Command) -> None:
    (told,) = json.loads(command.ok("data", "advise", "--json", "--no-trial"))
    assert told["untried"] == "--no-trial"
    found = {each["column"]: each for each in told["keys"]}
    assert list(found) == ["customer_id", "id", "sku"]
    one, all_of = 10 * REQUESTS, 11 * REQUESTS
    assert (found["customer_id"]["single"], found["customer_id"]["fanned"]) == (one, all_of - one)
    assert found["customer_id"]["declared"]
    assert found["customer_id"]["worst"] == queries(command)[BY_SKU]["fingerprint"]


def test_the_migration_that_advise_writes_makes_the_index(command: Command) -> None:
    """While the application serves. Then nothing more is wanted, and the plan is another one."""
    done = command.run("data", "advise", "--write")
    assert done.returncode == 0, done.stderr
    path = Path(re.search(r"written: (\S+); ramet migrate up orders", done.stderr)[1])  # type: ignore[index]
    text = path.read_text()
    assert 'down_revision = "0001"' in text
    assert "CREATE INDEX CONCURRENTLY orders_sku_idx ON orders (sku)" in text
    assert "index orders by sku" in command.ok("migrate", "up", "orders")
    name = queries(command)[BY_SKU]["fingerprint"]
    told = json.loads(command.ok("data", "explain", name, "--json"))
    assert "orders_sku_idx" in json.dumps(told["plan"])
    (again,) = json.loads(command.ok("data", "advise", "--json"))
    assert again["indexes"] == []
    assert "no index is wanted" in command.run("data", "advise", "--write").stderr


def test_without_a_fleet_there_are_no_queries_and_the_catalog_is_looked_at(command: Command) -> None:
    command.ok("down")
    done = command.run("data", "slow")
    assert done.returncode == 2
    assert "nothing runs here" in done.stderr
    done = command.run("data", "advise")
    assert done.returncode == 0, done.stderr
    assert "no query is known" in done.stderr
    assert "orders_customer on orders could go" in done.stdout
