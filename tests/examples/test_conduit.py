"""Conduit as its users get it: its own tests against both topologies on the same data, and what its document allows against one."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from ramet.data import driver
from tests.operate.app import Command

EXAMPLES = Path(__file__).parents[2] / "examples"
FUZZ_S = 15
pytestmark = pytest.mark.timeout(150)


@pytest.fixture
def conduit(tmp_path: Path) -> Iterator[Command]:
    """A copy, whose `.ramet` nobody else uses; nothing of it runs afterwards."""
    shutil.copytree(EXAMPLES / "conduit", tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".ramet", "__pycache__"))
    command = Command(tmp_path)
    yield command
    command.clean()


def run_tests(folder: Path, *arguments: str, **environment: str) -> str:
    """In a process of its own, with the folder's own pytest.ini."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-pno:asyncio", *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


def sign_in(url: str) -> str:
    """A new user's token."""
    body = json.dumps({"user": {"username": "fuzz", "email": "fuzz@example.org", "password": "correct horse"}}).encode()
    with urlopen(Request(f"{url}/api/users", body, {"Content-Type": "application/json"}), timeout=10) as answer:
        return json.load(answer)["user"]["token"]


def fuzz(url: str, folder: Path) -> str:
    """Schemathesis on all endpoints, with values that fit the document and values that do not, as somebody who has signed in."""
    command = [Path(sys.executable).with_name("schemathesis"), "run", f"{url}/openapi.json", "--checks", "not_a_server_error"]
    command += ["--max-time", str(FUZZ_S), "--phases", "coverage,fuzzing", "--max-examples", "25", "--mode", "all", "--no-color"]
    command += ["--continue-on-failure", "--generation-database", "none", "--no-shrink", "--seed", "1", "--request-timeout", "10"]
    command += ["--header", f"Authorization: Token {sign_in(url)}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=80, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


def execute(folder: Path, module: str, query: str) -> list[int]:
    """As the module's own role. Returns the first column."""
    launches = [json.loads(path.read_bytes()) for path in folder.glob(".ramet/instances/*/launch.json")]
    url = next(each["databases"][module]["shards"][0]["url"] for each in launches if module in each["databases"])

    async def run() -> list[int]:
        connection = await driver.connect(url, timeout_s=10, server_settings={"search_path": module})
        try:
            return [row[0] for row in await connection.fetch(query)]
        finally:
            await connection.close(timeout=5)

    return asyncio.run(run())


def leave_orphans(folder: Path) -> None:
    """Likes of an article whose deletion `social` was not told of, long ago; and of one of just now."""
    execute(folder, "social", "INSERT INTO favorites (article_id, user_id) VALUES (-1, 1), (-1, 2), (-2, 1)")
    rows = "(-1, now() - interval '1 hour'), (-2, now() + interval '1 hour')"
    execute(folder, "articles", f"INSERT INTO deleted (article_id, deleted_at) VALUES {rows}")


def test_both_topologies_pass_conduit_s_own_tests_on_the_same_data(conduit: Command) -> None:
    """Grown in between, and nothing else changed. Then the load's own tests: its checker finds nothing, and what a bad gateway does.

    Then whatever Conduit's document allows is thrown at it, and it never says 5xx.
    """
    for topology in ("seed", "grown"):
        url = conduit.up(topology)
        run_tests(conduit.folder, "--ignore=tests/test_modules.py", CONDUIT_URL=url)
        if topology == "seed":
            leave_orphans(conduit.folder)
            conduit.ok("down")
    run_tests(EXAMPLES / "conduit_load", CONDUIT_URL=url)
    told = fuzz(url, conduit.folder)
    cases = re.search(r"(\d+) generated", told)
    assert cases, told
    assert int(cases[1]) >= 200, told
    instances = conduit.status()["instances"]
    assert {each["state"] for each in instances} == {"ready"}
    (schedule,) = [schedule for each in instances for schedule in each["schedules"]]
    assert (schedule["module"], schedule["name"], schedule["failed"]) == ("articles", "forget_deleted", 0)
    assert schedule["runs"] >= 2
    assert execute(conduit.folder, "social", "SELECT article_id FROM favorites WHERE article_id < 0") == [-2]
    conduit.ok("down")


def test_conduit_s_modules_work_together_over_the_wire_and_across_processes(conduit: Command) -> None:
    """By the plugin, with nothing running beside; it starts what it needs, and stops it."""
    assert "9 passed" in run_tests(conduit.folder, "tests/test_modules.py")
    assert not (conduit.folder / ".ramet/testing/postgres/data/postmaster.pid").exists()
