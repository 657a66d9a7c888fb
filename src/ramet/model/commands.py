"""What the controller's API says, as data: shared by the one that answers and the ones that ask."""

import msgspec

from ramet.model.control import Status
from ramet.model.divisions import Division
from ramet.model.failure import Failure


class Refused(Failure, status=409):
    """An error of the controller's, with what `RametError` has."""

    code: str
    message: str
    where: str
    hint: str


class Unauthorized(Failure, status=401):
    """The token is missing, or another fleet's."""


class Door(msgspec.Struct, frozen=True):
    """`.ramet/api.json`: where the API is. url: of its loopback port, empty where none is open."""

    socket: str
    token: str
    url: str = ""


class PlanState(msgspec.Struct, frozen=True, kw_only=True):
    """A plan as it stands. taken: steps that are done. began, ended: seconds since the epoch."""

    id: int
    title: str
    state: str
    why: str
    steps: list[str]
    taken: int
    began: float
    ended: float | None


class JournalLine(msgspec.Struct, frozen=True):
    """A line of a plan's journal. step: from 0, -1 for the plan as a whole. at: seconds since the epoch."""

    entry: int
    step: int
    event: str
    detail: str
    at: float


class PlanProgress(msgspec.Struct, frozen=True):
    plan: PlanState
    lines: list[JournalLine]


class Began(msgspec.Struct, frozen=True):
    id: int


class SystemState(msgspec.Struct, frozen=True, kw_only=True):
    """shares: module -> place -> percent. unreachable: instance -> why it did not answer. plan: the newest, None without one.
    databases: module -> how it is divided, where it is."""

    app: str
    topology: str
    url: str
    pid: int
    epoch: int
    shares: dict[str, dict[str, int]]
    instances: list[Status]
    unreachable: dict[str, str]
    plan: PlanState | None
    databases: dict[str, Division] = {}
