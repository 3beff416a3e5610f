"""Azure Backup over ARM REST: the calls that restoring an Azure VM needs, read into the domain's models.

URLs, bodies and asynchronous operations follow the REST reference of Microsoft.RecoveryServices
(recoveryservicesbackup) and recordings of the service.
"""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self, cast

from domain.answers import Answer
from domain.azure.disks import Disk
from domain.azure.jobs import Job, Operation, OperationStatus
from domain.azure.machine_sizes import SIZE_TYPE, MachineSize
from domain.azure.management_locks import ManagementLock
from domain.azure.permissions import Permission
from domain.azure.recovery_points import RecoveryPoint
from domain.azure.resource_ids import VIRTUAL_MACHINE, ResourceId
from domain.azure.validation import Validation
from domain.errors import (
    ITEM_BUSY,
    SERVICE_UNAVAILABLE,
    VALIDATION_FAILED,
    VAULT_BLOCKED,
    ErrorDetail,
    InvalidRequestError,
    Json,
    TerminalError,
    TransientError,
)
from domain.wire import as_name, as_object
from telemetry.signals import NO_TELEMETRY

from arm.addresses import (
    has_origin,
    is_results_url,
    is_usable,
    path_of,
    resource_path,
    with_query,
)
from arm.blobs import BlobReader
from arm.errors import not_accepted_error, unreadable_error
from arm.graph import query_page
from arm.joint_reading import JointReading
from arm.new_machines import NewMachineClient
from arm.reading import accepted_by, object_of, resource_of
from arm.session import ArmSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from azure.core.credentials import TokenCredential
    from domain.answers import Accepted
    from domain.azure.protected_items import ProtectedItem
    from domain.azure.resource_graph import GraphPage
    from settings import Settings
    from telemetry.signals import Telemetry

    from arm.reply import Reply

_VIRTUAL_MACHINE_API_VERSION: Final = "2024-07-01"
_DISK_API_VERSION: Final = "2024-03-02"
_VAULT_API_VERSION: Final = "2025-08-01"
_STORAGE_ACCOUNT_API_VERSION: Final = "2024-01-01"
_VIRTUAL_NETWORK_API_VERSION: Final = "2024-05-01"
_PERMISSIONS_API_VERSION: Final = "2022-04-01"
_LOCKS_API_VERSION: Final = "2020-05-01"
_SIZES_API_VERSION: Final = "2021-07-01"

_VM_ITEMS: Final = "backupManagementType eq 'AzureIaasVM' and itemType eq 'VM'"
_VM_RESTORES: Final = "operation eq 'Restore' and backupManagementType eq 'AzureIaasVM'"
_RUNNING_VM_RESTORES: Final = (
    "operation eq 'Restore' and status eq 'InProgress' and backupManagementType eq 'AzureIaasVM'"
)
_MAX_TIME: Final = datetime.max.replace(tzinfo=UTC)
_MAX_PAGES: Final = 2000
_MAX_ENTRIES: Final = 200_000
_MAX_LIST_S: Final = 120.0  # below the host's functionTimeout
_MAX_LINK_LENGTH: Final = 16_384
_ACCEPTED: Final = 202
_NO_CONTENT: Final = 204


