"""After the end: lock and slot are released, a member tells its recovery, and the result and last events are sent.

A member also tells its recovery that it waits for a person, and that it goes on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from domain.codec import pack
from domain.recovery.calls import MemberWait
from domain.recovery.member_end import member_end
from domain.restore import slots, status_events
from domain.restore.calls import (
    PostResult,
    PublishResult,
    ReleaseLock,
    ReleaseSlot,
    TellRecovery,
    WakeRestore,
    entity_key,
)
from domain.restore.document import result_document
from domain.restore.failure import retry
from domain.restore.outcome import may_have_started
from domain.restore.parts import Delivery, LockState, SlotState
from domain.restore.stages import AwaitingMaintenance
from domain.restore.steps import Finish, MakeCall, first_due
from domain.times import format_time
from domain.warning_codes import WarningCode

if TYPE_CHECKING:
    from datetime import datetime

    from domain.errors import RestoreError
    from domain.restore.answers import Done, Published
    from domain.restore.calls import Call
    from domain.restore.parts import Membership, Outcome
    from domain.restore.state import Restore
    from domain.restore.steps import Step

_MAX_DELIVERIES: Final = 8
_MAX_RELEASES: Final = 3


def decide(restore: Restore, outcome: Outcome, now: datetime) -> Step:
    """Return the next step of a restore that has ended. Releasing lock and slot does not delay the result."""
    lock, vm_id = restore.admission.lock, restore.source_resource_id
    if lock in {LockState.WANTED, LockState.HELD} and vm_id is not None:
        # A restore that was not admitted may hold the lock nevertheless: the lock's answer may have been lost.
        unused = not (restore.admission.admitted and may_have_started(restore))
        return MakeCall(call=ReleaseLock(key=entity_key(vm_id), ended=outcome.completed, unused=unused))
    calls: list[Call] = []
    if (releasing := _next_release(restore)) is not None:
        calls.append(releasing)
    elif (member := restore.accepted.member) is not None and not outcome.told:
        return MakeCall(call=_tell_recovery(restore, outcome, member))
    if outcome.queue is Delivery.PENDING:
        calls.append(PublishResult(document=result_document(restore, outcome)))
    calls += status_events.deliveries(restore)
    if outcome.queue is not Delivery.PENDING and outcome.webhook is Delivery.PENDING and not restore.events.to_post:
        calls.append(PostResult(document=result_document(restore, outcome)))
    if not calls:
        return Finish()
    step = first_due(restore, tuple(calls), now)
    if not isinstance(step, MakeCall):
        return step
    others = [call for call in calls if call is not step.call and restore.backoff.is_due(call.name, now)]
    return MakeCall(call=step.call, beside=tuple(others))


def tell_wait(restore: Restore, now: datetime) -> Step | None:
    """Return the step of a member whose recovery does not know yet that it waits for a person, or that it goes on."""
    member, waits = restore.accepted.member, isinstance(restore.stage, AwaitingMaintenance)
    if member is None or waits == restore.told_wait:
        return None
    news = MemberWait(index=member.index, attempt=member.attempt, waits=waits)
    data = {**pack(news), "time": format_time(now)}
    return MakeCall(call=TellRecovery(instance_id=member.recovery_id, data=data))


def _next_release(restore: Restore) -> Call | None:
    if restore.slot.to_wake is not None:
        return WakeRestore(restore_id=restore.slot.to_wake)
    if restore.slot.state is SlotState.NOT_NEEDED or restore.item is None:
        return None
    return slots.release(restore, restore.restore_id)


def _tell_recovery(restore: Restore, outcome: Outcome, member: Membership) -> TellRecovery:
    end = member_end(result_document(restore, outcome), index=member.index, attempt=member.attempt)
    data = {**pack(end), "time": format_time(outcome.completed)}
    return TellRecovery(instance_id=member.recovery_id, data=data)


def lock_released(restore: Restore, _call: ReleaseLock, _done: Done, _now: datetime) -> Restore:
    """Return the restore without its lock. Until the message arrives, other restores see that this one has ended."""
    return replace(restore, admission=replace(restore.admission, lock=LockState.RELEASED))


def recovery_told(restore: Restore, _call: TellRecovery, _none: None, _now: datetime) -> Restore:
    """Return the restore whose recovery has been told. Should the event be lost, the recovery looks by itself."""
    if restore.outcome is None:
        return replace(restore, told_wait=not restore.told_wait)
    return replace(restore, outcome=replace(restore.outcome, told=True))


def published(restore: Restore, _call: PublishResult, answer: Published, _now: datetime) -> Restore:
    """Return the restore with its result on the queue."""
    webhook = Delivery.PENDING if answer.has_webhook else Delivery.NOT_NEEDED
    return _with_deliveries(restore, queue=Delivery.DONE, webhook=webhook)


def publish_failed(restore: Restore, call: PublishResult, error: RestoreError, now: datetime) -> Restore:
    """Return the restore whose result is published again, or after some attempts goes only to the webhook, if any."""
    if restore.backoff.failures(call.name) + 1 < _MAX_DELIVERIES:
        return retry(restore, call, now)
    message = f"The result could not be put on the results queue: {error.message}"
    noted = restore.with_note(WarningCode.RESULT_NOT_PUBLISHED, message)
    return _with_deliveries(noted, queue=Delivery.FAILED, webhook=Delivery.PENDING)


def posted(restore: Restore, _call: PostResult, _done: Done, _now: datetime) -> Restore:
    """Return the restore with its result at the webhook."""
    return _with_deliveries(restore, webhook=Delivery.DONE)


def post_failed(restore: Restore, call: PostResult, error: RestoreError, now: datetime) -> Restore:
    """Return the restore whose result is posted to the webhook again, or after some attempts given up."""
    if restore.backoff.failures(call.name) + 1 < _MAX_DELIVERIES:
        return retry(restore, call, now)
    message = f"The result could not be posted to RESTORE_WEBHOOK_URL: {error.message}"
    return _with_deliveries(restore.with_note(WarningCode.RESULT_NOT_POSTED, message), webhook=Delivery.FAILED)


def release_failed(restore: Restore, call: ReleaseSlot, error: RestoreError, now: datetime) -> Restore:
    """Return the restore that tries again, or after some attempts gives up: others of the vault will see its end."""
    if restore.backoff.failures(call.name) + 1 < _MAX_RELEASES:
        return retry(restore, call, now)
    noted = restore.with_note(WarningCode.SLOT_NOT_RELEASED, error.message)
    return replace(noted, slot=replace(noted.slot, state=SlotState.NOT_NEEDED, vanished=None))


def _with_deliveries(restore: Restore, **deliveries: Delivery) -> Restore:
    if restore.outcome is None:
        return restore
    return replace(restore, outcome=replace(restore.outcome, **deliveries))
