"""The custom status of an orchestration, built in a replay only where it may be the last one."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from domain.errors import Json
    from durabletask import task


class CustomStatus:
    """Sets the custom status of one execution, which has the same statuses in each replay of its history.

    A status that was set in a replay came from events in the history. So each later replay sets it as well, and the
    statuses before it need not be built again. That status itself must be built in each replay: it is the last one if
    the new events change nothing, and the engine keeps only a status that was set in the latest replay.
    """

    def __init__(self, ctx: task.OrchestrationContext) -> None:
        self._ctx = ctx
        self._number = 0
        self._newest = newest_in_history(ctx.instance_id, ctx.current_utc_datetime)

    def set(self, build: Callable[[], Json | None]) -> None:
        """Set what ``build`` returns, unless that is ``None`` or a later status is known to follow."""
        self._number += 1
        if self._ctx.is_replaying and self._number < self._newest[0]:
            return
        status = build()
        if status is None:
            return
        self._ctx.set_custom_status(status)
        if self._ctx.is_replaying:
            self._newest[0] = self._number


@lru_cache(maxsize=4096)
def newest_in_history(_instance_id: str, _began: datetime) -> list[int]:
    """Return a box with the number of the last status that this process has set in a replay of an execution."""
    return [0]