class BackupClient(NewMachineClient):
    """Azure Backup, and with it what makes and changes VMs, at one ARM endpoint: all share one session and its waits.

    Synchronous, and safe to use from several threads.

    Every method raises ``TransientError`` for throttling, 5xx, network failures, unreadable answers (all
    ``ServiceUnavailable``) and a busy item (``ItemBusy``), with the wait that Azure asked for. It raises
    ``TerminalError`` for other failures (``AuthorizationFailed``, ``NotFound``, ``RestoreRefused``). Nothing is retried
    here. The lists are generators: they read a page when its first entry is needed.
    """

    def __init__(
        self,
        session: ArmSession,
        *,
        api_version: str,
        blobs: BlobReader | None = None,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(session, blobs)
        self._api_version = api_version
        self._timer = timer
        self._searches = JointReading[dict[str, list[Job]]]()
        self._disk_lists = JointReading[list[Disk]]()

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        credential_factory: Callable[[], TokenCredential],
        telemetry: Telemetry = NO_TELEMETRY,
    ) -> Self:
        """Return the client for the endpoint in the settings; ``credential_factory`` as for ``ArmSession``."""
        endpoint = settings.resource_manager_endpoint
        return cls(
            ArmSession(endpoint, credential_factory, telemetry=telemetry),
            api_version=settings.backup_api_version,
            blobs=BlobReader(endpoint, credential_factory, telemetry=telemetry),
        )

    def get_virtual_machine_region(self, vm_id: str) -> str:
        """Return the VM's location, such as ``westeurope``."""
        return self._get(vm_id, _VIRTUAL_MACHINE_API_VERSION, "location")["location"]

    def get_vault_region(self, vault_id: str) -> str:
        """Return the vault's location."""
        return self._get(vault_id, _VAULT_API_VERSION, "location")["location"]

    def get_vault(self, vault_id: str) -> Json:
        """Return the vault as the service sends it, with its redundancy and restore settings in ``properties``."""
        return self._get(vault_id, _VAULT_API_VERSION, "id")

    def get_storage_account(self, account_id: str) -> Json:
        """Return a storage account as the service sends it, with ``location``, ``sku.name`` and ``kind``."""
        return self._get(account_id, _STORAGE_ACCOUNT_API_VERSION, "id")

    def list_storage_accounts(self, resource_group_id: str) -> Iterator[Json]:
        """Yield the storage accounts of a resource group as the service sends them."""
        path = resource_path(resource_group_id, "providers", "Microsoft.Storage", "storageAccounts")
        for page, _ in self._pages(path, api_version=_STORAGE_ACCOUNT_API_VERSION):
            yield from page

    def get_virtual_network(self, network_id: str) -> Json:
        """Return a virtual network as the service sends it, with ``location``."""
        return self._get(network_id, _VIRTUAL_NETWORK_API_VERSION, "id")

    def list_permissions(self, scope: str) -> Iterator[Permission]:
        """Yield the permissions of the app's identity at a subscription, resource group or resource."""
        path = resource_path(scope, "providers", "Microsoft.Authorization", "permissions")
        for page, _ in self._pages(path, api_version=_PERMISSIONS_API_VERSION):
            yield from map(Permission.from_api, page)

    def list_locks(self, resource_id: str) -> Iterator[ManagementLock]:
        """Yield the management locks of a resource, of what it is in, and of what is in it."""
        path = resource_path(resource_id, "providers", "Microsoft.Authorization", "locks")
        for page, _ in self._pages(path, api_version=_LOCKS_API_VERSION):
            yield from map(ManagementLock.from_api, page)

    def list_machine_sizes(self, subscription: str, location: str) -> Iterator[MachineSize]:
        """Yield the sizes of VMs of a region, with what a subscription (``/subscriptions/...``) can have of them.

        Azure filters by the region alone, so the disks, snapshots and hosts of the list are left out here.
        """
        path = resource_path(subscription, "providers", "Microsoft.Compute", "skus")
        region = location.replace(" ", "").replace("'", "").lower()
        for page, _ in self._pages(path, f"location eq '{region}'", api_version=_SIZES_API_VERSION):
            yield from (MachineSize.from_api(entry) for entry in page if entry.get("resourceType") == SIZE_TYPE)

    def get_principal_id(self) -> str | None:
        """Return the object id of the identity that calls Azure, ``None`` if its token does not show it."""
        return self._session.principal_id()

    def list_disks(self, resource_group_id: str) -> Iterator[Disk]:
        """Yield the managed disks of a resource group.

        Threads that list the same group at one moment share a reading, which begins after each of them has asked. When
        the restores of a fleet end together, each listing for itself would use up Azure's reads, and long lists, of
        which one page is refused, would begin again and again.
        """
        yield from self._disk_lists.read(resource_group_id.casefold(), lambda: self._disks_in(resource_group_id))

    def _disks_in(self, resource_group_id: str) -> list[Disk]:
        path = resource_path(resource_group_id, "providers", "Microsoft.Compute", "disks")
        return [Disk.from_api(disk) for page, _ in self._pages(path, api_version=_DISK_API_VERSION) for disk in page]

    def list_resource_guard_proxies(self, vault_id: str) -> Iterator[Json]:
        """Yield the vault's Resource Guard proxies."""
        for page, _ in self._pages(resource_path(vault_id, "backupResourceGuardProxies")):
            yield from page

    def get_backup_status(self, vm_id: str, region: str) -> Json:
        """Return the ``BackupStatusResponse`` of a VM: the vault that protects it, and its names there."""
        try:
            subscription_id = ResourceId.parse(vm_id, VIRTUAL_MACHINE).subscription_id
        except ValueError as error:
            raise InvalidRequestError([ErrorDetail(code="InvalidValue", message=str(error))]) from None
        provider = f"/subscriptions/{subscription_id}/providers/Microsoft.RecoveryServices"
        path = resource_path(provider, "locations", region, "backupStatus")
        return object_of(self._call("POST", path, body={"resourceType": "VM", "resourceId": vm_id}))

    def get_protected_item(self, vault_id: str, container_name: str, protected_item_name: str) -> Json:
        """Return one protected item as the service sends it."""
        names = _item_names(container_name, protected_item_name)
        return resource_of(self._call("GET", resource_path(vault_id, *names)), "id")

    def list_protected_items(self, vault_id: str) -> Iterator[Json]:
        """Yield the vault's protected Azure VMs."""
        for page, _ in self._pages(resource_path(vault_id, "backupProtectedItems"), _VM_ITEMS):
            yield from (entry for entry in page if as_name(entry.get("id")))

    def list_recovery_points(self, item: ProtectedItem) -> Iterator[RecoveryPoint]:
        """Yield all recovery points of an item."""
        for page, _ in self.recovery_point_pages(item, None):
            yield from page

    def recovery_point_pages(
        self, item: ProtectedItem, link: str | None
    ) -> Iterator[tuple[list[RecoveryPoint], str | None]]:
        """Yield the pages of an item's recovery points, each with the link to the next page.

        ``link`` is where an earlier call stopped reading, or ``None`` for the first page. The list is not filtered:
        with dates in the filter, the service has been observed to leave out old points.
        """
        for page, next_link in self._pages(_point_path(item), start=link):
            yield [RecoveryPoint.from_api(body) for body in page if as_name(body.get("name"))], next_link

    def get_recovery_point(self, item: ProtectedItem, point_id: str) -> RecoveryPoint:
        """Return one recovery point by its name."""
        return RecoveryPoint.from_api(resource_of(self._call("GET", _point_path(item, point_id)), "name"))

    def trigger_restore(self, item: ProtectedItem, point_id: str, body: Json, *, client_request_id: str) -> Accepted:
        """Start a restore with ``body``. ``client_request_id`` becomes the job's ``activityId``.

        Posted exactly once. Only a 202 means that the restore was started. Raises ``TransientError`` when it
        certainly was not started (429, busy item, no connection), and ``UnknownOutcomeError`` when that is unknown:
        5xx, 408, an unreadable answer, or a connection that broke or timed out after it was established.
        """
        path = with_query(_point_path(item, point_id, "restore"), self._api_version)
        reply = self._session.call("POST", path, body=body, client_request_id=client_request_id, once=True)
        if reply.status != _ACCEPTED:
            raise not_accepted_error(reply)
        return self._accepted(reply)

    def get_operation(self, vault_id: str, operation_id: str, url: str | None) -> Answer[Operation]:
        """Poll a restore's operation at ``url``, or at the vault's URL for it when ``url`` is unusable or refused."""
        reply = self._poll(url, resource_path(vault_id, "backupOperations", operation_id))
        next_url = self._accepted(reply).url
        if (status := _status_by_code(reply)) is not None:
            return Answer(Operation(status=status, next_url=next_url), reply.retry_after_s)
        return Answer(Operation.from_api(object_of(reply), next_url=next_url), reply.retry_after_s)

    def find_restore_job(self, vault_id: str, *, activity_id: str) -> Job | None:
        """Return the restore job of the trigger with this client request id, or ``None`` when there is no such job.

        Reads the whole list: recordings show it newest first, but no documentation promises an order. Threads that
        search the same vault at one moment share a reading, which begins after each of them has asked. Of several such
        jobs, returns the one that started first.
        """
        jobs = self._searches.read(vault_id.casefold(), lambda: self._jobs_by_request(vault_id))
        found = jobs.get(activity_id.casefold(), [])
        if any(as_name(job.job_id) is None for job in found):
            raise TransientError(SERVICE_UNAVAILABLE, f"Azure lists the job of request {activity_id} without a name.")
        return min(found, key=lambda job: job.start or _MAX_TIME, default=None)

    def _jobs_by_request(self, vault_id: str) -> dict[str, list[Job]]:
        jobs = defaultdict[str, list[Job]](list)
        for job in self.list_restore_jobs(vault_id):
            if job.activity_id:
                jobs[job.activity_id.casefold()].append(job)
        return jobs

    def list_restore_jobs(self, vault_id: str) -> Iterator[Job]:
        """Yield the vault's restores of Azure VMs, without what only the single job says; ``job_id`` may be empty."""
        for page, _ in self._pages(resource_path(vault_id, "backupJobs"), _VM_RESTORES):
            yield from (Job.from_api({"name": "", **body}) for body in page)

    def list_running_jobs(self, vault_id: str) -> Answer[dict[str, str | None]]:
        """Return the ids of the vault's restore jobs that run, by the client request ids of their triggers.

        Those are in lower case. An id is ``None`` if Azure lists the job without a name. The service can ignore a
        filter, so jobs that have ended are left out here, too. Of several jobs of one trigger, the one that started
        first is returned. The answer's wait is the longest that a page asked for.
        """
        jobs: list[Job] = []
        waits_s: list[float] = []
        for page, _, asked_s in self._replies(resource_path(vault_id, "backupJobs"), _RUNNING_VM_RESTORES):
            jobs += [job for job in (Job.from_api({"name": "", **body}) for body in page) if job.status.is_running]
            waits_s += [asked_s] if asked_s is not None else []
        jobs.sort(key=lambda job: job.start or _MAX_TIME, reverse=True)
        running = {job.activity_id.lower(): as_name(job.job_id) for job in jobs if job.activity_id is not None}
        return Answer(running, max(waits_s, default=None))

    def get_job(self, vault_id: str, job_id: str) -> Answer[Job]:
        """Return one job with its extended information."""
        reply = self._call("GET", resource_path(vault_id, "backupJobs", job_id))
        body = object_of(reply)
        return Answer(Job.from_api({**body, "name": as_name(body.get("name")) or job_id}), reply.retry_after_s)

    def cancel_job(self, vault_id: str, job_id: str) -> float | None:
        """Ask the service to cancel a job; return the wait in seconds that it asks for, if any.

        Later polls of the job show whether it was cancelled. A refusal raises ``TerminalError`` ``RestoreRefused``.
        """
        return self._call("POST", resource_path(vault_id, "backupJobs", job_id, "cancel")).retry_after_s

    def trigger_validation(self, item: ProtectedItem, point_id: str, restore_request: Json) -> Accepted:
        """Start the service's validation of a restore; ``restore_request`` is the ``properties`` of the trigger.

        When the service answers with findings immediately, raises ``TerminalError`` ``ValidationFailed``, or
        ``TransientError`` ``ItemBusy`` if they only say that another operation runs on the item, or ``VaultBlocked``.
        """
        path = resource_path(item.vault_id, "backupTriggerValidateOperation")
        body: Json = {
            "id": "/".join((item.vault_id, *_point_names(item, point_id))),
            "properties": {
                "objectType": "ValidateIaasVMRestoreOperationRequest",
                "restoreRequest": restore_request,
            },
        }
        reply = self._call("POST", path, body=body)
        if reply.status != _ACCEPTED and (found := Validation.from_api(as_object(reply.parsed()))).findings:
            message = f"The service would refuse this restore: {found.findings[0].message}"
            if found.is_vault_blocked:
                raise TransientError(VAULT_BLOCKED, message, found.findings, retry_after_s=reply.retry_after_s)
            if found.is_item_busy:
                raise TransientError(ITEM_BUSY, message, found.findings, retry_after_s=reply.retry_after_s)
            raise TerminalError(VALIDATION_FAILED, message, found.findings)
        return self._accepted(reply)

    def get_validation(self, vault_id: str, operation_id: str, url: str | None) -> Answer[Validation]:
        """Poll a validation, as ``get_operation`` polls a restore's operation."""
        # An operationResults URL answers without the findings, so the vault's URL is polled instead.
        status_url = None if url is None or is_results_url(url) else url
        reply = self._poll(status_url, resource_path(vault_id, "backupValidateOperationsStatuses", operation_id))
        if reply.status == _ACCEPTED:
            return Answer(Validation(status=OperationStatus.RUNNING), reply.retry_after_s)
        return Answer(Validation.from_api(object_of(reply)), reply.retry_after_s)

    def query_resources(self, query: str, *, skip_token: str | None = None) -> Answer[GraphPage]:
        """Return one page of a query of Azure Resource Graph: the first, or the one that ``skip_token`` asks for."""
        return query_page(self._session, query, skip_token)

    def _call(self, method: str, path: str, *, body: Json | None = None) -> Reply:
        return self._session.call(method, with_query(path, self._api_version), body=body)

    def _get(self, resource_id: str, api_version: str, member: str) -> Json:
        path = with_query(resource_path(resource_id), api_version)
        return resource_of(self._session.call("GET", path), member)

    def _poll(self, url: str | None, vault_path: str) -> Reply:
        if url is not None and is_usable(url, self._session.endpoint):
            with suppress(TerminalError):  # expired, moved or forbidden: the vault has its own URL for the operation
                return self._session.call("GET", url)
        return self._call("GET", vault_path)

    def _accepted(self, reply: Reply) -> Accepted:
        return accepted_by(reply, self._session.endpoint)

    def _pages(
        self, path: str, expression: str | None = None, *, api_version: str | None = None, start: str | None = None
    ) -> Iterator[tuple[list[Json], str | None]]:
        """Yield the entries of each page and the link to the next page, beginning with the link ``start``, if given.

        Raises ``TerminalError`` when the list exceeds a limit or links to another host.
        """
        for page, link, _ in self._replies(path, expression, api_version=api_version, start=start):
            yield page, link

    def _replies(
        self, path: str, expression: str | None = None, *, api_version: str | None = None, start: str | None = None
    ) -> Iterator[tuple[list[Json], str | None, float | None]]:
        """Yield what ``_pages`` yields, each page with the wait in seconds that Azure asked for, if any."""
        first = f"{self._session.endpoint}{with_query(path, api_version or self._api_version, expression)}"
        url: str | None = start or first
        pages_read, entries, deadline = set[str](), 0, self._timer() + _MAX_LIST_S
        while url is not None:
            is_link = bool(pages_read or start)
            if is_link and (problem := self._page_problem(url, pages_read, entries, late=self._timer() > deadline)):
                message = f"Azure's list {path_of(path)} cannot be read to its end: {problem}."
                raise TerminalError(SERVICE_UNAVAILABLE, message)
            pages_read.add(url)
            reply = self._session.call("GET", url)
            body = object_of(reply)
            page = _entries(reply, body)
            entries += len(page)
            url = _next_link(reply, body)
            yield page, url, reply.retry_after_s

    def _page_problem(self, url: str, pages_read: set[str], entries: int, *, late: bool) -> str | None:
        """Return why the next page must not be read, or ``None`` when it may be."""
        problems = {
            "its next page was read already": url in pages_read,
            "its next page is on another host": not has_origin(url, self._session.endpoint),
            "the link to its next page is too long": len(url) > _MAX_LINK_LENGTH,
            f"it has more than {_MAX_PAGES} pages": len(pages_read) >= _MAX_PAGES,
            f"it has more than {_MAX_ENTRIES} entries": entries > _MAX_ENTRIES,
            f"it takes longer than {_MAX_LIST_S:.0f} s": late,
        }
        return next((problem for problem, is_found in problems.items() if is_found), None)


