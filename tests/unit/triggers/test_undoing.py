"""Who asks for the undo of a swap: which restore answers, and when another one is started."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

import pytest
from durabletask.client import OrchestrationState, OrchestrationStatus

from domain.codec import pack
from domain.errors import TerminalError, TransientError
from domain.follow_up.swap import Swap
from domain.restore.answers import Refusal
from domain.restore.document import document
from domain.restore.outcome import refused
from domain.restore.parts import Outcome, Status
from domain.restore.stages import FollowingUp
from domain.restore.undo import undo_id
from orchestrations.names import HOLD_LIST_ENTRY, RESTORE_VM
from tests.support.azure import LIMITS, VAULT_ID, VM_ID, a_restore
from tests.support.compute import disk_id
from tests.support.hub import START
from tests.unit.triggers.states import a_state
from triggers import undoing
from triggers.list_entries import ListEntry
from triggers.undoing import undo_restore

if TYPE_CHECKING:
    import azure.durable_functions as df

    from domain.errors import Json
    from domain.restore.state import Restore
    from triggers.starting import Started

PROFILE: Final = {"osDisk": {"name": "old-os", "managedDisk": {"id": disk_id("old-os")}}, "dataDisks": []}
SWAP: Final = {
    "virtualMachineId": VM_ID,
    "state": "Swapped",
    "disks": [{"lun": None, "formerDiskId": disk_id("old-os"), "diskId": disk_id("new-os")}],
    "formerStorageProfile": PROFILE,
}
SWAPPED: Final = a_restore(
    thenSwapDisks={},
    requestedBy="bob",
    vaultId=VAULT_ID,
    recoveryPoint={"tiers": ["InstantRP"]},
    approval={"required": True, "before": "Swap"},
)


def ended(restore: Restore, status: Status = Status.COMPLETED, result: Json | None = None) -> Json:
    return document(replace(restore, outcome=Outcome(status=status, completed=START, result=result)), START)


def swapped(**members: Any) -> OrchestrationState:
    """Return the restore that is undone; ``members`` of its swap."""
    final = ended(SWAPPED, result={"swap": {**SWAP, **members}})
    return a_state(OrchestrationStatus.COMPLETED, serialized_input=pack(SWAPPED), serialized_output=final)


def replaced_by_azure() -> OrchestrationState:
    restore = a_restore(recoveryType="OriginalLocation", targetResourceGroupId=None)
    output = ended(restore, result={"jobStatus": "Completed"})
    return a_state(OrchestrationStatus.COMPLETED, serialized_input=pack(restore), serialized_output=output)


def an_undo(attempt: int) -> Restore:
    """Return an earlier undo, which another person asked for."""
    restore = a_restore(thenSwapDisks={}, requestedBy="carol")
    accepted = replace(restore.accepted, restore_id=undo_id(SWAPPED.restore_id, attempt), undo_of=SWAPPED.restore_id)
    return replace(restore, accepted=accepted)


def running(attempt: int) -> OrchestrationState:
    return a_state(OrchestrationStatus.RUNNING, serialized_input=pack(an_undo(attempt)))


def over(attempt: int, status: Status) -> OrchestrationState:
    restore = an_undo(attempt)
    output = ended(restore, status)
    return a_state(OrchestrationStatus.COMPLETED, serialized_input=pack(restore), serialized_output=output)


def not_admitted(attempt: int) -> OrchestrationState:
    """Return an undo that was refused, because a restore of the VM ran."""
    output = document(refused(an_undo(attempt), Refusal(code="RequestConflict", message="busy"), START), START)
    return a_state(OrchestrationStatus.COMPLETED, serialized_input=pack(an_undo(attempt)), serialized_output=output)


class _Hub:
    """A task hub with the restore that is undone, and with these undos by their attempts.

    ``rival`` begins to run just before another undo is started, which is then dropped in silence.
    """

    def __init__(
        self,
        undos: dict[int, OrchestrationState] | None = None,
        *,
        restore: OrchestrationState | None = None,
        rival: OrchestrationState | None = None,
    ) -> None:
        self.restore: list[OrchestrationState] = [restore or swapped()]
        """How the restore looks, one time after the other; the last one stays."""
        self._undos = {undo_id(SWAPPED.restore_id, attempt): state for attempt, state in (undos or {}).items()}
        self._rival = rival
        self.started: list[str] = []
        self.entries: list[ListEntry | None] = []

    async def get_orchestration_state(self, instance_id: str, **_: Any) -> OrchestrationState | None:
        if instance_id == SWAPPED.restore_id:
            return self.restore.pop(0) if len(self.restore) > 1 else self.restore[0]
        return self._undos.get(instance_id)

    async def schedule_new_orchestration(self, name: str, *, instance_id: str, input: Json) -> None:  # noqa: A002
        if name == HOLD_LIST_ENTRY:
            self.entries.append(ListEntry.read(instance_id))
            return
        assert name == RESTORE_VM
        if self._rival is None:
            self.started.append(instance_id)
        self._undos[instance_id] = self._rival or a_state(OrchestrationStatus.PENDING, serialized_input=input)


def ask(hub: _Hub, restore_id: str = SWAPPED.restore_id, **person: str) -> Started:
    client = cast("df.DurableFunctionsClient", hub)
    return asyncio.run(undo_restore(client, restore_id, {"by": "ada", **person}, limits_for=lambda _: LIMITS))


@pytest.fixture(autouse=True)
def _nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undoing, "answer_deadline", lambda: time.monotonic() + 0.05)


class TestTheFirstUndo:
    @pytest.mark.parametrize("comment", [{}, {"comment": "it was the wrong point"}])
    def test_says_what_it_is_and_nothing_of_a_restore_from_a_recovery_point(self, comment: dict[str, str]) -> None:
        shown = document(ask(_Hub(), **comment).restore, START)

        reason = comment.get("comment", f"Undo of {SWAPPED.restore_id}.")
        assert (shown["undoOf"], shown["requestedBy"], shown["reason"]) == (SWAPPED.restore_id, "ada", reason)
        assert shown["request"] == {
            "sourceResourceId": VM_ID,
            "recoveryType": "RestoreDisks",
            "thenSwapDisks": {},
            "requestedBy": "ada",
            "reason": reason,
            "target": {"virtualMachineId": VM_ID, "replacesDisks": True},
        }
        assert (shown["vaultId"], shown["recoveryPoint"]) == (None, None)

    def test_is_a_restore_of_its_own_that_puts_the_former_disk_back(self) -> None:
        hub = _Hub()

        started = ask(hub, comment="it was the wrong point")

        restore = started.restore
        assert started.is_new
        assert hub.started == [restore.restore_id] == [undo_id(SWAPPED.restore_id, 1)]
        assert restore.accepted.undo_of == SWAPPED.restore_id
        assert (restore.request.body["requestedBy"], restore.request.body["reason"]) == (
            "ada",
            "it was the wrong point",
        )
        assert isinstance(restore.stage, FollowingUp)
        assert isinstance(restore.stage.work, Swap)
        assert restore.approval is None
        [place] = restore.stage.work.wanted
        assert place.disk is not None
        assert place.disk.disk_id == disk_id("old-os")

    def test_has_an_entry_in_the_list(self) -> None:
        hub = _Hub()

        restore = ask(hub).restore

        assert hub.entries == [ListEntry.of(restore)]

    def test_goes_by_the_whole_document_and_not_by_a_cut_one(self) -> None:
        hub = _Hub()
        hub.restore = [swapped(formerStorageProfile=None), swapped()]

        assert ask(hub).is_new

    def test_waits_for_the_whole_document_no_longer_than_a_caller_does(self) -> None:
        hub = _Hub(restore=swapped(formerStorageProfile=None))

        with pytest.raises(TransientError, match="still being reported"):
            ask(hub)
        assert hub.started == []


class TestAskedForAgain:
    def test_the_undo_that_runs_answers_whoever_asks(self) -> None:
        hub = _Hub({1: running(1)})

        started = ask(hub, by="dave", comment="please")

        assert (started.is_new, started.restore.restore_id) == (False, undo_id(SWAPPED.restore_id, 1))
        assert hub.started == []

    @pytest.mark.parametrize("status", [Status.COMPLETED, Status.COMPLETED_WITH_WARNINGS])
    def test_so_does_one_that_has_ended_well(self, status: Status) -> None:
        hub = _Hub({1: over(1, status)})

        assert not ask(hub).is_new
        assert hub.started == []

    @pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED, Status.REJECTED])
    def test_after_one_that_did_not_another_is_started(self, status: Status) -> None:
        hub = _Hub({1: over(1, Status.FAILED), 2: over(2, status)})

        assert ask(hub).is_new
        assert hub.started == [undo_id(SWAPPED.restore_id, 3)]

    def test_a_later_attempt_answers_for_the_failed_ones(self) -> None:
        hub = _Hub({1: over(1, Status.FAILED), 2: over(2, Status.COMPLETED)})

        assert ask(hub).restore.restore_id == undo_id(SWAPPED.restore_id, 2)

    def test_one_that_was_not_admitted_is_started_again_under_its_id(self) -> None:
        hub = _Hub({1: not_admitted(1)})

        assert ask(hub).is_new
        assert hub.started == [undo_id(SWAPPED.restore_id, 1)]

    def test_of_two_at_one_moment_one_runs_and_answers_both(self) -> None:
        hub = _Hub(rival=running(1))

        started = ask(hub, comment="another comment")

        assert not started.is_new
        assert started.restore.request.body["requestedBy"] == "carol"
        assert hub.entries == []


class TestNothingToUndo:
    def test_an_unknown_restore_is_not_found(self) -> None:
        with pytest.raises(TerminalError, match="There is no restore"):
            ask(_Hub(), "00000000-0000-0000-0000-000000000000")

    @pytest.mark.parametrize(
        ("restore", "advice"),
        [
            (a_state(OrchestrationStatus.RUNNING, serialized_input=pack(SWAPPED)), "Cancel it instead"),
            (swapped(state="AsBefore"), "has its former disks"),
            (swapped(disks=[]), "swapped no disks"),
            (replaced_by_azure(), "by hand"),
        ],
    )
    def test_a_restore_that_has_put_no_disks_in_is_a_conflict(self, restore: OrchestrationState, advice: str) -> None:
        hub = _Hub(restore=restore)

        with pytest.raises(TerminalError, match=advice) as refusal:
            ask(hub)
        assert refusal.value.code == "RequestConflict"
        assert hub.started == []
