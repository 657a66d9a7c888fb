"""A Conduit with one reader and nothing in it, over HTTP: as fast as Python, or standing still while it is told to."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

from conduit_load import reads
from conduit_load.memory import Person, World
from conduit_load.session import Session

EMPTY = {"user": {"username": "ann", "bio": None}, "articles": [], "articlesCount": 0, "tags": []}


class Server:
    """received: requests that came. goes: cleared while it stands still."""

    def __init__(self) -> None:
        self.received = 0
        self.goes = asyncio.Event()
        self.goes.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = json.dumps(EMPTY).encode()
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                self.received += 1
                await self.goes.wait()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        writer.close()


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[tuple[Server, str]]:
    """The server and its URL."""
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listening:
        yield server, f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


def world_of_readers(people: int) -> World:
    """All of them ann: who looks at herself is all that the server knows."""
    world = World("w")
    for _ in range(people):
        world.add(Person("ann", "ann@example.org", "secret"))
    with world.history.request(None, "POST /users", adds={"people": "ann"}):
        pass
    return world


async def look_at_oneself(session: Session, who: Person) -> None:
    """In place of `habits.act`."""
    await reads.read_self(session, who)
