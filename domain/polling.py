"""When to look again. A wait that the service asks for always wins; otherwise the job's interval grows with time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from domain.errors import Json

# A job that has run for ten minutes is looked at every minute: the report is late by half of that on average,
# and a job of 31 minutes costs about 40 looks where one every 30 s would cost 62.
_INTERVAL_PER_ELAPSED: Final = 0.1
_OPERATION_INTERVAL_S: Final = 5.0

_FIRST_RETRY_S: Final = 5.0
_LONGEST_RETRY_S: Final = 300.0
_FIRST_LOOK_S: Final = 5.0
_LONGEST_LOOK_S: Final = 30.0

PATIENCE_S: Final = 1800.0
"""How long calls may fail in a row before the restore gives up; outages are waited out once Azure has the restore."""

_LEAST_WAIT_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of one restore, taken from the settings when it is accepted and kept in its history.

    ``most_per_vault`` is how many restores of its vault may run at once, ``None`` for what began before there was one.
    """

    job_poll_min_s: float
    job_poll_max_s: float
    deadline_s: float
    adoption_window_s: float
    most_per_vault: int | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote."""
        return cls(
            job_poll_min_s=data["jobPollMinS"],
            job_poll_max_s=data["jobPollMaxS"],
            deadline_s=data["deadlineS"],
            adoption_window_s=data["adoptionWindowS"],
            most_per_vault=data.get("mostPerVault"),
        )

    def to_json(self) -> Json:
        """Return what history keeps."""
        return {
            "jobPollMinS": self.job_poll_min_s,
            "jobPollMaxS": self.job_poll_max_s,
            "deadlineS": self.deadline_s,
            "adoptionWindowS": self.adoption_window_s,
            "mostPerVault": self.most_per_vault,
        }


def operation_interval_s(limits: Limits, *, elapsed_s: float) -> float:
    """Return the wait before the next look at an operation, or a validation, that has run for ``elapsed_s``."""
    return min(max(elapsed_s * _INTERVAL_PER_ELAPSED, _OPERATION_INTERVAL_S), limits.job_poll_max_s)


def job_interval_s(limits: Limits, *, elapsed_s: float) -> float:
    """Return the wait before the next look at a job that has been followed for ``elapsed_s``."""
    return min(max(elapsed_s * _INTERVAL_PER_ELAPSED, limits.job_poll_min_s), limits.job_poll_max_s)


def wait_s(asked_s: float | None, own_s: float) -> float:
    """Return the wait that the service asked for, or our own where it asked for none.

    A wait of nothing is none: a service that says so must not get a tight loop.
    """
    return own_s if asked_s is None or asked_s <= 0 else max(asked_s, _LEAST_WAIT_S)


def retry_wait_s(asked_s: float | None, *, attempt: int) -> float:
    """Return the wait after failed attempt number ``attempt`` (the first is 1): the service's own, or doubling."""
    return wait_s(asked_s, min(_FIRST_RETRY_S * 2 ** min(attempt - 1, 10), _LONGEST_RETRY_S))


def next_look(open_since: datetime, window_s: float, *, now: datetime) -> datetime | None:
    """Return when to look again for the job of an open answer; ``None`` when the window has closed.

    The waits grow with the time that has passed, and the last look is made just as the window closes.
    """
    closes = open_since + timedelta(seconds=window_s)
    if now >= closes:
        return None
    elapsed_s = (now - open_since).total_seconds()
    return min(now + timedelta(seconds=min(max(elapsed_s, _FIRST_LOOK_S), _LONGEST_LOOK_S)), closes)
