"""Every metric, label and span attribute, declared once with unit and meaning.

Span attributes follow the OpenTelemetry semantic conventions 1.44.0; metric names are theirs in OpenMetrics form (dots to
underscores, the unit appended). Labels use Ramet's own words, the same as in code and errors; `ATTRIBUTES` maps them. The
conventions for rpc are a release candidate and may move, hence the one file.
"""

from typing import NamedTuple


class Metric(NamedTuple):
    name: str
    kind: str
    """histogram, counter or gauge"""
    unit: str
    meaning: str


CALL_BOUNDS_S = (
    0.00005,
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
)
"""Buckets for calls: the conventions' own begin at 5 ms, where a local call is long over."""
HTTP_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Recommended by the conventions from 5 ms up; two finer ones below."""

CALL_SERVED = Metric(
    "rpc_server_call_duration_seconds",
    "histogram",
    "seconds",
    "time that a module took for a call, as its own instance saw it",
)
CALL_MADE = Metric(
    "rpc_client_call_duration_seconds",
    "histogram",
    "seconds",
    "time until a caller had the result of a call to another instance, retries included",
)
REQUEST = Metric(
    "http_server_request_duration_seconds",
    "histogram",
    "seconds",
    "time from the request's head to the last byte of the response",
)
QUERY = Metric("db_client_operation_duration_seconds", "histogram", "seconds", "time of one statement, as the instance saw it")
JOB = Metric("ramet_job_duration_seconds", "histogram", "seconds", "time of one background job: a run of a schedule, a refresh")

RETRIES = Metric("ramet_call_retries", "counter", "", "attempts beyond the first, by reason")
HEDGES = Metric("ramet_call_hedges", "counter", "", "second attempts sent because the first was slow")
BUDGET_EMPTY = Metric("ramet_call_retry_budget_empty", "counter", "", "retries not made because the budget was spent")
IN_FLIGHT = Metric("ramet_calls_in_flight", "gauge", "", "calls that this instance is working on for others")
QUEUED = Metric("ramet_calls_queued", "gauge", "", "calls that wait for an endpoint of a module")
ENDPOINTS = Metric("ramet_endpoints", "gauge", "", "endpoints of a module, by state")
DB_CONNECTIONS = Metric("ramet_db_connections", "gauge", "", "connections of a module's pool, by state")
READS = Metric("ramet_db_reads", "counter", "", "reads of a database with replicas, by where they were made")
READ_WAITS = Metric("ramet_db_read_waits", "counter", "", "reads that waited for a replica to see what their request has written")
SCATTERS = Metric("ramet_db_scatters", "counter", "", "reads that asked all shards of a database")
SCHEDULE_OWNER = Metric(
    "ramet_schedule_owner", "gauge", "", "1 where this instance owns a module's schedules, 0 where it hosts them only"
)
BEATS_MISSED = Metric(
    "ramet_schedule_beats_missed", "counter", "", "times at which a schedule was due and its run before was still in hand"
)
STALENESS = Metric(
    "ramet_materialized_staleness_seconds",
    "gauge",
    "seconds",
    "time since the oldest change that a materialised result lacks, 0 for none, as the instance knows that keeps it up",
)
LOOP_LAG = Metric("ramet_loop_lag_seconds", "gauge", "seconds", "how late the event loop last ran a timer")
IN_TRANSACTION = Metric(
    "ramet_calls_in_transaction", "counter", "", "calls to another module made inside a transaction, where strict is off"
)
SHED = Metric("ramet_calls_shed", "counter", "", "calls refused because the instance had its limit in flight")
CONNECTIONS_REFUSED = Metric(
    "ramet_connections_refused", "counter", "", "connections closed because the peer broke the protocol, by reason"
)
RECORDS_DROPPED = Metric(
    "ramet_series_dropped", "counter", "", "label sets counted under `overflow` because their metric had too many"
)

METRICS = (
    IN_TRANSACTION,
    DB_CONNECTIONS,
    READS,
    READ_WAITS,
    SCATTERS,
    CALL_SERVED,
    CALL_MADE,
    REQUEST,
    QUERY,
    JOB,
    RETRIES,
    HEDGES,
    BUDGET_EMPTY,
    IN_FLIGHT,
    QUEUED,
    ENDPOINTS,
    SCHEDULE_OWNER,
    BEATS_MISSED,
    STALENESS,
    LOOP_LAG,
    SHED,
    CONNECTIONS_REFUSED,
    RECORDS_DROPPED,
)

BOUNDS_S = {
    CALL_SERVED: CALL_BOUNDS_S,
    CALL_MADE: CALL_BOUNDS_S,
    REQUEST: HTTP_BOUNDS_S,
    QUERY: CALL_BOUNDS_S,
    JOB: HTTP_BOUNDS_S,
}

ATTRIBUTES = {
    "module": "ramet.module",
    "call": "rpc.method",
    "schedule": "ramet.schedule",
    "result": "ramet.result",
    "placement": "ramet.placement",
    "caller": "ramet.caller",
    "error_type": "error.type",
    "method": "http.request.method",
    "route": "http.route",
    "status": "http.response.status_code",
    "service": "service.name",
    "version": "service.version",
    "instance": "service.instance.id",
    "summary": "db.query.summary",
}
"""Label -> attribute name of the conventions."""

STANDS_FOR = "ramet.stands_for"
"""Span attribute: how many calls this recorded one stands for. Local calls hotter than 20,000 a second are thinned."""
RPC_SYSTEM = ("rpc.system.name", "ramet")
"""The system is always the same, so it is an attribute of spans and not a label."""
