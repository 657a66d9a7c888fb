"""The handle that a module's author holds: `db = module.database(key="author_id")`. Light: `import ramet` loads this.

It is made at import and knows nothing of servers; an instance that hosts the module binds it. Shards and replicas are chosen
behind it, which is why a database with a key is asked with the key while it has one shard.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Literal, Protocol, TypeVar, overload

from ramet.data.errors import BlockMisuse, DatabaseNotBound, KeyMisuse
from ramet.data.queries import Opened
from ramet.data.reads import Read
from ramet.data.scatter import Scatter
from ramet.data.transactions import Transaction

T = TypeVar("T")

Isolation = Literal["read_committed", "repeatable_read", "serializable"]
Run = Callable[[Callable[[], Transaction], Callable[[Transaction], Awaitable[Any]]], Coroutine[Any, Any, Any]]


Sync = Literal["replicas"]


class Routes(Protocol):
    """The shards that an instance has opened (`ramet.data.shards`)."""

    @property
    def home(self) -> Opened: ...
    @property
    def all(self) -> list[Opened]: ...
    def of(self, key: Any, /) -> Opened: ...
    def for_write(self, key: Any, /) -> Opened: ...
    def owned(self, shard: int, row: str, /) -> str: ...


class _NoKey:
    def __repr__(self) -> str:
        return "no key"


_NO_KEY: Any = _NoKey()


class Database:
    """module: whose it is; also the name of its schema and role. key: name of the parameter that rows are divided by, or None."""

    def __init__(self, module: str, *, key: str | None = None) -> None:
        self.module = module
        self.key = key
        self._opened: Opened | None = None
        self._shards: Routes | None = None
        self._run: Run | None = None

    def __repr__(self) -> str:
        key = f" by {self.key}" if self.key else ""
        return (
            f"<Database of {self.module}{key}: {self._opened.pool!r}>"
            if self._opened
            else f"<Database of {self.module}{key}, not bound>"
        )

    def bind(self, opened: Opened, run: Run) -> None:
        """Use this from now on. `ramet.data.opening` calls it."""
        self._opened = opened
        self._run = run

    def bind_shards(self, shards: "Routes", run: Run) -> None:
        """Use these from now on, as they are at each time."""
        self._shards = shards
        self._opened = shards.home
        self._run = run

    def unbind(self) -> None:
        self._opened = self._shards = self._run = None

    @property
    def opened(self) -> Opened:
        """For the parts of `data`: the shard of what has no key. Raises DatabaseNotBound."""
        if self._opened is None:
            raise self._not_bound()
        return self._opened if self._shards is None else self._shards.home

    @property
    def all_opened(self) -> list[Opened]:
        """Of all shards. Raises DatabaseNotBound."""
        return [self.opened] if self._shards is None else self._shards.all

    def owned(self, opened: Opened, row: str) -> str:
        """What holds for the rows that are a shard's own, in SQL."""
        return "true" if self._shards is None else self._shards.owned(opened.shard, row)

    @property
    def is_bound(self) -> bool:
        return self._opened is not None

    def route(self, key: Any, writes: bool) -> Opened:
        """Where a key is now. Raises KeyMisuse for one of the wrong type, NoShard."""
        shards = self._shards
        if shards is None:
            return self.opened
        return shards.for_write(key) if writes else shards.of(key)

    @overload
    def read(self, key: Any = ..., *, isolation: None = ...) -> Read: ...
    @overload
    def read(self, key: Any = ..., *, isolation: Isolation) -> Transaction: ...
    def read(self, key: Any = _NO_KEY, *, isolation: Isolation | None = None) -> Read | Transaction:
        """Read only: one statement awaited on it, or a block.

        Without isolation each statement sees what was committed before it. With `repeatable_read` all of a block see the same.
        """
        opened = self._opened
        if opened is None or (key is _NO_KEY or key is None) is (self.key is not None):
            raise self._misuse("read", key)
        if self._shards is not None:
            opened = self._shards.of(key)
        if isolation is None:
            return Read(opened, route=self.route, key=key)
        return Transaction(opened, self._begin(opened.begin_read, isolation), route=self.route, key=key)

    def write(self, key: Any = _NO_KEY, *, isolation: Isolation | None = None, sync: Sync | None = None) -> Transaction:
        """One statement awaited on it commits by itself; as a block it is a transaction, which commits when the block ends.

        sync: `replicas` commits when a replica has it too, and can be read there.
        """
        opened = self._opened
        if opened is None or (key is _NO_KEY or key is None) is (self.key is not None):
            raise self._misuse("write", key)
        if self._shards is not None:
            opened = self._shards.of(key)
        if sync is not None:
            if sync != "replicas":
                raise BlockMisuse(f"there is no sync={sync!r}", hint='sync="replicas"')
            isolation_and_sync = f"{isolation or 'read_committed'} replicas"
            return Transaction(opened, self._begin(opened.begin_write, isolation_and_sync), route=self.route, key=key)
        begin = opened.begin_write[None] if isolation is None else self._begin(opened.begin_write, isolation)
        return Transaction(opened, begin, route=self.route, key=key)

    def scatter(self) -> Scatter:
        """A read of all shards, for what has no key: `await db.scatter().fetch("SELECT ... WHERE {owned}")`. Never chosen for
        you."""
        return Scatter(self)

    async def run(
        self, work: Callable[[Transaction], Awaitable[T]], *, key: Any = _NO_KEY, isolation: Isolation | None = None
    ) -> T:
        """A write block that may be run again: `await db.run(work, key=..., isolation="serializable")`.

        `work(tx)` is run in a transaction, and again in a new one on a serialization failure or a deadlock, after a jittered
        pause, while the deadline allows. The only form that repeats: what may run twice is a function and looks like one, its
        result comes back with a type, and nothing of a try that was undone can leak into the next by a variable of the
        surrounding code unless it says `nonlocal`. So `work` touches nothing but `tx`.
        """
        self.write(key, isolation=isolation)
        assert self._run is not None
        return await self._run(lambda: self.write(key, isolation=isolation), work)

    @asynccontextmanager
    async def session(self, key: Any = _NO_KEY, *, isolation: Isolation | None = None, **options: Any) -> AsyncGenerator[Any]:
        """An SQLAlchemy AsyncSession in a write block: flushed and committed when it ends. options: of AsyncSession.

        Its errors are SQLAlchemy's own. Needs the extra `postgres`. The block itself is `session.info["tx"]`.
        """
        async with self.write(key, isolation=isolation) as tx, tx.session(**options) as session:
            yield session

    def _misuse(self, method: str, key: object) -> Exception:
        if self.key is not None and (key is _NO_KEY or key is None):
            return KeyMisuse(f"db.{method}() of `{self.module}` needs the key `{self.key}`", hint=f"db.{method}({self.key})")
        if self.key is None and not (key is _NO_KEY or key is None):
            return KeyMisuse(f"db.{method}({key!r}) of `{self.module}`, which declares no key", hint='module.database(key="...")')
        return self._not_bound()

    def _not_bound(self) -> DatabaseNotBound:
        return DatabaseNotBound(
            f"the database of `{self.module}` is not open in this process",
            hint="an instance that hosts the module opens it; in a script, `ramet.data.opening.open_database(db, address)`",
        )

    def _begin(self, known: Any, isolation: str) -> Any:
        if isolation not in known:
            raise BlockMisuse(
                f"there is no isolation level {isolation!r}",
                hint=f"one of {', '.join(level for level in known if level and ' ' not in level)}",
            )
        return known[isolation]
