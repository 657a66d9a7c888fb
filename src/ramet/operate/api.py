"""The controller's JSON API, which the command line and the dashboard read: a module as any, on a Unix socket of this user's own.

    GET  /system                       what runs, and the newest plan
    GET  /releases                     the versions of the code that run, as data
    POST /explain   {wish}             the steps, from a dry run; changes nothing
    POST /plans     {wish}             begin; answers with its number
    GET  /plans                        the newest first
    GET  /plans/{number}?after=N       one, with the entries of its journal after number N
    POST /pause, /resume, /undo        the plan that is under way

Every request carries `authorization: Bearer TOKEN`; the token is in `.ramet/api.json`, which only this user can read. No port is
open unless one is asked for, and then on loopback alone.
"""

import hmac
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, NoReturn

from ramet.data.control import Entry, PlanRow
from ramet.edge.ingress import Ingress
from ramet.edge.server import Server, listen
from ramet.engines.files import write_whole
from ramet.errors import RametError
from ramet.model.commands import Began, Door, JournalLine, PlanProgress, PlanState, Refused, SystemState, Unauthorized
from ramet.model.control import Status
from ramet.model.explaining import Told
from ramet.model.parameters import Body, Header
from ramet.model.planning import Plan
from ramet.model.release import Release
from ramet.model.routing import version_of
from ramet.model.wishes import Wish
from ramet.module import Module
from ramet.observe.record import Recorder
from ramet.operate.controller import Controller
from ramet.operate.runner import ENDED, WHOLE_PLAN, State, taken_by
from ramet.wire import values

Token = Annotated[str, Header("authorization")]


async def serve(controller: Controller, stack: AsyncExitStack, *, port: int | None = None) -> Door:
    """Open the door; `stack` closes it. port: of loopback, 0 for a free one, None for none. Raises OSError."""
    token = secrets.token_urlsafe(32)
    path = controller.folder.sockets / "api.sock"
    path.unlink(missing_ok=True)
    unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    unix.bind(str(path))
    path.chmod(0o600)
    unix.listen()
    doors = [unix]
    url = ""
    if port is not None:
        doors.append(listen("127.0.0.1", port))
        url = f"http://127.0.0.1:{doors[-1].getsockname()[1]}"
    door = Door(str(path), token, url)
    file = controller.folder.door
    file.unlink(missing_ok=True)
    os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))
    write_whole(file, values.encode_json(door))  # before anyone is answered, so that who has an older token finds this one
    stack.callback(_forget, file)
    for each in doors:
        ingress = Ingress([_module(controller, token)], Recorder(service="controller"), docs=False, public_metrics=False)
        server = Server(ingress, each)
        await server.serve()
        stack.push_async_callback(server.stop, grace_s=1.0)
    return door


def _forget(file: Path) -> None:
    file.unlink(missing_ok=True)


def _module(controller: Controller, token: str) -> Module:  # noqa: C901  (a list of endpoints)
    module = Module("controller")
    refusals = [Refused, Unauthorized]

    def check(given: str) -> None:
        if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            raise Unauthorized

    @module.get("/system", raises=refusals)
    async def system(authorization: Token = "") -> SystemState:
        check(authorization)
        return await _system(controller)

    @module.get("/releases", raises=refusals)
    async def releases(authorization: Token = "") -> list[Release]:
        check(authorization)
        world = controller.world
        return [world.releases[version] for version in sorted({version_of(place) for place in world.system.places})]

    @module.post("/explain", raises=refusals, deadline=120.0)
    async def explain(wish: Annotated[Wish, Body()], authorization: Token = "") -> Told:
        """Looking at another version imports it, hence the deadline."""
        check(authorization)
        try:
            return await controller.planner.explain(wish)
        except RametError as error:
            _refuse(error)

    @module.post("/plans", raises=refusals, deadline=120.0)
    async def begin(wish: Annotated[Wish, Body()], authorization: Token = "") -> Began:
        check(authorization)
        try:
            return Began(await controller.planner.apply(wish))
        except RametError as error:
            _refuse(error)

    @module.get("/plans", raises=refusals)
    async def plans(authorization: Token = "") -> list[PlanState]:
        check(authorization)
        return [await _looked_up(controller, row) for row in await controller.plans.history()]

    @module.get("/plans/{number}", raises=refusals)
    async def progress(number: int, after: int = -1, authorization: Token = "") -> PlanProgress:
        check(authorization)
        row = await controller.plans.find(number)
        if row is None:
            raise Refused("RM360", f"there is no plan {number}", "", "ramet history")
        entries = await controller.plans.entries(number)
        return PlanProgress(_state(controller, row, entries), [_line(entry) for entry in entries if entry.entry > after])

    def asking(name: str, what: Callable[[], Awaitable[None]]) -> None:
        async def asked(authorization: Token = "") -> None:
            check(authorization)
            try:
                await what()
            except RametError as error:
                _refuse(error)

        asked.__name__ = name
        module.post(f"/{name}", raises=refusals)(asked)

    asking("pause", controller.plans.pause)
    asking("resume", controller.plans.resume)
    asking("undo", controller.plans.undo)
    return module


async def _system(controller: Controller) -> SystemState:
    world = controller.world
    statuses = await world.statuses()
    rows = await controller.plans.history(1)
    return SystemState(
        app=controller.application.name,
        topology=world.system.topology,
        url=controller.url,
        pid=os.getpid(),
        epoch=world.epoch,
        shares=world.system.shares,
        instances=[status for status in statuses.values() if isinstance(status, Status)],
        unreachable={name: status for name, status in statuses.items() if isinstance(status, str)},
        plan=await _looked_up(controller, rows[0]) if rows else None,
        databases=world.system.databases,
    )


async def _looked_up(controller: Controller, row: PlanRow) -> PlanState:
    return _state(controller, row, [] if row.state in ENDED else await controller.plans.entries(row.id))


def _state(controller: Controller, row: PlanRow, entries: Sequence[Entry]) -> PlanState:
    """entries: of a plan that has ended none are needed."""
    state, why = controller.plans.now(row)
    try:
        steps = [step.describe() for step in values.decode_json_as(row.body, Plan).steps]
    except values.DECODE_ERRORS:
        steps = []  # of another version of Ramet; its title and journal can be told all the same
    taken = taken_by([(each.step, each.event) for each in entries if each.step != WHOLE_PLAN])
    return PlanState(
        id=row.id,
        title=row.title,
        state=state,
        why=why,
        steps=steps,
        taken=len(steps) if state == State.DONE else 0 if state == State.UNDONE else taken,
        began=row.began,
        ended=row.ended,
    )


def _line(entry: Entry) -> JournalLine:
    return JournalLine(entry.entry, entry.step, entry.event, entry.detail, entry.at)


def _refuse(error: RametError) -> NoReturn:
    raise Refused(error.code, error.message, error.where or "", error.hint or "") from error
