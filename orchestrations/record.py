"""A record: data of a recovery that is written once, and kept in the task hub, where every worker sees it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Generator

    from domain.errors import Json
    from durabletask import task

HELD_FOR: Final = timedelta(minutes=10)
"""Far longer than a writer takes from its look for the record to its start, whose data would replace that of another
one if the first had ended."""


def hold_record(ctx: task.OrchestrationContext, _data: Json | None) -> Generator[task.Task[Any], Any]:
    """Hold the data, which is the input, against other writers of the same id, then end: the data stays."""
    yield ctx.create_timer(HELD_FOR)
