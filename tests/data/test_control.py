"""The control schema in a real PostgreSQL: one lease, its fence, and a journal that outlives its server."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from ramet.data import control
from ramet.data.address import Address
from ramet.data.control import ControlSchema, PlanRow
from ramet.errors import JournalUnreadable, PlanBusy
from tests.data.support import Server, until


@pytest.fixture
def address(server: Server) -> Iterator[Address]:
    """A database of its own, without a schema `ramet`."""
    name = f"control{next(_numbers)}"

    async def run(statement: str) -> None:
        async with server.superuser() as connection:
            await connection.execute(statement)

    asyncio.run(run(f"CREATE DATABASE {name}"))
    yield Address(dsn=f"postgresql://ramet@/{name}?host={server.folder}", application_name="ramet controller")
    asyncio.run(run(f"DROP DATABASE {name} WITH (FORCE)"))


_numbers = itertools.count()


class Controllers:
    """dead: holders that are known not to live."""

    def __init__(self, address: Address, stack: AsyncExitStack) -> None:
        self.dead: set[str] = set()
        self._address = address
        self._stack = stack

    async def open(self, holder: str) -> ControlSchema:
        made = ControlSchema(lambda: self._address, holder=holder, is_alive=lambda name: name not in self.dead)
        self._stack.push_async_callback(made.close)
        await made.open()
        return made


@asynccontextmanager
async def controllers(address: Address) -> AsyncIterator[Controllers]:
    async with AsyncExitStack() as stack:
        yield Controllers(address, stack)


def fence_of(schema: ControlSchema) -> int:
    assert schema.lease is not None
    return schema.lease.fence


def test_the_lease_is_one_controllers_while_it_lives(address: Address) -> None:
    """The second is refused with the name of the first; its own lease it may take again."""

    async def main() -> None:
        async with controllers(address) as here:
            first = await here.open("first")
            with pytest.raises(PlanBusy, match="the controller first holds the lease"):
                await here.open("second")
            again = await here.open("first")
            assert fence_of(again) == fence_of(first) + 1

    asyncio.run(main())


def test_the_lease_of_the_dead_is_taken_at_once(address: Address) -> None:
    """Nobody waits for its end. So is one that was given up, or ran out."""

    async def main() -> None:
        async with controllers(address) as here:
            fences = [fence_of(await here.open("first"))]
            here.dead.add("first")
            second = await here.open("second")
            await second.give_up()
            third = await here.open("third")
            await third._fetch("UPDATE ramet.lease SET until = now() - interval '1 second'")
            fences += [fence_of(second), fence_of(third), fence_of(await here.open("fourth"))]
            assert fences == [1, 2, 3, 4], "the fence grows with each holder"

    asyncio.run(main())


WRITES: dict[str, Callable[[ControlSchema, int], Awaitable[object]]] = {
    "renew": lambda schema, _: schema.renew(),
    "save the system": lambda schema, _: schema.save_system(b"theirs"),
    "add a plan": lambda schema, _: schema.add_plan("2", "theirs", b""),
    "mark a plan": lambda schema, plan: schema.mark(plan, "undone"),
    "write an entry": lambda schema, plan: schema.write(plan, 1, 0, "done"),
    "write an entry again": lambda schema, plan: schema.write(plan, 0, 0, "begun"),
}


@pytest.mark.parametrize("write", WRITES)
def test_a_controller_that_is_fenced_off_cannot_write(address: Address, write: str) -> None:
    """It was stopped, another took its lease, and it goes on without knowing: nothing changes."""

    async def main() -> None:
        async with controllers(address) as here:
            first = await here.open("first")
            await first.save_system(b"ours")
            plan = await first.add_plan("1", "ours", b"steps")
            await first.write(plan, 0, 0, "begun")
            here.dead.add("first")
            second = await here.open("second")
            before = (await second.load_system(), await second.plans(), await second.entries(plan))
            with pytest.raises(PlanBusy, match=r"the lease of controller first \(fence 1\) was taken by another"):
                await WRITES[write](first, plan)
            assert (await second.load_system(), await second.plans(), await second.entries(plan)) == before
            await WRITES[write](second, plan)

    asyncio.run(main())


def test_what_is_written_is_read_back_by_the_next(address: Address) -> None:
    """The system, plans with the newest first, entries in order; a line that is written again is the same line."""

    async def main() -> None:
        async with controllers(address) as here:
            first = await here.open("first")
            assert await first.load_system() is None
            await first.save_system(b"one")
            await first.save_system(b"two")
            plans = [await first.add_plan("1", "a", b"x"), await first.add_plan("2", "b", b"\x00y")]
            for entry, event in [(0, "begun"), (1, "done"), (1, "done")]:
                await first.write(plans[1], entry, 0, event, "said")
            await first.mark(plans[1], "paused", "asked")
            await first.mark(plans[0], "done")
            await first.give_up()
            second = await here.open("second")
            assert await second.load_system() == b"two"
            newest, oldest = await second.plans()
            assert isinstance(newest, PlanRow)
            assert (newest.id, newest.title, newest.body, newest.state, newest.why) == (
                plans[1],
                "b",
                b"\x00y",
                "paused",
                "asked",
            )
            assert newest.ended is None
            assert oldest.ended is not None
            assert oldest.ended >= oldest.began
            assert [entry[:4] for entry in await second.entries(plans[1])] == [(0, 0, "begun", "said"), (1, 0, "done", "said")]

    asyncio.run(main())


def test_a_journal_of_a_later_format_is_refused_and_left_alone(address: Address) -> None:
    """The lease too: the controller that can read it may be at work."""

    async def main() -> None:
        async with controllers(address) as here:
            first = await here.open("first")
            await first._fetch("UPDATE ramet.format SET version = $1", control.FORMAT + 1)
            here.dead.add("first")
            with pytest.raises(JournalUnreadable, match=f"of format {control.FORMAT + 1}, this Ramet reads up to"):
                await here.open("second")
            await first.renew()

    asyncio.run(main())


def test_a_lost_connection_is_waited_out(address: Address, server: Server) -> None:
    """A server that is starting again refuses for a time; the write comes through, once."""

    async def main() -> None:
        async with controllers(address) as here, server.superuser() as superuser:
            schema = await here.open("first")
            plan = await schema.add_plan("1", "a", b"")
            name = address.dsn.partition("@/")[2].partition("?")[0]
            await superuser.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            await superuser.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
            writing = asyncio.create_task(schema.write(plan, 0, 0, "begun"))
            await until(lambda: schema._connection is None)
            assert not writing.done()
            await superuser.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            await writing
            assert [entry.event for entry in await schema.entries(plan)] == ["begun"]

    asyncio.run(main())
