from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given

from domain.azure.jobs import Job, JobStatus
from domain.codec import as_json
from domain.errors import ErrorDetail, InvalidRequestError, RestoreError, RestoreWarning
from domain.follow_up.attachment import Attachment
from domain.requests import RestoreRequest
from domain.restore import outcome
from domain.restore.answers import AcceptedOperation
from domain.restore.document import custom_status, document, refused_document, result_document, shown_status
from domain.restore.parts import Approval, Cancellation, Decision, Delivery, Outcome, Phase, RefusedWhen, Status
from domain.restore.stages import (
    AwaitingApproval,
    AwaitingResourceGuard,
    ComparingDisks,
    FindingJob,
    FollowingUp,
    Searching,
    TrackingJob,
    Triggering,
    Validating,
)
from tests.support.azure import STORAGE_ID, TARGET_GROUP, VAULT_ID, VM_ID, a_request, a_restore
from tests.support.strategies import SWIFT, json_values
from tests.unit.domain import recorded
from tests.unit.domain.restore.states import (
    CREATED,
    JOB,
    NOW,
    PREPARED,
    admitted,
    preparing,
    restores,
    searching,
    tracking_job,
    tracking_operation,
    triggering,
)

if TYPE_CHECKING:
    from domain.errors import Json
    from domain.restore.stages import Stage
    from domain.restore.state import Restore
    from tests.support.player import Player

MEMBERS = (
    *("id", "status", "phase", "progressPercentage", "sourceResourceId", "recoveryType", "requestId", "requestedBy"),
    *("reason", "startedBy", "request", "recoveryPoint", "operationId", "jobId", "vaultId", "createdTime"),
    *("lastUpdatedTime", "completedTime", "nextPollTime", "waiting", "result", "error", "warnings", "links"),
)
OPTIONAL = {
    *("approval", "firstApproval", "cancellation", "refused", "phases", "recoveryId", "undoOf"),
    *("swap", "createdVirtualMachine", "attachment"),
}
"""Members that are there only where they say something."""


def members_of(shown: Json) -> tuple[str, ...]:
    return tuple(name for name in shown if name not in OPTIONAL)


def test_shows_progress_phase_and_next_poll_while_it_runs(player: Player) -> None:
    player.run()

    shown = player.shown()
    phases = list(dict.fromkeys(status["phase"] for status in shown))
    assert phases == [
        "Resolving",
        "SelectingRecoveryPoint",
        "Triggering",
        "TrackingOperation",
        "TrackingJob",
        "Finished",
    ]
    waiting = [status for status in shown if status["phase"] == "TrackingJob" and status["nextPollTime"]]
    assert all(status["nextPollTime"] > status["lastUpdatedTime"] for status in waiting)
    progress = [status["progressPercentage"] for status in shown if status["progressPercentage"] is not None]
    assert progress == sorted(progress)
    assert len(set(progress)) > 10


