"""The entry of a restore in the list of restores: an instance in the task hub, whose rows are sorted by their ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from domain.errors import Json
    from durabletask import task


def hold_list_entry(_ctx: task.OrchestrationContext, _data: Json | None) -> None:
    """End at once: the instance's id is all the data of the entry (``triggers/list_entries.py``)."""
