"""Asking the controller of a folder, over its Unix socket: what the command line does. Blocking, with the standard library."""

import http.client
import socket
from typing import Any, TypeVar

from ramet.errors import ConfigError, JournalUnreadable, NothingRuns, PlanBusy, PlanError, PlanImpossible, RametError
from ramet.model.commands import Began, Door, PlanProgress, PlanState, Refused, SystemState, Unauthorized
from ramet.model.explaining import Told
from ramet.model.insight import Queries
from ramet.model.release import Release
from ramet.model.wishes import Wish
from ramet.operate.folder import Folder
from ramet.wire import values

PATIENCE_S = 130.0
"""Over the longest deadline of the API: looking at another version of the code."""
T = TypeVar("T")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("controller", timeout=PATIENCE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Client:
    """Raises NothingRuns where no controller answers, and the controller's own refusals as themselves."""

    def __init__(self, folder: Folder) -> None:
        self._file = folder.door

    def __repr__(self) -> str:
        return f"<Client of {self._file.parent}>"

    def system(self) -> SystemState:
        return self._ask("GET", "/system", SystemState)

    def releases(self) -> list[Release]:
        """The versions of the code that run."""
        return self._ask("GET", "/releases", list[Release])

    def queries(self) -> Queries:
        """What the databases were asked, of all instances together."""
        return self._ask("GET", "/queries", Queries)

    def explain(self, wish: Wish) -> Told:
        return self._ask("POST", "/explain", Told, wish)

    def begin(self, wish: Wish) -> int:
        return self._ask("POST", "/plans", Began, wish).id

    def plans(self) -> list[PlanState]:
        return self._ask("GET", "/plans", list[PlanState])

    def progress(self, plan: int, *, after: int = -1) -> PlanProgress:
        return self._ask("GET", f"/plans/{plan}?after={after}", PlanProgress)

    def pause(self) -> None:
        self._ask("POST", "/pause", type(None))

    def resume(self) -> None:
        self._ask("POST", "/resume", type(None))

    def undo(self) -> None:
        self._ask("POST", "/undo", type(None))

    def _door(self) -> Door:
        try:
            return values.decode_json_as(self._file.read_bytes(), Door)
        except FileNotFoundError:
            raise NothingRuns("nothing runs here", hint="ramet up") from None
        except values.DECODE_ERRORS as error:
            raise ConfigError(f"it cannot be read: {error}", where=str(self._file), hint="ramet up writes it anew") from error

    def _ask(self, method: str, path: str, answer: type[T], body: Any = None) -> T:
        door = self._door()
        status, data = self._send(door, method, path, body)
        if status == Unauthorized.status and (newer := self._door()) != door:  # another controller has taken over meanwhile
            status, data = self._send(newer, method, path, body)
        if status >= 400:
            raise _refusal(status, data)
        return values.decode_json_as(data or b"null", answer)

    def _send(self, door: Door, method: str, path: str, body: Any) -> tuple[int, bytes]:
        connection = _UnixConnection(door.socket)
        headers = {"authorization": f"Bearer {door.token}", "content-type": "application/json"}
        try:
            connection.request(method, path, values.encode_json(body) if body is not None else b"", headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise NothingRuns(f"the controller does not answer ({error})", hint="ramet status; ramet up takes over") from error
        finally:
            connection.close()


_KINDS: dict[str, type[RametError]] = {cls.code: cls for cls in (PlanError, PlanImpossible, PlanBusy, JournalUnreadable)}


def _refusal(status: int, data: bytes) -> RametError:
    try:
        said = values.decode_json_as(data, dict[str, Any])
    except values.DECODE_ERRORS:
        said = {}
    if said.get("type", "").endswith(Refused.__name__):
        kind = _KINDS.get(said["code"], PlanError)
        return kind(said["message"], where=said["where"] or None, hint=said["hint"] or None)
    return PlanError(f"the controller answered {status}: {said.get('detail') or said.get('title') or data[:200]!r}")
