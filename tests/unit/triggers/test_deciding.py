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
from domain.restore.document import document
from domain.restore.outcome import cancelled
from domain.restore.parts import Cancellation, Decision, Outcome, Status
from domain.restore.stages import AwaitingApproval, AwaitingResourceGuard, Prepared, Triggering
from tests.support.azure import CONTAINER, ITEM, VAULT_ID, VM_ID, a_point, a_restore
from tests.support.hub import START
from tests.unit.domain.restore.states import tracking_job
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


def decide(hub: HubWithRestore, decision: Decision = Decision.APPROVED, by: str = "ada") -> Json:
    client = cast("df.DurableFunctionsClient", hub)
    return asyncio.run(deciding.decide_restore(client, "r", decision, {"by": by}))


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