class TestDocument:
    def test_a_running_restore_in_the_contracts_shape(self) -> None:
        restore = tracking_job(progress_pct=42.0, requestId="r", requestedBy="me", reason="why").with_warning("A", "a")

        shown = document(restore, NOW - timedelta(minutes=1), NOW)

        assert tuple(shown) == MEMBERS
        assert shown == {
            "id": restore.restore_id,
            "status": "Running",
            "phase": "TrackingJob",
            "progressPercentage": 42.0,
            "sourceResourceId": VM_ID,
            "recoveryType": "RestoreDisks",
            "requestId": "r",
            "requestedBy": "me",
            "reason": "why",
            "startedBy": "http",
            "request": {
                **a_request(requestId="r", requestedBy="me", reason="why"),
                "target": {
                    "resourceGroupId": TARGET_GROUP,
                    "storageAccountId": STORAGE_ID,
                    "replacesDisks": False,
                },
            },
            "recoveryPoint": {
                "id": "1103996678573089",
                "time": "2026-11-23T06:00:00.123456Z",
                "consistency": "AppConsistent",
                "tiers": ["InstantRP"],
            },
            "operationId": "op-1",
            "jobId": "job-1",
            "vaultId": VAULT_ID,
            "createdTime": "2026-11-23T08:00:00Z",
            "lastUpdatedTime": "2026-11-23T09:29:00Z",
            "completedTime": None,
            "nextPollTime": "2026-11-23T09:30:00Z",
            "waiting": None,
            "result": None,
            "error": None,
            "warnings": [{"code": "A", "message": "a"}],
            "links": {
                "self": f"/api/restores/{restore.restore_id}",
                "cancel": f"/api/restores/{restore.restore_id}/cancel",
            },
        }

    def test_a_finished_restore_has_its_end(self) -> None:
        failed = outcome.ended_by_job(tracking_job(progress_pct=77.0), replace(JOB, status=JobStatus.FAILED), NOW)

        shown = document(failed, NOW + timedelta(hours=1), NOW + timedelta(hours=2))

        assert (shown["status"], shown["phase"]) == ("Failed", "Finished")
        assert (shown["completedTime"], shown["lastUpdatedTime"]) == ("2026-11-23T09:30:00Z", "2026-11-23T09:30:00Z")
        assert shown["nextPollTime"] is None
        assert shown["error"].keys() == {"code", "message", "details"}
        assert shown["progressPercentage"] == 77.0

    @pytest.mark.parametrize("progress_pct", [None, 0.0, 99.0, 100.0])
    def test_completed_is_a_hundred_per_cent_whatever_the_job_says(self, progress_pct: float | None) -> None:
        restore = outcome.ended_by_job(tracking_job(progress_pct=progress_pct), JOB, NOW)

        assert document(restore, NOW)["progressPercentage"] == 100.0

    def test_an_accepted_restore_knows_little(self) -> None:
        shown = document(a_restore(), NOW)

        assert (shown["status"], shown["phase"]) == ("Pending", "Resolving")
        assert {name for name, value in shown.items() if value is None} == {
            *("progressPercentage", "requestId", "requestedBy", "reason", "recoveryPoint", "operationId", "jobId"),
            *("vaultId", "completedTime", "nextPollTime", "waiting", "result", "error"),
        }

    def test_the_vault_is_the_items_and_before_that_the_requests(self) -> None:
        assert document(admitted(vaultId=VAULT_ID.upper()), NOW)["vaultId"] == VAULT_ID.upper()
        assert document(preparing(vaultId=VAULT_ID.upper()), NOW)["vaultId"] == VAULT_ID

    def test_the_states_are_those_of_the_contract(self) -> None:
        assert [str(status) for status in Status] == [
            *("Pending", "Running", "AwaitingApproval", "Completed", "CompletedWithWarnings", "Failed", "Cancelled"),
            *("Rejected", "TimedOut", "Planned"),
        ]

    @pytest.mark.parametrize(
        ("stage", "phase", "status"),
        [
            (admitted().stage, Phase.RESOLVING, Status.RUNNING),
            (preparing().stage, Phase.SELECTING_RECOVERY_POINT, Status.RUNNING),
            (
                Validating(prepared=PREPARED, operation=AcceptedOperation(operation_id="v"), since=NOW),
                Phase.VALIDATING,
                Status.RUNNING,
            ),
            (AwaitingApproval(prepared=PREPARED, since=NOW), Phase.AWAITING_APPROVAL, Status.AWAITING_APPROVAL),
            (Triggering(prepared=PREPARED), Phase.TRIGGERING, Status.RUNNING),
            (
                AwaitingResourceGuard(prepared=PREPARED, since=NOW, refusal={}),
                Phase.AWAITING_APPROVAL,
                Status.AWAITING_APPROVAL,
            ),
            (searching().stage, Phase.TRIGGERING, Status.RUNNING),
            (
                Searching(before=AwaitingResourceGuard(prepared=PREPARED, since=NOW, refusal={}), since=NOW),
                Phase.AWAITING_APPROVAL,
                Status.AWAITING_APPROVAL,
            ),
            (tracking_operation().stage, Phase.TRACKING_OPERATION, Status.RUNNING),
            (FindingJob(prepared=PREPARED, triggered=NOW), Phase.TRACKING_OPERATION, Status.RUNNING),
            (tracking_job().stage, Phase.TRACKING_JOB, Status.RUNNING),
        ],
    )
    def test_every_stage_has_its_phase_and_its_status(self, stage: Stage, phase: Phase, status: Status) -> None:
        shown = document(replace(admitted(), stage=stage), NOW)

        assert (shown["phase"], shown["status"]) == (phase, status)

    def test_while_the_disks_are_compared_it_still_shows_the_job(self) -> None:
        tracked = tracking_job(progress_pct=99.0).stage
        assert isinstance(tracked, TrackingJob)
        comparing = ComparingDisks(tracked=tracked, job=JOB, resource_group_id="/g", luns=(0,))

        shown = document(replace(admitted(), stage=comparing), NOW)

        assert (shown["phase"], shown["jobId"], shown["operationId"]) == ("TrackingJob", "job-1", "op-1")
        assert shown["progressPercentage"] == 99.0

    def test_the_operation_is_shown_as_soon_as_it_is_known(self) -> None:
        assert document(tracking_operation(), NOW)["operationId"] == "op-1"
        finding = FindingJob(prepared=PREPARED, triggered=NOW, operation_id="op-2")
        assert document(replace(admitted(), stage=finding), NOW)["operationId"] == "op-2"

    def test_who_decided_what_and_when_is_shown(self) -> None:
        approval = Approval(
            reason="r", expires=NOW, decision=Decision.APPROVED, by="ada", comment="go", time=NOW - timedelta(minutes=1)
        )
        restore = replace(admitted(approval={"required": True, "timeout": "PT30M"}), approval=approval)
        restore = replace(restore, cancellation=Cancellation(by="bo", comment="no", time=NOW))

        shown = document(restore, NOW)

        assert shown["approval"] == {
            "required": True,
            "timeout": "PT30M",
            "reason": "r",
            "distinct": False,
            "expires": "2026-11-23T09:30:00Z",
            "decision": "Approved",
            "by": "ada",
            "comment": "go",
            "time": "2026-11-23T09:29:00Z",
        }
        assert shown["cancellation"] == {"by": "bo", "comment": "no", "time": "2026-11-23T09:30:00Z"}

    @pytest.mark.parametrize("refused", list(RefusedWhen))
    def test_a_start_that_was_refused_says_when(self, refused: RefusedWhen) -> None:
        restore = replace(a_restore(), outcome=Outcome(status=Status.FAILED, completed=NOW, refused=refused))

        assert document(restore, NOW)["refused"] == refused

    @given(restores)
    @SWIFT
    def test_any_restore_has_one(self, restore: Restore) -> None:
        shown = document(restore, NOW)

        json.dumps(shown)
        assert members_of(shown) == MEMBERS

    def test_the_result_that_is_sent_says_nothing_about_its_sending(self) -> None:
        noted = Outcome(
            status=Status.COMPLETED, completed=NOW, notes=(RestoreWarning(code="ResultNotPublished", message="m"),)
        )
        restore = replace(tracking_job(), outcome=noted).with_warning("A", "a")

        sent = result_document(restore, noted)

        assert [warning["code"] for warning in sent["warnings"]] == ["A"]
        assert sent["lastUpdatedTime"] == "2026-11-23T09:30:00Z"
        assert [warning["code"] for warning in document(restore, NOW)["warnings"]] == ["A", "ResultNotPublished"]


