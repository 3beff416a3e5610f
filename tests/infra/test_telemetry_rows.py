"""The queries on what the app itself sends: its log lines, and its spans and metrics as the exporter writes them."""

from __future__ import annotations

import logging
import re
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any, override

import pytest
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from domain.azure.jobs import JobStatus
from domain.codec import pack
from domain.errors import ErrorDetail
from domain.restore.calls import PublishEvents, PublishResult
from domain.restore.parts import Status, StatusChange
from domain.restore.trace import TRACEPARENT
from domain.times import parse_request_time
from telemetry import application_insights
from telemetry.context import restore_context
from telemetry.exporters import Receiver
from telemetry.sdk import SdkTelemetry
from telemetry.signals import NO_TELEMETRY
from tests.infra.kql import NOW, Insights, values
from tests.support.azure import VM_ID
from tests.support.player import RESTORE, Player
from triggers.durable import _events_publisher, _result_publisher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.metrics.export import MetricsData


NOWHERE = "InstrumentationKey=00000000-0000-0000-0000-000000000000;IngestionEndpoint=http://127.0.0.1:1/"
READ = "Microsoft.RecoveryServices/vaults/backupJobs/read"


class Sink:
    """Takes what the activities put on queues, and the list entry."""

    def set(self, _value: object) -> None: ...

    def schedule_new_orchestration(self, *_args: object, **_options: object) -> None: ...


class KeptMetrics(MetricExporter):
    """Keeps the metrics that are sent."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[MetricsData] = []

    @override
    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object) -> MetricExportResult:
        self.batches.append(metrics_data)
        return MetricExportResult.SUCCESS

    @override
    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    @override
    def shutdown(self, timeout_millis: float = 30_000, **kwargs: object) -> None: ...


class Memory(Receiver):
    """Keeps spans and metrics, and writes them as the exporter of Application Insights does."""

    name = "memory"
    temporality = None

    def __init__(self) -> None:
        self._spans, self._metrics = InMemorySpanExporter(), KeptMetrics()

    @override
    def span_exporter(self) -> InMemorySpanExporter:
        return self._spans

    @override
    def metric_exporter(self) -> MetricExporter:
        return self._metrics

    def items(self) -> Iterator[Any]:
        spans: Any = application_insights.span_exporter(NOWHERE, None)  # pyright: ignore[reportArgumentType]
        metrics: Any = application_insights.metric_exporter(NOWHERE, None)  # pyright: ignore[reportArgumentType]
        for span in self._spans.get_finished_spans():
            yield spans._span_to_envelope(span)
        for batch in self._metrics.batches:
            for resource in batch.resource_metrics:
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        for point in metric.data.data_points:
                            yield metrics._point_to_envelope(point, metric.name, resource.resource, scope.scope)


def _milliseconds(duration: str) -> float:
    parts = re.fullmatch(r"(\d+)\.(\d+):(\d+):(\d+)\.(\d+)", duration)
    assert parts is not None
    days, hours, minutes, seconds, ms = map(int, parts.groups())
    return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000 + ms


def store(insights: Insights, item: Any) -> None:
    """Store an item in its table, as Application Insights does."""
    data = item.data.base_data
    when = {"ago": NOW - item.time.astimezone(UTC), "dimensions": data.properties}
    if item.data.base_type == "MetricData":
        (metric,) = data.metrics
        insights.add("customMetrics", **when, name=metric.name, valueSum=metric.value, valueCount=metric.count)
        return
    when |= {"operation_Id": item.tags["ai.operation.id"], "duration": _milliseconds(data.duration)}
    if item.data.base_type == "RequestData":
        insights.add("requests", **when, name=data.name, resultCode=data.response_code)
    else:
        insights.add("dependencies", **when, name=data.name, resultCode=data.result_code, type=data.type)


@pytest.fixture
def insights() -> Insights:
    return Insights()


def publish(player: Player, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Publish the events and the results of the player's restores; return the log lines."""
    caplog.set_level(logging.INFO, logger="triggers")
    publish_events, publish_result = _events_publisher(NO_TELEMETRY), _result_publisher(NO_TELEMETRY, has_webhook=False)
    for event in player.receivers.events:
        change = StatusChange(
            status=Status(event["event"]), time=parse_request_time(event["time"]), document=event["restore"]
        )
        publish_events(pack(PublishEvents(changes=(change,))), Sink())
    for document in player.receivers.published:
        publish_result(pack(PublishResult(document=document)), Sink(), Sink())
    return [record.getMessage() for record in caplog.records]


def test_the_lines_of_a_restore_that_failed_make_an_alert(insights: Insights, caplog: pytest.LogCaptureFixture) -> None:
    player = Player()
    player.azure.job_end = JobStatus.FAILED
    player.azure.job_details = (ErrorDetail(code="UserErrorCoreCount", message="The quota is used up. Raise it."),)
    done = player.run()
    insights.log(*publish(player, caplog))

    alerts = insights.run("alert-restore-failed")
    failed = insights.run("restores-failed")

    assert done["status"] == "Failed"
    assert values(alerts, "RestoreId", "VirtualMachineId", "Status", "ErrorCode") == [
        (RESTORE, VM_ID, "Failed", done["error"]["code"])
    ]
    assert values(failed, "Error code", "Message") == [(done["error"]["code"], done["error"]["message"])]


def test_spans_and_metrics_of_a_restore_give_rpo_rto_phases_and_calls(insights: Insights) -> None:
    memory, done = Memory(), Player().run()
    telemetry = SdkTelemetry([memory], version="1")
    traceparent = f"00-{RESTORE.replace('-', '')}-00000000000000aa-01"
    with (
        restore_context({TRACEPARENT: traceparent}),
        telemetry.call(READ, method="GET", endpoint="https://management.azure.com", client_request_id="id") as call,
    ):
        call.answered(429, {})
    telemetry.restore_ended(done)
    telemetry.shutdown()
    for item in memory.items():
        store(insights, item)
    insights.log(f"restore {RESTORE} of {VM_ID}: status Running")

    created, completed = parse_request_time(done["createdTime"]), parse_request_time(done["completedTime"])
    point = parse_request_time(done["recoveryPoint"]["time"])
    (vm,) = insights.run("rpo-rto-by-vm")
    hour = timedelta(hours=1)
    assert vm["VM id"] == VM_ID.lower()
    assert vm["RPO, worst (h)"] == round((created - point) / hour, 2)
    assert vm["RTO, longest (h)"] == round((completed - created) / hour, 2)
    assert {row["Phase"] for row in insights.run("phases")} == {phase["phase"] for phase in done["phases"]}
    assert values(insights.run("calls"), "Operation", "Calls", "Throttled (429)") == [(READ, 1, 1)]
    assert values(insights.run("restores-not-ended"), "Operation", "Answer") == [(READ, "429")]
    assert {row["Waited for"] for row in insights.run("waits")} == {
        wait["reason"] for phase in done["phases"] for wait in phase.get("waits", [])
    }
