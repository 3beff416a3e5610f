"""The calls of the backup service, Microsoft.RecoveryServices."""

from __future__ import annotations

from simulator.providers.backup import (
    containers,
    guard_proxies,
    items,
    job_calls,
    operation_calls,
    policies,
    recovery_points,
    restores,
    validation,
    vault_configs,
    vaults,
)
from simulator.providers.backup.crossregion import reads as secondary
from simulator.providers.backup.crossregion import routes as crossregion
from simulator.providers.backup.crossregion.regions import by_region
from simulator.routing import GROUP, SUBSCRIPTION, RouteTable

_VAULTS = "/providers/Microsoft.RecoveryServices/vaults"
_VAULT = GROUP + _VAULTS + "/{vault}"
_CONTAINER = _VAULT + "/backupFabrics/{fabric}/protectionContainers/{container}"
_ITEM = _CONTAINER + "/protectedItems/{item}"

ROUTES: RouteTable = (
    (
        "POST",
        SUBSCRIPTION + "/providers/Microsoft.RecoveryServices/locations/{region}/backupStatus",
        items.backup_status,
    ),
    ("GET", SUBSCRIPTION + _VAULTS, vaults.list_vaults),
    ("GET", GROUP + _VAULTS, vaults.list_vaults_of_group),
    ("GET", _VAULT, vaults.get_vault),
    ("GET", _VAULT + "/backupstorageconfig/vaultstorageconfig", vault_configs.get_storage_config),
    ("GET", _VAULT + "/backupconfig/vaultconfig", vault_configs.get_vault_config),
    ("GET", _VAULT + "/backupEncryptionConfigs/backupResourceEncryptionConfig", vault_configs.get_encryption_config),
    ("GET", _VAULT + "/backupPolicies", policies.list_policies),
    ("GET", _VAULT + "/backupPolicies/{policy}", policies.get_policy),
    ("GET", _VAULT + "/backupResourceGuardProxies", guard_proxies.list_resource_guard_proxies),
    ("GET", _VAULT + "/backupResourceGuardProxies/{proxy}", guard_proxies.get_resource_guard_proxy),
    ("GET", _VAULT + "/backupProtectionContainers", containers.list_containers),
    ("GET", _CONTAINER, containers.get_container),
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
