"""What a restore can do with its disks, and what all such works have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from domain.errors import RestoreError, RestoreWarning
from domain.follow_up import swap, swap_report
from domain.follow_up.swap import Swap, Trouble

if TYPE_CHECKING:
    from collections.abc import Mapping

    from domain.errors import Json
    from domain.restore.calls import ActivityCall

type Work = Swap


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """The functions of one kind of work; each is pure and takes the work first.

    ``next_call`` returns ``None`` at the end. ``look_again_s`` says how long to wait before the VM is read again, given
    the time; 0 if that need not wait. ``end_error`` returns why the work did not end as wanted, given how a person can
    undo it. ``document`` returns what callers see, under the name ``member`` in the result.
    """

    member: str
    next_call: Callable[[Any], ActivityCall | None]
    answered: Callable[[Any, ActivityCall, Any, datetime], Any]
    failed: Callable[[Any, ActivityCall, RestoreError, datetime], Any]
    look_again_s: Callable[[Any, datetime], float]
    end_error: Callable[[Any, str], RestoreError | None]
    document: Callable[..., Json]


_KINDS: Final[Mapping[type[Any], Kind]] = {
    Swap: Kind(
        member="swap",
        next_call=swap.next_call,
        answered=swap.answered,
        failed=swap.failed,
        look_again_s=swap.look_again_s,
        end_error=swap_report.end_error,
        document=swap_report.document,
    ),
}


def kind_of(work: Work) -> Kind:
    """Return the functions of a work."""
    return _KINDS[type(work)]


def troubles_of(work: Work) -> dict[str, Trouble]:
    """Return what has failed in a row, by the names of the calls."""
    return work.troubles


def warnings_of(work: Work) -> tuple[RestoreWarning, ...]:
    """Return what a person should know, although it did not end the work."""
    return work.warnings
