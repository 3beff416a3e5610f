"""The restore or recovery whose activity runs: the parent of spans made meanwhile, and the id in log lines."""

from __future__ import annotations

import logging
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from domain.restore.trace import RECOVERY, TRACEPARENT

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

_RESTORE_ID: Final = context.create_key("restore id")
_RECOVERY_ID: Final = context.create_key("recovery id")
_PROPAGATOR: Final = TraceContextTextMapPropagator()


@contextmanager
def restore_context(data: Mapping[str, Any]) -> Generator[None]:
    """Run the block for the restore or the recovery that the input of its activity names.

    Without a valid ``traceparent``, as in the histories of earlier versions, the block belongs to none.
    """
    traceparent = data.get(TRACEPARENT)
    carrier = {TRACEPARENT: traceparent} if isinstance(traceparent, str) else {}
    parent = _PROPAGATOR.extract(carrier, context.Context())
    span_context = trace.get_current_span(parent).get_span_context()
    if not span_context.is_valid:
        yield
        return
    caller_id = str(uuid.UUID(int=span_context.trace_id))
    key = _RESTORE_ID if data.get(RECOVERY) is None else _RECOVERY_ID
    token = context.attach(context.set_value(key, caller_id, parent))
    try:
        yield
    finally:
        context.detach(token)


def current_restore_id() -> str | None:
    """Return the id of the restore whose activity runs here, if any."""
    restore_id = context.get_value(_RESTORE_ID)
    return restore_id if isinstance(restore_id, str) else None


def current_recovery_id() -> str | None:
    """Return the id of the recovery whose activity runs here, if any."""
    recovery_id = context.get_value(_RECOVERY_ID)
    return recovery_id if isinstance(recovery_id, str) else None


class _NamingFactory:
    """Makes log records whose message begins with the id of the restore or recovery, unless it has the id already.

    A factory reaches the lines of all libraries, whatever handlers and filters the Functions worker installs.
    """

    def __init__(self, make: Callable[..., logging.LogRecord]) -> None:
        self._make = make

    def __call__(self, *args: Any, **options: Any) -> logging.LogRecord:
        record = self._make(*args, **options)
        restore_id, recovery_id = current_restore_id(), current_recovery_id()
        what, caller_id = ("restore", restore_id) if recovery_id is None else ("recovery", recovery_id)
        # Whatever is wrong with the message or its arguments, the handler reports it: no line may stop a restore.
        with suppress(Exception):
            if caller_id is not None and caller_id not in _message(record):
                record.msg = f"{what} {caller_id}: {record.msg}"
        return record


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - an argument's own code may have failed
        return str(record.msg)


def name_restores_in_logs() -> None:
    """Begin each log line that is written while an activity of a restore runs with the restore's id."""
    make = logging.getLogRecordFactory()
    if not isinstance(make, _NamingFactory):
        logging.setLogRecordFactory(_NamingFactory(make))