def _item_names(container_name: str, protected_item_name: str) -> tuple[str, ...]:
    return ("backupFabrics", "Azure", "protectionContainers", container_name, "protectedItems", protected_item_name)


def _point_names(item: ProtectedItem, *names: str) -> tuple[str, ...]:
    return (*_item_names(item.container_name, item.protected_item_name), "recoveryPoints", *names)


def _point_path(item: ProtectedItem, *names: str) -> str:
    return resource_path(item.vault_id, *_point_names(item, *names))


def _entries(reply: Reply, body: Json) -> list[Json]:
    # A missing list is not an empty one: a truncated answer must not be read as "there is no such job".
    entries = body.get("value")
    if not isinstance(entries, list):
        raise unreadable_error(reply, "a list")
    return [cast("Json", entry) for entry in cast("list[Any]", entries) if isinstance(entry, dict)]


def _next_link(reply: Reply, body: Json) -> str | None:
    link = body.get("nextLink") or None
    if link is not None and not isinstance(link, str):  # an invalid link is not the end of the list
        raise unreadable_error(reply, "a page of a list")
    return link


def _status_by_code(reply: Reply) -> OperationStatus | None:
    """Return the status of an answer without a status body: 202 is running, 204 or 200 from a results URL is done."""
    if reply.status == _ACCEPTED:
        return OperationStatus.RUNNING
    is_done = reply.status == _NO_CONTENT or is_results_url(reply.path)
    return OperationStatus.SUCCEEDED if is_done else None
