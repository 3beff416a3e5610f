"""Azure Backup over ARM REST: the calls that a restore of an Azure VM needs, read into the domain's models.

Addresses, bodies and asynchronous rules are those of Microsoft.RecoveryServices (recoveryservicesbackup) as its
REST reference has them and as recordings of the service show them.
"""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self, cast

from domain.answers import Accepted, Answer
from domain.azure.disks import Disk
from domain.azure.resource_ids import VIRTUAL_MACHINE, ResourceId
from domain.errors import (
    SERVICE_UNAVAILABLE,
    VALIDATION_FAILED,
    ErrorDetail,
    InvalidRequestError,
    Json,
    TerminalError,
    TransientError,
)
from domain.jobs import Job, Operation, OperationStatus
from domain.recovery_points import RecoveryPoint
from domain.validation import Validation
from domain.wire import as_name, as_object

from arm.addresses import (
    has_origin,
    is_results_url,
    is_usable,
    operation_id_of,
    path_of,
    resource_path,
    with_query,
    without_signature,
)
from arm.errors import not_accepted, unreadable
from arm.session import ArmSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from azure.core.credentials import TokenCredential
    from domain.protected_items import ProtectedItem
    from settings import Settings

    from arm.reply import Reply

VIRTUAL_MACHINE_API_VERSION: Final = "2024-07-01"
DISK_API_VERSION: Final = "2024-03-02"
VAULT_API_VERSION: Final = "2025-08-01"
STORAGE_ACCOUNT_API_VERSION: Final = "2024-01-01"

_VM_ITEMS: Final = "backupManagementType eq 'AzureIaasVM' and itemType eq 'VM'"
_VM_RESTORES: Final = "operation eq 'Restore' and backupManagementType eq 'AzureIaasVM'"
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
_MOST_PAGES: Final = 2000
_MOST_ENTRIES: Final = 200_000
_LONGEST_LIST_S: Final = 120.0  # below the host's functionTimeout
_LONGEST_LINK: Final = 16_384
_ACCEPTED: Final = 202
_NO_CONTENT: Final = 204


