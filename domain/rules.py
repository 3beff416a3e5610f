"""Azure Backup's rules for a restore that depend on what is restored: item, point, vault and staging account.

What a request alone can break is checked when it comes in (``domain.requests``). Source: Microsoft's documentation of
the restore options and the rules that az CLI 2.91 enforces.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from domain.errors import AUTHORIZATION_FAILED, ErrorDetail, Json
from domain.reading import NOT_ALLOWED
from domain.requests import ALTERNATE_LOCATION, ORIGINAL_LOCATION, RESTORE_DISKS
from domain.resource_ids import same_id
from domain.wire import as_list, as_name, as_object, as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from domain.errors import RestoreError
    from domain.protected_items import ProtectedItem
    from domain.requests import RestoreRequest

GUARDED_OPERATION: Final = (
    "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems/recoveryPoints/restore/action"
)
_FORBIDDEN: Final = 403
_PROVIDER: Final = re.compile(r"microsoft\.[a-z]+/")
_TARGETS: Final = ("targetResourceGroupId", "targetVirtualMachineId", "virtualNetworkId", "subnetId")


@dataclass(frozen=True, slots=True, kw_only=True)
class PointFacts:
    """What the rules ask of a recovery point. ``tiers`` and ``extended_location`` as on ``RecoveryPoint``."""

    encrypted: bool
    managed: bool
    tiers: tuple[str, ...]
    extended_location: Json | None = None

    @property
    def snapshot_only(self) -> bool:
        """Whether the point has not reached the vault."""
        return self.tiers == ("InstantRP",)


def staging_account_id(request: RestoreRequest) -> str:
    """Return the staging account's id, which every request has in one of two places."""
    direct: str | None = request.body.get("storageAccountId")
    return direct or request.body["identityBasedRestoreDetails"]["targetStorageAccountId"]


def crosses_subscriptions(request: RestoreRequest, source_id: str) -> bool:
    """Tell whether a target lies in another subscription than the source VM."""
    source = _subscription(source_id)
    return any(_subscription(request.body[name]) != source for name in _TARGETS if name in request.body)


def _subscription(resource_id: str) -> str:
    return resource_id.split("/")[2].casefold()


def needs_item(request: RestoreRequest) -> bool:
    """Tell whether a rule asks for the protected item itself."""
    return request.recovery_type != RESTORE_DISKS or "restoreDiskLunList" in request.body


def needs_vault(request: RestoreRequest, source_id: str) -> bool:
    """Tell whether a rule asks for the vault's settings."""
    return "zones" in request.body or crosses_subscriptions(request, source_id)


@dataclass(frozen=True, slots=True)
class _PointRule:
    """What a request of a certain kind must not meet in its recovery point."""

    asked: Callable[[RestoreRequest, str], bool]
    broken: Callable[[PointFacts], bool]
    target: str
    message: str


def _in_place(request: RestoreRequest, _source_id: str) -> bool:
    return request.recovery_type == ORIGINAL_LOCATION


def _names(member: str) -> Callable[[RestoreRequest, str], bool]:
    return lambda request, _source_id: member in request.body


def _plain_only(point: PointFacts) -> bool:
    return point.encrypted or not point.managed


_EDGE_ZONE: Final = "a VM of an edge zone cannot be restored to another subscription"
_ACROSS: Final = crosses_subscriptions
_POINT_RULES: Final = (
    _PointRule(
        _in_place,
        lambda point: point.encrypted,
        "recoveryType",
        "the disks of an encrypted VM cannot be replaced in place; restore them with RestoreDisks",
    ),
    _PointRule(
        _in_place,
        lambda point: not point.managed,
        "recoveryType",
        "unmanaged disks cannot be replaced in place; restore them with RestoreDisks",
    ),
    _PointRule(
        _names("zones"),
        _plain_only,
        "zones",
        "only managed, unencrypted disks can be restored to a zone of your choice",
    ),
    _PointRule(
        _names("zones"),
        lambda point: "HardenedRP" not in point.tiers,
        "zones",
        "the recovery point is not in the vault tier; choose one that is, or leave zones out",
    ),
    _PointRule(
        _names("zones"),
        lambda point: {"HardenedRP", "ArchivedRP"} <= set(point.tiers),
        "zones",
        "the recovery point was brought back from the archive; choose one that was not, or leave zones out",
    ),
    _PointRule(
        lambda request, _source_id: request.body.get("restoreWithManagedDisks") is True,
        lambda point: not point.managed and point.snapshot_only,
        "restoreWithManagedDisks",
        "the recovery point is a snapshot only; unmanaged disks become managed ones from the vault tier alone",
    ),
    _PointRule(
        _ACROSS,
        _plain_only,
        "targetResourceGroupId",
        "only managed, unencrypted disks can be restored to another subscription",
    ),
    _PointRule(
        _ACROSS,
        lambda point: point.snapshot_only,
        "targetResourceGroupId",
        "the recovery point is a snapshot only, which cannot be restored to another subscription",
    ),
    _PointRule(
        lambda request, source_id: "extendedLocation" in request.body and crosses_subscriptions(request, source_id),
        lambda _point: True,
        "extendedLocation",
        _EDGE_ZONE,
    ),
    _PointRule(
        lambda request, source_id: "extendedLocation" not in request.body and crosses_subscriptions(request, source_id),
        lambda point: point.extended_location is not None,
        "targetResourceGroupId",
        _EDGE_ZONE,
    ),
    _PointRule(
        _names("diskEncryptionSetId"),
        _plain_only,
        "diskEncryptionSetId",
        "only managed, unencrypted disks can be given a disk encryption set",
    ),
)


