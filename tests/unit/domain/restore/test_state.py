from __future__ import annotations

import json
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.codec import pack, unpack
from domain.errors import RestoreWarning
from domain.requests import RestoreRequest
from domain.restore.parts import ENDED, Admission, Approval, LockState, SlotState, Source, Status
from domain.restore.stages import AwaitingApproval, AwaitingResourceGuard, Searching, Triggering
from domain.restore.state import Restore, restore_id_for
from tests.support.azure import LIMITS, VM_ID, a_request, a_restore, an_alert_start
from tests.support.strategies import NAMES, SWIFT
from tests.unit.domain.restore.states import (
    CREATED,
    ITEM,
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
    from domain.restore.parts import AlertStart
    from domain.restore.stages import Stage

APPROVAL = {"required": True, "timeout": "PT30M"}


class TestIds:
    def test_the_same_key_is_the_same_restore_for_ever(self) -> None:
        # In production histories: another value would start finished restores again.
        assert restore_id_for("order-66") == "48ec86fa-9e2a-5f7a-8f5f-1f7b35500d20"

    def test_the_client_request_id_is_the_same_for_ever(self) -> None:
        # In production jobs, as their activityId: another value would start running restores again.
        assert a_restore(key="order-66").client_request_id == "f069e52a-978c-5eb5-bf01-004a50a57078"

    @given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
    @SWIFT
    def test_one_key_one_id(self, left: str, right: str) -> None:
        assert (restore_id_for(left) == restore_id_for(right)) == (left == right)
        assert str(uuid.UUID(restore_id_for(left))) == restore_id_for(left)

    @given(restores)
    @SWIFT
    def test_the_client_request_id_depends_on_the_restores_id_alone(self, restore: Restore) -> None:
        other = a_restore()
        other = replace(other, accepted=replace(other.accepted, restore_id=restore.restore_id))

        assert restore.client_request_id == other.client_request_id
        assert restore.client_request_id not in {restore.restore_id, restore_id_for(restore.restore_id)}
        uuid.UUID(restore.client_request_id)


class TestInHistory:
    @given(restores)
    @SWIFT
    def test_any_restore_comes_out_of_history_as_it_went_in(self, restore: Restore) -> None:
        assert unpack(Restore, json.loads(json.dumps(pack(restore)))) == restore

    def test_its_names_in_history_never_change(self) -> None:
        # Of a restore that runs somewhere: to be read, and written again, as it is.
        written = pack(tracking_job(progress_pct=42.0))

        assert written.keys() == {"v", "accepted", "clock", "admission", "slot", "stage", "timeline"}
        assert written["accepted"].keys() == {"restoreId", "request", "fingerprint", "source", "created", "limits"}
        assert written["stage"].keys() == {
            *("kind", "prepared", "triggered", "jobId", "operationId", "progressPct"),
        }
        assert written["stage"]["kind"] == "trackingJob"
        assert written["accepted"]["limits"] == {
            "jobPollMinS": 15,
            "jobPollMaxS": 60,
            "deadlineS": 86400,
            "adoptionWindowS": 120,
        }


class TestAccepted:
    def test_it_begins_with_its_item_and_wants_the_lock(self) -> None:
        request = RestoreRequest.from_json(a_request())

        restore = Restore.accept(
            request, restore_id="1", source=Source.QUEUE, created=CREATED, limits=LIMITS, start_token="t"
        )

        assert restore.stage.kind == "resolving"
        assert (restore.accepted.fingerprint, restore.accepted.source) == (request.fingerprint, Source.QUEUE)
        assert (restore.accepted.start_token, restore.clock.now) == ("t", CREATED)
        assert (restore.admission.lock, restore.admission.admitted) == (LockState.WANTED, False)
        assert (restore.outcome, restore.approval) == (None, None)

    def test_a_plan_needs_neither_lock_nor_slot_nor_approval(self) -> None:
        plan = a_restore(replace(LIMITS, max_per_vault=1), dryRun=True, approval=APPROVAL)

        assert plan.admission == Admission(lock=LockState.NOT_NEEDED, admitted=True)
        assert plan.slot.state is SlotState.NOT_NEEDED
        assert plan.approval is None

    @pytest.mark.parametrize(("max_per_vault", "state"), [(None, SlotState.NOT_NEEDED), (3, SlotState.WANTED)])
    def test_a_slot_is_wanted_where_the_vault_has_a_bound(self, max_per_vault: int | None, state: SlotState) -> None:
        assert a_restore(replace(LIMITS, max_per_vault=max_per_vault)).slot.state is state

    def test_an_approval_that_the_request_asks_for_says_so(self) -> None:
        assert a_restore(approval=APPROVAL).approval == Approval(reason="The request asks for an approval.")

    def test_an_approval_that_the_alert_makes_necessary_says_why(self) -> None:
        alert = an_alert_start(approval_reason="No cause is named.")
        by_alert = a_restore(started_by="alert", alert=alert, approval=APPROVAL)

        assert by_alert.approval == Approval(reason="No cause is named.")
        assert a_restore(started_by="alert", alert=an_alert_start(), approval=APPROVAL).approval == Approval(
            reason="The request asks for an approval."
        )

    def test_an_alert_may_make_one_necessary_before_the_disks_of_a_swap_are_restored(self) -> None:
        before_swap = {"required": True, "before": "Swap"}
        unclear = an_alert_start(approval_reason="No cause is named.")

        def approval_by(alert: AlertStart, **members: Any) -> Approval | None:
            swap = {"thenSwapDisks": {}, "approval": before_swap, **members}
            return a_restore(started_by="alert", alert=alert, **swap).approval

        assert approval_by(unclear) == Approval(reason="No cause is named.")
        assert approval_by(an_alert_start()) is None
        assert approval_by(unclear, dryRun=True) is None

    @pytest.mark.parametrize(("source", "waits"), [(Source.HTTP, True), (Source.ALERT, True), (Source.QUEUE, False)])
    def test_nobody_waits_for_the_admission_of_a_queued_message(self, source: Source, waits: bool) -> None:
        assert source.waits_for_admission is waits

    def test_three_statuses_are_not_the_end(self) -> None:
        assert frozenset(Status) - ENDED == {Status.PENDING, Status.RUNNING, Status.AWAITING_APPROVAL}


class TestWhatIsKnown:
    def test_the_item_is_known_from_the_preparation_on(self) -> None:
        assert (admitted().item, preparing().item, tracking_job().item) == (None, ITEM, ITEM)

    def test_the_point_is_known_once_it_is_prepared(self) -> None:
        assert (admitted().prepared, preparing().prepared, tracking_job().prepared) == (None, None, PREPARED)

    def test_the_vm_is_known_from_the_item_where_the_request_names_it_by_its_item(self) -> None:
        by_item = {"sourceResourceId": None, **NAMES}

        assert admitted(**by_item).source_resource_id is None
        assert preparing(**by_item).source_resource_id == VM_ID

    def test_azure_has_it_from_the_search_on(self) -> None:
        assert [restore.azure_has_it for restore in (admitted(), preparing(), triggering())] == [False] * 3
        assert [restore.azure_has_it for restore in (searching(), tracking_operation(), tracking_job())] == [True] * 3


class TestDeadline:
    def test_it_counts_from_the_acceptance(self) -> None:
        assert tracking_job().deadline == CREATED + timedelta(hours=24)

    @pytest.mark.parametrize(
        "stage",
        [
            AwaitingApproval(prepared=PREPARED, since=NOW),
            AwaitingResourceGuard(prepared=PREPARED, since=NOW, refusal={}),
            Searching(before=AwaitingResourceGuard(prepared=PREPARED, since=NOW, refusal={}), since=NOW),
        ],
    )
    def test_it_moves_by_the_time_for_which_a_person_is_waited_for(self, stage: Stage) -> None:
        waiting = replace(admitted(approval=APPROVAL), stage=stage)

        assert waiting.waits_for_person_until == NOW + timedelta(minutes=30)
        assert waiting.deadline == CREATED + timedelta(hours=24, minutes=30)

        after = waiting.with_stage(Triggering(prepared=PREPARED), NOW + timedelta(minutes=10))

        assert after.waits_for_person_until is None
        assert after.deadline == CREATED + timedelta(hours=24, minutes=10)

    def test_searching_for_the_job_while_the_resource_guard_was_waited_for_ends_no_wait(self) -> None:
        guarded = AwaitingResourceGuard(prepared=PREPARED, since=NOW, refusal={})
        waiting = replace(admitted(approval=APPROVAL), stage=guarded)

        assert waiting.with_stage(Searching(before=guarded, since=NOW), NOW).clock.paused == timedelta(0)

    def test_waits_for_several_people_add_up(self) -> None:
        guarded = AwaitingResourceGuard(prepared=PREPARED, since=NOW, refusal={})
        waited = replace(admitted(approval=APPROVAL), stage=AwaitingApproval(prepared=PREPARED, since=NOW))
        waited = waited.with_stage(Triggering(prepared=PREPARED), NOW + timedelta(minutes=10))
        waited = waited.with_stage(guarded, NOW).with_stage(Triggering(prepared=PREPARED), NOW + timedelta(minutes=5))

        assert waited.clock.paused == timedelta(minutes=15)


class TestWarnings:
    def test_they_gather_in_order(self) -> None:
        restore = a_restore().with_warning("A", "a").with_warning("B", "b")

        assert restore.warnings == (RestoreWarning(code="A", message="a"), RestoreWarning(code="B", message="b"))

    def test_the_same_one_is_kept_once(self) -> None:
        once = a_restore().with_warning("A", "a")

        assert once.with_warning("A", "a") is once
        assert len(once.with_warning("A", "b").warnings) == 2

    def test_the_newest_fifty_are_kept(self) -> None:
        restore = a_restore()
        for number in range(60):
            restore = restore.with_warning("W", str(number))

        assert [warning.message for warning in restore.warnings] == [str(number) for number in range(10, 60)]


class TestApproval:
    def test_one_reason_is_enough(self) -> None:
        restore = a_restore(approval=APPROVAL)

        assert restore.with_approval("a storm") == restore

    def test_a_reason_is_an_approval_to_wait_for(self) -> None:
        restore = a_restore().with_approval("a storm")

        assert (restore.awaits_decision, a_restore().awaits_decision) == (True, False)
