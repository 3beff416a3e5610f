"""Restore one VM: the machine of ``domain.restore`` as an orchestration."""

from __future__ import annotations

from dataclasses import fields, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from domain.codec import pack
from domain.envelopes import request_of
from domain.restore import machine
from domain.restore.calls import StartRestore
from domain.restore.document import document, shown_status
from domain.restore.state import Restore
from domain.restore.trace import with_traceparent

from orchestrations.interpreter import Machine, run

if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import datetime

    from domain.errors import Json
    from domain.restore.calls import ActivityCall, EntityCall
    from durabletask import task


def restore_vm(ctx: task.OrchestrationContext, data: Json) -> Generator[task.Task[Any], Any, Json | None]:
    """Run a packed :class:`Restore` to its end; returns the final status document, or ``None`` to continue as new."""
    return (yield from run(_RESTORE, ctx, data))


def _waits_for(restore: Restore, event: str) -> bool:
    """Return whether the event is still of interest: a cancellation counts once."""
    return event != machine.CANCEL_EVENT or restore.cancellation is None


def _timed_call(call: ActivityCall, asked: datetime) -> ActivityCall:
    return replace(call, asked=asked) if isinstance(call, StartRestore) else call


def _input_of(restore: Restore, call: ActivityCall) -> Json:
    return with_traceparent(pack(call), restore)


def _next_request(restore: Restore, call: EntityCall) -> tuple[Restore, Json]:
    restore = restore.with_request()
    return restore, request_of(restore, call)


_NOT_VISIBLE: Final = frozenset({"clock", "events", "timeline"})
_visible_part: Final = attrgetter(*(member.name for member in fields(Restore) if member.name not in _NOT_VISIBLE))


_RESTORE: Final = Machine(
    kind=Restore,
    events=(machine.CANCEL_EVENT, machine.DECISION_EVENT, machine.SLOT_EVENT, machine.WATCH_EVENT),
    advance=machine.advance,
    decide=machine.decide,
    absorb=machine.absorb,
    hear=machine.hear,
    waits_for=_waits_for,
    timed_call=_timed_call,
    input_of=_input_of,
    next_request=_next_request,
    visible_part=_visible_part,
    shown=shown_status,
    document=document,
)
