"""The side effects of a restore: each method is one of them and safe to run twice."""

from __future__ import annotations

import functools
import threading
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Concatenate, Final, Protocol

from domain import errors
from domain.azure import restore_constraints
from domain.azure.disks import made_by
from domain.azure.resource_ids import same_id
from domain.azure.restore_constraints import PointFacts
from domain.envelopes import seal, seal_error, stamped
from domain.errors import ErrorDetail, Json, OpenOutcomeError, RestoreError, TerminalError, TransientError
from domain.point_search import PointSearch, newest_first
from domain.protected_items import ProtectedItem
from domain.recovery_points import no_such_point
from domain.requests import RestoreRequest
from domain.restores import restore_body
from domain.times import parse_request_time
from domain.wire import as_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from domain.answers import Accepted, Answer
    from domain.azure.disks import Disk
    from domain.jobs import Job, Operation
    from domain.recovery_points import RecoveryPoint
    from domain.validation import Validation


_SLICE: Final = timedelta(minutes=1)  # of reading a list in one call: far below the host's functionTimeout
_MAX_SLICES: Final = 20
_PREPARING: Final = timedelta(minutes=3)  # after it no further call is made: each may take two minutes
_MOST_REMEMBERED: Final = 1000
_LATE: Final = timedelta(minutes=2)  # a queue's normal delay is far below; the mark of a post stands far longer


class BackupApi(Protocol):  # what each call does is said where it is made, in arm.backup
    """The calls to Azure that the activities need. All of them raise :class:`RestoreError` and nothing else."""

    def get_virtual_machine_region(self, vm_id: str) -> str: ...
    def get_backup_status(self, vm_id: str, region: str) -> Json: ...
    def get_vault_region(self, vault_id: str) -> str: ...
    def get_vault(self, vault_id: str) -> Json: ...
    def get_storage_account(self, account_id: str) -> Json: ...
    def list_resource_guard_proxies(self, vault_id: str) -> Iterable[Json]: ...
    def get_protected_item(self, vault_id: str, container_name: str, protected_item_name: str) -> Json: ...
    def list_protected_items(self, vault_id: str) -> Iterable[Json]: ...
    def list_recovery_points(self, item: ProtectedItem) -> Iterable[RecoveryPoint]: ...
    def recovery_point_pages(
        self, item: ProtectedItem, link: str | None
    ) -> Iterable[tuple[list[RecoveryPoint], str | None]]: ...
    def get_recovery_point(self, item: ProtectedItem, point_id: str) -> RecoveryPoint: ...
    def trigger_validation(self, item: ProtectedItem, point_id: str, restore_request: Json) -> Accepted: ...
    def get_validation(self, vault_id: str, operation_id: str, url: str | None) -> Answer[Validation]: ...
    def trigger_restore(
        self, item: ProtectedItem, point_id: str, body: Json, *, client_request_id: str
    ) -> Accepted: ...
    def find_restore_job(self, vault_id: str, *, activity_id: str) -> Job | None: ...
    def get_operation(self, vault_id: str, operation_id: str, url: str | None) -> Answer[Operation]: ...
    def get_job(self, vault_id: str, job_id: str) -> Answer[Job]: ...
    def cancel_job(self, vault_id: str, job_id: str) -> float | None: ...
    def list_disks(self, resource_group_id: str) -> Iterable[Disk]: ...


def _sealed[**P](
    method: Callable[Concatenate[RestoreActivities, P], Any],
) -> Callable[Concatenate[RestoreActivities, P], Json]:
    """Turn what a method returns or raises into an envelope; exceptions nobody named stay exceptions."""

    @functools.wraps(method)
    def call(self: RestoreActivities, *args: P.args, **kwargs: P.kwargs) -> Json:
        try:
            envelope = seal(method(self, *args, **kwargs))
        except RestoreError as error:
            envelope = seal_error(error)
        return stamped(envelope, activity=method.__name__, at=self.now())

    return call


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _always_first(_data: Json) -> bool:
    return True


class RestoreActivities:
    """Every activity of a restore over one client. Inputs and outputs are plain JSON: they stay in history."""

    def __init__(self, api: BackupApi, *, clock: Callable[[], datetime] = _utc_now) -> None:
        self._api = api
        self._clock = clock
        self._delivered: deque[tuple[str, int]] = deque(maxlen=_MOST_REMEMBERED)
        self._delivered_lock = threading.Lock()

    def now(self) -> datetime:
        """Return the time of the activities' clock, aware UTC."""
        return self._clock()

    @_sealed
    def resolve_item(self, data: Json) -> Json:
        """Find the protected item of a request: ``{"sourceResourceId"?, "vaultId"?, "containerName"?, …}``."""
        return self._find_item(data).to_json()

    @_sealed
    def prepare_restore(self, data: Json) -> Json:
        """Choose the point, check the restore, start the service's check: ``{"item", "request", "now", "progress"}``.

        Returns what :meth:`domain.point_search.PointSearch.outcome` does, and ``{"guardRequests", "warnings",
        "validation", "retryAfterS"}`` unless that holds an ``error``. ``guardRequests`` are the Resource Guard requests
        that the trigger must carry; ``validation`` is ``{"operationId", "url"}`` of the service's check, ``None`` where
        it is not wanted or not to be had.
        A list that takes long is read in slices: then the answer is ``{"progress"}``, with which to call again.
        """
        item, request, began = ProtectedItem.from_json(data["item"]), RestoreRequest(data["request"]), self._clock()
        search = PointSearch.begin(request, parse_request_time(data["now"]))
        progress: Json = data["progress"] or {"link": None, "slices": 0, "isRead": False}
        if data["progress"]:
            search.resume_from(progress["search"])
        if not progress["isRead"]:
            link = self._search(search, item, request, progress["link"], until=began + _SLICE)
            if self._clock() > began + _SLICE:
                slices = progress["slices"] + 1
                if slices > _MAX_SLICES and link is not None:
                    message = (
                        f"Reading the recovery points took more than {_MAX_SLICES} minutes ({search.choice.seen} were "
                        "read). Name the point in the request (recoveryPoint.id), or try again later."
                    )
                    raise TerminalError(errors.SERVICE_UNAVAILABLE, message)
                read: Json = {"link": link, "slices": slices, "isRead": link is None, "search": search.to_json()}
                return {"progress": read}
        chosen = search.outcome()
        if "error" in chosen:
            return chosen
        return chosen | self._check_and_validate(request, item, chosen, until=began + _PREPARING)

    def _search(
        self, search: PointSearch, item: ProtectedItem, request: RestoreRequest, link: str | None, *, until: datetime
    ) -> str | None:
        """Read the list on from ``link``; returns where to go on if it was not read to its end."""
        point_id = None if request.is_plan else request.criteria.point_id
        if point_id is not None:
            search.consider([self._point(item, point_id)])
            return None
        for points, following in self._api.recovery_point_pages(item, link):
            search.consider(points)
            if following is not None and self._clock() > until:
                return following
        return None

    def _check_and_validate(
        self, request: RestoreRequest, item: ProtectedItem, chosen: Json, *, until: datetime
    ) -> Json:
        facts = PointFacts.from_json(chosen["facts"])
        warnings = self._check(request, item, facts, until=until)
        self._still_in_time(until)
        guard_requests = self._guard_requests(request, item, warnings)
        self._still_in_time(until)
        checked: Json = {"guardRequests": guard_requests, "warnings": warnings, "validation": None, "retryAfterS": None}
        if not request.validate_first:
            return checked
        body = restore_body(
            request,
            item,
            point_id=chosen["point"]["id"],
            archived=chosen["archived"],
            edge_zone=facts.extended_location,
            guard_requests=guard_requests,
        )
        try:
            accepted = self._api.trigger_validation(item, chosen["point"]["id"], body["properties"])
        except TerminalError as error:
            if error.code != errors.NOT_FOUND:
                raise
            why = error.message  # the vault or its region lacks the call
        else:
            if accepted.operation_id is not None:
                validation = {"operationId": accepted.operation_id, "url": accepted.url}
                return {**checked, "validation": validation, "retryAfterS": accepted.retry_after_s}
            why = "The answer names no operation to follow."
        message = f"The service could not validate the restore before it was triggered: {why}"
        warnings.append({"code": "ValidationUnavailable", "message": message})
        return checked

    def _still_in_time(self, until: datetime) -> None:
        """Raise ``TransientError`` where Azure's answers have taken so long that one more may be cut by the host."""
        if self._clock() > until:
            raise TransientError(errors.SERVICE_UNAVAILABLE, "Azure answers so slowly that the checks are begun anew.")

    def _check(self, request: RestoreRequest, item: ProtectedItem, facts: PointFacts, *, until: datetime) -> list[Json]:
        """Check the restore against the service's rules and return the warnings; reads only what a rule asks for.

        Every broken rule is named in one ``ValidationFailed``.
        """
        broken = [
            *restore_constraints.target_violations(request, item),
            *restore_constraints.point_violations(request, facts, item.source_resource_id),
        ]
        warnings = restore_constraints.restore_warnings(request, facts)
        if restore_constraints.needs_item(request):
            body = self._api.get_protected_item(item.vault_id, item.container_name, item.protected_item_name)
            broken += restore_constraints.item_violations(request, body)
        self._still_in_time(until)
        if restore_constraints.needs_vault(request, item.source_resource_id):
            broken += restore_constraints.vault_violations(
                request, self._api.get_vault(item.vault_id), item.source_resource_id
            )
        self._still_in_time(until)
        if request.validate_first:
            broken += self._staging_violations(request, item, warnings)
        if broken:
            message = f"The restore would break a rule of Azure Backup: {broken[0].target}: {broken[0].message}."
            raise TerminalError(errors.VALIDATION_FAILED, message, broken)
        return warnings

    @_sealed
    def get_validation(self, data: Json) -> Json:
        """Look at a validation: ``{"vaultId", "operationId", "url"}`` to ``{"validation", "retryAfterS"}``."""
        answer = self._api.get_validation(data["vaultId"], data["operationId"], data["url"])
        return {"validation": answer.value.to_json(), "retryAfterS": answer.retry_after_s}

    @_sealed
    def start_restore(self, data: Json, mark: Callable[[Json], bool] = _always_first) -> Json:
        """Trigger the restore once: ``{"item", "pointId", "body", "clientRequestId", "attempt", "askedTime"}``.

        Looks for a job that carries the id before it posts, so a second run of this activity adopts what the first
        one started. ``mark`` is called just before the post: it notes durably that this attempt begins, and is false
        when a delivery of it has begun before, here or in a process that is gone.
        Returns ``{"jobId"}`` of an adopted job, or ``{"operationId", "url", "retryAfterS"}``.
        A 403 of a guarded vault that may be its Resource Guard's is ``ResourceGuardClosed``.
        An answer that leaves it open whether the service took the restore comes back as ``OpenOutcomeError``; so does
        a delivery that is surely or probably not the first of its attempt, whose job may not be listed yet.
        """
        item = ProtectedItem.from_json(data["item"])
        again = self._was_delivered(data)
        try:
            job = self._find_job(item.vault_id, data)
        except RestoreError as error:
            if not again and not self._is_late(data):
                raise
            raise _late(f"Its job cannot be looked for: {error.message}", _asked_s(error)) from error
        if job is not None:
            return {"jobId": job.job_id}
        if again or not mark(data) or self._is_late(data):  # asked once more: looking may have taken long
            raise _late("Its job is not listed.", None)
        try:
            accepted = self._api.trigger_restore(
                item, data["pointId"], data["body"], client_request_id=data["clientRequestId"]
            )
        except TerminalError as error:
            is_guarded = bool(data["body"]["properties"].get("resourceGuardOperationRequests"))
            if not (is_guarded and restore_constraints.is_resource_guard_refusal(error)):
                raise
            code = errors.RESOURCE_GUARD_CLOSED
            raise TerminalError(code, error.message, error.details, retry_after_s=error.retry_after_s) from error
        return _accepted(accepted)

    # Durable delivers at least once: at once in this process or another (the mark tells), or after minutes.

    def _was_delivered(self, data: Json) -> bool:
        delivery = (data["clientRequestId"], data["attempt"])
        with self._delivered_lock:
            again = delivery in self._delivered
            self._delivered.append(delivery)
        return again

    def _is_late(self, data: Json) -> bool:
        return self._clock() - parse_request_time(data["askedTime"]) > _LATE

    @_sealed
    def find_job(self, data: Json) -> Json:
        """Look for the restore's job: ``{"vaultId", "clientRequestId"}`` to ``{"jobId"}``, null if there is none."""
        job = self._find_job(data["vaultId"], data)
        return {"jobId": None if job is None else job.job_id}

    @_sealed
    def get_operation(self, data: Json) -> Json:
        """Look at the operation: ``{"vaultId", "operationId", "url"}`` to ``{"operation", "retryAfterS"}``."""
        answer = self._api.get_operation(data["vaultId"], data["operationId"], data["url"])
        return {"operation": answer.value.to_json(), "retryAfterS": answer.retry_after_s}

    @_sealed
    def get_job(self, data: Json) -> Json:
        """Look at the job: ``{"vaultId", "jobId"}`` to ``{"job", "retryAfterS"}``."""
        answer = self._api.get_job(data["vaultId"], data["jobId"])
        return {"job": answer.value.to_json(), "retryAfterS": answer.retry_after_s}

    @_sealed
    def cancel_job(self, data: Json) -> Json:
        """Ask Azure to cancel the job: ``{"vaultId", "jobId"}`` to ``{"retryAfterS"}``; the job tells the rest."""
        return {"retryAfterS": self._api.cancel_job(data["vaultId"], data["jobId"])}

    @_sealed
    def list_restored_disks(self, data: Json) -> Json:
        """List the managed disks that a restore made, of all in its target group.

        ``{"targetResourceGroupId", "sourceResourceId", "since", "until"}`` to ``{"disks": [{"name", "isOsDisk"}]}``.
        """
        made = made_by(
            self._api.list_disks(data["targetResourceGroupId"]),
            vm_name=data["sourceResourceId"].rpartition("/")[2],
            since=parse_request_time(data["since"]),
            until=parse_request_time(data["until"]),
        )
        return {"disks": [{"name": disk.name, "isOsDisk": disk.is_os_disk} for disk in made]}

    def recovery_points(self, source_resource_id: str) -> list[Json]:
        """Return a VM's points, newest first, each with whether it can be restored and why not.

        Not an activity: it answers ``GET /api/recovery-points`` directly. Raises :class:`RestoreError`.
        """
        item = self._find_item({"sourceResourceId": source_resource_id})
        points = sorted(self._api.list_recovery_points(item), key=newest_first)
        verdicts = [(point, point.unusable_because(rehydrates=False)) for point in points]
        return [{**point.to_json(), "restorable": not reasons, "reasons": reasons} for point, reasons in verdicts]

    def _point(self, item: ProtectedItem, point_id: str) -> RecoveryPoint:
        try:
            return self._api.get_recovery_point(item, point_id)
        except TerminalError as error:
            if error.code != errors.NOT_FOUND:
                raise
            raise no_such_point(point_id, error.details) from error

    def _staging_violations(
        self, request: RestoreRequest, item: ProtectedItem, warnings: list[Json]
    ) -> list[ErrorDetail]:
        account_id = restore_constraints.staging_account_id(request)
        direct = "storageAccountId" in request.body
        target = "storageAccountId" if direct else "identityBasedRestoreDetails.targetStorageAccountId"
        try:
            account = self._api.get_storage_account(account_id)
        except TerminalError as error:
            if error.code == errors.NOT_FOUND:
                return [ErrorDetail(code=error.code, message=f"{account_id} does not exist", target=target)]
            message = f"The staging account was not checked: {error.message}"
            warnings.append({"code": "StagingAccountNotChecked", "message": message})
            return []
        return list(restore_constraints.staging_violations(account, region=item.region, target=target))

    def _guard_requests(self, request: RestoreRequest, item: ProtectedItem, warnings: list[Json]) -> list[str]:
        if request.body.get("resourceGuardOperationRequests"):
            return []
        try:
            return restore_constraints.resource_guard_requests(self._api.list_resource_guard_proxies(item.vault_id))
        except TerminalError as error:
            message = f"Whether a Resource Guard protects the vault could not be read: {error.message}"
            warnings.append({"code": "ResourceGuardNotRead", "message": message})
            return []

    def _find_job(self, vault_id: str, data: Json) -> Job | None:
        return self._api.find_restore_job(vault_id, activity_id=data["clientRequestId"])

    def _find_item(self, wanted: Json) -> ProtectedItem:
        source: str | None = wanted.get("sourceResourceId")
        vault_id: str | None = wanted.get("vaultId")
        if vault_id is None:
            return self._find_by_vm(wanted["sourceResourceId"])
        region = self._api.get_vault_region(vault_id)
        if "containerName" not in wanted:
            return self._find_in_vault(wanted["sourceResourceId"], vault_id, region)
        body = self._api.get_protected_item(vault_id, wanted["containerName"], wanted["protectedItemName"])
        item = ProtectedItem.from_api(body, vault_id=vault_id, region=region)
        if source is not None and not same_id(source, item.source_resource_id):
            message = (
                f"{item.protected_item_name} protects {item.source_resource_id}, not {source}. "
                "Correct sourceResourceId, or containerName and protectedItemName."
            )
            raise TerminalError(errors.NOT_PROTECTED, message)
        return item

    def _find_by_vm(self, vm_id: str) -> ProtectedItem:
        try:
            region = self._api.get_virtual_machine_region(vm_id)
        except TerminalError as error:
            if error.code != errors.NOT_FOUND:
                raise
            message = (
                f"{vm_id} does not exist (any more), so its vault cannot be looked up. Give vaultId to restore it."
            )
            raise TerminalError(errors.NOT_FOUND, message, error.details) from error
        status = self._api.get_backup_status(vm_id, region)
        return ProtectedItem.from_backup_status(status, source_resource_id=vm_id, region=region)

    def _find_in_vault(self, vm_id: str, vault_id: str, region: str) -> ProtectedItem:
        for body in self._api.list_protected_items(vault_id):
            properties = as_object(body.get("properties"))
            names = (properties.get("sourceResourceId"), properties.get("virtualMachineId"))
            if any(isinstance(name, str) and same_id(name, vm_id) for name in names):
                return ProtectedItem.from_api(body, vault_id=vault_id, region=region)
        message = f"{vm_id} has no backup in {vault_id}. Check both ids, or leave vaultId out to have it looked up."
        raise TerminalError(errors.NOT_PROTECTED, message)


def _accepted(accepted: Accepted) -> Json:
    return {"operationId": accepted.operation_id, "url": accepted.url, "retryAfterS": accepted.retry_after_s}


def _late(why: str, retry_after_s: float | None) -> OpenOutcomeError:
    message = f"This is not the first delivery of the request to post, so that an earlier one may have posted. {why}"
    return OpenOutcomeError(errors.LATE_DELIVERY, message, retry_after_s=retry_after_s)


def _asked_s(error: RestoreError) -> float | None:
    return getattr(error, "retry_after_s", None)
