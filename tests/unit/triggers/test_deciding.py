"""What a person is answered who decides too late, or where nothing waits for a decision."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from durabletask.client import OrchestrationState, OrchestrationStatus

from domain.azure.protected_items import ProtectedItem
from domain.errors import TerminalError
from domain.restore.document import document
from domain.restore.outcome import cancelled
from domain.restore.parts import Decision
from domain.restore.stages import AwaitingApproval, AwaitingResourceGuard, Prepared
from tests.support.azure import CONTAINER, ITEM, VAULT_ID, VM_ID, a_point, a_restore
from tests.support.hub import START
from tests.unit.triggers.states import a_state
from triggers import deciding

if TYPE_CHECKING:
    import azure.durable_functions as df

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


def decide(document: dict[str, Any], then: dict[str, Any] | None = None) -> dict[str, Any]:
    """Approve a restore that shows this document, and another one once the decision was sent."""
    states = [a_state(OrchestrationStatus.RUNNING, serialized_custom_status=document)]
    if then is not None:
        states.append(a_state(OrchestrationStatus.COMPLETED, serialized_output=then))

    class Deciding:
        sent = False

        async def get_orchestration_state(self, *_: Any, **__: Any) -> OrchestrationState:
            return states[-1 if self.sent else 0]

        async def raise_orchestration_event(self, *_: Any, **__: Any) -> None:
            self.sent = True

    client = cast("df.DurableFunctionsClient", Deciding())
    return asyncio.run(deciding.decide_restore(client, "r", Decision.APPROVED, {"by": "ada"}))


class TestDeciding:
    WAITING = waiting(a_restore(approval={"required": True}))

    def test_one_that_ended_before_the_decision_reached_it_is_a_conflict(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(deciding, "now", lambda: START)
        with pytest.raises(TerminalError, match="before the decision reached it"):
            decide(document(self.WAITING, START), document(cancelled(self.WAITING, START), START))

    def test_a_decision_after_the_time_out_is_a_conflict_and_is_not_sent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(deciding, "now", lambda: START + timedelta(hours=5))
        with pytest.raises(TerminalError, match="could be decided until"):
            decide(document(self.WAITING, START))

    def test_a_resource_guard_is_opened_elsewhere(self) -> None:
        stage = AwaitingResourceGuard(prepared=PREPARED, since=START, refusal={})
        with pytest.raises(TerminalError, match="Resource Guard"):
            decide(document(replace(a_restore(), stage=stage), START))
