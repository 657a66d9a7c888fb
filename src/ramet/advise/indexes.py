"""Which index would help which query, from statistics alone; and which indexes help nobody. Pure.

The heuristic is pghero's: of the columns that a query compares, the most selective first, until fewer than 50 rows are left or
the index has two columns; a range ends it; a column that leaves most of the rows is not worth its place. Tables of few rows need
none, and neither does a query for which an index does as well that is there already. Unlike pghero it reads joins: each table by
the values that it is compared with. It is a guess, and says how much it expects; `operate.trying` puts it to the test.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ramet.advise.predicates import Reading, Want, read
from ramet.model.catalog import Catalog, Column, Index, NewIndex, Table, Trial
from ramet.model.insight import QueryUse

FEW_ROWS = 500
"""A table of so many is read at once. pghero's figure, as the next three."""
ENOUGH = 50.0
MAX_COLUMNS = 2
LEFT_BY_A_COLUMN = 0.3
WORTH_IT = 0.5
RANGE = 10.0
"""A range is taken to leave a tenth."""
NOT_INDEXED = ("json", "jsonb", "xml", "point", "polygon", "box")


@dataclass(frozen=True, slots=True)
class Candidate:
    """An index that might help. rows: of the table. left: that it would leave to read, for the query that it helps least.
    total_s: that its queries have taken; saved_s: the part of it that is expected to go. writes: rows written to the table, each
    of which would have to be written into the index too."""

    index: NewIndex
    rows: float
    left: float
    queries: tuple[QueryUse, ...]
    total_s: float
    saved_s: float
    writes: int
    trials: tuple[Trial, ...] = ()
    """One for each of the queries, in their order; none before it was tried."""

    @property
    def problem(self) -> str:
        """Why it could not be tried with any query; empty where it was, or nobody did."""
        return self.trials[0].problem if self.trials and all(trial.problem for trial in self.trials) else ""

    @property
    def helps(self) -> bool:
        """As far as it is known: tried, it makes a plan cost at most half. Dexter's figure."""
        if not self.trials or self.problem:
            return True
        return any(trial.used and trial.after <= trial.before * WORTH_IT for trial in self.trials)


@dataclass(frozen=True, slots=True)
class Needless:
    """An index that could go. why: in words. instead: the index that does its work, empty for one that nobody uses."""

    index: Index
    why: str
    instead: str = ""


def candidates(queries: Iterable[QueryUse], catalog: Catalog) -> list[Candidate]:
    """The one that is expected to save the most first. queries: of this module, one for each fingerprint."""
    found: dict[NewIndex, list[tuple[QueryUse, float]]] = {}
    for query in queries:
        reading = read(query.worst.text or query.text)
        for index, left in dict(_of_query(reading, catalog)).items():
            found.setdefault(index, []).append((query, left))
    for short in list(found):
        longer = next((each for each in found if each != short and _begins_with(each, short)), None)
        if longer is not None:
            found[longer].extend(found.pop(short))
    rows = [_candidate(index, helped, catalog.tables[index.table]) for index, helped in found.items()]
    return sorted(rows, key=lambda each: -each.saved_s)


def tried(candidate: Candidate, trials: Sequence[Trial]) -> Candidate:
    """With what the trials found in place of what was guessed, where they found something."""
    saved_s = sum(
        query.total_s * max(1 - trial.after / trial.before, 0.0)
        for query, trial in zip(candidate.queries, trials, strict=True)
        if trial.used and trial.before
    )
    made = replace(candidate, trials=tuple(trials))
    return made if made.problem else replace(made, saved_s=saved_s)


def _begins_with(longer: NewIndex, short: NewIndex) -> bool:
    return longer.table == short.table and longer.columns[: len(short.columns)] == short.columns


def _candidate(index: NewIndex, helped: Sequence[tuple[QueryUse, float]], table: Table) -> Candidate:
    total_s = sum(query.total_s for query, _ in helped)
    saved_s = sum(query.total_s * (1 - left / max(table.rows, 1.0)) for query, left in helped)
    left = max(left for _, left in helped)
    return Candidate(index, table.rows, left, tuple(query for query, _ in helped), total_s, saved_s, table.writes)


