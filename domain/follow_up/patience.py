"""How long a call that fails is repeated, and how soon something that Azure is changing is read again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from domain.errors import Json, TransientError

if TYPE_CHECKING:
    from domain.errors import RestoreError
    from domain.follow_up.attachment import Attachment
    from domain.follow_up.creation import Creation
    from domain.follow_up.swap import Swap

PATIENCE: Final = timedelta(minutes=30)
"""How long one call may fail in a row with transient errors."""
MIN_TRIES: Final = 6
"""How often a call is made at least before it is given up: a single ``Retry-After`` can be as long as ``PATIENCE``."""
MAX_TIME: Final = timedelta(hours=2)
"""How long a work may take, and a swap each way, there and back. Azure's own operations end far earlier."""
UNSHOWN: Final = timedelta(minutes=2)
"""How long Azure may not show a change that it has accepted, before the change is made again."""
_FIRST_LOOK_S: Final = 5.0
_LOOK_PER_ELAPSED: Final = 0.1
_MAX_LOOK_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A call that has failed ``failures`` times in a row since ``since``; ``error`` is its last error as JSON."""

    since: datetime
    failures: int
    error: Json

    def is_over(self, now: datetime) -> bool:
        """Return whether the call is given up, although its errors are transient."""
        return is_over(self.failures, now - self.since)


def is_over(failures: int, lasted: timedelta) -> bool:
    """Return whether a call is given up that has failed so often in a row, and for so long."""
    return lasted >= MAX_TIME or (lasted >= PATIENCE and failures >= MIN_TRIES)


def look_s(since: datetime, now: datetime, *, first_s: float | None = None) -> float:
    """Return how long to wait before what has been changing since a time is read again, in seconds.

    A tenth of the time that has passed: at least ``first_s`` (5 s by default), at most 30 s.
    """
    return min(
        max(_FIRST_LOOK_S if first_s is None else first_s, (now - since).total_seconds() * _LOOK_PER_ELAPSED),
        _MAX_LOOK_S,
    )


def with_trouble[W: (Creation, Attachment, Swap)](work: W, call: str, error: RestoreError, now: datetime) -> W:
    """Return the work with one more failure of this call, which is moved to the end of the troubles."""
    known = work.troubles.get(call)
    trouble = Trouble(
        since=now if known is None else known.since,
        failures=1 if known is None else known.failures + 1,
        error=error.to_json(),
    )
    others = {name: other for name, other in work.troubles.items() if name != call}
    return replace(work, troubles={**others, call: trouble})


def without_trouble[W: (Creation, Attachment, Swap)](work: W, call: str) -> W:
    """Return the work after this call was answered."""
    if call not in work.troubles:
        return work
    return replace(work, troubles={name: known for name, known in work.troubles.items() if name != call})


def is_hopeless(work: Creation | Attachment, call: str, error: RestoreError, now: datetime) -> bool:
    """Return whether the call is given up after this failure, which is in the troubles already.

    Azure may refuse a change because an earlier call, whose answer was lost, has made it already, and a reading may be
    some seconds old. So a refusal after another failure is believed only after a while.
    """
    trouble = work.troubles[call]
    if isinstance(error, TransientError):
        return trouble.is_over(now)
    return trouble.failures == 1 or now - trouble.since >= UNSHOWN
