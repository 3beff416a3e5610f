"""How the states of an orchestration are shown to callers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from durabletask.client import OrchestrationStatus
from durabletask.task import FailureDetails

from domain.codec import pack
from domain.follow_up.attachment import Attachment
from domain.follow_up.creation import Creation
from domain.follow_up.disk_changes import DiskChange
from domain.follow_up.swap import Swap
from domain.restore.answers import AcceptedOperation
from domain.restore.document import document
from domain.restore.parts import Approval, Decision, LockState
from domain.restore.stages import (
    AwaitingApproval,
    AwaitingMaintenance,
    AwaitingResourceGuard,
    FindingJob,
    FollowingUp,
    Preparing,
    Resolving,
    Restored,
    Searching,
    TrackingJob,
    Triggering,
    Validating,
)
from domain.restore.undo import can_be_undone, undo
from tests.support.azure import VM_ID, a_restore, an_alert_start
from tests.support.compute import attached
from tests.unit.domain.restore.states import ITEM, JOB, NOW, PREPARED, admitted, tracking_job, tracking_operation
from tests.unit.triggers.states import a_state, shown
from triggers.restore_states import document_of

if TYPE_CHECKING:
    from domain.errors import Json
    from domain.restore.stages import Stage


def test_a_restore_that_has_not_run_yet_is_pending() -> None:
    document = document_of(a_state(OrchestrationStatus.PENDING))

    assert (document["status"], document["phase"], document["createdTime"]) == (
        "Pending",
        "Resolving",
        "2026-11-23T08:00:00Z",
    )


def test_one_that_has_its_lock_is_pending_until_its_rules_budget_has_let_it_in() -> None:
    restore = a_restore(started_by="alert", alert=an_alert_start(max_per_hour=1))
    locked = replace(restore, admission=replace(restore.admission, lock=LockState.HELD))
    admitted = replace(locked, admission=replace(locked.admission, has_budget=True, admitted=True))

    shown_status = [
        document_of(a_state(OrchestrationStatus.RUNNING, serialized_input=pack(known)))["status"]
        for known in (locked, admitted)
    ]

    assert shown_status == ["Pending", "Running"]


@pytest.mark.parametrize(
    "status", [OrchestrationStatus.RUNNING, OrchestrationStatus.CONTINUED_AS_NEW, OrchestrationStatus.SUSPENDED]
)
def test_one_that_runs_is_as_it_last_shown(status: OrchestrationStatus) -> None:
    assert document_of(a_state(status, serialized_custom_status=shown()))["phase"] == "TrackingJob"


def test_one_that_ended_is_its_output() -> None:
    output = shown(status="Completed", result={"a": 1})

    assert document_of(a_state(OrchestrationStatus.COMPLETED, serialized_output=output)) == output


def test_one_that_was_terminated_says_why_and_what_goes_on() -> None:
    state = a_state(OrchestrationStatus.TERMINATED, serialized_custom_status=shown(), serialized_output="wrong VM")

    document = document_of(state)

    assert (document["status"], document["phase"]) == ("Cancelled", "Finished")
    assert "wrong VM" in document["error"]["message"]
    assert "job-1 may still run" in document["error"]["message"]
    assert document["completedTime"] == "2026-11-23T08:05:00Z"


@pytest.mark.parametrize("details", [None, FailureDetails("a bug", "KeyError", None)])
def test_one_that_broke_is_failed_not_lost(details: FailureDetails | None) -> None:
    document = document_of(a_state(OrchestrationStatus.FAILED, failure_details=details))

    assert (document["status"], document["error"]["code"]) == ("Failed", "InternalError")
    assert "may still run" not in document["error"]["message"]


def test_azure_keeps_the_failure_of_an_orchestration_as_plain_text() -> None:
    document = document_of(a_state(OrchestrationStatus.FAILED, serialized_output="KeyError: 'item'"))

    assert (document["status"], document["phase"]) == ("Failed", "Finished")
    assert "KeyError: 'item'" in document["error"]["message"]


@pytest.mark.parametrize("reason", ["4711", "true", '{"a": 1}', "wrong VM", '"wrong VM"'])
def test_the_reason_of_a_termination_is_told_whatever_it_looks_like(reason: str) -> None:
    state = a_state(OrchestrationStatus.TERMINATED, serialized_custom_status=shown(), serialized_output=reason)

    assert f"terminated: {reason.strip('"')}." in document_of(state)["error"]["message"]


@pytest.mark.parametrize("foreign", [{"a": 1}, [], "text", 5])
@pytest.mark.parametrize("status", [OrchestrationStatus.COMPLETED, OrchestrationStatus.RUNNING])
def test_what_is_no_document_is_not_shown_as_one(status: OrchestrationStatus, foreign: Any) -> None:
    state = a_state(status, serialized_output=foreign, serialized_custom_status=foreign)

    assert document_of(state)["id"] == a_restore().restore_id


@pytest.mark.parametrize("foreign", ["no restore", [1], 5, {"v": 1}, None])
def test_what_somebody_else_started_under_a_restores_name_can_be_read(foreign: Any) -> None:
    state = a_state(OrchestrationStatus.FAILED, serialized_input=foreign, serialized_output="TypeError: no")

    document = document_of(state)

    assert (document["id"], document["status"]) == (a_restore().restore_id, "Failed")
    assert document["createdTime"] == "2026-11-23T08:00:00Z"


@pytest.mark.parametrize("cut", [None, {"target": {"replacesDisks": False}}])
@pytest.mark.parametrize("status", [OrchestrationStatus.RUNNING, OrchestrationStatus.TERMINATED])
def test_a_request_that_had_no_room_in_the_custom_status_is_shown_whole(
    status: OrchestrationStatus, cut: dict[str, Any] | None
) -> None:
    state = a_state(status, serialized_custom_status=shown(request=cut))

    assert document_of(state)["request"] == document(a_restore(), NOW)["request"]


def _at_resource_guard(**members: Any) -> AwaitingResourceGuard:
    return AwaitingResourceGuard(prepared=PREPARED, since=NOW, refusal={"code": "c", "message": "m"}, **members)


MAYBE_POSTED = {
    "posting": Triggering(prepared=PREPARED),
    "an attempt broke": Triggering(prepared=PREPARED, in_doubt="the worker died"),
    "searching": Searching(before=Triggering(prepared=PREPARED), since=NOW),
    "posting again and again to a closed guard": _at_resource_guard(),
    "an attempt at the guard broke": _at_resource_guard(in_doubt="the worker died"),
    "searching after a post to the guard": Searching(before=_at_resource_guard(), since=NOW),
    "another run of the step posted": Preparing(item=ITEM, is_posted=True),
    "its operation is open": tracking_operation().stage,
    "no operation was named": FindingJob(prepared=PREPARED, triggered=NOW),
    "the operation ended without a job": FindingJob(prepared=PREPARED, triggered=NOW, operation_id="op-1"),
}
NOT_POSTED = {
    "resolving": Resolving(),
    "choosing the point": Preparing(item=ITEM),
    "validating": Validating(prepared=PREPARED, operation=AcceptedOperation(operation_id="v"), since=NOW),
}
APPROVALS = {
    "no approval is needed": None,
    "approved": Approval(reason="r", decision=Decision.APPROVED, by="ada", time=NOW),
}


@pytest.mark.parametrize("status", [OrchestrationStatus.TERMINATED, OrchestrationStatus.FAILED])
class TestStoppedOnItsWay:
    """What is said of Azure when the orchestration was stopped, by the status that it published last."""

    def message(self, status: OrchestrationStatus, stage: Stage, approval: Approval | None, source: str) -> str:
        restore = replace(admitted(), stage=stage, approval=approval)
        payload = {
            "custom status": {"serialized_custom_status": document(restore, NOW)},
            "input": {"serialized_input": pack(restore)},
        }
        return document_of(a_state(status, **payload[source]))["error"]["message"]

    @pytest.mark.parametrize("source", ["custom status", "input"])
    @pytest.mark.parametrize("approval", APPROVALS.values(), ids=APPROVALS)
    @pytest.mark.parametrize("stage", MAYBE_POSTED.values(), ids=MAYBE_POSTED)
    def test_where_a_post_may_have_been_made_a_person_must_look(
        self, status: OrchestrationStatus, stage: Stage, approval: Approval | None, source: str
    ) -> None:
        message = self.message(status, stage, approval, source)

        assert "Azure may have the restore" in message
        assert f"activityId {a_restore().client_request_id}" in message

    @pytest.mark.parametrize("source", ["custom status", "input"])
    @pytest.mark.parametrize("approval", APPROVALS.values(), ids=APPROVALS)
    @pytest.mark.parametrize("stage", NOT_POSTED.values(), ids=NOT_POSTED)
    def test_before_a_post_it_says_that_none_was_made_by_the_last_report(
        self, status: OrchestrationStatus, stage: Stage, approval: Approval | None, source: str
    ) -> None:
        message = self.message(status, stage, approval, source)

        assert "Azure may have the restore" not in message
        assert message.endswith("By its last report, it had not yet asked Azure to restore anything.")

    @pytest.mark.parametrize("decision", [None, Decision.REJECTED, Decision.TIMED_OUT])
    def test_a_restore_that_nobody_approved_was_not_posted(
        self, status: OrchestrationStatus, decision: Decision | None
    ) -> None:
        approval = Approval(reason="r", decision=decision)
        stage = AwaitingApproval(prepared=PREPARED, since=NOW)

        assert "Azure may have" not in self.message(status, stage, approval, "custom status")

    def test_a_long_reason_leaves_room_for_what_azure_may_have(self, status: OrchestrationStatus) -> None:
        published = document(replace(admitted(), stage=Triggering(prepared=PREPARED)), NOW)
        state = a_state(status, serialized_custom_status=published, serialized_output="why " * 1000)

        message = document_of(state)["error"]["message"]

        assert f"activityId {a_restore().client_request_id} before you start another one." in message

    def test_the_job_is_named_once_it_is_known(self, status: OrchestrationStatus) -> None:
        message = self.message(status, tracking_job().stage, None, "custom status")

        assert "Azure Backup job job-1 may still run" in message


def test_a_secret_in_a_reason_is_removed_before_the_reason_is_cut() -> None:
    secret = f"{'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6' * 2}=="[2:]
    state = a_state(OrchestrationStatus.TERMINATED, serialized_output=f"{'why ' * 110} {secret}")

    assert secret[:40] not in document_of(state)["error"]["message"]


def test_one_that_was_terminated_waits_for_nothing() -> None:
    waiting = shown(waiting={"reason": "Approval", "until": "2026-11-23T12:00:00Z"})
    state = a_state(OrchestrationStatus.TERMINATED, serialized_custom_status=waiting)

    assert document_of(state)["waiting"] is None


def test_one_that_was_terminated_after_its_end_is_what_it_ended_as() -> None:
    ended = shown(status="Completed", phase="Finished")
    state = a_state(OrchestrationStatus.TERMINATED, serialized_custom_status=ended, serialized_output="too slow")

    assert document_of(state) == ended


@pytest.mark.parametrize(
    ("work", "member", "state", "words"),
    [
        (
            Creation(restore_id="r", vm_id="/vm", subnet_id="/s", os_disk_id="/d", made=("/nic",)),
            "createdVirtualMachine",
            "Unfinished",
            "/vm was being made of them",
        ),
        (
            Attachment(vm_id="/vm", job_id="j", disk_ids=("/d",)),
            "attachment",
            "NotAttached",
            "were being attached to /vm",
        ),
    ],
)
def test_one_that_was_terminated_while_it_used_its_disks_says_what_may_be_there(
    work: Creation | Attachment, member: str, state: str, words: str
) -> None:
    restore = replace(admitted(), stage=FollowingUp(work=work))

    ended = document_of(a_state(OrchestrationStatus.TERMINATED, serialized_custom_status=document(restore, NOW)))

    assert (ended["status"], ended["result"][member]["state"]) == ("Cancelled", state)
    assert member not in ended
    assert words in ended["error"]["message"]


class TestStoppedDuringASwap:
    """Nobody goes on with the VM, so its document must say so, and how to go on."""

    def shown(self, swap: Swap, **members: Any) -> Json:
        restore = replace(admitted(**members), stage=FollowingUp(work=swap))
        state = a_state(OrchestrationStatus.TERMINATED, serialized_custom_status=document(restore, NOW))
        return document_of(state)

    def test_the_vm_may_be_deallocated_and_can_have_its_former_disks_back(self) -> None:
        change = DiskChange(lun=None, before=attached("old-os"), after=attached("new-os"))
        swap = Swap(vm_id=VM_ID, wanted=(), changes=(change,), former=(attached("old-os"),))

        shown = self.shown(swap, thenSwapDisks={})

        assert (shown["status"], shown["result"]["swap"]["state"]) == ("Cancelled", "Unfinished")
        assert "swap" not in shown
        assert f"The disks of {VM_ID} were being swapped" in shown["error"]["message"]
        assert shown["error"]["message"].endswith(f"{shown['id']}/undo puts its former disks back and starts it.")
        assert can_be_undone(shown)
        request, back = undo(shown, "u", NOW, by=None, comment=None)
        assert (request.source_resource_id, back.starts) == (VM_ID, True)

    def test_a_vm_that_was_to_stay_off_is_not_said_to_be_started(self) -> None:
        change = DiskChange(lun=None, before=attached("old-os"), after=attached("new-os"))
        swap = Swap(vm_id=VM_ID, wanted=(), changes=(change,), former=(attached("old-os"),))

        shown = self.shown(swap, thenSwapDisks={"start": False})

        assert shown["error"]["message"].endswith("undo puts its former disks back.")

    def test_a_vm_that_was_not_read_yet_has_no_undo(self) -> None:
        shown = self.shown(Swap(vm_id=VM_ID, wanted=()), thenSwapDisks={})

        assert shown["error"]["message"].endswith("look at the VM now, it may be deallocated.")
        assert not can_be_undone(shown)

    def test_before_the_approval_of_the_swap_the_vm_is_as_it_was(self) -> None:
        tracked = tracking_job().stage
        assert isinstance(tracked, TrackingJob)
        restored = Restored(tracked=tracked, job=JOB, disks=())
        stage = AwaitingMaintenance(restored=restored, work=Swap(vm_id=VM_ID, wanted=()), since=NOW)
        restore = replace(admitted(thenSwapDisks={}), stage=stage, approval=Approval(reason="r"))
        state = a_state(OrchestrationStatus.TERMINATED, serialized_custom_status=document(restore, NOW))

        message = document_of(state)["error"]["message"]

        assert message.endswith("The disks are restored; the VM was not touched.")
