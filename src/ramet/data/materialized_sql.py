"""The SQL of a materialised result. Pure, and light: `import ramet` loads this.

Three things belong to a result `x`: the table `x`; the table `ramet_changes_x`, in which the database itself notes what has
changed; the trigger `ramet_note_x`, on each table that the query reads, which does that in the writer's own transaction.

The trigger is for rows and fires always, so replication, which moves rows to another shard and fires no other triggers, notes
them too; so do writes to a partition and by a cascade. A transaction notes a key once: `at` and `xid` are its own. It is
SECURITY DEFINER, so whoever may write to the table may have it noted.

Names need no escaping: the declaration lets letters, digits and _ pass alone.
"""

# ruff: noqa: S608  (the names are checked where they are declared)

from collections.abc import Iterable

from ramet.model.materialized import CHANGES, NOTE, Materialized

STATE_TABLE = """\
CREATE TABLE IF NOT EXISTS ramet_materialized (
    name text CONSTRAINT ramet_materialized_pkey PRIMARY KEY, query text NOT NULL, recomputed timestamptz NOT NULL
)"""
"""query: the one that computed all rows last. recomputed: when that began."""
REMEMBER = """\
INSERT INTO ramet_materialized (name, query, recomputed) VALUES ($1, $2, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET query = EXCLUDED.query, recomputed = EXCLUDED.recomputed"""
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('ramet materialized ' || current_schema() || '.' || $1, 0))"

COLUMNS = """\
SELECT d.name, d.type, format_type(a.atttypid, a.atttypmod), to_regclass(quote_ident($1)) IS NOT NULL,
       coalesce(a.atttypid = to_regtype(d.type), false)
FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS d (name, type, number) LEFT JOIN pg_attribute AS a
     ON a.attrelid = to_regclass(quote_ident($1)) AND a.attname = d.name AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY d.number"""
UNIQUE = """\
SELECT array_agg(a.attname::text)
FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE i.indisprimary AND i.indrelid = to_regclass(quote_ident($1))"""
TRIGGERS = """\
SELECT d.name, to_regclass(quote_ident(d.name)) IS NOT NULL, EXISTS (
    SELECT FROM pg_trigger WHERE tgrelid = to_regclass(quote_ident(d.name)) AND tgname = $1 AND tgenabled = 'A'
    AND tgargs = convert_to(d.argument, 'UTF8') || '\\x00'::bytea
)
FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS d (name, argument, number) ORDER BY d.number"""
"""What a database has of what is declared; see `materialized.verify`."""
RESULTS = f"""\
SELECT substr(relname, {len(CHANGES) + 1}) FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND starts_with(relname, '{CHANGES}') ORDER BY 1"""
"""Names of all results that a schema has."""
IS_DERIVED = f"""\
(relname = 'ramet_materialized' OR starts_with(relname, '{CHANGES}') OR EXISTS (
    SELECT FROM pg_class AS noting
    WHERE noting.relnamespace = pg_class.relnamespace AND noting.relname = '{CHANGES}' || pg_class.relname
))"""
"""Of a row of pg_class: whether it belongs to materialised results."""


def look(result: Materialized) -> str:
    """Takes name, query and every_s. Gives one row: seconds since the oldest change began, NULL for none; whether all is to be
    computed anew."""
    return f"""\
SELECT (SELECT extract(epoch FROM clock_timestamp() - at)::float8 FROM {_quoted(result.changes)} ORDER BY at LIMIT 1),
       NOT EXISTS (
           SELECT FROM ramet_materialized WHERE name = $1 AND query = $2
           AND ($3::float8 IS NULL OR clock_timestamp() < recomputed + $3::float8 * interval '1 second')
       )"""


def take(result: Materialized) -> str:
    """Removes changes: of an incremental result the oldest $1, of a whole one all. Gives one row: how many, and their keys.

    Only what was committed is seen, and only that is removed: a transaction that is older and commits later is taken the next
    time. The statement after this one has a newer snapshot, and so sees what these changes were made with.
    """
    changes = _quoted(result.changes)
    if not result.key:
        return f"WITH taken AS (DELETE FROM {changes} RETURNING at) SELECT count(*), NULL FROM taken"
    return f"""\
WITH taken AS (
    DELETE FROM {changes} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {changes} ORDER BY at, xid, changed LIMIT $1))
    RETURNING changed
)
SELECT count(*), array_agg(DISTINCT changed) FROM taken"""


def refresh(result: Materialized) -> str:
    """Makes the rows of the keys $1, or all, what the query says they are. One statement, so one snapshot: whoever reads sees
    all as it was before, or as it is after. Rows that are the same are not written."""
    table, names = _quoted(result.name), _list(result.columns)
    changed = f"ramet_changed AS (SELECT unnest($1::{result.columns[result.key]}[]) AS key),\n" if result.key else ""
    only = f"WHERE {_quoted(result.key)} IN (SELECT key FROM ramet_changed)" if result.key else ""
    of_these = f"old.{_quoted(result.key)} IN (SELECT key FROM ramet_changed) AND " if result.key else ""
    same = " AND ".join(f"fresh.{_quoted(each)} = old.{_quoted(each)}" for each in result.unique)
    rest = [each for each in result.columns if each not in result.unique]
    update = ", ".join(f"{_quoted(each)} = EXCLUDED.{_quoted(each)}" for each in rest)
    return f"""\
WITH {changed}ramet_fresh AS MATERIALIZED (
SELECT {names} FROM (
{result.query}
) AS ramet_query {only}
),
ramet_gone AS (
    DELETE FROM {table} AS old WHERE {of_these}NOT EXISTS (SELECT FROM ramet_fresh AS fresh WHERE {same})
)
INSERT INTO {table} AS old ({names}) SELECT {names} FROM ramet_fresh
ON CONFLICT ({_list(result.unique)}) DO {f"UPDATE SET {update} WHERE old *<> EXCLUDED" if rest else "NOTHING"}"""


