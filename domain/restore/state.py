"""One restore from acceptance to its end, as a value: what was accepted, how far it has come, and what became of it.

The state is the orchestration's input, and its input again whenever the history is started afresh. Times are aware UTC.
``stage`` says how far the restore has come and has exactly what is known at that point; the other parts exist in every
stage. ``domain.restore.machine`` moves a restore from state to state.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Self

from domain.azure.protected_items import ProtectedItem
from domain.errors import RestoreWarning
from domain.follow_up.swap import Swap
from domain.requests import RestoreRequest
from domain.restore.backoff import Backoff
from domain.restore.parts import (
    Accepted,
    Admission,
    AlertStart,
    Approval,
    Before,
    Cancellation,
    Clock,
    ItemBusy,
    LockState,
    Membership,
    Outcome,
    Slot,
    SlotState,
    Source,
    StatusEvents,
    Timeline,
    Trigger,
    Watch,
)
from domain.restore.polling import Limits
from domain.restore.stages import (
    AwaitingApproval,
    AwaitingMaintenance,
    AwaitingResourceGuard,
    ComparingDisks,
    FindingJob,
    FollowingUp,
    Prepared,
    Preparing,
    Resolving,
    Searching,
    Stage,
    TrackingJob,
    TrackingOperation,
)
from domain.warning_codes import WarningCode

_NAMESPACE: Final = uuid.UUID("5d0f3c1e-6a0b-5d0c-9c55-0b6e3a8f4a21")
_MAX_WARNINGS: Final = 50

SWAP_REASON: Final = "The disks are restored. A person must approve that the VM is deallocated while they are swapped."
"""Why a person is asked before a swap."""

ADMISSION_PATIENCE_S: Final = 5.0
"""How long a caller waits for admission control; a later refusal is reported by the results queue."""


def restore_id_for(key: str) -> str:
    """Return the restore's id for an idempotency key; the same key always gives the same id."""
    return str(uuid.uuid5(_NAMESPACE, key))


