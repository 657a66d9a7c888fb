"""What every code means, in words: of the errors, which have their texts here, and of the findings, whose rules have their own.

Read by `ramet explain` and by tools/reference, which makes docs/reference/errors.md of it.
"""

import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ramet
from ramet.check import rules
from ramet.errors import RametError

_SOURCE = Path(ramet.__file__).parent

DO: dict[str, tuple[str | None, str]] = {
    "RametError": ("Never itself. It is the class to catch for everything below.", "Read the notes: `at:` and `hint:`."),
    "UsageError": (
        "Your code asks for something that cannot be, such as more than 4 KiB of baggage.",
        "Change the code. Calling again does not help.",
    ),
    "DeclarationError": (
        "At import: a module, call or failure is declared in a way that cannot work.",
        "Change the declaration at the place that the error names; the hint is the text to write.",
    ),
    "UnwireableType": (
        "At import: a parameter, a result or a field has a type that cannot cross the wire.",
        "Use a type of the table in [wire.md](wire.md#types). The hint names one.",
    ),
    "UndeclaredUse": (
        "In strict mode (`RAMET_STRICT`): code of one module calls a module that its `uses` does not list.",
        "Add the name to `uses`, or do without the call.",
    ),
    "NotBound": (
        "Something was used where no running part can serve it; see DatabaseNotBound.",
        "Use it inside a running instance.",
    ),
    "ConfigError": (
        "A setting, an environment variable, `ramet.toml` or the application's import paths are wrong.",
        "Correct the value at the place that the error names.",
    ),
    "NothingRuns": (
        "A verb asks the controller of the folder, and there is none, or it does not answer.",
        "`ramet status` says what runs. `ramet up` starts it, or takes over what an earlier controller left.",
    ),
    "RecordingError": (
        "Samples of a gate are damaged, overlap, or were recorded by another version.",
        "Look at the line that the error names. Nothing was judged.",
    ),
    "CallError": (
        "Never itself. It is the class to catch for a call that did not bring a result.",
        "Look at `may_have_run`: False means that the call can be made again without harm.",
    ),
    "BadArgument": ("An argument does not fit the signature, or the arguments do not fit one frame.", "Correct the argument."),
    "DeadlineExceeded": (
        "The deadline passed: before the call was sent, while it waited for an endpoint, or before its answer came.",
        "Find what is slow by the trace id, or give the call more time: `deadline=` in `expose` or in `ramet.calling`.",
    ),
    "Unavailable": (
        "No endpoint took the call: none hosts the module, all circuits are open, or too many calls wait already.",
        "See that the module's service runs. The message has the last error of each endpoint.",
    ),
    "ConnectionLost": (
        "The connection ended before the answer came.",
        "If `may_have_run` is False, call again. Otherwise look whether it ran, or declare the call `idempotent` or `once`.",
    ),
    "Overloaded": (
        "The callee had its limit of calls in flight and did not begin this one.",
        "Call less, add instances, or raise `RAMET_MAX_CALLS` at the callee.",
    ),
    "NotAllowed": (
        "The calling module did not declare the use, or the callee takes no code from outside of all modules at this door.",
        "Add the module to `uses` of the caller and deploy it.",
    ),
    "ContractMismatch": (
        "Caller and callee have signatures that cannot work together. The message has both.",
        "Make the change in a compatible way, see [contracts.md](../concepts/contracts.md).",
    ),
    "BadAnswer": (
        "The result, or a failure's fields, do not fit the signature or do not fit one frame. The call ran.",
        "Correct the callee. Stream what is too large.",
    ),
    "RemoteError": (
        None,
        "Look for the trace id in the callee's log, where the stack is. Make a case of the domain a `Failure`, in `raises`.",
    ),
    "ProtocolError": (
        None,
        "The table of refusals in [wire.md](wire.md#refusals) says what each name means.",
    ),
    "CertificateError": (
        "A certificate or a key is missing, damaged, expired, or of another application.",
        "Issue it again: `ramet certs issue SERVICE --app APP`.",
    ),
    # plans
    "PlanError": (
        "The class to catch for what concerns plans; itself where there is no such plan, or the controller refused otherwise.",
        "`ramet history` lists the plans.",
    ),
    "PlanImpossible": (
        (
            "A plan was asked for that cannot be made: a name that there is not, a module that nobody would host,"
            " a version that does"
            " not import or breaks a caller, too few connections. All reasons are in the message. Nothing was changed."
        ),
        "Mend what the message names, and ask again. `ramet plan` and `--dry-run` ask without changing anything.",
    ),
    "PlanBusy": (
        "A plan is under way, or another controller holds the lease.",
        "Wait for the plan, or `ramet apply --resume` or `--undo`. For a lease: use the controller that the message names.",
    ),
    "StepFailed": (
        "A step of a plan could not be taken, such as an instance that does not become ready. The plan is undone by itself.",
        "`ramet history NUMBER` has the reason, `ramet logs` what the instances said. Mend it, and begin the plan again.",
    ),
    "JournalUnreadable": (
        (
            "What a controller finds written down, the running system or a plan, is of another version of Ramet."
            " Nothing was changed."
        ),
        "Run the version of Ramet that wrote it.",
    ),
    "GateFailed": (
        None,
        "`ramet gate replay` on the file that the error names shows every sample, see [gates.md](../concepts/gates.md).",
    ),
    "MaterializedMismatch": (
        "At an instance's start: the table or a trigger of a materialised result is not as declared, or its query is refused.",
        "`ramet migrate new MODULE --materialized NAME` writes the migration. Of a query, the error has the server's words.",
    ),
    "OwnershipOver": (
        "An instance was about to run a schedule, or to write in a run, under an epoch that is over: another one owns it now.",
        "Nothing: the new owner runs them. If no instance does, see `ramet status`.",
    ),
    # testing
    "HistoryRefused": (
        "A history is recorded, read or judged, see [histories.md](../concepts/histories.md).",
        "Correct the recording. Of a file, the line that the error names.",
    ),
    "PlacementRefused": (
        "In a test with the marker `ramet`: an unknown placement or topology, or a fake that cannot be reached in its placement.",
        "Correct the marker; the hint is the text to write.",
    ),
    "FakeRefused": (
        "In a test, at `fake(...)` or at the end of its block.",
        "Make the fake do what the call's signature says, or change the signature.",
    ),
    # operate
    "GateHeld": (
        None,
        (
            "Look at what it found, in `ramet history NUMBER`. Then `ramet apply --resume` goes on, with a new gate;"
            " `ramet apply --undo` goes back."
        ),
    ),
    "InternalError": ("A state that our code should not reach.", "Report it with its text and stack."),
    # engines
    "EngineError": (
        "Never itself. It is the class to catch for a server that Ramet runs, or wants to.",
        "See the classes below.",
    ),
    "EngineMissing": ("The engine's binaries are not installed.", "Install them; the hint has the command."),
    "EngineBusy": ("Another supervisor already runs the engine in this directory.", "Stop the process `pid`, or use that one."),
    "EngineFailed": ("The engine did not start, or stopped by itself.", "Read `log_tail`, the end of its own log."),
    "EngineRejected": (
        "The engine runs and refused a new configuration. The old one stays in force.",
        "Read `reason`, which is in the engine's own words.",
    ),
    "PortTaken": ("The port that was asked for belongs to another program.", "Stop that program, or choose another port."),
    "EngineUnfit": (
        "What is there cannot be used: data of another version, an owner or rights that do not fit.",
        "Do what the hint says; nothing was changed.",
    ),
    "EngineFenced": (
        (
            "A PostgreSQL was to be started whose replica was, or is to be, promoted, or whose data is half made. It would serve"
            " writes beside the new primary."
        ),
        "Start all its nodes together: it is rejoined to the new primary, see [replicas.md](../concepts/replicas.md#the-fence).",
    ),
    "FailoverRefused": (
        "No replica answers, or the one that was asked for lacks log that another one has. The primary is as it was.",
        "Fail over to the replica that the hint names, or start one.",
    ),
    # data
    "DatabaseError": (
        "Never itself. It is the class to catch for a database that refused, or could not be reached.",
        "Look at `sqlstate` and `may_have_run`.",
    ),
    "ConstraintViolation": (
        "A constraint of the database refused a write.",
        "Catch the class below that you expect, and turn it into a `Failure`.",
    ),
    "UniqueViolation": ("A row with this key exists.", "Turn it into a `Failure`, or write `ON CONFLICT`."),
    "ForeignKeyViolation": (
        "The row that is referred to does not exist, or is still referred to.",
        "Write or remove that row first.",
    ),
    "NotNullViolation": ("A column that needs a value got none.", "Give it a value."),
    "CheckViolation": ("A CHECK constraint refused the row.", "Check the value before it is written."),
    "ExclusionViolation": ("An EXCLUDE constraint refused the row.", "Turn it into a `Failure`."),
    "TransactionConflict": ("Another transaction was in the way.", "Run the block again, or let `db.run` do it."),
    "SchemaChanged": ("A migration changed what a prepared statement returns.", "Run the block again."),
    "TransactionAborted": (
        "A statement before had failed, so nothing was committed.",
        "Let the first error leave the block, or use a nested transaction around the statement that may fail.",
    ),
    "InsufficientPrivilege": (
        "The module's role may not do it; most likely the table belongs to another module.",
        "Call the module that owns the table.",
    ),
    "ReadOnly": ("A write in `db.read()`.", "Use `db.write()`."),
    "LockNotAvailable": ("A lock was not to be had within `lock_timeout`, or at once.", "Run it again later."),
    "StatementRefused": (
        "The server, or the driver before it, refused the statement for another reason.",
        "Correct the statement.",
    ),
    "DatabaseUnavailable": ("There is no connection to the server, or it was lost.", "See that the server runs."),
    "Moved": (
        "A shard refused a row that it does not own: its key has moved, or is not the one that `db.write(key)` was given.",
        "Run it again, or hand it to `db.run`, which does. Where it stays so, compare the row's key with the one that is given.",
    ),
    "NoShard": ("No range of keys has this one.", "Give the range to a shard: `ramet move MODULE --keys LO..HI`."),
    "PoolExhausted": (
        "No connection was free within the checkout timeout. The message names who holds them.",
        "Hold connections for less time. No call to another module inside a block.",
    ),
    "StatementDeadline": ("The time of the work around was up before the statement ended.", "As for DeadlineExceeded."),
    "OutcomeUnknown": (
        "A `once` call ran under this key before, and its outcome was not stored.",
        "Look in the data whether it took effect. The same key will not run it again.",
    ),
    "DatabaseNotBound": ("A database was used where no instance has opened it.", "Use it inside a running instance."),
    "KeyMisuse": (
        "The key of a keyed database was left out, or a key was given where none is declared. It is a TypeError too.",
        "Pass the key, or declare it: `module.database(key=...)`.",
    ),
    "BlockMisuse": (
        "A block was used after its end, inside of itself, or by two tasks at once.",
        "Open a block in each task, and end it there.",
    ),
    "CallInTransaction": (
        "A call to another module was made inside a transaction. It works together and breaks apart.",
        "Make the call before or after the block.",
    ),
    "OverBudget": (
        "All instances together want more connections than the server has.",
        "Fewer instances, smaller pools, or a server with more connections.",
    ),
    "PoolerUnfit": (
        "A pooler stands where a session of the server itself is needed, or sessions behind it lack the settings of the role.",
        "`postgres` in ramet.toml is the URL of the server, `pooler` that of the pooler. `ramet migrate up` writes the settings.",
    ),
    "MigrationFailed": (None, "Correct the migration and run it again; what it did in its transaction is undone."),
    "MigrationsPending": ("The database is behind the code, so the instance does not start.", "Run `ramet migrate up`."),
    "MigrationRefused": (
        "A contract takes away what an instance that runs still needs, or was asked to be taken back.",
        "Roll the instances to a version that knows the contract first. What it took away does not come back by undo.",
    ),
    "MigrationLocked": (
        "Another migrator, or a long transaction, was in the way for too long.",
        "Wait for it, or end it, and run the migration again.",
    ),
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """kind: what has this code, an error's class or a finding. why: empty for an error."""

    code: str
    title: str
    kind: str
    when: str
    why: str
    do: str


def error_classes() -> Iterator[list[type[RametError]]]:
    """The errors of `ramet.errors`, and then those of each file of that name below, each list by code."""
    for path in (_SOURCE / "errors.py", *sorted(_SOURCE.glob("*/**/errors.py"))):
        name = ".".join(("ramet", *path.relative_to(_SOURCE).with_suffix("").parts))
        found = [
            value
            for value in vars(importlib.import_module(name)).values()
            if isinstance(value, type) and issubclass(value, RametError) and value.__module__ == name
        ]
        yield sorted(found, key=lambda cls: cls.code)


def all_codes() -> dict[str, list[Explanation]]:
    """A code that is both an error and a finding is the same thing, found at two times."""
    found: dict[str, list[Explanation]] = {}
    for classes in error_classes():
        for cls in classes:
            found.setdefault(cls.code, []).append(_of_error(cls))
    for rule in rules.RULES:
        kind = "note of ramet check" if rule.is_note else "finding of ramet check"
        found.setdefault(rule.code, []).append(Explanation(rule.code, rule.title, kind, rule.what, rule.why, rule.change))
    return found


def _of_error(cls: type[RametError]) -> Explanation:
    when, do = DO[cls.__name__]
    own = inspect.cleandoc(cls.__doc__) if "__doc__" in vars(cls) and cls.__doc__ else ""
    text = " ".join([*([when] if when else []), *own.split()])
    return Explanation(cls.code, cls.__name__, f"error, {cls.__module__}.{cls.__name__}", _unlinked(text), "", _unlinked(do))


def _unlinked(text: str) -> str:
    """Links of the reference's page lead nowhere on a terminal."""
    return re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", text)
