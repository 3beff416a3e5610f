"""Restore one VM: be let in, resolve, choose, validate, be approved, trigger once, follow the job, report.

A durable state machine. Each turn waits until the next call is due, makes it, and moves the state on; a call that
failed in passing is simply due again later. After some turns the history is started afresh with the state as its
input, so that it stays small however long the restore runs.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from domain import errors
from domain.errors import RestoreError, TerminalError, TransientError
from domain.polling import PATIENCE_S, retry_wait_s
from domain.restores import Decision, Guard, Phase, Restore, Status, was_refused_at_once
from durabletask import task

from orchestrations.admitting import admit, release, resolve
from orchestrations.approving import await_approval, reject
from orchestrations.cancelling import cancel
from orchestrations.names import POST_RESULT, PUBLISH_RESULT
from orchestrations.preparing import follow_validation
from orchestrations.queueing import leave_turn, prepare_in_turn, take_turn
from orchestrations.run import HeldError, Run, Steps
from orchestrations.tracking import follow_job, follow_operation
from orchestrations.triggering import trigger

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from domain.errors import Json

TURNS_PER_HISTORY: Final = 12  # about eight events each; every turn replays those before it
PUBLISHING: Final = task.RetryPolicy(
    first_retry_interval=timedelta(seconds=5),
    max_number_of_attempts=8,
    backoff_coefficient=2.0,
    max_retry_interval=timedelta(minutes=5),
)

_STEPS: Final[Mapping[Phase, Callable[[Run], Steps[None]]]] = {
    Phase.RESOLVING: resolve,
    Phase.SELECTING_RECOVERY_POINT: prepare_in_turn,
    Phase.VALIDATING: follow_validation,
    Phase.TRIGGERING: trigger,
    Phase.AWAITING_APPROVAL: await_approval,
    Phase.TRACKING_OPERATION: follow_operation,
    Phase.TRACKING_JOB: follow_job,
}


def restore_vm(ctx: task.OrchestrationContext, data: Json) -> Generator[task.Task[Any], Any, Json | None]:
    """Run a :class:`Restore` (as JSON) to its end; returns the final status document."""
    run = Run(ctx, Restore.from_json(data))
    if not run.restore.wants_guard and run.restore.status is Status.PENDING:
        run.update(status=Status.RUNNING)  # one that wants its guard stays pending until it is let in
    for _ in range(TURNS_PER_HISTORY):
        if run.restore.is_finished:
            break
        yield from _turn(run)
    if not run.restore.is_finished:
        if run.hears_urgent() or run.turn_has_come():
            run.update(heard=True)
        run.tell()
        ctx.continue_as_new(run.restore.to_json(), save_events=True)
        return None
    return (yield from _end(ctx, run))


def _end(ctx: task.OrchestrationContext, run: Run) -> Steps[Json]:
    """Publish the end and let go of VM and vault.

    The result goes to its queue without waiting for either; the webhook is called once the vault has answered.
    """
    run.tell()
    release(run)
    document = run.restore.document(run.now)
    # An HTTP caller or an alert was answered with the refusal; a queue message's sender has only the results queue.
    publishing: task.Task[Json] | None = None
    if not was_refused_at_once(document) or run.restore.started_by == "queue":
        publishing = ctx.call_activity(PUBLISH_RESULT, input=document, retry_policy=PUBLISHING)
    problem = yield from leave_turn(run)
    if publishing is not None:
        document = yield from _publish(ctx, run, document, publishing)
    if problem is not None:
        document = _with_warning(run.restore, document, "TurnNotGivenBack", problem)
    return document


def _turn(run: Run) -> Steps[None]:
    yield from run.wait_for_next_poll()
    if run.now >= run.restore.deadline and not run.restore.may_be_running:
        run.become(run.restore.timed_out(run.now))
        return
    try:
        yield from _next_step(run.restore)(run)
        if run.restore.failures:
            run.update(failures=0, failing_since=None)
    except HeldError as held:
        run.wait_until(held.until)
    except RestoreError as error:
        _mind(run, error)
    if run.now >= run.restore.deadline and not run.restore.is_finished:
        run.become(run.restore.timed_out(run.now))


def _next_step(restore: Restore) -> Callable[[Run], Steps[None]]:
    if restore.cancel is not None and not restore.cancel_sent:
        return cancel
    if restore.wants_guard and restore.phase is not Phase.RESOLVING:
        return admit
    if restore.decision in {Decision.REJECTED, Decision.TIMED_OUT}:
        return reject
    if restore.wants_turn and (restore.turn is Guard.WAITING or restore.phase is not Phase.SELECTING_RECOVERY_POINT):
        return take_turn
    return _STEPS[restore.phase]


def _mind(run: Run, error: RestoreError) -> None:
    """Decide what a failed call means: try again later, or the end.

    While Azure works on the restore, or may, no single answer ends it: even a 403 or a 404 may pass, and the disks are
    being made meanwhile. Throttling and outages are waited out until the deadline then, anything else for half an hour.
    """
    restore = run.restore
    since = restore.failing_since or run.now
    passing = isinstance(error, TransientError)
    patient = restore.may_be_running and passing and error.code == errors.SERVICE_UNAVAILABLE
    fresh = (run.now - since).total_seconds() < PATIENCE_S
    if (passing or restore.may_be_running) and (patient or fresh):
        attempt = restore.failures + 1
        asked_s = error.retry_after_s if isinstance(error, TransientError | TerminalError) else None
        run.update(failures=attempt, failing_since=since)
        run.poll_after(retry_wait_s(asked_s, attempt=attempt))
        return
    run.become(restore.finished(Status.FAILED, run.now, error=_final(restore, error), result=restore.plan))


def _final(restore: Restore, error: RestoreError) -> RestoreError:
    return TerminalError(error.code, f"{error.message} {restore.what_may_still_run}".strip(), error.details)


def _publish(ctx: task.OrchestrationContext, run: Run, document: Json, publishing: task.Task[Json]) -> Steps[Json]:
    """Hand the final document to the results queue, and to the webhook where there is one.

    Neither, however long it stays away, changes the restore's outcome.
    """
    has_webhook = True
    try:
        published = yield publishing
        has_webhook = published.get("hasWebhook", False)
    except task.TaskFailedError as failure:
        message = f"The result could not be put on the results queue: {failure.details.message}"
        document = _with_warning(run.restore, document, "ResultNotPublished", message)
    if has_webhook:
        run.tell(even_cut=run.restore.status is not Status.PLANNED)  # a plan that is cut is none
        try:
            yield ctx.call_activity(POST_RESULT, input=document, retry_policy=PUBLISHING)
        except task.TaskFailedError as failure:
            message = f"The result could not be posted to RESTORE_WEBHOOK_URL: {failure.details.message}"
            document = _with_warning(run.restore, document, "ResultNotPosted", message)
    return document


def _with_warning(restore: Restore, document: Json, code: str, message: str) -> Json:
    known = replace(restore, warnings=tuple(document["warnings"]))
    return {**document, "warnings": list(known.with_warning(code, message).warnings)}
