"""Group `record`: what one record of a unit of work costs: a child span, its duration in a histogram, ids for the log.

The peer is the OpenTelemetry SDK doing the same: a span with three attributes, started as the current one, recorded,
and handed to a BatchSpanProcessor; a histogram with the same three attributes; the trace and span ids as a log line
needs them. The exporter throws everything away, so the cost of export is in nobody's figure. The SDK keeps exemplars
unless told otherwise; both are measured, and the peer is the cheaper one.

To add a candidate, append it in `candidates`; a figure, to FIGURES.
"""

import time
from collections.abc import Callable, Sequence
from itertools import repeat

import prometheus_client
from opentelemetry import trace
from opentelemetry.metrics import Histogram
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, ExemplarFilter, MeterProvider, TraceBasedExemplarFilter
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler

from bench import inprocess
from bench.harness import Effort
from bench.inprocess import Candidate, Timings, timings_table
from bench.results import Figure, Report, at_most
from ramet.observe import names
from ramet.observe.record import Recorder, new_span_id, new_trace_id
from ramet.wire.context import Context, current

OURS = "ramet record"
OTEL = "otel record"
"""Span, histogram and log ids."""

ATTRIBUTES = {"ramet.module": "articles", "rpc.method": "get_article", "ramet.caller": "feed"}
QUEUE = 1 << 16
"""More than one turn makes: a full queue drops spans, which is cheaper than keeping them."""

FIGURES: list[Figure[Timings]] = [
    inprocess.plain("record.cpu_ns", OURS),
    inprocess.ratio("record.cpu_ratio_otel", OURS, OTEL, at_most(1 / 6, "<= 1/6")),
]


def measure(effort: Effort) -> Report:
    timings = inprocess.time_all(candidates(), effort)
    return Report.of(timings_table("one record of a unit of work", timings, base=OTEL), FIGURES, timings)


def candidates() -> list[Candidate]:
    recording, flush = otel_tracer(ALWAYS_ON)
    dropping, _ = otel_tracer(ALWAYS_OFF)
    histogram = otel_histogram(AlwaysOffExemplarFilter())
    with_exemplars = otel_histogram(TraceBasedExemplarFilter())
    return [
        Candidate(OTEL, otel_record(recording, histogram), settle=flush),
        Candidate(f"{OTEL} + exemplars", otel_record(recording, with_exemplars), settle=flush),
        Candidate("otel span", otel_span(recording), settle=flush),
        Candidate("otel span, sampled out", otel_span(dropping)),
        Candidate("otel histogram", otel_observe(histogram)),
        Candidate(OURS, ramet_record()),
        Candidate("prometheus_client labels + histogram", prometheus_observe()),
    ]


class NoExporter(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def otel_tracer(sampler: Sampler) -> tuple[trace.Tracer, Callable[[], None]]:
    """A tracer, and what empties its queue."""
    provider = TracerProvider(sampler=sampler)
    processor = BatchSpanProcessor(NoExporter(), max_queue_size=QUEUE)
    provider.add_span_processor(processor)

    def flush() -> None:
        processor.force_flush()

    return provider.get_tracer("bench"), flush


def otel_histogram(exemplars: ExemplarFilter) -> Histogram:
    provider = MeterProvider(metric_readers=[InMemoryMetricReader()], exemplar_filter=exemplars)
    return provider.get_meter("bench").create_histogram("rpc.server.call.duration", "s")


def otel_record(tracer: trace.Tracer, histogram: Histogram) -> Callable[[int], None]:
    def run(times: int) -> None:
        clock = time.perf_counter
        with tracer.start_as_current_span("parent"):
            for _ in repeat(None, times):
                start = clock()
                with tracer.start_as_current_span("articles.get_article", attributes=ATTRIBUTES):
                    context = trace.get_current_span().get_span_context()
                    _ = (format(context.trace_id, "032x"), format(context.span_id, "016x"))
                    histogram.record(clock() - start, ATTRIBUTES)

    return run


def otel_span(tracer: trace.Tracer) -> Callable[[int], None]:
    def run(times: int) -> None:
        with tracer.start_as_current_span("parent"):
            for _ in repeat(None, times):
                with tracer.start_as_current_span("articles.get_article", attributes=ATTRIBUTES):
                    pass

    return run


def otel_observe(histogram: Histogram) -> Callable[[int], None]:
    def run(times: int) -> None:
        clock = time.perf_counter
        for _ in repeat(None, times):
            start = clock()
            histogram.record(clock() - start, ATTRIBUTES)

    return run


def prometheus_observe() -> Callable[[int], None]:
    registry = prometheus_client.CollectorRegistry()
    histogram = prometheus_client.Histogram("call_seconds", "-", ["module", "call", "caller"], registry=registry)

    def run(times: int) -> None:
        clock = time.perf_counter
        for _ in repeat(None, times):
            start = clock()
            histogram.labels("articles", "get_article", "feed").observe(clock() - start)

    return run


def ramet_record() -> Callable[[int], None]:
    """A child span, current while it runs, its histogram, an attribute of its own beside the two of its series, ids for the
    log."""
    recorder = Recorder(service="bench", version="1", instance="bench-1")
    series = recorder.series(names.CALL_SERVED, module="articles", call="get_article", placement="local")
    parent = Context(trace_id=new_trace_id(), span_id=new_span_id())

    def run(times: int) -> None:
        for _ in repeat(None, times):
            start = time.monotonic()
            context = Context(parent.deadline, parent.budget_s, parent.trace_id, new_span_id())
            current.set(context)
            _ids = (context.trace_id.hex(), context.span_id.hex())
            current.set(parent)
            attributes = {"ramet.caller": "feed"}
            end = time.monotonic()
            recorder.finish(series, context.trace_id, context.span_id, parent.span_id, start, end, "", 1, attributes)

    return run
