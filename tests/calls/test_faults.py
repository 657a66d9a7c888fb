"""Instances that are killed, stopped, cut off or not there yet. Real processes, real sockets."""

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

import ramet
from ramet import CallError, ConnectionLost, DeadlineExceeded, Unavailable
from ramet.calls.endpoints import Endpoint
from ramet.calls.health import Circuit
from ramet.calls.runtime import Calls
from ramet.model.routing import Address, RoutingTable
from ramet.settings import Settings
from tests.calls import worker
from tests.calls.placing import run, wait_until
from tests.calls.worker import ledger, read, shop, write

SETTINGS = Settings(ping_interval_s=0.5, handshake_s=1.0, strict=False)


class Worker:
    def __init__(self, process: asyncio.subprocess.Process, address: Address) -> None:
        self.process = process
        self.address = address

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


@contextlib.asynccontextmanager
async def workers(folder: Path, *names: str) -> AsyncIterator[list[Worker]]:
    started = [await start(folder, name) for name in names]
    try:
        yield started
    finally:
        for each in started:
            with contextlib.suppress(ProcessLookupError):
                each.process.kill()
            await each.process.wait()


async def start(folder: Path, name: str) -> Worker:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.calls.worker",
        name,
        str(folder),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    line = await process.stdout.readline()
    return Worker(process, msgspec.json.decode(line, type=Address))


@contextlib.asynccontextmanager
async def client(*addresses: Address, settings: Settings = SETTINGS) -> AsyncIterator[Calls]:
    calls = Calls([ledger, shop], local=["shop"], app="test", service="shop", instance="shop-1", settings=settings)
    calls.place()
    calls.route(RoutingTable(1, {"ledger": list(addresses)}))
    try:
        with calls.inside("shop"):
            yield calls
    finally:
        await calls.close()


def ran(folder: Path) -> Counter[int]:
    return Counter(int(line) for path in folder.glob("*.ran") for line in path.read_text().split())


def in_folder(body) -> None:
    async def main() -> None:
        with tempfile.TemporaryDirectory() as name:
            await body(Path(name))

    run(main())


def test_a_killed_peer_ends_its_calls_at_once() -> None:
    """Not at their deadline: the connection is gone, and they may have run."""

    async def body(folder: Path) -> None:
        async with workers(folder, "a") as (a,), client(a.address):
            await write(0)
            calls = [asyncio.create_task(write(number, 60_000)) for number in range(1, 20)]
            await wait_until(lambda: len(ran(folder)) == 20)
            started = time.monotonic()
            a.signal(signal.SIGKILL)
            errors = await asyncio.gather(*calls, return_exceptions=True)
            assert time.monotonic() - started < 1
            assert all(isinstance(error, ConnectionLost) and error.may_have_run for error in errors)

    in_folder(body)


def test_idempotent_calls_survive_a_killed_peer() -> None:
    """They are made again at another endpoint, within the same deadline."""

    async def body(folder: Path) -> None:
        async with workers(folder, "a", "b") as (a, b), client(a.address, b.address):
            await asyncio.gather(*(read(number) for number in range(20)))
            calls = [asyncio.create_task(read(number, 200)) for number in range(10)]
            await asyncio.sleep(0.05)
            a.signal(signal.SIGKILL)
            answers = await asyncio.gather(*calls, return_exceptions=True)
            failed = [answer for answer in answers if isinstance(answer, BaseException)]
            # Ten retries are free, so the budget covers what `a` had.
            assert not failed
            assert "b" in answers

    in_folder(body)


