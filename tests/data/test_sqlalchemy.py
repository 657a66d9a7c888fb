"""SQLAlchemy's statements and sessions in our blocks."""

import asyncio
import enum
import uuid
from typing import Any

import pytest
from sqlalchemy import Enum, ForeignKey, bindparam, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from ramet.data import errors
from ramet.data.once import DurableLedger
from ramet.data.transactions import Transaction
from tests.data.support import Outcomes, Server, pool_of, within


class Kind(enum.Enum):
    NOTE = "note"
    ESSAY = "essay"


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "authors"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    name: Mapped[str] = mapped_column(unique=True)
    meta: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    kind: Mapped[Kind] = mapped_column(Enum(Kind, native_enum=False), default=Kind.NOTE)
    works: Mapped[list["Work"]] = relationship(back_populates="author")


class Work(Base):
    __tablename__ = "works"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("authors.id"))
    author: Mapped[Author] = relationship(back_populates="works")


TABLES = """
CREATE TABLE authors (id uuid PRIMARY KEY, name text NOT NULL UNIQUE, meta jsonb NOT NULL, kind text NOT NULL);
CREATE TABLE works (id serial PRIMARY KEY, author_id uuid NOT NULL REFERENCES authors)
"""


def test_core_statements_take_the_place_of_text(server: Server) -> None:
    """Types, Python defaults and expanding IN as in SQLAlchemy; rows by name, attribute and position."""

    async def main() -> None:
        async with server.database(TABLES) as db:
            async with db.write() as tx:
                row = await tx.fetchrow(
                    insert(Author).values(name="ada", meta={"x": [1]}).returning(Author.id, Author.meta, Author.kind)
                )
                assert row.meta == row["meta"] == row[1] == {"x": [1]}
                assert row.kind is Kind.NOTE
                assert dict(row.items()) == {"id": row.id, "meta": {"x": [1]}, "kind": Kind.NOTE}
                with pytest.raises(AttributeError, match="no column 'title'"):
                    _ = row.title
                await tx.executemany(insert(Author), [{"name": "bob"}, {"name": "cyd"}])
                assert (
                    await tx.execute(update(Author).where(Author.name.in_(["bob", "cyd"])).values(kind=Kind.ESSAY)) == "UPDATE 2"
                )
                assert await tx.fetchval("SELECT meta FROM authors WHERE name = 'ada'") == '{"x": [1]}', (
                    "text is as asyncpg has it"
                )
            assert [row.name for row in await db.read().fetch(select(Author.name).order_by(Author.name))] == ["ada", "bob", "cyd"]
            assert (
                await db.read().fetchval(
                    select(func.count()).select_from(Author).where(Author.name == bindparam("n")), {"n": "ada"}
                )
                == 1
            )
            assert await db.read().fetchval(text("SELECT count(*) FROM authors WHERE name <> :n"), {"n": "ada"}) == 2
            assert await db.write().execute(delete(Author).where(Author.name == "bob")) == "DELETE 1"
            assert await db.read().fetchrow(select(Author.id).where(Author.name == "bob")) is None
            with pytest.raises(errors.BlockMisuse, match="one mapping"):
                await db.read().fetch(text("SELECT 1"), 1, 2)

    asyncio.run(main())


def test_core_statements_raise_our_errors(server: Server) -> None:
    async def main() -> None:
        async with server.database(TABLES) as db:
            await db.write().execute(insert(Author).values(name="ada"))
            with pytest.raises(errors.UniqueViolation) as caught:
                await db.write().execute(insert(Author).values(name="ada"))
            assert caught.value.constraint == "authors_name_key"
            with pytest.raises(errors.ReadOnly):
                await db.read().execute(delete(Author))
            with within(0.05), pytest.raises(errors.StatementDeadline):
                await db.read().fetch(select(func.pg_sleep(10)))

    asyncio.run(main())


def test_a_session_is_committed_when_its_block_ends(server: Server) -> None:
    async def main() -> None:
        async with server.database(TABLES) as db:
            async with db.session() as session:
                session.add(Author(name="ada", works=[Work(), Work()]))
            async with db.session() as session:
                ada = (await session.scalars(select(Author).where(Author.name == "ada"))).one()
                assert (
                    len(
                        await ada.awaitable_attrs.works
                        if hasattr(ada, "awaitable_attrs")
                        else (await session.scalars(select(Work))).all()
                    )
                    == 2
                )
                ada.name = "ada l."
            assert await db.read().fetchval("SELECT name FROM authors") == "ada l."
            with pytest.raises(ZeroDivisionError):
                async with db.session() as session:
                    session.add(Author(name="lost"))
                    await session.flush()
                    raise ZeroDivisionError
            assert await db.read().fetchval("SELECT count(*) FROM authors") == 1

    asyncio.run(main())


