"""Two columns of a table that hold one fact while two versions of the code are at work: SQL of the triggers that keep them equal.

A trigger runs before the row is written, so no writer can get past it, and a version that knows only one of the columns writes
both. In an update the column that was changed is the one that is right, the new one if both were. In an insert it is the new
one if it was given: it has no default until the old one goes. A row that nobody has filled in yet is by its next update.

The triggers are of the default kind: they do not fire where replication applies what the trigger elsewhere has done already.
Each function keeps the search_path of the migration, for writers that have another one. Pure.
"""

from ramet.data.schemas import quote

BACKFILL = "current_setting('ramet.backfill', true) = 'on'"
"""In a batch of a backfill, which sets what it means to set and nothing else."""
_LONGEST = 63
"""Bytes of an identifier. Source: NAMEDATALEN."""


def add_twin(table: str, old: str, new: str) -> str:
    """A column of the same type as another, without its default and its constraints."""
    type_ = _column(table, old, "format_type(atttypid, atttypmod)")
    return _block(f"EXECUTE format('ALTER TABLE {_inner(table)} ADD COLUMN IF NOT EXISTS {_inner(new)} %s', {type_});")


def dual_write(table: str, old: str, new: str, up: str, down: str) -> tuple[str, ...]:
    """up: the new column's value, an expression over the row's columns; down: the old one's."""
    fresh, past = quote(new), quote(old)
    forth, back = f"NEW.{fresh} := {_value(up)};", f"NEW.{past} := {_value(down)};"
    body = (
        f"IF {BACKFILL} THEN RETURN NEW; END IF; "
        f"IF TG_OP = 'INSERT' THEN IF NEW.{fresh} IS NOT NULL THEN {back} ELSE {forth} END IF; "
        f"ELSIF NEW.{fresh} IS DISTINCT FROM OLD.{fresh} THEN {back} "
        f"ELSIF NEW.{past} IS DISTINCT FROM OLD.{past} OR (NEW.{fresh} IS NULL AND NEW.{past} IS NOT NULL) THEN {forth} END IF; "
        "RETURN NEW;"
    )
    return _trigger(table, _name("dual", table, new), body)


def drop_dual_write(table: str, new: str) -> tuple[str, ...]:
    return _dropped(table, _name("dual", table, new))


def fill(table: str, column: str, value: str) -> tuple[str, ...]:
    """Writers that leave a column empty get a value: an expression over the row's columns."""
    body = f"IF NEW.{quote(column)} IS NULL THEN NEW.{quote(column)} := {_value(value)}; END IF; RETURN NEW;"
    return _trigger(table, _name("fill", table, column), body)


def drop_fill(table: str, column: str) -> tuple[str, ...]:
    return _dropped(table, _name("fill", table, column))


def carry_not_null(table: str, old: str, new: str) -> tuple[str, ...]:
    """Where a column may not be NULL, its twin may not either. Each is to be a transaction of its own: the second reads the whole
    table, and must not hold the first one's lock meanwhile."""
    check = _name("not_null", table, new)
    altered, has = f"ALTER TABLE {quote(table)}", _has_check(table, check)
    must = _column(table, old, "attnotnull")
    added = f"{altered} ADD CONSTRAINT {quote(check)} CHECK ({quote(new)} IS NOT NULL) NOT VALID;"
    return (
        _block(f"IF {must} AND NOT {has} THEN {added} END IF;"),
        _block(f"IF {has} THEN {altered} VALIDATE CONSTRAINT {quote(check)}; END IF;"),
    )


def check_not_null(table: str, column: str) -> tuple[str, ...]:
    """No row may have NULL there from here on, and none has. Each is to be a transaction of its own, as in `carry_not_null`."""
    check = quote(_name("not_null", table, column))
    altered = f"ALTER TABLE {quote(table)}"
    return (
        f"{altered} DROP CONSTRAINT IF EXISTS {check}",
        f"{altered} ADD CONSTRAINT {check} CHECK ({quote(column)} IS NOT NULL) NOT VALID",
        f"{altered} VALIDATE CONSTRAINT {check}",
    )


def drop_check(table: str, column: str) -> str:
    return f"ALTER TABLE {quote(table)} DROP CONSTRAINT IF EXISTS {quote(_name('not_null', table, column))}"


def set_not_null(table: str, column: str) -> str:
    """By the check of `check_not_null`, which makes it a look at the catalog; raises in the server where that is not there."""
    check, altered = _name("not_null", table, column), f"ALTER TABLE {quote(table)}"
    words = _text(f"{table}.{column} has no valid check {check}, without which the table would be read under a lock")
    return _block(
        f"IF NOT {_has_check(table, check, 'AND convalidated')} THEN RAISE EXCEPTION USING MESSAGE = {words}; END IF;"
        f" {altered} ALTER COLUMN {quote(column)} SET NOT NULL; {altered} DROP CONSTRAINT {quote(check)};"
    )