NETWORK = f"{TARGET_GROUP}/providers/Microsoft.Network/virtualNetworks/net"
CLONE_ID = f"{TARGET_GROUP}/providers/Microsoft.Compute/virtualMachines/clone"
CLONE = {"targetVirtualMachineId": CLONE_ID, "virtualNetworkId": NETWORK, "subnetId": f"{NETWORK}/subnets/a"}
IN_PLACE = {"recoveryType": "OriginalLocation", "targetResourceGroupId": None}
BY_IDENTITY = {
    "storageAccountId": None,
    "identityInfo": {"isSystemAssignedIdentity": True},
    "identityBasedRestoreDetails": {"targetStorageAccountId": STORAGE_ID},
}
BY_ITEM = {"sourceResourceId": None, "vaultId": VAULT_ID, "containerName": "c", "protectedItemName": "i"}


class TestRequest:
    """Whoever must approve a restore sees what was asked, and where the restore goes."""

    @pytest.mark.parametrize(
        ("members", "target"),
        [
            ({}, {"resourceGroupId": TARGET_GROUP, "storageAccountId": STORAGE_ID, "replacesDisks": False}),
            ({"targetResourceGroupId": None}, {"storageAccountId": STORAGE_ID, "replacesDisks": False}),
            (BY_IDENTITY, {"resourceGroupId": TARGET_GROUP, "storageAccountId": STORAGE_ID, "replacesDisks": False}),
            (IN_PLACE, {"virtualMachineId": VM_ID, "storageAccountId": STORAGE_ID, "replacesDisks": True}),
            (
                {"recoveryType": "AlternateLocation", **CLONE},
                {
                    "virtualMachineId": CLONE_ID,
                    "resourceGroupId": TARGET_GROUP,
                    "storageAccountId": STORAGE_ID,
                    "virtualNetworkId": NETWORK,
                    "subnetId": f"{NETWORK}/subnets/a",
                    "replacesDisks": False,
                },
            ),
        ],
    )
    def test_it_is_shown_as_it_was_asked_with_its_target(self, members: Json, target: Json) -> None:
        asked = RestoreRequest.from_json(a_request(**members)).to_json()

        assert document(a_restore(**members), NOW)["request"] == {**asked, "target": target}

    def test_the_vm_whose_disks_are_replaced_is_known_with_the_item(self) -> None:
        members = {**IN_PLACE, **BY_ITEM}

        assert document(a_restore(**members), NOW)["request"]["target"].get("virtualMachineId") is None
        assert document(preparing(**members), NOW)["request"]["target"]["virtualMachineId"] == VM_ID

    def test_it_has_no_secrets(self) -> None:
        secret = "https://a.blob.core.windows.net/c?sig=c2VjcmV0c2VjcmV0"
        restore = a_restore(reason=secret, encryptionDetails={"encryptionEnabled": True, "kekUrl": secret})

        shown = document(restore, NOW)["request"]

        assert "c2VjcmV0" not in json.dumps(shown)
        assert shown["encryptionDetails"]["encryptionEnabled"] is True
        assert shown["encryptionDetails"]["kekUrl"] == "https://a.blob.core.windows.net/c"

    def test_a_long_one_is_cut_before_anything_else(self) -> None:
        restore = tracking_job(reason="why", restoreDiskLunList=list(range(1000)), zones=["1"]).with_warning("W", "w")
        error = RestoreError("E", "m" * 900, [ErrorDetail(code="d", message="m" * 900)] * 4).to_json()
        restore = replace(restore, outcome=Outcome(status=Status.FAILED, completed=NOW, error=error))

        whole, shown = document(restore, NOW), custom_status(restore, NOW)

        assert shown == {**whole, "request": {"target": whole["request"]["target"]}}

    def test_the_longest_one_leaves_room_for_the_rest(self) -> None:
        restore = triggering(restoreDiskLunList=list(range(1000)), reason="y" * 2048, requestedBy="y" * 2048)
        error = RestoreError("E", "m" * 1000, [ErrorDetail(code="d", message="m" * 1000)] * 100).to_json()
        restore = replace(restore, outcome=Outcome(status=Status.FAILED, completed=NOW, error=error))

        shown = custom_status(restore, NOW)

        assert (shown["error"]["message"], shown["links"]) == ("m" * 1000, document(restore, NOW)["links"])


