"""Log lines: one JSON object each, or one line of text, with the ids of the work; whatever is logged."""

import contextlib
import datetime
import decimal
import io
import json
import logging
import logging.config
import logging.handlers
import re
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ramet.errors import ConfigError
from ramet.observe import logs
from ramet.wire.context import Context, Face, current

TRACE, SPAN = bytes(range(16)), bytes(range(8))
OURS = ["ts", "level", "service", "version", "instance", "module", "event", "trace_id", "span_id", "logger"]
users = logging.getLogger("users.own")


class Log:
    def __init__(self) -> None:
        self.stream = io.StringIO()

    def configured(self, form: str = "json", **options: Any) -> "Log":
        logs.configure(form=form, stream=self.stream, service="orders", version="1.0", instance="orders-1", **options)
        return self

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.split("\n")[:-1]]

    @property
    def line(self) -> dict[str, Any]:
        [line] = self.lines
        return line


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    """The root logger writes here, and is put back. A line that is lost is an error, not a note on stderr."""

    def lost(handler: logging.Handler, record: logging.LogRecord) -> None:
        raise sys.exc_info()[1] or AssertionError("a log line was lost")

    monkeypatch.setattr(logging.Handler, "handleError", lost)
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield Log()
    root.handlers[:], root.level = before[0], before[1]


@contextlib.contextmanager
def working() -> Iterator[None]:
    outer = current.get()
    current.set(Context(trace_id=TRACE, span_id=SPAN, face=Face("articles", frozenset())))
    try:
        yield
    finally:
        current.set(outer)


# JSON


def test_a_line_says_when_how_bad_who_what_and_in_which_work(log: Log) -> None:
    """In this order, and then what was given."""
    log.configured()
    with working():
        users.warning("sold %d of %s", 3, "a", extra={"sku": "a", "left": 0})
    line = log.line
    assert list(line) == [*OURS, "sku", "left"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["ts"])
    assert {**line, "ts": ""} == {
        "ts": "", "level": "WARNING", "service": "orders", "version": "1.0", "instance": "orders-1", "module": "articles",
        "event": "sold 3 of a", "trace_id": TRACE.hex(), "span_id": SPAN.hex(), "logger": "users.own", "sku": "a", "left": 0,
    }  # fmt: skip


def test_outside_of_work_the_ids_are_empty(log: Log) -> None:
    """There, and empty: a column that is sometimes missing is a trap for whoever queries."""
    log.configured()
    users.info("hello")
    assert [log.line[name] for name in ("module", "trace_id", "span_id")] == ["", "", ""]


def test_an_exception_is_its_type_and_its_stack_in_one_line(log: Log) -> None:
    """With the notes that say where and what to do."""
    log.configured()
    try:
        raise ConfigError("no such file", hint="create it")
    except ConfigError:
        users.exception("failed")
    assert log.line["error_type"] == "ConfigError"
    assert log.line["stack"].startswith("Traceback (most recent call last)")
    assert "hint: create it" in log.line["stack"]
    assert log.text.count("\n") == 1


def test_a_stack_that_was_asked_for_is_there(log: Log) -> None:
    """`stack_info=True` is stdlib's own way."""
    log.configured()
    users.info("here", stack_info=True)
    assert "test_logs.py" in log.line["stack"]


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


class Shown:
    def __str__(self) -> str:
        return "shown"


endless: list[Any] = []
endless.append(endless)

VALUES: dict[str, tuple[Any, Any]] = {
    "an object": (Shown(), "shown"),
    "one that cannot be printed": (Unprintable(), "<Unprintable: RuntimeError when printed>"),
    "one that cannot be printed, inside": ({"a": [Unprintable()]}, None),
    "a class": (Shown, str(Shown)),
    "an exception": (KeyError("a"), "'a'"),
    "bytes": (b"\xff", "/w=="),
    "a set": ({1}, [1]),
    "a tuple as a key": ({(1, 2): 3}, {"(1, 2)": 3}),
    "None as a key": ({None: 3}, None),
    "a lone surrogate": ("a\ud800", "a\\ud800"),
    "a lone surrogate, inside": (["a\ud800"], None),
    "a value that contains itself": (endless, None),
    "a number of any size": (2**200, 2**200),
    "no number": (float("nan"), None),
    "infinity": (float("inf"), None),
    "a Decimal": (decimal.Decimal("1.50"), "1.50"),
    "a UUID": (uuid.UUID(int=1), str(uuid.UUID(int=1))),
    "a naive datetime": (datetime.datetime(2030, 1, 1), "2030-01-01T00:00:00"),  # noqa: DTZ001
    "line ends": ("a\nb\r\u2028c", "a\nb\r\u2028c"),
    "an escape of a terminal": ("\x1b[31m", "\x1b[31m"),
}


