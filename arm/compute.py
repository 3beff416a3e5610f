"""Azure Compute over ARM REST: the calls that put restored disks into a VM.

URLs, bodies and asynchronous operations follow the REST reference of Microsoft.Compute. The changes of a VM may be
repeated: a deallocation of a deallocated VM, a start of a running one and the same disks again change nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from domain.answers import Answer
from domain.azure.disks import Disk
from domain.azure.virtual_machines import VirtualMachine
from domain.errors import AUTHORIZATION_FAILED, NOT_FOUND, SERVICE_UNAVAILABLE, RestoreError, TerminalError
from domain.follow_up.calls import ChangeStatus
from domain.wire import as_object, as_text

from arm.addresses import is_usable, resource_path, with_query
from arm.errors import operation_error, unreadable_error
from arm.reading import accepted_by, object_of, resource_of

if TYPE_CHECKING:
    from domain.answers import Accepted
    from domain.azure.virtual_machines import AttachedDisk
    from domain.errors import Json
    from domain.follow_up.calls import UpdateDisks

    from arm.reply import Reply
    from arm.session import ArmSession

VIRTUAL_MACHINE_API_VERSION: Final = "2024-07-01"
"""VMs have an etag, and their update ``If-Match``, since 2023-09-01 (azure-rest-api-specs#26368)."""
DISK_API_VERSION: Final = "2024-03-02"
_TAGS_API_VERSION: Final = "2021-04-01"
_EXPAND_VIEW: Final = "&$expand=instanceView"
_RESULT_URL: Final = "monitor=true"
"""The ``Location`` of an operation answers by status code; its ``Azure-AsyncOperation`` has a body with a status."""
_ACCEPTED: Final = 202
_NO_CONTENT: Final = 204
_SUCCEEDED: Final = "succeeded"
_FAILURES: Final = {"failed": "OperationFailed", "canceled": "OperationCanceled", "cancelled": "OperationCanceled"}


class ComputeClient:
    """Azure Compute at one ARM endpoint. Synchronous, and safe to use from several threads.

    Every method raises the errors that ``arm.errors`` names: ``TransientError`` ``MachineBusy`` while something else
    changes the VM, ``ServiceUnavailable`` for throttling, 5xx, network failures and unreadable answers, each with the
    wait that Azure asked for; ``TerminalError`` for other failures. Nothing is retried here.
    """

    def __init__(self, session: ArmSession) -> None:
        self._session = session

    def get_virtual_machine(self, vm_id: str) -> Answer[VirtualMachine]:
        """Return a VM with its instance view."""
        reply = self._session.call("GET", with_query(resource_path(vm_id), VIRTUAL_MACHINE_API_VERSION) + _EXPAND_VIEW)
        body = object_of(reply)
        try:
            machine = VirtualMachine.from_api(body)
        except ValueError:
            raise unreadable_error(reply, "a virtual machine") from None
        return Answer(machine, reply.retry_after_s)

    def deallocate_virtual_machine(self, vm_id: str) -> Accepted:
        """Stop a VM and release its hardware."""
        return self._change("POST", resource_path(vm_id, "deallocate"))

    def start_virtual_machine(self, vm_id: str) -> Accepted:
        """Start a VM."""
        return self._change("POST", resource_path(vm_id, "start"))

    def update_disks(self, update: UpdateDisks) -> Accepted:
        """Give a VM the disks that the call names, in one request; a data disk that it does not name is detached."""
        profile: Json = {"dataDisks": [_data_disk(disk, update) for disk in update.data_disks]}
        if update.os_disk is not None:
            kind = {} if update.os_type is None else {"osType": update.os_type}
            profile["osDisk"] = {"createOption": update.os_create_option, **kind, **_attached(update.os_disk)}
        body: Json = {"properties": {"storageProfile": profile}}
        return self._change("PATCH", resource_path(update.vm_id), body=body, if_match=update.etag)

    def get_compute_operation(self, url: str) -> Answer[ChangeStatus]:
        """Poll an operation.

        ``NotFound`` and ``AuthorizationFailed`` say nothing about it: Azure forgets operations after some time, and
        shows them only to whoever may read operations in the VM's resource group. Then the VM itself must be asked.
        """
        if not is_usable(url, self._session.endpoint):
            raise TerminalError(SERVICE_UNAVAILABLE, "The address of an operation of Azure is not one of its endpoint.")
        try:
            reply = self._session.call("GET", url)
        except TerminalError as error:
            if _RESULT_URL not in url or error.code in {NOT_FOUND, AUTHORIZATION_FAILED}:
                raise
            return Answer(ChangeStatus(is_running=False, error=_own_error(error)), error.retry_after_s)
        return Answer(_status(reply, has_body=_RESULT_URL not in url), reply.retry_after_s)

    def get_disk(self, disk_id: str) -> Answer[Disk | None]:
        """Return a managed disk, ``None`` if it does not exist."""
        try:
            reply = self._session.call("GET", with_query(resource_path(disk_id), DISK_API_VERSION))
        except TerminalError as error:
            if error.code != NOT_FOUND:
                raise
            return Answer(None, error.retry_after_s)
        return Answer(Disk.from_api(resource_of(reply, "id")), reply.retry_after_s)

    def merge_tags(self, resource_id: str, tags: dict[str, str]) -> float | None:
        """Add tags to a resource, whose other tags stay; return the wait in seconds that Azure asks for, if any.

        Nothing is read afterwards, so an answer that cannot be Azure's, such as a proxy's page, is an error.
        """
        path = with_query(
            resource_path(resource_id, "providers", "Microsoft.Resources", "tags", "default"), _TAGS_API_VERSION
        )
        body: Json = {"operation": "Merge", "properties": {"tags": tags}}
        reply = self._session.call("PATCH", path, body=body)
        if reply.status != _ACCEPTED:
            object_of(reply)
        return reply.retry_after_s

    def _change(self, method: str, path: str, *, body: Json | None = None, if_match: str | None = None) -> Accepted:
        path = with_query(path, VIRTUAL_MACHINE_API_VERSION)
        reply = self._session.call(method, path, body=body, if_match=if_match)
        return accepted_by(reply, self._session.endpoint)


def _attached(disk: AttachedDisk) -> Json:
    return {"name": disk.name, "managedDisk": {"id": disk.disk_id}, **disk.options}


def _data_disk(disk: AttachedDisk, update: UpdateDisks) -> Json:
    option = update.data_create_options.get(disk.disk_id.lower(), "Attach")
    return {"lun": disk.lun, "createOption": option, **_attached(disk)}


def _own_error(error: RestoreError) -> Json:
    """Return the service's own error, with which a failed operation answers at its ``Location``."""
    first = error.details[0]
    return TerminalError(first.code, first.message, error.details).to_json()


def _status(reply: Reply, *, has_body: bool) -> ChangeStatus:
    """Return the status; every word but those for the end means that the operation runs, as ARM defines it."""
    if reply.status in {_ACCEPTED, _NO_CONTENT}:
        return ChangeStatus(is_running=reply.status == _ACCEPTED)
    word = as_text(as_object(reply.parsed()).get("status"))
    if word is None:
        if has_body:
            raise unreadable_error(reply, "an operation with a status")
        return ChangeStatus(is_running=False)
    failure = _FAILURES.get(word.lower())
    if failure is not None:
        return ChangeStatus(is_running=False, error=operation_error(reply, failure))
    return ChangeStatus(is_running=word.lower() != _SUCCEEDED)
