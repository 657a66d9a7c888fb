"""Plans on a running fleet, under load: real processes, a real PostgreSQL, a real Envoy."""

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import time
import venv
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

import ramet
from ramet.engines.postgres import Postgres
from ramet.model.wanted import Strategy
from ramet.model.wishes import Wish
from tests.operate.app import request
from tests.operate.faults import PLANS, Drill, Fault, Seen, clients, drill, is_alive

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Drill]:
    """Not up yet; nothing of it runs afterwards."""
    made = Drill(tmp_path / "app")
    yield made
    made.command.clean()


def another(fleet: Drill, name: str, **replaced: str) -> Path:
    """A copy of the application with some text of the module `orders` replaced; `_` in a key stands for nothing, order counts."""
    folder = fleet.folder.parent / name
    shutil.copytree(fleet.folder, folder, ignore=shutil.ignore_patterns(".ramet", "__pycache__"))
    file = folder / "shop" / "orders" / "api.py"
    text = file.read_text()
    for old, new in zip(replaced["old"].split("|"), replaced["new"].split("|"), strict=True):
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)
    return folder


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_under_load_fails_nobody_and_loses_nothing(tmp_path: Path, name: str) -> None:
    """0 failed, each acknowledged order is there once, and the record says what runs."""
    seen, wrong = asyncio.run(drill(tmp_path, name, None))
    assert (seen.state, seen.failed, wrong) == ("done", [], [])
    assert sum(seen.statuses.values()) > 100


KEPT = [
    ("extract", Fault("controller", "kill", 6, 0.05)),
    ("extract", Fault("new", "kill", 8, 0.1)),
    ("extract", Fault("old", "stop", 6)),
    ("roll", Fault("controller", "kill", 5)),
    ("absorb", Fault("envoy", "kill", 9, 0.1)),
]
"""A few of all faults; `python -m tests.operate.faults NAME` goes through the others. Those that once failed stay here."""


@pytest.mark.parametrize(("name", "fault"), KEPT, ids=str)
def test_a_fault_in_the_middle_ends_in_a_whole_system(tmp_path: Path, name: str, fault: Fault) -> None:
    """The plan goes on or is undone by itself; nothing is lost or doubled; only what was in hand at the victim may fail."""
    seen, wrong = asyncio.run(drill(tmp_path, name, fault))
    assert wrong == []
    assert seen.state in {"done", "undone"}


def test_a_broken_canary_is_caught_and_undone(fleet: Drill) -> None:
    """One in five reads raises what the old version never raised; the rest of the system does not notice."""
    url = fleet.up()
    old, new = (
        "    row = await db.read()",
        "    if id and __import__('random').random() < 0.2:\n        raise LookupError(id)\n    row = await db.read()",
    )
    folder = another(fleet, "broken", old=old, new=new)
    seen = Seen()

    async def roll() -> None:
        await request(url, "POST", "/orders?sku=first")
        async with clients(url, seen):
            began = time.monotonic()
            ended = await fleet.take(Wish(roll=str(folder), strategy=Strategy.CANARY))
            assert ended.plan.state == "undone", ended.plan
            assert "LookupError ended" in ended.plan.why or "errors: " in ended.plan.why
            assert time.monotonic() - began < 60
        assert await fleet.check(url, seen, Fault("new", "kill", 0)) == [] or len(seen.failed) < 0.02 * sum(
            seen.statuses.values()
        )

    asyncio.run(roll())
    assert {each["version"] for each in fleet.command.status()["instances"]} == {"0"}


def test_a_version_that_does_not_import_moves_nothing(fleet: Drill) -> None:
    """The error is the user's own, with its line, before anything is started."""
    fleet.up()
    before = fleet.client.system()
    folder = another(fleet, "torn", old="module = Module", new="import nowhere\nmodule = Module")
    refused = fleet.command.run("roll", "--path", str(folder), "--yes")
    assert refused.returncode == 2
    assert "No module named 'nowhere'" in refused.stderr
    assert "orders/api.py" in refused.stderr
    assert fleet.client.system().epoch == before.epoch


def test_a_version_runs_with_the_virtual_environment_of_its_own_folder(fleet: Drill) -> None:
    """So that a release may bring other libraries with it."""
    url = fleet.up()
    folder = another(fleet, "apart", old="", new="")
    venv.create(folder / ".venv", with_pip=False)
    (site,) = (folder / ".venv" / "lib").glob("python*/site-packages")
    ours = [path for path in sys.path if path.endswith("site-packages")]
    (site / "ours.pth").write_text("\n".join([*ours, str(Path(ramet.__file__).parent.parent)]))

    async def roll() -> None:
        await request(url, "POST", "/orders?sku=first")
        assert (await fleet.take(Wish(roll=str(folder)))).plan.state == "done"
        assert (await request(url, "GET", "/front/1")) == (200, "FIRST")

    asyncio.run(roll())
    for each in fleet.command.status()["instances"]:
        command = Path(f"/proc/{each['pid']}/cmdline").read_bytes().split(b"\0")
        assert command[0].decode() == str(folder / ".venv" / "bin" / "python")


def test_a_version_that_breaks_a_deployed_caller_is_refused_with_both_signatures(fleet: Drill) -> None:
    """And with the compatible way to make the change."""
    fleet.up()
    folder = another(
        fleet, "breaking", old="async def create(sku: str) -> Order:", new="async def create(sku: str, tenant: int) -> Order:"
    )
    refused = fleet.command.run("roll", "--path", str(folder), "--yes")
    assert refused.returncode == 2
    for part in (
        "`front@0` calls orders.create",
        "caller: orders.create(sku: str) -> Order",
        "callee: orders.create(sku: str, tenant: int) -> Order",
        "make the change additive",
    ):
        assert part in refused.stderr