def test_a_session_and_plain_statements_share_one_transaction(server: Server) -> None:
    async def main() -> None:
        async with server.database(TABLES) as db:
            with pytest.raises(ZeroDivisionError):
                async with db.write() as tx:
                    await tx.execute("INSERT INTO authors VALUES ($1, 'plain', '{}', 'NOTE')", uuid.uuid4())
                    async with tx.session() as session:
                        session.add(Author(name="orm"))
                        await session.flush()
                        assert (await session.scalars(select(Author.name).order_by(Author.name))).all() == ["orm", "plain"]
                    assert await tx.fetchval("SELECT count(*) FROM authors") == 2
                    assert await tx.fetchval(select(func.count()).select_from(Author)) == 2
                    raise ZeroDivisionError
            assert await db.read().fetchval("SELECT count(*) FROM authors") == 0
            async with db.session() as session:
                tx = session.info["tx"]
                assert isinstance(tx, Transaction)

    asyncio.run(main())


def test_a_sessions_errors_are_sqlalchemys(server: Server) -> None:
    """Code that is moved to Ramet catches IntegrityError; inside and outside of the block."""

    async def main() -> None:
        async with server.database(TABLES) as db:
            await db.write().execute(insert(Author).values(name="ada"))
            with pytest.raises(IntegrityError) as caught:
                async with db.session() as session:
                    session.add(Author(name="ada"))
            assert getattr(caught.value.orig, "sqlstate", "") == "23505"
            async with db.session() as session:
                with pytest.raises(IntegrityError):
                    async with session.begin_nested():
                        session.add(Author(name="ada"))
                session.add(Author(name="bob"))
            assert await db.read().fetchval("SELECT count(*) FROM authors") == 2

    asyncio.run(main())


def test_rolling_a_session_back_undoes_the_block_so_far_and_it_goes_on(server: Server) -> None:
    async def main() -> None:
        async with server.database(TABLES) as db:
            async with db.session() as session:
                session.add(Author(name="undone"))
                await session.flush()
                await session.rollback()
                session.add(Author(name="kept"))
                await session.commit()
                session.add(Author(name="kept too"))
            assert [row[0] for row in await db.read().fetch("SELECT name FROM authors ORDER BY name")] == ["kept", "kept too"]

    asyncio.run(main())


def test_a_once_call_keeps_its_key_when_its_session_starts_over(server: Server) -> None:
    """The rollback undoes the key with the rest; the block that goes on has to carry it again."""

    async def main() -> None:
        async with server.database(TABLES) as db:
            ledger = DurableLedger(db, Outcomes())

            async def work() -> str:
                async with db.session() as session:
                    session.add(Author(name="undone"))
                    await session.flush()
                    await session.rollback()
                    session.add(Author(name="kept"))
                return "done"

            for _ in range(2):
                assert await ledger.once("m.f", "k", work) == "done"
            assert await db.read().fetchval("SELECT count(*) FROM authors") == 1

    asyncio.run(main())


def test_a_cancelled_session_leaves_nothing(server: Server) -> None:
    async def main() -> None:
        async with server.database(TABLES, max_connections=1) as db:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1), db.session() as session:
                    session.add(Author(name="ada"))
                    await session.flush()
                    await session.execute(text("SELECT pg_sleep(10)"))
            assert await db.read().fetchval("SELECT count(*) FROM authors") == 0
            assert pool_of(db).statistics()["opened"] == 1

    asyncio.run(main())


def test_a_streamed_result_comes_by_a_cursor(server: Server) -> None:
    async def main() -> None:
        async with server.database() as db, db.session() as session:
            result = await session.stream(text("SELECT generate_series(1, 120)"))
            assert [row[0] async for row in result] == list(range(1, 121))

    asyncio.run(main())


def test_statements_of_a_session_have_records(server: Server) -> None:
    async def main() -> None:
        async with server.database(TABLES) as db:
            async with db.session() as session:
                session.add(Author(name="ada"))
            summaries = [record.series.labels["summary"] for record in pool_of(db).recorder.records()]
            assert summaries[-2:] == ["INSERT authors", "COMMIT"]

    asyncio.run(main())
