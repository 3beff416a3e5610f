"""The watcher of a vault as a state machine without I/O: one list of running restores serves all that it watches.

``orchestrations.watch_vault`` runs it. The watcher ends no restore: a restore whose job has gone from the list reads
its job, and only that answer counts (``docs/decisions/0010``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from domain.codec import unpack
from domain.errors import RestoreError, TransientError
from domain.restore.calls import JoinWatch
from domain.restore.parts import WatchNews
from domain.restore.polling import job_interval_s
from domain.restore.steps import Finish, MakeCall, Wait
from domain.times import format_time
from domain.watch.calls import ListRunningJobs
from domain.watch.state import VaultWatch, Watched
from domain.wire import as_object

if TYPE_CHECKING:
    from datetime import datetime

    from domain.answers import Answer
    from domain.errors import Json
    from domain.watch.calls import RunningJobs

JOIN_EVENT: Final = "watch"

_IDLE: Final = timedelta(minutes=3)
_FORGOTTEN_AFTER: Final = timedelta(minutes=25)  # a restore that still waits registers again every ten minutes
_MAX_TOLD: Final = 100  # in one step, so that no history becomes long; the others are told after the next list
_MAX_GONE_AT_ONCE: Final = 10
_FEW_WATCHED: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What a restore is told: its event ``watch``, with ``data``."""

    restore_id: str
    data: Json


def decide(watch: VaultWatch, now: datetime) -> MakeCall | Wait | Finish:
    """Return the next step: list the running restores, wait, or end some minutes after nothing is watched any more."""
    if watch.is_over:
        return Finish()
    if not watch.watched:
        ends = watch.since + _IDLE
        return Finish() if now >= ends else Wait(until=ends)
    due = watch.backoff.not_before(ListRunningJobs.name)
    if due is not None and due > now:
        return Wait(until=due)
    return MakeCall(
        call=ListRunningJobs(
            vault_id=watch.vault_id,
            unknown=tuple(key for key, entry in watch.watched.items() if not entry.is_found),
            known=tuple(key for key, entry in watch.watched.items() if entry.is_found),
        )
    )


def hear(watch: VaultWatch, data: object, now: datetime) -> VaultWatch:
    """Return the watcher with a restore that registered, for the first time or again; invalid data changes nothing."""
    try:
        call: JoinWatch = unpack(JoinWatch, as_object(data))
    except (KeyError, TypeError, ValueError):
        return watch
    known = watch.watched.get(call.client_request_id)
    entry = Watched(
        restore_id=call.restore_id,
        triggered=call.triggered,
        joined=now,
        is_found=call.has_job,
        seen=0 if known is None else known.seen,
    )
    joined = replace(
        watch,
        limits=call.limits,
        watched={**watch.watched, call.client_request_id: entry},
        oldest=min(watch.oldest or call.triggered, call.triggered),
    )
    if watch.watched:
        return joined
    backoff = watch.backoff.wait(ListRunningJobs.name, call.limits.job_poll_min_s, now)
    return replace(joined, since=now, backoff=backoff)


def absorb(
    watch: VaultWatch, call: ListRunningJobs, answer: Answer[Any] | RestoreError, now: datetime
) -> tuple[VaultWatch, tuple[News, ...]]:
    """Return the watcher after the list was read or could not be read, and what restores are told.

    A list that may be readable later is tried again. Otherwise the watcher ends, and its restores poll for themselves.
    """
    if isinstance(answer, TransientError):
        backoff = watch.backoff.hold(call.name, answer.retry_after_s, now).retry(call.name, now)
        return replace(watch, backoff=backoff), ()
    if isinstance(answer, RestoreError):
        told = tuple(_news(entry, WatchNews.UNWATCHED, now) for entry in watch.watched.values())
        return replace(watch, watched={}, is_over=True), told
    watched, told = _compared(watch, call, answer.value, now)
    backoff = watch.backoff.succeeded(call.name, answer.retry_after_s, now)
    backoff = backoff.wait(call.name, _interval_s(watch, watched, len(told), now), now)
    key = _next_in_turn(watched)
    if key is not None:
        told = (*told, _news(watched[key], WatchNews.TURN, now))
        watched[key] = replace(watched[key], seen=0)
    return replace(watch, watched=watched, since=now, backoff=backoff), told


def _compared(
    watch: VaultWatch, call: ListRunningJobs, listed: RunningJobs, now: datetime
) -> tuple[dict[str, Watched], tuple[News, ...]]:
    """Return what is still watched after a list, and the news: which jobs were found, which have gone from the list.

    When many have gone at once, the list may be wrong for a moment: the next one must say the same.
    """
    looked_for, missing, told = set(call.known), set(listed.missing), list[News]()
    is_plausible = len(missing) <= _MAX_GONE_AT_ONCE
    watched: dict[str, Watched] = {}
    for key, known in watch.watched.items():
        entry = known
        if key in missing:
            entry = replace(known, missed=known.missed + 1)
            if (is_plausible or known.missed) and len(told) < _MAX_TOLD:
                told.append(_news(entry, WatchNews.GONE, now))
                continue
        elif key in listed.found and len(told) < _MAX_TOLD:
            entry = replace(known, is_found=True)
            told.append(_news(entry, WatchNews.FOUND, now, listed.found[key]))
        elif key in looked_for:
            entry = replace(known, missed=0, seen=known.seen + 1)
        if now - entry.joined < _FORGOTTEN_AFTER:
            watched[key] = entry
    return watched, tuple(told)


def _next_in_turn(watched: dict[str, Watched]) -> str | None:
    """Return the key of the restore that may read its job once now, ``None`` for nobody: the longest without a turn.

    While more than ``_FEW_WATCHED`` are watched, a job must first have been in as many lists as restores are watched.
    So in a large fleet only a job that takes unusually long is read before its end.
    """
    needed = 1 if len(watched) <= _FEW_WATCHED else len(watched)
    ready = [key for key, entry in watched.items() if entry.is_found and not entry.missed and entry.seen >= needed]
    return max(ready, key=lambda key: watched[key].seen, default=None)


def _interval_s(watch: VaultWatch, watched: dict[str, Watched], told: int, now: datetime) -> float:
    """Return the wait before the next list, as of a job that has run since the first watched one was triggered.

    So in a long recovery, whose jobs end and begin in waves, the waits do not become short again with each wave.
    """
    if told >= _MAX_TOLD or any(entry.missed for entry in watched.values()):
        return watch.limits.job_poll_min_s
    return job_interval_s(watch.limits, now - (watch.oldest or now))


def _news(entry: Watched, news: WatchNews, now: datetime, job_id: str | None = None) -> News:
    data: Json = {"news": str(news), "jobId": job_id, "time": format_time(now)}
    return News(restore_id=entry.restore_id, data=data)
