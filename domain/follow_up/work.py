"""What a restore can do with its disks, and what all such works have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from domain.errors import ATTACHMENT_FAILED, CREATION_FAILED, RestoreError, RestoreWarning
from domain.follow_up import attachment, attachment_report, creation, creation_report, swap, swap_answers, swap_report
from domain.follow_up.attachment import Attachment
from domain.follow_up.attachment_calls import ATTACHMENT_CALLS
from domain.follow_up.calls import FOLLOW_UP_CALLS, GetVirtualMachine
from domain.follow_up.creation import Creation
from domain.follow_up.creation_calls import CREATION_CALLS
from domain.follow_up.disk_changes import SWAP_FAILED
from domain.follow_up.patience import Trouble
from domain.follow_up.swap import Swap
from domain.restore.calls import ActivityCall
from domain.restore.parts import Phase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from domain.errors import Json

type Work = Swap | Creation | Attachment


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """The functions of one kind of work; each is pure and takes the work first.

    ``next_call`` returns ``None`` at the end. ``look_again_s`` says how many seconds to wait before the call ``polled``
    is made again, given the time; 0 if that need not wait. ``end_error`` returns why the work did not end as wanted,
    given how a person can undo it. ``document`` returns what callers see, under the name ``member`` in the result.
    ``cancelled`` is for a work whose ``may_go_back`` is true; ``too_late`` is the message for another one, which goes
    on. ``untouched`` is the message for a work that never began.
    """

    member: str
    phase: Phase
    error_code: str
    untouched: str
    too_late: str
    next_call: Callable[[Any], ActivityCall | None]
    answered: Callable[[Any, ActivityCall, Any, datetime], Any]
    failed: Callable[[Any, ActivityCall, RestoreError, datetime], Any]
    look_again_s: Callable[[Any, datetime], float]
    end_error: Callable[[Any, str], RestoreError | None]
    document: Callable[..., Json]
    cancelled: Callable[[Any, RestoreError, datetime], Any]
    polled: Callable[[Any], str] = lambda _work: GetVirtualMachine.name


KINDS: Final[Mapping[type[Any], Kind]] = {
    Swap: Kind(
        member="swap",
        phase=Phase.SWAPPING_DISKS,
        error_code=SWAP_FAILED,
        untouched="The VM was not touched.",
        too_late="The disks of the VM were already being replaced, so the swap went on to its end.",
        next_call=swap.next_call,
        answered=swap_answers.answered,
        failed=swap_answers.failed,
        look_again_s=swap.look_again_s,
        end_error=swap_report.end_error,
        document=swap_report.document,
        cancelled=swap_answers.cancelled,
    ),
    Creation: Kind(
        member="createdVirtualMachine",
        phase=Phase.CREATING_VIRTUAL_MACHINE,
        error_code=CREATION_FAILED,
        untouched="No VM was made.",
        too_late="The new VM was already being made, so that went on to its end.",
        next_call=creation.next_call,
        answered=creation.answered,
        failed=creation.failed,
        look_again_s=creation.look_again_s,
        end_error=creation_report.end_error,
        document=creation_report.document,
        cancelled=creation.cancelled,
        polled=creation.polled,
    ),
    Attachment: Kind(
        member="attachment",
        phase=Phase.ATTACHING_DISKS,
        error_code=ATTACHMENT_FAILED,
        untouched="No disk was attached.",
        too_late="The disks were already being attached, so that went on to its end.",
        next_call=attachment.next_call,
        answered=attachment.answered,
        failed=attachment.failed,
        look_again_s=attachment.look_again_s,
        end_error=attachment_report.end_error,
        document=attachment_report.document,
        cancelled=attachment.cancelled,
        polled=attachment.polled,
    ),
}
"""The functions of each kind of work, by its type."""

WORK_CALLS: Final[tuple[type[ActivityCall], ...]] = (*FOLLOW_UP_CALLS, *CREATION_CALLS, *ATTACHMENT_CALLS)
"""Every call of any work."""


def kind_of(work: Work) -> Kind:
    """Return the functions of a work."""
    return KINDS[type(work)]


def troubles_of(work: Work) -> dict[str, Trouble]:
    """Return what has failed in a row, by the names of the calls."""
    return work.troubles


def warnings_of(work: Work) -> tuple[RestoreWarning, ...]:
    """Return what a person should know, although it did not end the work."""
    return work.warnings
