"""Telemetry over the SDK of OpenTelemetry, with providers of the app's own.

They are not the global ones: durabletask would then add its spans of each orchestrator's step to other traces.
"""

from __future__ import annotations

import atexit
import logging
import os
import socket
import threading
import time
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, override
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from domain.restore.trace import recovery_span_id, trace_id
from telemetry.context import current_recovery_id, current_restore_id
from telemetry.exporters import LazyMetricExporter, LazySpanExporter
from telemetry.recoveries import recovery_span
from telemetry.restores import approvals_waiting, figures_of, phase_spans, root_span
from telemetry.signals import RecordedCall, Telemetry

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from opentelemetry.metrics import Counter
    from opentelemetry.trace import Span

    from domain.errors import Json
    from domain.restore.parts import StatusChange
    from telemetry.exporters import Receiver
    from telemetry.spans import EndedSpan

_LOG: Final = logging.getLogger(__name__)
_SCOPE: Final = "azure-vm-restore"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_METRICS_EVERY_MS: Final = 15_000.0
_METRICS_EVERY: Final = "OTEL_METRIC_EXPORT_INTERVAL"
_MAX_ID_LENGTH: Final = 100
_MAX_REPORTED: Final = 10_000
_MAX_SHUTDOWN_S: Final = 10.0
"""How long the end of the process waits for receivers. The SDK alone would wait up to a minute for each."""
_FIRST_ERROR: Final = 400
_PORTS: Final = {"http": 80, "https": 443}
_IDS: Final = {
    "x-ms-request-id": "azure.service_request_id",
    "x-ms-correlation-request-id": "azure.correlation_request_id",
}
_DURATION_BUCKETS_S: Final = (1, 5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 57600, 86400)


class _Ids(RandomIdGenerator):
    """Random ids, except for the spans of a restore or recovery, whose ids follow from its own."""

    def __init__(self) -> None:
        self.next: ContextVar[tuple[int, int] | None] = ContextVar("next ids", default=None)

    @override
    def generate_trace_id(self) -> int:
        ids = self.next.get()
        return super().generate_trace_id() if ids is None else ids[0]

    @override
    def generate_span_id(self) -> int:
        ids = self.next.get()
        return super().generate_span_id() if ids is None else ids[1]


class _Reported:
    """What was reported recently: an activity may run twice, most likely in the same process."""

    def __init__(self) -> None:
        self._keys: dict[str, None] = {}
        self._lock = threading.Lock()

    def is_new(self, key: str) -> bool:
        """Return whether this was not reported recently, and remember it."""
        with self._lock:
            if key in self._keys:
                return False
            self._keys[key] = None
            if len(self._keys) > _MAX_REPORTED:
                del self._keys[next(iter(self._keys))]  # the oldest
            return True


class _SpanOfCall(RecordedCall):
    """A call to Azure as a span and in a counter."""

    def __init__(self, span: Span, calls: Counter, operation: str) -> None:
        self._span, self._calls = span, calls
        self._operation = operation

    @override
    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        self._span.set_attribute("http.response.status_code", status)
        for header, attribute in _IDS.items():
            if value := headers.get(header):
                self._span.set_attribute(attribute, " ".join(value.split())[:_MAX_ID_LENGTH])
        if status >= _FIRST_ERROR:
            self._span.set_attribute("error.type", str(status))
            self._span.set_status(StatusCode.ERROR)
        self._calls.add(1, {"azure.operation": self._operation, "http.response.status_code": status})

    @override
    def failed(self, error_type: str) -> None:
        self._span.set_attribute("error.type", error_type)
        self._span.set_status(StatusCode.ERROR)
        self._calls.add(1, {"azure.operation": self._operation, "error.type": error_type})


