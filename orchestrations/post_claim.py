"""The claim of one attempt to post a restore, kept where every worker sees it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Generator

    from domain.errors import Json
    from durabletask import task

CLAIMED_FOR: Final = timedelta(minutes=10)
"""Far longer than a delivery may still post (``activities.restores``), even where clocks differ by minutes."""


def hold_post_claim(ctx: task.OrchestrationContext, _data: Json | None) -> Generator[task.Task[Any], Any]:
    """Run for ten minutes as the claim of one attempt to post.

    Two starts at the same moment may both succeed, but one instance runs: its input, ``{"token"}``, says whose claim it
    is.
    """
    yield ctx.create_timer(CLAIMED_FOR)