def take_over(table: str, old: str, new: str) -> tuple[str, ...]:
    """The twin gets the rest of what the column has, NOT NULL and its default, and the column goes. Raises in the server where
    the column is in more indexes and constraints than its twin: they would be lost."""
    check, altered = _name("not_null", table, new), f"ALTER TABLE {quote(table)}"
    lost = " OR ".join(f"{count(table, old, check)} > {count(table, new, check)}" for count in (_indexes, _constraints))
    words = _text(f"{table}.{old} is in indexes or constraints that {table}.{new} is not in; make them first, in an expand")
    fixed = f"{altered} ALTER COLUMN {quote(new)} SET NOT NULL; {altered} DROP CONSTRAINT {quote(check)};"
    default = _default(table, old)
    given = f"EXECUTE format('ALTER TABLE {_inner(table)} ALTER COLUMN {_inner(new)} SET DEFAULT %s', {default});"
    return (
        _block(f"IF {lost} THEN RAISE EXCEPTION USING MESSAGE = {words}; END IF;"),
        _block(f"IF {_has_check(table, check)} THEN {fixed} END IF;"),
        _block(f"IF {default} IS NOT NULL THEN {given} END IF;"),
        *drop_dual_write(table, new),
        f"ALTER TABLE {quote(table)} DROP COLUMN {quote(old)}",
    )


def _column(table: str, column: str, what: str) -> str:
    """Of the catalog's row of a column."""
    return f"(SELECT {what} FROM pg_attribute WHERE attrelid = {_oid(table)} AND attname = {_text(column)})"  # noqa: S608  (our own names, quoted)


def _has_check(table: str, name: str, more: str = "") -> str:
    return f"EXISTS (SELECT 1 FROM pg_constraint WHERE conrelid = {_oid(table)} AND conname = {_text(name)} {more})"  # noqa: S608  (as above)


def _indexes(table: str, column: str, _but: str) -> str:
    number = _column(table, column, "attnum")
    return f"(SELECT count(*) FROM pg_index WHERE indrelid = {_oid(table)} AND {number} = ANY (indkey::int2[]))"  # noqa: S608  (as above)


def _constraints(table: str, column: str, but: str) -> str:
    """Foreign keys and checks; the rest are indexes."""
    has = f"contype IN ('f', 'c') AND conname <> {_text(but)} AND {_column(table, column, 'attnum')} = ANY (conkey)"
    return f"(SELECT count(*) FROM pg_constraint WHERE conrelid = {_oid(table)} AND {has})"  # noqa: S608  (as above)


def _default(table: str, column: str) -> str:
    one = f"adrelid = {_oid(table)} AND adnum = {_column(table, column, 'attnum')}"
    return f"(SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE {one})"  # noqa: S608  (as above)


def _oid(table: str) -> str:
    return f"{_text(quote(table))}::regclass"


def _trigger(table: str, name: str, body: str) -> tuple[str, ...]:
    function = f"{quote(name)}() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT"
    trigger = f"{quote(name)} BEFORE INSERT OR UPDATE ON {quote(table)} FOR EACH ROW EXECUTE FUNCTION {quote(name)}()"
    return f"CREATE OR REPLACE FUNCTION {function} AS $ramet$ BEGIN {body} END $ramet$", f"CREATE OR REPLACE TRIGGER {trigger}"


def _dropped(table: str, name: str) -> tuple[str, ...]:
    return f"DROP TRIGGER IF EXISTS {quote(name)} ON {quote(table)}", f"DROP FUNCTION IF EXISTS {quote(name)}()"


def _value(expression: str) -> str:
    """Of the row that is being written, by its columns' names."""
    return f"(SELECT {expression} FROM (SELECT NEW.*) AS ramet_row)"  # noqa: S608  (a migration's own SQL)


def _block(body: str) -> str:
    return f"DO $ramet$ BEGIN {body} END $ramet$"


def _name(kind: str, table: str, column: str) -> str:
    name = f"ramet_{kind}_{table}_{column}"
    if len(name.encode()) > _LONGEST:
        raise ValueError(f"{name} is longer than the {_LONGEST} bytes of an identifier")
    return name


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _inner(name: str) -> str:
    """An identifier within format()'s text."""
    return quote(name).replace("'", "''").replace("%", "%%")
