"""Spans and metrics of the SDK, and receivers that cannot be reached: no restore notices."""

from __future__ import annotations

import json
import logging
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, override

import pytest
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from domain.restore.document import document
from domain.restore.machine import advance
from domain.restore.parts import Outcome, Status, StatusChange
from domain.restore.trace import with_recovery
from domain.times import format_time
from settings import Settings
from telemetry import application_insights
from telemetry.context import restore_context
from telemetry.exporters import Otlp, Receiver
from telemetry.restores import approvals_waiting
from telemetry.sdk import SdkTelemetry
from telemetry.setup import telemetry_from
from telemetry.signals import NO_TELEMETRY
from tests.support.arm_server import FakeCredential
from tests.unit.domain.recovery.driving import a_group, running
from tests.unit.domain.restore.states import NOW, tracking_job

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter

    from domain.errors import Json

CONNECTION = "InstrumentationKey=00000000-0000-0000-0000-000000000001;IngestionEndpoint=https://127.0.0.1:1/"


class KeptMetrics(MetricExporter):
    """Keeps metrics as JSON."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []

    @override
    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        self.sent.append(metrics_data.to_json())
        return MetricExportResult.SUCCESS

    @override
    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    @override
    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Keep what there is."""


class Kept(Receiver):
    """Keeps what it gets; a ``broken`` one has no exporter of metrics."""

    name = "a test"

    def __init__(self, *, broken: bool = False) -> None:
        self.spans, self.metrics, self._broken = InMemorySpanExporter(), KeptMetrics(), broken

    @override
    def span_exporter(self) -> SpanExporter:
        return self.spans

    @override
    def metric_exporter(self) -> MetricExporter:
        if self._broken:
            raise ValueError("no metrics here")
        return self.metrics

    def by_name(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.spans.get_finished_spans()}


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def telemetry(kept: Kept) -> Iterator[SdkTelemetry]:
    made = SdkTelemetry([kept], version="1")
    yield made
    made.shutdown()


def ended(status: Status = Status.COMPLETED, **members: Any) -> Json:
    noted = advance(tracking_job(), NOW)
    outcome = Outcome(status=status, completed=NOW + timedelta(minutes=1), **members)
    return document(advance(replace(noted, outcome=outcome), NOW + timedelta(minutes=1)), NOW)


def test_a_result_that_is_published_twice_is_reported_once(telemetry: SdkTelemetry, kept: Kept) -> None:
    for _ in range(2):
        telemetry.restore_ended(ended())
        telemetry.status_changed(a_change(Status.AWAITING_APPROVAL, "Validating", "AwaitingApproval"))
    telemetry.flush()
    metrics = {
        metric["name"]: metric["data"]["data_points"][0]["value"]
        for metric in json.loads(kept.metrics.sent[0])["resource_metrics"][0]["scope_metrics"][0]["metrics"]
        if metric["name"] in {"restore.ended", "restore.approvals.waiting"}
    }

    assert len(kept.spans.get_finished_spans()) == 2
    assert metrics == {"restore.ended": 1, "restore.approvals.waiting": 1}


def test_another_process_reports_the_same_spans() -> None:
    def spans() -> list[str]:
        kept = Kept()
        telemetry = SdkTelemetry([kept], version="1")
        telemetry.restore_ended(ended())
        telemetry.shutdown()
        return [span.to_json() for span in kept.spans.get_finished_spans()]

    assert spans() == spans()
    assert len(spans()) == 2


def test_calls_do_not_get_the_ids_of_restores(telemetry: SdkTelemetry, kept: Kept) -> None:
    telemetry.restore_ended(ended())
    for _ in range(2):
        with telemetry.call("op", method="GET", endpoint="https://arm", client_request_id="c") as call:
            call.answered(200, {})
    telemetry.flush()

    contexts = [span.context for span in kept.spans.get_finished_spans() if span.context]
    assert len({context.span_id for context in contexts}) == 4


