"""The bodies of the calls that make a VM of restored disks or attach them: for Azure, and for a plan to show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from domain.azure.deployments import RESTORE_TAG

if TYPE_CHECKING:
    from collections.abc import Iterable

    from domain.errors import Json
    from domain.follow_up.creation_calls import PutNetworkInterface, PutVirtualMachine

_TRUSTED_LAUNCH: Final = "TrustedLaunch"
_ATTACH: Final = "Attach"


def deployment_body(template: Json | str) -> Json:
    """Return a deployment of a template without parameters; what is not in the template stays as it is."""
    return {"properties": {"mode": "Incremental", "template": template, "parameters": {}}}


def interface_body(call: PutNetworkInterface) -> Json:
    """Return a network interface with one address."""
    address: Json = {"privateIPAllocationMethod": "Dynamic"}
    if call.private_ip_address is not None:
        address = {"privateIPAllocationMethod": "Static", "privateIPAddress": call.private_ip_address}
    properties: Json = {
        "ipConfigurations": [
            {"name": "ipconfig1", "properties": {"primary": True, "subnet": {"id": call.subnet_id}, **address}}
        ]
    }
    if call.network_security_group_id is not None:
        properties["networkSecurityGroup"] = {"id": call.network_security_group_id}
    return {
        "location": call.location,
        "tags": {**call.tags, RESTORE_TAG: call.restore_id},
        "properties": properties,
    }


def attach_body(disk_ids: Iterable[str]) -> Json:
    """Return an attachment of disks at LUNs that Azure chooses."""
    return {"dataDisksToAttach": [{"diskId": disk_id} for disk_id in disk_ids]}


def machine_body(call: PutVirtualMachine) -> Json:
    """Return a VM whose disks exist already and are attached unchanged."""
    properties: Json = {
        "hardwareProfile": {"vmSize": call.size},
        "storageProfile": {
            "osDisk": {"osType": call.os_type, "createOption": _ATTACH, "managedDisk": {"id": call.os_disk_id}},
            "dataDisks": [
                {"lun": place.lun, "createOption": _ATTACH, "managedDisk": {"id": place.disk_id}}
                for place in call.data_disks
            ],
        },
        "networkProfile": {"networkInterfaces": [{"id": call.interface_id, "properties": {"primary": True}}]},
        "diagnosticsProfile": {"bootDiagnostics": {"enabled": True}},
    }
    if call.security_type is not None:
        # Without these settings Azure starts a Trusted Launch VM with neither secure boot nor vTPM.
        uefi = {"uefiSettings": {"secureBootEnabled": True, "vTpmEnabled": True}}
        is_trusted = call.security_type == _TRUSTED_LAUNCH
        properties["securityProfile"] = {"securityType": call.security_type, **(uefi if is_trusted else {})}
    if call.license_type is not None:
        properties["licenseType"] = call.license_type
    if call.availability_set_id is not None:
        properties["availabilitySet"] = {"id": call.availability_set_id}
    body: Json = {
        "location": call.location,
        "tags": {**call.tags, RESTORE_TAG: call.restore_id},
        "properties": properties,
    }
    if call.zone is not None:
        body["zones"] = [call.zone]
    if call.user_assigned_identity_ids:
        assigned: Json = {identity_id: {} for identity_id in call.user_assigned_identity_ids}
        body["identity"] = {"type": "UserAssigned", "userAssignedIdentities": assigned}
    return body