class BackupClient:
    """Azure Backup of one ARM endpoint. Synchronous, and safe to use from several threads.

    Every method raises ``TransientError`` for what may pass (throttling, 5xx, the network, an answer that cannot be
    read), with the wait that Azure asked for, and ``TerminalError`` for what does not (``AuthorizationFailed``,
    ``NotFound``, ``RestoreRefused``). Nothing is retried here.
    """

    def __init__(self, session: ArmSession, *, api_version: str, timer: Callable[[], float] = time.monotonic) -> None:
        self._session = session
        self._api_version = api_version
        self._timer = timer

    @classmethod
    def from_settings(cls, settings: Settings, credential_factory: Callable[[], TokenCredential]) -> Self:
        """Return the client of the settings' endpoint; ``credential_factory`` as on ``ArmSession``."""
        session = ArmSession(settings.resource_manager_endpoint, credential_factory)
        return cls(session, api_version=settings.backup_api_version)

    def close(self) -> None:
        """Close every connection."""
        self._session.close()

    def get_virtual_machine_region(self, vm_id: str) -> str:
        """Return the VM's location, such as ``westeurope``."""
        return self._location(with_query(resource_path(vm_id), VIRTUAL_MACHINE_API_VERSION))

    def get_vault_region(self, vault_id: str) -> str:
        """Return the vault's location."""
        return self._location(with_query(resource_path(vault_id), VAULT_API_VERSION))

    def get_vault(self, vault_id: str) -> Json:
        """Return the vault as the service sends it: its redundancy and restore settings are among its properties."""
        return _having("id", self._session.call("GET", with_query(resource_path(vault_id), VAULT_API_VERSION)))

    def get_storage_account(self, account_id: str) -> Json:
        """Return a storage account: ``location``, ``sku.name`` and ``kind`` among others."""
        path = with_query(resource_path(account_id), STORAGE_ACCOUNT_API_VERSION)
        return _having("id", self._session.call("GET", path))

    def list_disks(self, resource_group_id: str) -> Iterator[Disk]:
        """Yield the managed disks of a resource group, page by page as they are asked for."""
        path = resource_path(resource_group_id, "providers", "Microsoft.Compute", "disks")
        for page in self._pages(path, api_version=DISK_API_VERSION):
            yield from map(Disk.from_api, page)

    def list_resource_guard_proxies(self, vault_id: str) -> Iterator[Json]:
        """Yield the vault's Resource Guard proxies, page by page as they are asked for."""
        for page in self._pages(resource_path(vault_id, "backupResourceGuardProxies")):
            yield from page

    def get_backup_status(self, vm_id: str, region: str) -> Json:
        """Return the ``BackupStatusResponse`` of a VM: which vault protects it, under which names."""
        try:
            subscription_id = ResourceId.parse(vm_id, VIRTUAL_MACHINE).subscription_id
        except ValueError as error:
            raise InvalidRequestError([ErrorDetail(code="InvalidValue", message=str(error))]) from None
        provider = f"/subscriptions/{subscription_id}/providers/Microsoft.RecoveryServices"
        path = resource_path(provider, "locations", region, "backupStatus")
        return _object(self._call("POST", path, body={"resourceType": "VM", "resourceId": vm_id}))

    def get_protected_item(self, vault_id: str, container_name: str, protected_item_name: str) -> Json:
        """Return one protected item as the service sends it."""
        names = _item_names(container_name, protected_item_name)
        return _having("id", self._call("GET", resource_path(vault_id, *names)))

    def list_protected_items(self, vault_id: str) -> Iterator[Json]:
        """Yield the vault's protected Azure VMs, page by page as they are asked for."""
        for page in self._pages(resource_path(vault_id, "backupProtectedItems"), _VM_ITEMS):
            yield from (entry for entry in page if as_name(entry.get("id")))

    def list_recovery_points(self, item: ProtectedItem) -> Iterator[RecoveryPoint]:
        """Yield all recovery points of an item, page by page as they are asked for."""
        for page, _ in self.recovery_point_pages(item, None):
            yield from page

    def recovery_point_pages(
        self, item: ProtectedItem, link: str | None
    ) -> Iterator[tuple[list[RecoveryPoint], str | None]]:
        """Yield an item's recovery points, page by page as they are asked for, each with the next page's link.

        ``link`` is where an earlier reading stopped, ``None`` for the first page. Without a filter: with dates in it,
        the service has been seen to leave out old points.
        """
        for page, following in self._linked_pages(_point_path(item), start=link):
            yield [RecoveryPoint.from_api(body) for body in page if as_name(body.get("name"))], following

    def get_recovery_point(self, item: ProtectedItem, point_id: str) -> RecoveryPoint:
        """Return one recovery point by its name."""
        reply = self._call("GET", _point_path(item, point_id))
        return RecoveryPoint.from_api(_having("name", reply))

    def trigger_restore(self, item: ProtectedItem, point_id: str, body: Json, *, client_request_id: str) -> Accepted:
        """Start a restore; ``body`` is the whole JSON, ``client_request_id`` becomes the job's ``activityId``.

        Posted exactly once. ``OpenOutcomeError``: the restore may or may not have been started (5xx, 408, a
        connection lost or timed out after it stood, an answer that cannot be read). ``TransientError``: it surely
        was not (429, no connection). Only a 202 means that it was.
        """
        path = with_query(_point_path(item, point_id, "restore"), self._api_version)
        reply = self._session.call("POST", path, body=body, client_request_id=client_request_id, once=True)
        if reply.status != _ACCEPTED:
            raise not_accepted(reply)
        return self._accepted(reply)

    def get_operation(self, vault_id: str, operation_id: str, url: str | None) -> Answer[Operation]:
        """Look at a restore's operation: at ``url`` as given, else or if that is refused, at the vault's address."""
        reply = self._look(url, resource_path(vault_id, "backupOperations", operation_id))
        next_url = self._accepted(reply).url
        if (status := _status_by_code(reply)) is not None:
            return Answer(Operation(status=status, next_url=next_url), reply.retry_after_s)
        return Answer(Operation.from_api(_object(reply), next_url=next_url), reply.retry_after_s)

    def find_restore_job(self, vault_id: str, *, activity_id: str) -> Job | None:
        """Return the restore job that a trigger with this client request id made, or ``None`` where there is none.

        Reads the list to its last page: it was recorded newest first, but nothing promises that. Of several jobs the
        one that started first is the answer.
        """
        found: list[Job] = []
        for page in self._pages(resource_path(vault_id, "backupJobs"), _VM_RESTORES):
            jobs = [Job.from_api({"name": "", **body}) for body in page]
            found += [job for job in jobs if (job.activity_id or "").casefold() == activity_id.casefold()]
        if any(as_name(job.job_id) is None for job in found):
            raise TransientError(SERVICE_UNAVAILABLE, f"Azure lists the job of request {activity_id} without a name.")
        return min(found, key=lambda job: (job.start is None, job.start or _LONG_AGO), default=None)

    def get_job(self, vault_id: str, job_id: str) -> Answer[Job]:
        """Return one job with its extended information."""
        reply = self._call("GET", resource_path(vault_id, "backupJobs", job_id))
        body = _object(reply)
        return Answer(Job.from_api({**body, "name": as_name(body.get("name")) or job_id}), reply.retry_after_s)

    def cancel_job(self, vault_id: str, job_id: str) -> float | None:
        """Ask the service to cancel a job, and return the wait in seconds that it asked for.

        Whether it does shows on the job. A refusal is ``RestoreRefused``.
        """
        return self._call("POST", resource_path(vault_id, "backupJobs", job_id, "cancel")).retry_after_s

    def trigger_validation(self, item: ProtectedItem, point_id: str, restore_request: Json) -> Accepted:
        """Ask whether a restore would work; ``restore_request`` is the trigger's ``properties``.

        A service that answers at once with findings raises ``TerminalError`` ``ValidationFailed``.
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
        if reply.status != _ACCEPTED and (findings := Validation.from_api(as_object(reply.parsed())).findings):
            message = f"The service would not do this restore: {findings[0].message}"
            raise TerminalError(VALIDATION_FAILED, message, findings)
        return self._accepted(reply)

    def get_validation(self, vault_id: str, operation_id: str, url: str | None) -> Answer[Validation]:
        """Look at a validation, as ``get_operation`` looks at a restore's operation."""
        # A results address answers without the findings: then only the vault's address is worth asking.
        status_url = None if url is None or is_results_url(url) else url
        reply = self._look(status_url, resource_path(vault_id, "backupValidateOperationsStatuses", operation_id))
        if reply.status == _ACCEPTED:
            return Answer(Validation(status=OperationStatus.RUNNING), reply.retry_after_s)
        return Answer(Validation.from_api(_object(reply)), reply.retry_after_s)

    def _call(self, method: str, path: str, *, body: Json | None = None) -> Reply:
        return self._session.call(method, with_query(path, self._api_version), body=body)

    def _location(self, path: str) -> str:
        return _having("location", self._session.call("GET", path))["location"]

    def _look(self, url: str | None, vault_path: str) -> Reply:
        if url is not None and is_usable(url, self._session.endpoint):
            with suppress(TerminalError):  # forgotten, moved or not for us: the vault has an address of its own
                return self._session.call("GET", url)
        return self._call("GET", vault_path)

    def _accepted(self, reply: Reply) -> Accepted:
        for header in ("Azure-AsyncOperation", "Location"):
            url = without_signature(reply.headers.get(header, "").partition(",")[0].strip())  # of two, the first
            operation_id = operation_id_of(url) if url else None
            if operation_id is not None:
                usable = url if is_usable(url, self._session.endpoint) else None
                return Accepted(operation_id=operation_id, url=usable, retry_after_s=reply.retry_after_s)
        return Accepted(operation_id=None, url=None, retry_after_s=reply.retry_after_s)

    def _pages(
        self, path: str, expression: str | None = None, *, api_version: str | None = None
    ) -> Iterator[list[Json]]:
        for page, _ in self._linked_pages(path, expression, api_version=api_version):
            yield page

    def _linked_pages(
        self, path: str, expression: str | None = None, *, api_version: str | None = None, start: str | None = None
    ) -> Iterator[tuple[list[Json], str | None]]:
        """Yield the entries of each page and the address of the next one, from the address ``start`` on.

        ``TerminalError`` for a list without an end, or that leads elsewhere.
        """
        first = f"{self._session.endpoint}{with_query(path, api_version or self._api_version, expression)}"
        url: str | None = start or first
        seen, entries, ends = set[str](), 0, self._timer() + _LONGEST_LIST_S
        while url is not None:
            is_next = bool(seen or start)
            if is_next and (why := self._no_page(url, seen, entries, late=self._timer() > ends)):
                message = f"Azure's list {path_of(path)} cannot be read to its end: {why}."
                raise TerminalError(SERVICE_UNAVAILABLE, message)
            seen.add(url)
            reply = self._session.call("GET", url)
            body = _object(reply)
            page = _entries(reply, body)
            entries += len(page)
            url = _next_link(reply, body)
            yield page, url

    def _no_page(self, url: str, seen: set[str], entries: int, *, late: bool) -> str | None:
        """Say why this next page is not asked for."""
        reasons = {
            "its next page was read already": url in seen,
            "its next page is on another host": not has_origin(url, self._session.endpoint),
            "the address of its next page is too long": len(url) > _LONGEST_LINK,
            f"it has more than {_MOST_PAGES} pages": len(seen) >= _MOST_PAGES,
            f"it has more than {_MOST_ENTRIES} entries": entries > _MOST_ENTRIES,
            f"it takes longer than {_LONGEST_LIST_S:.0f} s": late,
        }
        return next((why for why, holds in reasons.items() if holds), None)