@pytest.mark.parametrize(
    ("status", "is_error"),
    [
        (Status.FAILED, True),
        (Status.TIMED_OUT, True),
        (Status.COMPLETED_WITH_WARNINGS, False),
        (Status.CANCELLED, False),
        (Status.REJECTED, False),
        (Status.PLANNED, False),
    ],
)
def test_what_people_decided_is_no_failure(
    telemetry: SdkTelemetry, kept: Kept, status: Status, *, is_error: bool
) -> None:
    telemetry.restore_ended(ended(status, error={"code": "X", "message": "secret?"}))
    telemetry.flush()
    root = kept.by_name()["restore"]

    assert (root.status.is_ok, root.status.description) == (not is_error, "X" if is_error else None)
    assert (root.attributes or {})["restore.error_code"] == "X"
    assert "secret?" not in root.to_json()


def test_a_restore_of_an_earlier_version_has_its_root_alone(telemetry: SdkTelemetry, kept: Kept) -> None:
    outcome = Outcome(status=Status.COMPLETED, completed=NOW)
    telemetry.restore_ended(document(replace(tracking_job(), timeline=None, outcome=outcome), NOW))
    telemetry.flush()

    assert kept.by_name().keys() == {"restore"}


def test_a_call_has_its_answers_ids_and_nothing_else_of_its_headers(telemetry: SdkTelemetry, kept: Kept) -> None:
    headers = {
        "x-ms-request-id": "a\n" + "b" * 200,
        "Location": "https://x?sig=planted",
        "x-ms-correlation-request-id": "c",
    }
    with telemetry.call("op", method="GET", endpoint="https://arm", client_request_id="r") as call:
        call.answered(429, headers)
    telemetry.flush()
    span = kept.by_name()["op"]

    assert span.attributes == {
        "http.request.method": "GET",
        "server.address": "arm",
        "server.port": 443,
        "url.scheme": "https",
        "azure.client_request_id": "r",
        "http.response.status_code": 429,
        "azure.service_request_id": "a " + "b" * 98,
        "azure.correlation_request_id": "c",
        "error.type": "429",
    }
    assert not span.status.is_ok


def test_a_call_without_an_answer_is_an_error_of_its_kind(telemetry: SdkTelemetry, kept: Kept) -> None:
    def fail() -> None:
        with telemetry.call("op", method="GET", endpoint="https://arm", client_request_id="r") as call:
            call.failed("ConnectionError")
            raise ValueError("https://x?sig=planted")

    with pytest.raises(ValueError, match="sig=planted"):
        fail()
    telemetry.flush()
    span = kept.by_name()["op"]

    assert (span.attributes or {})["error.type"] == "ConnectionError"
    assert "planted" not in span.to_json()


def test_a_call_outside_a_restore_has_a_trace_of_its_own(telemetry: SdkTelemetry, kept: Kept) -> None:
    with telemetry.call("op", method="GET", endpoint="https://arm", client_request_id="r") as call:
        call.answered(200, {})
    telemetry.flush()
    span = kept.by_name()["op"]

    assert span.parent is None
    assert "restore.id" not in (span.attributes or {})


def test_a_document_that_cannot_be_read_stops_nothing(
    telemetry: SdkTelemetry, caplog: pytest.LogCaptureFixture
) -> None:
    telemetry.restore_ended({"id": "1a6ae6b2-669a-4262-9b25-aee9d6e71a4e"})
    telemetry.status_changed(StatusChange(status=Status.RUNNING, time=NOW, document={"phases": [{}, {}]}))

    assert "restore 1a6ae6b2-669a-4262-9b25-aee9d6e71a4e is missing in the telemetry" in caplog.text
    assert "a change of status is missing" in caplog.text


