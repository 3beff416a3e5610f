"""When to look again. A wait that the service asks for always wins; otherwise the job's interval grows with time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from domain.errors import Json, TransientError

# A job that has run for ten minutes is looked at every minute: the report is late by half of that on average,
# and a job of 31 minutes costs about 40 looks where one every 30 s would cost 62.
_INTERVAL_PER_ELAPSED: Final = 0.1
_OPERATION_INTERVAL_S: Final = 5.0
_FIRST_RETRY_S: Final = 5.0
_LONGEST_RETRY_S: Final = 300.0
_FIRST_LOOK_S: Final = 5.0
_LONGEST_LOOK_S: Final = 30.0

MAX_ATTEMPTS: Final = 12
"""How often one call is tried before the restore gives up on it (about half an hour); tracking never gives up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of one restore, taken from the settings when it is accepted and kept in its history."""

    job_poll_min_s: float
    job_poll_max_s: float
    deadline_s: float
    adoption_window_s: float

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote."""
        return cls(
            job_poll_min_s=data["jobPollMinS"],
            job_poll_max_s=data["jobPollMaxS"],
            deadline_s=data["deadlineS"],
            adoption_window_s=data["adoptionWindowS"],
        )

    def to_json(self) -> Json:
        """Return what history keeps."""
        return {
            "jobPollMinS": self.job_poll_min_s,
            "jobPollMaxS": self.job_poll_max_s,
            "deadlineS": self.deadline_s,
            "adoptionWindowS": self.adoption_window_s,
        }


def job_interval_s(limits: Limits, *, elapsed_s: float) -> float:
    """Return the wait before the next look at a job that has been followed for ``elapsed_s``."""
    return min(max(elapsed_s * _INTERVAL_PER_ELAPSED, limits.job_poll_min_s), limits.job_poll_max_s)


def operation_interval_s(retry_after_s: float | None) -> float:
    """Return the wait before the next look at an operation."""
    return _OPERATION_INTERVAL_S if retry_after_s is None else retry_after_s


def retry_wait_s(error: TransientError, *, attempt: int) -> float:
    """Return the wait after failed attempt number ``attempt`` (the first is 1): the service's own, or doubling."""
    if error.retry_after_s is not None:
        return error.retry_after_s
    return min(_FIRST_RETRY_S * 2 ** min(attempt - 1, 10), _LONGEST_RETRY_S)


def look_times(start: datetime, window_s: float, *, retry_after_s: float | None) -> Iterator[datetime]:
    """Yield when to look for a job after an open answer: at growing intervals, the last look as the window closes.

    A ``Retry-After`` on the open answer holds the first look back, and a window shorter than it is stretched to it.
    """
    wait_s = _FIRST_LOOK_S if retry_after_s is None else retry_after_s
    at, closes = start, start + timedelta(seconds=max(window_s, retry_after_s or 0.0))
    while at < closes:
        at = min(at + timedelta(seconds=wait_s), closes)
        yield at
        wait_s = min(max(wait_s, _FIRST_LOOK_S) * 2, _LONGEST_LOOK_S)
