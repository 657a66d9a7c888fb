"""`ramet up` and its faults: real processes, a real PostgreSQL, a real Envoy."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.operate.app import Command, load, request

pytestmark = pytest.mark.timeout(120)


def ask(url: str, method: str, path: str):
    return asyncio.run(request(url, method, path))


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def test_one_process_and_many_answer_the_same_on_the_same_data(shop: Command) -> None:
    """The promise of the trunk: another topology, no other code, no lost row."""
    url = shop.up("seed")
    assert ask(url, "POST", "/orders?sku=a") == (201, {"id": 1, "sku": "a"})
    answers = [ask(url, "GET", path) for path in ("/orders/1", "/front/1", "/front/9", "/orders/x", "/nothing")]
    assert [status for status, _ in answers] == [200, 200, 404, 422, 404]
    assert {each["instance"] for each in shop.status()["instances"]} == {"main-1"}
    shop.ok("down")
    url = shop.up("grown")
    assert [ask(url, "GET", path) for path in ("/orders/1", "/front/1", "/front/9", "/orders/x", "/nothing")] == answers
    assert {each["instance"] for each in shop.status()["instances"]} == {"web-1", "orders-1", "orders-2"}
    pids = [each["pid"] for each in shop.status()["instances"]]
    shop.ok("down")
    assert not any(map(alive, pids))
    assert shop.run("status").returncode == 1


@pytest.mark.parametrize("topology", ["seed", "grown"])
def test_a_once_call_has_its_effect_once_at_whatever_instance(shop: Command, topology: str) -> None:
    """Its key is stored with its write, so repetitions at two instances, also at the same time, bring one row and one answer."""
    url = shop.up(topology)

    async def pay() -> set[str]:
        answers = await asyncio.gather(*(request(url, "POST", "/pay?sku=once&key=k1") for _ in range(20)))
        return {str(answer) for answer in answers}

    assert len(asyncio.run(pay())) == 1
    assert ask(url, "GET", "/orders/by-sku/once") == (200, 1)


def test_the_server_refuses_a_foreign_table(shop: Command) -> None:
    """One role per module with grants on nothing else: the boundary is the database's, not a convention."""
    url = shop.up("seed")
    status, problem = ask(url, "GET", "/trespass")
    assert status == 500
    assert "permission denied for schema orders" in shop.ok("logs", "-n", "50")
    assert "orders" not in str(problem)


def test_leaving_under_load_fails_nobody(shop: Command) -> None:
    """SIGTERM to each instance in turn, also to the only one of its service: 0 failed requests."""
    url = shop.up("grown")
    ask(url, "POST", "/orders?sku=first")

    async def drill() -> None:
        async with load(url) as (statuses, created):
            for name in ("web-1", "orders-1", "orders-2"):
                pid = shop.instance(name)["pid"]
                os.kill(pid, signal.SIGTERM)
                await asyncio.to_thread(shop.wait_ready, name, not_pid=pid)
        assert set(statuses) <= {"200", "201"}, statuses
        assert sum(statuses.values()) > 200
        for sku in created[-20:]:
            assert await request(url, "GET", f"/orders/by-sku/{sku}") == (200, 1)

    asyncio.run(drill())


def test_a_killed_instance_comes_back(shop: Command) -> None:
    """Kill -9 under load: what was in its hands may fail, nothing is lost or doubled, and it is started again."""
    url = shop.up("grown")
    ask(url, "POST", "/orders?sku=first")

    async def drill() -> None:
        async with load(url) as (statuses, created):
            await asyncio.sleep(0.5)
            pid = shop.instance("orders-1")["pid"]
            os.kill(pid, signal.SIGKILL)
            await asyncio.to_thread(shop.wait_ready, "orders-1", not_pid=pid)
            await asyncio.sleep(0.5)
        failed = sum(count for status, count in statuses.items() if status not in {"200", "201"})
        assert failed <= 16, statuses  # eight clients with at most one request in the killed instance's hands, and a retry
        for sku in created:
            assert await request(url, "GET", f"/orders/by-sku/{sku}") == (200, 1)

    asyncio.run(drill())


def test_the_second_fleet_in_a_folder_is_refused(shop: Command) -> None:
    """It says who holds the folder; the first one is not touched."""
    url = shop.up("seed")
    second = shop.run("up")
    assert second.returncode == 2
    assert str(shop.status()["pid"]) in second.stderr
    assert ask(url, "POST", "/orders?sku=a")[0] == 201


