"""How often the service is polled when it asks for no wait itself. The interval grows with the time that has passed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

# A job that has run for ten minutes is polled every minute: its end is noticed half a minute late on average. A job of
# 31 minutes costs about 40 polls; polled every 30 s it would cost 62.
_INTERVAL_PER_ELAPSED: Final = 0.1
_MIN_OPERATION_INTERVAL_S: Final = 5.0
_MIN_SEARCH_INTERVAL_S: Final = 5.0
_MAX_SEARCH_INTERVAL_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one restore, copied from the settings when it is accepted and kept in its history.

    ``max_per_vault`` is how many restores of its vault may run at once, ``None`` for any number.
    """

    job_poll_min_s: float
    job_poll_max_s: float
    deadline_s: float
    adoption_window_s: float
    max_per_vault: int | None = None


def operation_interval_s(limits: Limits, elapsed: timedelta) -> float:
    """Return the wait before the next poll of an operation, or a validation, that has run for ``elapsed``."""
    grown_s = elapsed.total_seconds() * _INTERVAL_PER_ELAPSED
    return min(max(grown_s, _MIN_OPERATION_INTERVAL_S), limits.job_poll_max_s)


def job_interval_s(limits: Limits, elapsed: timedelta) -> float:
    """Return the wait before the next poll of a job that has been followed for ``elapsed``."""
    grown_s = elapsed.total_seconds() * _INTERVAL_PER_ELAPSED
    return min(max(grown_s, limits.job_poll_min_s), limits.job_poll_max_s)


def search_interval_s(limits: Limits, since: datetime, now: datetime) -> float | None:
    """Return the wait before the next search for the job of an unknown outcome; ``None`` once its window has closed.

    The waits grow with the time that has passed, and the last search is made just as the window closes.
    """
    elapsed_s = (now - since).total_seconds()
    if elapsed_s >= limits.adoption_window_s:
        return None
    grown_s = min(max(elapsed_s, _MIN_SEARCH_INTERVAL_S), _MAX_SEARCH_INTERVAL_S)
    return min(grown_s, limits.adoption_window_s - elapsed_s)
