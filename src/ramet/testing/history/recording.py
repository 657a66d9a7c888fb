"""Recording: one `with` for each request, whatever the client is.

    history = History()
    with history.request("ann", "PUT /user", sets={"bio/ann": "v2"}) as request:
        answer = await client.put(...)
        if answer.status >= 500:
            request.fail(f"{answer.status}", status=answer.status)      # it may have run
        else:
            request.saw({"bio/ann": answer.json()["bio"]})

Leaving the block acknowledges the request, unless `fail` was called. An exception that leaves it makes the outcome unknown, or
failed where the exception says that nothing ran (`CallError.may_have_run`). One history is for one thread.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType, TracebackType

from ramet.errors import CallError
from ramet.testing.history.errors import HistoryRefused
from ramet.testing.history.operation import Operation, Outcome, Seen, Some, Value

_NOTHING: Mapping[str, tuple[str, ...]] = MappingProxyType({})
_NO_VALUES: Mapping[str, Value] = MappingProxyType({})


class History:
    """Append-only.

    initial: what there was before the first request, as a final state is given to `check`: key -> value of a register, or all
    tokens of a set. What is not named holds None, or no token.
    clock: seconds; monotonic, and the same for all processes whose requests are put together.
    """

    def __init__(self, *, initial: Mapping[str, Seen] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.initial = {key: _checked_first(key, seen) for key, seen in (initial or {}).items()}
        self.clock = clock
        self._done: list[Operation] = []
        self._under_way: dict[int, Request] = {}

    def __repr__(self) -> str:
        return f"<History of {len(self._done)} requests, {len(self._under_way)} under way>"

    def request(
        self,
        client: str | None,
        name: str,
        *,
        sets: Mapping[str, Value] | None = None,
        adds: Mapping[str, str | Iterable[str]] | None = None,
        removes: Mapping[str, str | Iterable[str]] | None = None,
        request_id: str | None = None,
        due_s: float | None = None,
    ) -> "Request":
        """A request that begins when its block is entered. due_s: when it was to begin; None for then.

        Raises HistoryRefused for a value that a register cannot hold.
        """
        values = {key: checked_value(key, value) for key, value in sets.items()} if sets else _NO_VALUES
        return Request(self, client, name, values, _tokens(adds), _tokens(removes), request_id, due_s)

    @property
    def operations(self) -> Sequence[Operation]:
        """In the order in which they ended; then those that are under way, with an unknown outcome."""
        return (*self._done, *(each.as_operation(None) for each in self._under_way.values()))

    def __len__(self) -> int:
        return len(self._done) + len(self._under_way)

    def append(self, operation: Operation) -> None:
        """One that was recorded elsewhere."""
        self._done.append(operation)

    def begin(self, request: "Request") -> None:
        self._under_way[id(request)] = request

    def end(self, request: "Request", returned_s: float) -> None:
        del self._under_way[id(request)]
        self._done.append(request.as_operation(returned_s))


class Request:
    """See `History.request`."""

    __slots__ = (
        "_adds", "_client", "_due_s", "_history", "_invoked_s", "_name", "_outcome", "_reads", "_reason", "_removes",
        "_request_id", "_returned_s", "_sets", "_status",
    )  # fmt: skip

    def __init__(
        self,
        history: History,
        client: str | None,
        name: str,
        sets: Mapping[str, Value],
        adds: Mapping[str, tuple[str, ...]],
        removes: Mapping[str, tuple[str, ...]],
        request_id: str | None,
        due_s: float | None,
    ) -> None:
        self._history = history
        self._client = client
        self._name = name
        self._sets = sets
        self._adds = adds
        self._removes = removes
        self._request_id = request_id
        self._due_s = due_s
        self._invoked_s = 0.0
        self._outcome = Outcome.OK
        self._status: int | None = None
        self._reason = ""
        self._reads: dict[str, Seen] = {}
        self._returned_s: float | None = None

    def answered(self) -> None:
        """The answer is here: what follows in the block is the client's own work, and not the system's time."""
        self._returned_s = self._history.clock()

    def saw(self, reads: Mapping[str, Seen]) -> None:
        """What the answer shows. Raises HistoryRefused for what neither a register nor a set can be."""
        for key, seen in reads.items():
            self._reads[key] = checked_seen(key, seen)

    def fail(self, reason: str, *, status: int | None = None, may_have_run: bool = True) -> None:
        """There is no good answer. may_have_run: False if it has no effect for sure."""
        self._outcome = Outcome.UNKNOWN if may_have_run else Outcome.FAILED
        self._reason = reason
        self._status = status

    def did_nothing(self) -> None:
        """The answer is as good as any, and says that what was asked for was not done: `404` to a like of what is deleted."""
        self._sets, self._adds, self._removes = _NO_VALUES, _NOTHING, _NOTHING

    def __enter__(self) -> "Request":
        self._invoked_s = self._history.clock()
        if self._due_s is None:
            self._due_s = self._invoked_s
        self._history.begin(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            may_have_run = error.may_have_run if isinstance(error, CallError) else True
            self.fail(f"{type(error).__qualname__}: {error}", may_have_run=may_have_run)
        self._history.end(self, self._history.clock() if self._returned_s is None else self._returned_s)

    def as_operation(self, returned_s: float | None) -> Operation:
        """returned_s: None while no answer has come."""
        return Operation(
            self._client,
            self._name,
            self._invoked_s if self._due_s is None else self._due_s,
            self._invoked_s,
            returned_s,
            Outcome.UNKNOWN if returned_s is None else self._outcome,
            self._status,
            "no answer yet" if returned_s is None else self._reason,
            self._request_id,
            self._sets,
            self._adds,
            self._removes,
            self._reads,
        )


def checked_value(key: str, value: object) -> Value:
    """Raises HistoryRefused."""
    if value is None or isinstance(value, (str, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise HistoryRefused(
        f"{key}: {value!r} is not what a register can hold", hint="a text, a finite number, True, False or None; else its hash"
    )


def checked_seen(key: str, seen: object) -> Seen:
    """Raises HistoryRefused."""
    if isinstance(seen, (tuple, list)):
        return checked_tokens(key, seen)  # pyright: ignore[reportUnknownArgumentType]  (of whatever it is, each is looked at)
    return seen if isinstance(seen, Some) else checked_value(key, seen)


def checked_tokens(key: str, tokens: Iterable[object]) -> tuple[str, ...]:
    """Raises HistoryRefused."""
    found: list[str] = []
    for token in tokens:
        if not isinstance(token, str):
            raise HistoryRefused(f"{key}: {token!r} is no token", hint="tokens are texts: str(...)")
        found.append(token)
    return tuple(found)


def _checked_first(key: str, seen: object) -> Value | tuple[str, ...]:
    checked = checked_seen(key, seen)
    if isinstance(checked, Some):
        raise HistoryRefused(f"{key}: what there was before is to be known in full", hint="give all tokens as a tuple")
    return checked


def _tokens(given: Mapping[str, str | Iterable[str]] | None) -> Mapping[str, tuple[str, ...]]:
    if not given:
        return _NOTHING
    return {key: (tokens,) if isinstance(tokens, str) else checked_tokens(key, tokens) for key, tokens in given.items()}
