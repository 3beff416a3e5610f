"""The activities that make a VM of restored disks, or attach them to one: each is safe to run twice.

Nothing that exists already is changed, unless its tag says that this restore made it. A disk is deleted only if its tag
names the job of this restore, which is read just before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from activities.virtual_machines import change_accepted
from domain.answers import Answer
from domain.errors import RESTORE_REFUSED, ErrorDetail, TerminalError, TransientError
from domain.follow_up import attachment_calls, creation_calls
from domain.follow_up.attachment_calls import DiskDeletion
from domain.follow_up.calls import ChangeAccepted
from domain.follow_up.creation_calls import Deployed, FoundDeployment, FoundResource
from domain.follow_up.template import TemplateUse, check_template
from domain.sealing import sealed

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from domain.azure.disks import Disk
    from domain.errors import Json
    from domain.restore.calls import ActivityCall
    from queries.new_machine_api import NewMachineApi

_DEPLOYMENT_ACTIVE: Final = "DeploymentActive"


class NewMachineActivities:
    """Every activity of a new VM and of an attachment. ``clock`` returns aware UTC."""

    def __init__(self, api: NewMachineApi, *, clock: Callable[[], datetime]) -> None:
        self._api = api
        self._clock = clock

    def by_name(self) -> dict[str, Callable[[Json], Json]]:
        """Return the activities by name, as functions from JSON to JSON."""
        methods: dict[type[ActivityCall], Callable[[Any], Answer[Any]]] = {
            creation_calls.GetDeployment: self.get_deployment,
            creation_calls.DeployTemplate: self.deploy_template,
            creation_calls.GetNetworkInterface: self.get_network_interface,
            creation_calls.PutNetworkInterface: self.put_network_interface,
            creation_calls.PutVirtualMachine: self.put_virtual_machine,
            attachment_calls.AttachDisks: self.attach_disks,
            attachment_calls.DeleteDisk: self.delete_disk,
        }
        return {kind.name: sealed(kind, method, self._clock) for kind, method in methods.items()}

    def get_deployment(self, call: creation_calls.GetDeployment) -> Answer[FoundDeployment]:
        """Read a deployment."""
        answer = self._api.get_deployment(call.group_id, call.deployment)
        return Answer(FoundDeployment(deployment=answer.value), answer.retry_after_s)

    def deploy_template(self, call: creation_calls.DeployTemplate) -> Answer[Deployed]:
        """Deploy what is left of the template that the job wrote, once. The text itself gets into no history.

        Raises ``TemplateRefused`` for a template that is not allowed, ``RestoreRefused`` if one of its resources exists
        and was not made by this restore, and the errors of reading the blob.
        """
        use = TemplateUse.of(
            restore_id=call.restore_id,
            vm_id=call.vm_id,
            subnet_id=call.subnet_id,
            os_disk_id=call.os_disk_id,
            disk_ids=call.disk_ids,
        )
        try:
            checked = check_template(self._api.read_blob(call.account, call.template_uri), use)
            is_there = self._api.get_deployment(use.group_id, call.deployment).value is not None
            for resource_id in () if is_there else checked.resource_ids:
                self._is_made(resource_id, call.restore_id)
        except TransientError as error:
            raise _before_anything_was_sent(error) from None
        deployed = Deployed(resource_ids=checked.resource_ids)
        if is_there:
            return Answer(deployed)
        try:
            accepted = self._api.put_deployment(use.group_id, call.deployment, checked.template)
        except TerminalError as error:
            if error.details[0].code != _DEPLOYMENT_ACTIVE:
                raise
            return Answer(deployed)  # another delivery of this call has just deployed it
        return Answer(deployed, accepted.retry_after_s)

    def get_network_interface(self, call: creation_calls.GetNetworkInterface) -> Answer[FoundResource]:
        """Read a network interface."""
        answer = self._api.get_made_resource(call.interface_id)
        return Answer(FoundResource(resource=answer.value), answer.retry_after_s)

    def put_network_interface(self, call: creation_calls.PutNetworkInterface) -> Answer[ChangeAccepted]:
        """Make a network interface; one that this restore has made already is put again, which changes nothing."""
        self._is_made(call.interface_id, call.restore_id)
        return change_accepted(self._api.put_network_interface(call))

    def put_virtual_machine(self, call: creation_calls.PutVirtualMachine) -> Answer[ChangeAccepted]:
        """Make a VM, unless this restore has made it already."""
        if self._is_made(call.vm_id, call.restore_id):
            return Answer(ChangeAccepted())
        return change_accepted(self._api.put_virtual_machine(call))

    def attach_disks(self, call: attachment_calls.AttachDisks) -> Answer[ChangeAccepted]:
        """Attach data disks to a VM."""
        return change_accepted(self._api.attach_disks(call.vm_id, call.disk_ids))

    def delete_disk(self, call: attachment_calls.DeleteDisk) -> Answer[DiskDeletion]:
        """Delete a disk that the job made and that no VM has."""
        disk = self._api.get_disk(call.disk_id).value
        if disk is None:
            return Answer(DiskDeletion())
        refusal = _refusal_of_deletion(disk, call.job_id)
        if refusal is not None:
            return Answer(DiskDeletion(refusal=refusal))
        return Answer(DiskDeletion(), self._api.delete_disk(call.disk_id).retry_after_s)

    def _is_made(self, resource_id: str, restore_id: str) -> bool:
        """Return whether this restore has made the resource; raises ``TerminalError`` if somebody else has."""
        found = self._api.get_made_resource(resource_id).value
        if found is None:
            return False
        if found.restore_id != restore_id:
            message = f"{resource_id} exists already, and this restore has not made it, so it is not changed."
            detail = ErrorDetail(code=creation_calls.EXISTS_ALREADY, message=message, target=resource_id)
            raise TerminalError(RESTORE_REFUSED, message, [detail])
        return True


def _before_anything_was_sent(error: TransientError) -> TransientError:
    detail = ErrorDetail(code=creation_calls.NOTHING_SENT, message="Nothing was deployed by this attempt.")
    return TransientError(error.code, error.message, [*error.details, detail], retry_after_s=error.retry_after_s)


def _refusal_of_deletion(disk: Disk, job_id: str) -> str | None:
    if not disk.is_made_by(job_id):
        return f"Its tag RSVaultBackup does not name job {job_id}."
    if disk.attached_to is not None:
        return f"{disk.attached_to} has it."
    return None
