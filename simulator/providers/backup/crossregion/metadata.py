"""The XML about a recovery point that an access token carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.providers.backup.points import Point
    from simulator.scenario import Vm

_NOTHING = ' i:nil="true" />'
_ARRAYS = "http://schemas.microsoft.com/2003/10/Serialization/Arrays"


def metadata_text(vm: Vm, point: Point) -> str:
    """Write what the service says about a point in ``tokenExtendedInformation``, in the members' recorded order."""
    members = {
        "MetadataVersion": "V2015_09",
        "ContainerType": None,
        "CreatedWithPolicyType": "V1",
        "ExtendedLocationName": None,
        "ExtendedLocationType": None,
        "IsBlockBlobEnabled": "true",
        "IsManagedVirtualMachine": str(point.managed).lower(),
        "IsPrivateAccessEnabledOnAnyDisk": str(point.private_access == "Enabled").lower(),
        "OriginalSAOption": "false",
        "OsType": vm.os_type,
        "ReadMetadaFromConfigBlob": None,
        "RecoveryPointConsistencyType": point.consistency,
        "RpDiskDetails": None,
        "SecurityType": None,
        "SourceIaaSVMRPKeyAndSecret": None,
        "SourceIaaSVMStorageType": "PremiumVMOnPremiumStorage",
        "VMSizeDescription": vm.hardware.size,
    }
    inner = "".join(
        f"<{name}{_NOTHING}" if value is None else f"<{name}>{value}</{name}>" for name, value in members.items()
    )
    return (
        '<IaaSVMRecoveryPointMetadataBase xmlns:i="http://www.w3.org/2001/XMLSchema-instance" '
        'i:type="IaaSVMRecoveryPointMetadata_V2015_09" xmlns="http://windowscloudbackup.com/CloudCommon/V2011_09">'
        f'{inner}<Zones xmlns:d2p1="{_ARRAYS}"{_NOTHING}</IaaSVMRecoveryPointMetadataBase>'
    )
