"""The controller's API by its socket: who is let in, what is refused, and what is left of it afterwards. Without a fleet."""

import asyncio
import stat
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ramet.engines.files import write_whole
from ramet.errors import JournalUnreadable, NothingRuns, PlanBusy, PlanError, PlanImpossible, RametError, StepFailed
from ramet.model.commands import Door
from ramet.model.wishes import Wish
from ramet.operate import api
from ramet.operate.client import Client
from ramet.operate.folder import Folder
from ramet.wire import values


class Refusing:
    """A controller that refuses everything with one error."""

    def __init__(self, folder: Folder, error: RametError) -> None:
        self.folder = folder
        self.error = error
        self.planner = SimpleNamespace(explain=self.explain)
        self.plans = SimpleNamespace(
            pause=self.refuse, resume=self.refuse, undo=self.refuse, history=self.history, find=self.find
        )

    async def refuse(self) -> None:
        raise self.error

    async def explain(self, wish: Wish) -> Any:
        raise self.error

    async def find(self, plan: int) -> None:
        return None

    async def history(self, limit: int = 50) -> list[Any]:
        return []


BUSY = PlanBusy("plan 1 is paused", hint="ramet apply --resume")


@asynccontextmanager
async def served(root: Path, error: RametError = BUSY, *, port: int | None = None) -> AsyncIterator[tuple[Folder, Door]]:
    folder = Folder(root / ".ramet")
    folder.make()
    folder.sockets.mkdir(parents=True, exist_ok=True, mode=0o700)
    async with AsyncExitStack() as stack:
        controller: Any = Refusing(folder, error)
        yield folder, await api.serve(controller, stack, port=port)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_this_user_can_reach_it_and_nothing_is_left(tmp_path: Path) -> None:
    """The token is in a file of mode 0600, the socket has 0600; after down neither file nor answer is there."""

    async def main() -> None:
        async with served(tmp_path) as (folder, door):
            assert mode(Path(door.socket)) == 0o600
            assert mode(folder.root / "api.json") == 0o600
            assert door.url == "", "no port unless one is asked for"
            assert await asyncio.to_thread(Client(folder).plans) == []
        assert not (folder.root / "api.json").exists()
        with pytest.raises(NothingRuns, match="nothing runs here"):
            Client(folder).plans()

    asyncio.run(main())


@pytest.mark.parametrize("path", ["/system", "/plans", "/plans/1", "/queries"])
@pytest.mark.parametrize("token", ["", "Bearer", "Bearer x", "x", "Bearer é"])
def test_without_the_token_nothing_is_told(tmp_path: Path, token: str, path: str) -> None:
    """On the port of loopback too, which other users of the machine reach."""

    async def main() -> bytes:
        async with served(tmp_path, port=0) as (_, door):
            assert door.url.startswith("http://127.0.0.1:")
            reader, writer = await asyncio.open_connection("127.0.0.1", int(door.url.rpartition(":")[2]))
            head = f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
            writer.write(head.encode() + (f"authorization: {token}\r\n".encode() if token else b"") + b"\r\n")
            answer = await reader.read()
            writer.close()
            return answer

    answer = asyncio.run(main())
    assert answer.startswith(b"HTTP/1.1 401")
    assert b"plan" not in answer.partition(b"\r\n\r\n")[2]


REFUSALS = [
    (PlanImpossible("there is no module `x`", hint="did you mean `y`?"), PlanImpossible),
    (PlanBusy("plan 1 is paused", where="here"), PlanBusy),
    (JournalUnreadable("of another version"), JournalUnreadable),
    (StepFailed("it broke"), PlanError),
]


@pytest.mark.parametrize(("error", "kind"), REFUSALS)
def test_a_refusal_arrives_as_the_error_that_it_is(tmp_path: Path, error: RametError, kind: type[RametError]) -> None:
    """409 with code, message, place and hint; the client raises the same again."""

    async def main() -> None:
        async with served(tmp_path, error) as (folder, door):
            client = Client(folder)
            for ask in (lambda: client.explain(Wish(extract="x")), client.pause, client.resume, client.undo):
                with pytest.raises(PlanError) as refused:
                    await asyncio.to_thread(ask)
                assert type(refused.value) is kind
                assert (refused.value.message, refused.value.where, refused.value.hint) == (
                    error.message,
                    error.where,
                    error.hint,
                )
            status, body = await asyncio.to_thread(client._send, door, "POST", "/pause", None)
            assert (status, values.decode_json_as(body, dict[str, Any])["code"]) == (409, error.code)

    asyncio.run(main())


def test_a_plan_that_there_is_not_is_refused_with_the_command_that_lists_them(tmp_path: Path) -> None:
    """As any refusal."""

    async def main() -> None:
        async with served(tmp_path) as (folder, _):
            with pytest.raises(PlanError, match="there is no plan 7") as refused:
                await asyncio.to_thread(Client(folder).progress, 7)
            assert refused.value.hint == "ramet history"

    asyncio.run(main())


def test_a_client_follows_to_the_next_controller(tmp_path: Path) -> None:
    """It had read the token of one that died; the next one, on the same socket, has another."""

    async def main() -> None:
        async with served(tmp_path) as (folder, door):
            client = Client(folder)
            stale = [Door(door.socket, "of the one that died"), door]
            client._door = lambda: stale.pop(0)
            assert await asyncio.to_thread(client.plans) == []
            assert stale == []
            write_whole(folder.root / "api.json", values.encode_json(Door(door.socket, "of nobody")))
            with pytest.raises(PlanError, match="401"):
                await asyncio.to_thread(Client(folder).plans)

    asyncio.run(main())
