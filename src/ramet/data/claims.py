"""What write blocks begin with inside of a `once` call (its key) and of a schedule's run (its epoch). Light: `import ramet` loads
this. See `once` and `ownership`."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from ramet.data.errors import BlockMisuse, OwnershipOver

LEDGER_TABLE = """\
CREATE TABLE IF NOT EXISTS ramet_once (
    call text, key text, result bytea, due timestamptz NOT NULL, created timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT ramet_once_pkey PRIMARY KEY (call, key)
)"""
"""result: NULL until the outcome is known. due: by then the call has ended, one way or another."""
OWNER_TABLES = """\
CREATE TABLE IF NOT EXISTS ramet_owner (
    role text CONSTRAINT ramet_owner_pkey PRIMARY KEY, epoch bigint NOT NULL, instance text NOT NULL
);
CREATE TABLE IF NOT EXISTS ramet_schedules (
    schedule text CONSTRAINT ramet_schedules_pkey PRIMARY KEY, began timestamptz NOT NULL
)"""
"""epoch: the newest that was taken. instance: empty until one has taken it. began: the last run, at whatever instance."""
LEDGER_KEY = "ramet_once_pkey"
CLAIM = "INSERT INTO ramet_once (call, key, due) VALUES ($1, $2, clock_timestamp() + $3 * interval '1 second')"
HOLD_EPOCH = """\
SELECT set_config('idle_in_transaction_session_timeout', $4, true)
FROM ramet_owner WHERE role = $1 AND epoch = $2 AND instance = $3 FOR SHARE"""
"""The row's lock makes a new owner wait for the block's end; the server ends a block whose process was stopped."""
RESULT = "UPDATE ramet_once SET result = $3 WHERE call = $1 AND key = $2"


class Replay(BaseException):
    """This `once` call has run before: its function must not go on. Not an Exception, so that `except Exception` lets it pass."""


class Fenced:
    """The epoch under which a schedule's run may write: each of its write blocks holds it until its commit.

    role, epoch, instance: the row of `ramet_owner`. idle_ms: how long a block may be idle.
    """

    __slots__ = ("_args", "pool")

    def __init__(self, pool: object, role: str, epoch: int, instance: str, idle_ms: str) -> None:
        self.pool = pool
        self._args = (role, epoch, instance, idle_ms)

    def __repr__(self) -> str:
        role, epoch, instance, _ = self._args
        return f"<Fenced {role} of {instance} at epoch {epoch}>"

    async def enter(self, connection: Any) -> None:
        """Raises OwnershipOver."""
        if not await connection.rows(HOLD_EPOCH, self._args, 1):
            role, epoch, instance, _ = self._args
            raise OwnershipOver(
                f"this write is refused: the epoch {epoch} under which {instance} owned the {role} is over",
                hint="nothing: another instance owns them now, and nothing of this block was written",
            )


class Claim:
    """What a running `once` call has done about its key. The states, and who moves them:

        free ──(its first write block inserts the key)──> claiming ──(the block commits)──> claimed
          ^                                                  │ └─(the key is there already)──> replay
          └───────────────(the block is rolled back)─────────┘

    owner: the database of the call's module. at: the shard of it that has the key. stored: the outcome as it is in the ledger
    already, because the block wrote it before its commit. fence: of the run that makes
    this call, None outside of one.
    """

    FREE, CLAIMING, CLAIMED, REPLAY = "free", "claiming", "claimed", "replay"

    __slots__ = ("at", "call", "encode", "fence", "key", "owner", "state", "stored")

    def __init__(self, owner: object, call: str, key: str, encode: Callable[[Any], bytes]) -> None:
        self.fence = fence_of(current_claim.get())
        self.owner = owner
        self.at: Any = None
        self.call = call
        self.key = key
        self.encode = encode
        self.state = Claim.FREE
        self.stored: bytes | None = None

    def __repr__(self) -> str:
        return f"<Claim of {self.call} under {self.key}: {self.state}>"

    def begin(self, at: Any) -> bool:
        """Whether the block that now begins has to insert the key. at: the shard that it writes to, of type `Opened`."""
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
        self.at = at
        return True

    def refused(self) -> Replay:
        self.state = Claim.REPLAY
        return Replay(self.call)

    def ended(self, *, is_committed: bool) -> None:
        if self.state == Claim.CLAIMING:
            self.state = Claim.CLAIMED if is_committed else Claim.FREE


current_claim: ContextVar[Claim | Fenced | None] = ContextVar("ramet_claim", default=None)


def fence_of(claim: Claim | Fenced | None) -> Fenced | None:
    return claim.fence if isinstance(claim, Claim) else claim
