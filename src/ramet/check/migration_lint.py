"""What of a migration would block, break or lose something: rules on the SQL that it would execute, without a server.

A fault that is as it should be is waived in the file, for the whole of it:

    # ramet: allow rows-at-once because the table has three rows
"""

import io
import re
import tokenize
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ramet.check import migration_rules, squawk
from ramet.check.migration_rules import Fault
from ramet.data import migrations
from ramet.data.errors import MigrationFailed
from ramet.data.revisions import Phase, Revision

_WAIVER = re.compile(r"#\s*ramet:\s*allow\s+(?P<rules>[a-z][a-z0-9-]*(?:\s*,\s*[a-z][a-z0-9-]*)*)(?:\s+because\b(?P<why>.*))?")


@dataclass(frozen=True, slots=True)
class Finding:
    """module, revision: which migration. file: its path."""

    module: str
    revision: str
    file: str
    fault: Fault

    def __str__(self) -> str:
        shown = self.fault.statement if len(self.fault.statement) <= 200 else f"{self.fault.statement[:200]}..."
        return f"{self.fault.rule}: {self.fault.message}\n  in: {shown}\n  safe: {self.fault.safe}\n  at: {self.file}"


def lint(module: str, key: str | None, folder: Path, revisions: Iterable[Revision]) -> list[Finding]:
    """All that is wrong, in the order of the migrations. Raises ConfigError without squawk, and MigrationFailed for a migration
    that cannot be rendered."""
    found: list[Finding] = []
    for revision in revisions:
        statements, fills = migrations.render(folder, revision)
        faults = squawk.faults(statements, is_transaction=not revision.is_autocommit)
        faults += migration_rules.faults(statements, module=module, key=key, phase=revision.phase)
        faults += _out_of_place(revision, statements, is_filling=bool(fills))
        waived, unfounded = waivers(revision.path.read_bytes())
        faults = [fault for fault in faults if fault.rule not in waived] + unfounded
        found += [Finding(module, revision.id, str(revision.path), fault) for fault in faults]
    return found


def refuse(found: list[Finding]) -> None:
    """Raises MigrationFailed with all of them if there are any."""
    if found:
        first = found[0]
        raise MigrationFailed(
            f"{len(found)} fault{'s' * (len(found) > 1)} in the migrations:\n" + "\n".join(map(str, found)),
            revision=first.revision,
            statement=first.fault.statement,
            hint=f"the safe form, or in the file: # ramet: allow {first.fault.rule} because REASON",
        )


def waivers(source: bytes) -> tuple[set[str], list[Fault]]:
    """Rules that a file waives, and faults of its waivers."""
    rules: set[str] = set()
    faults: list[Fault] = []
    for token in tokenize.tokenize(io.BytesIO(source).readline):
        if token.type == tokenize.COMMENT and (found := _WAIVER.match(token.string)):
            if (found["why"] or "").strip():
                rules.update(each.strip() for each in found["rules"].split(","))
            else:
                faults.append(Fault("waiver-without-reason", token.string, "a waiver says why", f"{token.string} because ..."))
    return rules, faults


def _out_of_place(revision: Revision, statements: list[str], *, is_filling: bool) -> list[Fault]:
    """A backfill is alone in its migration, and says so."""
    if revision.phase is Phase.BACKFILL and statements:
        return [
            Fault(
                "backfill-alone",
                " ".join(statements[0].split()),
                "a backfill runs in batches, and this would run with none of them",
                'a migration of its own with phase = "expand"',
            )
        ]
    if is_filling and revision.phase is not Phase.BACKFILL:
        return [
            Fault("backfill-alone", "backfill(...)", f"it is in a migration of the phase {revision.phase}", 'phase = "backfill"')
        ]
    return []
