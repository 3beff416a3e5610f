"""One reading of Azure for all threads that ask for the same at one moment, no older than a reading of their own."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import Future
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class JointReading[T]:
    """Readings by name, one at a time for each name. Each serves the threads that asked for it before it began."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._next: dict[str, Future[T]] = {}
        self._one_at_a_time: defaultdict[str, Lock] = defaultdict(Lock)

    def read(self, name: str, read: Callable[[], T]) -> T:
        """Return the answer of a reading that begins after this call; its failure is raised to all that it serves.

        A thread that asks while another reads waits for the next reading, which cannot miss what came in between.
        """
        with self._lock:
            reading = self._next.get(name)
            is_first = reading is None
            if reading is None:
                reading = self._next[name] = Future()
            one_at_a_time = self._one_at_a_time[name]
        if not is_first:
            return reading.result()
        with one_at_a_time:
            with self._lock:
                del self._next[name]
            try:
                reading.set_result(read())
            except BaseException as failure:
                reading.set_exception(failure)
                raise
        return reading.result()
