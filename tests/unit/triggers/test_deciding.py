"""What a person is answered who decides too late, or where nothing waits for a decision."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from durabletask.client import OrchestrationState, OrchestrationStatus

from domain.azure.protected_items import ProtectedItem
from domain.codec import pack
from domain.errors import TerminalError, TransientError
from domain.follow_up.swap import Swap
from domain.restore.document import document
from domain.restore.outcome import cancelled
from domain.restore.parts import Approval, Cancellation, Decision, Outcome, Status
from domain.restore.stages import (
    AwaitingApproval,
    AwaitingMaintenance,
    AwaitingResourceGuard,
    Prepared,
    Restored,
    TrackingJob,
    Triggering,
)
from tests.support.azure import CONTAINER, ITEM, VAULT_ID, VM_ID, a_point, a_restore
from tests.support.hub import START
from tests.unit.domain.restore.states import JOB, tracking_job
from tests.unit.triggers.states import a_state
from triggers import deciding

if TYPE_CHECKING:
    import azure.durable_functions as df

    from domain.errors import Json
    from domain.restore.state import Restore

PREPARED = Prepared(
    item=ProtectedItem(
        vault_id=VAULT_ID,
        container_name=CONTAINER,
        protected_item_name=ITEM,
        source_resource_id=VM_ID,
        region="westeurope",
    ),
    point=a_point(),
)


def waiting(restore: Restore) -> Restore:
    """Return the restore waiting for a person, from ``START`` on."""
    stage = AwaitingApproval(prepared=PREPARED, since=START)
    assert restore.approval is not None
    approval = replace(restore.approval, expires=START + restore.request.approval_timeout)
    return replace(restore, stage=stage, approval=approval)


class HubWithRestore:
    """A task hub with one restore. It shows the document ``shown``, and after an event the document ``then``."""

    def __init__(self, shown: Json, then: Json | None = None, *, restore: Restore | None = None) -> None:
        self.sent: list[tuple[str, Json]] = []
        self._documents = (shown, then or shown)
        self._restore = restore or a_restore()

    async def get_orchestration_state(self, *_: Any, **__: Any) -> OrchestrationState:
        document = self._documents[bool(self.sent)]
        status = OrchestrationStatus.RUNNING
        payload = {"serialized_input": pack(self._restore), "serialized_custom_status": document}
        if document["phase"] == "Finished":
            status, payload["serialized_output"] = OrchestrationStatus.COMPLETED, document
        return a_state(status, **payload)

    async def raise_orchestration_event(self, _id: str, name: str, *, data: Json) -> None:
        self.sent.append((name, data))


def decide(
    hub: HubWithRestore, decision: Decision = Decision.APPROVED, by: str = "ada", before: str | None = None
) -> Json:
    client = cast("df.DurableFunctionsClient", hub)
    person = {"by": by} if before is None else {"by": by, "before": before}
    return asyncio.run(deciding.decide_restore(client, "r", decision, person))


def cancel(hub: HubWithRestore, by: str = "ada") -> Json:
    client = cast("df.DurableFunctionsClient", hub)
    return asyncio.run(deciding.cancel_restore(client, "r", {"by": by, "comment": "no"}))


@pytest.fixture(autouse=True)
def _at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "now", lambda: START)
    monkeypatch.setattr(deciding, "answer_deadline", time.monotonic)


WAITING = waiting(a_restore(approval={"required": True}))
DISTINCT = waiting(a_restore(requestedBy="Ada", approval={"required": True, "distinct": True}))


def decided(decision: Decision, by: str | None = "ada", **members: Any) -> Json:
    """Return the document of a restore that a person decided."""
    assert WAITING.approval is not None
    approval = replace(WAITING.approval, decision=decision, by=by, time=START)
    return document(replace(WAITING, approval=approval, **members), START)


ENDED = Outcome(status=Status.COMPLETED, completed=START)


class TestDeciding:
    def test_one_that_ended_before_the_decision_reached_it_is_a_conflict(self) -> None:
        hub = HubWithRestore(document(WAITING, START), document(cancelled(WAITING, START), START))

        with pytest.raises(TerminalError, match="before the decision reached it"):
            decide(hub)

    def test_a_decision_after_the_time_out_is_a_conflict_and_is_not_sent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(deciding, "now", lambda: START + timedelta(hours=5))
        hub = HubWithRestore(document(WAITING, START))

        with pytest.raises(TerminalError, match="could be decided until"):
            decide(hub)
        assert hub.sent == []

    def test_a_resource_guard_is_opened_elsewhere(self) -> None:
        stage = AwaitingResourceGuard(prepared=PREPARED, since=START, refusal={})

        with pytest.raises(TerminalError, match="Resource Guard"):
            decide(HubWithRestore(document(replace(a_restore(), stage=stage), START)))

    def test_a_cancelled_restore_waits_for_nobody(self) -> None:
        hub = HubWithRestore(document(replace(WAITING, cancellation=Cancellation()), START))

        with pytest.raises(TerminalError, match="it is being cancelled"):
            decide(hub)
        assert hub.sent == []

    @pytest.mark.parametrize("by", ["ada", " Ada ", "ADA"])
    @pytest.mark.parametrize("decision", [Decision.APPROVED, Decision.REJECTED])
    @pytest.mark.parametrize("members", [{}, {"stage": Triggering(prepared=PREPARED)}, {"outcome": ENDED}])
    def test_the_same_decision_by_the_same_person_always_gets_the_same_answer(
        self, members: Json, decision: Decision, by: str
    ) -> None:
        hub = HubWithRestore(decided(decision, **members))

        assert decide(hub, decision, by) == decided(decision, **members)
        assert hub.sent == []

    @pytest.mark.parametrize(
        ("made", "by"),
        [(Decision.APPROVED, "bo"), (Decision.REJECTED, "ada"), (Decision.TIMED_OUT, None), (Decision.APPROVED, None)],
    )
    @pytest.mark.parametrize("outcome", [None, ENDED])
    def test_any_other_is_a_conflict_that_names_who_decided(
        self, made: Decision, by: str | None, outcome: Outcome | None
    ) -> None:
        with pytest.raises(TerminalError, match=f"decided before: {made} .* by {by or 'nobody'}") as caught:
            decide(HubWithRestore(decided(made, by, outcome=outcome)))
        assert caught.value.code == "RequestConflict"

    @pytest.mark.parametrize("by", ["ada", "ADA "])
    def test_the_requester_is_told_that_another_person_must_approve(self, by: str) -> None:
        hub = HubWithRestore(document(DISTINCT, START), restore=DISTINCT)

        with pytest.raises(TerminalError, match="another person must approve it") as caught:
            decide(hub, by=by)
        assert (caught.value.code, hub.sent) == ("RequestConflict", [])

    def test_another_person_may_approve_and_the_requester_may_reject(self) -> None:
        for decision, by in ((Decision.APPROVED, "bo"), (Decision.REJECTED, "ada")):
            hub = HubWithRestore(document(DISTINCT, START), decided(decision, by), restore=DISTINCT)

            assert decide(hub, decision, by)["approval"]["by"] == by


class TestTwoDecisions:
    """The trigger of the restore is approved by ada; its swap waits, unless ``swap`` says otherwise."""

    WAITS = AwaitingMaintenance(
        restored=Restored(tracked=TrackingJob(prepared=PREPARED, triggered=START, job_id="j"), job=JOB, disks=()),
        work=Swap(vm_id=VM_ID, wanted=()),
        since=START,
    )

    def document(self, swap: Decision | None = None, by: str | None = None) -> Json:
        swap_only = a_restore(
            thenSwapDisks={}, targetResourceGroupId=None, approval={"required": True, "before": "Swap"}
        )
        first = replace(Approval(reason="storm"), decision=Decision.APPROVED, by="ada", time=START)
        asked = replace(swap_only, stage=self.WAITS, approval=first).with_swap_approval_asked()
        assert asked.approval is not None
        decided = replace(asked.approval, decision=swap, by=by, time=START if swap else None)
        return document(replace(asked, approval=decided), START)

    @pytest.mark.parametrize("decision", list(Decision)[:2])
    def test_the_first_one_again_gets_the_same_answer_and_decides_nothing_about_the_swap(
        self, decision: Decision
    ) -> None:
        hub = HubWithRestore(self.document())

        if decision is Decision.APPROVED:
            assert decide(hub, decision, before="Trigger") == self.document()
        else:
            with pytest.raises(TerminalError, match=r"decided before: Approved .* by ada"):
                decide(hub, decision, before="Trigger")
        assert hub.sent == []

    def test_an_approval_that_may_be_the_first_one_again_must_say_which_it_is(self) -> None:
        hub = HubWithRestore(self.document())

        with pytest.raises(TerminalError, match='"before": "Trigger" or "Swap"') as caught:
            decide(hub, by=" ADA")
        assert (caught.value.code, hub.sent) == ("RequestConflict", [])

    @pytest.mark.parametrize(
        ("decision", "by", "before"),
        [
            (Decision.APPROVED, "ada", "Swap"),
            (Decision.APPROVED, "bo", None),
            (Decision.REJECTED, "ada", None),
            (Decision.REJECTED, "bo", "Swap"),
        ],
    )
    def test_any_other_is_about_the_swap_and_sent_with_its_name(
        self, decision: Decision, by: str, before: str | None
    ) -> None:
        hub = HubWithRestore(self.document(), self.document(decision, by))

        answer = decide(hub, decision, by, before)

        assert (answer["approval"]["decision"], answer["approval"]["by"]) == (decision, by)
        assert [(data["decision"], data["before"]) for _, data in hub.sent] == [(decision, "Swap")]

    def test_the_swaps_again_gets_the_same_answer(self) -> None:
        shown = self.document(Decision.APPROVED, "ada")

        assert decide(HubWithRestore(shown)) == decide(HubWithRestore(shown), before="Swap") == shown

    def test_the_answer_waits_for_the_decision_that_was_sent(self) -> None:
        trigger = document(WAITING, START)
        hub = HubWithRestore(trigger, self.document())  # it asks for the swap's by the time it is read again

        assert decide(hub)["approval"]["before"] == "Swap"
        assert [data["before"] for _, data in hub.sent] == ["Trigger"]

    @pytest.mark.parametrize("before", [None, "Swap"])
    def test_one_that_comes_before_the_disks_are_there_is_a_conflict_that_says_so(self, before: str | None) -> None:
        asks = a_restore(thenSwapDisks={}, targetResourceGroupId=None, approval={"required": True, "before": "Swap"})
        hub = HubWithRestore(document(asks, START))

        with pytest.raises(TerminalError, match="it will ask before its swap, when its disks are restored"):
            decide(hub, before=before)
        assert hub.sent == []

    @pytest.mark.parametrize("before", ["Trigger", "Swap"])
    def test_one_that_is_not_asked_for_is_a_conflict_that_names_it(self, before: str) -> None:
        swap_only = {name: member for name, member in self.document().items() if name != "firstApproval"}
        hub = HubWithRestore(swap_only if before == "Trigger" else document(WAITING, START))

        with pytest.raises(TerminalError, match=f"none is asked for before its {before.lower()}"):
            decide(hub, before=before)
        assert hub.sent == []


class TestCancelling:
    RUNNING = tracking_job()
    CANCELLED = replace(RUNNING, cancellation=Cancellation(by="ada", comment="no", time=START))

    def test_the_answer_is_the_document_that_shows_it(self) -> None:
        hub = HubWithRestore(document(self.RUNNING, START), document(self.CANCELLED, START))

        assert cancel(hub)["cancellation"] == {"by": "ada", "comment": "no", "time": "2026-11-23T08:00:00Z"}
        assert [name for name, _ in hub.sent] == ["cancel"]

    def test_the_answer_shows_it_even_if_the_restore_has_not_heard_of_it_in_time(self) -> None:
        hub = HubWithRestore(document(self.RUNNING, START))

        assert cancel(hub)["cancellation"] == {"by": "ada", "comment": "no", "time": "2026-11-23T08:00:00Z"}

    def test_a_second_one_gets_the_same_answer_and_is_not_sent(self) -> None:
        hub = HubWithRestore(document(self.CANCELLED, START))

        assert cancel(hub, by="bo")["cancellation"]["by"] == "ada"
        assert hub.sent == []

    def test_one_that_ended_before_it_was_reached_is_a_conflict(self) -> None:
        ended = document(replace(self.RUNNING, outcome=ENDED), START)

        with pytest.raises(TerminalError, match="has ended as Completed before the cancellation reached it"):
            cancel(HubWithRestore(document(self.RUNNING, START), ended))

    def test_a_cancellation_that_the_task_hub_refuses_is_an_error(self) -> None:
        class Refusing(HubWithRestore):
            async def raise_orchestration_event(self, *_: Any, **__: Any) -> None:
                nothing = grpc.aio.Metadata()
                raise grpc.aio.AioRpcError(grpc.StatusCode.FAILED_PRECONDITION, nothing, nothing)

        with pytest.raises(TransientError, match="Send the same request again"):
            cancel(Refusing(document(self.RUNNING, START)))
