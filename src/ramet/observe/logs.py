"""Log lines: structured JSON or coloured text, each with the ids of the work that it belongs to, through stdlib `logging`.

`configure` is called once by whoever owns the process; a library that logs needs to know nothing of Ramet. `canonical` writes the
one line of a unit of work: everything that is known of it, as fields.
"""

import asyncio
import datetime
import logging
import sys
import time
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, TextIO

from ramet.wire.context import current
from ramet.wire.values import encode_json

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message",
    "asctime",
    "taskName",
    "trace_id",
    "span_id",
    "module_name",
}
_COLORS = {"DEBUG": "\x1b[2m", "INFO": "\x1b[32m", "WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[35m"}
_DIM, _RESET = "\x1b[2m", "\x1b[0m"

_KNOWN = _STANDARD | {"ts", "level", "service", "version", "instance", "event", "logger", "stack"}
_ROOT = logging.getLogger()
logger = logging.getLogger("ramet")


class WithIds(logging.Filter):
    """Puts trace_id, span_id (hex, empty outside of work) and module_name (the Ramet module that runs) on each record."""

    def filter(self, record: logging.LogRecord) -> bool:
        context = current.get()
        record.trace_id = context.trace_id.hex()
        record.span_id = context.span_id.hex()
        record.module_name = context.module
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ts, level, service, version, module, event, trace_id, span_id, then the fields of the call."""

    def __init__(self, *, service: str = "", version: str = "", instance: str = "") -> None:
        super().__init__()
        self._resource = {"service": service, "version": version, "instance": instance}

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "ts": datetime.datetime.fromtimestamp(record.created, datetime.UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname,
            **self._resource,
            "module": getattr(record, "module_name", ""),
            "event": record.getMessage(),
            "trace_id": getattr(record, "trace_id", ""),
            "span_id": getattr(record, "span_id", ""),
            "logger": record.name,
        }
        for name, value in fields_of(record).items():
            line[f"{name}_" if name in line else name] = value  # what was given never hides what we know
        if record.exc_info and record.exc_info[0]:
            line["error_type"] = record.exc_info[0].__qualname__
            line["stack"] = "".join(traceback.format_exception(*record.exc_info))
        if record.stack_info:
            line.setdefault("stack", record.stack_info)
        return _encoded(line).decode()


class JsonHandler(logging.StreamHandler[TextIO]):
    """Writes JSON lines: those of `logging` as they come, canonical ones past it.

    A canonical line is written for every request, and `logging`'s own way costs several times the request: so it is encoded here,
    and the lines of one turn of the loop are written together at its end. Any other line is written after those before it.
    """

    def __init__(self, stream: TextIO | None, *, service: str, version: str, instance: str) -> None:
        super().__init__(stream)
        self.addFilter(WithIds())
        self.setFormatter(JsonFormatter(service=service, version=version, instance=instance))
        self._resource = {"service": service, "version": version, "instance": instance}
        self._lines: list[bytes] = []
        self._second = 0
        self._stamp = ""

    def tell(self, level: int, event: str, fields: dict[str, Any]) -> None:
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second = second
            self._stamp = datetime.datetime.fromtimestamp(second, datetime.UTC).isoformat()[:19]
        context = current.get()
        line: dict[str, Any] = {
            "ts": f"{self._stamp}.{int((now - second) * 1000):03d}Z",
            "level": logging.getLevelName(level),
            **self._resource,
            "module": context.face.name,
            "event": event,
            "trace_id": context.trace_id.hex(),
            "span_id": context.span_id.hex(),
            "logger": logger.name,
            **fields,
        }
        self._lines.append(_encoded(line))
        if len(self._lines) == 1:
            try:
                asyncio.get_running_loop().call_soon(self.write_lines)
            except RuntimeError:  # no loop runs here
                self.write_lines()

    def write_lines(self) -> None:
        self.acquire()
        try:
            if not self._lines:
                return
            lines, self._lines = self._lines, []
            data = b"\n".join(lines) + b"\n"
            binary = getattr(self.stream, "buffer", None)
            if binary is None:
                self.stream.write(data.decode())
            else:
                self.stream.flush()
                binary.write(data)
            self.flush()
        except (
            OSError,
            ValueError,
        ):  # the reader left, or the stream was closed: as `logging` has it, no reason to fail a request
            return
        finally:
            self.release()

    def emit(self, record: logging.LogRecord) -> None:
        self.write_lines()
        super().emit(record)

    def close(self) -> None:
        self.write_lines()
        super().close()


class TextFormatter(logging.Formatter):
    """`12:03:11.042 INFO  articles  message  field=value  trace=…`, coloured for a terminal."""

    def __init__(self, *, color: bool) -> None:
        super().__init__()
        self._color = color

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S.%f")[:-3]
        fields = "  ".join(f"{name}={_printed(value)}" for name, value in fields_of(record).items())
        trace = getattr(record, "trace_id", "")
        where = getattr(record, "module_name", "") or record.name
        parts = [
            at,
            self._paint(_COLORS.get(record.levelname, ""), f"{record.levelname:<7}"),
            f"{where:<12}",
            record.getMessage(),
            self._paint(_DIM, fields),
        ]
        if trace:
            parts.append(self._paint(_DIM, f"trace={trace[:8]}"))
        text = " ".join(part for part in parts if part)
        if record.exc_info and record.exc_info[0]:
            text += "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip()
        return _printed(f"{text}\n{record.stack_info}" if record.stack_info else text)

    def _paint(self, code: str, text: str) -> str:
        return f"{code}{text}{_RESET}" if self._color and text else text


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What was given as `extra`."""
    return {name: value for name, value in record.__dict__.items() if name not in _STANDARD}