def client_request_id_for(restore_id: str) -> str:
    """Return the trigger's ``x-ms-client-request-id``: the service copies it into the job's ``activityId``."""
    return str(uuid.uuid5(_NAMESPACE, f"restore/{restore_id}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """The state of one restore: see this module's description.

    ``approval`` is the one that is awaited now, or was decided last; ``first_approval`` the one before the trigger,
    once another one is asked for. ``swap_approval`` will be asked for before the swap. ``told_wait``: the recovery
    whose member the restore is knows that it waits for a person.
    """

    accepted: Accepted
    clock: Clock
    admission: Admission
    slot: Slot
    stage: Stage = field(default_factory=Resolving)
    approval: Approval | None = None
    trigger: Trigger = field(default_factory=Trigger)
    item_busy: ItemBusy | None = None
    watch: Watch | None = None
    cancellation: Cancellation | None = None
    backoff: Backoff = field(default_factory=Backoff)
    warnings: tuple[RestoreWarning, ...] = ()
    outcome: Outcome | None = None
    events: StatusEvents = field(default_factory=StatusEvents)
    timeline: Timeline | None = None  # restores of earlier versions have none
    first_approval: Approval | None = None
    swap_approval: Approval | None = None
    told_wait: bool = False

    @classmethod
    def accept(
        cls,
        request: RestoreRequest,
        *,
        restore_id: str,
        source: Source,
        created: datetime,
        limits: Limits,
        alert: AlertStart | None = None,
        start_token: str | None = None,
        member: Membership | None = None,
        item: ProtectedItem | None = None,
    ) -> Self:
        """Return a new restore; ``alert`` is given exactly if ``source`` is an alert, ``member`` if it is a recovery.

        ``item`` is the protected item, where it is known already.
        """
        needs_slot = not request.is_plan and limits.max_per_vault is not None
        restore = cls(
            accepted=Accepted(
                restore_id=restore_id,
                request=request,
                fingerprint=request.fingerprint,
                source=source,
                created=created,
                limits=limits,
                alert=alert,
                start_token=start_token,
                member=member,
            ),
            stage=Resolving() if item is None else Preparing(item=item),
            clock=Clock(now=created),
            admission=Admission(
                lock=LockState.NOT_NEEDED if request.is_plan else LockState.WANTED, admitted=request.is_plan
            ),
            slot=Slot(state=SlotState.WANTED if needs_slot else SlotState.NOT_NEEDED),
            timeline=Timeline(),
        )
        if request.needs_approval_of_swap and not request.is_plan:
            restore = replace(restore, swap_approval=Approval(reason=SWAP_REASON, before=Before.SWAP))
        reason = alert.approval_reason if alert is not None else None
        if (reason or request.needs_approval) and not request.is_plan:
            return restore.with_approval(reason or "The request asks for an approval.")
        return restore

    @classmethod
    def undo(
        cls,
        request: RestoreRequest,
        undoing: Swap,
        *,
        undo_of: str,
        restore_id: str,
        source: Source,
        created: datetime,
        limits: Limits,
        start_token: str | None = None,
    ) -> Self:
        """Return a new restore that takes back the swap of the restore ``undo_of``, by the swap ``undoing``.

        It needs no recovery point and no slot at the vault, only the lock of its VM.
        """
        restore = cls.accept(
            request, restore_id=restore_id, source=source, created=created, limits=limits, start_token=start_token
        )
        return replace(
            restore,
            accepted=replace(restore.accepted, undo_of=undo_of),
            stage=FollowingUp(work=undoing),
            slot=Slot(state=SlotState.NOT_NEEDED),
        )

    @property
    def restore_id(self) -> str:
        """The restore's id."""
        return self.accepted.restore_id

    @property
    def request(self) -> RestoreRequest:
        """What the caller asked for."""
        return self.accepted.request

    @property
    def limits(self) -> Limits:
        """The bounds of this restore."""
        return self.accepted.limits

    @property
    def client_request_id(self) -> str:
        """The trigger's ``x-ms-client-request-id``, see :func:`client_request_id_for`."""
        return client_request_id_for(self.restore_id)

    @property
    def item(self) -> ProtectedItem | None:
        """The protected item, once it is known."""
        if isinstance(self.stage, Preparing):
            return self.stage.item
        return self.prepared.item if self.prepared else None

    @property
    def prepared(self) -> Prepared | None:
        """Item and point, once they are chosen and checked."""
        if isinstance(self.stage, Resolving | Preparing):
            return None
        return self.stage.tracked.prepared if isinstance(self.stage, ComparingDisks) else self.stage.prepared

    @property
    def source_resource_id(self) -> str | None:
        """The backed-up VM's id, as far as it is known."""
        return self.request.source_resource_id or (self.item.source_resource_id if self.item else None)

    @property
    def azure_has_it(self) -> bool:
        """Whether Azure has the restore, or may have it; then no single failed call ends it."""
        return isinstance(self.stage, Searching | TrackingOperation | FindingJob | TrackingJob) or self.is_after_job

    @property
    def is_after_job(self) -> bool:
        """Whether the job has ended, so that Azure Backup has nothing more to do."""
        return isinstance(self.stage, ComparingDisks | AwaitingMaintenance | FollowingUp)

    @property
    def is_taken(self) -> bool:
        """Whether Azure has taken the restore for certain."""
        return self.azure_has_it and not isinstance(self.stage, Searching)

    @property
    def waits_for_item(self) -> ItemBusy | None:
        """The busy item for which the restore waits; ``None`` if it does not wait for one."""
        return self.item_busy if self.slot.is_ready and not self.azure_has_it else None

    @property
    def awaits_decision(self) -> bool:
        """Whether an approval is needed that nobody has given or refused yet."""
        return self.approval is not None and self.approval.decision is None

    def awaits_decision_before(self, before: object) -> bool:
        """Return whether the approval that nobody has given or refused yet is the one before this; ``None``: any."""
        is_meant = self.approval is not None and (before is None or before == self.approval.before)
        return self.awaits_decision and is_meant

    @property
    def waits_for_person_until(self) -> datetime | None:
        """Until when the restore waits for a person; ``None`` if it does not wait for one."""
        since = _waits_for_person_since(self.stage)
        return None if since is None else since + self.request.approval_timeout

    @property
    def deadline(self) -> datetime:
        """When a restore that still runs is reported as ``TimedOut``; waiting for a person does not count."""
        waits = timedelta() if self.waits_for_person_until is None else self.request.approval_timeout
        return self.accepted.created + timedelta(seconds=self.limits.deadline_s) + self.clock.paused + waits

    @property
    def has_deadline(self) -> bool:
        """Whether the deadline still counts: neither the restore nor its job has ended."""
        return self.outcome is None and not self.is_after_job

    def at(self, moment: datetime | None) -> Self:
        """Return the restore with its clock moved forward to this time; it never goes back."""
        if moment is None or moment <= self.clock.now:
            return self
        return replace(self, clock=replace(self.clock, now=moment))

    def with_request(self) -> Self:
        """Return the restore with the next number for a request to an entity."""
        return replace(self, clock=replace(self.clock, requests=self.clock.requests + 1))

    def with_stage(self, stage: Stage, now: datetime) -> Self:
        """Return the restore in another stage; the time for which it waited for a person is added to its pause."""
        since, paused = _waits_for_person_since(self.stage), self.clock.paused
        if since is not None and _waits_for_person_since(stage) is None:
            paused += now - since
        return replace(self, stage=stage, clock=replace(self.clock, paused=paused))

    def with_warning(self, code: str, message: str) -> Self:
        """Return the restore with one more warning. If it has the same one, that is kept once, as not settled."""
        warning = RestoreWarning(code=code, message=message)
        if warning in self.warnings:
            return self
        others = [known for known in self.warnings if (known.code, known.message) != (code, message)]
        return replace(self, warnings=(*others, warning)[-_MAX_WARNINGS:])

    def with_settled(self, code: WarningCode, now: datetime) -> Self:
        """Return the restore whose warnings with this code are settled: what they warn of is over."""
        if all(known.code != code or known.settled_time for known in self.warnings):
            return self
        settled = [
            replace(known, settled_time=known.settled_time or now) if known.code == code else known
            for known in self.warnings
        ]
        return replace(self, warnings=tuple(settled))

    def with_free_item(self, now: datetime) -> Self:
        """Return the restore after Azure found its item free."""
        return replace(self.with_settled(WarningCode.ITEM_BUSY, now), item_busy=None)

    def with_note(self, code: WarningCode, message: str) -> Self:
        """Return the restore with one more warning. After the end it becomes a note, which the result does not have."""
        if self.outcome is None:
            return self.with_warning(code, message)
        notes = (*self.outcome.notes, RestoreWarning(code=code, message=message))
        return replace(self, outcome=replace(self.outcome, notes=notes))

    def with_swap_approval_asked(self) -> Self:
        """Return the restore, which waits from now on for the approval of its swap."""
        asked = self.swap_approval or Approval(reason=SWAP_REASON)  # a recorded restore may have none yet
        asked = replace(asked, expires=self.waits_for_person_until)
        return replace(self, approval=asked, first_approval=self.approval, swap_approval=None)

    def with_approval(self, reason: str) -> Self:
        """Return the restore, which needs an approval before it is triggered; an earlier reason for one is kept."""
        if self.approval is not None:
            return self
        return replace(self, approval=Approval(reason=reason))


def _waits_for_person_since(stage: Stage) -> datetime | None:
    asked_in = stage.before if isinstance(stage, Searching) else stage
    waits_for_person = isinstance(asked_in, AwaitingApproval | AwaitingResourceGuard | AwaitingMaintenance)
    return asked_in.since if waits_for_person else None