def test_a_receiver_whose_exporter_cannot_be_made_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    telemetry = SdkTelemetry([Kept(broken=True)], version="1")
    for _ in range(3):
        telemetry.call_not_sent("op")
        telemetry.flush()
    telemetry.shutdown()

    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [
        "TELEMETRY IS LOST: metrics to a test cannot be sent"
    ]


@pytest.mark.parametrize(
    ("setting", "package", "value"),
    [
        ("APPLICATIONINSIGHTS_CONNECTION_STRING", "azure.monitor.opentelemetry.exporter", CONNECTION),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "opentelemetry.exporter.otlp.proto.http", "http://127.0.0.1:1"),
    ],
)
def test_an_exporter_that_is_not_deployed_is_reported_at_the_start(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, setting: str, package: str, value: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)

    assert telemetry_from(Settings.from_env({setting: value}), no_credential, version="1") is NO_TELEMETRY
    assert f"TELEMETRY IS OFF for {setting}" in caplog.text
    assert "docs/telemetry.md" in caplog.text


def test_an_invalid_connection_string_is_reported_when_it_is_needed(caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings.from_env({"APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=planted"})
    made = telemetry_from(settings, no_credential, version="1")
    made.restore_ended(ended())
    made.shutdown()

    assert "TELEMETRY IS LOST: spans to Application Insights cannot be sent" in caplog.text
    assert "planted" not in caplog.text
    assert "planted" not in repr(settings)


def no_credential() -> Any:
    return object()


def a_change(status: Status, *phases: str, ended: bool = False) -> StatusChange:
    shown: Json = {"phase": "Finished" if ended else phases[-1], "phases": [{"phase": phase} for phase in phases]}
    return StatusChange(status=status, time=NOW, document=shown)


@pytest.mark.parametrize(
    ("change", "by"),
    [
        (a_change(Status.AWAITING_APPROVAL, "Validating", "AwaitingApproval"), 1),
        (a_change(Status.RUNNING, "Resolving", "Validating", "AwaitingApproval", "Triggering"), -1),
        (a_change(Status.REJECTED, "Validating", "AwaitingApproval", ended=True), -1),
        (a_change(Status.COMPLETED, "AwaitingApproval", "Triggering", "TrackingJob", ended=True), 0),
        (a_change(Status.RUNNING, "Resolving"), 0),
        (StatusChange(status=Status.RUNNING, time=NOW, document={}), 0),
    ],
)
def test_a_restore_waits_for_a_person_until_its_status_changes(change: StatusChange, by: int) -> None:
    assert approvals_waiting(change) == by


def test_calls_not_sent_are_counted(telemetry: SdkTelemetry, kept: Kept) -> None:
    telemetry.call_not_sent("op")
    telemetry.flush()

    assert '"azure.operation": "op"' in kept.metrics.sent[0]
    assert '"error.type": "NotSent"' in kept.metrics.sent[0]


def test_a_restores_calls_are_children_of_its_phase(telemetry: SdkTelemetry, kept: Kept) -> None:
    restore_id = "1a6ae6b2-669a-4262-9b25-aee9d6e71a4e"
    with (
        restore_context({"traceparent": f"00-{restore_id.replace('-', '')}-00f067aa0ba902b7-01"}),
        telemetry.call("op", method="GET", endpoint="https://arm", client_request_id="r") as call,
    ):
        call.answered(200, {})
    telemetry.flush()
    span = kept.by_name()["op"]

    assert span.parent is not None
    assert span.parent.span_id == 0x00F067AA0BA902B7
    assert (span.attributes or {})["restore.id"] == restore_id


class Hanging(Kept):
    """Keeps the thread that sends spans until it is released."""

    name = "a test that hangs"

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    @override
    def span_exporter(self) -> SpanExporter:
        self.released.wait(30)
        return self.spans


def test_a_receiver_that_hangs_keeps_neither_the_process_nor_other_receivers_from_their_end(
    monkeypatch: pytest.MonkeyPatch, kept: Kept
) -> None:
    monkeypatch.setattr("telemetry.sdk._MAX_SHUTDOWN_S", 1.0)
    hanging = Hanging()
    telemetry = SdkTelemetry([hanging, kept], version="1")
    telemetry.restore_ended(ended())
    telemetry.shutdown()

    assert kept.by_name().keys() == {"restore", "TrackingJob"}
    assert hanging.by_name() == {}
    hanging.released.set()


def test_a_key_that_is_no_header_is_not_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "planted")
    Otlp("http://127.0.0.1:1").span_exporter().shutdown()

    assert "Header format invalid" in caplog.text
    assert "planted" not in caplog.text


