"""The steps of a restore: make a call, wait, or finish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from domain.restore.calls import Call
    from domain.restore.state import Restore


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeCall:
    """Make this call and wait for its answer. The calls ``beside`` are started too; their answers are needed later."""

    call: Call
    beside: tuple[Call, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Wait until this time, or until an event from a person or from another restore arrives.

    The calls ``beside`` are started too; their answers do not end the wait.
    """

    until: datetime
    beside: tuple[Call, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitForAnswers:
    """Start these calls, and wait until one of them is answered, or until an event arrives.

    Without these calls the restore would wait ``until`` this time. It is only shown to callers: no timer is set.
    """

    calls: tuple[Call, ...]
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """End the orchestration: nothing is left to do."""


type Step = MakeCall | Wait | WaitForAnswers | Finish


def when_due(restore: Restore, call: Call, now: datetime, *, latest: datetime | None = None) -> MakeCall | Wait:
    """Return the call if it may be made now, else the wait before it.

    At ``latest``, by default the deadline, the call is made in any case, unless Azure asked for a longer wait. Calls
    after the end of the restore, or of its job, have no deadline.
    """
    not_before = restore.backoff.not_before(call.name)
    if not_before is None or not_before <= now:
        return MakeCall(call=call)
    latest = latest or (restore.deadline if restore.has_deadline else not_before)
    if latest > now:
        return Wait(until=min(not_before, latest))
    is_held = restore.backoff.is_held_by_azure(call.name, now)
    return Wait(until=not_before) if is_held else MakeCall(call=call)


def first_due(restore: Restore, calls: tuple[Call, ...], now: datetime) -> MakeCall | Wait:
    """Return the first of these calls that may be made now, else the wait before the one that is due first."""
    steps = [when_due(restore, call, now) for call in calls]
    return next((step for step in steps if isinstance(step, MakeCall)), None) or min(
        (step for step in steps if isinstance(step, Wait)), key=lambda step: step.until
    )
