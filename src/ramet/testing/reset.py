"""Back to what the migrations made, between two tests, without a new database: what to undo is known, and only that is undone.

    touched     a statement trigger on each table notes that a statement wrote to it, in the writer's own transaction: so a write
                that was rolled back is not noted, and one of another process is. Rows of touched tables are deleted, and those
                that the migrations had put there come back from a copy
    sequences   those that are not where they were are set back
    changed     an event trigger notes DDL, temporary tables apart. Then the database is made anew from its template

The notes are rows without a key: two writers must not wait for each other where without the test they would not. All of it lives
in a schema of its own, belongs to the superuser, and is part of the template.
"""

from collections.abc import Iterable

from ramet.data import driver
from ramet.data.schemas import quote

VERSION = 2
"""Of what is installed below; part of a template's name."""
VACUUM_PAGES = 64
"""Size at which a table whose rows were deleted gives its pages back: 512 KiB, below which a scan of dead rows costs nothing."""

_INSTALL = """
CREATE SCHEMA ramet_testing;
CREATE UNLOGGED TABLE ramet_testing.touched (relation oid NOT NULL);
CREATE UNLOGGED TABLE ramet_testing.changed (command text NOT NULL);
CREATE TABLE ramet_testing.sequences (relation oid PRIMARY KEY, last_value bigint);
CREATE TABLE ramet_testing.filled (relation oid PRIMARY KEY, columns text NOT NULL);

CREATE FUNCTION ramet_testing.touch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    INSERT INTO ramet_testing.touched VALUES (TG_RELID);
    RETURN NULL;
END $$;

CREATE FUNCTION ramet_testing.change() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    IF TG_EVENT = 'sql_drop' THEN
        IF EXISTS (SELECT FROM pg_event_trigger_dropped_objects() WHERE NOT is_temporary) THEN
            INSERT INTO ramet_testing.changed VALUES (TG_TAG);
        END IF;
    ELSIF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE schema_name IS DISTINCT FROM 'pg_temp') THEN
        INSERT INTO ramet_testing.changed VALUES (TG_TAG);
    END IF;
END $$;

CREATE FUNCTION ramet_testing.reset() RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    each record;
    grown text[] := '{}';
    noting oid[] := CASE WHEN EXISTS (SELECT FROM ramet_testing.touched)
        THEN ARRAY(SELECT oid FROM pg_class WHERE relkind = 'r' AND starts_with(relname, 'ramet_changes_')) ELSE '{}' END;
BEGIN
    PERFORM set_config('session_replication_role', 'replica', true), set_config('lock_timeout', '1s', true);
    FOR each IN
        SELECT relation::regclass AS name, relation, pg_relation_size(relation) AS size, columns
        FROM (
            SELECT relation, relation = ANY (noting) AS is_noting
            FROM (SELECT relation FROM ramet_testing.touched UNION SELECT unnest(noting)) AS touched
        ) AS touched LEFT JOIN ramet_testing.filled USING (relation)
        ORDER BY is_noting  -- last: the triggers of materialised results always fire, so the loop itself notes changes
    LOOP
        EXECUTE format('DELETE FROM %s', each.name);
        IF each.columns IS NOT NULL THEN
            EXECUTE format('INSERT INTO %1$s (%2$s) OVERRIDING SYSTEM VALUE SELECT %2$s FROM ramet_testing.copy_%3$s',
                           each.name, each.columns, each.relation);
        END IF;
        IF each.size > {limit} THEN
            grown := grown || each.name::text;
        END IF;
    END LOOP;
    PERFORM setval(relation::regclass, coalesce(last_value, seqstart), last_value IS NOT NULL)
    FROM ramet_testing.sequences JOIN pg_sequence ON seqrelid = relation
    WHERE pg_sequence_last_value(relation) IS DISTINCT FROM last_value;
    DELETE FROM ramet_testing.touched;
    IF pg_relation_size('ramet_testing.touched') > {limit} THEN
        grown := grown || 'ramet_testing.touched'::text;
    END IF;
    RETURN grown;
END $$;
""".replace("{limit}", str(VACUUM_PAGES * 8192))

_REMEMBER = """
DO $$
DECLARE
    each record;
    is_filled boolean;
BEGIN
    FOR each IN
        SELECT c.oid, c.oid::regclass AS name,
               (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
                WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '') AS columns
        FROM pg_class c WHERE relkind IN ('r', 'p') AND relnamespace = ANY({schemas}::regnamespace[])
    LOOP
        EXECUTE format('CREATE TRIGGER ramet_testing AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s'
                       ' FOR EACH STATEMENT EXECUTE FUNCTION ramet_testing.touch()', each.name);
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', each.name) INTO is_filled;
        IF is_filled THEN
            EXECUTE format('CREATE TABLE ramet_testing.copy_%s AS SELECT * FROM %s', each.oid, each.name);
            INSERT INTO ramet_testing.filled VALUES (each.oid, each.columns);
        END IF;
    END LOOP;
    INSERT INTO ramet_testing.sequences
    SELECT seqrelid, pg_sequence_last_value(seqrelid) FROM pg_sequence JOIN pg_class c ON c.oid = seqrelid
    WHERE relnamespace = ANY({schemas}::regnamespace[]);
END $$;
CREATE EVENT TRIGGER ramet_testing_change ON ddl_command_end EXECUTE FUNCTION ramet_testing.change();
CREATE EVENT TRIGGER ramet_testing_drop ON sql_drop EXECUTE FUNCTION ramet_testing.change();
"""


async def install(connection: driver.Driver, schemas: Iterable[str]) -> None:
    """Into a template, as its superuser, after the migrations."""
    names = ", ".join("'" + quote(schema).replace("'", "''") + "'" for schema in schemas)
    await connection.execute(_INSTALL)
    await connection.execute(_REMEMBER.replace("{schemas}", f"ARRAY[{names}]::text[]"))


async def begin(connection: driver.Driver) -> None:
    """In a new copy of the template: whatever was done to it until now is how it is to be."""
    await connection.execute("DELETE FROM ramet_testing.touched; DELETE FROM ramet_testing.changed")


async def reset(connection: driver.Driver) -> bool:
    """Undo what was written since. False where only a new copy of the template can: a table was made, changed or dropped."""
    if await connection.fetchval("SELECT EXISTS (SELECT FROM ramet_testing.changed)"):
        return False
    grown = await connection.fetchval("SELECT ramet_testing.reset()")
    if grown:
        await connection.execute(f"VACUUM {', '.join(grown)}")
    return True
