"""The plan of a query, asked of its own database as its own module, in a transaction that may only read and has a timeout.

The text is prepared on the server by SQL's own PREPARE, and EXPLAIN is asked of its EXECUTE: so the server reads the recorded
parameters as the types that the statement wants, and without any it makes the plan for every parameter
(`plan_cache_mode = force_generic_plan`), also on servers that know no EXPLAIN (GENERIC_PLAN). EXPLAIN executes nothing, so a
plan of an INSERT can be had in a transaction that only reads; with `analyze` the statement runs, and the server refuses one
that writes.
"""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from ramet.data import driver, errors, refusals
from ramet.data.address import Address
from ramet.data.driver import Driver
from ramet.data.insight.literals import quoted
from ramet.model.insight import Sample

TIMEOUT_S = 10.0
"""For one EXPLAIN ANALYZE. Twice what a call may take: what takes longer was stopped where it ran, too."""
_CANCELED = "57014"
_SIZES = """
SELECT c.relname, greatest(c.reltuples, 0)::float8 FROM pg_class c
WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'p', 'm')
"""


@dataclass(frozen=True, slots=True)
class Explained:
    """plan: the server's JSON. is_generic: for every parameter, since none were recorded. is_measured: it ran. sizes: rows of
    each table of the module, by the statistics."""

    plan: dict[str, Any]
    is_generic: bool
    is_measured: bool
    sizes: dict[str, float]


@asynccontextmanager
async def reading(address: Address, *, timeout_s: float = TIMEOUT_S) -> AsyncGenerator[Driver]:
    """A session in one transaction that only reads and is rolled back. Raises a DatabaseError, also for what is raised inside."""
    try:
        connection = await driver.connect(address.dsn, timeout_s=10.0, server_settings=address.session_settings())
    except (OSError, TimeoutError, driver.PostgresError, driver.InterfaceError) as error:
        raise errors.DatabaseUnavailable(
            f"cannot connect to {address}: {error or 'no answer'}", hint="ramet migrate up makes a module's role and schema"
        ) from error
    try:
        await connection.execute(f"BEGIN READ ONLY; SET LOCAL statement_timeout = {round(timeout_s * 1000)}")
        yield connection
        await connection.execute("ROLLBACK")
    except (driver.PostgresError, driver.InterfaceError, OSError) as error:
        if getattr(error, "sqlstate", "") == _CANCELED:
            raise errors.StatementRefused(
                f"the server stopped after {timeout_s:g} s",
                sqlstate=_CANCELED,
                hint="the plan without running it: leave out --analyze",
            ) from error
        raise refusals.ours(error) from error
    finally:
        await connection.close(timeout=5.0)


async def explain(address: Address, sample: Sample, *, analyze: bool = False, timeout_s: float = TIMEOUT_S) -> Explained:
    """Raises StatementRefused where the server takes the text no more, or it took longer than the timeout; a DatabaseError."""
    async with reading(address, timeout_s=timeout_s) as connection:
        sizes = {row[0]: row[1] for row in await connection.fetch(_SIZES, f'"{address.schema}"')} if address.schema else {}
        # By the extended protocol, which takes one statement: what was several cannot end our transaction.
        await connection.fetch(f"PREPARE ramet_explained AS {sample.text}")
        count = await connection.fetchval(
            "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'ramet_explained'"
        )
        parameters = sample.parameters
        is_generic = parameters is None or len(parameters) != count
        if analyze and is_generic:
            raise errors.StatementRefused(
                "it cannot be run: its parameters were not kept",
                hint="the plan for every parameter: leave out --analyze",
            )
        await connection.execute(f"SET LOCAL plan_cache_mode = force_{'generic' if is_generic else 'custom'}_plan")
        given = ["NULL"] * count if parameters is None or is_generic else [quoted(text) for text in parameters]
        options = "ANALYZE, BUFFERS, FORMAT JSON" if analyze else "FORMAT JSON"
        execute = f"EXECUTE ramet_explained({', '.join(given)})" if given else "EXECUTE ramet_explained"
        rows = await connection.fetch(f"EXPLAIN ({options}) {execute}")
        plan = cast("list[dict[str, Any]]", json.loads(rows[0][0]))[0]
        return Explained(plan, is_generic and count > 0, analyze, sizes)
