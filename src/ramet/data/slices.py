"""A slice of keys as SQL: what a row filter, a trigger and a count say of the rows that it has. Pure, but for `key_type`.

Only built-in, immutable functions, since nothing else may stand in a publication's row filter. The expression has the buckets of
`ramet.model.hashing`.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

from ramet.data.driver import Driver
from ramet.data.errors import KeyMisuse
from ramet.data.schemas import quote
from ramet.model.hashing import BUCKETS, COMBINED, SEED
from ramet.model.sharding import AnyKey, Between, Buckets, Key, ShardMap, Slice, Whole, key_of

TYPES = {"int2": "int8", "int4": "int8", "int8": "int8", "uuid": "uuid", "text": "text", "varchar": "text"}
"""Types of a column that can be a key -> the type of the map."""
_HASHES = {"int8": "hashint8extended", "uuid": "uuid_hash_extended", "text": "hashtextextended"}
_CLASSES: dict[str, type] = {"int8": int, "uuid": UUID, "text": str}
INTERNAL = ("ramet_once", "ramet_owner", "ramet_schedules", "ramet_migrations")
"""Tables of a module's schema that are not its author's."""

_COLUMNS = """\
SELECT c.relname, t.typname, a.attnotnull
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND a.attname = $2 AND NOT a.attisdropped ORDER BY 1"""


def bucket(column: str, key_type: str) -> str:
    """The bucket of a column's value, 0 to 1023."""
    name = quote(column)
    value = f"{name}::int8" if key_type == "int8" else name
    # Masked before it is added: the sum of two bigints would overflow.
    return f"((({_HASHES[key_type]}({value}, {SEED}) & {BUCKETS - 1}) + {COMBINED}) & {BUCKETS - 1})"


def predicate(of: Slice, column: str, key_type: str, *, without: Iterable[str] = (), row: str = "") -> str:
    """What holds for the rows of a slice; `true` for all of them. without: keys that are exceptions. row: `NEW` or `OLD`."""
    name = f"{row}.{quote(column)}" if row else quote(column)
    match of:
        case Whole():
            return "true"
        case Key():
            return f"{name} = {literal(of.key, key_type)}"
        case Buckets():
            at = bucket(column, key_type).replace(quote(column), name)
            found = f"{at} BETWEEN {of.lo} AND {of.hi}"
        case Between():
            compared = f'{name} COLLATE "C"' if key_type == "text" else name
            bounds = [f"{compared} {sign} {literal(each, key_type)}" for sign, each in ((">=", of.lo), ("<", of.hi)) if each]
            found = " AND ".join(bounds) or "true"
    excepted = [f"{name} <> {literal(key, key_type)}" for key in without]
    return " AND ".join([found, *excepted])


def owned_predicate(owned: Sequence[Slice], shard_map: ShardMap, column: str, row: str) -> str:
    """What holds for the rows that a shard with these slices owns. Keys that are exceptions elsewhere are not of their slices."""
    mine = {each.key for each in owned if isinstance(each, Key)}
    others = [key for key in shard_map.exceptions if key not in mine]
    parts = [
        predicate(each, column, shard_map.key_type, without=() if isinstance(each, Key) else others, row=row) for each in owned
    ]
    return " OR ".join(f"({part})" for part in parts) or "false"


def literal(text: str, key_type: str) -> str:
    """Raises KeyMisuse for a text that is no key of this type."""
    try:
        key = key_of(text, key_type)
    except ValueError:
        raise KeyMisuse(f"{text!r} is no {key_type}, which the key is") from None
    if key_type == "int8":
        return f"{key}::int8" if int(key) >= 0 else f"({key})::int8"  # pyright: ignore[reportArgumentType]  (an int by its type)
    quoted = str(key).replace("'", "''")
    return f"'{quoted}'::{key_type}"


def checked(key: object, key_type: str, *, module: str, name: str) -> AnyKey:
    """The key, if it has the type of the column. Raises KeyMisuse: the wrong type would have another bucket."""
    wanted = _CLASSES.get(key_type)
    fits = isinstance(key, (int, UUID, str) if wanted is None else wanted)
    if not fits or isinstance(key, bool):
        raise KeyMisuse(
            f"the key `{name}` of `{module}` is of type {key_type or 'bigint, uuid or text'},"
            f" and was given {key!r} ({type(key).__name__})",
            hint={"uuid": "UUID(...)", "int8": "int(...)"}.get(key_type, "an int, a UUID or a str"),
        )
    return key  # pyright: ignore[reportReturnType]  (checked above)


async def key_type(connection: Driver, schema: str, column: str) -> str:
    """The type of the key in all tables that have it; empty where none has. Raises KeyMisuse where tables differ, or where it is
    a type that cannot be a key."""
    found: dict[str, list[str]] = {}
    for table, name, _ in await connection.fetch(_COLUMNS, quote(schema), column):
        if (mapped := TYPES.get(name)) is None:
            raise KeyMisuse(
                f"the key `{column}` of {schema}.{table} is of type {name}",
                hint="a key is a bigint, an integer, a uuid or a text",
            )
        found.setdefault(mapped, []).append(table)
    if len(found) > 1:
        told = ", ".join(f"{name} in {' and '.join(tables)}" for name, tables in found.items())
        raise KeyMisuse(f"the key `{column}` of {schema} has different types: {told}", hint="one type in all tables")
    return next(iter(found), "")
