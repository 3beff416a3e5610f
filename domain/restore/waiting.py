"""What a restore waits for, as its status document shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from domain.api_types import WaitingDocument
from domain.restore.calls import JoinWatch, PostEvent, PublishEvents
from domain.restore.parts import SlotState, WaitReason
from domain.restore.stages import AwaitingApproval, AwaitingMaintenance, AwaitingResourceGuard

if TYPE_CHECKING:
    from datetime import datetime

    from domain.restore.backoff import Pause
    from domain.restore.state import Restore


_ASKING: Final = (AwaitingApproval, AwaitingMaintenance)
_NOT_WAITED_FOR: Final = frozenset({PublishEvents.name, PostEvent.name, JoinWatch.name})


def waiting_for(restore: Restore, next_poll: datetime | None) -> WaitingDocument | None:
    """Return what the restore waits for, or ``None`` if it works or only polls at its own interval.

    ``next_poll`` is the time of its next call; ``None`` if it makes one now.
    """
    pauses, until = _pauses_until(restore, next_poll), restore.waits_for_person_until
    waits_for_slot, blocked = restore.slot.state is SlotState.WAITING, restore.slot.blocked_until
    reasons = (  # the first that applies
        (waits_for_slot and blocked is not None, WaitReason.VAULT_BLOCKED, blocked),
        (waits_for_slot, WaitReason.VAULT_BUSY, None),
        (isinstance(restore.stage, _ASKING) and restore.awaits_decision, WaitReason.APPROVAL, until),
        (isinstance(restore.stage, AwaitingResourceGuard), WaitReason.RESOURCE_GUARD, until),
        (blocked is not None and next_poll is not None and next_poll <= blocked, WaitReason.VAULT_BLOCKED, blocked),
        (any(pause.failures for pause in pauses), WaitReason.THROTTLED, next_poll),
        (restore.waits_for_item is not None, WaitReason.ITEM_BUSY, next_poll),
        (any(pause.by_azure for pause in pauses), WaitReason.RETRY_AFTER, next_poll),
    )
    waits = (WaitingDocument(reason=reason, until=end) for applies, reason, end in reasons if applies)
    return next(waits, None) if restore.outcome is None else None


def _pauses_until(restore: Restore, next_poll: datetime | None) -> list[Pause]:
    """Return the pauses that end with the wait, or that the deadline cuts short.

    A wait that Azure asked for in the answer to one call may be for another call: then the pauses of both end with it.
    """
    is_cut = next_poll == restore.deadline
    return [
        pause
        for name, pause in restore.backoff.pauses.items()
        if name not in _NOT_WAITED_FOR
        and (pause.not_before == next_poll or (is_cut and pause.not_before > restore.deadline))
    ]
