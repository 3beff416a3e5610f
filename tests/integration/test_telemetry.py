"""What a receiver of telemetry gets of restores on the local host, and what their log lines say."""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import requests

from scripts.stack import azure_settings, clean_environment
from simulator.server import running as simulating
from simulator.tls import loopback_tls
from tests.integration.app_stage import Stage, a_request, eventually, staged, vm_id
from tests.support.arm_server import ArmServer, Say
from tests.support.otlp import OtlpReceiver
from tests.support.processes import Command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from domain.errors import Json
    from tests.support.otlp import SeenSpan

FAULTS: dict[str, Json] = {
    "fails": {"jobFailed": {"afterSeconds": 1, "errorString": "It broke."}},
    "throttled": {"throttle429": {"count": 2, "retryAfterSeconds": 1}},
}


class Lines(logging.Handler):
    """The lines of the log, each with its logger's name."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.all.append((record.name, record.getMessage()))

    def of(self, logger: str) -> list[str]:
        return [line for name, line in list(self.all) if name == logger]


@contextmanager
def heard() -> Iterator[Lines]:
    """Hear what our loggers and the HTTP library's say."""
    lines = Lines()
    levels = {"urllib3.connectionpool": logging.DEBUG, "arm": logging.DEBUG, "triggers": logging.INFO}
    before = {name: logging.getLogger(name).level for name in levels}
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.getLogger().addHandler(lines)
    try:
        yield lines
    finally:
        logging.getLogger().removeHandler(lines)
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was told of one restore that completed, alone on its host."""

    document: Json
    receiver: OtlpReceiver
    calls: list[Any]
    lines: Lines

    @property
    def spans(self) -> list[SeenSpan]:
        return self.receiver.trace(self.document["id"])

    @property
    def root(self) -> SeenSpan:
        (root,) = [span for span in self.spans if not span.parent_id]
        return root

    @property
    def phases(self) -> list[SeenSpan]:
        return [span for span in self.spans if span.kind == "INTERNAL"]


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    with OtlpReceiver() as receiver:
        with pytest.MonkeyPatch.context() as patch, heard() as lines, staged(patch, **receiver.settings) as stage:
            document = stage.restore()
            stage.telemetry.flush()
            calls = [seen for seen in stage.simulator.requests if seen.path.startswith("/subscriptions")]
        yield Told(document=document, receiver=receiver, calls=calls, lines=lines)


class TestOneRestoreIsOneTrace:
    def test_its_root_is_the_restore(self, told: Told) -> None:
        document, root = told.document, told.root

        assert {span.trace_id for span in told.receiver.spans} == {document["id"].replace("-", "")}
        assert (root.name, root.kind, root.is_error) == ("restore", "SERVER", False)
        assert root.attributes["restore.source_resource_id"] == vm_id()
        assert root.attributes["restore.vault_id"] == document["vaultId"]
        assert root.attributes["restore.job_id"] == document["jobId"]
        assert root.attributes["restore.recovery_point_id"] == document["recoveryPoint"]["id"]
        assert root.attributes["restore.rto_s"] == pytest.approx((root.ended - root.started) / 1e9)
        assert root.attributes["restore.rpo_s"] > 0

    def test_its_phases_follow_each_other_without_gaps(self, told: Told) -> None:
        phases = told.phases

        assert [phase.name for phase in phases] == [phase["phase"] for phase in told.document["phases"]]
        assert [phases[0].name, phases[-1].name] == ["Resolving", "TrackingJob"]
        assert {"SelectingRecoveryPoint", "Validating", "Triggering"} < {phase.name for phase in phases}
        assert {phase.parent_id for phase in phases} == {told.root.span_id}
        assert (phases[0].started, phases[-1].ended) == (told.root.started, told.root.ended)
        assert all(before.ended == after.started for before, after in pairwise(phases))

    def test_every_call_that_azure_got_is_in_it(self, told: Told) -> None:
        calls = [span for span in told.spans if span.kind == "CLIENT"]
        sent, seen = (
            {call.request_id: call for call in told.calls},
            {call.attributes["azure.service_request_id"]: call for call in calls},
        )

        assert len(calls) == len(told.calls) > 10
        assert seen.keys() == sent.keys()
        for request_id, call in seen.items():
            assert call.attributes["http.request.method"] == sent[request_id].method
            assert call.attributes["http.response.status_code"] == sent[request_id].status
            assert call.attributes["azure.client_request_id"] == sent[request_id].headers["x-ms-client-request-id"]

    def test_a_call_is_in_the_phase_in_which_it_was_made(self, told: Told) -> None:
        phases = {phase.span_id: phase for phase in told.phases}
        made = {
            (phases[span.parent_id].name, span.name.rpartition("recoveryPoints/")[2] or span.name)
            for span in told.spans
            if span.kind == "CLIENT"
        }

        assert ("Triggering", "restore/action") in made
        assert ("Resolving", "Microsoft.Compute/virtualMachines/read") in made
        assert ("TrackingJob", "Microsoft.RecoveryServices/vaults/backupJobs/read") in made
        assert all(
            phases[span.parent_id].started <= span.started and span.ended <= phases[span.parent_id].ended + 1e9
            for span in told.spans
            if span.kind == "CLIENT"
        )

    def test_the_calls_are_counted_by_operation(self, told: Told) -> None:
        by_status = told.receiver.by("azure.calls", "http.response.status_code")

        assert by_status == Counter(call.status for call in told.calls)
        of_vms = sum(call.action == "get_vm" for call in told.calls)
        by_operation = told.receiver.by("azure.calls", "azure.operation")
        assert by_operation["Microsoft.Compute/virtualMachines/read"] == of_vms > 0

    def test_no_query_is_sent(self, told: Told) -> None:
        assert "api-version" not in told.receiver.text
        assert "filter" not in told.receiver.text


class TestLogLines:
    def test_lines_of_the_app_and_of_libraries_begin_with_the_restore(self, told: Told) -> None:
        begins = f"restore {told.document['id']}: "
        ours = told.lines.of("arm.session")
        of_library = [line for line in told.lines.of("urllib3.connectionpool") if '"GET /subscriptions' in line]

        assert len(ours) == len(told.calls)
        assert len(of_library) > 5
        assert [line for line in [*ours, *of_library] if not line.startswith(begins)] == []

    def test_each_change_of_status_has_a_line(self, told: Told) -> None:
        # The engine may run the activity that writes them twice.
        changes = list(dict.fromkeys(line for line in told.lines.of("triggers.durable") if ": status " in line))
        begins = f"restore {told.document['id']} of {vm_id()}: status"

        assert changes == [f"{begins} {status}" for status in ("Pending", "Running", "Completed")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Several:
    documents: dict[str, Json]
    receiver: OtlpReceiver
    throttled: int
    waiting: list[float]
    lines: list[str]


@pytest.fixture(scope="module")
def several() -> Iterator[Several]:
    """Return what was told of restores of several kinds."""
    with OtlpReceiver() as receiver:
        with pytest.MonkeyPatch.context() as patch, heard() as lines, staged(patch, **receiver.settings) as stage:
            vms = {name: f"load-{number:03d}" for number, name in enumerate((*FAULTS, "approved"), start=1)}
            for name, faults in FAULTS.items():
                stage.simulator.world.set_faults(vms[name], faults)
            started = {
                name: stage.post(
                    a_request(sourceResourceId=vm_id(vm, "load-rg"), approval={"required": name == "approved"})
                ).json()["id"]
                for name, vm in vms.items()
            }
            waiting = [waiting_now(stage, receiver, 1)]
            stage.call("POST", f"restores/{started['approved']}/approve", json={"by": "ada"})
            documents = {name: stage.finished(restore_id) for name, restore_id in started.items()}
            waiting.append(waiting_now(stage, receiver, 0))
            throttled = sum(seen.status == 429 for seen in stage.simulator.requests)
        yield Several(
            documents=documents,
            receiver=receiver,
            throttled=throttled,
            waiting=waiting,
            lines=lines.of("triggers.durable"),
        )


def waiting_now(stage: Stage, receiver: OtlpReceiver, wanted: float) -> float:
    """Return how many restores wait for a person, according to the metric, once it is as wanted."""

    def look() -> list[float] | None:
        stage.telemetry.flush()
        values = [value for _, value in receiver.figures("restore.approvals.waiting")]
        return values if values == [wanted] else None

    return eventually(look)[0]


class TestSeveralRestores:
    def test_one_that_failed_has_an_error_and_its_code(self, several: Several) -> None:
        spans = several.receiver.trace(several.documents["fails"]["id"])
        (root,) = [span for span in spans if not span.parent_id]

        assert root.is_error
        assert root.attributes["restore.status"] == "Failed"
        assert root.attributes["restore.error_code"] == root.attributes["error.type"] == "RestoreFailed"
        assert [span.name for span in spans if span.kind == "INTERNAL" and span.is_error] == ["TrackingJob"]

    def test_its_code_is_in_the_log(self, several: Several) -> None:
        begins = f"restore {several.documents['fails']['id']} of "

        assert {line for line in several.lines if line.startswith(begins) and ": status F" in line} == {
            f"{begins}{vm_id('load-001', 'load-rg')}: status Failed, error RestoreFailed"
        }

    def test_throttled_calls_are_counted(self, several: Several) -> None:
        assert several.throttled > 0
        assert several.receiver.by("azure.calls", "http.response.status_code")[429] == several.throttled

    def test_the_ends_are_counted(self, several: Several) -> None:
        ends = Counter(document["status"] for document in several.documents.values())

        assert several.receiver.by("restore.ended", "restore.status") == ends == {"Completed": 2, "Failed": 1}
        assert several.receiver.by("restore.ended", "restore.started_by") == {"http": 3}
        assert several.receiver.by("restore.ended", "restore.recovery_type") == {"RestoreDisks": 3}

    def test_phases_and_waits_are_measured(self, several: Several) -> None:
        total_s = sum(several.receiver.by("restore.phase.duration", "restore.phase").values())
        rto_s = sum(span.attributes.get("restore.rto_s", 0) for span in several.receiver.spans)
        waits = several.receiver.by("restore.wait.duration", "restore.wait_reason")

        assert total_s == pytest.approx(rto_s)
        assert waits["Throttled"] > 0
        assert waits["Approval"] > 0

    def test_restores_that_wait_for_a_person_are_counted_as_long_as_they_do(self, several: Several) -> None:
        assert several.waiting == [1, 0]


def test_a_recovery_has_a_span_to_which_its_calls_and_its_members_lead() -> None:
    group = {"name": "load", "sourceResourceIds": [vm_id(f"load-00{number}", "load-rg") for number in (1, 2)]}
    template = {name: value for name, value in a_request().items() if name != "sourceResourceId"}
    plan = {"name": "shop", "restore": template, "groups": [group]}
    with OtlpReceiver() as receiver:
        with pytest.MonkeyPatch.context() as patch, staged(patch, **receiver.settings) as stage:
            recovery_id = stage.call("POST", "recoveries", json={"plan": plan}).json()["id"]

            def look() -> list[SeenSpan]:
                stage.telemetry.flush()
                return [span for span in receiver.spans if span.name == "recovery"]

            def ended() -> dict[str, Any] | None:
                document = stage.call("GET", f"recoveries/{recovery_id}").json()
                return None if document["completedTime"] is None else document

            # The span is sent before the last document is published.
            [recovery] = eventually(look, within_s=60)
            document = eventually(ended, within_s=60)
        spans = receiver.spans

    assert (recovery.trace_id, recovery.parent_id, recovery.kind) == (recovery_id.replace("-", ""), "", "SERVER")
    assert recovery.attributes["recovery.status"] == document["status"] == "Completed"
    assert recovery.attributes["recovery.plan"] == "shop"
    assert recovery.attributes["recovery.members.completed"] == 2
    assert recovery.attributes["recovery.rto_s"] == pytest.approx((recovery.ended - recovery.started) / 1e9)
    calls = [span for span in spans if span.trace_id == recovery.trace_id and span.span_id != recovery.span_id]
    assert {span.parent_id for span in calls} == {recovery.span_id}
    assert "Microsoft.RecoveryServices/vaults/backupProtectedItems/read" in {span.name for span in calls}
    roots = [span for span in spans if span.name == "restore"]
    assert [root.links for root in roots] == [((recovery.trace_id, recovery.span_id),)] * 2
    assert {root.attributes["recovery.id"] for root in roots} == {recovery_id}


def test_application_insights_gets_the_restore_with_a_token_of_the_apps_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted = tmp_path / "trusted.pem"
    tls = loopback_tls(trusted)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trusted))

    def take(request: Any) -> Say:
        count = len(request.json)
        return Say(200, {"itemsReceived": count, "itemsAccepted": count, "errors": []})

    with closing(ArmServer(tls=tls)) as ingestion:
        ingestion.routes["/v2.1/track"] = take
        key = "00000000-0000-0000-0000-000000000001"
        connection = f"InstrumentationKey={key};IngestionEndpoint={ingestion.url}/"
        with staged(monkeypatch, APPLICATIONINSIGHTS_CONNECTION_STRING=connection) as stage:
            done = stage.restore()
            stage.telemetry.flush()
            tokens = stage.simulator.world.tokens
            known = {request.headers["Authorization"].removeprefix("Bearer ") for request in ingestion.requests}
            assert all(tokens.is_known(token) for token in known)
        items = [item for request in ingestion.requests for item in request.json]

    sent = [(item["data"]["baseType"], item["data"]["baseData"]) for item in items]
    (request,) = [data for kind, data in sent if kind == "RequestData"]
    calls = [data for kind, data in sent if kind == "RemoteDependencyData" and data["type"] == "HTTP"]
    traces = {item["tags"].get("ai.operation.id") for item in items if item["data"]["baseType"] != "MetricData"}
    assert (request["name"], request["success"]) == ("restore", True)
    assert request["properties"]["restore.status"] == "Completed"
    assert traces == {done["id"].replace("-", "")}
    assert "Microsoft.Compute/virtualMachines/read" in {call["name"] for call in calls}
    assert {call["resultCode"] for call in calls} == {"200", "202"}
    assert {call["target"] for call in calls} == {stage.simulator.url.removeprefix("http://")}
    assert all(call["properties"]["azure.service_request_id"] for call in calls)
    assert {data["metrics"][0]["name"] for kind, data in sent if kind == "MetricData"} >= {
        "azure.calls",
        "restore.ended",
        "restore.phase.duration",
    }


def test_what_is_left_is_sent_when_the_worker_stops() -> None:
    with OtlpReceiver() as receiver, simulating(speed=600) as simulator:
        env = {
            **clean_environment(),
            **azure_settings(simulator.url, ""),
            **receiver.settings,
            "OTEL_BSP_SCHEDULE_DELAY": "3600000",
            "OTEL_METRIC_EXPORT_INTERVAL": "3600000",
        }
        worker = Command("local_host", "--port", "0", "--no-queues", env=env)
        try:
            started = requests.post(f"{worker.address}/api/restores", json=a_request(dryRun=True), timeout=30).json()
            # The status is Planned before the result is published, and the spans are made with that.
            url = f"{worker.address}/runtime/webhooks/durabletask/instances/{started['id']}"
            eventually(lambda: requests.get(url, timeout=30).json()["runtimeStatus"] == "Completed")
            sent_before = list(receiver.got)
        finally:
            worker.stop()

        assert sent_before == []
        assert {"restore", "Resolving", "SelectingRecoveryPoint"} <= {
            span.name for span in receiver.trace(started["id"])
        }
        assert receiver.by("restore.ended", "restore.status") == {"Planned": 1}
