"""The claim of one attempt to post a restore, kept in the task hub, where every worker sees it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Generator

    from domain.errors import Json
    from durabletask import task

CLAIMED_FOR: Final = timedelta(minutes=10)
"""Far longer than the time in which a delivery may post (``activities.restores``), even if clocks differ by minutes."""


def hold_post_claim(ctx: task.OrchestrationContext, _data: Json | None) -> Generator[task.Task[Any], Any]:
    """Run for ten minutes as the claim of one attempt to post.

    Two starts at the same moment may both succeed, but only one instance runs. Its input, ``{"token"}``, says whose
    claim it is.
    """
    yield ctx.create_timer(CLAIMED_FOR)