class TestLinks:
    APPROVAL = Approval(reason="r", expires=NOW)

    @pytest.mark.parametrize(
        ("approval", "actions"),
        [
            (None, {"cancel"}),
            (Approval(reason="r"), {"cancel", "approve", "reject"}),
            (APPROVAL, {"cancel", "approve", "reject"}),
            (replace(APPROVAL, decision=Decision.APPROVED, by="ada"), {"cancel"}),
            (replace(APPROVAL, expires=NOW - timedelta(seconds=1)), {"cancel"}),
        ],
    )
    @pytest.mark.parametrize(
        "stage", [admitted(), preparing(), triggering(), tracking_job()], ids=lambda restore: restore.stage.kind
    )
    def test_a_running_restore_can_be_cancelled_and_decided_while_a_decision_is_open(
        self, stage: Restore, approval: Approval | None, actions: set[str]
    ) -> None:
        restore = replace(stage, approval=approval)
        itself = f"/api/restores/{restore.restore_id}"

        links = document(restore, NOW)["links"]

        assert links == {"self": itself} | {name: f"{itself}/{name}" for name in actions}

    @pytest.mark.parametrize("approval", [None, APPROVAL])
    def test_one_that_is_cancelled_or_has_ended_can_be_read_only(self, approval: Approval | None) -> None:
        waiting = replace(admitted(), approval=approval)
        cancelled = replace(waiting, cancellation=Cancellation())
        ended = replace(waiting, outcome=Outcome(status=Status.COMPLETED, completed=NOW))

        assert [list(document(restore, NOW)["links"]) for restore in (cancelled, ended)] == [["self"]] * 2


