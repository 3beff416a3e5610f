"""The activities of a restore that call Azure: one method, one side effect, safe to run twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from activities.preparation import RestorePreparation
from domain import errors
from domain.answers import Answer
from domain.azure import restore_constraints as constraints
from domain.azure.disks import restored_disks
from domain.azure.protected_items import soft_deleted_error
from domain.errors import RestoreError, TerminalError, TransientError, UnknownOutcomeError
from domain.restore import answers, calls
from domain.restore.answers import AcceptedOperation, Done, FoundJob, RestoredDisks, Started
from domain.sealing import sealed
from domain.watch.calls import ListRunningJobs, RunningJobs
from queries.item_lookup import find_item
from queries.shared_reads import SharedReads
from queries.soft_deletion import explained_error, find_soft_deletion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from domain.answers import Accepted
    from domain.azure.disks import Disk
    from domain.azure.jobs import Job, Operation
    from domain.azure.protected_items import ProtectedItem
    from domain.azure.validation import Validation
    from domain.errors import Json
    from queries.backup_api import BackupApi

_CLOCKS_DIFFER_BY: Final = timedelta(seconds=10)  # Azure's and ours
_LATE: Final = timedelta(minutes=2)  # far longer than a queue's normal delay, far shorter than a claim is held

type ClaimPost = Callable[[str, int], bool]
"""Claims an attempt to post by its client request id and number; returns false if another delivery has claimed it."""


def utc_now() -> datetime:
    """Return the time, aware UTC."""
    return datetime.now(UTC)


class RestoreActivities:
    """Every activity of a restore that calls Azure. ``clock`` returns aware UTC.

    ``vault_ids`` are the vaults in which the item of a VM is searched for if Azure does not show the VM to the app.
    """

    def __init__(
        self, api: BackupApi, *, vault_ids: Sequence[str] = (), clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._api = api
        self._vault_ids = vault_ids
        self._clock = clock
        self._reads = SharedReads(api, clock)

    def by_name(self) -> dict[str, Callable[[Json], Json]]:
        """Return the activities by name, as functions from JSON to JSON; all but ``start_restore``."""
        methods: dict[type[calls.ActivityCall], Callable[[Any], Answer[Any]]] = {
            calls.ResolveItem: self.resolve_item,
            calls.PrepareRestore: self.prepare_restore,
            calls.GetValidation: self.get_validation,
            calls.FindJob: self.find_job,
            calls.GetOperation: self.get_operation,
            calls.GetJob: self.get_job,
            calls.CancelJob: self.cancel_job,
            calls.ListRestoredDisks: self.list_restored_disks,
            ListRunningJobs: self.list_running_jobs,
        }
        return {kind.name: sealed(kind, method, self._clock) for kind, method in methods.items()}

    def start_restore_with(self, claim: ClaimPost) -> Callable[[Json], Json]:
        """Return the activity ``start_restore``, which calls ``claim`` before it posts."""
        return sealed(calls.StartRestore, lambda call: self.start_restore(call, claim), self._clock)

    def resolve_item(self, call: calls.ResolveItem) -> Answer[ProtectedItem]:
        """Return the protected item of a request."""
        return Answer(find_item(self._api, call, self._vault_ids))

    def prepare_restore(self, call: calls.PrepareRestore) -> Answer[answers.Prepared]:
        """Choose the point, check the restore, and start the service's own validation."""
        return RestorePreparation(self._api, self._reads, call, self._clock).prepare()

    def get_validation(self, call: calls.GetValidation) -> Answer[Validation]:
        """Poll the service's own validation. If it refuses a soft-deleted item, the first finding says so."""
        answer = self._api.get_validation(call.vault_id, call.operation_id, call.url)
        found = answer.value
        if call.item is None or not found.refuses_restore or found.is_item_busy or found.is_vault_blocked:
            return answer
        deletion = find_soft_deletion(self._api, call.item)
        if deletion is None:
            return answer
        first = soft_deleted_error(call.item, deletion, self._clock()).details
        return Answer(replace(found, findings=(*first, *found.findings)), answer.retry_after_s)

    def start_restore(self, call: calls.StartRestore, claim: ClaimPost) -> Answer[Started]:
        """Trigger the restore once.

        Searches for a job that has the client request id before it posts, so a second run of this activity adopts the
        job that the first one started. The attempt is claimed durably just before the post.

        Raises ``ResourceGuardClosed`` for a 403 that may come from the vault's Resource Guard. Raises
        ``UnknownOutcomeError`` when it is unknown whether the service accepted the restore. It does so too, without a
        post, for a delivery that is not the first of its attempt, or so late that it may not be the first: the job of
        an earlier delivery may not be listed yet.
        """
        item = call.item
        try:
            job = self._find_earlier_job(call)
        except RestoreError as error:
            # Claim the attempt here too: "not posted" is only true if no other delivery of this attempt posts.
            if _claimed(call, claim) and not self._is_late(call):
                raise
            raise _late_delivery_error(
                f"Its job cannot be searched for: {error.message}", error.retry_after_s
            ) from error
        if job is not None:
            return Answer(Started(job_id=job.job_id))
        # Lateness is checked here because the search may have taken long.
        if not _claimed(call, claim) or self._is_late(call):
            raise _late_delivery_error("Its job is not listed.", None)
        try:
            accepted = self._api.trigger_restore(
                item, call.point_id, call.body, client_request_id=call.client_request_id
            )
        except TerminalError as error:
            is_guarded = bool(call.body["properties"].get("resourceGuardOperationRequests"))
            if not (is_guarded and constraints.is_resource_guard_refusal(error)):
                explained = explained_error(self._api, item, error, self._clock())
                if explained is error:
                    raise
                raise explained from error
            code = errors.RESOURCE_GUARD_CLOSED
            raise TerminalError(code, error.message, error.details, retry_after_s=error.retry_after_s) from error
        return Answer(Started(operation=_operation(accepted)), accepted.retry_after_s)

    def find_job(self, call: calls.FindJob) -> Answer[FoundJob]:
        """Search for the restore's job in the vault's list."""
        job = self._find_job(call.vault_id, call.client_request_id)
        return Answer(FoundJob(job_id=None if job is None else job.job_id))

    def get_operation(self, call: calls.GetOperation) -> Answer[Operation]:
        """Poll the restore's operation."""
        return self._api.get_operation(call.vault_id, call.operation_id, call.url)

    def get_job(self, call: calls.GetJob) -> Answer[Job]:
        """Poll the restore's job; while it runs, the answer has only its state and progress."""
        answer = self._api.get_job(call.vault_id, call.job_id)
        return Answer(answer.value.brief, answer.retry_after_s)

    def cancel_job(self, call: calls.CancelJob) -> Answer[Done]:
        """Ask the service to cancel the job; later polls of the job show whether it was cancelled."""
        return Answer(Done(), self._api.cancel_job(call.vault_id, call.job_id))

    def list_restored_disks(self, call: calls.ListRestoredDisks) -> Answer[RestoredDisks]:
        """Return the managed disks in the resource group that a restore created.

        A list that was read for another restore serves this one, too, if its reading began after this restore's job
        had ended and it has disks with the job's tag: then all disks of the job are in it.
        """
        group_id = call.target_resource_group_id
        ended = min(call.until, self._clock())  # Azure may name any time, even the last there is
        known = self._reads.known_disks(group_id, begun_after=ended + _CLOCKS_DIFFER_BY)
        disks = _disks_of(call, known)
        if not any(disk.made_by_job for disk in disks):
            disks = _disks_of(call, self._reads.list_disks(group_id))
        return Answer(RestoredDisks(disks=tuple(disks)))

    def list_running_jobs(self, call: ListRunningJobs) -> Answer[RunningJobs]:
        """List the vault's running restores; return only what is new for the watched ones."""
        listed = self._reads.list_running_jobs(call.vault_id)
        job_ids = {key: listed.value.get(key.lower()) for key in call.unknown}
        found = {key: job_id for key, job_id in job_ids.items() if job_id is not None}
        missing = tuple(key for key in call.known if key.lower() not in listed.value)
        return Answer(RunningJobs(found=found, missing=missing), listed.retry_after_s)

    def _find_earlier_job(self, call: calls.StartRestore) -> Job | None:
        """Return the job of an earlier post. After a look through all jobs, only one that runs can have come since."""
        vault_id, key = call.item.vault_id, call.client_request_id
        if call.looked and key.lower() not in self._reads.running_jobs(vault_id):
            return None
        return self._find_job(vault_id, key)

    def _find_job(self, vault_id: str, client_request_id: str) -> Job | None:
        return self._api.find_restore_job(vault_id, activity_id=client_request_id)

    def _is_late(self, call: calls.StartRestore) -> bool:
        return call.asked is not None and self._clock() - call.asked > _LATE