def _encoded(line: dict[str, Any]) -> bytes:
    try:
        return encode_json(line)
    except Exception:  # noqa: BLE001  (a value's own __str__ may raise anything, and a log line is never lost for it)
        return encode_json({_printed(name): _printed(value) for name, value in line.items()})


def _printed(value: Any) -> str:
    try:
        return str(value).encode(errors="backslashreplace").decode()
    except Exception as error:  # noqa: BLE001  (see above)
        return f"<{type(value).__name__}: {type(error).__name__} when printed>"


def configure(
    *,
    form: str = "auto",
    level: str = "INFO",
    service: str = "",
    version: str = "",
    instance: str = "",
    stream: TextIO | None = None,
) -> logging.Handler:
    """Send the root logger to `stream` (default stderr) in one form: json, color, plain or auto. Returns the handler."""
    stream = stream or sys.stderr
    if form == "auto":
        form = "color" if stream is not None and stream.isatty() else "json"  # None: a process without any stderr
    handler: logging.StreamHandler[TextIO]
    if form == "json":
        handler = JsonHandler(stream, service=service, version=version, instance=instance)
    else:
        handler = logging.StreamHandler(stream)
        handler.addFilter(WithIds())
        handler.setFormatter(TextFormatter(color=form == "color"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    return handler


@contextmanager
def kept() -> Generator[None]:
    """What `configure` set is in force again afterwards, though code of an application configured `logging` as it was imported.

    `logging.config.dictConfig`, which Django calls, takes handlers off the root logger and disables loggers that it does
    not name, ours among them. Handlers that it put there stay, so files are written and errors reported; but not those that
    write to the console, or each line would be there twice, once without its ids. Nothing is done where nobody has called
    `configure`.
    """
    before, level = _ROOT.handlers[:], _ROOT.level
    try:
        yield
    finally:
        if before:
            added = [each for each in _ROOT.handlers if each not in before and not _is_console(each)]
            _ROOT.handlers[:] = [*before, *added]
            _ROOT.setLevel(level)
        for name, each in _ROOT.manager.loggerDict.items():
            if isinstance(each, logging.Logger) and name.split(".", 1)[0] == logger.name:
                each.disabled = False


def _is_console(handler: logging.Handler) -> bool:
    return getattr(handler, "stream", None) in {sys.stdout, sys.stderr}


def canonical(event: str, /, *, level: int = logging.INFO, error: BaseException | None = None, **fields: Any) -> None:
    """The one line of a unit of work. `event` is a stable name such as `request`; facts are fields, not prose.

    A field that `logging` has itself, such as `module` or `name`, is written with `_` behind it.
    """
    if logger.isEnabledFor(level):
        handlers = _ROOT.handlers
        if error is None and len(handlers) == 1 and isinstance(handlers[0], JsonHandler) and _KNOWN.isdisjoint(fields):
            handlers[0].tell(level, event, fields)
            return
        extra = {f"{name}_" if name in _STANDARD else name: value for name, value in fields.items()}
        logger.log(level, event, extra=extra, exc_info=error)
