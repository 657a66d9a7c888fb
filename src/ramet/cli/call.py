"""`ramet call`: one call of a module, from outside of them all."""

import asyncio
import json
import signal
from typing import Any

import click

from ramet.calls.facade import Call
from ramet.calls.options import calling
from ramet.cli import completing
from ramet.cli.application import Current, check_known, current
from ramet.cli.wiring import wiring_of
from ramet.edge import codec
from ramet.errors import ConfigError
from ramet.kit.durations import parse_duration_s
from ramet.model.failure import Failure
from ramet.operate import arguments as typed

FAILED = 1


def _seconds(_context: click.Context, _option: click.Parameter, text: str | None) -> float | None:
    try:
        return None if text is None else parse_duration_s(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command("call")
@click.argument("call", metavar="MODULE.CALL", shell_complete=completing.calls)
@click.argument("arguments", metavar="[NAME=VALUE]...", nargs=-1, shell_complete=completing.arguments)
@click.option("--deadline", metavar="DURATION", callback=_seconds, help="Time for it, such as 500ms.  [default: as declared]")
@click.option("--key", help="Key of a call that is declared once: the same key does not run it again.")
@click.option("--json", "json_", is_flag=True, help="The result on one line.")
@click.pass_context
def make_call(
    context: click.Context, call: str, arguments: tuple[str, ...], deadline: float | None, key: str | None, json_: bool
) -> None:
    """Make a call and print its result as JSON; of a stream, a line for each item. It goes to the running system. Where nothing
    runs, it goes to all modules in this process, with their databases open.

    A value is read by the type of its parameter. NAME:=JSON takes it as JSON; a list of scalars also takes NAME=VALUE several
    times. Exit code 1 for a failure that the call declares, which is printed as JSON too.

    \b
    ramet call orders.get id=1
    ramet call orders.place lines:='[{"sku": "b-17", "amount": 2}]' --deadline 2s --json
    """
    here = current()
    found = find_call(here, call)
    if key is not None and not found.contract.once:
        reason = f"{call} is not declared once, so no key keeps it from running again"
        raise ConfigError(reason, where=found.contract.where, hint="leave --key out, or declare it once=True")
    values = typed.parse(found.contract, arguments)
    try:
        code = asyncio.run(_make(here, found, values, deadline=deadline, key=key, is_compact=json_))
    except asyncio.CancelledError:  # by a signal
        raise click.Abort from None
    context.exit(code)


def find_call(here: Current, name: str) -> Call:
    """Raises ConfigError."""
    module, dot, bare = name.partition(".")
    check_known("module", module, here.application.modules)
    calls = here.modules[module].calls
    if not dot:
        listed = ", ".join(f"{module}.{each}" for each in calls)
        raise ConfigError(f"`{name}` is a module, not a call", hint=f"its calls: {listed or 'none'}")
    check_known(f"call of `{module}` named", bare, calls)
    return calls[bare]


async def _make(
    here: Current, call: Call, values: dict[str, Any], *, deadline: float | None, key: str | None, is_compact: bool
) -> int:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    async with wiring_of(here):
        try:
            with calling(deadline=deadline, key=key):
                if call.contract.streams:
                    async for item in call.facade(**values):
                        click.echo(codec.encode(item))
                else:
                    click.echo(_as_json(await call.facade(**values), is_compact=is_compact))
        except Failure as failure:
            click.echo(f"{call.contract.qualified} failed: {failure.title()}", err=True)
            told = {"failure": type(failure).__name__, "status": failure.status, "fields": failure.payload}
            click.echo(_as_json(told, is_compact=is_compact or call.contract.streams))
            return FAILED
        except asyncio.CancelledError:
            click.echo(f"{call.contract.qualified}: stopped while it was under way (may have run)", err=True)
            raise
    return 0


def _as_json(value: Any, *, is_compact: bool) -> bytes:
    encoded = codec.encode(value)
    return encoded if is_compact else json.dumps(json.loads(encoded), indent=2, ensure_ascii=False).encode()