def point_violations(request: RestoreRequest, point: PointFacts, source_id: str) -> Iterable[ErrorDetail]:
    """Yield what the request asks of this point that the service does not do."""
    for rule in _POINT_RULES:
        if rule.asked(request, source_id) and rule.broken(point):
            yield _no(rule.target, rule.message)


def target_violations(request: RestoreRequest, item: ProtectedItem) -> Iterable[ErrorDetail]:
    """Yield what the request's targets must not be for this item, wherever it was found."""
    source, target = item.source_resource_id, request.body.get("targetVirtualMachineId")
    if target is not None and same_id(target, source):
        message = "is the VM that was backed up; use OriginalLocation to replace its disks"
        yield _no("targetVirtualMachineId", message)
    across = _subscription(item.vault_id) != _subscription(source)
    staging = staging_account_id(request)
    if across and request.recovery_type == ORIGINAL_LOCATION and _subscription(staging) != _subscription(source):
        message = (
            "the VM is backed up to a vault of another subscription; to replace its disks the staging account must "
            "be in the VM's own"
        )
        yield _no("storageAccountId", message)


def item_violations(request: RestoreRequest, item: Mapping[str, Any]) -> Iterable[ErrorDetail]:
    """Yield what the request asks of this protected item that the service does not do."""
    extended = as_object(as_object(item.get("properties")).get("extendedProperties"))
    selective = bool(as_object(extended.get("diskExclusionProperties")))
    if "restoreDiskLunList" in request.body and not selective:
        message = "the item backs up all disks, and the service would restore all of them whatever this list says"
        yield _no("restoreDiskLunList", f"{message}; leave it out")
    if selective and request.recovery_type in {ALTERNATE_LOCATION, ORIGINAL_LOCATION}:
        yield _no("recoveryType", "the item backs up selected disks only, so that only RestoreDisks can restore it")


def vault_violations(request: RestoreRequest, vault: Mapping[str, Any], source_id: str) -> Iterable[ErrorDetail]:
    """Yield what the request asks of this vault that its settings do not allow. Settings it does not name allow all."""
    properties = as_object(vault.get("properties"))
    if crosses_subscriptions(request, source_id):
        settings = as_object(as_object(properties.get("restoreSettings")).get("crossSubscriptionRestoreSettings"))
        state = as_text(settings.get("crossSubscriptionRestoreState"))
        if state is not None and state.casefold() != "enabled":
            message = f"cross-subscription restore is {state} on the vault; enable it or choose a target in its own"
            yield _no("targetResourceGroupId", message)
    if "zones" in request.body:
        redundancy = as_text(as_object(properties.get("redundancySettings")).get("standardTierStorageRedundancy"))
        named = request.body["zones"] != ["NoZone"]
        if named and redundancy is not None and redundancy.casefold() != "zoneredundant":
            yield _no("zones", f"the vault is {redundancy}; only a ZoneRedundant one restores to a zone of your choice")


def staging_violations(account: Mapping[str, Any], *, region: str, target: str) -> Iterable[ErrorDetail]:
    """Yield why the staging account cannot serve a vault in ``region``. ``target`` is the member that named it."""
    location = (as_text(account.get("location")) or region).replace(" ", "").casefold()
    sku = as_text(as_object(account.get("sku")).get("name")) or ""
    if location != region.replace(" ", "").casefold():
        yield _no(target, f"the staging account is in {location}; it must be in the vault's region, {region}")
    if "ZRS" in sku.upper():
        yield _no(target, f"the staging account is zone-redundant ({sku}); choose one that is not")
    if (as_text(account.get("kind")) or "").casefold() == "blobstorage":
        yield _no(target, "the staging account is of kind BlobStorage; choose a general-purpose one")


def warnings_for(request: RestoreRequest, point: PointFacts) -> list[Json]:
    """Return what is allowed but seldom meant, as ``{"code", "message"}``."""
    if request.recovery_type == RESTORE_DISKS and point.managed and "targetResourceGroupId" not in request.body:
        message = (
            "Without targetResourceGroupId the disks become VHDs in the staging account, slowly and without the "
            "snapshot. Give a target resource group to get managed disks."
        )
        return [{"code": "UnmanagedDisks", "message": message}]
    if request.recovery_type == ORIGINAL_LOCATION and point.snapshot_only:
        message = (
            "The recovery point has not reached the vault yet. Should replacing the disks fail, choose one whose "
            "transfer to the vault has ended (recoveryPoint.tiers HardenedRP)."
        )
        return [{"code": "SnapshotOnly", "message": message}]
    return []


def guard_requests(proxies: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the Resource Guard requests that the vault's proxies ask of a restore; empty for none."""
    found: list[str] = []
    for proxy in proxies:
        details = as_list(as_object(proxy.get("properties")).get("resourceGuardOperationDetails"))
        for detail in map(as_object, details):
            operation = as_text(detail.get("vaultCriticalOperation")) or ""
            request = as_name(detail.get("defaultResourceRequest"))
            if operation.casefold() == GUARDED_OPERATION.casefold() and request is not None and request not in found:
                found.append(request)
    return found


def is_guards_refusal(refusal: RestoreError) -> bool:
    """Tell whether a refused trigger was refused by a Resource Guard, which a person can open meanwhile.

    That is a 403 whose words name a guard, or nothing at all: one that names another resource or action is for want of
    a role, and waiting does not help. A 401 is no guard's.
    """
    if refusal.code != AUTHORIZATION_FAILED or not refusal.details:
        return False
    status = as_object(refusal.details[0].info).get("httpStatus")
    words = " ".join(f"{each.message} {each.target or ''}" for each in refusal.details).casefold()
    return status == _FORBIDDEN and ("resourceguard" in words or _PROVIDER.search(words) is None)


def _no(target: str, message: str) -> ErrorDetail:
    return ErrorDetail(code=NOT_ALLOWED, message=message, target=target)