class TestCustomStatus:
    MAX_CHARACTERS = 8192
    """Azure Storage holds 16 KB of UTF-16 in a custom status; the durable extension escapes what is not ASCII."""

    @given(restores)
    @SWIFT
    def test_it_is_the_document_where_that_fits(self, restore: Restore) -> None:
        whole, shown = document(restore, NOW), custom_status(restore, NOW)

        assert members_of(shown) == MEMBERS
        assert shown == whole or len(json.dumps(whole)) > 7500

    @pytest.mark.parametrize("letter", ["x", "é", "🙂", '"'])
    def test_the_most_words_that_a_restore_can_have_are_cut_to_what_fits(self, letter: str) -> None:
        detail = ErrorDetail(code=letter * 500, message=letter * 5000, target=letter * 500)
        result: Json = {
            **as_json(Job.from_api(recorded.JOB_COMPLETED).result()),
            "configBlobUri": letter * 5000,
            "templateBlobUri": {"not": ["a text"] * 5000},
            "propertyBag": {letter: letter * 50_000},
        }
        error = RestoreError("RestoreFailed", letter * 5000, [detail] * 100).to_json()
        restore = replace(
            tracking_job(requestId="r" * 80, requestedBy=letter * 2048, reason=letter * 2048),
            warnings=tuple(RestoreWarning(code=letter * 200, message=f"{index}{letter * 1000}") for index in range(50)),
            approval=Approval(reason=letter * 2000, by=letter * 2000, comment=letter * 2000),
            first_approval=Approval(reason=letter * 2000, by=letter * 2000, comment=letter * 2000),
            cancellation=Cancellation(by=letter * 2000, comment=letter * 2000),
            outcome=Outcome(status=Status.FAILED, completed=NOW, error=error, result=result),
        )

        shown = custom_status(restore, NOW)

        assert len(json.dumps(shown)) <= self.MAX_CHARACTERS
        assert members_of(shown) == MEMBERS
        for name in ("id", "status", "phase", "sourceResourceId", "requestId", "jobId", "operationId", "vaultId"):
            assert shown[name] == document(restore, NOW)[name]
        assert shown["error"]["code"] == "RestoreFailed"
        assert shown["error"]["message"].startswith(letter * 16)
        assert shown["reason"].startswith(letter * 16)
        assert shown["requestedBy"].startswith(letter * 16)
        assert shown["result"]["jobStatus"] == "Completed"
        assert shown["warnings"][-1]["message"].startswith("49")
        assert len(shown["warnings"]) == 5
        assert shown["approval"]["required"] is True
        assert shown["approval"]["by"].startswith(letter * 16)
        assert shown["cancellation"]["by"].startswith(letter * 16)

    def test_the_most_disks_that_can_be_attached_are_cut_to_what_fits(self) -> None:
        ids = tuple(f"{'/d' * 200}/{number}" for number in range(128))
        work = Attachment(vm_id="/vm", job_id="j", disk_ids=ids[:64], others=ids[64:])
        restore = replace(tracking_job(), stage=FollowingUp(work=work))

        shown = custom_status(restore, NOW)

        assert len(json.dumps(shown)) <= self.MAX_CHARACTERS
        assert (shown["attachment"]["virtualMachineId"], shown["attachment"]["state"]) == ("/vm", "Attaching")

    def test_short_words_stay_where_long_ones_go(self) -> None:
        error = RestoreError("E", "No.", [ErrorDetail(code="d", message="m" * 1000)] * 100).to_json()
        restore = replace(
            tracking_job(requestedBy="me").with_warning("W", "a word"),
            approval=Approval(reason="r"),
            outcome=Outcome(status=Status.FAILED, completed=NOW, error=error),
        )

        shown = custom_status(restore, NOW)

        assert shown == {**document(restore, NOW), "error": {**error, "details": error["details"][:5]}}

    def test_the_next_poll_is_shown_in_it(self) -> None:
        assert custom_status(tracking_job(), NOW, NOW)["nextPollTime"] == "2026-11-23T09:30:00Z"
        assert (shown_status(tracking_job(), NOW, NOW) or {})["nextPollTime"] == "2026-11-23T09:30:00Z"