def test_what_cannot_be_is_refused_before_anything_moves(fleet: Drill) -> None:
    """Each with the reason and the next thing to do; exit code 2."""
    fleet.up()
    for arguments, said in (
        (("extract", "order"), "did you mean `orders`"),
        (("absorb", "main"), "`main` is the only service"),
        (("scale", "mian", "2"), "did you mean `main`"),
        (("scale", "main", "0"), "main would have 0 instances, and is the only owner of"),
        (("scale", "main", "40"), "database connections at its height, the server has"),
        (("apply", "growm"), "did you mean `grown`"),
        (("apply", "--undo"), "no plan is under way"),
        (("roll", "--path", str(fleet.folder.parent)), "there is no ramet.toml"),
    ):
        refused = fleet.command.run(*arguments, *([] if "--undo" in arguments else ["--yes"]))
        assert (refused.returncode, said in refused.stderr) == (2, True), (arguments, refused.stdout, refused.stderr)
    assert fleet.client.plans() == []


def test_one_plan_at_a_time_which_can_be_paused_resumed_and_undone(fleet: Drill) -> None:
    """A second is refused with which one runs, and where it stands."""
    fleet.up()

    async def story() -> None:
        plan = fleet.client.begin(Wish(extract="orders"))
        refused = await asyncio.to_thread(fleet.command.run, "scale", "main", "3", "--yes")
        assert refused.returncode == 2
        assert f"plan {plan} is running, at step" in refused.stderr
        fleet.client.pause()
        while fleet.client.plans()[0].state != "paused":
            await asyncio.sleep(0.05)
        taken = fleet.client.plans()[0].taken
        assert 0 < taken < len(fleet.client.plans()[0].steps)
        fleet.client.resume()
        while fleet.client.plans()[0].taken <= taken:
            await asyncio.sleep(0.05)
        fleet.client.undo()
        assert (await fleet.wait(plan)).plan.state == "undone"

    asyncio.run(story())
    assert {each["instance"] for each in fleet.command.status()["instances"]} == {"main-1", "main-2"}
    assert fleet.client.system().shares == {"orders": {"main@0": 100}, "front": {"main@0": 100}}
    assert "undone" in fleet.command.ok("history")


def test_without_its_controller_everything_goes_on(fleet: Drill) -> None:
    """0 failed requests while there is none, and none when the next one takes over."""
    url = fleet.up()
    seen = Seen()

    async def alone() -> None:
        async with clients(url, seen):
            os.kill(fleet.command.status()["pid"], signal.SIGKILL)
            await asyncio.sleep(5.0)
            assert await asyncio.to_thread(fleet.up) == url
            await asyncio.sleep(1.0)

    asyncio.run(alone())
    assert seen.failed == []
    assert sum(seen.statuses.values()) > 300


def test_a_place_that_a_module_left_gives_its_connections_back(fleet: Drill) -> None:
    """And has it no more among what it hosts; the way back opens them again."""
    fleet.up()
    server = Postgres(fleet.folder / ".ramet" / "postgres")
    server.use_running()

    async def held() -> int:
        connection = await asyncpg.connect(server.url())
        try:
            return await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE usename = 'orders' AND application_name LIKE 'main-%'"
            )
        finally:
            await connection.close()

    async def story() -> None:
        assert await held() >= 2
        await fleet.take(Wish(extract="orders"))
        assert await held() == 0
        assert [each["modules"] for each in fleet.command.status()["instances"]] == [["front"], ["front"], ["orders"]]
        await fleet.take(Wish(absorb="orders"))
        assert await held() >= 2

    asyncio.run(story())


def test_a_takeover_that_fails_leaves_what_runs_alone(fleet: Drill) -> None:
    """Controller and Envoy died, and somebody else has the port: an error that names it, and the instances go on."""
    url = fleet.up()
    before = {each["instance"]: each["pid"] for each in fleet.command.status()["instances"]}
    controller, envoy = fleet.pid_of("controller"), fleet.pid_of("envoy")
    assert controller is not None
    assert envoy is not None
    for pid in (controller, envoy):
        os.kill(pid, signal.SIGKILL)
        while is_alive(pid):
            time.sleep(0.01)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        until = time.monotonic() + 10
        while True:  # Envoy's own connections may keep the port for a moment
            try:
                taken.bind(("127.0.0.1", int(url.rpartition(":")[2])))
                taken.listen()
                break
            except OSError:
                assert time.monotonic() < until
        refused = fleet.command.run("up")
        assert refused.returncode == 2
        assert f"port {url.rpartition(':')[2]} of 127.0.0.1 is taken" in refused.stderr
        assert all(map(is_alive, before.values()))
    assert fleet.up() == url
    assert {each["instance"]: each["pid"] for each in fleet.command.status()["instances"]} == before


def test_a_dry_run_says_the_steps_and_changes_nothing(fleet: Drill) -> None:
    """The same steps on a recording world; `--json` for programs."""
    fleet.up()
    before = fleet.client.system()
    text = fleet.command.ok("plan", "grown")
    assert "send orders: 95 % to main@0, 5 % to orders@0" in text
    told = json.loads(fleet.command.ok("plan", "grown", "--json"))
    assert "start web-1 of web@0: front" in told["actions"]
    assert [line["kind"] for line in told["lines"]][-2:] == ["Stop", "Settle"]
    assert all(line["what"] and line["risk"] and line["undo"] for line in told["lines"])
    assert fleet.client.system().epoch == before.epoch