@pytest.mark.parametrize(("ended_ago", "phase_s"), [(timedelta(minutes=1), 60), (timedelta(days=3), 0)])
def test_application_insights_gets_a_long_restore_as_if_it_began_47_hours_ago(
    telemetry: SdkTelemetry, kept: Kept, ended_ago: timedelta, phase_s: float
) -> None:
    now = datetime.now(UTC)
    created, completed = format_time(now - timedelta(days=4)), format_time(now - ended_ago)
    phases = [
        {"phase": "Validating", "started": created, "ended": format_time(now - timedelta(days=3, hours=12))},
        {"phase": "TrackingJob", "started": format_time(now - ended_ago - timedelta(minutes=1)), "ended": completed},
    ]
    telemetry.restore_ended({**ended(), "createdTime": created, "completedTime": completed, "phases": phases})
    telemetry.flush()
    exporter: Any = application_insights.span_exporter(CONNECTION, FakeCredential("token"))
    sent = {name: exporter._span_to_envelope(span) for name, span in kept.by_name().items()}
    exporter.shutdown()

    begun = {name: item.time for name, item in sent.items()}
    assert min(begun.values()) >= now - timedelta(hours=47)
    assert begun["restore"] <= begun["TrackingJob"]
    assert sent["restore"].data.base_data.properties["restore.rto_s"] == str(
        (timedelta(days=4) - ended_ago).total_seconds()
    )
    assert sent["TrackingJob"].data.base_data.duration == f"0.00:{phase_s // 60:02}:00.000"


def test_calls_that_a_recovery_makes_name_it_and_no_restore(telemetry: SdkTelemetry, kept: Kept) -> None:
    recovery_id = "1a6ae6b2-669a-4262-9b25-aee9d6e71a4e"
    with (
        restore_context(with_recovery({}, recovery_id)),
        telemetry.call("op", method="GET", endpoint="https://arm", client_request_id="r") as call,
    ):
        call.answered(200, {})
    telemetry.flush()
    span = kept.by_name()["op"]

    assert (span.attributes or {})["recovery.id"] == recovery_id
    assert span.context
    assert f"{span.context.trace_id:032x}" == recovery_id.replace("-", "")


RECOVERY_ID = "1a6ae6b2-669a-4262-9b25-aee9d6e71a4e"


def a_recovery() -> Json:
    """Return the document of a recovery that has ended."""
    driven = running(a_group(), recovery_id=RECOVERY_ID).passes(minutes=31).end(0)
    driven.step()
    return driven.document


def spans_of(kept: Kept) -> list[ReadableSpan]:
    return list(kept.spans.get_finished_spans())


def test_each_end_of_a_recovery_is_reported_once_and_a_later_one_below_the_first(
    telemetry: SdkTelemetry, kept: Kept
) -> None:
    for end in (1, 1, 2, 1, 2):
        telemetry.recovery_ended(a_recovery(), end)
    telemetry.flush()
    first, second = spans_of(kept)

    assert first.context
    assert second.context
    assert (first.name, first.kind, first.parent) == ("recovery", SpanKind.SERVER, None)
    assert f"{first.context.trace_id:032x}" == RECOVERY_ID.replace("-", "")
    assert second.parent
    assert second.context.trace_id == first.context.trace_id
    assert second.parent.span_id == first.context.span_id != second.context.span_id
    for span in (first, second):
        assert (span.end_time or 0) - (span.start_time or 0) == 31 * 60 * 10**9


