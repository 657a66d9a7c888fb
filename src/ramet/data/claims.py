"""What a running `once` call has done about its key, and the ledger's statements. Light: `import ramet` loads this. See
`once`."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from ramet.data.errors import BlockMisuse

LEDGER_TABLE = """\
CREATE TABLE IF NOT EXISTS ramet_once (
    call text, key text, result bytea, due timestamptz NOT NULL, created timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT ramet_once_pkey PRIMARY KEY (call, key)
)"""
"""result: NULL until the outcome is known. due: by then the call has ended, one way or another."""
LEDGER_KEY = "ramet_once_pkey"
CLAIM = "INSERT INTO ramet_once (call, key, due) VALUES ($1, $2, clock_timestamp() + $3 * interval '1 second')"
RESULT = "UPDATE ramet_once SET result = $3 WHERE call = $1 AND key = $2"


class Replay(BaseException):
    """This `once` call has run before: its function must not go on. Not an Exception, so that `except Exception` lets it pass."""


class Claim:
    """What a running `once` call has done about its key. The states, and who moves them:

        free ──(its first write block inserts the key)──> claiming ──(the block commits)──> claimed
          ^                                                  │ └─(the key is there already)──> replay
          └───────────────(the block is rolled back)─────────┘

    stored: the outcome as it is in the ledger already, because the block wrote it before its commit.
    """

    FREE, CLAIMING, CLAIMED, REPLAY = "free", "claiming", "claimed", "replay"

    __slots__ = ("call", "encode", "key", "pool", "state", "stored")

    def __init__(self, pool: object, call: str, key: str, encode: Callable[[Any], bytes]) -> None:
        self.pool = pool
        self.call = call
        self.key = key
        self.encode = encode
        self.state = Claim.FREE
        self.stored: bytes | None = None

    def __repr__(self) -> str:
        return f"<Claim of {self.call} under {self.key}: {self.state}>"

    def begin(self) -> bool:
        """Whether the block that now begins has to insert the key."""
        if self.state == Claim.CLAIMED:
            return False
        if self.state == Claim.REPLAY:
            raise Replay(self.call)
        if self.state == Claim.CLAIMING:
            raise BlockMisuse(
                f"{self.call}: two write blocks of one `once` call at the same time",
                hint="one after the other: the first to commit carries the call's key",
            )
        self.state = Claim.CLAIMING
        return True

    def refused(self) -> Replay:
        self.state = Claim.REPLAY
        return Replay(self.call)

    def ended(self, *, is_committed: bool) -> None:
        if self.state == Claim.CLAIMING:
            self.state = Claim.CLAIMED if is_committed else Claim.FREE


current_claim: ContextVar[Claim | None] = ContextVar("ramet_claim", default=None)