@pytest.mark.parametrize("case", VALUES)
@pytest.mark.parametrize("form", ["json", "plain", "color"])
def test_no_value_loses_or_breaks_a_line(log: Log, form: str, case: str) -> None:
    """The line is written whatever a field is; the other fields are as they were."""
    value, expected = VALUES[case]
    log.configured(form)
    users.info("hello", extra={"before": "b", "odd": value, "after": "a"})
    if form == "json":
        assert log.text.count("\n") == 1
        assert (log.line["event"], log.line["before"], log.line["after"]) == ("hello", "b", "a")
        assert expected is None or log.line["odd"] == expected
    else:
        assert all(each in log.text for each in ("hello", "before=b", "after=a", "odd="))
    log.text.encode()


@pytest.mark.parametrize("form", ["json", "plain", "color"])
def test_a_message_may_hold_any_text(log: Log, form: str) -> None:
    """File names are bytes that somebody called text."""
    log.configured(form)
    users.info("no file %s", "a\udcff")
    assert "a\\udcff" in log.text or log.line["event"] == "no file a\\udcff"


@pytest.mark.parametrize("name", [*OURS, "stack", "error_type"])
def test_a_field_never_hides_what_we_know(log: Log, name: str) -> None:
    """It is written beside it: a query by level or trace must be able to trust what it finds."""
    log.configured()
    with working():
        if name in {"module", "trace_id", "span_id"}:  # stdlib's logging refuses the first, and the others are ours on a record
            logs.canonical("mine", **{name: "theirs"})
        else:
            users.info("mine", extra={name: "theirs"})
    line = log.line
    assert (line["event"], line["level"], line["trace_id"], line["module"]) == ("mine", "INFO", TRACE.hex(), "articles")
    assert "theirs" in {line.get(f"{name}_"), line.get(name)}
    assert line.get(name) != "theirs" or name in {"stack", "error_type"}


STANDARD = sorted(set(logging.makeLogRecord({}).__dict__) | {"message", "asctime"})


@pytest.mark.parametrize("name", [*STANDARD, "event", "module_name", "trace_id"])
def test_the_line_of_a_unit_of_work_takes_a_field_of_any_name(log: Log, name: str) -> None:
    """stdlib's logging raises KeyError for `module` and `name`: in the middle of a request, for a log line."""
    log.configured()
    logs.canonical("request", **{name: "theirs"})
    assert log.line["event"] == "request"
    assert "theirs" in log.line.values()


def test_the_line_of_a_unit_of_work_has_its_facts_as_fields(log: Log) -> None:
    """And its error with the stack."""
    log.configured()
    with working():
        logs.canonical("request", level=logging.ERROR, error=KeyError("a"), status=500, route="/a")
    line = log.line
    assert (line["event"], line["level"], line["status"], line["route"], line["error_type"]) == (
        "request",
        "ERROR",
        500,
        "/a",
        "KeyError",
    )
    assert line["logger"] == "ramet"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5) | st.datetimes(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers() | st.booleans(), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=20), st.dictionaries(st.text(max_size=8), values, max_size=4))
def test_any_line_parses(log: Log, event: str, fields: dict[str, Any]) -> None:
    """One object, one line, with all of ours."""
    log.stream = io.StringIO()
    log.configured()
    logs.canonical(event, **{name: value for name, value in fields.items() if name not in {"level", "error"}})
    assert log.text.count("\n") == 1
    assert list(log.line)[: len(OURS)] == OURS


