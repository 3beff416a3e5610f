"""The bodies of virtual machines and managed disks, as Compute writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from simulator.providers.compute.times import offset_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from simulator.scenario import Vm

VM_TYPE, DISK_TYPE = "Microsoft.Compute/virtualMachines", "Microsoft.Compute/disks"
DISK_SKU = "Premium_LRS"
_IMAGES = {
    "Windows": ("MicrosoftWindowsServer", "WindowsServer", "2022-datacenter-g2"),
    "Linux": ("Canonical", "0001-com-ubuntu-server-jammy", "22_04-lts-gen2"),
}


def disk_body(
    vm: Vm, disk_id: str, size_gb: float, created: datetime, *, lun: int | None, option: str
) -> dict[str, Any]:
    """Write a managed disk that belongs to the kind of VM given; the OS disk has no LUN."""
    hardware = vm.hardware
    body: dict[str, Any] = {
        "name": disk_id.rpartition("/")[2],
        "id": disk_id,
        "type": DISK_TYPE,
        "location": vm.location,
        "tags": {},
        "sku": {"name": DISK_SKU, "tier": "Premium"},
        "properties": {
            **({"osType": vm.os_type, "hyperVGeneration": hardware.generation} if lun is None else {}),
            "creationData": {"createOption": option},
            "diskSizeGB": int(size_gb),
            "encryption": {"type": "EncryptionAtRestWithPlatformKey"},
            "networkAccessPolicy": "AllowAll",
            "publicNetworkAccess": "Enabled",
            "timeCreated": offset_time(created),
            "provisioningState": "Succeeded",
            "diskState": "Unattached",
            "diskSizeBytes": int(size_gb) * 2**30,
            "uniqueId": str(uuid5(NAMESPACE_URL, disk_id.lower())),
        },
    }
    if hardware.zone:
        body["zones"] = [hardware.zone]
    if lun is None and hardware.security_type == "TrustedLaunch":
        body["properties"]["securityProfile"] = {"securityType": "TrustedLaunch"}
    return body


def os_disk_entry(disk: Mapping[str, Any], option: str) -> dict[str, Any]:
    """Write the OS disk in a VM's storage profile."""
    return {"osType": disk["properties"]["osType"], **_disk_entry(disk, option, "ReadWrite")}


def data_disk_entry(disk: Mapping[str, Any], lun: int, option: str, caching: str = "None") -> dict[str, Any]:
    """Write a data disk in a VM's storage profile."""
    return {"lun": lun, **_disk_entry(disk, option, caching), "toBeDetached": False}


def _disk_entry(disk: Mapping[str, Any], option: str, caching: str) -> dict[str, Any]:
    return {
        "name": disk["name"],
        "createOption": option,
        "caching": caching,
        "managedDisk": {"storageAccountType": disk["sku"]["name"], "id": disk["id"]},
        "deleteOption": "Detach",
        "diskSizeGB": disk["properties"]["diskSizeGB"],
    }


def machine_body(
    vm: Vm,
    vm_id: str,
    created: datetime,
    *,
    nic_id: str,
    os_disk: dict[str, Any],
    data_disks: list[dict[str, Any]],
) -> dict[str, Any]:
    """Write a VM like one of the scenario, with these disks."""
    hardware, name = vm.hardware, vm_id.rpartition("/")[2]
    publisher, offer, sku = _IMAGES[vm.os_type]
    properties: dict[str, Any] = {
        "hardwareProfile": {"vmSize": hardware.size},
        "provisioningState": "Succeeded",
        "vmId": str(uuid5(NAMESPACE_URL, vm_id.lower())),
        "storageProfile": {
            "imageReference": {"publisher": publisher, "offer": offer, "sku": sku, "version": "latest"},
            "osDisk": os_disk,
            "dataDisks": data_disks,
        },
        "osProfile": {"computerName": name[:15], "adminUsername": "azureuser", "secrets": []},
        "networkProfile": {"networkInterfaces": [{"id": nic_id, "properties": {"primary": True}}]},
        "timeCreated": offset_time(created),
    }
    if hardware.security_type == "TrustedLaunch":
        uefi = {"secureBootEnabled": True, "vTpmEnabled": True}
        properties["securityProfile"] = {"securityType": "TrustedLaunch", "uefiSettings": uefi}
    body: dict[str, Any] = {
        "name": name,
        "id": vm_id,
        "type": VM_TYPE,
        "location": vm.location,
        "tags": {},
        "properties": properties,
        "etag": '"1"',
    }
    if hardware.zone:
        body["zones"] = [hardware.zone]
    return body
