"""The undo of a swap: from the status document of the restore that made it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from domain import errors
from domain.errors import TerminalError
from domain.follow_up.swap import Swap
from domain.follow_up.swap_report import SwapState, undo_of
from domain.request_schema import ORIGINAL_LOCATION, SWAP_DISKS
from domain.requests import RestoreRequest
from domain.restore.state import restore_id_for
from domain.times import format_time
from domain.wire import as_object

if TYPE_CHECKING:
    from datetime import datetime

    from domain.errors import Json

_CAN_BE_UNDONE: Final = frozenset({SwapState.SWAPPED, SwapState.UNFINISHED})
_REPEATED: Final = ("recoveryType", SWAP_DISKS)
"""The members of the first request that its undo repeats; the others are about the restore from a recovery point."""


def undo_id(restore_id: str, attempt: int) -> str:
    """Return the id of an undo; ``attempt`` counts from 1, because one that failed may be tried again."""
    return restore_id_for(f"undo/{restore_id}/{attempt}")


def can_be_undone(shown: Json) -> bool:
    """Return whether a restore has swapped disks, so that it can be undone; ``shown`` is its status document."""
    swap = as_object(as_object(shown.get("result")).get("swap"))
    return swap.get("state") in _CAN_BE_UNDONE and bool(swap.get("disks"))


def is_cut(shown: Json) -> bool:
    """Return whether a restore can be undone, but its document is cut, so that it does not say what the VM had."""
    return can_be_undone(shown) and shown["result"]["swap"]["formerStorageProfile"] is None


def undo(
    shown: Json, restore_id: str, now: datetime, *, by: str | None, comment: str | None
) -> tuple[RestoreRequest, Swap]:
    """Return the request of an undo, and its swap; ``shown`` is the status document of the restore to be undone.

    Raises ``TerminalError`` ``RequestConflict`` if that restore has swapped nothing.
    """
    if not can_be_undone(shown):
        raise TerminalError(errors.REQUEST_CONFLICT, _why_not(shown))
    swapped: Json = shown["result"]["swap"]
    asked = {name: shown["request"][name] for name in _REPEATED if name in shown["request"]}
    body = {"sourceResourceId": swapped["virtualMachineId"], **asked, "reason": comment or f"Undo of {shown['id']}."}
    request = RestoreRequest({**body, "requestedBy": by} if by else body)
    wanted = undo_of(swapped)
    swap = Swap(
        vm_id=swapped["virtualMachineId"],
        wanted=wanted,
        starts=(request.then_swap_disks or {}).get("start", True) or None,  # a VM that runs by now runs afterwards
        tags={"restore-id": restore_id, "replaced-on": format_time(now)},
        unchecked=tuple(place.disk.disk_id for place in wanted if place.disk is not None),
    )
    return request, swap


def _why_not(shown: Json) -> str:
    if shown.get("completedTime") is None:
        return "This restore has not ended. Cancel it instead; undo it when it has swapped its disks."
    if shown.get("recoveryType") == ORIGINAL_LOCATION:
        return (
            "This restore has swapped no disks: for OriginalLocation, Azure Backup replaces them itself. It keeps the "
            "former disks; whoever wants them back must put them into the VM by hand."
        )
    if as_object(as_object(shown.get("result")).get("swap")).get("state") == SwapState.AS_BEFORE:
        return "This restore has swapped no disks: the VM has its former disks, so there is nothing to undo."
    return "This restore has swapped no disks, so there is nothing to undo. Only a restore with thenSwapDisks has."
