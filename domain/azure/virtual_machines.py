"""Virtual machines and the places of their disks, as Azure Compute reports them.

Members of the wrong type count as absent; an id that is missing makes the VM unreadable, because nothing can be decided
without it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from domain.azure.deployments import restore_tag
from domain.azure.resource_ids import same_id
from domain.wire import as_flag, as_list, as_name, as_object, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_POWER: Final = "powerstate/"
_HIBERNATED: Final = "hibernationstate/hibernated"
_CHANGING: Final = frozenset({"creating", "updating", "deleting", "migrating"})
_CHANGING_POWER: Final = frozenset({"starting", "stopping", "deallocating"})
_FAILED: Final = "failed"
_FAILURE: Final = "provisioningstate/failed/"
_MAX_FAILURE: Final = 500
_READY: Final = "ready"
_ATTACH: Final = "Attach"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedDisk:
    """One disk in a VM's storage profile. ``lun`` is ``None`` for the OS disk.

    ``disk_id`` is empty for a disk that is no managed disk. ``options`` are the members that a caller can choose, as
    Azure writes them: ``caching``, ``deleteOption`` and ``writeAcceleratorEnabled``.
    """

    lun: int | None
    disk_id: str
    name: str
    options: dict[str, Any]

    @classmethod
    def from_api(cls, body: Mapping[str, Any], *, is_os: bool) -> Self:
        """Read an ``OSDisk`` or a ``DataDisk`` of the Compute API; a data disk without a LUN raises ``ValueError``."""
        lun = body.get("lun")
        if not is_os and (not isinstance(lun, int) or isinstance(lun, bool)):
            raise ValueError("a data disk has no LUN")
        return cls(
            lun=None if is_os else lun,
            disk_id=as_name(as_object(body.get("managedDisk")).get("id")) or "",
            name=as_name(body.get("name")) or "",
            options=_options(body),
        )

    def is_same_disk(self, other: AttachedDisk) -> bool:
        """Return whether both are the same managed disk at the same place."""
        return self.lun == other.lun and bool(self.disk_id) and same_id(self.disk_id, other.disk_id)


def _options(body: Mapping[str, Any]) -> dict[str, Any]:
    texts = {name: as_text(body.get(name)) for name in ("caching", "deleteOption")}
    options: dict[str, Any] = {name: text for name, text in texts.items() if text is not None}
    accelerated = as_flag(body.get("writeAcceleratorEnabled"))
    return options if accelerated is None else {**options, "writeAcceleratorEnabled": accelerated}


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualMachine:
    """One VM with its instance view.

    ``power`` is in lower case, such as ``running``, ``deallocated`` or ``starting``; ``None`` if Azure does not say.
    ``is_changing``: an operation of Azure changes the VM at the moment. ``is_agent_ready`` is ``None`` if Azure has no
    report of a VM agent. ``os_create_option`` and ``os_type`` are those of the OS disk, which an update must repeat.
    ``data_create_options`` are those of the data disks that were not attached but made with the VM, by their ids in
    lower case: an update must repeat them, too, for each such disk that stays (terraform-provider-azurerm#240).
    ``has_failed``: the last change of the VM has failed; ``failure`` is Azure's code and text for it, if it says them.
    ``restore_id`` is its tag: the restore that made it.
    ``detaching`` are the disks that Azure lists as ``toBeDetached``, which are not among ``data_disks``: it takes them
    away. If the update that detaches them fails, they may stay so until the next one.
    ``is_hibernated``: it is deallocated with its memory on the OS disk. ``scale_set_id``: the flexible scale set that
    has it.
    """

    vm_id: str
    location: str
    size: str
    zone: str | None
    os_disk: AttachedDisk
    data_disks: tuple[AttachedDisk, ...]
    os_create_option: str
    os_type: str | None = None
    data_create_options: dict[str, str] = field(default_factory=dict[str, str])
    etag: str | None = None
    power: str | None = None
    is_changing: bool = False
    is_agent_ready: bool | None = None
    is_os_disk_ephemeral: bool = False
    has_guest_encryption: bool = False
    generation: str | None = None
    security_type: str | None = None
    has_failed: bool = False
    restore_id: str | None = None
    detaching: tuple[AttachedDisk, ...] = ()
    is_hibernated: bool = False
    scale_set_id: str | None = None
    failure: str | None = None

    @classmethod
    def from_api(cls, body: Mapping[str, Any]) -> Self:
        """Read a ``VirtualMachine`` with ``$expand=instanceView``; raises ``ValueError`` if it cannot be understood."""
        vm_id, properties = as_name(body.get("id")), as_object(body.get("properties"))
        profile, view = as_object(properties.get("storageProfile")), as_object(properties.get("instanceView"))
        os_disk, zones = as_object(profile.get("osDisk")), as_list(body.get("zones"))
        if vm_id is None or not os_disk:
            raise ValueError("the VM has no id or no OS disk")
        power, provisioning = _power(view), (as_text(properties.get("provisioningState")) or "").lower()
        return cls(
            vm_id=vm_id,
            location=as_name(body.get("location")) or "",
            size=as_name(as_object(properties.get("hardwareProfile")).get("vmSize")) or "",
            zone=as_name(zones[0]) if zones else None,
            os_disk=AttachedDisk.from_api(os_disk, is_os=True),
            data_disks=_data_disks(profile, detaching=False),
            detaching=_data_disks(profile, detaching=True),
            os_create_option=as_text(os_disk.get("createOption")) or _ATTACH,
            os_type=as_text(os_disk.get("osType")),
            data_create_options=_data_create_options(profile),
            etag=as_name(body.get("etag")),
            power=power,
            is_changing=provisioning in _CHANGING or power in _CHANGING_POWER,
            is_agent_ready=_is_agent_ready(view),
            is_os_disk_ephemeral=bool(as_object(os_disk.get("diffDiskSettings"))),
            has_guest_encryption=_has_guest_encryption(os_disk, view),
            generation=as_text(view.get("hyperVGeneration")),
            security_type=as_text(as_object(properties.get("securityProfile")).get("securityType")),
            has_failed=provisioning == _FAILED,
            restore_id=restore_tag(body),
            is_hibernated=_HIBERNATED in _codes(view),
            scale_set_id=as_name(as_object(properties.get("virtualMachineScaleSet")).get("id")),
            failure=_failure(view),
        )

    @property
    def disks(self) -> tuple[AttachedDisk, ...]:
        """All disks, the OS disk first."""
        return (self.os_disk, *self.data_disks)


def _data_disks(profile: Mapping[str, Any], *, detaching: bool) -> tuple[AttachedDisk, ...]:
    disks = [as_object(disk) for disk in as_list(profile.get("dataDisks"))]
    chosen = [disk for disk in disks if (as_flag(disk.get("toBeDetached")) or False) is detaching]
    return tuple(AttachedDisk.from_api(disk, is_os=False) for disk in chosen)


def _data_create_options(profile: Mapping[str, Any]) -> dict[str, str]:
    disks = [as_object(disk) for disk in as_list(profile.get("dataDisks"))]
    options = {
        as_name(as_object(disk.get("managedDisk")).get("id")): as_text(disk.get("createOption")) for disk in disks
    }
    return {
        disk_id.lower(): option
        for disk_id, option in options.items()
        if disk_id is not None and option is not None and option.lower() != _ATTACH.lower()
    }


def _has_guest_encryption(os_disk: Mapping[str, Any], view: Mapping[str, Any]) -> bool:
    """Return whether Azure Disk Encryption is on.

    Its newer form, without an application of Entra ID, need not show in the VM's model; then the instance view of the
    disks has it (``DiskInstanceView.encryptionSettings``).
    """
    shown = [
        entry for disk in as_list(view.get("disks")) for entry in as_list(as_object(disk).get("encryptionSettings"))
    ]
    return any(as_flag(as_object(entry).get("enabled")) for entry in (os_disk.get("encryptionSettings"), *shown))


def _power(view: Mapping[str, Any]) -> str | None:
    return next((code.removeprefix(_POWER) for code in _codes(view) if code.startswith(_POWER)), None)


def _codes(view: Mapping[str, Any]) -> list[str]:
    return [(as_text(as_object(status).get("code")) or "").lower() for status in as_list(view.get("statuses"))]


def _failure(view: Mapping[str, Any]) -> str | None:
    """Return the code and the text of the status ``ProvisioningState/failed/<code>``: why a change has failed."""
    for status in map(as_object, as_list(view.get("statuses"))):
        code, message = as_text(status.get("code")) or "", as_text(status.get("message"))
        if code.lower().startswith(_FAILURE):
            reason = code[len(_FAILURE) :]
            return (reason if message is None else f"{reason}: {message}")[:_MAX_FAILURE]
    return None


def _is_agent_ready(view: Mapping[str, Any]) -> bool | None:
    statuses = as_list(as_object(view.get("vmAgent")).get("statuses"))
    shown = [as_text(as_object(status).get("displayStatus")) for status in statuses]
    return any((text or "").lower() == _READY for text in shown) if shown else None
