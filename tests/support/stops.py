"""Places at which a test stops whoever comes by, so that it knows exactly where he is."""

from __future__ import annotations

import threading

_PATIENCE_S = 60.0


class Stop:
    """One stop for one passer-by."""

    def __init__(self, where: str, after: int) -> None:
        self._reached, self._free = threading.Event(), threading.Event()
        self.where, self.after = where, after
        self.is_end = False

    def hold(self) -> None:
        """Stand still until the test lets go."""
        self._reached.set()
        self._free.wait(_PATIENCE_S)

    def wait(self) -> None:
        """Wait until somebody stands here."""
        assert self._reached.wait(_PATIENCE_S), f"nobody came by: {self.where}"

    def let_go(self) -> None:
        self._free.set()

    def end(self) -> None:
        """Let whoever stands here go nowhere."""
        self.is_end = True
        self._free.set()


class Stops:
    """The stops that are set, by place and name; the first to come by is stopped, the next ones are not."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._set: dict[tuple[str, str], Stop] = {}

    def set(self, place: str, name: str, *, after: int = 0) -> Stop:
        """Set a stop for the first to come by ``after`` so many others."""
        with self._lock:
            return self._set.setdefault((place, name), Stop(f"{place} {name}", after))

    def pass_by(self, place: str, name: str) -> Stop | None:
        """Stand still if there is a stop; returns it."""
        with self._lock:
            stop = self._set.get((place, name))
            if stop is not None and stop.after:
                stop.after -= 1
                return None
            self._set.pop((place, name), None)
        if stop:
            stop.hold()
        return stop
