"""Where the simulator gets its time from."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from threading import Lock
from typing import Protocol

WAIT_FORMS = ("seconds", "date", "milliseconds")
"""The ways in which Azure services write how long to wait."""


class Clock(Protocol):
    """Tells the time, aware and in UTC."""

    def now(self) -> datetime:
        """Return the present moment of this clock."""
        ...


class SystemClock:
    """The machine's own time when it is made, and then only forward, whatever is done to the machine's clock."""

    def __init__(self) -> None:
        self._start = datetime.now(UTC)
        self._started_s = time.monotonic()

    def now(self) -> datetime:
        """Return the present moment."""
        return self._start + timedelta(seconds=time.monotonic() - self._started_s)


class ScaledClock:
    """Starts with another clock and then runs ``speed`` times as fast."""

    def __init__(self, base: Clock, speed: float) -> None:
        self._base = base
        self._start = base.now()
        self._speed = speed

    def now(self) -> datetime:
        """Return the start plus the time that passed on the base, times the speed."""
        return self._start + (self._base.now() - self._start) * self._speed


class ManualClock:
    """Stands still until somebody moves it: for tests."""

    def __init__(self, start: datetime | None = None) -> None:
        self._now = start or datetime.now(UTC)
        self._lock = Lock()

    def now(self) -> datetime:
        """Return the moment the clock was last moved to."""
        with self._lock:
            return self._now

    def advance(self, seconds: float) -> None:
        """Move on by so many seconds."""
        with self._lock:
            self._now += timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The three times of a simulator.

    ``simulated`` is what the service's answers speak of. ``real`` refills the rate limits, so that speed does not
    distort them. ``wall`` dates the tokens, because credential libraries compare them with the machine's own time.
    """

    simulated: Clock
    real: Clock
    wall: Clock
    speed: float

    @classmethod
    def scaled(cls, speed: float) -> Timeline:
        """Build the timeline of a simulator in which ``speed`` seconds pass in one; above zero."""
        wall = SystemClock()
        return cls(simulated=ScaledClock(wall, speed), real=wall, wall=wall, speed=speed)

    @classmethod
    def driven_by(cls, clock: Clock) -> Timeline:
        """Build the timeline of a simulator that a test drives by hand: everything but tokens follows ``clock``."""
        return cls(simulated=clock, real=clock, wall=SystemClock(), speed=1.0)

    def wait_headers(self, simulated_s: float | None, form: str) -> dict[str, str]:
        """Render a wait in one of ``WAIT_FORMS``; no wait gives no header."""
        if simulated_s is None:
            return {}
        if form == "milliseconds":
            return {"x-ms-retry-after-ms": str(round(simulated_s / self.speed * 1000))}
        if form == "date":
            moment = self.wall.now() + timedelta(seconds=simulated_s / self.speed)
            return {"Retry-After": format_datetime(moment, usegmt=True)}
        return {"Retry-After": self.retry_after(simulated_s)}

    def retry_after(self, simulated_s: float) -> str:
        """Render a wait of simulated seconds as the value of a Retry-After header: whole seconds of the caller."""
        return str(math.ceil(round(simulated_s / self.speed, 6)))
