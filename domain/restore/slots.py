"""A restore's slot at its vault: the number of restores that run at once is limited, the others wait in line."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from domain.restore.calls import (
    AcquireSlot,
    FindRunning,
    PrepareRestore,
    ReleaseSlot,
    StartRestore,
    WakeRestore,
    entity_key,
)
from domain.restore.failure import retry, retry_or_end, with_blocked_vault
from domain.restore.parts import SlotState
from domain.restore.prepare import prepare_restore
from domain.restore.stages import (
    AwaitingApproval,
    AwaitingMaintenance,
    AwaitingResourceGuard,
    Preparing,
    Triggering,
)
from domain.restore.steps import MakeCall, when_due
from domain.warning_codes import WarningCode

if TYPE_CHECKING:
    from datetime import datetime

    from domain.errors import RestoreError
    from domain.restore.answers import Done, Running, SlotGrant, SlotReleased
    from domain.restore.calls import Call
    from domain.restore.state import Restore
    from domain.restore.steps import Step

_MAX_TRIES: Final = 3  # of a call on behalf of other restores
_MAX_WAIT_S: Final = 300.0  # normally the restore that releases a slot wakes the next one; this is in case it could not


def decide(restore: Restore, now: datetime) -> Step | None:
    """Return the next step with the vault's slots, or ``None`` if there is none.

    While the restore waits for a person, it yields its slot to others. A slot is usually free, so the point is chosen
    beside the request for one. A restore that has to wait chooses again when it gets its slot, because newer points may
    exist by then.
    """
    if (owed := _owed_call(restore)) is not None:
        return when_due(restore, owed, now)
    if restore.item is None or (restore.slot.state is SlotState.WANTED and restore.is_after_job):
        return None
    if restore.slot.state is SlotState.HELD and _must_yield_slot(restore, now):
        return when_due(restore, release(restore, restore.restore_id), now)
    if restore.slot.is_ready or not _needs_slot(restore, now):
        return None
    acquiring = AcquireSlot(key=_key(restore), max_per_vault=_max_per_vault(restore))
    step = when_due(restore, acquiring, now)
    chooses = isinstance(restore.stage, Preparing) and restore.slot.state is SlotState.WANTED
    if isinstance(step, MakeCall) and chooses and restore.backoff.is_due(PrepareRestore.name, now):
        return MakeCall(call=acquiring, beside=(prepare_restore(restore, now),))
    return step


def release(restore: Restore, holder_id: str) -> ReleaseSlot:
    """Return the call that releases the slot of ``holder_id``; the item must be known."""
    is_own, until = holder_id == restore.restore_id, restore.slot.blocked_until
    return ReleaseSlot(
        key=_key(restore),
        max_per_vault=_max_per_vault(restore),
        holder_id=holder_id,
        blocked_until=until if is_own else None,
        is_taken=is_own and until is None and restore.is_taken,
    )


def _owed_call(restore: Restore) -> Call | None:
    """Return the call, if any, that this restore must make for other restores in line."""
    slot = restore.slot
    if slot.to_wake is not None:
        return WakeRestore(restore_id=slot.to_wake)
    if slot.vanished is not None:
        return release(restore, slot.vanished)
    return None if slot.suspect is None else FindRunning(restore_id=slot.suspect)


def _must_yield_slot(restore: Restore, now: datetime) -> bool:
    if restore.slot.blocked_until is not None:
        return True
    if isinstance(restore.stage, AwaitingResourceGuard):
        return not _needs_slot(restore, now)
    return isinstance(restore.stage, AwaitingApproval | AwaitingMaintenance)


def _needs_slot(restore: Restore, now: datetime) -> bool:
    """Return whether the restore's next call to the vault needs a slot."""
    if isinstance(restore.stage, AwaitingResourceGuard):
        until = restore.waits_for_person_until
        is_last = until is not None and now >= until
        return restore.stage.in_doubt is None and (is_last or restore.backoff.is_due(StartRestore.name, now))
    return isinstance(restore.stage, Preparing | Triggering)