def _claimed(call: calls.StartRestore, claim: ClaimPost) -> bool:
    """Return whether this delivery has claimed the attempt.

    Where the task hub cannot say, another delivery may have claimed it: the restore then claims the attempt itself
    before it tries again, as for an activity that broke.
    """
    try:
        return claim(call.client_request_id, call.attempt)
    except TransientError as error:
        raise TransientError(errors.INTERNAL_ERROR, error.message) from error


def _disks_of(call: calls.ListRestoredDisks, disks: Iterable[Disk]) -> list[Disk]:
    vm_ids = filter(None, (call.source_resource_id, call.target_virtual_machine_id))
    return restored_disks(
        disks,
        job_id=call.job_id,
        vm_names=[vm_id.rstrip("/").rpartition("/")[2] for vm_id in vm_ids],
        since=call.since,
        until=call.until,
    )


def _operation(accepted: Accepted) -> AcceptedOperation | None:
    if accepted.operation_id is None:
        return None
    return AcceptedOperation(operation_id=accepted.operation_id, url=accepted.url)


def _late_delivery_error(reason: str, retry_after_s: float | None) -> UnknownOutcomeError:
    message = f"This may not be the first delivery of the post, so an earlier one may have posted. {reason}"
    return UnknownOutcomeError(errors.LATE_DELIVERY, message, retry_after_s=retry_after_s)