class TestShown:
    LONG = RestoreError("E", "No.", [ErrorDetail(code="d", message="m" * 1000)] * 100).to_json()

    def test_an_end_that_is_whole_is_shown(self) -> None:
        restore = replace(tracking_job(), outcome=Outcome(status=Status.COMPLETED, completed=NOW))

        assert shown_status(restore, NOW) == document(restore, NOW)

    def test_a_cut_end_is_left_to_the_output(self) -> None:
        restore = replace(tracking_job(), outcome=Outcome(status=Status.FAILED, completed=NOW, error=self.LONG))

        assert shown_status(restore, NOW) is None

    def test_a_cut_end_is_shown_while_the_webhook_is_called(self) -> None:
        ended = Outcome(status=Status.FAILED, completed=NOW, error=self.LONG, webhook=Delivery.PENDING)
        restore = replace(tracking_job(), outcome=ended)

        assert shown_status(restore, NOW) == custom_status(restore, NOW)

    def test_a_cut_plan_is_none(self) -> None:
        plan: Json = {"plan": {"requestBody": None, "candidates": [{"id": "1" * 10_000}]}}
        ended = Outcome(status=Status.PLANNED, completed=NOW, result=plan, webhook=Delivery.PENDING)

        assert shown_status(replace(triggering(), outcome=ended), NOW) is None

    def test_a_running_restore_of_many_words_is_shown_cut(self) -> None:
        restore = tracking_job(reason='"' * 2048, requestedBy='"' * 2048)
        restore = restore.with_warning("W", "w" * 4000)

        assert shown_status(restore, NOW) == custom_status(restore, NOW) != document(restore, NOW)


class TestRefused:
    def document(self, sent: Any) -> Json:
        error = RestoreError("InvalidRequest", "No.", [ErrorDetail(code="MissingField", message="m", target="t")])
        return refused_document(restore_id="7", created=CREATED, error=error, sent=sent)

    def test_its_sender_recognises_it(self) -> None:
        sent = {**a_request(requestId="r", requestedBy="me", reason="why"), "surprise": 1}

        assert self.document(sent) == {
            "id": "7",
            "status": "Failed",
            "phase": "Finished",
            "progressPercentage": None,
            "sourceResourceId": VM_ID,
            "recoveryType": "RestoreDisks",
            "requestId": "r",
            "requestedBy": "me",
            "reason": "why",
            "startedBy": "queue",
            "request": None,
            "recoveryPoint": None,
            "operationId": None,
            "jobId": None,
            "vaultId": None,
            "createdTime": "2026-11-23T08:00:00Z",
            "lastUpdatedTime": "2026-11-23T08:00:00Z",
            "completedTime": "2026-11-23T08:00:00Z",
            "nextPollTime": None,
            "waiting": None,
            "result": None,
            "error": {
                "code": "InvalidRequest",
                "message": "No.",
                "details": [{"code": "MissingField", "message": "m", "target": "t"}],
            },
            "warnings": [],
            "links": {},
        }

    @given(json_values)
    @SWIFT
    def test_whatever_was_sent_it_has_the_shape_of_any_other(self, sent: Any) -> None:
        shown = self.document(sent)

        json.dumps(shown)
        assert members_of(shown) == MEMBERS

    def test_a_member_of_the_wrong_type_is_not_repeated(self) -> None:
        shown = self.document({"sourceResourceId": {"id": VM_ID}, "requestId": 5, "reason": ""})

        assert (shown["sourceResourceId"], shown["requestId"], shown["reason"]) == (None, None, None)

    @pytest.mark.parametrize(
        "sent",
        [
            {"reason": "é" * 24_000},
            {"sourceResourceId": "x" * 40_000, "reason": "y" * 8_000},
            {"é" * 24_000: 1},
            {f"member{index}": 1 for index in range(3000)},
            {"requestedBy": [["x" * 40_000]]},
        ],
    )
    def test_it_fits_into_a_queue_message_as_the_one_did_that_it_answers(self, sent: Json) -> None:
        with pytest.raises(InvalidRequestError) as caught:
            RestoreRequest.from_json(sent)

        shown = refused_document(restore_id="7", created=CREATED, error=caught.value, sent=sent)

        assert len(json.dumps(shown)) < 48 * 1024