def _item_names(container_name: str, protected_item_name: str) -> tuple[str, ...]:
    return ("backupFabrics", "Azure", "protectionContainers", container_name, "protectedItems", protected_item_name)


def _point_names(item: ProtectedItem, *names: str) -> tuple[str, ...]:
    return (*_item_names(item.container_name, item.protected_item_name), "recoveryPoints", *names)


def _point_path(item: ProtectedItem, *names: str) -> str:
    return resource_path(item.vault_id, *_point_names(item, *names))


def _object(reply: Reply) -> Json:
    body = reply.parsed()
    if not isinstance(body, dict):
        raise unreadable(reply, "a JSON object")
    return cast("Json", body)


def _having(member: str, reply: Reply) -> Json:
    body = _object(reply)
    if as_name(body.get(member)) is None:
        raise unreadable(reply, f"a resource with {member}")
    return body


def _entries(reply: Reply, body: Json) -> list[Json]:
    # A list that is not there is not an empty one: "no such job" must not be read out of half an answer.
    entries = body.get("value")
    if not isinstance(entries, list):
        raise unreadable(reply, "a list")
    return [cast("Json", entry) for entry in cast("list[Any]", entries) if isinstance(entry, dict)]


def _next_link(reply: Reply, body: Json) -> str | None:
    # Nor is a list over because its next page cannot be told.
    link = body.get("nextLink") or None
    if link is not None and not isinstance(link, str):
        raise unreadable(reply, "a page of a list")
    return link


def _status_by_code(reply: Reply) -> OperationStatus | None:
    """Read the status of an answer without a status body: 202 runs on, 204 (and 200 of a results address) is done."""
    if reply.status == _ACCEPTED:
        return OperationStatus.RUNNING
    done = reply.status == _NO_CONTENT or is_results_url(reply.path)
    return OperationStatus.SUCCEEDED if done else None
