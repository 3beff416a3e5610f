"""Restore constraints: what Azure Backup allows for a given item, recovery point, vault and staging account.

What depends on the request alone is checked when the request comes in (``domain.requests``). Source: Microsoft's
documentation of the restore options, and the checks of az CLI 2.91.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from domain.azure.resource_ids import same_id, same_region
from domain.errors import AUTHORIZATION_FAILED, ErrorDetail, Json
from domain.reading import MISSING_FIELD, NOT_ALLOWED
from domain.request_schema import ALTERNATE_LOCATION, RESTORE_DISKS, TARGETS
from domain.warning_codes import WarningCode
from domain.wire import as_list, as_name, as_object, as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from domain.azure.protected_items import ProtectedItem
    from domain.azure.recovery_points import RecoveryPoint
    from domain.errors import RestoreError
    from domain.requests import RestoreRequest

GUARDED_OPERATION: Final = (
    "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems/recoveryPoints/restore/action"
)
_HTTP_FORBIDDEN: Final = 403
_PROVIDER: Final = re.compile(r"microsoft\.[a-z]+/")


def staging_account_id(request: RestoreRequest) -> str:
    """Return the id of the staging account, which a request names in one of two members."""
    direct: str | None = request.body.get("storageAccountId")
    return direct or request.body["identityBasedRestoreDetails"]["targetStorageAccountId"]


def crosses_subscriptions(request: RestoreRequest, source_id: str) -> bool:
    """Return whether a target is in another subscription than the source VM."""
    source = _subscription(source_id)
    return any(_subscription(request.body[name]) != source for name in TARGETS if name in request.body)


def _subscription(resource_id: str) -> str:
    return resource_id.split("/")[2].casefold()


def needs_item(request: RestoreRequest) -> bool:
    """Return whether a constraint of this restore depends on the protected item, which must then be read."""
    return request.recovery_type != RESTORE_DISKS or "restoreDiskLunList" in request.body


def needs_vault(request: RestoreRequest, source_id: str) -> bool:
    """Return whether a constraint of this restore depends on the vault's settings, which must then be read."""
    return "zones" in request.body or crosses_subscriptions(request, source_id)


def point_violations(request: RestoreRequest, point: RecoveryPoint, source_id: str) -> Iterable[ErrorDetail]:
    """Yield an error for each constraint of the recovery point that the request violates."""
    if request.is_in_place and point.encrypted:
        message = "the disks of an encrypted VM cannot be replaced in place; restore them with RestoreDisks"
        yield _violation("recoveryType", message)
    if request.is_in_place and not point.managed:
        yield _violation("recoveryType", "unmanaged disks cannot be replaced in place; restore them with RestoreDisks")
    if "zones" in request.body:
        yield from _zone_violations(point)
    if request.body.get("restoreWithManagedDisks") is True and not point.managed and point.snapshot_only:
        message = (
            "the recovery point is only a snapshot; unmanaged disks can become managed ones only from the vault tier"
        )
        yield _violation("restoreWithManagedDisks", message)
    if crosses_subscriptions(request, source_id):
        yield from _cross_subscription_violations(request, point)
    if "diskEncryptionSetId" in request.body and not point.managed_and_unencrypted:
        yield _violation("diskEncryptionSetId", "only managed, unencrypted disks can get a disk encryption set")
    yield from _network_access_violations(request, point)


def _network_access_violations(request: RestoreRequest, point: RecoveryPoint) -> Iterable[ErrorDetail]:
    """Yield an error if the request lacks the settings of network access that the point needs, or has needless ones.

    A point that does not say whether its disks have private access allows both.
    """
    member = "targetDiskNetworkAccessSettings"
    if member not in request.body:
        if point.private_access and request.then_swap_disks is None:  # a swap keeps the access of the VM's disks
            message = (
                "is needed, because disks of the recovery point have private access: targetDiskNetworkAccessOption is "
                "SameAsOnSourceDisks, EnablePrivateAccessForAllDisks (together with targetDiskAccessId) or "
                "EnablePublicAccessForAllDisks"
            )
            yield ErrorDetail(code=MISSING_FIELD, message=message, target=member)
    elif not point.managed:
        yield _violation(member, "the recovery point has unmanaged disks, which have no such settings; leave it out")
    elif point.private_access is False:
        yield _violation(member, "the recovery point has no disk with private access; leave it out")


