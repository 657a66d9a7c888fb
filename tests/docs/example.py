"""The server that docs/reference/wire.md talks to: the real one, with one module. `pages` reads blocks out of a page."""

import asyncio
import datetime
import decimal
import enum
import os
import re
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import msgspec

from ramet import Failure, Module
from ramet.calls.runtime import Calls
from ramet.settings import Settings

STEP = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
"""(command, what it prints) in a console."""
DOCS = Path(__file__).resolve().parents[2] / "docs"


class Item(msgspec.Struct):
    sku: str
    count: int = 1


class SoldOut(Failure, status=409):
    sku: str
    left: int = 0


class Color(enum.Enum):
    RED = "red"


class Point(msgspec.Struct, array_like=True):
    x: int
    y: int


class Kinds(msgspec.Struct):
    """One of each row of the page's table of types."""

    nothing: None
    yes: bool
    whole: int
    part: float
    text: str
    raw: bytes
    at: datetime.datetime
    day: datetime.date
    clock: datetime.time
    span: datetime.timedelta
    id: uuid.UUID
    price: decimal.Decimal
    color: Color
    side: Literal["left", "right"]
    many: list[int]
    pair: tuple[int, str]
    named: dict[str, int]
    item: Item
    point: Point


KINDS = Kinds(
    nothing=None,
    yes=True,
    whole=300,
    part=2.0,
    text="é",
    raw=b"\x00\xff",
    at=datetime.datetime(2024, 5, 1, 12, 30, tzinfo=datetime.UTC),
    day=datetime.date(2024, 5, 1),
    clock=datetime.time(12, 30),
    span=datetime.timedelta(minutes=90),
    id=uuid.UUID("0af76519-16cd-43dd-8448-eb211c80319c"),
    price=decimal.Decimal("9.90"),
    color=Color.RED,
    side="left",
    many=[1, 2],
    pair=(1, "a"),
    named={"a": 1},
    item=Item("b-17"),
    point=Point(3, 4),
)


class Orders:
    """`ended` counts the calls of `wait` that were stopped."""

    def __init__(self) -> None:
        self.module = orders = Module("orders")
        self.ended = 0

        @orders.expose(raises=[SoldOut])
        async def reserve(sku: str, count: int = 1) -> Item:
            if sku == "gone":
                raise SoldOut(sku)
            if sku == "bug":
                raise KeyError(sku)
            return Item(sku, count)

        @orders.expose
        async def watch(upto: int) -> AsyncIterator[int]:
            for number in range(upto):
                yield number

        @orders.expose
        async def wait(seconds: float) -> None:
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                self.ended += 1
                raise

        @orders.expose
        async def kinds() -> Kinds:
            return KINDS


@asynccontextmanager
async def serving(folder: Path, *, settings: Settings | None = None) -> AsyncIterator[tuple[Orders, Calls, Path]]:
    """The server of the page, at a Unix door."""
    orders = Orders()
    calls = Calls(
        [orders.module],
        local=["orders"],
        app="shop",
        service="orders",
        instance="orders-1",
        version="1",
        settings=settings,
    )
    door = folder / "orders-1.sock"
    await calls.listen(unix=door)
    try:
        yield orders, calls, door
    finally:
        await calls.close()


def blocks(page: str, kind: str) -> Iterator[tuple[str, str, int]]:
    """(what follows the kind on the opening line, text, line) of each fenced block of a kind."""
    text = (DOCS / page).read_text()
    for found in re.finditer(rf"^```{kind}\b *(.*)\n((?:.*\n)*?)```$", text, re.M):
        yield found[1].strip(), found[2], text.count("\n", 0, found.start()) + 2


def write_files(page: str, folder: Path) -> None:
    """The blocks of a page that are marked `file PATH`."""
    for kind in ("toml", "python", "ini"):
        for mark, text, _ in blocks(page, kind):
            if mark.startswith("file "):
                file = folder / mark.removeprefix("file ")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)


def steps(page: str) -> list[tuple[str, str]]:
    """(command, what it prints) of a page's consoles, in order."""
    return [step for mark, text, _ in blocks(page, "console") if mark != "no-run" for step in STEP.findall(text)]


def follow(command: str, folder: Path, environment: dict[str, str]) -> str:
    """Run a step as its reader would. Returns what it prints. environment: besides our own, without what pytest has set."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ours = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env={**ours, "PATH": path, **environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
    )
    return done.stdout


def hexdumps(page: str) -> dict[str, bytes]:
    """Name -> bytes, of the blocks that are hexdumps."""
    return {name: b"".join(bytes.fromhex(line[6:54]) for line in text.splitlines()) for name, text, _ in blocks(page, "hexdump")}
