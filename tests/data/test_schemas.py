"""The server's own boundary between modules."""

import asyncio
import hashlib
import hmac

import pytest

from ramet.data import driver, errors, schemas
from ramet.data.address import Address
from tests.data.support import Server


def test_a_foreign_table_is_refused_by_the_server(server: Server) -> None:
    async def main() -> None:
        async with server.database("CREATE TABLE secrets (x int)") as theirs, server.database("CREATE TABLE t (x int)") as mine:
            for statement in (
                f"SELECT * FROM {theirs.module}.secrets",
                f"CREATE TABLE {theirs.module}.t (x int)",
                "CREATE TABLE public.t (x int)",
                f"CREATE SCHEMA {mine.module}_more",
                "CREATE ROLE friend",
                f"SET ROLE {theirs.module}",
            ):
                with pytest.raises(errors.InsufficientPrivilege, match="permission denied") as caught:
                    await mine.write().execute(statement)
                assert caught.value.sqlstate == "42501"
            with pytest.raises(errors.StatementRefused, match='relation "secrets" does not exist'):
                await mine.read().fetch("SELECT * FROM secrets")
            assert await mine.read().fetchval("SELECT current_schema()") == mine.module

    asyncio.run(main())


def test_provisioning_again_changes_nothing_but_the_password(server: Server) -> None:
    async def main() -> None:
        async with server.database("CREATE TABLE t (x int)") as db:
            await schemas.provision(server.admin, [schemas.Owner(db.module, "another")])
            connection = await driver.connect(
                server.address(db.module).as_role(db.module, "another").dsn, timeout_s=5, server_settings={}
            )
            assert await connection.fetchval(f"SELECT count(*) FROM {db.module}.t") == 0
            await connection.close(timeout=5)

    asyncio.run(main())


def test_two_may_provision_at_once(server: Server) -> None:
    async def main() -> None:
        owners = [schemas.Owner(server.module(), "secret") for _ in range(3)]
        await asyncio.gather(*(schemas.provision(server.admin, owners) for _ in range(4)))
        async with server.opened(owners[2].module) as db:
            assert await db.read().fetchval("SELECT count(*) FROM ramet_once") == 0

    asyncio.run(main())


@pytest.mark.parametrize("name", ["user", "order", "select"])
def test_a_module_may_be_called_like_a_keyword(server: Server, name: str) -> None:
    async def main() -> None:
        await schemas.provision(server.admin, [schemas.Owner(name, "secret")])
        async with server.opened(name) as db:
            await db.write().execute("CREATE TABLE t (x int)")
            assert await db.read().fetchval("SELECT to_regclass('t')::oid = to_regclass($1)::oid", f'"{name}".t')

    asyncio.run(main())


def test_extensions_are_there_for_all_and_can_be_changed_by_none(server: Server) -> None:
    async def main() -> None:
        module = server.module()
        await schemas.provision(server.admin, [schemas.Owner(module, "secret")], extensions=["pg_trgm"])
        async with server.opened(module) as db:
            assert await db.read().fetchval("SELECT similarity('abcd', 'abce')") > 0
            with pytest.raises(errors.InsufficientPrivilege):
                await db.write().execute("CREATE FUNCTION extensions.f() RETURNS int LANGUAGE sql AS 'SELECT 1'")

    asyncio.run(main())


def test_a_role_that_is_no_superuser_can_provision(server: Server) -> None:
    """What managed PostgreSQL gives its users: CREATEROLE, and a database of one's own."""

    async def main() -> None:
        async with server.superuser() as admin:
            await admin.execute("CREATE ROLE manager LOGIN CREATEROLE PASSWORD 'secret'")
            await admin.execute("CREATE DATABASE managed OWNER manager")
        managed = Address(dsn=f"postgresql://manager:secret@/managed?host={server.folder}")
        for _ in range(2):
            await schemas.provision(managed, [schemas.Owner("managed_module", "secret")])

    asyncio.run(main())


def test_a_verifier_is_what_the_protocol_computes() -> None:
    """The client proves it knows the password by ClientKey, whose hash is stored (RFC 5802); the password is in no log."""
    verifier = schemas.scram_verifier("secret", b"0123456789abcdef", 4096)
    salted = hashlib.pbkdf2_hmac("sha256", b"secret", b"0123456789abcdef", 4096)
    assert verifier.startswith("SCRAM-SHA-256$4096:MDEyMzQ1Njc4OWFiY2RlZg==$")
    stored = schemas._base64(hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest())
    assert f"${stored}:" in verifier
    with pytest.raises(ValueError, match="ASCII"):
        schemas.scram_verifier("pässword", b"salt")


def test_quoting_keeps_a_name_a_name() -> None:
    assert schemas.quote('a"; DROP') == '"a""; DROP"'
    with pytest.raises(ValueError, match="identifier"):
        schemas.quote("")


def test_an_address_hides_and_replaces_the_password() -> None:
    address = Address(dsn="postgresql://admin:top@db.example:5432/app?sslmode=require")
    assert str(address) == "postgresql://admin:...@db.example:5432/app?sslmode=require"
    other = address.as_role("articles", "p@ss/word")
    assert other.dsn == "postgresql://articles:p%40ss%2Fword@db.example:5432/app?sslmode=require"
    assert other.schema == "articles"
    assert "p%40ss" not in repr(other)
