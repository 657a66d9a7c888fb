"""One PostgreSQL of our own: made at first use, started, watched, adopted after our own death, stopped.

What is on disk, in the directory that is given:

    lock             held while we supervise it
    data/            PGDATA, 0700, of the account that the server runs as
    run/             its Unix socket, unless the path is too long for one or closed to that account; then a directory under /tmp
    server.pid       the process that we supervise, with its start time
    server.json      its port and socket directory, for the next start and for people
    passwords.json   0600
    server.log       all it and the programs that make its data write

and, where it has or had to do with replication, what `postgres_upstream` describes. It is a primary, or a replica of the one that
`upstream.json` names; these files decide which at each start.

It is a child in a session of its own. If we are killed it goes on serving, and the next supervisor adopts it; if it is killed it
is started again, and recovers from its log.
"""

import asyncio
import enum
import json
import os
import signal
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from ramet.engines import (
    accounts,
    postgres_binaries,
    postgres_data,
    postgres_log,
    postgres_making,
    postgres_settings,
    postgres_upstream,
)
from ramet.engines.accounts import Account
from ramet.engines.errors import EngineFailed, EngineUnfit, PortTaken
from ramet.engines.files import read_tail, size_of, socket_directory, write_whole
from ramet.engines.identity import Identity, read_pidfile
from ramet.engines.locks import DirectoryLock
from ramet.engines.passwords import Passwords
from ramet.engines.ports import free_port, is_free
from ramet.engines.postgres_binaries import Binaries, Source
from ramet.engines.postgres_data import SUPERUSER
from ramet.engines.postgres_log import LogEnd
from ramet.engines.postgres_making import Place
from ramet.engines.postgres_probe import Answer, probe
from ramet.engines.postgres_settings import PostgresSettings
from ramet.engines.postgres_upstream import Begin, Upstream
from ramet.engines.postgres_url import make_url
from ramet.engines.processes import Command, Process, StopStep
from ramet.engines.restarts import RestartPolicy
from ramet.engines.supervision import Change, Status, Supervisor

START_ATTEMPTS = 5
"""Tries to start for causes that pass: a port lost to somebody else in between, backends that outlived their server."""

FENCE_S = 1.0
"""For a server that is fenced to end by itself, in seconds; one that works needs milliseconds."""

Replicate = Callable[[Place, Upstream, Begin], Awaitable[None]]
"""Makes the data of a replica of that primary: COPY or REJOIN. No server works on it."""

LONGEST_SOCKET_NAME = ".s.PGSQL.65535"


class StopMode(enum.Enum):
    SMART = signal.SIGTERM
    """Wait until every client has left."""
    FAST = signal.SIGINT
    """Roll back what is open, disconnect clients, write a checkpoint."""
    IMMEDIATE = signal.SIGQUIT
    """Leave at once; the next start recovers."""


