"""RM704: SQL, migrations and foreign keys that name another module's table. RM713 for SQL that nobody could read."""

from collections.abc import Iterator

from ramet.check import rules
from ramet.check.facts import Table
from ramet.check.findings import Finding
from ramet.check.project import ModuleSource, Project

_EVERYBODYS = {"public", "extensions", "pg_catalog", "information_schema"}


def find(project: Project) -> Iterator[Finding]:
    owners = _owners(project)
    schemas = {module.name: module for module in project.modules} if project.is_application else {}
    for file in project.files.values():
        own = project.module_of(file.name)
        told: set[tuple[int, Table]] = set()
        for statement in project.facts[file.name].statements:
            if statement.problem:
                yield Finding(
                    rules.SQL_NOT_READ,
                    file.shown,
                    statement.line,
                    f"this statement was not read: {statement.problem}",
                    "see yourself that it names no table of another module",
                    "SQL",
                )
            for table in statement.uses if own is not None else ():
                owner = _owner(table, own, owners, schemas)
                if owner is not None and owner is not own and (statement.line, table) not in told:
                    told.add((statement.line, table))
                    yield _foreign(file.shown, statement.line, table, own, owner)


def _owners(project: Project) -> dict[str, list[ModuleSource]]:
    """Table -> the modules that create one of this name in their own schema."""
    found: dict[str, list[ModuleSource]] = {}
    for file in project.files.values():
        module = project.module_of(file.name)
        if module is None:
            continue
        for statement in project.facts[file.name].statements:
            for table in statement.creates:
                of_table = found.setdefault(table.name, [])
                if module not in of_table:
                    of_table.append(module)
    return found


def _owner(
    table: Table, own: ModuleSource | None, owners: dict[str, list[ModuleSource]], schemas: dict[str, ModuleSource]
) -> ModuleSource | None:
    """None: a table that nobody here makes."""
    if table.schema in schemas:
        return schemas[table.schema]
    if table.schema in _EVERYBODYS:
        return None
    made_by = owners.get(table.name, [])
    if own is None or own in made_by:
        return own
    return made_by[0] if made_by else None


def _foreign(file: str, line: int, table: Table, own: ModuleSource | None, owner: ModuleSource) -> Finding:
    assert own is not None
    name = f"{table.schema}.{table.name}" if table.schema else table.name
    return Finding(
        rules.FOREIGN_TABLE,
        file,
        line,
        f"`{own.name}` names the table `{name}`, which belongs to `{owner.name}`",
        f"let the face of `{owner.name}` answer what is asked of `{table.name}` here, and call that",
        name,
    )
