"""How long the works that only make something new try, and when they look again. Nothing is down meanwhile.

A swap has its own rules, because a VM is down while it runs (``domain.follow_up.swap``).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from domain.errors import TransientError
from domain.follow_up.swap import Trouble

if TYPE_CHECKING:
    from domain.errors import RestoreError
    from domain.follow_up.attachment import Attachment
    from domain.follow_up.creation import Creation

PATIENCE: Final = timedelta(minutes=30)
"""How long one call may fail in a row for reasons that may pass."""
MAX_TIME: Final = timedelta(hours=2)
"""How long the whole work may take; Azure's own operations end far earlier."""
UNSHOWN: Final = timedelta(minutes=2)
"""How long Azure may not show a change that it has accepted, before the change is made again."""
_FIRST_LOOK_S: Final = 5.0
_LOOK_PER_ELAPSED: Final = 0.1
_MAX_LOOK_S: Final = 30.0


def look_s(since: datetime, now: datetime) -> float:
    """Return how long to wait before the next look at what has been changing since a time, in seconds."""
    return min(max(_FIRST_LOOK_S, (now - since).total_seconds() * _LOOK_PER_ELAPSED), _MAX_LOOK_S)


def with_trouble[W: (Creation, Attachment)](work: W, call: str, error: RestoreError, now: datetime) -> W:
    """Return the work with one more failure of this call."""
    known = work.troubles.get(call)
    trouble = Trouble(
        since=now if known is None else known.since,
        failures=1 if known is None else known.failures + 1,
        error=error.to_json(),
    )
    return replace(work, troubles={**work.troubles, call: trouble})


def without_trouble[W: (Creation, Attachment)](work: W, call: str) -> W:
    """Return the work after this call was answered."""
    if call not in work.troubles:
        return work
    return replace(work, troubles={name: known for name, known in work.troubles.items() if name != call})


def is_hopeless(work: Creation | Attachment, call: str, error: RestoreError, now: datetime) -> bool:
    """Return whether the call need not be made again after this failure, which has been noted.

    Azure may refuse a change because an earlier call, whose answer was lost, has made it already, and a reading may be
    some seconds old. So a refusal after another failure is believed only after a while.
    """
    trouble = work.troubles[call]
    if isinstance(error, TransientError):
        return now - trouble.since >= PATIENCE
    return trouble.failures == 1 or now - trouble.since >= UNSHOWN
