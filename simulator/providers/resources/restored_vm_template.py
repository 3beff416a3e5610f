"""The template by which a virtual machine can be made from the disks that a restore job has left.

No recording shows its text. The parameters are those of a deployment of 2020, the rest is a guess.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_TEXTS = (
    "virtualMachineName",
    "virtualNetwork",
    "virtualNetworkResourceGroup",
    "subnet",
    "osDiskName",
    "networkInterfacePrefixName",
    "publicIpAddressName",
)
_SCHEMA = "https://schema.management.azure.com/schemas/2015-01-01/deploymentTemplate.json#"
_NETWORK_VERSION, _COMPUTE_VERSION = "2023-09-01", "2023-09-01"


def restored_vm_template(
    *,
    location: str,
    vm_size: str,
    os_type: str,
    disks_group: str,
    os_disk: str,
    data_disks: Sequence[tuple[int, str]] = (),
    zone: str | None = None,
) -> dict[str, Any]:
    """Write the template of a VM with restored disks, which lie in the resource group ``disks_group``.

    ``data_disks`` has the LUN and the name of each. All parameters are names; ``osDiskName`` is ``os_disk`` unless
    given, the others must be given.
    """
    parameters: dict[str, dict[str, str]] = {name: {"type": "string"} for name in _TEXTS}
    parameters["osDiskName"]["defaultValue"] = os_disk
    zones = {"zones": [zone]} if zone else {}
    return {
        "$schema": _SCHEMA,
        "contentVersion": "1.0.0.0",
        "parameters": parameters,
        "variables": {
            "networkInterfaceName": (
                "[concat(parameters('networkInterfacePrefixName'), parameters('virtualMachineName'))]"
            ),
            "subnetId": (
                "[concat(resourceId(parameters('virtualNetworkResourceGroup'), 'Microsoft.Network/virtualNetworks', "
                "parameters('virtualNetwork')), '/subnets/', parameters('subnet'))]"
            ),
        },
        "resources": [
            _public_address(location) | zones,
            _interface(location),
            _machine(location, vm_size, os_type, disks_group, data_disks) | zones,
        ],
    }


def _public_address(location: str) -> dict[str, Any]:
    return {
        "type": "Microsoft.Network/publicIPAddresses",
        "apiVersion": _NETWORK_VERSION,
        "name": "[parameters('publicIpAddressName')]",
        "location": location,
        "sku": {"name": "Standard"},
        "properties": {"publicIPAllocationMethod": "Static"},
    }


def _interface(location: str) -> dict[str, Any]:
    address_id = "[resourceId('Microsoft.Network/publicIPAddresses', parameters('publicIpAddressName'))]"
    return {
        "type": "Microsoft.Network/networkInterfaces",
        "apiVersion": _NETWORK_VERSION,
        "name": "[variables('networkInterfaceName')]",
        "location": location,
        "dependsOn": ["[concat('Microsoft.Network/publicIPAddresses/', parameters('publicIpAddressName'))]"],
        "properties": {
            "ipConfigurations": [
                {
                    "name": "ipconfig1",
                    "properties": {
                        "privateIPAllocationMethod": "Dynamic",
                        "publicIPAddress": {"id": address_id},
                        "subnet": {"id": "[variables('subnetId')]"},
                    },
                }
            ]
        },
    }


def _machine(
    location: str, vm_size: str, os_type: str, disks_group: str, data_disks: Sequence[tuple[int, str]]
) -> dict[str, Any]:
    interface_id = "[resourceId('Microsoft.Network/networkInterfaces', variables('networkInterfaceName'))]"
    return {
        "type": "Microsoft.Compute/virtualMachines",
        "apiVersion": _COMPUTE_VERSION,
        "name": "[parameters('virtualMachineName')]",
        "location": location,
        "dependsOn": ["[concat('Microsoft.Network/networkInterfaces/', variables('networkInterfaceName'))]"],
        "properties": {
            "hardwareProfile": {"vmSize": vm_size},
            "storageProfile": {
                "osDisk": {
                    "name": "[parameters('osDiskName')]",
                    "osType": os_type,
                    "createOption": "Attach",
                    "managedDisk": {"id": _disk_id(disks_group, "parameters('osDiskName')")},
                },
                "dataDisks": [
                    {
                        "lun": lun,
                        "name": name,
                        "createOption": "Attach",
                        "managedDisk": {"id": _disk_id(disks_group, f"'{name}'")},
                    }
                    for lun, name in data_disks
                ],
            },
            "networkProfile": {"networkInterfaces": [{"id": interface_id}]},
        },
    }


def _disk_id(group: str, name: str) -> str:
    return f"[resourceId('{group}', 'Microsoft.Compute/disks', {name})]"
