"""What makes a VM of restored disks, or attaches them to one, over ARM REST: deployments, interfaces, VMs, disks.

URLs, bodies and asynchronous operations follow the REST references of Microsoft.Resources (deployments), of
Microsoft.Network and of Microsoft.Compute. Nothing here looks whether what is made exists already: its callers do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from domain.answers import Answer
from domain.azure.deployments import Deployment, MadeResource
from domain.errors import INTERNAL_ERROR, NOT_FOUND, TerminalError
from domain.follow_up.bodies import attach_body, deployment_body, interface_body, machine_body
from domain.follow_up.template import ADDRESS_TYPE, INTERFACE_TYPE, VM_TYPE

from arm.addresses import resource_path, with_query
from arm.compute import DISK_API_VERSION, VIRTUAL_MACHINE_API_VERSION, ComputeClient
from arm.reading import accepted_by, object_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from domain.answers import Accepted
    from domain.errors import Json
    from domain.follow_up.creation_calls import PutNetworkInterface, PutVirtualMachine

    from arm.blobs import BlobReader
    from arm.reply import Reply
    from arm.session import ArmSession

_DEPLOYMENT_API_VERSION: Final = "2021-04-01"
_NETWORK_API_VERSION: Final = "2024-05-01"
_API_VERSIONS: Final = {
    VM_TYPE.lower(): VIRTUAL_MACHINE_API_VERSION,
    INTERFACE_TYPE.lower(): _NETWORK_API_VERSION,
    ADDRESS_TYPE.lower(): _NETWORK_API_VERSION,
}


class NewMachineClient(ComputeClient):
    """Makes VMs of disks at one ARM endpoint. ``blobs`` reads what a job has left in its staging account."""

    def __init__(self, session: ArmSession, blobs: BlobReader | None) -> None:
        super().__init__(session)
        self._blobs = blobs

    def close(self) -> None:
        """Close every connection."""
        self._session.close()
        if self._blobs is not None:
            self._blobs.close()

    def read_blob(self, account: str, uri: str) -> bytes:
        """Return a blob of at most 1 MiB, which must be in this account: see ``arm.blobs``."""
        if self._blobs is None:
            raise TerminalError(INTERNAL_ERROR, "This app reads no blobs.")
        return self._blobs.read(account, uri)

    def get_deployment(self, group_id: str, name: str) -> Answer[Deployment | None]:
        """Return a deployment to a resource group, ``None`` if there is none of this name."""
        answer = self._find(with_query(_deployment_path(group_id, name), _DEPLOYMENT_API_VERSION))
        if answer.value is None:
            return Answer(None, answer.retry_after_s)
        return Answer(Deployment.from_api(object_of(answer.value)), answer.retry_after_s)

    def put_deployment(self, group_id: str, name: str, template: Json) -> Accepted:
        """Deploy a template without parameters; what is in the group and not in the template stays as it is."""
        path = with_query(_deployment_path(group_id, name), _DEPLOYMENT_API_VERSION)
        return accepted_by(self._session.call("PUT", path, body=deployment_body(template)), self._session.endpoint)

    def get_made_resource(self, resource_id: str) -> Answer[MadeResource | None]:
        """Return how far the making of a VM, a network interface or a public address is; ``None`` if it is missing."""
        kind = "/".join(resource_id.split("/")[6:8]).lower()
        answer = self._find(with_query(resource_path(resource_id), _API_VERSIONS[kind]))
        if answer.value is None:
            return Answer(None, answer.retry_after_s)
        return Answer(MadeResource.from_api(object_of(answer.value)), answer.retry_after_s)

    def put_network_interface(self, call: PutNetworkInterface) -> Accepted:
        """Make a network interface with one address."""
        path = with_query(resource_path(call.interface_id), _NETWORK_API_VERSION)
        return accepted_by(self._session.call("PUT", path, body=interface_body(call)), self._session.endpoint)

    def put_virtual_machine(self, call: PutVirtualMachine) -> Accepted:
        """Make a VM of disks. If there is a VM with this id already, Azure refuses, and it stays as it is."""
        path = with_query(resource_path(call.vm_id), VIRTUAL_MACHINE_API_VERSION)
        reply = self._session.call("PUT", path, body=machine_body(call), only_new=True)
        return accepted_by(reply, self._session.endpoint)

    def attach_disks(self, vm_id: str, disk_ids: Iterable[str]) -> Accepted:
        """Attach data disks to a VM, at LUNs that Azure chooses."""
        path = with_query(resource_path(vm_id, "attachDetachDataDisks"), VIRTUAL_MACHINE_API_VERSION)
        return accepted_by(self._session.call("POST", path, body=attach_body(disk_ids)), self._session.endpoint)

    def delete_disk(self, disk_id: str) -> Accepted:
        """Delete a managed disk; one that does not exist is no error."""
        path = with_query(resource_path(disk_id), DISK_API_VERSION)
        return accepted_by(self._session.call("DELETE", path), self._session.endpoint)

    def _find(self, path: str) -> Answer[Reply | None]:
        try:
            reply = self._session.call("GET", path)
        except TerminalError as error:
            if error.code != NOT_FOUND:
                raise
            return Answer(None, error.retry_after_s)
        return Answer(reply, reply.retry_after_s)


def _deployment_path(group_id: str, name: str) -> str:
    return resource_path(group_id, "providers", "Microsoft.Resources", "deployments", name)