class SdkTelemetry(Telemetry):
    """Sends spans and metrics to the receivers, in batches, from threads of its own."""

    def __init__(self, receivers: Sequence[Receiver], *, version: str) -> None:
        resource = Resource(
            {
                "service.name": os.environ.get("WEBSITE_SITE_NAME") or _SCOPE,
                "service.version": version,
                "service.instance.id": os.environ.get("WEBSITE_INSTANCE_ID") or socket.gethostname(),
            }
        )
        self._ids, self._reported = _Ids(), _Reported()
        self._spans = TracerProvider(
            resource=resource, sampler=ParentBased(ALWAYS_ON), id_generator=self._ids, shutdown_on_exit=False
        )
        every_ms = None if _METRICS_EVERY in os.environ else _METRICS_EVERY_MS
        processors = [BatchSpanProcessor(LazySpanExporter(receiver)) for receiver in receivers]
        for processor in processors:
            self._spans.add_span_processor(processor)
        readers = [
            PeriodicExportingMetricReader(LazyMetricExporter(receiver), export_interval_millis=every_ms)
            for receiver in receivers
        ]
        self._metrics = MeterProvider(metric_readers=readers, resource=resource, shutdown_on_exit=False)
        self._senders = [*processors, *readers]
        atexit.register(self.shutdown)
        self._tracer = self._spans.get_tracer(_SCOPE, version)
        meter = self._metrics.get_meter(_SCOPE, version)
        self._calls = meter.create_counter("azure.calls", unit="{call}", description="Calls to Azure.")
        self._ended = meter.create_counter("restore.ended", unit="{restore}", description="Restores that have ended.")
        self._phase_s, self._wait_s = (
            meter.create_histogram(
                name, unit="s", description=description, explicit_bucket_boundaries_advisory=_DURATION_BUCKETS_S
            )
            for name, description in (
                ("restore.phase.duration", "The time of a restore in a phase."),
                ("restore.wait.duration", "The time for which a restore waited for one reason."),
            )
        )
        self._approvals = meter.create_up_down_counter(
            "restore.approvals.waiting", unit="{restore}", description="Restores that wait for a person."
        )

    @contextmanager
    @override
    def call(self, operation: str, *, method: str, endpoint: str, client_request_id: str) -> Generator[RecordedCall]:
        server = urlsplit(endpoint)
        attributes: dict[str, str | int] = {
            "http.request.method": method,
            "server.address": server.hostname or "",
            "server.port": server.port or _PORTS.get(server.scheme, 0),
            "url.scheme": server.scheme,
            "azure.client_request_id": client_request_id,
        }
        if (restore_id := current_restore_id()) is not None:
            attributes["restore.id"] = restore_id
        if (recovery_id := current_recovery_id()) is not None:
            attributes["recovery.id"] = recovery_id
        span = self._tracer.start_span(operation, kind=SpanKind.CLIENT, attributes=attributes)
        try:
            yield _SpanOfCall(span, self._calls, operation)
        finally:
            span.end()

    @override
    def call_not_sent(self, operation: str) -> None:
        self._calls.add(1, {"azure.operation": operation, "error.type": "NotSent"})

    @override
    def status_changed(self, change: StatusChange) -> None:
        try:
            restore_id = (change.document or {}).get("id")
            by = approvals_waiting(change)
            if by and self._reported.is_new(f"{restore_id} {change.status} {change.time}"):
                self._approvals.add(by)
        except Exception:  # noqa: BLE001 - whatever it is, the restore goes on
            _LOG.exception("a change of status is missing in the telemetry")

    @override
    def restore_ended(self, document: Json) -> None:
        try:
            if self._reported.is_new(f"{document['id']} ended {document['completedTime']}"):
                self._record_restore(document)
        except Exception:  # noqa: BLE001 - whatever it is, the restore goes on
            _LOG.exception("restore %s is missing in the telemetry", document.get("id"))

    @override
    def recovery_ended(self, document: Json, end: int) -> None:
        try:
            trace, first_span = trace_id(document["id"]), recovery_context(document["id"])
            if trace is not None and first_span is not None and self._reported.is_new(f"{document['id']} ended {end}"):
                parent = Context() if end == 1 else set_span_in_context(NonRecordingSpan(first_span), Context())
                self._record(trace, recovery_span(document, end), parent, SpanKind.SERVER)
        except Exception:  # noqa: BLE001 - whatever it is, the recovery goes on
            _LOG.exception("recovery %s is missing in the telemetry", document.get("id"))

    def _record_restore(self, document: Json) -> None:
        trace = trace_id(document["id"])
        if trace is not None:
            parent = self._record(trace, root_span(document), Context(), SpanKind.SERVER)
            for phase in phase_spans(document):
                self._record(trace, phase, parent, SpanKind.INTERNAL)
        figures = figures_of(document)
        self._ended.add(1, figures.ended)
        for phase, seconds in figures.phase_s.items():
            self._phase_s.record(seconds, {"restore.phase": phase})
        for reason, seconds in figures.wait_s.items():
            self._wait_s.record(seconds, {"restore.wait_reason": reason})

    def _record(self, trace: int, span: EndedSpan, parent: Context, kind: SpanKind) -> Context:
        """Record a span with its own ids and times; return it as the parent of others."""
        token = self._ids.next.set((trace, span.span_id))
        try:
            made = self._tracer.start_span(
                span.name,
                parent,
                kind=kind,
                attributes=span.attributes,
                links=_links(span),
                start_time=_ns(span.started),
            )
        finally:
            self._ids.next.reset(token)
        if span.error_code is not None:
            made.set_attribute("error.type", span.error_code)
            made.set_status(Status(StatusCode.ERROR, span.error_code))
        made.end(_ns(span.ended))
        return set_span_in_context(made, parent)

    @override
    def flush(self) -> None:
        self._spans.force_flush()
        self._metrics.force_flush()

    @override
    def shutdown(self) -> None:
        atexit.unregister(self.shutdown)
        # At the same time, so that no receiver takes the time of another; daemons, so that none holds up the exit.
        stopping = [
            threading.Thread(target=sender.shutdown, daemon=True)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - untyped kwargs
            for sender in self._senders
        ]
        until = time.monotonic() + _MAX_SHUTDOWN_S
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join(max(0.0, until - time.monotonic()))


def recovery_context(recovery_id: str) -> SpanContext | None:
    """Return the context of a recovery's first span, wherever that was or will be made."""
    trace = trace_id(recovery_id)
    if trace is None:
        return None
    sampled = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(trace, recovery_span_id(recovery_id), is_remote=True, trace_flags=sampled)


def _links(span: EndedSpan) -> list[Link]:
    context = None if span.recovery_id is None else recovery_context(span.recovery_id)
    return [] if context is None else [Link(context)]


def _ns(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1) * 1000
