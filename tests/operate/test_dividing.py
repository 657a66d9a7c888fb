"""A keyed database divided and put together again on a running fleet, under load: real processes, real servers."""

import asyncio
import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from ramet.operate.client import Client
from ramet.operate.folder import Folder
from tests.operate.app import Command, request

pytestmark = pytest.mark.timeout(300)

TOML = """
[app]
name = "notes"
modules = ["notes"]

[topology.seed.services]
main = { modules = ["*"], instances = 2 }

[topology.grown.services]
main = { modules = ["*"], instances = 2 }

[topology.grown.databases]
notes = { shards = 2, replicas = 1 }
"""

NOTES = """
from uuid import UUID

from ramet import Module

module = Module("notes")
db = module.database(key="author_id")


@module.post("/notes/{author_id}/{id}")
async def add(author_id: int, id: UUID) -> None:
    async with db.write(author_id) as tx:
        await tx.execute("INSERT INTO notes VALUES ($1, $2)", author_id, id)
        await tx.execute("UPDATE notes SET seen = seen + 1 WHERE author_id = $1 AND id = $2", author_id, id)


@module.put("/notes/{author_id}/{id}")
async def put(author_id: int, id: UUID) -> None:
    await db.write(author_id).execute("INSERT INTO notes VALUES ($1, $2, 1)", author_id, id)


@module.get("/notes/{author_id}")
async def listed(author_id: int) -> list[UUID]:
    rows = await db.read(author_id).fetch("SELECT id FROM notes WHERE author_id = $1 AND seen = 1", author_id)
    return [row[0] for row in rows]


@module.get("/notes")
async def total() -> int:
    return await db.scatter().total("SELECT count(*) FROM notes WHERE {owned}")


@module.get("/wrong/{author_id}")
async def wrong(author_id: int) -> None:
    await db.write(author_id).execute("INSERT INTO notes VALUES ($1, gen_random_uuid())", author_id + 1)
"""

MIGRATION = """
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("CREATE TABLE notes (author_id bigint, id uuid, seen int NOT NULL DEFAULT 0, PRIMARY KEY (author_id, id))")
    op.execute("CREATE INDEX notes_by_id ON notes (author_id, seen)")
"""


def write(folder: Path) -> Path:
    for path, text in {
        "ramet.toml": TOML,
        "notes/__init__.py": NOTES,
        "notes/migrations/versions/0001_first.py": MIGRATION,
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


class Load:
    """acknowledged: id -> author. unknown: those whose answer did not come, which may be there."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.acknowledged: dict[str, int] = {}
        self.unknown: dict[str, int] = {}
        self.failed: list[str] = []
        self.count = 0
        self._chance = random.Random(11)
        self._is_over = False

    async def __aenter__(self) -> "Load":
        self._tasks = [asyncio.create_task(self._client()) for _ in range(6)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_over = True
        await asyncio.gather(*self._tasks)

    async def _client(self) -> None:
        while not self._is_over:
            author, name = self._chance.randrange(300), f"{self._chance.getrandbits(128):032x}"
            await self._one(self._chance.choice(["POST", "PUT"]), f"/notes/{author}/{name}", name, author)
            await self._one("GET", f"/notes/{author}", None, author)
            await asyncio.sleep(0.005)

    async def _one(self, method: str, path: str, name: str | None, author: int) -> None:
        try:
            status, body = await request(self.url, method, path)
        except (OSError, TimeoutError) as error:
            status, body = 0, type(error).__name__
        self.count += 1
        if status != 200 and status != 204:
            self.failed.append(f"{method} {path}: {status} {body}")
        if name is not None:
            (self.acknowledged if status in (200, 204) else self.unknown)[name] = author

    async def check(self) -> list[str]:
        """What does not hold: each acknowledged note is there once where its author is read, and nothing that nobody wrote."""
        wrong: list[str] = []
        seen = 0
        for author in range(300):
            _, ids = await request(self.url, "GET", f"/notes/{author}")
            found = [name.replace("-", "") for name in ids]
            seen += len(found)
            mine = {name for name, by in self.acknowledged.items() if by == author}
            maybe = {name for name, by in self.unknown.items() if by == author}
            if len(found) != len(set(found)) or not mine <= set(found) <= mine | maybe:
                wrong.append(f"author {author}: lost {mine - set(found)}, unknown {set(found) - mine - maybe}")
        _, total = await request(self.url, "GET", "/notes")
        return wrong if total == seen else [*wrong, f"all shards have {total}, authors {seen}"]


@pytest.fixture
def command(tmp_path: Path):
    made = Command(write(tmp_path / "app"))
    yield made
    made.clean()


def test_rows_are_divided_and_brought_together_and_nobody_notices(command: Command) -> None:
    """Split, a key of its own, taken back, split again, cleaned up, rebalanced: no request fails, no row is lost or doubled."""
    url = command.up("seed")

    async def main() -> Load:
        async with Load(url) as load:
            for verb in (
                ["shard", "notes", "2"],
                ["isolate", "notes", "--key", "7"],
                ["shard", "notes", "--undo"],
                ["shard", "notes", "--clean"],
                ["rebalance", "notes"],
                ["move", "notes", "--buckets", "0..9", "--to", "1"],
            ):
                await asyncio.to_thread(command.ok, *verb, "--yes")
        assert await load.check() == []
        return load

    load = asyncio.run(main())
    assert load.failed == []
    assert load.count > 500
    status = command.ok("status")
    assert "notes shard 1 on notes-1" in status


def test_where_rows_are_outlives_a_stop_and_a_topology_says_it(command: Command) -> None:
    """`up` of a topology with two shards makes them; after `down` and `up` they are there, with what was written."""
    url = command.up("grown")
    assert asyncio.run(request(url, "POST", "/notes/1/00000000000000000000000000000001"))[0] in (200, 204)
    assert asyncio.run(request(url, "POST", "/notes/3/00000000000000000000000000000002"))[0] in (200, 204)
    assert "replica r1 of database server notes-1" in command.ok("history", "1")
    assert {each.shard for each in Client(Folder(command.folder / ".ramet")).system().databases["notes"].shards} == {0, 1}
    command.ok("down")
    url = command.up("grown")
    assert asyncio.run(request(url, "GET", "/notes")) == (200, 2)
    assert asyncio.run(request(url, "GET", "/wrong/1"))[0] != 200, "a row with another key than the one that was given"


@pytest.mark.parametrize("delay_s", [0.3, 0.9, 1.5])
def test_a_controller_that_dies_in_a_split_leaves_rows_with_one_owner(command: Command, delay_s: float) -> None:
    """The next one goes on or takes back; nothing that was acknowledged is lost."""
    url = command.up("seed")

    async def main() -> None:
        async with Load(url) as load:
            await asyncio.sleep(0.5)
            begun = asyncio.create_task(asyncio.to_thread(command.run, "shard", "notes", "2", "--yes"))
            await asyncio.sleep(delay_s)
            os.kill(json.loads((command.folder / ".ramet" / "fleet.json").read_text())["pid"], signal.SIGKILL)
            await asyncio.to_thread(command.up, "seed")
            await begun  # it has waited for a controller to come back
            client = Client(Folder(command.folder / ".ramet"))
            until = time.monotonic() + 60
            while (plans := await asyncio.to_thread(client.plans)) and plans[0].state not in {"done", "undone"}:
                assert time.monotonic() < until, json.dumps([plans[0].state, plans[0].why])
                await asyncio.sleep(0.05)
        assert await load.check() == []
        assert load.failed == []

    asyncio.run(main())
