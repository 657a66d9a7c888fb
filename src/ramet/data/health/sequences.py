"""How much of each sequence is used up, by its own limit and by that of the column it fills."""

from collections.abc import Collection
from dataclasses import dataclass

from ramet.data.driver import Driver

_SEQUENCES = """\
SELECT n.nspname, c.relname, format_type(s.seqtypid, NULL), s.seqmax, coalesce(pg_sequence_last_value(c.oid::regclass), 0),
       t.relname, a.attname, format_type(a.atttypid, NULL)
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
LEFT JOIN pg_class t ON t.oid = d.refobjid LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
WHERE s.seqincrement > 0 AND NOT s.seqcycle AND n.nspname = ANY($1::text[])
ORDER BY 1, 2"""
_LARGEST = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """Of one that counts upwards. last: the value that was given out last, 0 for none. largest: the last that fits. table,
    column: which it fills, empty for none. type, column_type: as SQL names them."""

    schema: str
    name: str
    type: str
    last: int
    largest: int
    table: str = ""
    column: str = ""
    column_type: str = ""

    @property
    def used(self) -> float:
        return self.last / self.largest


async def read(connection: Driver, schemas: Collection[str]) -> tuple[Sequence, ...]:
    return tuple(
        Sequence(
            schema=schema,
            name=name,
            type=kind,
            last=last,
            largest=min(limit, _LARGEST.get(column_type or kind, limit)),
            table=table or "",
            column=column or "",
            column_type=column_type or "",
        )
        for schema, name, kind, limit, last, table, column, column_type in await connection.fetch(_SEQUENCES, list(schemas))
    )
