"""Addresses that asked to be left alone for a while, and until when: whoever in this process wants to call them."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_REMEMBERED: Final = 10_000  # more addresses at once than one process follows
_LONGEST_S: Final = 3600.0  # the longest that was ever seen is 45 minutes; a senseless one must not close an address


class Waits:
    """The waits asked for and not over yet, by method and URL. Safe to use from several threads.

    A restore's own waits are durable timers. These hold what it cannot know: that another restore was just told to
    leave the same list alone, or which of one activity's calls it was that asked.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._until: dict[tuple[str, str], datetime] = {}
        self._lock = threading.Lock()

    def left_s(self, method: str, url: str) -> float:
        """Return how many seconds the URL is still to be left alone, 0 where it may be called."""
        with self._lock:
            until = self._until.get((method, url))
        return 0.0 if until is None else max((until - self._clock()).total_seconds(), 0.0)

    def note(self, method: str, url: str, wait_s: float | None) -> None:
        """Take note of an answer's wait; the last answer counts, also one that asks for none."""
        now = self._clock()
        with self._lock:
            self._until.pop((method, url), None)
            if wait_s:
                if len(self._until) >= _MOST_REMEMBERED:
                    self._until = {each: until for each, until in self._until.items() if until > now}
                    self._until = dict(list(self._until.items())[-_MOST_REMEMBERED + 1 :])
                self._until[method, url] = now + timedelta(seconds=min(wait_s, _LONGEST_S))
