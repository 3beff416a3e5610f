"""A restore that is watched: the vault's watcher lists its job with those of other restores, so it need not poll.

The watcher only says when to poll. The restore still reads its own job at the end, and once for its progress when the
watcher gives it a turn. It polls for itself as soon as the watcher is silent, cannot read its list, or was wrong too
often.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from domain.restore.calls import GetJob, JoinWatch
from domain.restore.parts import Watch, WatchNews
from domain.restore.stages import FindingJob, TrackingJob, TrackingOperation
from domain.restore.steps import MakeCall, Wait, first_due, when_due

if TYPE_CHECKING:
    from datetime import datetime

    from domain.errors import RestoreError
    from domain.restore.answers import Joined
    from domain.restore.calls import Call
    from domain.restore.state import Restore

_FEW_RESTORES: Final = 3  # a vault in which no more run than this needs no watcher
_MAX_ROUND: Final = timedelta(minutes=2, seconds=30)
_MIN_ROUND: Final = timedelta(seconds=1)
_JOINED_FOR: Final = timedelta(minutes=10)
_JOIN_TAKES: Final = timedelta(minutes=1)
_SILENT_FOR: Final = timedelta(minutes=2)
_MAX_FALSE_ENDS: Final = 3


def with_watch(restore: Restore, now: datetime) -> Restore:
    """Return the restore, which Azure has just taken; it will register at the watcher if many run in its vault."""
    if restore.slot.running <= _FEW_RESTORES:
        return restore
    return replace(restore, watch=Watch(quiet_until=now + _two_rounds(restore)))


def poll(restore: Restore, calls: tuple[Call, ...], now: datetime) -> MakeCall | Wait:
    """Return the first of these calls that is due, or the wait before it; none is due while the watcher watches.

    A restore that has a turn, or has come to its deadline, polls once nevertheless.
    """
    watch = restore.watch
    if watch is None or restore.cancellation is not None or now >= restore.deadline:
        return first_due(restore, calls, now)
    joining = when_due(restore, _join(restore, watch, now), now)
    if isinstance(joining, MakeCall):
        return joining
    if watch.has_turn or watch.quiet_until is None or watch.quiet_until <= now:
        polling = first_due(restore, calls, now)
    else:
        polling = Wait(until=min(watch.quiet_until, restore.deadline))
    return polling if isinstance(polling, MakeCall) else min(joining, polling, key=lambda wait: wait.until)


def joined(restore: Restore, call: JoinWatch, answer: Joined, now: datetime) -> Restore:
    """Return the restore that waits for the watcher, and registers again some minutes later.

    Until its job is known, the registration does not prolong its wait: an operation can fail without a job, and only
    the restore's own poll of the operation shows that.
    """
    watch = restore.watch
    if watch is None:
        return restore
    pause = _JOINED_FOR if answer.is_watched else _SILENT_FOR
    restore = replace(restore, backoff=restore.backoff.wait(call.name, pause.total_seconds(), now))
    if not answer.is_watched:
        return replace(restore, watch=replace(watch, quiet_until=None))
    return _quiet(restore, now) if call.has_job and not watch.is_gone else restore


def join_failed(restore: Restore, call: JoinWatch, _error: RestoreError, now: datetime) -> Restore:
    """Return the restore that registers again soon; when its quiet time is over, it polls for itself."""
    return replace(restore, backoff=restore.backoff.retry(call.name, now))


def with_known_job(restore: Restore) -> Restore:
    """Return the restore, which has found its job for itself, and so registers again at once."""
    return replace(restore, backoff=restore.backoff.without_wait(JoinWatch.name))


def found(restore: Restore, now: datetime) -> Restore:
    """Return the restore whose job the watcher has found, and now looks at."""
    return _quiet(restore, now)


def heard(restore: Restore, news: WatchNews, now: datetime) -> Restore:
    """Return the restore that polls once in its turn, or for itself: its job may have ended, or the watcher ends."""
    if restore.watch is None:
        return restore
    if news is WatchNews.UNWATCHED:
        return replace(restore, watch=None)
    if news is WatchNews.TURN:
        return _with_turn(restore, restore.watch, now)
    watch = replace(restore.watch, quiet_until=None, is_gone=isinstance(restore.stage, TrackingJob))
    return replace(restore, watch=watch, backoff=restore.backoff.without_wait(GetJob.name))


def _with_turn(restore: Restore, watch: Watch, now: datetime) -> Restore:
    """Return the restore that reads its job once, unless it polls for itself, or has read it shortly before.

    So no number of turns makes it read its job more often than it would without a watcher.
    """
    is_quiet = watch.quiet_until is not None and watch.quiet_until > now and restore.cancellation is None
    is_due = isinstance(restore.stage, TrackingJob) and restore.backoff.is_due(GetJob.name, now)
    return replace(restore, watch=replace(watch, has_turn=True)) if is_quiet and is_due else restore


def after_turn(restore: Restore, watch: Watch) -> Restore:
    """Return the restore that is quiet again; if its job has gone since the turn began, it reads it at once."""
    restore = replace(restore, watch=replace(watch, has_turn=False))
    return replace(restore, backoff=restore.backoff.without_wait(GetJob.name)) if watch.is_gone else restore


def still_running(restore: Restore) -> Restore:
    """Return the restore whose job was read and still runs. It registers again if the watcher said that it was gone.

    After several such errors of the watcher, the restore polls for itself. A read in turn may be older than the news
    that the job has gone, and proves no error.
    """
    watch = restore.watch
    if watch is not None and watch.has_turn:
        return after_turn(restore, watch)
    if watch is None or not watch.is_gone:
        return restore
    if watch.false_ends + 1 >= _MAX_FALSE_ENDS:
        return replace(restore, watch=None)
    again = replace(watch, is_gone=False, false_ends=watch.false_ends + 1)
    return replace(restore, watch=again, backoff=restore.backoff.without_wait(JoinWatch.name))


def _join(restore: Restore, watch: Watch, now: datetime) -> JoinWatch:
    stage, item = restore.stage, restore.item
    is_tracking = isinstance(stage, TrackingOperation | FindingJob | TrackingJob)
    return JoinWatch(
        vault_id=item.vault_id if item else "",
        restore_id=restore.restore_id,
        client_request_id=restore.client_request_id,
        triggered=stage.triggered if is_tracking else now,
        limits=restore.limits,
        has_job=isinstance(stage, TrackingJob),
        is_again=isinstance(stage, TrackingJob) and watch.quiet_until is not None and now < watch.quiet_until,
    )


def _quiet(restore: Restore, now: datetime) -> Restore:
    if restore.watch is None:
        return restore
    return replace(restore, watch=replace(restore.watch, quiet_until=now + _JOINED_FOR + _JOIN_TAKES))


def _two_rounds(restore: Restore) -> timedelta:
    """Return how long the watcher needs for two lists when it waits as long as possible between them."""
    seldom = timedelta(seconds=restore.limits.job_poll_max_s)
    return 2 * min(max(seldom, _MIN_ROUND), _MAX_ROUND)