def probe(result: Materialized) -> str:
    """Nothing but the server's opinion of the query and of its columns. Takes what `refresh` does."""
    return f"EXPLAIN {refresh(result)}"


def note_keys(result: Materialized) -> str:
    """Takes keys."""
    kind = result.columns[result.key]
    return _note(result, f"SELECT DISTINCT key FROM unnest($1::{kind}[]) AS key WHERE key IS NOT NULL")


def note_all(result: Materialized) -> str:
    """Whatever has rows, or had some."""
    if not result.key:
        return f"INSERT INTO {_quoted(result.changes)} DEFAULT VALUES ON CONFLICT DO NOTHING"
    kind = result.columns[result.key]
    held = {result.name: result.key, **result.tables}
    every = (
        f"SELECT {_quoted(column)}::{kind} FROM {_quoted(table)} WHERE {_quoted(column)} IS NOT NULL"
        for table, column in held.items()
    )
    return _note(result, "\nUNION ".join(every))


def _note(result: Materialized, keys: str) -> str:
    return f"INSERT INTO {_quoted(result.changes)} (changed)\n{keys}\nON CONFLICT DO NOTHING"


# Of the migration

_VACUUM = "autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000"
"""Its rows come and go: the oldest are found behind those that are gone, until these are cleaned up."""


def upgrade(result: Materialized, *, replaces: bool) -> str:
    """A script. replaces: what an earlier migration made of this name is dropped first."""
    columns = ",\n    ".join(f"{_quoted(name)} {kind}" for name, kind in result.columns.items())
    noted = ",\n    ".join(
        [
            "at timestamptz NOT NULL DEFAULT now()",
            "xid xid8 NOT NULL DEFAULT pg_current_xact_id()",
            *([f"changed {result.columns[result.key]} NOT NULL"] if result.key else []),
            f"PRIMARY KEY (at, xid{', changed' if result.key else ''})",
        ]
    )
    statements = [
        STATE_TABLE,
        f"DELETE FROM ramet_materialized WHERE name = '{result.name}'",
        *([drop(result.name)] if replaces else []),
        f"CREATE TABLE {_quoted(result.name)} (\n    {columns},\n    PRIMARY KEY ({_list(result.unique)})\n)",
        f"CREATE TABLE {_quoted(result.changes)} (\n    {noted}\n) WITH ({_VACUUM})",
        _function(result),
        *(each for table in result.tables for each in _triggers(result, table)),
    ]
    return ";\n".join(statements)


def drop(name: str) -> str:
    """A script: everything of a result."""
    return f"DROP FUNCTION {_quoted(NOTE + name)}() CASCADE;\nDROP TABLE {_quoted(CHANGES + name)}, {_quoted(name)}"


def _function(result: Materialized) -> str:
    if result.key:
        rows = "".join(_of_column(result, column) for column in dict.fromkeys(result.tables.values()))
        body = f"    IF TG_OP = 'TRUNCATE' THEN\n{_indented(note_all(result))};\n    END IF;\n{rows}"
    else:
        body = f"    {note_all(result)};\n"
    return (
        f"CREATE FUNCTION {_quoted(result.note)}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER\n"
        f'SET search_path = "{result.module}", extensions, pg_temp AS $$\n'
        f"BEGIN\n{body}    RETURN NULL;\nEND $$"
    )


def _of_column(result: Materialized, column: str) -> str:
    """The row before and the row after. Which column it is, the trigger says: partitions have names of their own."""
    into = f"INSERT INTO {_quoted(result.changes)} (changed) VALUES"
    return "".join(
        f"    IF TG_ARGV[0] = '{column}' AND TG_OP IN ({operations}) THEN\n"
        f"        IF {row}.{_quoted(column)} IS NOT NULL THEN\n"
        f"            {into} ({row}.{_quoted(column)}) ON CONFLICT DO NOTHING;\n"
        "        END IF;\n"
        "    END IF;\n"
        for row, operations in (("OLD", "'UPDATE', 'DELETE'"), ("NEW", "'INSERT', 'UPDATE'"))
    )


def _triggers(result: Materialized, table: str) -> list[str]:
    """No table of a schema has two triggers of one name; the one for TRUNCATE cannot be for rows."""
    on, note = _quoted(table), _quoted(result.note)
    run = f"EXECUTE FUNCTION {note}('{result.tables[table]}')"
    return [
        f"CREATE TRIGGER {note} AFTER INSERT OR UPDATE OR DELETE ON {on}\n    FOR EACH ROW {run}",
        f"ALTER TABLE {on} ENABLE ALWAYS TRIGGER {note}",
        f"CREATE TRIGGER {_quoted(result.note + '_t')} AFTER TRUNCATE ON {on}\n    FOR EACH STATEMENT {run}",
    ]


def _indented(text: str) -> str:
    return "\n".join(f"        {line}" for line in text.splitlines())


def _list(names: Iterable[str]) -> str:
    return ", ".join(map(_quoted, names))


def _quoted(name: str) -> str:
    return f'"{name}"'
