"""What can go wrong with an engine. To be drawn into the tree of `ramet.errors`.

RametError
└── EngineError           the world: a server that Ramet runs, or wants to
    ├── EngineMissing     RM342  its binaries are not installed
    ├── EngineBusy        RM343  another supervisor already runs it in this directory
    ├── EngineFailed      RM344  it did not start, or stopped by itself; carries the end of its log
    ├── EngineRejected    RM345  it runs, and refused a new configuration; the old one stays in force
    ├── PortTaken         RM346  the port that was asked for belongs to somebody else
    ├── EngineUnfit       RM347  what is there cannot be used: data of another version, an owner or rights that do not fit
    ├── EngineFenced      RM348  a replica of it was, or is to be, promoted: it must not serve before it was rejoined
    └── FailoverRefused   RM349  the replica lacks what another one has: promoting it would lose acknowledged writes
"""

from pathlib import Path

from ramet.errors import RametError


class EngineError(RametError):
    code = "RM341"


class EngineMissing(EngineError):
    code = "RM342"


class EngineBusy(EngineError):
    """`pid` is the process that holds the directory; None where it could not be read."""

    code = "RM343"

    def __init__(self, message: str, *, pid: int | None, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, where=where, hint=hint)
        self.pid = pid


class EngineFailed(EngineError):
    """`log_tail` is the last the engine wrote, empty if it wrote nothing; it is attached as a note too."""

    code = "RM344"

    def __init__(self, message: str, *, log_tail: str = "", where: str | Path | None = None, hint: str | None = None) -> None:
        super().__init__(message, where=None if where is None else str(where), hint=hint)
        self.log_tail = log_tail
        if log_tail:
            self.add_note(f"the end of its log:\n{log_tail}")


class EngineRejected(EngineError):
    """`reason` is in the engine's own words."""

    code = "RM345"

    def __init__(self, message: str, *, reason: str, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(f"{message}: {reason}", where=where, hint=hint)
        self.reason = reason


class PortTaken(EngineError):
    code = "RM346"


class EngineUnfit(EngineError):
    code = "RM347"


class EngineFenced(EngineError):
    code = "RM348"


class FailoverRefused(EngineError):
    code = "RM349"
