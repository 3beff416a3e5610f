"""Events: each change of the restore's status goes to the events queue, and to the webhook when a person must act.

They are sent while the restore waits, and at its end. So no event delays a call of the restore, and no message is added
before the restore POST. A delivery that fails is tried again; after some attempts it is given up with a warning.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from domain.api_types import RestoreEvent
from domain.codec import as_json
from domain.restore.answers import Done
from domain.restore.calls import PostEvent, PublishEvents
from domain.restore.document import document, result_document, status_of
from domain.restore.failure import retry
from domain.restore.parts import Delivery, Status, StatusChange, StatusEvents
from domain.restore.stages import AwaitingApproval, AwaitingMaintenance, Validating
from domain.restore.steps import Wait, WaitForAnswers
from domain.warning_codes import WarningCode

if TYPE_CHECKING:
    from datetime import datetime

    from domain.errors import Json, RestoreError
    from domain.restore.calls import Call
    from domain.restore.state import Restore
    from domain.restore.steps import Step

_MAX_DELIVERIES: Final = 8


def with_change_noted(restore: Restore, now: datetime) -> Restore:
    """Return the restore with an event to be sent if its status has changed.

    A new event is sent at once, even if earlier ones wait for their next attempt. A start that was refused while its
    caller waited gets no events: the caller has the answer.
    """
    status, outcome, events = status_of(restore), restore.outcome, restore.events
    if status is events.noted:
        return restore
    if outcome is not None and outcome.queue is Delivery.NOT_NEEDED:
        return replace(restore, events=StatusEvents(noted=status))
    if outcome is None:
        change = StatusChange(status=status, time=now, document=document(restore, now))
    else:
        change = StatusChange(status=status, time=outcome.completed)
    to_post = (*events.to_post, change) if status is Status.AWAITING_APPROVAL else events.to_post
    noted = StatusEvents(noted=status, to_publish=(*events.to_publish, change), to_post=to_post)
    return replace(restore, events=noted, backoff=restore.backoff.without_wait(PublishEvents.name))


def deliveries(restore: Restore) -> tuple[Call, ...]:
    """Return the calls that send the events which are still to be sent."""
    calls: list[Call] = []
    if restore.events.to_publish:
        calls.append(
            PublishEvents(changes=tuple(_with_document(restore, change) for change in restore.events.to_publish))
        )
    if restore.events.to_post:
        calls.append(PostEvent(change=_with_document(restore, restore.events.to_post[0])))
    return tuple(calls)


def _with_document(restore: Restore, change: StatusChange) -> StatusChange:
    outcome = restore.outcome
    if change.document is not None or outcome is None:
        return change
    return replace(change, document=result_document(restore, outcome))


def event_of(change: StatusChange) -> Json:
    """Return the event of a change, as its receivers get it."""
    return as_json(RestoreEvent(event=change.status, time=change.time, restore=change.document or {}))


def with_deliveries(restore: Restore, step: Step, now: datetime) -> Step:
    """Return the step of a restore that runs, with the deliveries that may be made during it.

    None is made before admission control has answered, and none during the service's validation, so that nothing delays
    the restore POST. While the restore waits for an approval, which may take hours, it first waits for the answers to
    the deliveries and then, with a timer, for their next attempt. During that stage no timer is set while they are in
    flight: the engine numbers timers and calls together, and the number of the next one must not depend on which answer
    comes first.
    """
    if not isinstance(step, Wait) or not restore.admission.admitted or isinstance(restore.stage, Validating):
        return step
    calls = deliveries(restore)
    due = tuple(call for call in calls if restore.backoff.is_due(call.name, now))
    if not isinstance(restore.stage, AwaitingApproval | AwaitingMaintenance):
        return replace(step, beside=due)
    if due:
        return WaitForAnswers(calls=due, until=step.until)
    attempts = [restore.backoff.not_before(call.name) for call in calls]
    return replace(step, until=min([step.until, *(attempt for attempt in attempts if attempt is not None)]))


def published(restore: Restore, call: PublishEvents, _done: Done, _now: datetime) -> Restore:
    """Return the restore without the events that are on the queue."""
    left = restore.events.to_publish[len(call.changes) :]
    return replace(restore, events=replace(restore.events, to_publish=left))


def publish_failed(restore: Restore, call: PublishEvents, error: RestoreError, now: datetime) -> Restore:
    """Return the restore that publishes the events again, or after some attempts gives them up."""
    if restore.backoff.failures(call.name) + 1 < _MAX_DELIVERIES:
        return retry(restore, call, now)
    names = ", ".join(change.status for change in call.changes)
    message = f"Events could not be put on the events queue ({names}): {error.message}"
    return published(_given_up(restore, call, WarningCode.EVENTS_NOT_PUBLISHED, message), call, Done(), now)


def posted(restore: Restore, _call: PostEvent, _done: Done, _now: datetime) -> Restore:
    """Return the restore without the event that the webhook has."""
    return replace(restore, events=replace(restore.events, to_post=restore.events.to_post[1:]))


def post_failed(restore: Restore, call: PostEvent, error: RestoreError, now: datetime) -> Restore:
    """Return the restore that posts the event again, or after some attempts gives it up."""
    if restore.backoff.failures(call.name) + 1 < _MAX_DELIVERIES:
        return retry(restore, call, now)
    message = f"The event {call.change.status} could not be posted to RESTORE_WEBHOOK_URL: {error.message}"
    return posted(_given_up(restore, call, WarningCode.EVENT_NOT_POSTED, message), call, Done(), now)


def _given_up(restore: Restore, call: Call, code: WarningCode, message: str) -> Restore:
    return replace(restore, backoff=restore.backoff.without_wait(call.name)).with_note(code, message)
