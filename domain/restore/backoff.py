"""When each call may be made again: after the wait that Azure asked for, our polling interval or a retry interval."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, TypeGuard

_FIRST_RETRY_S: Final = 5.0
_MAX_RETRY_S: Final = 300.0
_MAX_DOUBLINGS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """The state of one call that was made: the time before which it is not made again, and how often it has failed.

    ``by_azure``: Azure asked for the wait, so no deadline and no cancellation shortens it.
    ``failures`` counts the failures in a row, ``failing_since`` is when they began.
    """

    not_before: datetime
    by_azure: bool = False
    failures: int = 0
    failing_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """The pauses of a restore's calls, by the calls' names.

    Waits are rounded up to whole seconds, because the engine's timers have no fractions. A wait of 0 s counts as none,
    so that no service can put the app into a tight loop.
    """

    pauses: dict[str, Pause] = field(default_factory=dict[str, Pause])

    def not_before(self, call: str) -> datetime | None:
        """Return the time before which the call must not be made, or ``None`` if it may be made at once."""
        pause = self.pauses.get(call)
        return None if pause is None else pause.not_before

    def is_due(self, call: str, now: datetime) -> bool:
        """Return whether the call may be made now."""
        not_before = self.not_before(call)
        return not_before is None or not_before <= now

    def is_held_by_azure(self, call: str, now: datetime) -> bool:
        """Return whether a wait that Azure asked for before this call is not over."""
        pause = self.pauses.get(call)
        return pause is not None and pause.by_azure and pause.not_before > now

    def asked_s(self, call: str, now: datetime) -> float | None:
        """Return the rest of Azure's wait before this call, in seconds; ``None`` if there is none, or if it is over."""
        held = self.pauses[call].not_before if self.is_held_by_azure(call, now) else None
        return None if held is None else (held - now).total_seconds()

    def failures(self, call: str) -> int:
        """Return how often the call has failed in a row."""
        pause = self.pauses.get(call)
        return 0 if pause is None else pause.failures

    def failing_for(self, call: str, now: datetime) -> timedelta:
        """Return for how long the call has failed without a success."""
        pause = self.pauses.get(call)
        return timedelta() if pause is None or pause.failing_since is None else now - pause.failing_since

    def succeeded(self, call: str, asked_s: float | None, now: datetime) -> Backoff:
        """Return the backoff after a success: without failures of the call, with the wait that its answer asked for."""
        others = Backoff(pauses={name: pause for name, pause in self.pauses.items() if name != call})
        return others.hold(call, asked_s, now)

    def hold(self, call: str, asked_s: float | None, now: datetime) -> Backoff:
        """Return the backoff with the wait, if any, that Azure asked for before this call."""
        return self._with_pause(call, asked_s, now, by_azure=True) if _is_wait(asked_s) else self

    def wait(self, call: str, own_s: float, now: datetime, *, asked_s: float | None = None) -> Backoff:
        """Return the backoff with a wait before this call: ``asked_s`` from another call's answer, else ``own_s``.

        ``own_s`` is ignored while a wait that Azure asked for before this call is not over.
        """
        if _is_wait(asked_s):
            return self._with_pause(call, asked_s, now, by_azure=False)
        return self if self.is_held_by_azure(call, now) else self._with_pause(call, own_s, now, by_azure=False)

    def retry(self, call: str, now: datetime, *, own_s: float | None = None) -> Backoff:
        """Return the backoff with one more failure of the call.

        It is made again after Azure's wait, else after ``own_s``, else after an interval that doubles each time.
        """
        backoff = self.wait(call, own_s or retry_interval_s(self.failures(call)), now)
        pause = backoff.pauses[call]
        failed = replace(pause, failures=pause.failures + 1, failing_since=pause.failing_since or now)
        return Backoff(pauses={**backoff.pauses, call: failed})

    def without_failures(self, call: str) -> Backoff:
        """Return the backoff without the failures of the call, because its last answer counts as none."""
        pause = self.pauses.get(call)
        if pause is None:
            return self
        return Backoff(pauses={**self.pauses, call: replace(pause, failures=0, failing_since=None)})

    def without_wait(self, call: str) -> Backoff:
        """Return the backoff with the call due at once, unless Azure asked for the wait."""
        pause = self.pauses.get(call)
        if pause is None or pause.by_azure:
            return self
        return Backoff(pauses={name: known for name, known in self.pauses.items() if name != call})

    def _with_pause(self, call: str, wait_s: float, now: datetime, *, by_azure: bool) -> Backoff:
        """Return the backoff with this wait before the call, or with Azure's wait if that is longer."""
        not_before, known = now + _whole_seconds(wait_s), self.pauses.get(call)
        if known is not None and self.is_held_by_azure(call, now):
            not_before, by_azure = max(not_before, known.not_before), True
        pause = replace(known or Pause(not_before=not_before), not_before=not_before, by_azure=by_azure)
        return Backoff(pauses={**self.pauses, call: pause})


def retry_interval_s(repetitions: int) -> float:
    """Return the wait before another attempt: it doubles with each repetition, up to a maximum."""
    return min(_FIRST_RETRY_S * 2 ** min(repetitions, _MAX_DOUBLINGS), _MAX_RETRY_S)


def _is_wait(asked_s: float | None) -> TypeGuard[float]:
    return asked_s is not None and asked_s > 0


def _whole_seconds(wait_s: float) -> timedelta:
    return timedelta(seconds=math.ceil(wait_s))
