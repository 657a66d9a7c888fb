"""The pytest plugin: the marker, the fixtures, the options. pytest finds it by itself; `-p no:ramet` leaves it out.

A test with the marker becomes one test for each placement. Its coroutine is run here, on an event loop of its own: no other
plugin is needed, and one that runs coroutines too (pytest-asyncio, anyio) finds an ordinary function in its place. Fixtures of
function scope that are coroutines or async generators run on the same loop, once the application is placed.

pytest loads this file in every run, so what is heavy is imported when a test asks for it.
"""

import contextlib
import functools
import inspect
import random
import sys
from collections.abc import Awaitable, Callable, Coroutine, Generator
from pathlib import Path
from typing import Any

import pytest

from ramet.errors import ConfigError, RametError
from ramet.operate import files
from ramet.testing.marking import read_marker

MARKER = "ramet"
PLACEMENT = "ramet_placement"
EXAMPLE = '@pytest.mark.ramet, or @pytest.mark.ramet("together", "wire")'
_SESSIONS: pytest.StashKey[dict[Path, Any]] = pytest.StashKey()
"""ramet.toml -> Session."""


# Options and life


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("ramet")
    group.addoption(
        "--ramet-seed", type=int, metavar="N", help="lose the same replies in the placement `wire` again; a failed test names it"
    )
    group.addoption("--ramet-changed", metavar="REF", help="run only the tests that the changes since this commit can reach")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Before any conftest.py, and any test: the application's folder is importable, as it is for `ramet`."""
    given = [Path(str(name).partition("::")[0]) for name in early_config.known_args_namespace.file_or_dir]
    here = early_config.invocation_params.dir
    for start in (early_config.rootpath, here, *(here / path for path in given)):
        with contextlib.suppress(ConfigError):  # an environment with ramet, and a project without: nothing to do
            folder = str(files.find(start).parent)
            if folder not in sys.path:
                sys.path.insert(0, folder)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"{MARKER}(*placements, topology=None): run the test together, over the wire and across processes"
    )
    config.stash[_SESSIONS] = {}
    if config.option.ramet_seed is None:
        config.option.ramet_seed = random.randrange(1_000_000)  # noqa: S311  (repeats a test, guards nothing)
    if config.option.ramet_changed:
        from ramet.testing.selection import Selection

        config.pluginmanager.register(Selection(config, config.option.ramet_changed), "ramet-changed")


def pytest_sessionfinish(session: pytest.Session) -> None:
    sessions = session.config.stash[_SESSIONS]
    while sessions:
        sessions.popitem()[1].close()


# Collection


def _is_marked(collector: Any, function: Any) -> bool:
    marks = [*getattr(function, "pytestmark", ()), *collector.iter_markers(MARKER)]
    return any(mark.name == MARKER for mark in marks)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> Generator[None, Any, Any]:
    """trylast: the innermost, so that the other plugins meet the function that is put here."""
    if not (inspect.isroutine(obj) and collector.istestfunction(obj, name) and _is_marked(collector, obj)):
        return (yield)
    pytest.mark.usefixtures(PLACEMENT)(obj)
    if not inspect.iscoroutinefunction(obj):
        raise pytest.Collector.CollectError(
            f"{collector.nodeid}::{name} has the marker `{MARKER}` and is no `async def`; what it tests is awaited"
        )
    made: list[Any] = yield
    for item in made:
        item.obj = _on_its_loop(item, item.obj)
    return made


def _on_its_loop(item: pytest.Function, function: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(function)
    def test(**arguments: Any) -> None:
        placement: Any = item.funcargs[PLACEMENT]
        placement.run(function(**arguments))

    return test


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker(MARKER)
    if marker is None or PLACEMENT not in metafunc.fixturenames:
        return
    try:
        wanted = read_marker(marker.args, marker.kwargs)
    except RametError as error:
        raise pytest.Collector.CollectError(f"{metafunc.definition.nodeid}: {_text(error)}") from None
    metafunc.parametrize(PLACEMENT, wanted, ids=[str(each) for each in wanted], indirect=True)


# Fixtures


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(fixturedef: Any, request: pytest.FixtureRequest) -> Generator[None, Any, Any]:
    function = fixturedef.func
    is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    if not is_async or fixturedef.scope != "function" or request.node.get_closest_marker(MARKER) is None:
        return (yield)
    placement = request.getfixturevalue(PLACEMENT)
    fixturedef.func = _fixture_on(placement, function)
    try:
        return (yield)
    finally:
        fixturedef.func = function


def _fixture_on(placement: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        def value(**arguments: Any) -> Any:
            return placement.run(function(**arguments))

        return value

    def values(**arguments: Any) -> Generator[Any]:
        items = function(**arguments)
        yield placement.run(_next(items))
        placement.run(_next(items))

    return values


async def _next(items: Any) -> Any:
    return await anext(items, None)


@pytest.fixture(scope="module")
def ramet_app(request: pytest.FixtureRequest) -> Any:
    """The application of the nearest ramet.toml: its `file`, `application` and `modules`."""
    return _session(request).app


@pytest.fixture
def ramet_placement(request: pytest.FixtureRequest) -> Generator[Any]:
    """Where the test runs; its `name` is together, wire or processes."""
    wanted = getattr(request, "param", None)
    if wanted is None:
        pytest.fail(f"{request.node.nodeid} lacks the marker that says where it runs\nhint: {EXAMPLE}", pytrace=False)
    from ramet.testing.losses import Losses
    from ramet.testing.running import Placement

    losses = Losses(request.config.option.ramet_seed, request.node.nodeid)
    placement = Placement(_session(request), wanted, losses)
    try:
        placement.open()
    except RametError as error:
        placement.close()
        raise _failed(error) from None
    request.node.stash[_PLACEMENT] = placement
    yield placement
    placement.close()


_PLACEMENT: pytest.StashKey[Any] = pytest.StashKey()


@pytest.fixture
def ramet_http(ramet_placement: Any) -> Any:
    """A client for the endpoints: `answer = await ramet_http.get("/orders/1")`, then `.status`, `.headers`, `.json`."""
    return ramet_placement.run(ramet_placement.http())


@pytest.fixture
def ramet_fake(ramet_placement: Any) -> Callable[..., Awaitable[Any]]:
    """`asked = await ramet_fake(call, answer)`: what `ramet.testing.fake` does, until the end of the test."""
    return ramet_placement.fake


def _session(request: pytest.FixtureRequest) -> Any:
    """The session of the application that the test's file belongs to."""
    # Here: half a second of servers and drivers, for those who have marked tests.
    from ramet.operate import current
    from ramet.testing.session import Session

    sessions = request.config.stash[_SESSIONS]
    try:
        file = files.find(request.path.parent)
        if file not in sessions:
            app = current.find(file.parent)
            _ = app.modules
            sessions[file] = Session(app)
    except RametError as error:
        raise _failed(error) from None
    return sessions[file]


# Reports


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    placement = item.stash.get(_PLACEMENT, None)
    if report.failed and placement is not None:
        report.sections += placement.told()
    return report


def _failed(error: RametError) -> BaseException:
    """Without a traceback: it would be that of this plugin."""
    return pytest.fail.Exception(_text(error), pytrace=False)


def _text(error: RametError) -> str:
    return "\n".join([str(error), *getattr(error, "__notes__", ())])
