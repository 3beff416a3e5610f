"""The timeline of a restore: when each phase started, and how long it waited for which reason.

The status document shows it. When the restore has ended, its spans and figures are made from it. No decision reads it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from domain.restore.document import phase_of
from domain.restore.parts import Phase, PhaseStart, PhaseWait, Timeline
from domain.restore.waiting import waiting_for

if TYPE_CHECKING:
    from datetime import datetime

    from domain.restore.parts import WaitReason
    from domain.restore.state import Restore

_MAX_PHASES: Final = 12  # a restore without repetitions has seven


def with_time_noted(restore: Restore, timeline: Timeline, next_poll: datetime | None, now: datetime) -> Restore:
    """Return the restore with its phase, and what it waits for, noted in its timeline if they have changed.

    ``next_poll`` is the time until which it waits, ``None`` if it makes a call now. The first phase starts with the
    restore, so the phases together are the restore's whole time.
    """
    phase, waits = phase_of(restore), waiting_for(restore, next_poll)
    reason = None if waits is None else waits.reason
    phases = timeline.phases
    is_new = phase is not Phase.FINISHED and (not phases or phases[-1].phase is not phase)
    if not is_new and reason is timeline.waiting:
        return restore
    phases = _with_wait(timeline, now)
    if is_new:
        phases = _with_phase(phases, phase, now if phases else restore.accepted.created)
    noted = Timeline(phases=phases, waiting=reason, waiting_since=None if reason is None else now)
    return replace(restore, timeline=noted)


def _with_wait(timeline: Timeline, now: datetime) -> tuple[PhaseStart, ...]:
    """Return the phases with the wait that has just ended added to the last one."""
    phases, reason, since = timeline.phases, timeline.waiting, timeline.waiting_since
    if not phases or reason is None or since is None or since == now:
        return phases
    last = replace(phases[-1], waits=_with_duration(phases[-1].waits, reason, now - since))
    return (*phases[:-1], last)


def _with_duration(waits: tuple[PhaseWait, ...], reason: WaitReason, duration: timedelta) -> tuple[PhaseWait, ...]:
    before = sum((wait.duration for wait in waits if wait.reason is reason), timedelta())
    others = tuple(wait for wait in waits if wait.reason is not reason)
    return (*others, PhaseWait(reason=reason, duration=before + duration))


def _with_phase(phases: tuple[PhaseStart, ...], phase: Phase, started: datetime) -> tuple[PhaseStart, ...]:
    """Return the phases with one more.

    A restore that waits for a busy item may go back and forth between two phases for a day. Once there are many phases,
    none is added: the last one of that name continues. The phases after it are removed, and their waits added to it.
    """
    earlier = [number for number, known in enumerate(phases) if known.phase is phase]
    if len(phases) < _MAX_PHASES or not earlier:
        return (*phases, PhaseStart(phase=phase, started=started))
    back = phases[earlier[-1]]
    for left in phases[earlier[-1] + 1 :]:
        for wait in left.waits:
            back = replace(back, waits=_with_duration(back.waits, wait.reason, wait.duration))
    return (*phases[: earlier[-1]], back)
