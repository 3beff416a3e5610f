"""Marks one attempt to post a restore as begun, where every worker sees it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Generator

    from domain.errors import Json
    from durabletask import task

MARKED_FOR: Final = timedelta(minutes=10)
"""Far longer than a delivery may still post (``activities.restores``), even where clocks differ by minutes."""


def mark_post(ctx: task.OrchestrationContext, _data: Json | None) -> Generator[task.Task[Any], Any]:
    """Run for ten minutes as the mark of one attempt to post.

    Two starts at the same moment may both succeed, but one instance runs: its input, ``{"token"}``, says whose mark it
    is.
    """
    yield ctx.create_timer(MARKED_FOR)
