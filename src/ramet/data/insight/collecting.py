"""Counting statements where they run: of each query and each call that runs it how often, how long, how many rows, the slowest
one with its parameters, and how often it ran within one request.

`Watched.add` is on the way of every statement; it costs 0.6 us. So nothing is sorted or hashed there but the request's id: a
query repeats within a request if it is found again among the last requests, which are counted in `_Use.seen` until there are
`MAX_OPEN` of them. One that goes on for longer than that counts as two.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from ramet.data.insight import fingerprint, literals
from ramet.model.insight import REPEATED, QueryUse, Sample
from ramet.observe import names
from ramet.wire.context import Context

BOUNDS_S = names.BOUNDS_S[names.QUERY]
MAX_QUERIES = 2000
"""Fingerprints of one database. Further ones are counted as dropped: text made of values, which no fingerprint can catch."""
MAX_OPEN = 64
MAX_TEXT = 20_000
"""Characters of a text that is kept for its plan."""


class _Use:
    """One query as one call runs it."""

    __slots__ = (
        "buckets", "callers", "errors", "most", "repeating", "rows", "seen", "total_s", "traced", "traces", "within",
        "worst_args", "worst_s", "worst_text",
    )  # fmt: skip

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS_S) + 1)
        self.errors = self.rows = self.traces = self.traced = self.most = self.repeating = self.within = 0
        self.total_s = 0.0
        self.worst_s = -1.0
        self.worst_text = ""
        self.worst_args: list[str | None] | None = None
        self.seen: dict[bytes, _Request] = {}
        self.callers: dict[str, int] = {}

    def fold(self) -> None:
        """Count the requests seen so far as ended."""
        for request in self.seen.values():
            self.traces += 1
            self.traced += request.times
            self.most = max(self.most, request.times)
            if request.times >= REPEATED:
                self.repeating += 1
                if request.within * 2 >= request.times:
                    self.within += 1
                else:
                    self.callers[request.caller] = self.callers.get(request.caller, 0) + 1
        self.seen.clear()


class _Request:
    """times: that the query ran in it; within: in its first run of the call, which caller has made."""

    __slots__ = ("caller", "span_id", "times", "within")

    def __init__(self, context: Context) -> None:
        self.times = self.within = 1
        self.span_id = context.span_id
        self.caller = context.caller


class _Query:
    __slots__ = ("by_call", "fingerprint", "text")

    def __init__(self, name: str, text: str) -> None:
        self.fingerprint = name
        self.text = text
        self.by_call: dict[str, _Use] = {}


class Watched:
    """One text; those of one fingerprint share what is counted."""

    __slots__ = ("_by_call", "_keeps", "_text")

    def __init__(self, text: str, by_call: dict[str, _Use], *, keeps_parameters: bool) -> None:
        self._text = text
        self._by_call = by_call
        self._keeps = keeps_parameters

    def add(self, context: Context, duration_s: float, args: Sequence[Any], result: Any) -> None:
        """It ran. result: its rows, or what comes with a command tag."""
        face = context.face
        use = self._by_call.get(face.call)
        if use is None:
            use = self._by_call[face.call] = _Use()
        use.buckets[bisect_left(BOUNDS_S, duration_s)] += 1
        use.total_s += duration_s
        use.rows += len(result) if type(result) is list else _changed(result)  # pyright: ignore[reportUnknownArgumentType]
        if duration_s > use.worst_s:
            self._keep(use, duration_s, args)
        trace_id = context.trace_id
        if trace_id:
            request = use.seen.get(trace_id)
            if request is not None:
                request.times += 1
                if request.span_id == context.span_id:
                    request.within += 1
                return
            if len(use.seen) >= MAX_OPEN:
                use.fold()
            use.seen[trace_id] = _Request(context)

    def fail(self, context: Context, duration_s: float, args: Sequence[Any]) -> None:
        """It was refused, or stopped at its deadline: its time counts like any."""
        self.add(context, duration_s, args, [])
        self._by_call[context.face.call].errors += 1

    def _keep(self, use: _Use, duration_s: float, args: Sequence[Any]) -> None:
        use.worst_s = duration_s
        use.worst_text = self._text
        use.worst_args = literals.as_texts(args) if self._keeps or not args else None


class QueryLog:
    """All statements of one database, or of one shard of it."""

    def __init__(self, module: str, *, shard: int = 0, keeps_parameters: bool = True) -> None:
        self.module = module
        self.shard = shard
        self.keeps_parameters = keeps_parameters
        self.dropped = 0
        self._queries: dict[str, _Query] = {}

    def __repr__(self) -> str:
        return f"<QueryLog of {self.module}, shard {self.shard}: {len(self._queries)} queries, {self.dropped} dropped>"

    def of(self, text: str) -> Watched | None:
        """None where it is one too many. Reads the text: for once per text, not per statement."""
        text = text.encode(errors="replace").decode()  # what is no character would not cross to whoever asks
        name = fingerprint.fingerprint(text)
        query = self._queries.get(name)
        if query is None:
            if len(self._queries) >= MAX_QUERIES:
                self.dropped += 1
                return None
            query = self._queries[name] = _Query(name, fingerprint.shown(text))
        return Watched(text[:MAX_TEXT], query.by_call, keeps_parameters=self.keeps_parameters)

    def tell(self) -> list[QueryUse]:
        found: list[QueryUse] = []
        for query in self._queries.values():
            for call, use in query.by_call.items():
                use.fold()
                is_whole = len(use.worst_text) < MAX_TEXT
                found.append(
                    QueryUse(
                        fingerprint=query.fingerprint,
                        module=self.module,
                        shard=self.shard,
                        call=call,
                        text=query.text,
                        errors=use.errors,
                        rows=use.rows,
                        total_s=use.total_s,
                        buckets=list(use.buckets),
                        traces=use.traces,
                        traced=use.traced,
                        most=use.most,
                        repeating=use.repeating,
                        within=use.within,
                        callers=dict(use.callers),
                        worst=Sample(use.worst_s, use.worst_text if is_whole else "", use.worst_args, self.shard),
                    )
                )
        return found


def _changed(result: Any) -> int:
    """Of (rows, tag, ...): how many rows were returned or, for a tag such as `UPDATE 3`, changed."""
    if not isinstance(result, tuple):
        return 0
    rows, tag = result[0], result[1]  # pyright: ignore[reportUnknownVariableType]  (of the driver)
    if rows:
        return len(rows)  # pyright: ignore[reportUnknownArgumentType]
    last = bytes(tag).rpartition(b" ")[2] if tag else b""  # pyright: ignore[reportUnknownArgumentType]
    return int(last) if last.isdigit() else 0
