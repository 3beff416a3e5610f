"""The calls of the backup service, Microsoft.RecoveryServices."""

from __future__ import annotations

from simulator.providers.backup import (
    items,
    job_calls,
    operation_calls,
    recovery_points,
    restores,
    validation,
    vaults,
)
from simulator.providers.backup.crossregion import reads as secondary
from simulator.providers.backup.crossregion import routes as crossregion
from simulator.providers.backup.crossregion.regions import by_region
from simulator.routing import GROUP, SUBSCRIPTION, RouteTable

_VAULT = GROUP + "/providers/Microsoft.RecoveryServices/vaults/{vault}"
_ITEM = _VAULT + "/backupFabrics/{fabric}/protectionContainers/{container}/protectedItems/{item}"

ROUTES: RouteTable = (
    (
        "POST",
        SUBSCRIPTION + "/providers/Microsoft.RecoveryServices/locations/{region}/backupStatus",
        items.backup_status,
    ),
    ("GET", _VAULT, vaults.get_vault),
    ("GET", _VAULT + "/backupstorageconfig/vaultstorageconfig", vaults.get_storage_config),
    ("GET", _VAULT + "/backupResourceGuardProxies", vaults.list_resource_guard_proxies),
    ("GET", _VAULT + "/backupProtectedItems", by_region(items.list_protected_items, secondary.list_secondary_items)),
    ("GET", _ITEM, items.get_protected_item),
    (
        "GET",
        _ITEM + "/recoveryPoints",
        by_region(recovery_points.list_recovery_points, secondary.list_secondary_points),
    ),
    (
        "GET",
        _ITEM + "/recoveryPoints/{point}",
        by_region(recovery_points.get_recovery_point, secondary.get_secondary_point),
    ),
    ("POST", _ITEM + "/recoveryPoints/{point}/restore", restores.trigger_restore),
    ("GET", _ITEM + "/operationsStatus/{operation}", operation_calls.item_operation_status),
    ("GET", _ITEM + "/operationResults/{operation}", operation_calls.item_operation_result),
    ("GET", _VAULT + "/backupOperations/{operation}", operation_calls.vault_operation_status),
    ("GET", _VAULT + "/backupOperationResults/{operation}", operation_calls.vault_operation_result),
    ("POST", _VAULT + "/backupValidateOperation", validation.validate),
    ("POST", _VAULT + "/backupTriggerValidateOperation", validation.trigger_validate),
    ("GET", _VAULT + "/backupValidateOperationsStatuses/{operation}", validation.validate_status),
    ("GET", _VAULT + "/backupValidateOperationResults/{operation}", validation.validate_result),
    ("GET", _VAULT + "/backupJobs", job_calls.list_jobs),
    ("GET", _VAULT + "/backupJobs/{job}", job_calls.get_job),
    ("POST", _VAULT + "/backupJobs/{job}/cancel", job_calls.cancel_job),
    ("GET", _VAULT + "/backupJobs/{job}/operationsStatus/{operation}", job_calls.job_operation_status),
    ("GET", _VAULT + "/backupJobs/{job}/operationResults/{operation}", job_calls.job_operation_result),
    *crossregion.ROUTES,
)
