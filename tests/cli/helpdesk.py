"""An application without a database, so that a command that calls it is done in a third of a second."""

from pathlib import Path

TOML = """
[app]
name = "helpdesk"
modules = ["helpdesk.tickets", "helpdesk.people"]

[http]
prefix = "/api"

[topology.seed.services]
main = { modules = ["*"] }

[topology.grown.services]
web = { modules = ["people"] }
tickets = { modules = ["tickets"], instances = 2 }
"""

TICKETS = '''
import asyncio
import datetime
import enum
import uuid
from collections.abc import AsyncIterator

import msgspec
from ramet import Failure, Module

module = Module("tickets")
print("imported")  # as users' code does now and then


class Priority(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Line(msgspec.Struct, frozen=True):
    text: str
    minutes: int = 0


class Ticket(msgspec.Struct, frozen=True):
    title: str
    priority: Priority
    due: datetime.date | None
    tags: list[str]
    lines: list[Line]
    id: uuid.UUID | None = None


class Closed(Failure, status=409):
    """It is closed already."""

    ticket: str


@module.post("/tickets", status=201)
async def submit(
    title: str,
    priority: Priority = Priority.LOW,
    due: datetime.date | None = None,
    tags: list[str] = [],
    lines: list[Line] = [],
) -> Ticket:
    return Ticket(title, priority, due, tags, lines)


@module.expose(raises=[Closed])
async def close(title: str) -> None:
    if title == "old":
        raise Closed(title)


@module.get("/tickets/{number}")
async def look(number: int) -> int:
    return number


@module.get("/tickets/{title}/similar")
async def similar(title: str) -> list[str]:
    return [title]


@module.get("/tickets/open")
async def count() -> int:
    return 7


@module.expose
async def every(upto: int) -> AsyncIterator[int]:
    for number in range(upto):
        yield number


@module.expose
async def close_all(upto: int) -> AsyncIterator[int]:
    yield upto
    raise KeyError("no such ticket")


@module.expose
async def broken() -> int:
    raise KeyError("no such ticket")


@module.expose(deadline="30s")
async def hang() -> None:
    print("hangs", flush=True)
    await asyncio.Event().wait()
'''

PEOPLE = """
from ramet import Module
from helpdesk.tickets import api as tickets
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.websockets import WebSocket

module = Module("people", uses=["tickets"])


@module.expose
async def shout(title: str) -> str:
    return (await tickets.submit(title)).title.upper()


@module.get("/people/me")
async def me(request: Request) -> Response:
    return PlainTextResponse(request.method)


@module.websocket("/people/live")
async def live(socket: WebSocket) -> None:
    await socket.accept()


async def legacy(scope, receive, send): ...


module.mount(legacy, "/legacy")
"""


def write(folder: Path) -> Path:
    for path, text in {
        "ramet.toml": TOML,
        "helpdesk/__init__.py": "",
        "helpdesk/tickets/__init__.py": "",
        "helpdesk/tickets/api.py": TICKETS,
        "helpdesk/people/__init__.py": "",
        "helpdesk/people/api.py": PEOPLE,
    }.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder
