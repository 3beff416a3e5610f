"""The slots of a vault: the number of its restores that run at once is limited, the others wait in line."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from domain.restore.answers import SlotGrant, SlotReleased
from domain.restore.calls import AcquireSlot, ReleaseSlot

if TYPE_CHECKING:
    from domain.admission.answer_once import Asked

_FORGOTTEN_AFTER: Final = timedelta(minutes=15)  # three times the longest wait before a restore asks again


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultSlots:
    """The ids of the restores that have a slot, and of those in line with the time of their last request."""

    running: tuple[str, ...] = ()
    waiting: dict[str, datetime] = field(default_factory=dict[str, datetime])


def acquire(slots: VaultSlots | None, call: AcquireSlot, asked: Asked) -> tuple[VaultSlots, SlotGrant]:
    """Take a slot, or a place in line. A restore in line that does not ask again loses its place after some time.

    If no slot is free, the answer names a restore that has one, a different one each time, so that the restore in line
    can check whether it still runs.
    """
    running, waiting = _running_and_waiting(slots, asked.now)
    if asked.restore_id in running:
        return VaultSlots(running=tuple(running), waiting=waiting), SlotGrant()
    waiting[asked.restore_id] = asked.now  # the place of a known key in a dict, and so in line, stays the same
    ahead = list(waiting).index(asked.restore_id)
    if ahead < call.max_per_vault - len(running):
        del waiting[asked.restore_id]
        return VaultSlots(running=(*running, asked.restore_id), waiting=waiting), SlotGrant()
    holder, *others = running
    return VaultSlots(running=(*others, holder), waiting=waiting), SlotGrant(holder=holder, ahead=ahead)


def release(slots: VaultSlots | None, call: ReleaseSlot, asked: Asked) -> tuple[VaultSlots, SlotReleased]:
    """Release a slot, or leave the line. The slot goes to the restore that has waited longest."""
    running, waiting = _running_and_waiting(slots, asked.now)
    waiting.pop(call.holder_id, None)
    running = [restore_id for restore_id in running if restore_id != call.holder_id]
    if not waiting or len(running) >= call.max_per_vault:
        return VaultSlots(running=tuple(running), waiting=waiting), SlotReleased()
    next_id = next(iter(waiting))
    del waiting[next_id]
    return VaultSlots(running=(*running, next_id), waiting=waiting), SlotReleased(next_id=next_id)


def _running_and_waiting(slots: VaultSlots | None, now: datetime) -> tuple[list[str], dict[str, datetime]]:
    if slots is None:
        return [], {}
    waiting = {restore_id: time for restore_id, time in slots.waiting.items() if now - time < _FORGOTTEN_AFTER}
    return list(slots.running), waiting
