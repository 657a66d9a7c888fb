"""Plans of real queries on a real server, and what may not be run for one."""

import asyncio
import re

import pytest

from ramet.advise.plan import parse
from ramet.advise.plan_tree import MARK, draw
from ramet.advise.plan_words import flags
from ramet.data import errors
from ramet.data.insight.explaining import Explained, explain
from ramet.model.insight import Sample
from tests.data.support import Server

TABLE = (
    "CREATE TABLE item (id int PRIMARY KEY, kind int, name text, made timestamptz)",
    "INSERT INTO item SELECT g, g % 50000, 'name ' || g, now() FROM generate_series(1, 50000) g",
    "CREATE TABLE tag (item_id int, label text)",
    "INSERT INTO tag SELECT g, 'label ' || g % 10 FROM generate_series(1, 20000) g",
    "ANALYZE item, tag",
)


def explained(
    server: Server,
    text: str,
    parameters: list[str | None] | None,
    *,
    analyze: bool = False,
    timeout_s: float = 5.0,
    then: str = "",
) -> Explained:
    """then: a query of one value, asked of the same database afterwards, which must be true."""

    async def main() -> Explained:
        async with server.database(*TABLE) as db:
            try:
                return await explain(
                    server.address(db.module), Sample(0.1, text, parameters), analyze=analyze, timeout_s=timeout_s
                )
            finally:
                assert not then or await db.read().fetchval(then)

    return asyncio.run(main())


def test_the_plan_is_that_of_the_recorded_parameters(server: Server) -> None:
    """Whatever their types: the server reads them as it would have read what was sent."""
    found = explained(server, "SELECT name FROM item WHERE kind = $1 AND made > $2", ["17", "2020-01-01 00:00:00+00:00"])
    assert not found.is_generic
    plan = parse(found.plan)
    assert "kind = 17" in str(plan.root.conditions)
    assert (plan.expensive.kind, plan.expensive.relation) == ("Seq Scan", "item")
    assert (found.sizes["item"], found.sizes["tag"]) == (50_000.0, 20_000.0)
    (flag,) = flags(plan, found.sizes)
    assert flag.what == "it reads all 50,000 rows of item and keeps 1"


def test_without_parameters_it_is_the_plan_for_every_parameter(server: Server) -> None:
    """Also where the statement has more or fewer of them than were recorded: it was another one then."""
    for parameters in (None, [], ["1", "2"]):
        found = explained(server, "SELECT name FROM item WHERE id = $1", parameters)
        assert found.is_generic
        assert "id = $1" in str(parse(found.plan).root.conditions)
    assert not explained(server, "SELECT name FROM item WHERE id = 3", []).is_generic


def test_a_statement_that_writes_is_explained_and_never_done(server: Server) -> None:
    text = "INSERT INTO item (id) VALUES ($1) RETURNING id"
    unchanged = "SELECT count(*) = 50000 FROM item"
    found = explained(server, text, ["0"], then=unchanged)
    assert parse(found.plan).root.kind == "Insert"
    with pytest.raises(errors.ReadOnly):
        explained(server, text, ["0"], analyze=True, then=unchanged)
    with pytest.raises(errors.ReadOnly):
        explained(server, "WITH gone AS (DELETE FROM item RETURNING id) SELECT * FROM gone", [], analyze=True, then=unchanged)


@pytest.mark.parametrize("text", ["SELECT 1; COMMIT; DELETE FROM item", "SELECT 1; DELETE FROM item"])
def test_a_text_of_several_statements_does_nothing(text: str, server: Server) -> None:
    with pytest.raises(errors.StatementRefused):
        explained(server, text, [], then="SELECT count(*) = 50000 FROM item")


def test_analyze_measures_and_has_a_timeout(server: Server) -> None:
    plan = parse(explained(server, "SELECT name FROM item WHERE kind = $1", ["17"], analyze=True).plan)
    assert plan.took_ms is not None
    assert plan.root.actual_rows == 1
    with pytest.raises(errors.StatementRefused, match="stopped after 0.1 s"):
        explained(server, "SELECT pg_sleep($1)", ["30"], analyze=True, timeout_s=0.1)
    with pytest.raises(errors.StatementRefused, match="parameters were not kept"):
        explained(server, "SELECT pg_sleep($1)", None, analyze=True)


def test_a_query_of_another_modules_table_is_refused_as_it_would_be(server: Server) -> None:
    """It is asked as the module's own role."""
    with pytest.raises(errors.InsufficientPrivilege):
        explained(server, "SELECT * FROM pg_authid", [])


JOIN = "SELECT i.name FROM item i JOIN tag t ON t.item_id = i.id WHERE t.label = $1 ORDER BY i.name LIMIT 5"


def test_the_tree_has_a_line_for_each_node_and_marks_the_expensive_one(server: Server) -> None:
    plan = parse(explained(server, JOIN, ["label 1"], analyze=True).plan)
    lines = draw(plan, width=100)
    nodes = list(plan.root.walk())
    assert len([line for line in lines if re.match(r" +\d+%", line)]) == len(nodes)
    (marked,) = [line for line in lines if line.endswith(MARK)]
    assert plan.expensive.title in marked
    assert sum(plan.share(node) for node in nodes) == pytest.approx(1.0, abs=0.15), "what is left is the server's own"
    assert all(len(line) <= 100 for line in lines if MARK not in line)


def test_costs_by_node_add_up_to_the_whole(server: Server) -> None:
    """Under a LIMIT and in a nested loop too, where those of the nodes below do not."""
    for text in (
        JOIN,
        "SELECT * FROM item i, LATERAL (SELECT * FROM tag t WHERE t.item_id = i.id LIMIT 1) t WHERE i.id < 9 LIMIT 3",
    ):
        plan = parse(explained(server, text, ["label 1"] if "$1" in text else []).plan)
        assert sum(node.self_cost for node in plan.root.walk()) == pytest.approx(plan.cost)


WORDS = [
    ("SELECT 1 FROM item WHERE lower(name) = 'name 7'", "it compares lower(name)"),
    ("SELECT name FROM item ORDER BY name OFFSET 20000 LIMIT 10", "rows are made for the 10 that are wanted: an OFFSET"),
    ("SELECT count(*) FROM (SELECT name FROM item ORDER BY name OFFSET 1) x", "MB on disk"),
    ("SELECT count(*) FROM item WHERE kind + 0 = id % 50000", "it expected"),
]


@pytest.mark.parametrize(("text", "said"), WORDS)
def test_red_flags_are_told_in_words(text: str, said: str, server: Server) -> None:
    async def main() -> list[str]:
        async with server.database(*TABLE) as db:
            address = server.address(db.module, server_settings={"work_mem": "64kB", "enable_indexscan": "on"})
            found = await explain(address, Sample(0.1, text, []), analyze=True)
            return [flag.what for flag in flags(parse(found.plan), found.sizes)]

    assert any(said in what for what in asyncio.run(main()))