def slot_answered(restore: Restore, _call: AcquireSlot, grant: SlotGrant, now: datetime) -> Restore:
    """Return the restore with its slot, or waiting in line; in that case it checks whether one holder still runs."""
    if grant.is_granted:
        return _with_slot(restore, grant.running, now)
    if grant.blocked_until is not None:
        waiting = replace(
            restore,
            slot=replace(restore.slot, state=SlotState.WAITING, was_woken=False),
            backoff=restore.backoff.wait(AcquireSlot.name, (grant.blocked_until - now).total_seconds(), now),
        )
        return with_blocked_vault(waiting, grant.blocked_until)
    message = (
        f"{_max_per_vault(restore)} restores of this vault run at once (RESTORE_MAX_RUNNING_PER_VAULT); this one "
        "waited for a slot."
    )
    wait_s = 0.0 if restore.slot.was_woken else _MAX_WAIT_S
    waiting = replace(
        restore,
        slot=replace(restore.slot, state=SlotState.WAITING, suspect=grant.holder, was_woken=False, blocked_until=None),
        backoff=restore.backoff.wait(AcquireSlot.name, wait_s, now),
    )
    return waiting.with_settled(WarningCode.VAULT_BLOCKED, now).with_warning(WarningCode.VAULT_BUSY, message)


def _with_slot(restore: Restore, running: int, now: datetime) -> Restore:
    slot = restore.slot
    # The point is chosen beside the request for the slot, and may have found the vault blocked. Then the release of the
    # slot will tell the others of the vault.
    is_blocked = slot.blocked_until is not None and slot.blocked_until > now
    held = replace(
        slot,
        state=SlotState.HELD,
        was_woken=False,
        blocked_until=slot.blocked_until if is_blocked else None,
        running=running,
    )
    # What failed before the wait in line, which may have taken hours, does not count any more.
    backoff = restore.backoff.without_failures(PrepareRestore.name).without_failures(StartRestore.name)
    restore = replace(restore, slot=held, backoff=backoff).with_settled(WarningCode.VAULT_BUSY, now)
    return restore if is_blocked else restore.with_settled(WarningCode.VAULT_BLOCKED, now)


def holder_found(restore: Restore, running: Running) -> Restore:
    """Return the restore, which will release the slot of the holder if that no longer runs."""
    slot = restore.slot
    vanished = None if running.is_running else slot.suspect
    return replace(restore, slot=replace(slot, suspect=None, vanished=vanished))


def slot_released(restore: Restore, call: ReleaseSlot, released: SlotReleased, _now: datetime) -> Restore:
    """Return the restore without the released slot; it must wake the restore that got the slot, if any."""
    slot = replace(restore.slot, to_wake=released.next_id)
    if call.holder_id != restore.restore_id:
        return replace(restore, slot=replace(slot, vanished=None))
    state = SlotState.WANTED if restore.outcome is None else SlotState.NOT_NEEDED
    return replace(restore, slot=replace(slot, state=state))


def next_one_woken(restore: Restore, _call: WakeRestore, _done: Done, _now: datetime) -> Restore:
    """Return the restore, which has woken the one that got a slot."""
    return replace(restore, slot=replace(restore.slot, to_wake=None))


def owed_call_failed(restore: Restore, call: Call, error: RestoreError, now: datetime) -> Restore:
    """Return the restore that tries again, or after some attempts gives up: the others in line ask again anyway."""
    if isinstance(call, ReleaseSlot) and call.holder_id == restore.restore_id:
        return retry_or_end(restore, call, error, now)
    if restore.backoff.failures(call.name) + 1 < _MAX_TRIES:
        return retry(restore, call, now)
    backoff = restore.backoff.without_failures(call.name)
    return replace(restore, slot=replace(restore.slot, vanished=None, to_wake=None, suspect=None), backoff=backoff)


def slot_event_received(restore: Restore) -> Restore:
    """Return the restore, which requests its slot at once because it was woken."""
    if restore.slot.is_ready:
        return restore
    # The answer that makes it wait may still be on its way.
    woken = replace(restore.slot, was_woken=True)
    return replace(restore, slot=woken, backoff=restore.backoff.without_wait(AcquireSlot.name))


def _max_per_vault(restore: Restore) -> int:
    return restore.limits.max_per_vault or 0


def _key(restore: Restore) -> str:
    return entity_key(restore.item.vault_id if restore.item else "")
