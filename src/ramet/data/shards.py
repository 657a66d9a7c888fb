"""The shards of one module's database in one process: a pool for each, and which of them a key is at.

What an instance is told (`DatabaseAt`) is applied as a whole, between two turns of the event loop: pools of new shards are open
before the first key is sent to them, those of old ones are closed when their last statement is over. A slice that is about to
move is *held*: blocks and statements that would write to it wait here, before they take a connection, until the next map comes,
or the hold ends by itself. The owner of a key is in the end the server's to say: a shard that does not own it refuses the write
(`Moved`), and whoever may be run again is, at the new owner.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from ramet.data import slices
from ramet.data.connection import Connection
from ramet.data.errors import KeyMisuse, NoShard
from ramet.data.pool import Pool
from ramet.data.queries import Opened
from ramet.data.replicas import Reader
from ramet.model.sharding import AnyKey, DatabaseAt, Resolver, ShardAt, Slice, holds, text_of

MAX_KNOWN = 8192
"""Keys whose shard is remembered: hashing one takes 6 us."""
DRAIN_S = 30.0
"""How long the last work at a shard that left may take, in seconds."""
POLL_S = 0.001

OpenShard = Callable[[ShardAt], Coroutine[Any, Any, Opened]]
"""Open the pools of a shard: of its primary, and of its replicas."""


class Shards:
    """placed: as it is now. key: name of the key, None without one."""

    def __init__(self, module: str, key: str | None, open_shard: OpenShard) -> None:
        self.placed = DatabaseAt(epoch=-1, shards=())
        self.key_type = ""
        self._module = module
        self._key = key
        self._open_shard = open_shard
        self._opened: dict[int, Opened] = {}
        self._places: dict[int, ShardAt] = {}
        self._resolver = Resolver(self.placed.map)
        self._known: dict[AnyKey, Opened] = {}
        self._held: dict[str, _Hold] = {}
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Shards of {self._module}: {', '.join(map(str, sorted(self._opened))) or 'none'}, epoch {self.placed.epoch}>"

    # Which

    @property
    def home(self) -> Opened:
        """Where what has no key is: the ledger, who owns the schedules."""
        return self._opened[self.placed.map.shards[0]]

    @property
    def all(self) -> list[Opened]:
        """Those that own something."""
        return [self._opened[shard] for shard in self.placed.map.shards]

    def owned(self, shard: int, row: str) -> str:
        """What holds for the rows that a shard owns, in SQL: others may be there too, on the way or as a way back. row: the name
        of the table in the statement, empty where it is the only one with the key."""
        if self._key is None:
            return "true"
        return slices.owned_predicate(self.placed.map.of(shard), self.placed.map, self._key, row)

    @property
    def pools(self) -> Iterator[Pool]:
        """Of primaries and replicas."""
        for opened in self._opened.values():
            if isinstance(opened.pool, Pool):
                yield opened.pool
            if isinstance(opened.reader, Reader):
                yield from (replica.pool for replica in opened.reader.replicas)

    @property
    def is_simple(self) -> bool:
        """Whether everything is at one place, for reading and for writing."""
        return len(self._opened) == 1 and not self._held and self.home.reader is None

    def of(self, key: Any) -> Opened:
        """Where a key is read. Raises KeyMisuse for a key of another type than the column's, NoShard where no slice has it."""
        found = self._known.get(key) if key.__class__ is not bool else None
        if found is None:
            found = self._find(key)
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[key] = found
        return found

    def _find(self, key: Any) -> Opened:
        if self._key is None:
            return self.home
        known = slices.checked(key, self.key_type, module=self._module, name=self._key)
        try:
            shard = self._resolver.shard_of(known)
        except OverflowError as error:
            raise KeyMisuse(f"the key `{self._key}` of `{self._module}`: {error}") from None
        if shard is None:
            raise NoShard(
                f"no shard of `{self._module}` has the key {text_of(known)}",
                hint="a range for it: ramet shard --help",
            )
        return self._opened[shard]

    def for_write(self, key: Any) -> Opened:
        """Where a key is written; while it is held, through a pool that waits."""
        opened = self.of(key)
        if self._held and (hold := self._hold_of(key)) is not None:
            return opened._replace(pool=_HeldPool(self, key, opened, hold))
        return opened

    def _hold_of(self, key: Any) -> "_Hold | None":
        for hold in self._held.values():
            if self._key is None or holds(hold.of, key, self.key_type):
                return hold
        return None

    # Changes

    async def apply(self, placed: DatabaseAt) -> int:
        """Take what is newer than what is known. Returns the epoch that is known then. Raises what opening a pool raises; then
        nothing has changed."""
        async with self._turn:
            if placed.epoch <= self.placed.epoch:
                return self.placed.epoch
            fresh = {each.shard: each for each in placed.shards if self._places.get(each.shard) != each}
            made = dict(zip(fresh, await asyncio.gather(*map(self._open_shard, fresh.values())), strict=True))
            kept = {each.shard: self._opened[each.shard] for each in placed.shards if each.shard not in made}
            gone = [opened for opened in self._opened.values() if opened not in kept.values()]
            self.placed = placed
            self._places = {each.shard: each for each in placed.shards}
            self._opened = {**kept, **made}
            self.key_type = placed.map.key_type or self.key_type
            self._resolver = Resolver(placed.map)
            self._known.clear()
            for hold in self._held.values():
                hold.ends.set()
            self._held.clear()
            self._told()
            for opened in gone:
                self._close_later(opened)
            return placed.epoch

    def _told(self) -> None:
        for opened in self._opened.values():
            opened.pool.reroutes = not self.is_simple

    def _close_later(self, opened: Opened) -> None:
        opened.pool.reroutes = True  # a block that was made before goes to where its key is now
        task = asyncio.create_task(_close(opened), name=f"close a shard of {self._module}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def hold(self, name: str, of: Slice, seconds: float) -> None:
        """Let nobody begin to write to a slice for so long, or until the next map. Returns when what had begun is over, or the
        time is. Holding again under the same name does nothing more."""
        until = time.monotonic() + seconds
        if name not in self._held:
            self._held[name] = hold = _Hold(of, asyncio.Event())
            asyncio.get_running_loop().call_later(seconds, self._release, name, hold)
            self._told()
        began = time.monotonic()
        while time.monotonic() < until and any(  # noqa: ASYNC110  (blocks end in many ways; none of them is to pay for telling)
            _is_busy(opened, began) for opened in self._opened.values()
        ):
            await asyncio.sleep(POLL_S)

    def release(self, name: str) -> None:
        """Let them go on where they are."""
        if (hold := self._held.get(name)) is not None:
            self._release(name, hold)

    def _release(self, name: str, hold: "_Hold") -> None:
        if self._held.get(name) is hold:
            del self._held[name]
            hold.ends.set()
            self._told()

    async def close(self, *, drain_s: float = 5.0) -> None:
        await asyncio.gather(*(_close(opened, drain_s=drain_s) for opened in self._opened.values()))
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class _Hold:
    def __init__(self, of: Slice, ends: asyncio.Event) -> None:
        self.of = of
        self.ends = ends


class _HeldPool:
    """Gives a connection of the pool that has the key once it is held no more."""

    reroutes = False

    def __init__(self, shards: Shards, key: Any, opened: Opened, hold: _Hold) -> None:
        self._shards = shards
        self._key = key
        self._hold = hold
        self._pool = opened.pool

    @property
    def texts(self) -> Any:
        return self._pool.texts

    @property
    def tracked(self) -> str:
        return self._pool.tracked

    def current_task(self) -> Any:
        return self._pool.current_task()

    def take(self) -> None:
        return None

    async def wait_connection(self) -> Any:
        await self._hold.ends.wait()
        self._pool = self._shards.of(self._key).pool
        return self._pool.take() or await self._pool.wait_connection()

    def give(self, connection: Any) -> None:
        self._pool.give(connection)


def _is_busy(opened: Opened, began: float) -> bool:
    """Whether a block that was begun before still has a connection."""
    pool = opened.pool
    return isinstance(pool, Pool) and any(_is_writing(each) and each.held_since < began for each in pool.all)


def _is_writing(connection: Connection) -> bool:
    return connection.held_since > 0


async def _close(opened: Opened, *, drain_s: float = DRAIN_S) -> None:
    """Its readers first, since they fall back to its primary."""
    if isinstance(opened.reader, Reader):
        await opened.reader.close(drain_s=drain_s)
    if isinstance(opened.pool, Pool):
        with contextlib.suppress(OSError):
            await opened.pool.close(drain_s=drain_s)
