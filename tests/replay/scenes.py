"""The restores and recoveries whose histories are kept. Run this module to record the scenes that have no history yet.

A history is never recorded again under its name: it stands for instances that run in production.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, override

from domain.azure.jobs import JobStatus, Operation, OperationStatus
from domain.azure.restore_constraints import GUARDED_OPERATION
from domain.azure.validation import Validation
from domain.errors import ITEM_BUSY, ErrorDetail, TerminalError, TransientError
from domain.recovery.roster import member_restore_id
from domain.restore.machine import CANCEL_EVENT, DECISION_EVENT
from domain.restore.parts import Source
from domain.restore.state import Restore, restore_id_for
from domain.restore.undo import undo, undo_id
from domain.sealing import sealed
from orchestrations.names import HOLD_POST_CLAIM, HOLD_RECORD
from orchestrations.post_claim import hold_post_claim
from orchestrations.record import hold_record
from tests.support.azure import (
    GUARD_CLOSED,
    LIMITS,
    TARGET_GROUP,
    VM_ID,
    Lab,
    a_point,
    a_restore,
    an_alert_start,
    throttled,
    vm_id,
    watcher_of,
)
from tests.support.compute import Later, ScriptedCompute
from tests.support.hub import Hub
from tests.support.new_machines import RECOVERY_VM, SUBNET, MemoryCloud
from tests.support.recovery_lab import RECOVERY, Group, RecoveryLab, a_roster
from tests.support.replay import dump, record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.support.replay import Recorded

_NETWORK: Final = TARGET_GROUP.replace("restored-rg", "net-rg/providers/Microsoft.Network/virtualNetworks/isolated")
HISTORIES = Path(__file__).parent / "histories"


def _plain(lab: Lab) -> Restore:
    lab.azure.job_takes = timedelta(seconds=74)
    return a_restore()


def _validated(lab: Lab) -> Restore:
    lab.azure.job_takes = timedelta(seconds=74)
    return a_restore(validate=True)


def _lost_answer(lab: Lab) -> Restore:
    lab.azure.posts = ["lost"]
    lab.azure.listed_after = timedelta(seconds=20)
    return a_restore()


def _posted_twice(lab: Lab) -> Restore:
    lab.azure.posts = ["unheard"]
    lab.azure.job_takes = timedelta(seconds=74)
    return a_restore()


def _throttled(lab: Lab) -> Restore:
    lab.azure.fails["get_backup_status"] = [throttled(7.25)]
    lab.azure.fails["get_job"] = [throttled(90.0)]
    lab.azure.operations = [Operation(status=OperationStatus.RUNNING, next_url="https://azure/op-1?again")]
    return a_restore()


def _failed_job(lab: Lab) -> Restore:
    lab.azure.job_takes = timedelta(minutes=5)
    lab.azure.job_end = JobStatus.FAILED
    lab.azure.job_details = (ErrorDetail(code="UserErrorCoreCount", message="The quota is used up."),)
    lab.receivers.publishing_fails = 1
    return a_restore()


def _second_history(lab: Lab) -> Restore:
    lab.azure.job_takes = timedelta(minutes=50)
    return a_restore()


def _by_alert(lab: Lab) -> Restore:
    lab.azure.job_takes = timedelta(seconds=74)
    return a_restore(started_by="alert", alert=an_alert_start(max_per_hour=5))


def _refused(lab: Lab) -> Restore:
    lab.reach(lab.start(a_restore(key="the first")), "Running")
    return a_restore()


def _abandoned_guard(lab: Lab) -> Restore:
    first = lab.start(a_restore(key="the first"))
    lab.reach(first, "Running")
    lab.hub.terminate(first)
    return _plain(lab)


def _over_budget(lab: Lab) -> Restore:
    alert = an_alert_start(max_per_hour=1)
    lab.run(a_restore(key="the first", started_by="alert", alert=alert, sourceResourceId=vm_id(1)))
    return a_restore(started_by="alert", alert=alert)


def _approved(lab: Lab) -> Restore:
    return _decided(lab, "Approved")


def _rejected(lab: Lab) -> Restore:
    return _decided(lab, "Rejected")


def _decided(lab: Lab, decision: str) -> Restore:
    restore = a_restore(approval={"required": True})
    lab.azure.job_takes = timedelta(seconds=74)
    lab.start(restore)
    lab.reach(restore.restore_id, "AwaitingApproval")
    lab.hub.raise_event(restore.restore_id, DECISION_EVENT, {"decision": decision, "by": "ada"})
    return restore


def _approval_timed_out(lab: Lab) -> Restore:
    lab.azure.fails["get_backup_status"] = [throttled(None)]
    return a_restore(approval={"required": True, "timeout": "PT1H"})


def _webhook(lab: Lab) -> Restore:
    lab.receivers.has_webhook, lab.receivers.posting_fails = True, 1
    return _plain(lab)


def _another_vm(lab: Lab) -> Restore:
    lab.azure.job_takes = timedelta(seconds=130)
    return a_restore(
        recoveryType="AlternateLocation",
        targetVirtualMachineId=f"{TARGET_GROUP}/providers/Microsoft.Compute/virtualMachines/web-01-copy",
        virtualNetworkId=_NETWORK,
        subnetId=f"{_NETWORK}/subnets/default",
        validate=True,
    )


def _in_place(lab: Lab) -> Restore:
    lab.azure.job_takes = timedelta(minutes=11)
    return a_restore(recoveryType="OriginalLocation", targetResourceGroupId=None, validate=True)


def _plan(_lab: Lab) -> Restore:
    return a_restore(dryRun=True, validate=True)


def _rehydrated(lab: Lab) -> Restore:
    lab.azure.points = [a_point(recoveryPointTierDetails=[{"type": "ArchivedRP", "status": "Valid"}])]
    lab.azure.job_takes = timedelta(minutes=8)
    how = {"rehydrationRetentionDuration": "P15D", "rehydrationPriority": "High"}
    return a_restore(recoveryPointRehydrationInfo=how)


def _with_warnings(lab: Lab) -> Restore:
    lab.azure.job_takes = timedelta(minutes=2)
    lab.azure.job_end = JobStatus.COMPLETED_WITH_WARNINGS
    lab.azure.job_details = (ErrorDetail(code="OlrBackupFailed", message="Failed to take snapshot of the VM"),)
    return a_restore()


def _no_matching_point(_lab: Lab) -> Restore:
    return a_restore(recoveryPoint={"notOlderThan": "PT1H"})


def _validation_failed(lab: Lab) -> Restore:
    running = Validation(status=OperationStatus.RUNNING)
    finding = ErrorDetail(code="UserErrorCoreCountSubscriptionQuotaReached", message="The quota has been reached.")
    lab.azure.validations = [running, Validation(status=OperationStatus.SUCCEEDED, findings=(finding,))]
    return a_restore(validate=True)


def _operation_failed(lab: Lab) -> Restore:
    error = ErrorDetail(code="UserErrorBcmDatasourceNotPresent", message="The VM is missing.")
    lab.azure.posts = ["jobless"]
    lab.azure.operations = [Operation(status=OperationStatus.FAILED, error=error)] * 5
    return a_restore()


def _timed_out(lab: Lab) -> Restore:
    lab.azure.job_takes = timedelta(days=10)
    return a_restore(replace(LIMITS, deadline_s=300))


def _cancelled_before(lab: Lab) -> Restore:
    lab.azure.fails["list_recovery_points"] = [throttled(600)]
    return _cancelled(lab, timedelta(seconds=30))


def _cancelled_job(lab: Lab) -> Restore:
    return _cancelled(lab, timedelta(minutes=3))


def _cancel_held(lab: Lab) -> Restore:
    lab.azure.posts = ["lost"]
    lab.azure.fails["find_restore_job"] = [None, throttled(300)]
    return _cancelled(lab, timedelta(seconds=60))


def _cancelled(lab: Lab, after: timedelta) -> Restore:
    restore = a_restore()
    lab.start(restore)
    lab.hub.run_until(after)
    lab.hub.raise_event(restore.restore_id, CANCEL_EVENT, {"by": "ada", "comment": "wrong VM"})
    return restore


def _item_busy(lab: Lab) -> Restore:
    locked = ErrorDetail(code="BMSUserErrorObjectLocked", message="Another operation is in progress.")
    lab.azure.validations = [Validation(status=OperationStatus.SUCCEEDED, findings=(locked,))]
    lab.azure.fails["trigger_restore"] = [TransientError(ITEM_BUSY, "busy", [locked], retry_after_s=40), None]
    lab.azure.job_takes = timedelta(seconds=74)
    return a_restore(validate=True)


def _guard_opened(lab: Lab) -> Restore:
    detail = {"vaultCriticalOperation": GUARDED_OPERATION, "defaultResourceRequest": "/subscriptions/s/guard/default"}
    lab.azure.guard_proxies = [{"properties": {"resourceGuardOperationDetails": [detail]}}]
    lab.azure.fails["trigger_restore"] = [GUARD_CLOSED] * 3
    lab.azure.job_takes = timedelta(seconds=74)
    return a_restore()


def _waited_its_turn(lab: Lab) -> Restore:
    limits = replace(LIMITS, max_per_vault=1)
    lab.azure.job_takes = timedelta(seconds=74)
    lab.start(a_restore(limits, key="the first", sourceResourceId=vm_id(1)))
    lab.reach(restore_id_for("the first"), "Running")
    lab.hub.run_until(timedelta(seconds=1))
    return a_restore(limits)


def _gave_its_turn(lab: Lab) -> Restore:
    limits = replace(LIMITS, max_per_vault=1)
    lab.azure.job_takes = timedelta(seconds=74)
    restore = a_restore(limits)
    lab.start(restore)
    lab.reach(restore.restore_id, "Running")
    lab.hub.run_until(timedelta(seconds=1))
    lab.start(a_restore(limits, key="the next", sourceResourceId=vm_id(1)))
    return restore


def _some_disks(lab: Lab) -> Restore:
    selection = {"diskExclusionProperties": {"diskLunList": [0], "isInclusionList": True}}
    lab.azure.item_properties = {"extendedProperties": selection}
    lab.azure.job_takes = timedelta(seconds=74)
    return a_restore(restoreDiskLunList=[0])


def _watched(lab: Lab) -> Restore:
    limits = replace(LIMITS, max_per_vault=50)
    lab.azure.has_own_operations = True
    lab.azure.job_takes = timedelta(minutes=13)
    for number in range(1, 6):
        lab.start(a_restore(limits, key=f"number {number}", sourceResourceId=vm_id(number)))
    return a_restore(limits)


def _watched_in_vain(lab: Lab) -> Restore:
    lab.azure.hides = [(), (), *[("job-6",)] * 2]
    lab.azure.listed_after = timedelta(minutes=3)
    return _watched(lab)


class SwapLab(Lab):
    """A lab whose VM is there, with disks that can be swapped."""

    compute: ScriptedCompute

    @override
    def more_activities(self) -> dict[str, Callable[..., Any]]:
        self.compute = ScriptedCompute(clock=self.azure.clock)
        swaps = self.compute.activities()
        return {kind.name: sealed(kind, activity, self.azure.clock.now) for kind, activity in swaps.items()}


def _a_swap(lab: SwapLab, **members: Any) -> Restore:
    lab.azure.job_takes = timedelta(seconds=74)
    return a_restore(**{"thenSwapDisks": {}, "targetResourceGroupId": None, **members})


def _swapped(lab: SwapLab) -> Restore:
    restore = _a_swap(lab, approval={"required": True, "before": "Swap"})
    lab.compute.replaces_at_once = False
    lab.start(restore)
    lab.reach(restore.restore_id, "AwaitingApproval")
    lab.hub.raise_event(restore.restore_id, DECISION_EVENT, {"decision": "Approved", "by": "ada"})
    return restore


def _asked_twice(lab: SwapLab) -> Restore:
    alert = an_alert_start(approval_reason="Resource Health does not say enough.")
    restore = _a_swap(lab, started_by="alert", alert=alert, approval={"required": True, "before": "Swap"})
    lab.start(restore)
    for before, by in (("Trigger", "ada"), ("Swap", "bo")):
        lab.reach(restore.restore_id, "AwaitingApproval")
        decision = {"decision": "Approved", "by": by, "before": before}
        lab.hub.raise_event(restore.restore_id, DECISION_EVENT, decision)
        lab.reach(restore.restore_id, "Running")
    return restore


def _swap_went_back(lab: SwapLab) -> Restore:
    lab.compute.fails["update_disks"] = [Later(TerminalError("DiskBlobNotFound", "The disk is gone."))]
    return _a_swap(lab)


def _undone(lab: SwapLab) -> Restore:
    done = lab.run(_a_swap(lab))
    new_id, now = undo_id(done["id"], 1), lab.azure.clock.now()
    request, back = undo(done, new_id, now, by="ada", comment=None)
    return Restore.undo(
        request, back, undo_of=done["id"], restore_id=new_id, source=Source.HTTP, created=now, limits=LIMITS
    )


class UseLab(Lab):
    """A lab whose restored disks can be used, and whose restore knows where the template is."""

    cloud: MemoryCloud

    @override
    def more_activities(self) -> dict[str, Callable[..., Any]]:
        self.cloud = MemoryCloud(clock=self.azure.clock)
        self.azure.job_takes = timedelta(seconds=74)
        uri = "https://stagingweu.blob.core.windows.net/web01-6449bf5b196841f69f31a91cad72e551/azuredeploy.json"
        self.azure.property_bag = {"Create VM Template Blob Uri": uri, "Config Blob Uri": uri}
        self.azure.other_machines[RECOVERY_VM] = {**self.azure.machine, "id": RECOVERY_VM}
        return self.cloud.activities()


def _vm_made(lab: UseLab) -> Restore:
    lab.cloud.fails["put_virtual_machine"] = ["lost"]
    return a_restore(thenCreateVirtualMachine={"name": "web-02", "subnetId": SUBNET, "start": False})


def _vm_not_made(lab: UseLab) -> Restore:
    lab.cloud.fails["put_virtual_machine"] = [Later(TerminalError("AllocationFailed", "The size is sold out."))]
    return a_restore(thenCreateVirtualMachine={"name": "web-02", "subnetId": SUBNET})


def _vm_by_template(_lab: UseLab) -> Restore:
    return a_restore(thenCreateVirtualMachine={"name": "web-02", "subnetId": SUBNET, "template": True})


def _disks_attached(lab: UseLab) -> Restore:
    lab.cloud.before["attach_disks"] = [lambda: lab.cloud.job_made(lab.azure.jobs[0].job_id)]
    return a_restore(thenAttachDisks={"virtualMachineId": RECOVERY_VM, "deleteOthers": True})


USES: Mapping[str, tuple[Callable[[UseLab], Restore], int]] = {
    "0009_vm_begun": (_vm_made, 0),
    "0009_vm_made": (_vm_made, 1),
    "0009_vm_not_made": (_vm_not_made, 1),
    "0009_template_deployed": (_vm_by_template, 0),
    "0009_vm_by_template": (_vm_by_template, 1),
    "0009_disks_attached": (_disks_attached, 0),
}
"""A new VM has several histories: what happens, and which of them is kept."""

SWAPS: Mapping[str, tuple[Callable[[SwapLab], Restore], int]] = {
    "0008_swap_approved": (_swapped, 0),
    "0008_swapped": (_swapped, 1),
    "0008_swap_tagged": (_swapped, 2),
    "0008_swap_went_back": (_swap_went_back, 1),
    "0008_undone": (_undone, 0),
    "0010_asked_twice": (_asked_twice, 0),
    "0010_approved_twice": (_asked_twice, 1),
}
"""A swap has several histories: what happens, and which of them is kept."""

SCENES: Mapping[str, Callable[[Lab], Restore]] = {
    "0001_plain": _plain,
    "0001_validated": _validated,
    "0001_lost_answer": _lost_answer,
    "0001_posted_twice": _posted_twice,
    "0001_throttled": _throttled,
    "0001_failed_job": _failed_job,
    "0001_second_history": _second_history,
    "0002_guarded": _plain,
    "0002_by_alert": _by_alert,
    "0002_refused": _refused,
    "0002_abandoned_guard": _abandoned_guard,
    "0002_over_budget": _over_budget,
    "0002_approved": _approved,
    "0002_rejected": _rejected,
    "0002_approval_timed_out": _approval_timed_out,
    "0002_webhook": _webhook,
    "0003_another_vm": _another_vm,
    "0003_in_place": _in_place,
    "0003_plan": _plan,
    "0003_rehydrated": _rehydrated,
    "0003_with_warnings": _with_warnings,
    "0003_no_matching_point": _no_matching_point,
    "0003_validation_failed": _validation_failed,
    "0003_operation_failed": _operation_failed,
    "0003_timed_out": _timed_out,
    "0003_cancelled_before": _cancelled_before,
    "0003_cancelled_job": _cancelled_job,
    "0003_cancel_held": _cancel_held,
    "0003_guard_opened": _guard_opened,
    "0003_item_busy": _item_busy,
    "0003_waited_its_turn": _waited_its_turn,
    "0003_gave_its_turn": _gave_its_turn,
    "0003_some_disks": _some_disks,
    "0004_traced": _item_busy,
    "0004_traced_second_history": _second_history,
    "0004_traced_approved": _approved,
    "0005_watched": _watched,
    "0005_watched_in_vain": _watched_in_vain,
    "0007_watched_in_turn": _watched,
}


def _restored[L: Lab](scene: Callable[[L], Restore], kind: type[L], generation: int = -1) -> Recorded:
    lab = kind()
    restore = scene(lab)
    if restore.restore_id not in lab.hub.instances():
        lab.start(restore)
    lab.hub.finish(restore.restore_id)
    return record(lab.hub, restore.restore_id, generation=generation)


def _claimed() -> Recorded:
    hub = Hub(orchestrators={HOLD_POST_CLAIM: hold_post_claim})
    hub.finish(hub.start(HOLD_POST_CLAIM, None, instance_id="post-1"))
    return record(hub, "post-1")


def _watching() -> Recorded:
    lab = Lab()
    lab.start(_watched(lab))
    lab.hub.run_until_idle()
    return record(lab.hub, watcher_of(), generation=0)


def _a_record() -> Recorded:
    hub = Hub(orchestrators={HOLD_RECORD: hold_record})
    hub.finish(hub.start(HOLD_RECORD, {"members": []}, instance_id="recovery-1-members"))
    return record(hub, "recovery-1-members")


def _a_member() -> Recorded:
    lab = RecoveryLab()
    lab.azure.job_takes = timedelta(seconds=74)
    lab.start_recovery(Group(count=1))
    lab.reach_status("Completed")
    lab.hub.finish(member_restore_id(RECOVERY, 0, 1))
    return record(lab.hub, member_restore_id(RECOVERY, 0, 1))


class SwapRecoveryLab(RecoveryLab):
    """A lab with recoveries, and one VM with disks that can be swapped."""

    @override
    def more_activities(self) -> dict[str, Callable[..., Any]]:
        others = super().more_activities()
        swaps = ScriptedCompute(clock=self.azure.clock).activities()
        return others | {kind.name: sealed(kind, activity, self.azure.clock.now) for kind, activity in swaps.items()}


def _member_waits(instance_id: str) -> Recorded:
    """Return the history of a recovery, or of its member, whose swap a person must approve."""
    lab = SwapRecoveryLab()
    lab.azure.job_takes = timedelta(seconds=74)
    asked = {"thenSwapDisks": {}, "approval": {"required": True, "before": "Swap"}}
    roster = a_roster((Group(count=1),))
    templates, members = ({**roster.templates[0], **asked},), (replace(roster.members[0], vm_id=VM_ID),)
    lab.start_recovery_of(replace(roster, templates=templates, members=members))
    lab.reach_status("AwaitingApproval")
    member_id = member_restore_id(RECOVERY, 0, 1)
    lab.hub.raise_event(member_id, DECISION_EVENT, {"decision": "Approved", "by": "ada", "before": "Swap"})
    lab.reach_status("Completed")
    lab.hub.finish(member_id)
    return record(lab.hub, instance_id, generation=0)


def _recovery_begins() -> Recorded:
    """Return the first history of a recovery whose first group lives through two checks before the second begins."""
    lab = RecoveryLab()
    lab.refuses_starts = [1]
    lab.start_recovery(Group(count=2), Group(count=2, after=(0,)))
    lab.reach_status("Completed")
    return record(lab.hub, RECOVERY, generation=0)


def _recovery_is_cancelled() -> Recorded:
    lab = RecoveryLab()
    lab.start_recovery(Group(count=2), Group(count=1, after=(0,)))
    lab.hub.run_until(timedelta(minutes=12))
    lab.command("pause")
    lab.hub.run_until(timedelta(minutes=1))
    lab.command("cancel")
    lab.reach_status("Cancelled")
    lab.hub.finish(RECOVERY)
    return record(lab.hub, RECOVERY)


RECORDINGS: Mapping[str, Callable[[], Recorded]] = {
    **{name: partial(_restored, scene, Lab) for name, scene in SCENES.items()},
    **{name: partial(_restored, scene, SwapLab, generation) for name, (scene, generation) in SWAPS.items()},
    **{name: partial(_restored, scene, UseLab, generation) for name, (scene, generation) in USES.items()},
    "0003_claimed_post": _claimed,
    "0005_watching": _watching,
    "0006_record": _a_record,
    "0006_member": _a_member,
    "0006_recovery_begins": _recovery_begins,
    "0010_member_waits": partial(_member_waits, member_restore_id(RECOVERY, 0, 1)),
    "0010_recovery_is_told": partial(_member_waits, RECOVERY),
    "0006_recovery_is_cancelled": _recovery_is_cancelled,
}


def main() -> None:
    """Record what is missing."""
    for name, recording in RECORDINGS.items():
        path = HISTORIES / f"{name}.json"
        if not path.exists():
            path.write_text(dump(recording()), encoding="utf-8")
            sys.stdout.write(f"recorded {path.name}\n")


if __name__ == "__main__":
    main()
