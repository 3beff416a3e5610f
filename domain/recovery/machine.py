"""The recovery as a state machine without I/O, as ``domain.restore.machine`` is for a restore.

``advance`` and ``decide`` are called before each step; the answer goes to ``absorb``, an event to ``hear``. All are
pure: the same state, answer and time give the same result, so that a step which is run again after a crash is decided
in the same way. A recovery starts members in batches, hears of each one's end by the event ``member``, and does what
persons tell it by the event ``command``. By ``member`` it hears, too, that a member waits for a person, or goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from domain.codec import unpack
from domain.errors import RestoreError
from domain.recovery import admit, calls, commands, members, status_events
from domain.recovery.calls import MemberEnd, MemberWait
from domain.recovery.ending import rejected, retry_or_end
from domain.recovery.groups import STAYS_OPEN, decided, settled, with_decision
from domain.recovery.parts import GROUP_LETTERS, GroupStatus
from domain.recovery.prediction import predict
from domain.recovery.state import Recovery, with_outline
from domain.restore.calls import (
    AcquireLock,
    FindRunning,
    NoteAlert,
    ReleaseLock,
    ReleaseVanishedLock,
    TakeBudget,
    TellRecovery,
)
from domain.restore.parts import Decision
from domain.restore.steps import Finish, MakeCall, Step, Wait
from domain.wire import as_object

if TYPE_CHECKING:
    from datetime import datetime

    from domain.answers import Answer
    from domain.restore.calls import Call

MEMBER_EVENT: Final = TellRecovery.event
COMMAND_EVENT: Final = "command"

_PREDICT_EVERY: Final = timedelta(minutes=1)
_MAX_WAIT: Final = timedelta(days=1)


def decide(recovery: Recovery, now: datetime) -> Step:
    """Return the recovery's next step."""
    if (releasing := admit.release_call(recovery)) is not None:
        return MakeCall(call=releasing)
    return status_events.with_deliveries(recovery, _decide(recovery, now), now)


def _decide(recovery: Recovery, now: datetime) -> Step:
    if recovery.progress.is_closed:
        return Finish()
    check_due = members.check_due(recovery)
    times = _times(recovery, check_due, now)
    for call in _calls(recovery, check_due, now):
        not_before = recovery.backoff.not_before(call.name)
        if not_before is None or not_before <= now:
            return MakeCall(call=call)
        times.append(not_before)
    return Wait(until=min(times))


def _calls(recovery: Recovery, check_due: datetime | None, now: datetime) -> list[Call]:
    """Return the calls that are to be made now, the most urgent first."""
    if (admitting := admit.next_call(recovery)) is not None:
        return [admitting]
    if recovery.outline is None:
        return [
            calls.ResolveRecovery(
                recovery_id=recovery.recovery_id,
                fingerprint=recovery.accepted.fingerprint,
                now=now,
                progress=recovery.choosing,
            )
        ]
    if recovery.awaits_decision:
        return []
    checking = members.check_call(recovery, now) if check_due is not None and check_due <= now else None
    wanted = (members.cancel_call(recovery), members.start_call(recovery), checking)
    return [call for call in wanted if call is not None]


def _times(recovery: Recovery, check_due: datetime | None, now: datetime) -> list[datetime]:
    """Return the times at which something changes without an event. The last one only ends the wait within a day."""
    progress, created = recovery.progress, recovery.accepted.created
    times = [
        group.approval.expires
        for group in progress.groups
        if group.status is GroupStatus.AWAITING_APPROVAL and group.approval is not None
    ]
    if recovery.awaits_decision and progress.approval is not None:
        times.append(progress.approval.expires)
    times.append(check_due)
    if progress.completed is not None:
        times.append(progress.completed + STAYS_OPEN)
    whole_days = (now - created) // _MAX_WAIT
    times.append(created + (whole_days + 1) * _MAX_WAIT)
    return [time for time in times if time is not None and time > now]


def advance(recovery: Recovery, now: datetime) -> Recovery:
    """Return the recovery with what has changed by time alone, and with the members that the next step starts.

    This is called before each step, so a change of the status is noted here.
    """
    if recovery.progress.is_closed:
        return status_events.with_change_noted(recovery, now)
    recovery = settled(_with_times_passed(recovery, now), now)
    step = decide(recovery, now)
    if isinstance(step, MakeCall) and isinstance(step.call, calls.StartMembers):
        recovery = members.with_batch(recovery, step.call.members, now)
    return status_events.with_change_noted(_with_prediction(recovery, now), now)


