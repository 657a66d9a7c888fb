"""What this instance has served, by module, read from the recorder: the numbers that gates compare. Pure.

Each unit of work counts once: a request whose endpoint is a call counts as that call, wherever it ran; one whose endpoint is no
call, or a mounted application's, counts as a request.
"""

from collections.abc import Iterable, Mapping, Sequence

from ramet.model.control import Served
from ramet.model.http import SOCKET_METHOD
from ramet.module import Module
from ramet.observe import names
from ramet.observe.record import OK, Recorder, Series

CALLERS_FAULT = frozenset(
    {"BadArgument", "NotAllowed", "ContractMismatch", "CancelledError", "UndeclaredUse", "DeadlineExceeded"}
)
"""Errors that say nothing about the code that served. A deadline is the tree's: what was slow counts among the slow."""


def count(recorder: Recorder, modules: Iterable[Module], *, prefix: str) -> dict[str, Served]:
    """prefix: before the paths of all endpoints."""
    found = {module.name: _Tally(module, prefix) for module in modules}
    routes = {route: tally for tally in found.values() for route in tally.routes}
    for series in recorder.all_series():
        if series.metric is names.CALL_SERVED and (tally := found.get(series.labels["module"])):
            tally.add(series, tally.declared.get(series.labels["call"], frozenset()))
        elif series.metric is names.REQUEST and (tally := routes.get((series.labels["method"], series.labels["route"]))):
            tally.add_request(series)
    return {name: Served(tally.requests, tally.errors, tally.buckets, tally.http) for name, tally in found.items()}


class _Tally:
    def __init__(self, module: Module, prefix: str) -> None:
        self.requests = 0
        self.errors: dict[str, int] = {}
        self.buckets = [0] * (len(names.CALL_BOUNDS_S) + 1)
        self.http = [0] * (len(names.HTTP_BOUNDS_S) + 1)
        self.declared: Mapping[str, frozenset[str]] = {
            name: frozenset(failure.__name__ for failure in call.contract.failures) for name, call in module.calls.items()
        }
        self.routes = {
            (method, prefix + endpoint.path)
            for endpoint in module.endpoints
            if endpoint.function is not None and endpoint.method != SOCKET_METHOD
            for method in ((endpoint.method, "HEAD") if endpoint.method == "GET" else (endpoint.method,))
        } | {
            (method, f"{prefix}{mount.prefix}/*")
            for mount in module.mounts
            for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
        }

    def add(self, series: Series, declared: frozenset[str]) -> None:
        for error, cell in series.cells.items():
            number = sum(cell.counts)
            self.requests += number
            self.buckets = _sum(self.buckets, cell.counts)
            if error != OK and number and error not in declared and error not in CALLERS_FAULT:
                self.errors[error] = self.errors.get(error, 0) + number

    def add_request(self, series: Series) -> None:
        """By its status: what a request of no call raised is told to the client as 5xx."""
        number = series.count
        self.requests += number
        for cell in series.cells.values():
            self.http = _sum(self.http, cell.counts)
        if (status := series.labels["status"]) >= "500" and number:
            raised = {error or status: sum(cell.counts) for error, cell in series.cells.items() if any(cell.counts)}
            for error, each in raised.items():
                self.errors[error] = self.errors.get(error, 0) + each


def _sum(one: Sequence[int], other: Sequence[int]) -> list[int]:
    return [each + more for each, more in zip(one, other, strict=True)]
