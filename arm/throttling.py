"""The waits that Azure asked for, remembered per process, so that all restores of the process respect them."""

from __future__ import annotations

import re
import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_URLS: Final = 10_000  # more than one process calls
_MAX_WAIT_S: Final = 3600.0  # the longest wait seen is 45 minutes; an absurd one must not block a URL for days
_VIEW: Final = re.compile(r"(?<=[?&])(?:\$|%24)(?:filter|expand)=[^&]*&?", re.IGNORECASE)


class Throttling:
    """The time before which each URL must not be called, by method and URL. Safe to use from several threads.

    A list is one URL, whatever it is filtered by: the running restores of a vault, and all of them. So is a VM, with
    its instance view or without it.

    The orchestration of a restore waits with durable timers. It does not know that Azure throttled the same URL for
    another restore, nor which call of an activity was throttled.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._not_before: dict[tuple[str, str], datetime] = {}
        self._lock = threading.Lock()

    def wait_s(self, method: str, url: str) -> float:
        """Return for how many seconds the URL must not be called yet; 0 when it may be called."""
        with self._lock:
            not_before = self._not_before.get((method, _without_view(url)))
        return 0.0 if not_before is None else max((not_before - self._clock()).total_seconds(), 0.0)

    def record(self, method: str, url: str, wait_s: float | None) -> None:
        """Record the wait of the latest answer; an answer without one ends an earlier wait."""
        key = method, _without_view(url)
        with self._lock:
            self._not_before.pop(key, None)
            if wait_s:
                if len(self._not_before) >= _MAX_URLS:
                    del self._not_before[next(iter(self._not_before))]  # the oldest
                self._not_before[key] = self._clock() + timedelta(seconds=min(wait_s, _MAX_WAIT_S))


def _without_view(url: str) -> str:
    return _VIEW.sub("", url).rstrip("?&")