def _zone_violations(point: RecoveryPoint) -> Iterable[ErrorDetail]:
    if not point.managed_and_unencrypted:
        yield _violation("zones", "only managed, unencrypted disks can be restored to a zone of your choice")
    if "HardenedRP" not in point.tiers and point.tiers_known:
        yield _violation("zones", "the recovery point is not in the vault tier; choose one that is, or leave zones out")
    elif {"HardenedRP", "ArchivedRP"} <= set(point.tiers):
        message = "the recovery point was rehydrated from the archive; choose one that was not, or leave zones out"
        yield _violation("zones", message)


def _cross_subscription_violations(request: RestoreRequest, point: RecoveryPoint) -> Iterable[ErrorDetail]:
    group, edge_zone = "targetResourceGroupId", "a VM of an edge zone cannot be restored to another subscription"
    if not point.managed_and_unencrypted:
        yield _violation(group, "only managed, unencrypted disks can be restored to another subscription")
    if point.snapshot_only:
        yield _violation(
            group, "the recovery point is only a snapshot, which cannot be restored to another subscription"
        )
    if "extendedLocation" in request.body:
        yield _violation("extendedLocation", edge_zone)
    elif point.extended_location is not None:
        yield _violation(group, edge_zone)


def target_violations(request: RestoreRequest, item: ProtectedItem) -> Iterable[ErrorDetail]:
    """Yield an error for each target of the request that is not allowed for this item."""
    source, target = item.source_resource_id, request.body.get("targetVirtualMachineId")
    if target is not None and same_id(target, source):
        message = "is the VM that was backed up; use OriginalLocation to replace its disks"
        yield _violation("targetVirtualMachineId", message)
    staging_elsewhere = _subscription(staging_account_id(request)) != _subscription(source)
    if request.is_in_place and staging_elsewhere and _subscription(item.vault_id) != _subscription(source):
        message = (
            "the VM is backed up to a vault of another subscription; to replace its disks the staging account must "
            "be in the VM's own subscription"
        )
        yield _violation("storageAccountId", message)


def item_violations(request: RestoreRequest, item: Mapping[str, Any]) -> Iterable[ErrorDetail]:
    """Yield an error for each constraint of the protected item that the request violates."""
    extended = as_object(as_object(item.get("properties")).get("extendedProperties"))
    selective = bool(as_object(extended.get("diskExclusionProperties")))
    if "restoreDiskLunList" in request.body and not selective:
        message = "the item backs up all disks, so the service would ignore this list and restore all of them"
        yield _violation("restoreDiskLunList", f"{message}; leave it out")
    if selective and request.recovery_type != RESTORE_DISKS:
        yield _violation("recoveryType", "the item backs up selected disks only, so only RestoreDisks can restore it")


def vault_violations(request: RestoreRequest, vault: Mapping[str, Any], source_id: str) -> Iterable[ErrorDetail]:
    """Yield an error for each setting of the vault that the request violates. An absent setting allows everything."""
    properties = as_object(vault.get("properties"))
    if crosses_subscriptions(request, source_id):
        settings = as_object(as_object(properties.get("restoreSettings")).get("crossSubscriptionRestoreSettings"))
        state = as_text(settings.get("crossSubscriptionRestoreState"))
        if state is not None and state.casefold() != "enabled":
            message = (
                f"cross-subscription restore is {state} on the vault; enable it, or choose a target in the VM's own"
            )
            yield _violation("targetResourceGroupId", f"{message} subscription")
    if "zones" in request.body:
        redundancy = as_text(as_object(properties.get("redundancySettings")).get("standardTierStorageRedundancy"))
        has_zone = request.body["zones"] != ["NoZone"]
        if has_zone and redundancy is not None and redundancy.casefold() != "zoneredundant":
            yield _violation(
                "zones", f"the vault is {redundancy}; only a ZoneRedundant one restores to a zone of your choice"
            )


def staging_violations(account: Mapping[str, Any], *, region: str, target: str) -> Iterable[ErrorDetail]:
    """Yield an error for each reason why a vault in ``region`` cannot use the staging account that ``target`` names."""
    location = as_text(account.get("location")) or region
    sku = as_text(as_object(account.get("sku")).get("name")) or ""
    if not same_region(location, region):
        yield _violation(target, f"the staging account is in {location}; it must be in the vault's region, {region}")
    if "ZRS" in sku.upper():
        yield _violation(target, f"the staging account is zone-redundant ({sku}); choose one that is not")
    if (as_text(account.get("kind")) or "").casefold() == "blobstorage":
        yield _violation(target, "the staging account is of kind BlobStorage; choose a general-purpose one")