def test_a_stopped_peer_costs_no_more_than_the_deadline() -> None:
    """SIGSTOP: the connection stays and nothing answers. Idempotent calls go elsewhere, the others end in time."""

    async def body(folder: Path) -> None:
        async with workers(folder, "a", "b") as (a, b), client(a.address, b.address) as calls:
            await asyncio.gather(*(read(number) for number in range(20)))
            a.signal(signal.SIGSTOP)
            started = time.monotonic()
            with ramet.calling(deadline="600ms"):
                answers = await asyncio.gather(*(read(number) for number in range(10)), return_exceptions=True)
                assert set(answers) == {"b"}
                others = await asyncio.gather(*(write(number) for number in range(10)), return_exceptions=True)
            assert time.monotonic() - started < 1.5
            assert all(other == "b" or isinstance(other, CallError) for other in others)
            # Silence closes the connection after two intervals; from then on nobody is sent there.
            await wait_until(lambda: [each["state"] for each in endpoints(calls)].count("ready") == 1)
            assert set(await asyncio.gather(*(write(number) for number in range(100, 120)))) == {"b"}
            a.signal(signal.SIGCONT)
            await wait_until(lambda: [each["state"] for each in endpoints(calls)].count("ready") == 2)
            assert "a" in await asyncio.gather(*(read(number) for number in range(200)))

    in_folder(body)


def endpoints(calls: Calls) -> list[dict]:
    return calls.statistics()["modules"]["ledger"]["endpoints"]  # type: ignore[index, return-value]


def test_the_circuit_opens_on_a_peer_that_answers_nothing() -> None:
    """A single stopped endpoint: after five deadlines callers are told at once instead of waiting again."""

    async def body(folder: Path) -> None:
        async with workers(folder, "a") as (a,), client(a.address, settings=Settings(ping_interval_s=30)):
            await read(1)
            a.signal(signal.SIGSTOP)
            with ramet.calling(deadline="100ms"):
                for _ in range(5):
                    with pytest.raises(DeadlineExceeded):
                        await write(1)
                started = time.monotonic()
                with pytest.raises(Unavailable, match="circuits") as caught:
                    await write(1)
                assert time.monotonic() - started < 0.05
            assert not caught.value.may_have_run
            a.signal(signal.SIGCONT)

            async def answers() -> bool:
                with contextlib.suppress(Unavailable):
                    return await read(2) == "a"
                return False

            async with asyncio.timeout(10):
                while not await answers():
                    await asyncio.sleep(0.1)

    in_folder(body)


def test_a_call_waits_for_an_endpoint_that_is_not_there_yet() -> None:
    """Start order does not matter; the wait ends with the deadline, and nothing was sent."""

    async def body(folder: Path) -> None:
        address = Address(
            "a", "ledger", unix=str(folder / "a.sock"), host_id=Calls([ledger], local=[], app="", service="", instance="").here
        )
        async with client(address):
            with ramet.calling(deadline="100ms"), pytest.raises(DeadlineExceeded) as caught:
                await read(1)
            assert not caught.value.may_have_run
            waiting = asyncio.create_task(read(1))
            async with workers(folder, "a"):
                assert await waiting == "a"

    in_folder(body)


def test_the_queue_for_an_absent_endpoint_is_bounded() -> None:
    """The first ones wait, the rest is told at once."""

    async def body(folder: Path) -> None:
        address = Address("a", "ledger", unix=str(folder / "a.sock"))
        async with client(address, settings=Settings(max_queued_calls=5, strict=False)):
            with ramet.calling(deadline="300ms"):
                errors = await asyncio.gather(*(read(number) for number in range(20)), return_exceptions=True)
        kinds = Counter(type(error).__name__ for error in errors)
        assert kinds == {"DeadlineExceeded": 5, "Unavailable": 15}
        assert not any(error.may_have_run for error in errors)  # type: ignore[union-attr]

    in_folder(body)


def test_a_module_that_nobody_hosts_is_unavailable_at_once() -> None:
    """There is nothing to wait for."""

    async def body(_: Path) -> None:
        async with client():
            with pytest.raises(Unavailable, match="no instance hosts") as caught:
                await read(1)
            assert not caught.value.may_have_run

    in_folder(body)


def test_hedging_hides_a_stopped_endpoint() -> None:
    """A second endpoint is asked after 30 ms; the deadline is 2 s."""

    async def body(folder: Path) -> None:
        async with workers(folder, "a", "b") as (a, b), client(a.address, b.address, settings=Settings(ping_interval_s=30)):
            await asyncio.gather(*(read(number) for number in range(100)))
            a.signal(signal.SIGSTOP)
            started = time.monotonic()
            assert await asyncio.gather(*(worker.hedged(number) for number in range(5))) == ["b"] * 5
            assert time.monotonic() - started < 0.5

    in_folder(body)


