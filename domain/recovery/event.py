"""An event of a recovery, as its receivers get it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.api_types import RecoveryEvent
from domain.codec import as_json
from domain.recovery.parts import RecoveryStatus

if TYPE_CHECKING:
    from domain.errors import Json
    from domain.recovery.calls import RecoveryChange


def recovery_event_of(change: RecoveryChange) -> Json:
    """Return the event of a change: a packed ``RecoveryEvent``."""
    event = RecoveryEvent(event=RecoveryStatus(change.status), time=change.time, recovery=change.document)
    return as_json(event)
