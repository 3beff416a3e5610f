"""A record: data of a recovery that is written once, and kept in the task hub, where every worker sees it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Generator

    from domain.errors import Json
    from durabletask import task

HELD_FOR: Final = timedelta(minutes=10)
"""Far longer than a writer takes from reading that there is no record to starting it.

While the first instance runs, the start of a second writer is refused. After its end it would replace the data.
"""


def hold_record(ctx: task.OrchestrationContext, _data: Json | None) -> Generator[task.Task[Any], Any]:
    """Run for ten minutes, so that no other writer replaces the data, which is the input. It stays after the end."""
    yield ctx.create_timer(HELD_FOR)
