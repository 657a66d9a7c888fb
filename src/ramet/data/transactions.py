"""Which block is open here, and which `once` call runs here: the two things that a statement needs to know of its surroundings.

Both are context variables, so that tasks started by a block's code see them too. Light: `import ramet` loads this.
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Protocol

from ramet.data.errors import BlockMisuse


class Open(Protocol):
    """A block of `db.read()`, `db.write()` or `db.session()`."""

    is_open: bool

    @property
    def pool(self) -> object: ...
    @property
    def task(self) -> object: ...


open_block: ContextVar[Open | None] = ContextVar("ramet_open_block", default=None)


def is_in_transaction() -> bool:
    """Whether a call made here would be made inside a block of a database.

    True as well in tasks that the block's code has started, for as long as the block is open.
    """
    block = open_block.get()
    return block is not None and block.is_open


class Replay(BaseException):
    """This `once` call has run before: its function must not go on. Not an Exception, so that `except Exception` lets it pass."""


class Claim:
    """What a running `once` call has done about its key. The states, and who moves them:

        free ──(its first write block inserts the key)──> claiming ──(the block commits)──> claimed
          ^                                                  │ └─(the key is there already)──> replay
          └───────────────(the block is rolled back)─────────┘

    is_stored: the outcome is in the ledger as well, because the block wrote it before its commit.
    """

    FREE, CLAIMING, CLAIMED, REPLAY = "free", "claiming", "claimed", "replay"

    __slots__ = ("call", "encode", "is_stored", "key", "pool", "state")

    def __init__(self, pool: object, call: str, key: str, encode: Callable[[Any], bytes]) -> None:
        self.pool = pool
        self.call = call
        self.key = key
        self.encode = encode
        self.state = Claim.FREE
        self.is_stored = False

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
