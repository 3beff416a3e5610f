"""The body of ``POST …/restore``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from domain.wire import as_object

if TYPE_CHECKING:
    from collections.abc import Sequence

    from domain.azure.protected_items import ProtectedItem
    from domain.azure.recovery_points import RecoveryPoint
    from domain.azure.virtual_machines import VirtualMachine
    from domain.errors import Json
    from domain.requests import RestoreRequest

_RETENTION: Final = "P15D"  # how long an archived point stays rehydrated; the default of az CLI


def restore_body(
    request: RestoreRequest,
    item: ProtectedItem,
    point: RecoveryPoint,
    guard_requests: Sequence[str],
    machine: VirtualMachine | None = None,
) -> Json:
    """Return ``{"properties": IaasVMRestoreRequest}`` for the chosen point.

    An archived point needs a request of the rehydrating type; for other points the rehydration fields are left out.
    ``machine`` is the VM that gets the disks, if one does: unless the request says otherwise, they are restored to its
    resource group and with the network access of its disks. Without ``zones`` the service restores to the VM's zone.
    """
    properties: Json = {
        "objectType": "IaasVMRestoreWithRehydrationRequest" if point.archived else "IaasVMRestoreRequest",
        "recoveryPointId": point.point_id,
        "recoveryType": request.recovery_type,
        "sourceResourceId": item.source_resource_id,
        "region": item.region,
        "createNewCloudService": False,
        "originalStorageAccountOption": False,
        **(_beside(machine, point) if machine is not None else {}),
        **request.passed_on,
    }
    if point.archived:
        wanted = as_object(properties.get("recoveryPointRehydrationInfo"))
        properties["recoveryPointRehydrationInfo"] = {"rehydrationRetentionDuration": _RETENTION, **wanted}
    else:
        properties.pop("recoveryPointRehydrationInfo", None)
    if point.extended_location is not None and request.is_in_place:
        properties.setdefault("extendedLocation", point.extended_location)
    if guard_requests:
        properties["resourceGuardOperationRequests"] = list(guard_requests)
    return {"properties": properties}


def _beside(machine: VirtualMachine, point: RecoveryPoint) -> Json:
    """Return the members that put restored disks where the VM can have them.

    The service needs the settings of network access for a point with private access, and refuses them for another.
    """
    group_id, _, _ = machine.vm_id.partition("/providers/")
    beside: Json = {"targetResourceGroupId": group_id, "restoreWithManagedDisks": True}
    if point.private_access:
        beside["targetDiskNetworkAccessSettings"] = {"targetDiskNetworkAccessOption": "SameAsOnSourceDisks"}
    return beside