def _with_times_passed(recovery: Recovery, now: datetime) -> Recovery:
    """Return the recovery in which open approvals have timed out, if their time is over."""
    approval = recovery.progress.approval
    if approval is not None and recovery.outline is not None and recovery.awaits_decision:
        if approval.expires is None:
            approval = replace(approval, expires=now + recovery.accepted.approval_timeout)
        elif now >= approval.expires:
            approval = with_decision(approval, Decision.TIMED_OUT, now, by=None, comment=None)
        recovery = rejected(recovery.with_progress(approval=approval))
    for index in recovery.groups_in(GroupStatus.AWAITING_APPROVAL):
        group = recovery.progress.groups[index]
        if group.approval is not None and group.approval.expires is not None and now >= group.approval.expires:
            recovery = decided(recovery, index, Decision.TIMED_OUT, now, by=None, comment=None)
    return recovery


def _with_prediction(recovery: Recovery, now: datetime) -> Recovery:
    """Return the recovery with its end predicted, once a minute and whenever a group has changed."""
    progress, timing = recovery.progress, recovery.timing
    if recovery.outline is None or recovery.accepted.dry_run or progress.status.has_ended:
        return recovery
    groups = "".join(GROUP_LETTERS[group.status] for group in progress.groups)
    is_fresh = timing.predicted is not None and now < timing.predicted + _PREDICT_EVERY
    if is_fresh and groups == timing.groups:
        return recovery
    recovery = replace(recovery, timing=replace(timing, predicted=now, groups=groups))
    forecast = predict(recovery, now)
    if forecast is None:
        return recovery
    end = now + timedelta(seconds=forecast.left_s)
    return recovery.with_progress(predicted_end=end, critical_path=forecast.critical)


def hear(recovery: Recovery, event: str, data: object, now: datetime) -> Recovery:
    """Return the recovery after an event: the end or a wait of a member's restore, or a person's command.

    An event with invalid data changes nothing, nor does one after the recovery's end.
    """
    if recovery.progress.is_closed:
        return recovery
    if event == COMMAND_EVENT:
        return settled(commands.heard(recovery, data, now), now)
    if event != MEMBER_EVENT:
        return recovery
    told = as_object(data)
    try:
        news: MemberEnd | MemberWait = unpack(MemberWait if "waits" in told else MemberEnd, told)
    except (KeyError, TypeError, ValueError):
        return recovery
    if isinstance(news, MemberWait):
        # Noted here, because nothing but an event to be sent may follow from it, and that must not wait for the check.
        return status_events.with_change_noted(settled(members.wait_heard(recovery, news), now), now)
    return settled(members.ended(recovery, news, now), now)


def absorb(recovery: Recovery, call: Call, answer: Answer[Any] | RestoreError, now: datetime) -> Recovery:
    """Return the recovery after a call was answered or has failed."""
    absorber = _ABSORBERS[type(call)]
    if recovery.progress.is_closed and not absorber.after_end:
        return recovery
    name, asked_s = call.name, answer.retry_after_s
    if isinstance(answer, RestoreError):
        recovery = replace(recovery, backoff=recovery.backoff.hold(name, asked_s, now))
        return settled(absorber.failed(recovery, call, answer, now), now)
    recovery = replace(recovery, backoff=recovery.backoff.succeeded(name, asked_s, now))
    return settled(absorber.answered(recovery, call, answer.value, now), now)


def _resolved(recovery: Recovery, _call: calls.ResolveRecovery, answer: calls.Resolution, _now: datetime) -> Recovery:
    if isinstance(answer, calls.StillChoosing):
        return replace(recovery, choosing=answer.progress)
    return with_outline(recovery, answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Absorber:
    """How the answer and the failure of a call change the state. ``after_end``: even when the recovery is closed."""

    answered: Callable[[Recovery, Any, Any, datetime], Recovery]
    failed: Callable[[Recovery, Any, RestoreError, datetime], Recovery] = retry_or_end
    after_end: bool = False


_ABSORBERS: Final[Mapping[type[Call], _Absorber]] = {
    AcquireLock: _Absorber(answered=admit.lock_answered),
    FindRunning: _Absorber(answered=admit.holder_found),
    ReleaseVanishedLock: _Absorber(answered=admit.vanished_lock_released),
    NoteAlert: _Absorber(answered=admit.storm_answered),
    TakeBudget: _Absorber(answered=admit.budget_answered),
    ReleaseLock: _Absorber(answered=admit.lock_released, after_end=True),
    calls.ResolveRecovery: _Absorber(answered=_resolved),
    calls.StartMembers: _Absorber(answered=members.started, failed=members.start_failed),
    calls.CancelMembers: _Absorber(answered=members.cancelled, failed=members.call_failed),
    calls.CheckMembers: _Absorber(answered=members.checked, failed=members.call_failed),
    calls.PublishRecoveryEvents: _Absorber(
        answered=status_events.published, failed=status_events.publish_failed, after_end=True
    ),
    calls.PostRecoveryEvent: _Absorber(answered=status_events.posted, failed=status_events.post_failed, after_end=True),
}