def test_an_endpoint_that_only_fails_is_ejected() -> None:
    """Its peers do well, so it is not the callers' fault."""

    async def body(folder: Path) -> None:
        async with workers(folder, "a", "b") as (a, b), client(a.address, b.address) as calls:
            bad = next(each for each in calls._endpoints.values() if each.address.instance == "a")

            await wait_until(lambda: bad.state == "ready")

            async def fails_until_ejected() -> None:
                while bad.state == "ready":
                    with contextlib.suppress(ramet.RemoteError):
                        await worker.fail_in("a")

            async with asyncio.timeout(10):
                await fails_until_ejected()
            assert bad.state == "ejected"
            assert set(await asyncio.gather(*(write(number) for number in range(20)))) == {"b"}
            await wait_until(lambda: bad.state == "ready", within_s=10)  # on probation, once it answered a PING
            assert await wait_closed(bad)

    in_folder(body)


async def wait_closed(endpoint: Endpoint) -> bool:
    """Call until the endpoint's circuit is closed again."""
    async with asyncio.timeout(5):
        while endpoint.health.circuit is not Circuit.CLOSED:
            await write(0)
    return True


def test_draining_fails_nobody() -> None:
    """Under load: callers are told, in-flight calls finish, the others go elsewhere."""

    async def body(folder: Path) -> None:
        async with workers(folder, "a", "b") as (a, b), client(a.address, b.address):
            stop = asyncio.Event()
            done: Counter[str] = Counter()

            async def load(first: int) -> None:
                number = first
                while not stop.is_set():
                    done[await write(number, 5)] += 1
                    number += 100

            tasks = [asyncio.create_task(load(number)) for number in range(20)]
            await wait_until(lambda: done["a"] > 50)
            assert a.process.stdin is not None
            a.process.stdin.close()
            assert await a.process.wait() == 0
            before = done["b"]
            await wait_until(lambda: done["b"] > before + 200)
            stop.set()
            await asyncio.gather(*tasks)
            assert max(ran(folder).values()) == 1

    in_folder(body)


@pytest.mark.parametrize("seed", range(3))
def test_histories_no_call_runs_twice_and_every_answer_is_true(seed: int) -> None:
    """Kill -9 and SIGSTOP at random under load. What clients were told is compared with what the instances did."""

    async def body(folder: Path) -> None:
        chance = random.Random(seed)
        told: dict[int, str] = {}
        async with contextlib.AsyncExitStack() as stack:
            fleet = await stack.enter_async_context(workers(folder, "a", "b", "c"))
            calls = await stack.enter_async_context(client(*(each.address for each in fleet)))
            stop = asyncio.Event()

            async def load(first: int) -> None:
                number = first
                while not stop.is_set():
                    try:
                        with ramet.calling(deadline="500ms"):
                            await write(number, chance.choice((0, 0, 1, 5)))
                        told[number] = "done"
                    except CallError as error:
                        told[number] = "unknown" if error.may_have_run else "not run"
                        await asyncio.sleep(0.01)
                    number += 1000

            tasks = [asyncio.create_task(load(number)) for number in range(30)]
            for step in range(6):
                await asyncio.sleep(chance.uniform(0.1, 0.3))
                index = chance.randrange(3)
                if chance.random() < 0.6:
                    fleet[index].signal(signal.SIGKILL)
                    await fleet[index].process.wait()
                    fleet[index] = await start(folder, "abc"[index])
                    stack.push_async_callback(stop_worker, fleet[index])
                    calls.route(RoutingTable(2 + step, {"ledger": [each.address for each in fleet]}))
                else:
                    fleet[index].signal(signal.SIGSTOP)
                    await asyncio.sleep(0.2)
                    fleet[index].signal(signal.SIGCONT)
            stop.set()
            await asyncio.gather(*tasks)
        times = ran(folder)
        assert max(times.values()) == 1, "a call ran twice"
        for number, verdict in told.items():
            if verdict == "done":
                assert times[number] == 1, f"{number} was answered and did not run"
            elif verdict == "not run":
                assert times[number] == 0, f"{number} ran, and its caller was told that it did not"
        assert Counter(told.values())["done"] > 200

    in_folder(body)


