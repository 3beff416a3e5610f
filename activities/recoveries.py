"""The activity of a recovery that calls Azure: it chooses the members and freezes their list."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from domain import errors
from domain.answers import Answer
from domain.codec import pack, unpack
from domain.errors import RestoreError, TerminalError
from domain.recovery import calls
from domain.recovery.calls import StillChoosing, record_id_of_members, record_id_of_plan
from domain.recovery.choice import ChoiceProgress, retry_wait_s
from domain.recovery.chosen_members import ChosenMembers
from domain.recovery.plans_file import plan_of
from domain.recovery.roster import Roster, VaultReading, freeze
from domain.sealing import sealed
from queries.recovery_members import is_complete, read_members
from queries.recovery_vaults import read_vault_of_recovery

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from domain.errors import Json
    from queries.backup_api import BackupApi

_SLICE: Final = timedelta(minutes=1)  # how long one call reads: far below the host's functionTimeout


class Records(Protocol):
    """The records of the task hub. Both methods raise ``TransientError`` if the hub cannot be reached."""

    def read(self, record_id: str) -> Json | None:
        """Return what a record holds, ``None`` if there is none."""
        ...

    def write(self, record_id: str, data: Json) -> Json:
        """Write a record unless there is one, and return what it holds: the first writer wins."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Progress:
    """How far the members are resolved: what was chosen, then the vaults that were read, in their order.

    ``failures`` counts how often in a row the next vault could not be read.
    """

    choice: ChoiceProgress = field(default_factory=ChoiceProgress)
    readings: tuple[VaultReading, ...] = ()
    failures: int = 0


class RecoveryActivities:
    """The activities of recoveries that call Azure. ``clock`` returns aware UTC."""

    def __init__(self, api: BackupApi, *, clock: Callable[[], datetime]) -> None:
        self._api = api
        self._clock = clock

    def resolve_recovery_with(self, records: Records) -> Callable[[Json], Json]:
        """Return the activity ``resolve_recovery``, which keeps its list in ``records``."""
        return sealed(calls.ResolveRecovery, lambda call: self.resolve_recovery(call, records), self._clock)

    def resolve_recovery(self, call: calls.ResolveRecovery, records: Records) -> Answer[calls.Resolution]:
        """Choose the members of a recovery, find their items, and freeze their list; return its outline.

        If that takes long, or Azure asks for a wait, the answer is ``StillChoosing``, with the progress for the next
        call. Raises ``InvalidRequestError`` with every reason against starting the recovery.
        """
        frozen = records.read(record_id_of_members(call.recovery_id))
        if frozen is not None:
            return Answer(Roster.from_json(frozen).resolved)
        accepted = records.read(record_id_of_plan(call.recovery_id, call.fingerprint))
        if accepted is None:
            message = (
                "The record with the plan of this recovery is gone from the task hub. Start the recovery again, with "
                "another requestId."
            )
            raise TerminalError(errors.INTERNAL_ERROR, message)
        progress: _Progress = _Progress() if call.progress is None else unpack(_Progress, call.progress)
        found = self._resolve(call.recovery_id, accepted, progress)
        if not isinstance(found, Roster):
            return found
        held = records.write(record_id_of_members(call.recovery_id), found.to_json())
        return Answer(Roster.from_json(held).resolved)

    def _resolve(self, recovery_id: str, accepted: Json, progress: _Progress) -> Roster | Answer[calls.Resolution]:
        """Return the roster, or how far this call has come."""
        plan, until = plan_of(accepted["plan"]), self._clock() + _SLICE
        answer = read_members(self._api, plan, progress.choice, lambda: self._clock() > until)
        progress = replace(progress, choice=answer.value)
        if not is_complete(plan, progress.choice):
            return _still_choosing(progress, answer.retry_after_s)
        chosen = {vm.vm_id.lower(): vm for vm in progress.choice.chosen}
        members = ChosenMembers.of(plan, accepted["request"], chosen)
        members.check()
        for vault_id in members.vault_ids[len(progress.readings) :]:
            if self._clock() > until:
                return _still_choosing(progress, None)
            try:
                reading = read_vault_of_recovery(self._api, vault_id, members, recovery_id)
            except RestoreError as error:
                if (wait_s := retry_wait_s(error, progress.failures)) is not None:
                    return _still_choosing(replace(progress, failures=progress.failures + 1), wait_s)
                reading = VaultReading(vault_id=vault_id, problem=error.message)
            progress = replace(progress, readings=(*progress.readings, reading), failures=0)
        return freeze(members, progress.readings, progress.choice.warnings)


def _still_choosing(progress: _Progress, retry_after_s: float | None) -> Answer[calls.Resolution]:
    return Answer(StillChoosing(progress=pack(progress)), retry_after_s)
