"""Work that was handed out: who has it, and what comes back to be handed out again.

durabletask's in-memory backend forgets work once it is handed out, so that a worker that dies takes it along. Here
every hand-out is remembered under a token of its own until its result comes, its lease ends, or its worker's stream
breaks. What came back goes out again as it was; a result that carries an earlier token is nobody's any more.
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

    ``execution`` is the execution that an activity was handed out for.
    """

    item: pb.WorkItem
    token: str
    stream: int
    execution: pb.HistoryEvent | None


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

    def close_stream(self, stream: int) -> None:
        """Take back all that went out on this stream."""
        with self._lock:
            self._streams.discard(stream)
            for token in [token for token, each in self._out.items() if each.stream == stream]:
                self._back.append(self._out.pop(token))

    def hand_out(
        self, item: pb.WorkItem, stream: int, *, token: str, execution: pb.HistoryEvent | None = None
    ) -> pb.WorkItem:
        """Note down that ``item`` goes out on this stream, and give it its hand-out's token."""
        with self._lock:
            item.completionToken = f"hand-out-{next(self._numbers)}"
            handed = HandOut(item, token, stream, execution)
            if stream in self._streams:
                self._out[item.completionToken] = handed
            else:  # it broke meanwhile
                self._back.append(handed)
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
            yield self.hand_out(again, stream, token=handed.token, execution=handed.execution)
