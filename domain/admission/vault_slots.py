"""The slots of a vault: the number of its restores that run at once is limited, the others wait in line."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from domain.restore.answers import SlotGrant, SlotReleased
from domain.restore.calls import AcquireSlot, ReleaseSlot

if TYPE_CHECKING:
    from domain.admission.answer_once import Asked

_BETWEEN_ATTEMPTS: Final = timedelta(minutes=5)
_FORGOTTEN_AFTER: Final = timedelta(minutes=15)  # three times the longest wait before a restore asks again

_BLOCK_FORGOTTEN_AFTER: Final = timedelta(days=1)  # Microsoft's advice is to try again after 24 hours


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultSlots:
    """The ids of the restores that have a slot, and of those in line with the time of their last request.

    ``blocked_until`` is set while Azure Backup blocks the vault, and afterwards until Azure has taken a restore again.
    """

    running: tuple[str, ...] = ()
    waiting: dict[str, datetime] = field(default_factory=dict[str, datetime])
    blocked_until: datetime | None = None


def acquire(slots: VaultSlots | None, call: AcquireSlot, asked: Asked) -> tuple[VaultSlots, SlotGrant]:
    """Take a slot, or a place in line. A restore in line that does not ask again loses its place after some time.

    If no slot is free for it, the answer names a restore that has one or comes before it, a different holder each time,
    so that the restore in line can check whether it still runs. While the vault is blocked, nobody gets a slot. After
    that time, the first in line gets one, and the next one some minutes later, until Azure has taken a restore: only
    that shows that the block is over.
    """
    slots = _up_to_date(slots, asked.now)
    if asked.restore_id in slots.running:
        return slots, SlotGrant(running=len(slots.running))
    waiting, until = {**slots.waiting}, slots.blocked_until
    waiting[asked.restore_id] = asked.now  # the place of a known key in a dict, and so in line, stays the same
    ahead = list(waiting).index(asked.restore_id)
    free = call.max_per_vault - len(slots.running)
    if free > 0 and until is not None and (asked.now < until or ahead > 0):
        wait_until = max(until, asked.now + _BETWEEN_ATTEMPTS)
        return replace(slots, waiting=waiting), SlotGrant(ahead=ahead, blocked_until=wait_until)
    if ahead < free:
        del waiting[asked.restore_id]
        next_attempt = None if until is None else asked.now + _BETWEEN_ATTEMPTS
        running = (*slots.running, asked.restore_id)
        granted = VaultSlots(running=running, waiting=waiting, blocked_until=next_attempt)
        return granted, SlotGrant(running=len(running))
    holder = next(iter(slots.running or waiting))  # after a block, nobody may have a slot: then the first in line
    running = (*slots.running[1:], *slots.running[:1])
    return replace(slots, running=running, waiting=waiting), SlotGrant(holder=holder, ahead=ahead)


def release(slots: VaultSlots | None, call: ReleaseSlot, asked: Asked) -> tuple[VaultSlots, SlotReleased]:
    """Release a slot, or leave the line. Unless the vault is blocked, the restore that waited longest gets the slot."""
    slots = _up_to_date(slots, asked.now)
    until = None if call.is_taken else slots.blocked_until
    if call.blocked_until is not None:
        until = max(until or call.blocked_until, call.blocked_until)
    waiting = {restore_id: time for restore_id, time in slots.waiting.items() if restore_id != call.holder_id}
    running = tuple(restore_id for restore_id in slots.running if restore_id != call.holder_id)
    if not waiting or until is not None or len(running) >= call.max_per_vault:
        return VaultSlots(running=running, waiting=waiting, blocked_until=until), SlotReleased()
    next_id = next(iter(waiting))
    del waiting[next_id]
    return VaultSlots(running=(*running, next_id), waiting=waiting), SlotReleased(next_id=next_id)


def _up_to_date(slots: VaultSlots | None, now: datetime) -> VaultSlots:
    """Return the slots without restores in line that have not asked for a long time, and without an old block."""
    if slots is None:
        return VaultSlots()
    if slots.blocked_until is not None and now - slots.blocked_until >= _BLOCK_FORGOTTEN_AFTER:
        slots = replace(slots, blocked_until=None)
    waiting = {restore_id: time for restore_id, time in slots.waiting.items() if now - time < _FORGOTTEN_AFTER}
    return replace(slots, waiting=waiting)
