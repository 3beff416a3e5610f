"""Events: each change of a recovery's status goes to the events queue, and to the webhook when a person must know.

They are sent while the recovery waits, so that none delays a restore. A delivery that fails is tried again; after some
attempts it is given up with a warning.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from domain.recovery.calls import PostRecoveryEvent, PublishRecoveryEvents, RecoveryChange
from domain.recovery.custom_status import shown_progress
from domain.recovery.document import document
from domain.recovery.parts import GroupStatus, RecoveryEvents, RecoveryStatus
from domain.restore.answers import Done
from domain.restore.parts import RefusedWhen
from domain.restore.steps import Finish, MakeCall, Wait, WaitForAnswers
from domain.warning_codes import WarningCode

if TYPE_CHECKING:
    from datetime import datetime

    from domain.errors import RestoreError
    from domain.recovery.state import Recovery
    from domain.restore.calls import Call
    from domain.restore.steps import Step

_MAX_DELIVERIES: Final = 8


def with_change_noted(recovery: Recovery, now: datetime) -> Recovery:
    """Return the recovery with an event to be sent, if its status has changed or another group waits for a person.

    A start that was refused while its caller waited gets no events: the caller has the answer.
    """
    events, progress = recovery.events, recovery.progress
    status, asked = progress.status, tuple(recovery.groups_in(GroupStatus.AWAITING_APPROVAL))
    asks_more = status is RecoveryStatus.AWAITING_APPROVAL and not set(asked) <= set(events.asked)
    if status is events.noted and not asks_more:
        return recovery if asked == events.asked else replace(recovery, events=replace(events, asked=asked))
    if progress.refused is RefusedWhen.AT_ONCE:
        return replace(recovery, events=RecoveryEvents(noted=status))
    shown = document(recovery.accepted, shown_progress(recovery), now)
    ends, time = events.ends + status.has_ended, progress.completed or now
    change = RecoveryChange(
        status=status, time=time, document=shown, end=ends if status.has_ended and ends > 1 else None
    )
    must_post = status is RecoveryStatus.AWAITING_APPROVAL or status.has_ended
    noted = RecoveryEvents(
        noted=status,
        asked=asked,
        ends=ends,
        to_publish=(*events.to_publish, change),
        to_post=(*events.to_post, change) if must_post else events.to_post,
    )
    return replace(recovery, events=noted, backoff=recovery.backoff.without_wait(PublishRecoveryEvents.name))


def deliveries(recovery: Recovery) -> tuple[Call, ...]:
    """Return the calls that send the events which are still to be sent."""
    calls: list[Call] = []
    if recovery.events.to_publish:
        calls.append(PublishRecoveryEvents(changes=recovery.events.to_publish))
    if recovery.events.to_post:
        calls.append(PostRecoveryEvent(change=recovery.events.to_post[0]))
    return tuple(calls)


def with_deliveries(recovery: Recovery, step: Step, now: datetime) -> Step:
    """Return the step with the deliveries that may be made during it: none before admission control has answered.

    The recovery first waits for the answers to deliveries and then, with a timer, for their next attempt: no timer is
    set while they are in flight, because the engine numbers timers and calls together, and the number of the next one
    must not depend on which answer comes first. At the end they are all that is left to do.
    """
    if not isinstance(step, Wait | Finish) or not (recovery.admission.admitted or recovery.progress.is_closed):
        return step
    calls = deliveries(recovery)
    due = tuple(call for call in calls if recovery.backoff.is_due(call.name, now))
    attempts = [recovery.backoff.not_before(call.name) for call in calls]
    times = [attempt for attempt in attempts if attempt is not None]
    if isinstance(step, Finish):
        if due:
            return MakeCall(call=due[0], beside=due[1:])
        return Wait(until=min(times)) if times and calls else step
    if due:
        return WaitForAnswers(calls=due, until=step.until)
    return replace(step, until=min([step.until, *times]))


def published(recovery: Recovery, call: PublishRecoveryEvents, _done: Done, _now: datetime) -> Recovery:
    """Return the recovery without the events that are on the queue."""
    left = recovery.events.to_publish[len(call.changes) :]
    return replace(recovery, events=replace(recovery.events, to_publish=left))


def publish_failed(recovery: Recovery, call: PublishRecoveryEvents, error: RestoreError, now: datetime) -> Recovery:
    """Return the recovery that publishes the events again, or after some attempts gives them up."""
    if recovery.backoff.failures(call.name) + 1 < _MAX_DELIVERIES:
        return replace(recovery, backoff=recovery.backoff.retry(call.name, now))
    names = ", ".join(change.status for change in call.changes)
    message = f"Events could not be put on the events queue ({names}): {error.message}"
    return published(_given_up(recovery, call, WarningCode.EVENTS_NOT_PUBLISHED, message), call, Done(), now)


def posted(recovery: Recovery, _call: PostRecoveryEvent, _done: Done, _now: datetime) -> Recovery:
    """Return the recovery without the event that the webhook has."""
    return replace(recovery, events=replace(recovery.events, to_post=recovery.events.to_post[1:]))


def post_failed(recovery: Recovery, call: PostRecoveryEvent, error: RestoreError, now: datetime) -> Recovery:
    """Return the recovery that posts the event again, or after some attempts gives it up."""
    if recovery.backoff.failures(call.name) + 1 < _MAX_DELIVERIES:
        return replace(recovery, backoff=recovery.backoff.retry(call.name, now))
    message = f"The event {call.change.status} could not be posted to RESTORE_WEBHOOK_URL: {error.message}"
    return posted(_given_up(recovery, call, WarningCode.EVENT_NOT_POSTED, message), call, Done(), now)


def _given_up(recovery: Recovery, call: Call, code: WarningCode, message: str) -> Recovery:
    without_wait = recovery.backoff.without_wait(call.name)
    return replace(recovery, backoff=without_wait).with_warning(code, message)
