"""The commands of persons to a recovery. One that does not fit its state counts as applied, and changes nothing.

Callers are told before whether a command fits (``triggers/recovery_commands.py``). If the state changes before the
command arrives, ``ineffective`` tells them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from domain.recovery.ending import rejected
from domain.recovery.groups import decided, members_in, with_decision
from domain.recovery.parts import (
    MAX_ATTEMPTS,
    NOT_GOOD,
    RETRIABLE,
    SKIPPABLE,
    GroupStatus,
    Instruction,
    MemberStatus,
)
from domain.restore.parts import Decision
from domain.wire import as_object, as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from domain.recovery.state import Recovery

_MAX_KNOWN: Final = 20
_MAX_INEFFECTIVE: Final = 5
_MAX_ID: Final = 64
_MAX_NAME: Final = 200
_MAX_COMMENT: Final = 1000
_AWAITING_APPROVAL: Final = frozenset({GroupStatus.AWAITING_APPROVAL})


class Command(StrEnum):
    """What a person can tell a recovery to do."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    RETRY = "retry"
    SKIP = "skip"
    APPROVE = "approve"
    REJECT = "reject"


def heard(recovery: Recovery, data: object, now: datetime) -> Recovery:
    """Return the recovery after the event ``command``: ``{"id", "command", "group"?, "by"?, "comment"?, "time"}``.

    A command that arrives twice counts once.
    """
    message = as_object(data)
    command_id, word = as_text(message.get("id")), message.get("command")
    if command_id is None or len(command_id) > _MAX_ID or command_id in recovery.progress.commands:
        return recovery
    recovery = recovery.with_progress(commands=(*recovery.progress.commands, command_id)[-_MAX_KNOWN:])
    if word not in list(Command):
        return recovery
    by, comment = as_text(message.get("by")), as_text(message.get("comment"))
    instruction = Instruction(by=by and by[:_MAX_NAME], comment=comment and comment[:_MAX_COMMENT], time=now)
    applied = _COMMANDS[Command(word)](recovery, as_text(message.get("group")), instruction, now)
    if applied != recovery:
        return applied
    return recovery.with_progress(ineffective=(*recovery.progress.ineffective, command_id)[-_MAX_INEFFECTIVE:])


def _paused(recovery: Recovery, _group: str | None, instruction: Instruction, _now: datetime) -> Recovery:
    progress = recovery.progress
    if progress.paused is not None or progress.cancellation is not None or progress.status.has_ended:
        return recovery
    return recovery.with_progress(paused=instruction)


def _resumed(recovery: Recovery, _group: str | None, _instruction: Instruction, _now: datetime) -> Recovery:
    return recovery.with_progress(paused=None)


def _cancelled(recovery: Recovery, _group: str | None, instruction: Instruction, _now: datetime) -> Recovery:
    if recovery.progress.cancellation is not None:
        return recovery
    return recovery.with_progress(cancellation=instruction, paused=None)


def _retried(recovery: Recovery, group: str | None, _instruction: Instruction, _now: datetime) -> Recovery:
    """Start the members of failed groups again that did not succeed; ask again for the approval of rejected groups."""
    for index in _groups_for(recovery, group, RETRIABLE):
        if recovery.progress.groups[index].status is GroupStatus.REJECTED:
            recovery = recovery.with_group(index, status=GroupStatus.PENDING, ended=None, approval=None)
            continue
        again = [i for i in members_in(recovery, index, NOT_GOOD) if recovery.attempt(i) < MAX_ATTEMPTS]
        if again:
            recovery = recovery.with_group(index, status=GroupStatus.RUNNING, ended=None).with_next_attempt(again)
            left = tuple(failure for failure in recovery.progress.failures if failure.index not in again)
            recovery = recovery.with_progress(failures=left)
    return recovery


def _skipped(recovery: Recovery, group: str | None, _instruction: Instruction, now: datetime) -> Recovery:
    """Let the groups after these start as if these had succeeded: failed ones, or a named one that has not started."""
    statuses = RETRIABLE if group is None else SKIPPABLE
    for index in _groups_for(recovery, group, statuses):
        pending = members_in(recovery, index, frozenset({MemberStatus.PENDING}))
        approval = recovery.progress.groups[index].approval
        if approval is not None and approval.decision is None:
            approval = None  # nobody is asked any more
        recovery = recovery.with_group(index, status=GroupStatus.SKIPPED, ended=now, approval=approval)
        recovery = recovery.with_members(MemberStatus.SKIPPED, pending)
    return recovery


def _approved(recovery: Recovery, group: str | None, instruction: Instruction, now: datetime) -> Recovery:
    return _decided(recovery, group, Decision.APPROVED, instruction, now)


def _rejected(recovery: Recovery, group: str | None, instruction: Instruction, now: datetime) -> Recovery:
    return _decided(recovery, group, Decision.REJECTED, instruction, now)


def _decided(
    recovery: Recovery, group: str | None, decision: Decision, instruction: Instruction, now: datetime
) -> Recovery:
    """Decide about the whole recovery while it waits, else about the groups that wait."""
    by, comment, approval = instruction.by, instruction.comment, recovery.progress.approval
    if approval is not None and approval.decision is None:
        if group is not None:
            return recovery
        approval = with_decision(approval, decision, now, by=by, comment=comment)
        return rejected(recovery.with_progress(approval=approval))
    for index in _groups_for(recovery, group, _AWAITING_APPROVAL):
        recovery = decided(recovery, index, decision, now, by=by, comment=comment)
    return recovery


def _groups_for(recovery: Recovery, name: str | None, statuses: frozenset[GroupStatus]) -> list[int]:
    """Return the indexes of the groups that a command is about: those in these statuses; with a name, that one alone.

    There are none after a cancellation, and none in a dry run.
    """
    if recovery.progress.cancellation is not None or recovery.accepted.dry_run:
        return []
    return [
        index
        for index in recovery.groups_in(*statuses)
        if name is None or recovery.groups[index].name.lower() == name.lower()
    ]


_COMMANDS: Final[Mapping[Command, Callable[[Recovery, str | None, Instruction, datetime], Recovery]]] = {
    Command.PAUSE: _paused,
    Command.RESUME: _resumed,
    Command.CANCEL: _cancelled,
    Command.RETRY: _retried,
    Command.SKIP: _skipped,
    Command.APPROVE: _approved,
    Command.REJECT: _rejected,
}
