"""`ramet shell`: a Python prompt with the application's modules wired in.

The event loop runs in a thread of its own, and the prompt in the main thread: so Ctrl-C reaches the prompt while it waits for a
line, and while a statement runs it cancels that statement alone.
"""

import ast
import asyncio
import code
import contextlib
import inspect
import signal
import sys
import threading
import traceback
import types
from collections.abc import Coroutine, Generator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

import click

import ramet
from ramet.cli.application import Current, current
from ramet.cli.wiring import wiring_of
from ramet.process.modules import import_face

T = TypeVar("T")
RAISED = 1
TYPED = "<shell>"
"""In place of a file, in tracebacks of what was typed."""
MAX_HISTORY = 2000


@click.command("shell")
@click.pass_context
def shell(context: click.Context) -> None:
    """A Python prompt with the face of each module under the module's name; `await` works at the prompt. Calls go to the running
    system, or where nothing runs, to all modules in this process with their databases open. What comes through a pipe is run and
    ends with exit code 1 if it raises.

    \b
    ramet shell
    echo 'await orders.get(1)' | ramet shell
    """
    here = current()
    faces = {name: import_face(here.application.modules[name]) for name in here.modules}
    names: dict[str, Any] = {"__name__": "__console__", "ramet": ramet, **faces}
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    with _background_loop() as loop, _wired(here, loop) as place:
        if sys.stdin.isatty():
            with _history(here.folder.root / "shell-history", names):
                _Console(names, loop).interact(_banner(here, place), exitmsg="")
        else:
            context.exit(_run_all(sys.stdin.read(), names, loop))


def _leave(number: int, _: types.FrameType | None) -> None:
    sys.exit(128 + number)  # not at once: what was opened is closed on the way out


def _banner(here: Current, place: str) -> str:
    version = ".".join(map(str, sys.version_info[:3]))
    names = ", ".join(here.application.modules)
    return f"Ramet {ramet.__version__}, Python {version}. Calls go to {place}.\nNames: {names}, ramet. Ctrl-D ends."


# The loop


@contextlib.contextmanager
def _background_loop() -> Generator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="event loop", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        _wait(loop, _end_tasks())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end_tasks() -> None:
    """Those that were typed and not awaited."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()


def _wait(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T:
    """Its result. An interrupt cancels it."""
    future = asyncio.run_coroutine_threadsafe(work, loop)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


@contextlib.contextmanager
def _wired(here: Current, loop: asyncio.AbstractEventLoop) -> Generator[str]:
    stack = AsyncExitStack()
    try:
        yield _wait(loop, stack.enter_async_context(wiring_of(here)))
    finally:
        _wait(loop, stack.aclose())


# What is typed


async def _execute(compiled: types.CodeType, names: dict[str, Any]) -> BaseException | None:
    """What it raised. As a value, since SystemExit would end the loop and not the prompt."""
    try:
        outcome = types.FunctionType(compiled, names)()
        if inspect.iscoroutine(outcome):
            await outcome
    except BaseException as error:  # noqa: BLE001  (whatever was typed may raise anything)
        return error
    return None


def _show(error: BaseException) -> None:
    """The traceback from what was typed on; our own frames above it say nothing to a person."""
    frame = error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename != TYPED:
        frame = frame.tb_next
    click.echo("".join(traceback.format_exception(error.with_traceback(frame))), err=True, nl=False)


class _Console(code.InteractiveConsole):
    def __init__(self, names: dict[str, Any], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(names, filename=TYPED)
        self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self._names = names
        self._loop = loop

    def runcode(self, code: types.CodeType) -> None:
        error = _wait(self._loop, _execute(code, self._names))
        if isinstance(error, SystemExit):
            raise error
        if error is not None:
            _show(error)


def _run_all(source: str, names: dict[str, Any], loop: asyncio.AbstractEventLoop) -> int:
    """Statement by statement, as if each were typed: the value of an expression is printed."""
    try:
        statements = compile(source, TYPED, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT).body
        codes = [
            compile(ast.Interactive([statement]), TYPED, "single", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT) for statement in statements
        ]
    except (SyntaxError, ValueError) as error:
        click.echo("".join(traceback.format_exception_only(error)), err=True, nl=False)
        return RAISED
    for compiled in codes:
        error = _wait(loop, _execute(compiled, names))
        if isinstance(error, SystemExit):
            raise error
        if error is not None:
            _show(error)
            return RAISED
    return 0


@contextlib.contextmanager
def _history(path: Path, names: dict[str, Any]) -> Generator[None]:
    """Line editing, with Tab for names, where this Python has readline."""
    try:
        import readline  # not in every build of Python
        import rlcompleter
    except ImportError:
        yield
        return
    readline.set_completer(rlcompleter.Completer(names).complete)
    readline.parse_and_bind("tab: complete")
    readline.set_history_length(MAX_HISTORY)
    with contextlib.suppress(OSError):
        readline.read_history_file(path)
    try:
        yield
    finally:
        path.parent.mkdir(parents=True, exist_ok=True)
        readline.write_history_file(path)
