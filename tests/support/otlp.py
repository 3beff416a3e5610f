"""A receiver of telemetry on loopback: OTLP over HTTP, read with OpenTelemetry's own messages."""

from __future__ import annotations

import gzip
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opentelemetry.proto.common.v1.common_pb2 import KeyValue

    from tests.support.receiver import Got

type Attributes = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenSpan:
    """A span as it arrived; ids in hex, times in nanoseconds. Links are pairs of a trace and a span."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    started: int
    ended: int
    attributes: Attributes
    is_error: bool
    links: tuple[tuple[str, str], ...]


class OtlpReceiver(Receiver):
    """A context manager that keeps what is sent; give its ``url`` as ``OTEL_EXPORTER_OTLP_ENDPOINT``."""

    @property
    def settings(self) -> dict[str, str]:
        """The app's setting for it."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url}

    @property
    def spans(self) -> list[SeenSpan]:
        """All spans, in the order in which they came."""
        return [
            _seen(span)
            for request in (ExportTraceServiceRequest.FromString(body) for body in self._bodies("/v1/traces"))
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def trace(self, restore_id: str) -> list[SeenSpan]:
        """Return the spans of a restore's trace."""
        return [span for span in self.spans if span.trace_id == restore_id.replace("-", "")]

    def figures(self, metric: str) -> list[tuple[Attributes, float]]:
        """Return the latest value for each set of attributes: a number, or the sum of a histogram."""
        latest: dict[str, tuple[Attributes, float]] = {}
        for name, attributes, value in self._points():
            if name == metric:
                latest[str(sorted(attributes.items()))] = attributes, value
        return list(latest.values())

    def by(self, metric: str, attribute: str) -> dict[Any, float]:
        """Return the latest values added up by one attribute."""
        sums: defaultdict[Any, float] = defaultdict(float)
        for attributes, value in self.figures(metric):
            sums[attributes.get(attribute)] += value
        return dict(sums)

    @property
    def text(self) -> str:
        """All that came, as text."""
        return "".join(str(body) for got in list(self.got) for body in [got.path, *_read(got)])

    def _points(self) -> Iterator[tuple[str, Attributes, float]]:
        for body in self._bodies("/v1/metrics"):
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        for number in metric.sum.data_points:
                            yield metric.name, _attributes(number.attributes), number.as_int or number.as_double
                        for histogram in metric.histogram.data_points:
                            yield metric.name, _attributes(histogram.attributes), histogram.sum

    def _bodies(self, path: str) -> Iterator[bytes]:
        return (_body(got) for got in list(self.got) if got.path == path)


def _body(got: Got) -> bytes:
    return gzip.decompress(got.body) if got.headers.get("Content-Encoding") == "gzip" else got.body


def _read(got: Got) -> list[object]:
    kinds = {"/v1/traces": ExportTraceServiceRequest, "/v1/metrics": ExportMetricsServiceRequest}
    return [kinds[got.path].FromString(_body(got))]


def _seen(span: Span) -> SeenSpan:
    return SeenSpan(
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        started=span.start_time_unix_nano,
        ended=span.end_time_unix_nano,
        attributes=_attributes(span.attributes),
        is_error=span.status.code == Status.STATUS_CODE_ERROR,
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
    )


def _attributes(pairs: Iterable[KeyValue]) -> Attributes:
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in pairs}