def test_the_calls_of_a_recovery_are_below_its_span(telemetry: SdkTelemetry, kept: Kept) -> None:
    with (
        restore_context(with_recovery({}, RECOVERY_ID)),
        telemetry.call("op", method="GET", endpoint="https://arm", client_request_id="r") as call,
    ):
        call.answered(200, {})
    telemetry.recovery_ended(a_recovery(), 1)
    telemetry.flush()
    call_span, recovery = kept.by_name()["op"], kept.by_name()["recovery"]

    assert call_span.parent
    assert recovery.context
    assert (call_span.parent.trace_id, call_span.parent.span_id) == (
        recovery.context.trace_id,
        recovery.context.span_id,
    )


def test_a_members_restore_is_linked_to_the_recovery(telemetry: SdkTelemetry, kept: Kept) -> None:
    telemetry.restore_ended({**ended(), "recoveryId": RECOVERY_ID})
    telemetry.recovery_ended(a_recovery(), 1)
    telemetry.flush()
    root, recovery = kept.by_name()["restore"], kept.by_name()["recovery"]

    assert root.context
    assert recovery.context
    assert root.context.trace_id != recovery.context.trace_id
    [link] = root.links
    assert (link.context.trace_id, link.context.span_id) == (recovery.context.trace_id, recovery.context.span_id)
    assert not kept.by_name()["TrackingJob"].links


@pytest.mark.parametrize("recovery_id", [None, "r-1"])
def test_a_restore_without_a_recovery_has_no_link(telemetry: SdkTelemetry, kept: Kept, recovery_id: str | None) -> None:
    telemetry.restore_ended({**ended(), "recoveryId": recovery_id})
    telemetry.flush()

    assert not kept.by_name()["restore"].links


def test_another_process_reports_a_recovery_with_the_same_ids_and_times() -> None:
    def spans() -> list[str]:
        kept = Kept()
        telemetry = SdkTelemetry([kept], version="1")
        telemetry.recovery_ended(a_recovery(), 1)
        telemetry.recovery_ended(a_recovery(), 2)
        telemetry.shutdown()
        return [span.to_json() for span in spans_of(kept)]

    assert spans() == spans()
    assert len(spans()) == 2


def test_a_recovery_that_cannot_be_read_stops_nothing(
    telemetry: SdkTelemetry, caplog: pytest.LogCaptureFixture
) -> None:
    telemetry.recovery_ended({"id": RECOVERY_ID}, 1)

    assert f"recovery {RECOVERY_ID} is missing in the telemetry" in caplog.text


def test_application_insights_gets_links_and_names_the_operation(telemetry: SdkTelemetry, kept: Kept) -> None:
    old = {**ended(), "recoveryId": RECOVERY_ID, "createdTime": "2020-01-01T00:00:00Z"}
    telemetry.restore_ended(old)
    telemetry.recovery_ended(a_recovery(), 1)
    telemetry.flush()
    exporter: Any = application_insights.span_exporter(CONNECTION, FakeCredential("token"))
    sent = {name: exporter._span_to_envelope(span) for name, span in kept.by_name().items()}
    exporter.shutdown()

    request, context = sent["recovery"].data.base_data, kept.by_name()["recovery"].context
    assert context
    assert (request.name, request.success, request.properties["recovery.plan"]) == ("recovery", True, "shop")
    assert {name: item.tags["ai.operation.name"] for name, item in sent.items() if name.startswith("re")} == {
        "restore": "restore",
        "recovery": "recovery",
    }
    link = {"operation_Id": f"{context.trace_id:032x}", "id": f"{context.span_id:016x}"}
    assert json.loads(sent["restore"].data.base_data.properties["_MS.links"]) == [link]
