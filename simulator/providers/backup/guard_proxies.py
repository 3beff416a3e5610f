"""The proxy that ties a vault to its Resource Guard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call
from simulator.formats import iso_time
from simulator.providers.backup.errors import not_in_vault
from simulator.providers.backup.ids import PROTECTED_ITEMS, RESTORE_ACTION, VAULTS
from simulator.providers.backup.lookup import vault_of

if TYPE_CHECKING:
    from simulator.providers.backup.guards import ResourceGuard
    from simulator.world import World

_PROXY = "VaultProxy"
# Each operation that the guard protects, and the kind of its requests. Recorded are all but the restores: the plain one
# stands between others that end alike, so that a client must compare the whole operation.
_CRITICAL_OPERATIONS = (
    (f"{PROTECTED_ITEMS}/delete", "deleteProtectedItemRequests"),
    (f"{PROTECTED_ITEMS}/write", "updateProtectedItemRequests"),
    (f"{VAULTS}/backupPolicies/write", "updateProtectionPolicyRequests"),
    ("Microsoft.DataProtection/backupVaults/backupInstances/restore/action", "restoreBackupInstanceRequests"),
    (RESTORE_ACTION, "triggerRestoreRequests"),
    (f"{VAULTS}/backupFabrics/protectionContainers/restore/action", "restoreContainerRequests"),
    (f"{VAULTS}/backupResourceGuardProxies/delete", "deleteResourceGuardProxyRequests"),
    (f"{VAULTS}/backupSecurityPIN/action", "getBackupSecurityPINRequests"),
    (f"{VAULTS}/backupconfig/write", "disableSoftDeleteRequests"),
    (f"{PROTECTED_ITEMS}/write#stopProtectionWithRetainData", "stopProtectionWithRetainDataRequests"),
    (f"{VAULTS}/write#reduceImmutabilityState", "reduceImmutabilityStateRequests"),
    (f"{VAULTS}/registeredIdentities/delete", "deleteMABIdentityRequests"),
)


def list_resource_guard_proxies(world: World, call: Call) -> Answer:
    """Answer the proxy of the vault's Resource Guard, or that there is none."""
    guard = vault_of(world, call).guard
    return Answer(body={"value": [_proxy_body(world, guard, call.vault_path)] if guard else []})


def get_resource_guard_proxy(world: World, call: Call) -> Answer:
    """Answer the proxy by its name; there is but one."""
    guard, name = vault_of(world, call).guard, call.params["proxy"]
    if guard is None or name.lower() != _PROXY.lower():
        raise not_in_vault("ResourceGuardProxy", name)
    return Answer(body=_proxy_body(world, guard, call.vault_path))


def _proxy_body(world: World, guard: ResourceGuard, vault_path: str) -> dict[str, Any]:
    own = guard.resource_id
    return {
        "id": f"{vault_path}/backupResourceGuardProxies/{_PROXY}",
        "name": _PROXY,
        "type": f"{VAULTS}/backupResourceGuardProxies",
        "properties": {
            "resourceGuardResourceId": own,
            "resourceGuardOperationDetails": [
                {"vaultCriticalOperation": operation, "defaultResourceRequest": f"{own}/{kind}/default"}
                for operation, kind in _CRITICAL_OPERATIONS
            ],
            "lastUpdatedTime": iso_time(world.started),
        },
    }