class Postgres:
    """The PostgreSQL of one directory.

        postgres = Postgres(Path(".ramet/postgres"))
        await postgres.start()
        connection = await asyncpg.connect(postgres.url())

    source: `auto` takes the wheel if it is installed and the PATH otherwise. on_change: told when it ends, is started again, is
    given up; after RUNNING the port may be another one than before.

    For a node of several (`postgres_node`): passwords, the file of the roles that all nodes share; replicate, what makes the data
    of a replica. Without it, a directory that needs it is not served.
    """

    def __init__(
        self,
        directory: Path,
        *,
        settings: PostgresSettings | None = None,
        source: Source = "auto",
        policy: RestartPolicy | None = None,
        on_change: Callable[[Change], None] | None = None,
        cache: Path = postgres_binaries.CACHE,
        name: str = "postgres",
        passwords: Path | None = None,
        replicate: Replicate | None = None,
    ) -> None:
        self.directory = directory.absolute()
        self.settings = settings or PostgresSettings()
        self.data = self.directory / "data"
        self.log = self.directory / "server.log"
        self.port = 0
        self.socket_directory = Path()
        self.version = ""
        self.was_running = False
        """It ran before `start`, and was adopted."""
        self._source: Source = source
        self._cache = cache
        self._replicate = replicate
        self._pidfile = self.directory / "server.pid"
        self._lock = DirectoryLock(self.directory / "lock", what=f"PostgreSQL in {self.directory}")
        self._passwords = Passwords(passwords or self.directory / "passwords.json")
        self._account: Account | None = None
        self._binaries: Binaries | None = None
        self._supervisor = Supervisor(
            name,
            pidfile=self._pidfile,
            prepare=self._prepare,
            is_ready=self._is_ready,
            find=self._find,
            start_deadline_s=self.settings.start_deadline_s,
            stop_steps=self._stop_steps(StopMode.FAST),
            policy=policy,
            on_change=on_change or (lambda _: None),
        )

    def __repr__(self) -> str:
        at = f"127.0.0.1:{self.port}" if self.port else "no port yet"
        return f"<Postgres {self.version or self._source} in {self.directory}: {self.status.value}, {at}, pid {self.pid}>"

    @property
    def status(self) -> Status:
        return self._supervisor.status

    @property
    def pid(self) -> int | None:
        return self._supervisor.pid

    def statistics(self) -> dict[str, int | str | None]:
        return {**self._supervisor.statistics(), "port": self.port, "version": self.version}

    async def start(
        self,
    ) -> None:
        """Make the data directory if there is none, adopt or start the server, return when it accepts connections.

        Raises EngineBusy if another process supervises it, EngineMissing, EngineUnfit, EngineFenced, PortTaken, or EngineFailed
        with the end of its log; and what `replicate` raises. Then, and when cancelled, it is not running unless it ran before. An
        adopted server takes those changed settings that a reload can change, and is restarted for another port; the others take
        effect at its next start.
        """
        self._make_directory()
        try:
            self._lock.acquire()
            await self._ensure_data(await self._find_place())
            await self._start_server()
            self._record()
        except OSError as error:  # our own writing: no space, no right, a read-only disk
            self._lock.release()
            raise EngineFailed(
                f"PostgreSQL's directory cannot be written: {error}",
                where=self.directory,
                hint=postgres_data.hint_for(str(error), self.data),
            ) from error
        except BaseException:
            self._lock.release()
            raise

    def use_running(self) -> None:
        """Take the address of a server that another process supervises, to connect to it; never start or stop it from here.

        Raises EngineFailed where none runs.
        """
        record = self._read_record()
        self.port, self.socket_directory = int(record.get("port", 0)), Path(record.get("socket_directory", ""))
        if self._find() is None or not self.port:
            raise EngineFailed("PostgreSQL does not run", where=self.directory, hint="ramet up")

    async def stop(self, mode: StopMode = StopMode.FAST) -> None:
        """Nothing happens if it is stopped. After the deadline of the settings an immediate stop follows."""
        await self._supervisor.stop(self._stop_steps(mode))
        self._lock.release()

    async def detach(self) -> None:
        """Leave it running, for the next supervisor to adopt."""
        await self._supervisor.detach()
        self._lock.release()

    def take_configuration(self) -> None:
        """Write what the settings and the directory say by now, and let the running server read it."""
        if self._configure():
            self._supervisor.send(signal.SIGHUP)

    async def fence(self, mode: StopMode = StopMode.IMMEDIATE) -> LogEnd | None:
        """Keep it from serving until it was rejoined, or `lift_fence`; returns where its log ends, if that can be told.

        First written down, then ended, whoever started it, with every process that works on its data. Nobody's `start` serves
        it again, after a crash either. Raises EngineBusy, with nothing done, where another process supervises it.
        """
        self._make_directory()
        if not self._lock.is_held:
            self._lock.acquire()
        try:
            postgres_upstream.fence(self.directory)
            place = await self._find_place()
            if self._supervisor.pid is None:
                await self._end_server(place, mode)
            await self._supervisor.stop(self._fence_steps(mode))
            await self._end_server(place)
            return await asyncio.to_thread(postgres_log.read_end, place) if self.data.exists() else None
        finally:
            self._lock.release()

    def lift_fence(self) -> None:
        """Only where nobody was promoted after all."""
        postgres_upstream.lift_fence(self.directory)

    def url(
        self, *, database: str = "postgres", user: str = SUPERUSER, password: str | None = None, over_socket: bool = False
    ) -> str:
        """password: None takes the one that `password` made for this user, if it has."""
        return make_url(
            host=str(self.socket_directory) if over_socket else "127.0.0.1",
            port=self.port,
            database=database,
            user=user,
            password=self._passwords.get(user) if password is None else password,
        )

    def password(self, role: str) -> str:
        """The password to give a role: made at the first call, the same ever after. Creating the role is the caller's."""
        return self._passwords.make(role)

    def program(self, name: str) -> Path:
        """A program of this PostgreSQL, such as `pg_dump`. Only after `start`."""
        assert self._binaries is not None, "not started"
        return self._binaries[name]

    def _make_directory(self) -> None:
        try:
            # Open to walk through, closed to look into: the server's account must reach data/, and 0600 guards the rest.
            self.directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        except OSError as error:
            raise EngineUnfit(f"the directory cannot be made: {error}", where=str(self.directory)) from error

    def _choose_account(self) -> Account | None:
        lesser = accounts.lesser_account(self.settings.user)
        if lesser is None or not self.data.exists():
            return lesser
        owner = accounts.owner_of(self.data)
        return owner if owner.uid != 0 else lesser

    async def _find_place(self) -> Place:
        self._account = self._choose_account()
        self._binaries = await asyncio.to_thread(
            postgres_binaries.prepare, self._source, account=self._account, cache=self._cache
        )
        self.version = self._binaries.version
        return Place(data=self.data, binaries=self._binaries, account=self._account, log=self.log)

    async def _ensure_data(self, place: Place) -> None:
        upstream = postgres_upstream.read_upstream(self.directory)
        begin = postgres_upstream.decide_begin(
            has_data=self.data.exists(),
            has_upstream=upstream is not None,
            fence=postgres_upstream.read_fence(self.directory),
        )
        if begin is Begin.CREATE:
            await postgres_data.create(place, password=self._passwords.make(SUPERUSER))
        elif begin is Begin.RUN:
            postgres_data.check(self.data, place.binaries)
        elif upstream is None or self._replicate is None:
            raise postgres_upstream.fenced(self.directory)
        else:
            await self._end_server(place)
            await self._replicate(place, upstream, begin)
            postgres_upstream.lift_fence(self.directory)

    async def _end_server(self, place: Place, mode: StopMode = StopMode.IMMEDIATE) -> None:
        """What runs on the data without us: a server that outlived its supervisor, backends that outlived their server."""
        await postgres_making.end_program(place)
        if (found := self._find()) is not None:
            await Process.adopt("postgres", found).stop(self._fence_steps(mode))
        await postgres_data.end_orphans(self.data)

    async def _start_server(self) -> None:
        for attempt in range(1, START_ATTEMPTS + 1):
            start = size_of(self.log)
            try:
                adopted = await self._supervisor.start()
            except EngineFailed as error:
                tail = read_tail(self.log, since=start)
                if self._is_port_lost(tail):
                    raise PortTaken(
                        f"port {self.settings.port} is taken", hint=postgres_data.hint_for(tail, self.data)
                    ) from error
                if attempt == START_ATTEMPTS or not _passes(tail):
                    raise EngineFailed(
                        error.message, log_tail=tail, where=self.log, hint=postgres_data.hint_for(tail, self.data)
                    ) from error
                await asyncio.sleep(0.1 * attempt)
            else:
                if adopted and self.settings.port not in (None, self.port):
                    await self._supervisor.stop()  # clients will look for it at the port that was asked for
                    continue
                if adopted:
                    self.take_configuration()
                self.was_running = adopted
                return

    def _is_port_lost(self, log_tail: str) -> bool:
        return self.settings.port is not None and "Address already in use" in log_tail

    def _find(self) -> Identity | None:
        found = postgres_data.find_postmaster(self.data, read_pidfile(self._pidfile))
        postmaster = postgres_data.read_postmaster(self.data)
        if found is not None and postmaster is not None:
            self.port, self.socket_directory = postmaster.port, Path(postmaster.socket_directory)
        return found

    async def _prepare(self) -> Command:
        assert self._binaries is not None
        postgres_upstream.check_fence(self.directory)
        self._choose_address()
        self._configure()
        postgres_data.forget_stranger(self.data, self.socket_directory)
        return Command(
            argv=[self._binaries["postgres"], "-D", postgres_making.path_for(self.data, self._account)],
            directory=self.data,
            log=self.log,
            account=self._account,
            environment={name: value for name, value in os.environ.items() if not name.startswith("PG")},
        )

    def _choose_address(self) -> None:
        """Port and socket directory of the next run: what was asked for, else what it had, else something free."""
        record = self._read_record()
        if self.settings.port is not None:
            if not is_free(self.settings.port):
                raise PortTaken(
                    f"port {self.settings.port} of 127.0.0.1 is taken",
                    hint=f"see who has it: ss -ltnp 'sport = :{self.settings.port}'; or ask for no port and get a free one",
                )
            self.port = self.settings.port
        else:
            before = self.port or int(record.get("port", 0))
            self.port = before if before and is_free(before) else free_port()
        self.socket_directory = self._choose_socket_directory(Path(str(record.get("socket_directory", "/"))))
        self._record()

    def _choose_socket_directory(self, before: Path) -> Path:
        run = self.directory / "run"
        account = self._account or Account(os.geteuid(), os.getegid())
        if _is_ours_under_tmp(before, account):
            return before
        run.mkdir(mode=0o700, exist_ok=True)
        chosen = socket_directory(run, longest_name=LONGEST_SOCKET_NAME, is_usable=accounts.is_reachable(run, self._account))
        if accounts.owner_of(chosen) != account:
            os.chown(chosen, *account.owner)
        return chosen

    def _configure(self) -> bool:
        assert self._binaries is not None
        upstream = postgres_upstream.read_upstream(self.directory)
        return postgres_data.write_configuration(
            self.data,
            postgres_settings.render(
                self.settings,
                major=self._binaries.major,
                port=self.port,
                socket_directory=str(self.socket_directory),
                libraries=self._binaries.libraries,
                replication=postgres_upstream.settings_for(upstream, self.data) if upstream is not None else {},
            ),
        )

    def _record(self) -> None:
        record = {"port": self.port, "socket_directory": str(self.socket_directory), "version": self.version}
        write_whole(self.directory / "server.json", json.dumps(record, indent=1).encode(), mode=0o644)

    def _read_record(self) -> dict[str, Any]:
        try:
            return json.loads((self.directory / "server.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return {}

    async def _is_ready(self) -> bool:
        return await probe(str(self.socket_directory), self.port, user=SUPERUSER) is Answer.ACCEPTS

    def _fence_steps(self, mode: StopMode) -> tuple[StopStep, ...]:
        """Of a server that may be frozen, as somebody waits for the next one. What it has not written is not waited for."""
        return self._stop_steps(mode) if mode is not StopMode.IMMEDIATE else ((mode.value, FENCE_S), (signal.SIGKILL, 5.0))

    def _stop_steps(self, mode: StopMode) -> tuple[StopStep, ...]:
        patience_s = self.settings.stop_deadline_s
        return ((mode.value, patience_s), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))


def _is_ours_under_tmp(directory: Path, account: Account) -> bool:
    """Whether this is a directory that an earlier start made under /tmp, still private to the account, and no link to one."""
    if directory.parent != Path("/tmp") or not directory.name.startswith("ramet-"):  # noqa: S108  (only compared)
        return False
    try:
        status = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == account.uid and not status.st_mode & 0o077


def _passes(log_tail: str) -> bool:
    return any(cause in log_tail for cause in ("Address already in use", "still in use", "already running"))
