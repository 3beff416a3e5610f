"""The exporters of Application Insights. Their import takes long: see ``telemetry.exporters``.

Nothing is stored on disk: batches that cannot be sent are lost.
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Any, Final

from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter, AzureMonitorTraceExporter
from opentelemetry.sdk.trace import ReadableSpan

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.trace.export import SpanExporter

_SWITCHED_OFF: Final = (
    *("STATSBEAT_DISABLED_ALL", "SDKSTATS_DISABLED", "CONTROLPLANE_DISABLED"),
    "OPENTELEMETRY_RESOURCE_METRIC_DISABLED",
)
"""What the exporter would send about itself, or read from other addresses of Microsoft."""
_VERBOSE_LOGGERS: Final = ("azure.monitor.opentelemetry.exporter", "azure.core.pipeline.policies.http_logging_policy")
_OPERATION_NAME: Final = "ai.operation.name"
_MAX_AGE_NS: Final = 47 * 3600 * 10**9
"""Application Insights refuses what began more than 48 h ago ("Field 'time' on type 'Envelope' is older than …")."""


class _NamingExporter(AzureMonitorTraceExporter):
    """Keeps the names of calls. The exporter would name each of them after its URL, which the spans do not have.

    It also lets the spans of long restores and recoveries start late enough for Application Insights;
    ``restore.rto_s`` and ``recovery.rto_s`` are true. The hook is private: without it the names would be ``GET /``, the
    spans of long restores would be lost, and nothing else would change.
    """

    def _span_to_envelope(self, span: ReadableSpan) -> Any:
        envelope: Any = super()._span_to_envelope(_with_accepted_start(span, time.time_ns()))
        envelope.data.base_data.name = span.name
        for kind in ("restore", "recovery"):
            if f"{kind}.id" in (span.attributes or {}):
                envelope.tags[_OPERATION_NAME] = kind
                break
        return envelope


def _with_accepted_start(span: ReadableSpan, now_ns: int) -> ReadableSpan:
    """Return the span, or if it started too long ago, a copy that starts later. Its end is the same if possible."""
    first = now_ns - _MAX_AGE_NS
    if span.start_time is None or span.start_time >= first:
        return span
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=span.attributes,
        links=span.links,
        kind=span.kind,
        status=span.status,
        start_time=first,
        end_time=max(first, span.end_time or first),
        instrumentation_scope=span.instrumentation_scope,
    )


def span_exporter(connection_string: str, credential: TokenCredential) -> SpanExporter:
    """Return the exporter of spans; raises ``ValueError`` for an invalid connection string."""
    return _NamingExporter(**_options(connection_string, credential))


def metric_exporter(connection_string: str, credential: TokenCredential) -> MetricExporter:
    """Return the exporter of metrics; raises ``ValueError`` for an invalid connection string."""
    return AzureMonitorMetricExporter(**_options(connection_string, credential))


def _options(connection_string: str, credential: TokenCredential) -> dict[str, Any]:
    for name in _SWITCHED_OFF:
        os.environ.setdefault(f"APPLICATIONINSIGHTS_{name}", "true")
    for name in _VERBOSE_LOGGERS:  # several lines for each batch, which Application Insights would store, too
        logging.getLogger(name).setLevel(logging.WARNING)
    return {"connection_string": connection_string, "credential": credential, "disable_offline_storage": True}