def test_a_killed_controller_leaves_the_data_plane_running_and_the_next_one_takes_it_over(shop: Command) -> None:
    """Requests go on without it; the next `ramet up` finds the instances, and starts none of them again."""
    url = shop.up("grown")
    ask(url, "POST", "/orders?sku=kept")
    status = shop.status()
    os.kill(status["pid"], signal.SIGKILL)
    while alive(status["pid"]):
        time.sleep(0.01)
    assert ask(url, "GET", "/front/1") == (200, "KEPT")
    assert "supervisor died" in shop.run("status").stdout
    assert shop.up("seed") == url
    assert ask(url, "GET", "/front/1") == (200, "KEPT")
    after = shop.status()
    assert (after["topology"], after["running"]) == ("grown", True)
    assert [each["pid"] for each in after["instances"]] == [each["pid"] for each in status["instances"]]


def test_down_ends_what_a_killed_supervisor_left(shop: Command) -> None:
    """Instances, Envoy and PostgreSQL; and a migration beside it before that takes nothing away."""
    url = shop.up("seed")
    ask(url, "POST", "/orders?sku=kept")
    status = shop.status()
    os.kill(status["pid"], signal.SIGKILL)
    while alive(status["pid"]):
        time.sleep(0.01)
    shop.ok("migrate", "up")
    assert ask(url, "GET", "/front/1") == (200, "KEPT")
    found = [path.read_text() for path in shop.folder.glob(".ramet/**/*pid") if "postmaster" not in path.name]
    pids = [json.loads(text)["pid"] for text in found]
    assert sum(map(alive, pids)) >= 3
    shop.ok("down")
    assert not any(map(alive, pids))


def test_a_module_that_does_not_import_is_named_with_its_line(shop: Command) -> None:
    """Before anything is started."""
    file = shop.folder / "shop" / "front" / "api.py"
    file.write_text(file.read_text() + "\nimport nothing_like_it\n")
    done = shop.run("up", "--detach")
    assert done.returncode == 2
    assert "nothing_like_it" in done.stderr
    assert f"{file}:" in done.stderr
    assert shop.run("status").returncode == 1


def test_a_migration_that_fails_half_way_leaves_the_version_before(shop: Command) -> None:
    """Named with revision and the server's words; mended, it goes on from there."""
    shop.up("seed")
    shop.ok("down")
    bad = shop.folder / "shop/orders/migrations/versions/0002_bad.py"
    text = (shop.folder / "shop/orders/migrations/versions/0001_first.py").read_text()
    text = text.replace('"0001"', '"0002"').replace("= None", '= "0001"')
    statement = text[text.index("op.execute(") : text.rindex(")") + 1]
    bad.write_text(
        text.replace(statement, 'op.execute("ALTER TABLE orders ADD COLUMN note text")\n    op.execute("SELECT nonsense")')
    )
    done = shop.run("up", "--detach")
    assert done.returncode == 2
    assert "0002" in done.stderr
    assert "nonsense" in done.stderr
    status = shop.run("migrate", "status")
    assert status.returncode == 1
    assert "lacks 1: 0002" in status.stdout
    bad.write_text(bad.read_text().replace("SELECT nonsense", "SELECT 1"))
    shop.ok("migrate", "up")
    assert ask(shop.up("seed"), "POST", "/orders?sku=a")[0] == 201


def test_a_port_that_is_taken_is_named(shop: Command) -> None:
    """And nothing is left running."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = shop.run("up", "--detach", "--port", str(port))
    assert done.returncode == 2
    assert str(port) in done.stderr
    assert shop.run("status").returncode == 1


def test_mistakes_of_the_file_have_line_and_hint(shop: Command) -> None:
    """`ramet.toml` is where people make mistakes."""
    file = shop.folder / "ramet.toml"
    file.write_text(file.read_text().replace('modules = ["front"]', 'modules = ["frnt"]'))
    done = shop.run("up")
    assert done.returncode == 2
    assert "ramet.toml:" in done.stderr
    assert "did you mean `front`" in done.stderr


def test_metrics_and_health_of_an_instance(shop: Command) -> None:
    """Each instance tells its own; the labels carry module, call, service and version."""
    url = shop.up("seed")
    ask(url, "POST", "/orders?sku=a")
    ask(url, "GET", "/front/1")
    record = json.loads((shop.folder / ".ramet/fleet.json").read_text())
    instance = f"http://{record['instances'][0]['http']}"
    assert ask(instance, "GET", "/livez")[0] == 200
    assert ask(instance, "GET", "/readyz")[0] == 200

    async def metrics() -> str:
        host, port = record["instances"][0]["http"].split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        data = await reader.read()
        writer.close()
        return data.decode()

    text = asyncio.run(metrics())
    assert 'rpc_server_call_duration_seconds_count{service="main",version="0",instance="main-1"' in text
    assert 'call="get"' in text
    assert 'module="orders"' in text
    assert "# EOF" in text
