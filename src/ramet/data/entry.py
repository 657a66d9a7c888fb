"""The way in to a database: the host that has the wanted role now, and how to speak to what stands there.

    unsure ──ask all hosts at once──> sure of one ──log in, and look again at its role──> a connection
      ^                                   │
      └──a connection was lost, none could be made, or the role is another──┘

With one host there is nothing to ask: it is that or none. With several, asking ends as soon as one fits and the others have had
GRACE_S to object, as a primary of a higher timeline does. None that fits is asked for again until `failover_s` is over, since a
standby that is being promoted needs a moment; then the error says what each host has answered.

A pooler is noticed by what it does: the process number that it hands out is not the server's, and startup parameters that it does
not know are refused. A session behind it is another one with each transaction. So its settings must be the role's own
(`schemas.provision`), and statements are prepared by name only if the pooler gives them names of its own, as PgBouncer does from
1.21 on with max_prepared_statements.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from ramet.data import driver, errors, hosts
from ramet.data.address import Address, Pooling
from ramet.data.driver import Driver
from ramet.data.hosts import Answer, Role

GRACE_S = 0.2
"""What hosts that have not answered get once one fits, in seconds. Over a round trip to another continent."""
_PAUSE_S = 0.05
_REFUSALS = (OSError, TimeoutError, driver.PostgresError, driver.InterfaceError, driver.InternalClientError)
_TIMELINE = "SELECT ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int"
"""Of the control file it would be the last checkpoint's, which a promotion does not wait for."""
_FOUND = "SELECT pg_is_in_recovery(), coalesce(current_schema(), ''), current_setting('default_transaction_read_only')"


