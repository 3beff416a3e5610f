"""The one step that starts something: exactly once, whatever the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from domain import errors
from domain.errors import Json, OpenOutcomeError, TerminalError, TransientError
from domain.polling import job_interval_s, next_look, retry_wait_s, wait_s
from domain.restores import Phase, Status
from domain.times import format_time

from orchestrations.names import CLAIM_POST, FIND_JOB, START_RESTORE
from orchestrations.preparing import item_of
from orchestrations.queueing import step_aside

if TYPE_CHECKING:
    from domain.restores import Restore

    from orchestrations.run import Run, Steps

_MOST_POSTS: Final = 2


def job_search(restore: Restore) -> Json:
    """Return what ``find_job`` needs: the job carries the trigger's client request id as its ``activityId``."""
    return {
        "vaultId": item_of(restore).vault_id,
        "clientRequestId": restore.client_request_id,
    }


def trigger(run: Run) -> Steps[None]:
    """Post the restore, or look for what an earlier post of unknown outcome may have started."""
    if run.restore.open_since is None:
        yield from _post(run)
    else:
        yield from _look(run)


def _post(run: Run) -> Steps[None]:
    run.update(attempts=run.restore.attempts + 1)
    restore = run.restore
    body = restore.trigger_body
    data = {
        **job_search(restore),
        "item": item_of(restore).to_json(),
        "pointId": body["properties"]["recoveryPointId"],
        "body": body,
        "attempt": restore.attempts,
        "askedTime": format_time(run.turn_time),
    }
    try:
        answer = yield from run.ask(START_RESTORE, data)
    except OpenOutcomeError as error:
        _stay_open(run, error, error.retry_after_s)
        return
    except TerminalError as error:
        if error.code != errors.RESOURCE_GUARD_CLOSED:
            raise
        yield from _await_guard(run, error)
        return
    except TransientError as error:
        if error.code != errors.INTERNAL_ERROR or (yield from _can_claim(run, restore.attempts)):
            raise  # surely not taken: throttled, it never left, or its worker died before it could post
        _stay_open(run, error, error.retry_after_s)
        return
    if "jobId" in answer:
        adopt(run, answer["jobId"])
        return
    run.become(run.restore.guard_passed(run.now))
    run.update(triggered=run.now, status=Status.RUNNING)
    run.update(operation_id=answer["operationId"], operation_url=answer["url"], phase=Phase.TRACKING_OPERATION)
    run.poll_after(wait_s(answer["retryAfterS"], 0.0))


def keep_from_posting(run: Run) -> Steps[bool]:
    """Return whether surely nothing was posted and nothing will be; else look for the job, as after an open answer.

    The engine may have crashed after it sent the trigger and before it wrote so: this turn was run twice then, and the
    person who is heard now came in between. Whoever has the mark of the next attempt decides which of both counts.
    """
    restore = run.restore
    if restore.phase is Phase.RESOLVING or restore.item is None or restore.request.is_plan:
        return True
    attempt = restore.attempts + 1
    if (yield from _claim(run, attempt)):
        return True
    run.update(attempts=attempt)
    words = "Another delivery of the request to post has begun."
    _stay_open(run, OpenOutcomeError(errors.SERVICE_UNAVAILABLE, words), None)
    return False


def _claim(run: Run, attempt: int) -> Steps[bool]:
    """Take the mark of an attempt, so that nobody posts under it; false when somebody has begun to."""
    asked = {"clientRequestId": run.restore.client_request_id, "attempt": attempt}
    claimed = yield from run.ask(CLAIM_POST, asked)
    return claimed["claimed"]


def _can_claim(run: Run, attempt: int) -> Steps[bool]:
    try:
        return (yield from _claim(run, attempt))
    except TransientError:
        return False  # not known: the job is looked for


def _await_guard(run: Run, error: TerminalError) -> Steps[None]:
    yield from step_aside(run)
    run.become(run.restore.awaiting_guard(run.now, error))
    restore = run.restore
    if not restore.is_finished:
        since = restore.guarded_since or run.now
        own_s = job_interval_s(restore.limits, elapsed_s=(run.now - since).total_seconds())
        left_s = (since + restore.request.approval_timeout - run.now).total_seconds()
        run.poll_after(min(wait_s(error.retry_after_s, own_s), left_s))


def _stay_open(run: Run, error: OpenOutcomeError | TransientError, retry_after_s: float | None) -> None:
    run.become(
        run.restore.with_warning(
            "TriggerOutcomeOpen",
            f"The answer to the restore request leaves open whether the service took it: {error.message} "
            "Its job is looked for before anything else is tried.",
        )
    )
    late = error.code == errors.LATE_DELIVERY  # it did not post, though an earlier delivery may have
    run.update(posts=run.restore.posts + (not late), open_since=run.now)
    run.poll_after(retry_wait_s(retry_after_s, attempt=1))


def _look(run: Run) -> Steps[None]:
    found = yield from run.ask(FIND_JOB, job_search(run.restore))
    if found["jobId"] is not None:
        run.update(triggered=run.restore.open_since)
        adopt(run, found["jobId"])
        return
    restore = run.restore
    again = next_look(restore.open_since or run.now, restore.limits.adoption_window_s, now=run.now)
    if again is not None:
        run.update(next_poll=min(again, restore.deadline))
    elif restore.posts < _MOST_POSTS:
        run.update(open_since=None, next_poll=None)
    else:
        raise TerminalError(
            errors.RESTORE_FAILED,
            f"The restore was posted {restore.posts} times without a clear answer, and no job has shown up since.",
        )


def adopt(run: Run, job_id: str, *, asked_s: float | None = None) -> None:
    """Follow this job from now on, after the wait that the answer which named it asked for."""
    run.become(run.restore.guard_passed(run.now))
    run.update(
        status=Status.RUNNING,
        job_id=job_id,
        open_since=None,
        operation_url=None,
        phase=Phase.TRACKING_JOB,
        next_poll=None,
        triggered=run.restore.triggered or run.now,
    )
    run.poll_after(wait_s(asked_s, 0.0))
