"""What an index would do, tried: plans of queries on tables that have the statistics and sizes of the original, and no rows.

For a server that is nobody's: it is filled, asked, and thrown away. That its tables are as large as the original's is for whoever
has its files (`resize`).
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, cast

from ramet.data import driver, errors, refusals
from ramet.data.insight import copying
from ramet.data.insight.literals import quoted
from ramet.model.catalog import Catalog, NewIndex, Trial, quote
from ramet.model.insight import Sample

Resize = Callable[[str, int], None]
"""Takes a file, by its path below the data directory, and how many pages it shall have."""


async def try_indexes(
    dsn: str, catalog: Catalog, wanted: Sequence[tuple[NewIndex, Sequence[Sample]]], resize: Resize
) -> list[list[Trial]]:
    """For each index a Trial of each of its samples. dsn: of a superuser on a server that has none of it yet, PostgreSQL 18 or
    newer. Raises a DatabaseError where the server itself fails."""
    try:
        connection = await driver.connect(dsn, timeout_s=10.0, server_settings={})
    except (OSError, TimeoutError, driver.PostgresError, driver.InterfaceError) as error:
        raise errors.DatabaseUnavailable(f"cannot connect to the server for trials: {error or 'no answer'}") from error
    try:
        bench = _Bench(connection, catalog, resize)
        names = await bench.fill([index for index, _ in wanted])
        return [
            [await bench.attempt(index, name, sample) for sample in samples]
            for (index, samples), name in zip(wanted, names, strict=True)
        ]
    except (driver.PostgresError, driver.InterfaceError, OSError) as error:
        raise refusals.ours(error) from error
    finally:
        await connection.close(timeout=5.0)


class _Bench:
    def __init__(self, connection: driver.Driver, catalog: Catalog, resize: Resize) -> None:
        self._connection = connection
        self._catalog = catalog
        self._resize = resize
        self._left_out: dict[str, str] = {}

    async def fill(self, wanted: Sequence[NewIndex]) -> list[str]:
        """All that is there, and the wanted indexes, which the planner does not see yet. Returns their names. Files grow last:
        until then making an index reads nothing."""
        catalog, connection = self._catalog, self._connection
        for statement in copying.schema(catalog):
            await connection.execute(statement)
        grown: dict[str, int] = {}
        after: list[str] = []
        for table in catalog.tables.values():
            if unknown := copying.unknown_types(catalog, table):
                self._left_out[table.name] = f"{table.name} has a type that a new server does not know: {unknown[0]}"
                continue
            await connection.execute(copying.table(table))
            after += copying.statistics(catalog, table)
            grown[table.name] = table.pages
            for index in table.indexes:
                if index.is_valid and await self._made(index.definition):
                    after.append(copying.index_statistics(catalog, index))
                    grown[index.name] = index.pages
        names = [f"ramet_tried_{number}" for number in range(len(wanted))]
        for index, name in zip(wanted, names, strict=True):
            if index.table not in self._left_out:
                await connection.execute(index.create(name))
                await self._show(name, False)
                after.append(copying.new_index_statistics(catalog, index, name))
                grown[name] = copying.new_pages(index, catalog.tables[index.table])
        for statement in after:
            await connection.fetch(statement)
        for name, pages in grown.items():
            self._resize(await connection.fetchval("SELECT pg_relation_filepath($1::regclass)", quote(name)), pages)
        return names

    async def _show(self, name: str, is_shown: bool) -> None:
        """To the planner, which takes no index that is not valid."""
        await self._connection.fetch("UPDATE pg_index SET indisvalid = $2 WHERE indexrelid = $1::regclass", quote(name), is_shown)

    async def _made(self, definition: str) -> bool:
        """False for an index that needs what is not here: a function of the module's own, an operator class of an extension."""
        try:
            await self._connection.execute(definition)
        except driver.PostgresError:
            return False
        return True

    async def attempt(self, index: NewIndex, name: str, sample: Sample) -> Trial:
        if index.table in self._left_out:
            return Trial(problem=self._left_out[index.table])
        try:
            before, _ = await self._cost(sample, name)
            await self._show(name, True)
            after, used = await self._cost(sample, name)
            await self._show(name, False)
        except driver.PostgresError as error:
            return Trial(problem=f"the copy does not take the query: {error}")
        return Trial(before, after, used)

    async def _cost(self, sample: Sample, index: str) -> tuple[float, bool]:
        """(cost of the cheapest plan, whether it has the index)"""
        connection, parameters = self._connection, sample.parameters
        await connection.fetch(f"PREPARE ramet_tried AS {sample.text}")
        try:
            count = await connection.fetchval(
                "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'ramet_tried'"
            )
            is_generic = parameters is None or len(parameters) != count
            await connection.execute(f"SET plan_cache_mode = force_{'generic' if is_generic else 'custom'}_plan")
            given = ["NULL"] * count if parameters is None or is_generic else [quoted(text) for text in parameters]
            execute = f"EXECUTE ramet_tried({', '.join(given)})" if given else "EXECUTE ramet_tried"
            rows = await connection.fetch(f"EXPLAIN (FORMAT JSON) {execute}")
        finally:
            await connection.execute("DEALLOCATE ramet_tried")
        plan = cast("list[dict[str, Any]]", json.loads(rows[0][0]))[0]["Plan"]
        return float(plan["Total Cost"]), f'"Index Name": "{index}"' in rows[0][0]