class Entry:
    """on_moved: told the host to which all connections belong from now on."""

    def __init__(
        self,
        address: Address,
        *,
        module: str,
        role: Role = Role.ANY,
        connect_s: float = 10.0,
        failover_s: float = 3.0,
        on_moved: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._module = module
        self._role = role
        self._connect_s = connect_s
        self._failover_s = failover_s
        self._on_moved = on_moved
        self._places: Mapping[str, Address] = {host: address.at(host) for host in address.hosts}
        self._address = address
        self.pooling: Pooling | None = None
        """None until somebody was there to be asked."""
        self._answers: dict[str, Answer] = {}
        self._search: asyncio.Task[None] | None = None
        self.host = "" if self.is_several else next(iter(self._places))

    def __repr__(self) -> str:
        return f"<Entry to {self._address}, {self._role}: {self.host or 'unsure'}>"

    @property
    def is_several(self) -> bool:
        return len(self._places) > 1

    def doubt(self) -> None:
        """Ask anew before the next connection is made."""
        if self.is_several:
            self.host = ""

    def is_misplaced(self, opened: Driver) -> bool:
        """Whether an open connection's server has another role by now. It says so with its next answer, so this asks nobody."""
        if self._role is Role.ANY or opened.pooling is not Pooling.NONE:
            return False
        return driver.is_standby(opened) != (self._role is Role.STANDBY)

    async def connect(self) -> Driver:
        """Raises DatabaseUnavailable, PoolerUnfit, and with one host what the driver raises."""
        if not self.is_several:
            opened = await self._log_in(self.host)
            if self.is_misplaced(opened):
                opened.terminate()
                raise self._nobody()
            return opened
        loop = asyncio.get_running_loop()
        until = loop.time() + self._failover_s
        while True:
            if (host := self.host or await self.locate()) and (opened := await self._try(host)) is not None:
                return opened
            if loop.time() >= until:
                raise self._nobody()
            await asyncio.sleep(_PAUSE_S)

    async def locate(self) -> str:
        """Ask all hosts, for all who want to know at once. Returns the host, or nothing."""
        if self._search is None or self._search.done():
            self._search = asyncio.get_running_loop().create_task(self._ask_all())
        await asyncio.shield(self._search)
        return self.host

    async def close(self) -> None:
        if self._search is not None:
            self._search.cancel()
            await asyncio.gather(self._search, return_exceptions=True)

    async def _try(self, host: str) -> Driver | None:
        try:
            opened = await self._log_in(host)
        except _REFUSALS as error:
            self._answers[host] = Answer(host=host, error=_said(error))
        else:
            if not self.is_misplaced(opened):
                return opened
            self._answers[host] = Answer(host=host, is_standby=driver.is_standby(opened))
            opened.terminate()
        if self.host == host:
            self.doubt()
        return None

    async def _ask_all(self) -> None:
        loop = asyncio.get_running_loop()
        tasks = {loop.create_task(self._ask(host)): host for host in self._places}
        answers = {host: Answer(host=host, error="no answer in time") for host in self._places}
        pending = set(tasks)
        until = loop.time() + min(self._connect_s, self._failover_s)
        try:
            while pending and loop.time() < until:
                done, pending = await asyncio.wait(pending, timeout=until - loop.time(), return_when=asyncio.FIRST_COMPLETED)
                answers |= {tasks[task]: task.result() for task in done}
                if hosts.choose(answers.values(), self._role) is not None:
                    until = min(until, loop.time() + GRACE_S)
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
        self._answers = answers
        chosen = hosts.choose(answers.values(), self._role, current=self.host)
        self.host = chosen.host if chosen is not None else ""
        if chosen is not None:
            self._on_moved(chosen.host)

    async def _ask(self, host: str) -> Answer:
        try:
            async with asyncio.timeout(self._connect_s):
                opened = await self._log_in(host)
                try:
                    if driver.is_standby(opened):
                        return Answer(host=host, is_standby=True)
                    return Answer(host=host, timeline=await opened.fetchval(_TIMELINE))
                finally:
                    opened.terminate()
        except (*_REFUSALS, errors.DatabaseError) as error:
            return Answer(host=host, error=_said(error))

    async def _log_in(self, host: str) -> Driver:
        address = self._places[host]
        if self.pooling is None and not address.is_pooled:
            try:
                opened = await _open(address, Pooling.NONE, self._connect_s)
            except driver.PostgresError as error:
                if not is_refused_parameter(error):
                    raise
            else:
                found = await self._closing(opened, look)
                if found is Pooling.NONE:
                    self.pooling = found
                    opened.host = host
                    return opened
                opened.terminate()
        pooling = self.pooling
        if pooling is None:
            opened = await _open(address, Pooling.UNNAMED, self._connect_s)
            self.pooling = pooling = await self._closing(opened, self._look_behind)
            opened.terminate()
        opened = await _open(address, pooling, self._connect_s)
        opened.host = host
        return opened

    async def _look_behind(self, opened: Driver) -> Pooling:
        is_standby, schema, mode = (await opened.fetch(_FOUND))[0]
        if self._role is not Role.ANY and is_standby != (self._role is Role.STANDBY):
            self._answers[self.host] = Answer(host=self.host, is_standby=is_standby)
            raise self._nobody()
        if mode != "on" or self._address.schema not in {"", schema}:
            raise errors.PoolerUnfit(
                f"behind the pooler at {self._address} a session of `{self._module}` is in the schema `{schema}` with"
                f" default_transaction_read_only {mode}; a pooler passes on neither, so both must be settings of the role",
                hint="ramet migrate up, with the pooler in ramet.toml; then RECONNECT in the pooler's console",
            )
        return Pooling.NAMED if await keeps_names(opened) else Pooling.UNNAMED

    @staticmethod
    async def _closing(opened: Driver, ask: Callable[[Driver], Any]) -> Any:
        try:
            return await ask(opened)
        except BaseException:
            opened.terminate()
            raise

    def _nobody(self) -> errors.DatabaseUnavailable:
        wanted = {Role.ANY: "server", Role.PRIMARY: "primary", Role.STANDBY: "standby"}[self._role]
        if not self.is_several:
            other = "a standby" if self._role is Role.PRIMARY else "a primary"
            return errors.DatabaseUnavailable(
                f"`{self._module}` needs a {wanted}, and {self.host} is {other}",
                hint="name the other hosts as well: postgresql://...@host:5432,host:5432/database",
            )
        told = "; ".join(str(answer) for answer in self._answers.values())
        return errors.DatabaseUnavailable(
            f"`{self._module}` found no {wanted} in {self._failover_s:g} s among {len(self._places)} hosts: {told}",
            hint="promote one: SELECT pg_promote()" if self._role is Role.PRIMARY else "is one of them running?",
        )


async def _open(address: Address, pooling: Pooling, connect_s: float) -> Driver:
    is_direct = pooling is Pooling.NONE
    opened = await driver.connect(
        address.dsn,
        timeout_s=connect_s,
        server_settings=address.session_settings() if is_direct else {"application_name": address.application_name},
        statement_cache_size=0 if pooling is Pooling.UNNAMED else address.statement_cache_size,
    )
    opened.pooling = pooling
    return opened


async def open_session(address: Address, *, connect_s: float = 10.0, settings: Mapping[str, str] | None = None) -> Driver:
    """A connection to the primary that writes, and keeps what it sets: for migrations, roles, ownership, the control schema.

    Raises what the driver raises, DatabaseUnavailable, and PoolerUnfit where a pooler stands between.
    """
    if len(address.hosts) > 1:
        entry = Entry(address, module=address.schema or address.application_name, role=Role.PRIMARY, connect_s=connect_s)
        (await entry.connect()).terminate()
        address = address.at(entry.host)
    try:
        opened = await driver.connect(
            address.dsn, timeout_s=connect_s, server_settings={**address.session_settings(is_read_only=False), **(settings or {})}
        )
    except driver.PostgresError as error:
        if is_refused_parameter(error):
            raise _needs_session(address) from error
        raise
    if await look(opened) is not Pooling.NONE:
        opened.terminate()
        raise _needs_session(address)
    return opened


def _needs_session(address: Address) -> errors.PoolerUnfit:
    return errors.PoolerUnfit(
        f"{address} is a pooler, and migrations, roles and locks need sessions of the server itself",
        hint='in [engines] of ramet.toml: postgres = the URL of the server, pooler = "host:port" of the pooler',
    )


def is_refused_parameter(error: Exception) -> bool:
    """PgBouncer's words; the state (protocol_violation) is that of other errors too."""
    return getattr(error, "sqlstate", "") == "08P01" and "startup parameter" in str(error)


async def look(opened: Driver) -> Pooling:
    """Whether the process number that came with the login is the server's own. A pooler hands out one by which it knows whom
    to cancel. UNNAMED here means that it is one, whatever it does with statements."""
    pid = await opened.fetchval("SELECT pg_backend_pid()")
    return Pooling.NONE if pid == opened.get_server_pid() else Pooling.UNNAMED


async def keeps_names(opened: Driver) -> bool:
    """Whether a pooler gives prepared statements names of its own, and so finds them again on another of its connections."""
    name = f"ramet_{secrets.token_hex(8)}"
    await opened.execute("BEGIN")
    try:
        held = await opened.prepare("SELECT 1", name=name)  # asyncpg closes one that nobody holds
        is_passed_on = bool(await opened.fetchval(f"SELECT 1 FROM pg_prepared_statements WHERE name = '{name}'"))  # noqa: S608  (ours)
        if is_passed_on:
            await opened.execute(f"DEALLOCATE {name}")
        del held
    finally:
        await opened.execute("ROLLBACK")
    return not is_passed_on


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
