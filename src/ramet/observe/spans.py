"""A finished record as an OpenTelemetry span: the names of the conventions, times on the wall clock."""

from dataclasses import dataclass
from typing import Any

from ramet.observe import names
from ramet.observe.record import Record, Recorder

_KINDS = {
    names.CALL_SERVED: "server",
    names.CALL_MADE: "client",
    names.REQUEST: "server",
    names.QUERY: "client",
    names.JOB: "internal",
}


@dataclass(frozen=True, slots=True)
class Span:
    """Ids in hex, parent_id empty for a root; times in nanoseconds since the epoch."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]


def span_of(record: Record, recorder: Recorder) -> Span:
    series = record.series
    attributes: dict[str, Any] = {
        names.ATTRIBUTES[label]: value for label, value in {**recorder.resource, **series.labels}.items() if value
    }
    name = series.labels.get("call") or series.labels.get("route") or series.labels.get("summary") or series.metric.name
    if series.metric in {names.CALL_SERVED, names.CALL_MADE}:
        name = f"{series.labels['module']}.{series.labels['call']}"
        attributes[names.ATTRIBUTES["call"]] = name  # fully qualified, as the conventions want it
        attributes[names.RPC_SYSTEM[0]] = names.RPC_SYSTEM[1]
    elif series.metric is names.REQUEST:
        name = f"{series.labels.get('method', '')} {name}".strip()
    elif "schedule" in series.labels:
        name = f"{series.labels['module']}.{series.labels['schedule']}"
    if series.labels.get("status", "").isdecimal():
        attributes[names.ATTRIBUTES["status"]] = int(series.labels["status"])
    if record.error:
        attributes[names.ATTRIBUTES["error_type"]] = record.error
    if record.stands_for != 1:
        attributes[names.STANDS_FOR] = record.stands_for
    start_ns = round((recorder.wall_offset + record.start) * 1e9)
    return Span(
        name=name,
        kind="internal" if series.labels.get("placement") == "local" else _KINDS[series.metric],
        trace_id=record.trace_id.hex(),
        span_id=record.span_id.hex(),
        parent_id=record.parent_id.hex(),
        start_ns=start_ns,
        end_ns=start_ns + round(record.duration_s * 1e9),
        attributes={**attributes, **(record.attributes or {})},
    )