# Text


def test_a_line_of_text_is_for_people(log: Log) -> None:
    """Time, level, module or logger, message, fields, the beginning of the trace."""
    log.configured("plain")
    with working():
        users.warning("sold out", extra={"sku": "a"})
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} WARNING articles     sold out sku=a trace=00010203\n", log.text)


def test_outside_of_work_a_line_of_text_names_the_logger(log: Log) -> None:
    """And no trace."""
    log.configured("plain")
    users.info("hello")
    assert log.text.endswith("INFO    users.own    hello\n")


def test_colours_are_there_when_asked_for_and_closed(log: Log) -> None:
    """A colour that is left open colours the rest of the terminal."""
    log.configured("color")
    for level in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        users.log(getattr(logging, level), "hello", extra={"a": 1})
    assert log.text.count("\x1b[0m") == log.text.count("\x1b[") - log.text.count("\x1b[0m") > 0
    plain = Log().configured("plain")
    users.error("hello", extra={"a": 1})
    assert "\x1b" not in plain.text


def test_an_exception_follows_its_line_of_text(log: Log) -> None:
    """People read stacks on several lines."""
    log.configured("plain")
    try:
        raise KeyError("a")
    except KeyError:
        users.exception("failed", stack_info=True)
    assert "failed" in log.text.splitlines()[0]
    assert "KeyError: 'a'" in log.text
    assert "Stack (most recent call last)" in log.text


# Configuration


def test_auto_is_json_where_nobody_looks(log: Log) -> None:
    """And coloured on a terminal."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    log.configured("auto")
    users.info("hello")
    assert log.line["event"] == "hello"
    log.stream = Terminal()
    log.configured("auto")
    users.info("hello")
    assert "\x1b[" in log.text


def test_below_the_level_nothing_is_written(log: Log) -> None:
    """And configuring twice writes once."""
    log.configured(level="WARNING").configured(level="WARNING")
    users.info("quiet")
    logs.canonical("quiet")
    users.warning("loud")
    assert log.line["event"] == "loud"


def test_a_library_needs_to_know_nothing_of_us(log: Log) -> None:
    """Any logger's lines have the ids."""
    log.configured()
    with working():
        logging.getLogger("some.library.deep").info("hello")
    assert log.line["trace_id"] == TRACE.hex()


DICT_CONFIG: dict[str, Any] = {
    "version": 1,
    "handlers": {
        "console": {"class": "logging.StreamHandler"},
        "report": {"class": "logging.handlers.BufferingHandler", "capacity": 9},
    },
    "root": {"handlers": ["console", "report"], "level": "ERROR"},
}
"""What Django's LOGGING often is: our handler goes, our level too, and our loggers are disabled, since it does not name them."""


@pytest.fixture
def silenced() -> Iterator[None]:
    """Loggers that a test's configuration disables speak again afterwards."""
    loggers = [each for each in logging.getLogger().manager.loggerDict.values() if isinstance(each, logging.Logger)]
    before = [each.disabled for each in loggers]
    yield
    for each, disabled in zip(loggers, before, strict=True):
        each.disabled = disabled


@pytest.mark.usefixtures("silenced")
def test_an_application_that_configures_logging_at_import_does_not_silence_us(log: Log) -> None:
    """Its console handler would write each line again, without ids; what it writes elsewhere goes on."""
    log.configured()
    with logs.kept():
        logging.config.dictConfig(DICT_CONFIG)
    logs.canonical("request", status=200)
    logging.getLogger("users.made.later").info("hello")
    assert [line["event"] for line in log.lines] == ["request", "hello"]
    ours, report = logging.getLogger().handlers
    assert [type(ours), type(report)] == [logs.JsonHandler, logging.handlers.BufferingHandler]


@pytest.mark.usefixtures("silenced")
def test_where_nobody_configured_logging_the_application_s_own_holds() -> None:
    """A script that imports the modules wants to see what they log."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers.clear()
    try:
        with logs.kept():
            logging.config.dictConfig(DICT_CONFIG)
        assert len(root.handlers) == 2
    finally:
        root.handlers[:] = before
        root.setLevel(level)
