"""The checker: a history and the final state in, findings out. It reads no clock, asks nobody and changes nothing.

A request whose outcome is unknown may have run or not, at any time after it was asked for. One that failed has no effect. One
that was acknowledged has all its effects, once, at some instant while it ran. A history is legal if all that was seen can be true
together with that, in some order of what happened; what is found cannot. The rule is in `cells`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

from ramet.testing.history.cells import Write
from ramet.testing.history.findings import Finding, Kind, Promise, Report
from ramet.testing.history.keys import Fault, Key, Look
from ramet.testing.history.operation import Operation, Outcome, Seen, Value
from ramet.testing.history.recording import History, checked_seen


def check(history: History, final: Mapping[str, Seen] | None, *, promise: Promise = Promise.SESSION) -> Report:
    """What was promised and is not so.

    final: all that is there after the last request: key -> value of a register, or the tokens of a set, each as often as it is
    there. A key that it does not name is not there: what was acknowledged of it is lost. `Some()` for what could not be
    looked at, and its parts for a set that was looked at in part. None: nothing was looked at, and nothing is found lost.

    Raises HistoryRefused for a key that is a register in one request and a set in another.
    """
    operations = history.operations
    keys: dict[str, Key] = {}

    def key(name: str) -> Key:
        if name not in keys:
            keys[name] = Key(name, promise, history.initial.get(name))
        return keys[name]

    for number, operation in enumerate(operations):
        for name, token, value in _effects(operation):
            if operation.outcome is Outcome.FAILED:
                key(name).refuse(token, value, number)
            else:
                end_s = operation.returned_s if operation.outcome is Outcome.OK else None
                write = Write(number, operation.invoked_s, math.inf if end_s is None else end_s)
                key(name).write(token, value, write, operation.client)
        if operation.outcome is Outcome.OK and operation.returned_s is not None:
            for name, seen in operation.reads.items():
                key(name).look(Look(number, operation.client, operation.invoked_s, operation.returned_s, seen))
    if final is not None:
        for name in {**history.initial, **keys, **final}:
            key(name).look_finally(checked_seen(name, final.get(name)))
    begin_s = min((operation.invoked_s for operation in operations), default=0.0)
    teller = _Teller(operations, begin_s)
    found = [teller.failed(number) for number, each in enumerate(operations) if each.outcome is not Outcome.OK]
    found += [teller.finding(name, fault) for name, each in keys.items() for fault in each.faults()]
    found.sort(key=lambda finding: len(operations) if finding.operation is None else finding.operation)
    return Report(len(operations), tuple(found))


def _effects(operation: Operation) -> Iterator[tuple[str, str | None, Value]]:
    """(key, token or None for a register, value)."""
    for name, value in operation.sets.items():
        yield name, None, value
    for name, tokens in operation.adds.items():
        for token in tokens:
            yield name, token, True
    for name, tokens in operation.removes.items():
        for token in tokens:
            yield name, token, False


class _Teller:
    """Findings in words. Times are from the first request of the history."""

    def __init__(self, operations: Sequence[Operation], begin_s: float) -> None:
        self._operations = operations
        self._begin_s = begin_s

    def failed(self, number: int) -> Finding:
        operation = self._operations[number]
        status = f" {operation.status}" if operation.status is not None else ""
        ran = "" if operation.kind == "read" else ", may have run" if operation.outcome is Outcome.UNKNOWN else ", did not run"
        return Finding(Kind.FAILED, number, None, f"{self._named(number)}:{status} {operation.reason}{ran}")

    def finding(self, key: str, fault: Fault) -> Finding:
        return Finding(fault.kind, fault.operation, key, self._text(fault))

    def _text(self, fault: Fault) -> str:
        by = self._named(fault.operation)
        match fault.kind:
            case Kind.STALE:
                return f"{by} saw {fault.what}, after {self._named(fault.other)}"
            case Kind.LOST:
                return f"{by}: the final state has {fault.what}"
            case _:
                return f"{'the final state' if fault.operation is None else by}: {fault.what}"

    def _named(self, number: int | None) -> str:
        if number is None:
            return "what there was before"
        operation = self._operations[number]
        sent = f" ({operation.request_id})" if operation.request_id else ""
        return f"{operation}{sent} at {operation.invoked_s - self._begin_s:.3f} s"