def _of_query(reading: Reading, catalog: Catalog) -> Iterator[tuple[NewIndex, float]]:
    for want in reading.wants:
        table = catalog.tables.get(want.table)
        if table is None or table.rows < FEW_ROWS:
            continue
        best = best_columns(want, table)
        if best is None:
            continue
        columns, left = best
        if not _is_served(want, table, columns, left):
            yield NewIndex(table.name, columns), left


def best_columns(want: Want, table: Table) -> tuple[tuple[str, ...], float] | None:
    """(columns in order, rows that are left to read), or None where no index would leave less than most of the table."""
    equal = _equal(want, table)
    chosen: list[str] = []
    left = table.rows
    for name in sorted(equal, key=lambda name: rows_of(table, table.columns[name])):
        if left <= ENOUGH or len(chosen) == MAX_COLUMNS:
            break
        share = rows_of(table, table.columns[name]) / table.rows
        if share <= LEFT_BY_A_COLUMN:
            chosen.append(name)
            left *= share
    if left > ENOUGH and len(chosen) < MAX_COLUMNS and (ranges := _known(want.ranges, table)):
        chosen.append(ranges[0])
        left /= RANGE
    elif left > ENOUGH and chosen and len(chosen) < MAX_COLUMNS and len(want.order) == 1:
        chosen += [name for name in _known(want.order, table) if name not in chosen]
    if not chosen or left > table.rows * LEFT_BY_A_COLUMN:
        return None
    return tuple(chosen), left


def _equal(want: Want, table: Table) -> list[str]:
    """Columns to find rows by: those that must equal a value, else those by which another table's rows ask for them."""
    return _known(want.equal, table) or _known([own for own, _, _ in want.links], table)


def rows_of(table: Table, column: Column) -> float:
    """That equal a common value of the column. Without statistics: as many as there are."""
    if not column.distinct:
        return table.rows
    return table.rows * (1 - column.null_share) / column.distinct


def _known(names: Iterable[str], table: Table) -> list[str]:
    return [name for name in names if name in table.columns and not table.columns[name].type.startswith(NOT_INDEXED)]


def _is_served(want: Want, table: Table, columns: Sequence[str], left: float) -> bool:
    """Whether an index that is there leaves as few rows, or begins with the same columns."""
    equal = set(_equal(want, table))
    for index in table.indexes:
        if not index.is_valid or index.where or index.method not in {"btree", "hash"}:
            continue
        start = index.columns[: len(columns)]
        if tuple(start) == tuple(columns) or (set(start) == set(columns) and set(columns) <= equal):
            return True
        remaining = table.rows
        for name in index.columns:
            if name not in equal or name not in table.columns:
                break
            remaining *= rows_of(table, table.columns[name]) / max(table.rows, 1.0)
        if remaining < table.rows and remaining <= max(ENOUGH, left):
            return True
    return False


def needless(catalog: Catalog) -> list[Needless]:
    """Indexes whose work another does, those that nothing has used, those that were never finished. The largest first."""
    found = [each for table in catalog.tables.values() for each in _needless(table)]
    return sorted(found, key=lambda each: -each.index.bytes)


def _needless(table: Table) -> Iterator[Needless]:
    gone: set[str] = set()
    # Of two that are the same the one that is used less goes, and never one that a constraint needs.
    for index in sorted(table.indexes, key=lambda each: (each.is_constraint, each.is_unique, each.scans, each.name)):
        if not index.is_valid:
            yield Needless(index, "it is invalid: a CREATE INDEX CONCURRENTLY did not end, and it is written to and never read")
            continue
        other = next((each for each in table.indexes if each.name not in gone and _does_the_work(each, index)), None)
        if other is not None:
            gone.add(index.name)
            same = (
                "has the same columns"
                if other.keys == index.keys
                else f"begins with the same columns ({', '.join(other.columns)})"
            )
            yield Needless(index, f"{other.name} {same}", other.name)
        elif index.scans == 0 and not index.is_constraint and not index.is_unique:
            yield Needless(index, "nothing has used it")


def _does_the_work(other: Index, index: Index) -> bool:
    """Whether `other` serves whatever `index` does."""
    if other is index or not other.is_valid or index.is_constraint:
        return False
    alike = (
        other.method == index.method == "btree"
        and other.where == index.where
        and set(index.included) <= {*other.included, *other.columns}
    )
    if index.is_unique and not (other.is_unique and other.keys == index.keys):
        return False
    return alike and other.keys[: len(index.keys)] == index.keys
