"""What callers see of disks that are attached to another VM, and what a person must do."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from domain import errors
from domain.codec import as_json
from domain.errors import RestoreError, TerminalError

if TYPE_CHECKING:
    from domain.errors import Json
    from domain.follow_up.attachment import Attachment

_NOT_OFFERED: Final = "attach detach data disks api"


class AttachmentState(StrEnum):
    """What became of the disks. ``NOT_ATTACHED``: the VM does not have all of them."""

    ATTACHING = "Attaching"
    ATTACHED = "Attached"
    NOT_ATTACHED = "NotAttached"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedPlace:
    """A restored disk, and the LUN at which the virtual machine has it; `null` as long as it does not have it."""

    disk_id: str
    lun: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentDocument:
    """Restored disks that are attached to another virtual machine."""

    virtual_machine_id: str
    state: AttachmentState
    disks: tuple[AttachedPlace, ...]
    others: tuple[str, ...] = field(
        metadata={"description": "The ids of the restored disks that were not to be attached, and still exist."}
    )
    deleted: tuple[str, ...] = field(metadata={"description": "The ids of those that were deleted (`deleteOthers`)."})
    attached_time: datetime | None


def document(work: Attachment, *, is_over: bool) -> Json:
    """Return the attachment as callers see it."""
    luns = {} if work.seen is None else {disk.disk_id.lower(): disk.lun for disk in work.seen.disks}
    return as_json(
        AttachmentDocument(
            virtual_machine_id=work.vm_id,
            state=_state(work, is_over=is_over),
            disks=tuple(AttachedPlace(disk_id=disk_id, lun=luns.get(disk_id.lower())) for disk_id in work.disk_ids),
            others=tuple(disk_id for disk_id in work.others if disk_id not in work.deleted),
            deleted=work.deleted,
            attached_time=work.attached,
        )
    )


def _state(work: Attachment, *, is_over: bool) -> AttachmentState:
    if not is_over:
        return AttachmentState.ATTACHING
    return AttachmentState.ATTACHED if work.attached is not None else AttachmentState.NOT_ATTACHED


def end_error(work: Attachment, _undo: str) -> RestoreError | None:
    """Return why the VM does not have the disks, and what a person must do; ``None`` if it has them."""
    if work.stuck is None:
        return None
    cause = RestoreError.from_json(work.stuck)
    if work.is_cancelled:
        attached = "none was attached"
        if work.may_be_attached:
            attached = f"whether Azure attaches them to {work.vm_id} is not known, so look at that VM"
        return RestoreError(errors.RESTORE_CANCELLED, f"{cause.message} The disks are restored; {attached}.")
    if _is_call_not_offered(cause):
        message = (
            "The restored disks are not attached: Azure does not offer the call for it (attachDetachDataDisks) to the "
            f"subscription or in the region of {work.vm_id}; Microsoft's support can enable it. They stay where they "
            "were restored, and none was deleted. Attach them one by one with az vm disk attach --name, which makes "
            "another call."
        )
        return TerminalError(errors.ATTACHMENT_FAILED, message, cause.details)
    was_sent = work.refusal is None and (work.asked is not None or work.may_be_attached)
    is_unknown = was_sent and (work.seen is None or work.seen.is_changing)
    advice = "Look at the VM, and attach them by hand (az vm disk attach)."
    if work.seen is not None and not work.unlisted and not is_unknown:
        advice = (
            "The VM lists them, but they may not be attached: detach them (az vm disk detach), and attach them again."
        )
    what = "It is not known whether the restored disks are" if is_unknown else "The restored disks are not"
    where = f"They stay where they were restored, and none was deleted. {advice}"
    message = f"{what} attached to {work.vm_id}: {cause.message} {where}"
    return TerminalError(errors.ATTACHMENT_FAILED, message, cause.details)


def _is_call_not_offered(cause: RestoreError) -> bool:
    """Return whether Azure does not offer the call to the subscription or in the region. It says so in words only.

    "The subscription is not enabled for using the attach detach data disks API." (azure-rest-api-specs#27476)
    """
    text = " ".join([cause.message, *(detail.message for detail in cause.details)])
    return _NOT_OFFERED in text.casefold()