async def stop_worker(each: Worker) -> None:
    with contextlib.suppress(ProcessLookupError):
        each.process.kill()
    await each.process.wait()


def test_garbage_closes_its_own_connection_alone() -> None:
    """Fuzz over a real socket: named refusals, no crash, no hang, no growing memory, and good callers notice nothing."""

    async def body(folder: Path) -> None:
        chance = random.Random(7)
        async with workers(folder, "a") as (a,), client(a.address):
            await write(-1)
            pages = resident_pages(a)
            for round_ in range(150):
                reader, writer = await asyncio.open_unix_connection(a.address.unix)
                with contextlib.suppress(ConnectionError, BrokenPipeError):
                    writer.write(garbage(chance))
                    await writer.drain()
                    if chance.random() < 0.5:
                        writer.write_eof()
                    async with asyncio.timeout(3):
                        answer = await reader.read()
                    assert not answer or answer[4] in {1, 11}, "HELLO or REFUSE, nothing else"
                writer.close()
                if round_ % 10 == 0:
                    assert await write(round_) == "a"
            assert resident_pages(a) < pages + 64 * 1024 * 1024 // os.sysconf("SC_PAGE_SIZE")

    in_folder(body)


def garbage(chance: random.Random) -> bytes:
    from ramet.wire.frames import HEADER, frame

    kind = chance.randrange(7)
    if kind == 0:
        return chance.randbytes(chance.randrange(1, 5000))
    if kind == 1:
        return b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    if kind == 2:
        return HEADER.pack(2**31, 1, 0, 0, 0) + chance.randbytes(100)
    if kind == 3:
        return frame(1, body=chance.randbytes(chance.randrange(200)))
    if kind == 4:
        return frame(chance.randrange(256), body=b"x")
    hello = msgspec.msgpack.encode(
        {
            "magic": "ramet",
            "protocol": 1,
            "app": "test",
            "service": "x",
            "instance": "x",
            "version": "",
            "uses": {"shop": ["ledger"]},
        }
        | {"table": [["shop", "ledger.write", "0"]], "max_frame_bytes": 2**20, "window_bytes": 1000}
    )
    good = frame(1, body=hello)
    if kind == 5:
        return good + frame(2, index=chance.choice((0, 7)), call=1, body=chance.randbytes(50)) + frame(3, call=1)
    return good + frame(8, call=1, body=chance.randbytes(3)) + chance.randbytes(30)


def resident_pages(each: Worker) -> int:
    return int(Path(f"/proc/{each.process.pid}/statm").read_text().split()[1])


def test_a_dropped_reply_is_an_unknown_outcome() -> None:
    """A proxy that swallows what comes back: the call ran, and its caller is told that it may have."""

    async def body(folder: Path) -> None:
        async with workers(folder, "a") as (a,):
            dropping = False

            async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, back: bool) -> None:
                try:
                    while data := await reader.read(65536):
                        if not (back and dropping):
                            writer.write(data)
                            await writer.drain()
                finally:
                    writer.close()

            tasks: list[asyncio.Task[None]] = []

            async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                up_reader, up_writer = await asyncio.open_unix_connection(a.address.unix)
                tasks.append(asyncio.create_task(pipe(reader, up_writer, back=False)))
                tasks.append(asyncio.create_task(pipe(up_reader, writer, back=True)))

            proxy = await asyncio.start_unix_server(accept, str(folder / "proxy.sock"))
            try:
                async with client(msgspec.structs.replace(a.address, unix=str(folder / "proxy.sock"))):
                    await write(1)
                    dropping = True
                    with ramet.calling(deadline="200ms"), pytest.raises(DeadlineExceeded) as caught:
                        await write(2)
                    assert caught.value.may_have_run
                    assert ran(folder)[2] == 1
            finally:
                proxy.close()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await asyncio.sleep(0)  # the transports close in the loop's next turn

    in_folder(body)


def test_statistics_are_plain_data(tmp_path: Path) -> None:
    """They are printed as JSON."""

    async def body() -> None:
        async with client(Address("a", "ledger", unix=str(tmp_path / "x"))) as calls:
            assert json.dumps(calls.statistics())
            assert "shop-1" in repr(calls)

    run(body())
