"""What an activity hands to its orchestrator: a value or a named failure, as JSON. It raises nothing we can name.

A raised exception would be retried by durabletask's policies without telling passing failures from final ones,
and would lose the wait that the service asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from domain.errors import Json, OpenOutcomeError, RestoreError, TerminalError, TransientError
from domain.times import format_time
from domain.wire import as_object

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_KINDS: dict[str, type[TransientError | OpenOutcomeError | TerminalError]] = {
    "transient": TransientError,
    "open": OpenOutcomeError,
    "terminal": TerminalError,
}


def seal(value: Any) -> Json:
    """Wrap an activity's result."""
    return {"v": 1, "value": value}


def seal_error(error: RestoreError) -> Json:
    """Wrap a failure together with whether, and when, repeating it makes sense."""
    kind = next((name for name, sort in _KINDS.items() if isinstance(error, sort)), "terminal")
    wait_s = error.retry_after_s if isinstance(error, TransientError | OpenOutcomeError | TerminalError) else None
    return {"v": 1, "error": error.to_json(), "kind": kind, "retryAfterS": wait_s}


def stamped(envelope: Json, *, activity: str, at: datetime) -> Json:
    """Return an envelope that says which activity answered, and when (aware UTC).

    A turn that is run again after a crash sees the same answers: their times, not the turn's own, are the same twice.
    """
    return {**envelope, "activity": activity, "at": format_time(at)}


def asked_wait_s(envelope: Mapping[str, Any]) -> float | None:
    """Return the wait in seconds that the service asked for with the value or the failure; ``None`` for none."""
    told = envelope if "error" in envelope else as_object(envelope["value"])
    return told.get("retryAfterS")


def unseal(envelope: Mapping[str, Any]) -> Any:
    """Return the value, or raise the failure as the error that it was."""
    if "error" not in envelope:
        return envelope["value"]
    error = RestoreError.from_json(envelope["error"])
    kind = _KINDS[envelope["kind"]]
    raise kind(error.code, error.message, error.details, retry_after_s=envelope.get("retryAfterS"))
