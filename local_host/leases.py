"""Work that was handed out: who has it, what its worker died with, and what comes back to be handed out again.

durabletask's in-memory backend forgets work once it is handed out. Here every hand-out is remembered under a token of
its own until its result comes, its lease ends, or its worker's stream breaks. What came back goes out again as it was;
a result that carries an earlier token is nobody's any more.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from durabletask.internal import orchestrator_service_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class HandOut:
    """One item in a worker's hands. ``token`` is what the backend knows it by.

    ``generation`` is the execution that an activity was handed out for.
    """

    item: pb.WorkItem
    token: str
    stream: int
    generation: int


class Leases:
    """The hand-outs of one task hub. A stream is one worker's connection."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._streams: set[int] = set()
        self._out: dict[str, HandOut] = {}
        self._back: deque[HandOut] = deque()

    def open_stream(self) -> int:
        """Note that a worker has come; returns its stream."""
        with self._lock:
            stream = next(self._numbers)
            self._streams.add(stream)
            return stream

    def is_open(self, stream: int) -> bool:
        """Return whether the worker is still there."""
        with self._lock:
            return stream in self._streams

    def close_stream(self, stream: int) -> list[HandOut]:
        """Note that a worker is gone; returns what it had not finished, which is in the books no more."""
        with self._lock:
            self._streams.discard(stream)
            return [self._out.pop(token) for token in [key for key, out in self._out.items() if out.stream == stream]]

    def hand_back(self, handed: HandOut) -> None:
        """Have work handed out again."""
        with self._lock:
            self._back.append(handed)

    def hand_out(self, item: pb.WorkItem, stream: int, *, token: str, generation: int = 0) -> pb.WorkItem:
        """Note down that ``item`` goes out on this stream, and give it its hand-out's token."""
        with self._lock:
            item.completionToken = f"hand-out-{next(self._numbers)}"
            self._out[item.completionToken] = HandOut(item, token, stream, generation)
            return item

    def take_back(self, token: str) -> bool:
        """End a hand-out's lease; false when its result is there already."""
        with self._lock:
            handed = self._out.pop(token, None)
            if handed is not None:
                self._back.append(handed)
            return handed is not None

    def settle(self, token: str) -> HandOut | None:
        """Take a result's hand-out out of the books; ``None`` when it was superseded."""
        with self._lock:
            return self._out.pop(token, None)

    @property
    def has_any_back(self) -> bool:
        """Whether there is something to hand out again."""
        return bool(self._back)

    def hand_out_again(self, stream: int) -> Iterator[pb.WorkItem]:
        """Hand what came back to this stream."""
        while True:
            with self._lock:
                handed = self._back.popleft() if self._back else None
            if handed is None:
                return
            again = pb.WorkItem()
            again.CopyFrom(handed.item)  # the first one may still be on its way
            yield self.hand_out(again, stream, token=handed.token, generation=handed.generation)
