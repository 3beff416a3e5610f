"""Run one recovery: the machine of ``domain.recovery`` as an orchestration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from domain.codec import pack
from domain.envelopes import entity_request
from domain.recovery import machine
from domain.recovery.custom_status import custom_status, shown_progress
from domain.recovery.document import document
from domain.recovery.state import Recovery
from domain.restore.trace import with_recovery

from orchestrations.interpreter import Machine, run

if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import datetime

    from domain.errors import Json
    from domain.restore.calls import ActivityCall, EntityCall
    from durabletask import task

MAX_EVENTS: Final = 60
"""How many events one history may take. Each takes up to three rows of it, besides those of ``MAX_STEPS`` steps."""


def run_recovery(ctx: task.OrchestrationContext, data: Json) -> Generator[task.Task[Any], Any, Json | None]:
    """Run a packed :class:`Recovery` to its end; returns its document, or ``None`` to continue as new."""
    return (yield from run(_RECOVERY, ctx, data))


def _waits_for(_recovery: Recovery, _event: str) -> bool:
    return True


def _timed_call(call: ActivityCall, _at: datetime) -> ActivityCall:
    return call


def _input_of(recovery: Recovery, call: ActivityCall) -> Json:
    return with_recovery(pack(call), recovery.recovery_id)


def _next_request(recovery: Recovery, call: EntityCall) -> tuple[Recovery, Json]:
    recovery = recovery.with_request()
    accepted = recovery.accepted
    return recovery, entity_request(accepted.recovery_id, accepted.created, recovery.clock, call)


def _visible_part(recovery: Recovery) -> object:
    return recovery.progress


def _shown(recovery: Recovery, _now: datetime, _next: datetime | None) -> Json:
    return custom_status(recovery)


def _document(recovery: Recovery, now: datetime) -> Json:
    return document(recovery.accepted, shown_progress(recovery), now)


_RECOVERY: Final = Machine(
    kind=Recovery,
    events=(machine.MEMBER_EVENT, machine.COMMAND_EVENT),
    max_events=MAX_EVENTS,
    advance=machine.advance,
    decide=machine.decide,
    absorb=machine.absorb,
    hear=machine.hear,
    waits_for=_waits_for,
    timed_call=_timed_call,
    input_of=_input_of,
    next_request=_next_request,
    visible_part=_visible_part,
    shown=_shown,
    document=_document,
)
