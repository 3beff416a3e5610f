"""A recovery's custom status: its progress, small enough for the task hub at 1,000 members and 50 groups."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from domain.codec import pack
from domain.recovery.parts import GROUP_LETTERS, CommonProgress, ShownApproval, ShownProgress

if TYPE_CHECKING:
    from datetime import datetime

    from domain.errors import Json
    from domain.recovery.parts import Instruction
    from domain.recovery.state import Recovery

MAX_CUSTOM_STATUS: Final = 7500  # characters of JSON


def shown_progress(recovery: Recovery) -> ShownProgress:
    """Return the progress of a recovery as its custom status has it, before anything is cut."""
    progress = recovery.progress

    def second(moment: datetime | None) -> int | None:
        return None if moment is None else recovery.seconds(moment)

    common = {member.name: getattr(progress, member.name) for member in fields(CommonProgress)}
    return ShownProgress(
        **common,
        status=progress.status,
        updated=progress.completed if progress.is_closed and progress.completed else recovery.clock.now,
        groups="".join(GROUP_LETTERS[group.status] for group in progress.groups),
        sizes=tuple(group.count for group in recovery.groups),
        started=tuple(second(group.started) for group in progress.groups),
        ended=tuple(second(group.ended) for group in progress.groups),
        approvals={
            str(index): ShownApproval(
                expires=second(group.approval.expires),
                decision=group.approval.decision,
                by=group.approval.by,
                comment=group.approval.comment,
                time=second(group.approval.time),
            )
            for index, group in enumerate(progress.groups)
            if group.approval is not None
        },
        admitted=recovery.admission.admitted,
    )


def custom_status(recovery: Recovery) -> Json:
    """Return the custom status of a recovery: packed ``ShownProgress``, cut no further than needed for its size."""
    shown = shown_progress(recovery)
    written = pack(shown)
    for cut in _CUTS:
        if len(json.dumps(written)) <= MAX_CUSTOM_STATUS:
            break
        shown = replace(cut(shown), cut=True)
        written = pack(shown)
    return written


def _with_texts(shown: ShownProgress, *, size: int) -> ShownProgress:
    """Return the progress with its texts cut to this size as JSON."""

    def shortened(given: Instruction | None) -> Instruction | None:
        return given and replace(given, by=_truncated(given.by, size), comment=_truncated(given.comment, size))

    approval, error = shown.approval, shown.error
    if approval is not None:
        approval = replace(approval, by=_truncated(approval.by, size), comment=_truncated(approval.comment, size))
    return replace(
        shown,
        paused=shortened(shown.paused),
        cancellation=shortened(shown.cancellation),
        approval=approval,
        approvals={
            index: replace(known, by=_truncated(known.by, size), comment=_truncated(known.comment, size))
            for index, known in shown.approvals.items()
        },
        failures=tuple(
            replace(failure, code=_truncated(failure.code, size), message=_truncated(failure.message, size))
            for failure in shown.failures
        ),
        warnings=tuple(replace(warning, message=_truncated(warning.message, size) or "") for warning in shown.warnings),
        error=error and {**error, "message": _truncated(error["message"], 10 * size), "details": []},
    )


def _truncated(text: str | None, size: int) -> str | None:
    """Return the beginning of a text that has this size as JSON, where one character may need twelve."""
    if text is None or len(json.dumps(text)) - 2 <= size:
        return text
    sizes = accumulate(len(json.dumps(character)) - 2 for character in text[:size])
    return text[: sum(used <= size for used in sizes)]


def _with_lists(shown: ShownProgress, *, failures: int, warnings: int) -> ShownProgress:
    """Return the progress with the last of its failures and warnings."""
    return replace(
        shown,
        failures=shown.failures[len(shown.failures) - min(failures, len(shown.failures)) :],
        warnings=shown.warnings[len(shown.warnings) - min(warnings, len(shown.warnings)) :],
    )


def _without_persons(shown: ShownProgress) -> ShownProgress:
    """Return the progress without those who approved groups, and why they did."""
    approvals = {index: replace(known, by=None, comment=None) for index, known in shown.approvals.items()}
    return replace(shown, approvals=approvals)


def _with_bare_decisions(shown: ShownProgress) -> ShownProgress:
    """Return the progress with only the decision about each group; an open one keeps the time until which it waits."""
    approvals = {
        index: known if known.decision is None else ShownApproval(decision=known.decision)
        for index, known in shown.approvals.items()
    }
    return replace(shown, approvals=approvals, commands=shown.commands[-5:])


_CUTS: Final[tuple[Callable[[ShownProgress], ShownProgress], ...]] = (
    partial(_with_texts, size=100),
    partial(_with_lists, failures=20, warnings=5),
    partial(_with_lists, failures=10, warnings=3),
    partial(_with_texts, size=40),
    partial(_with_lists, failures=3, warnings=1),
    _without_persons,
    partial(_with_lists, failures=0, warnings=0),
    _with_bare_decisions,
)