def restore_warnings(request: RestoreRequest, point: RecoveryPoint) -> list[Json]:
    """Return warnings, each ``{"code", "message"}``, for what is allowed but rarely intended, or needs work later."""
    found = {
        WarningCode.UNMANAGED_DISKS: _warning_of_vhds(request, point),
        WarningCode.SNAPSHOT_ONLY: _warning_of_snapshot(request, point),
        WarningCode.ENCRYPTED_DISKS: _warning_of_keys(request, point),
    }
    return [{"code": code, "message": message} for code, message in found.items() if message is not None]


def _warning_of_vhds(request: RestoreRequest, point: RecoveryPoint) -> str | None:
    if request.recovery_type != RESTORE_DISKS or not point.managed or "targetResourceGroupId" in request.body:
        return None
    if request.then_swap_disks is not None:
        return None  # they are restored beside the VM
    return (
        "Without targetResourceGroupId the disks become VHDs in the staging account; this takes longer, because "
        "the snapshot is not used. Give a target resource group to get managed disks."
    )


def _warning_of_snapshot(request: RestoreRequest, point: RecoveryPoint) -> str | None:
    if not request.is_in_place or not point.snapshot_only:
        return None
    return (
        "The recovery point is not in the vault. If replacing the disks fails, choose one whose transfer to "
        "the vault has finished (recoveryPoint.tiers HardenedRP)."
    )


def _warning_of_keys(request: RestoreRequest, point: RecoveryPoint) -> str | None:
    """Return what the caller must do with the keys of encrypted disks, or ``None`` if the disks are not encrypted.

    Source: Microsoft's documentation of restoring the Key Vault key and secret of an encrypted VM.
    """
    details, secured = (as_object(request.body.get(name)) for name in ("encryptionDetails", "securedVMDetails"))
    if point.encrypted or details.get("encryptionEnabled") is True:
        encrypted = "The disks are encrypted with Azure Disk Encryption: with a secret (BEK), and perhaps a key (KEK)."
        if request.recovery_type == ALTERNATE_LOCATION:
            return (
                f"{encrypted} The new VM starts only while both are in their Key Vault. If they are not, restore with "
                "RestoreDisks, put them back from the blob that result.encryptionInfoBlobName names, and make the VM "
                "then."
            )
        return (
            f"{encrypted} Both must be in a Key Vault before you make a VM from the restored disks. If they are gone, "
            "put them back from the blob in the staging account that result.encryptionInfoBlobName names."
        )
    set_id: str | None = request.body.get("diskEncryptionSetId") or secured.get("securedVMOsDiskEncryptionSetId")
    if set_id is None:
        return None
    return (
        f"The restored disks are encrypted with the key of the disk encryption set {set_id}. Keep the key, and the "
        "set's right to use it: without them no VM starts from the disks."
    )


def resource_guard_requests(proxies: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the Resource Guard requests that a restore needs, as the vault's proxies name them; empty for none."""
    found: list[str] = []
    for proxy in proxies:
        details = as_list(as_object(proxy.get("properties")).get("resourceGuardOperationDetails"))
        for detail in map(as_object, details):
            operation = as_text(detail.get("vaultCriticalOperation")) or ""
            request = as_name(detail.get("defaultResourceRequest"))
            if operation.casefold() == GUARDED_OPERATION.casefold() and request is not None and request not in found:
                found.append(request)
    return found


def is_resource_guard_refusal(refusal: RestoreError) -> bool:
    """Return whether a Resource Guard refused the trigger; a person can still approve the restore there.

    Such an answer is a 403 that names a Resource Guard, or no Azure resource at all. A 403 that names another resource
    or action means that a role is missing, and waiting does not help. A 401 never comes from a Resource Guard.
    """
    if refusal.code != AUTHORIZATION_FAILED or not refusal.details:
        return False
    status = as_object(refusal.details[0].info).get("httpStatus")
    text = " ".join(f"{detail.message} {detail.target or ''}" for detail in refusal.details).casefold()
    return status == _HTTP_FORBIDDEN and ("resourceguard" in text or _PROVIDER.search(text) is None)


def _violation(target: str, message: str) -> ErrorDetail:
    return ErrorDetail(code=NOT_ALLOWED, message=message, target=target)
