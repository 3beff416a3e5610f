"""What callers see of a new VM: how far it has come, what was made, and what a person must do."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from domain import errors
from domain.azure.deployments import RESTORE_TAG
from domain.codec import as_json
from domain.errors import RestoreError, TerminalError

if TYPE_CHECKING:
    from domain.errors import Json
    from domain.follow_up.creation import Creation


class CreationState(StrEnum):
    """What became of the new VM. ``UNFINISHED``: something was made, but not the VM as it was asked for."""

    CREATING = "Creating"
    CREATED = "Created"
    NOT_CREATED = "NotCreated"
    UNFINISHED = "Unfinished"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreationDocument:
    """A virtual machine that is made of the restored disks."""

    id: str
    state: CreationState
    output_resources: tuple[str, ...] = field(
        metadata={
            "description": "The ids of what was made, as far as that is known; what is not needed any more can be "
            "deleted by them."
        }
    )
    deployment: str | None = field(
        metadata={
            "description": "The name of the deployment of the template; `null` if the app made the virtual "
            "machine itself."
        }
    )
    running_time: datetime | None = field(metadata={"description": "When the virtual machine was first seen to run."})


def document(work: Creation, *, is_over: bool) -> Json:
    """Return the new VM as callers see it."""
    return as_json(
        CreationDocument(
            id=work.vm_id,
            state=_state(work, is_over=is_over),
            output_resources=work.made,
            deployment=work.deployment_name if work.template is not None else None,
            running_time=work.running,
        )
    )


def _state(work: Creation, *, is_over: bool) -> CreationState:
    if not is_over:
        return CreationState.CREATING
    if work.stuck is None:
        return CreationState.CREATED
    return CreationState.UNFINISHED if work.made else CreationState.NOT_CREATED


def end_error(work: Creation, _undo: str) -> RestoreError | None:
    """Return why there is no VM as it was asked for, and what a person must do; ``None`` if there is."""
    if work.stuck is None:
        return None
    cause = RestoreError.from_json(work.stuck)
    if work.is_cancelled:
        message = f"{cause.message} The disks are restored; no VM was made of them."
        return RestoreError(errors.RESTORE_CANCELLED, message)
    if cause.code == errors.TEMPLATE_REFUSED:
        return TerminalError(cause.code, cause.message, cause.details)
    advice = "Nothing was made of the restored disks."
    if work.made:
        advice = "Look at what was made (outputResources), and delete it or bring it to its end by hand."
        if not work.was_there:
            advice += f" Only what has the tag {RESTORE_TAG} {work.restore_id} was made by this restore."
    message = f"There is no VM {work.vm_id} as it was asked for: {cause.message} {advice} The restored disks stay."
    return TerminalError(errors.CREATION_FAILED, message, cause.details)
