"""The receivers of telemetry: Application Insights, and any that speaks OTLP over HTTP.

Their exporters are imported when the first batch is sent, in the thread that sends it: the import takes long, and the
app's start must not wait for it. If one cannot be made, the log says so once, and its batches are lost.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final, override

from opentelemetry.sdk.metrics import Counter, Histogram
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricExporter, MetricExportResult
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from azure.core.credentials import TokenCredential
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.trace import ReadableSpan

_LOG: Final = logging.getLogger(__name__)
DELTAS: Final = {Counter: AggregationTemporality.DELTA, Histogram: AggregationTemporality.DELTA}
"""What Application Insights expects: it adds up the values of all exports."""
_HEADERS_LOGGER: Final = "opentelemetry.util.re"


def _without_header(record: logging.LogRecord) -> bool:
    """Remove what the line quotes: an invalid part of ``OTEL_EXPORTER_OTLP_HEADERS``, which may be a key."""
    record.args = ("(removed)",) if record.args else record.args
    return True


class Receiver:
    """A receiver of telemetry. ``name`` is for the log."""

    name: str
    temporality: dict[type, AggregationTemporality] | None = None

    def span_exporter(self) -> SpanExporter:
        """Return the exporter of spans."""
        raise NotImplementedError

    def metric_exporter(self) -> MetricExporter:
        """Return the exporter of metrics."""
        raise NotImplementedError


class ApplicationInsights(Receiver):
    """Application Insights, with a token of the app's identity: it may refuse the key in the connection string."""

    name = "Application Insights"
    temporality = DELTAS

    def __init__(self, connection_string: str, credential_factory: Callable[[], TokenCredential]) -> None:
        self._connection_string, self._credential_factory = connection_string, credential_factory

    @override
    def span_exporter(self) -> SpanExporter:
        from telemetry import application_insights  # noqa: PLC0415 - see above

        return application_insights.span_exporter(self._connection_string, self._credential_factory())

    @override
    def metric_exporter(self) -> MetricExporter:
        from telemetry import application_insights  # noqa: PLC0415 - see above

        return application_insights.metric_exporter(self._connection_string, self._credential_factory())


class Otlp(Receiver):
    """A receiver of OTLP over HTTP. The exporter reads the other settings of OpenTelemetry itself."""

    name = "OTLP"

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint.rstrip("/")
        logging.getLogger(_HEADERS_LOGGER).addFilter(_without_header)

    @override
    def span_exporter(self) -> SpanExporter:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

        return OTLPSpanExporter(endpoint=f"{self._endpoint}/v1/traces")

    @override
    def metric_exporter(self) -> MetricExporter:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415

        return OTLPMetricExporter(endpoint=f"{self._endpoint}/v1/metrics")


class _Lazy[E]:
    """An exporter that is made when it is first needed."""

    def __init__(self, make: Callable[[], E], what: str) -> None:
        self._make, self._what = make, what
        self._made: E | None = None
        self._is_broken = False
        self._lock = threading.Lock()

    def get(self) -> E | None:
        """Return the exporter, or ``None`` if it cannot be made."""
        with self._lock:
            if self._made is None and not self._is_broken:
                try:
                    self._made = self._make()
                except Exception:  # noqa: BLE001 - whatever it is, the restores go on
                    self._is_broken = True
                    _LOG.exception("TELEMETRY IS LOST: %s cannot be sent", self._what)
            return self._made

    @property
    def made(self) -> E | None:
        """The exporter if it was made."""
        return self._made


class LazySpanExporter(SpanExporter):
    """Sends spans to a receiver whose exporter is made with the first batch."""

    def __init__(self, receiver: Receiver) -> None:
        self._lazy = _Lazy(receiver.span_exporter, f"spans to {receiver.name}")

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        exporter = self._lazy.get()
        return SpanExportResult.FAILURE if exporter is None else exporter.export(spans)

    @override
    def shutdown(self) -> None:
        if self._lazy.made is not None:
            self._lazy.made.shutdown()


class LazyMetricExporter(MetricExporter):
    """Sends metrics to a receiver whose exporter is made with the first batch."""

    def __init__(self, receiver: Receiver) -> None:
        super().__init__(preferred_temporality=receiver.temporality)
        self._lazy = _Lazy(receiver.metric_exporter, f"metrics to {receiver.name}")

    @override
    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object) -> MetricExportResult:
        exporter = self._lazy.get()
        if exporter is None:
            return MetricExportResult.FAILURE
        return exporter.export(metrics_data, timeout_millis)  # pyright: ignore[reportUnknownMemberType] - untyped kwargs

    @override
    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    @override
    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None:
        if self._lazy.made is not None:
            self._lazy.made.shutdown(timeout_millis)  # pyright: ignore[reportUnknownMemberType] - untyped kwargs
