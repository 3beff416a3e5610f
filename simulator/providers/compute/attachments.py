"""Which disks a VM may have, and how a storage profile that a caller sends changes the present one.

The list of data disks is replaced as a whole: a disk that is not in the new list is detached.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from simulator.providers.compute.bodies import data_disk_entry, os_disk_entry
from simulator.providers.compute.changes import change
from simulator.providers.compute.errors import (
    already_attached,
    bad_request,
    being_detached,
    cannot_boot,
    change_not_allowed,
    compute_error,
    invalid_parameter,
    not_allowed,
    other_generation,
    other_security,
    size_reduced,
)
from simulator.providers.compute.hardware import SIZES
from simulator.providers.compute.state import DEALLOCATED, STOPPED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from simulator.world import World

HIGHEST_LUN = 63
_WORDS = {
    word.lower(): word
    for word in (
        "Attach",
        "Detach",
        "Delete",
        "FromImage",
        "Empty",
        "Windows",
        "Linux",
        "None",
        "ReadOnly",
        "ReadWrite",
    )
}
"""What a storage profile says in Azure's casing, which callers need not keep: az writes ``attach``."""

_WORDED = ("createOption", "osType", "caching", "deleteOption")
_CHANGEABLE = ("caching", "deleteOption", "writeAcceleratorEnabled")


class Attachments:
    """Checks and changes the disks of one VM: ``machine`` is its body, as it will be but for its disks.

    With ``replaces`` another disk may come to a LUN in the update that detaches the former one.
    """

    def __init__(self, world: World, machine: Mapping[str, Any], *, replaces: bool = False) -> None:
        self._world = world
        self._replaces = replaces
        self._machine = machine
        self._id = str(machine["id"])

    def changed_profile(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the storage profile after an update; raise the error of Azure's first rule against it."""
        profile = deepcopy(self._machine["properties"]["storageProfile"])
        present = [{**entry, "toBeDetached": False} for entry in profile["dataDisks"]]
        profile["dataDisks"] = [entry for entry in profile["dataDisks"] if not entry["toBeDetached"]]
        if given.get("osDisk") is not None:
            profile["osDisk"] = self._changed_os_disk(profile["osDisk"], _spelled(given["osDisk"]))
        if given.get("dataDisks") is not None:
            profile["dataDisks"] = self._changed_data_disks(present, given["dataDisks"])
        self._check_used_once(profile)
        return profile

    def new_profile(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the storage profile of a new VM; raise the error of Azure's first rule against it."""
        os_disk = _spelled(given.get("osDisk") or {})
        if os_disk.get("createOption") != "Attach" or not _disk_id(os_disk):
            raise bad_request("The simulator makes VMs from managed disks alone (createOption Attach).")
        disk = self._attachable_os_disk(_disk_id(os_disk))
        if os_disk.get("osType", disk["properties"]["osType"]) != disk["properties"]["osType"]:
            raise invalid_parameter("The osType is not the one of the disk.", "osDisk.osType")
        entry = os_disk_entry(disk, "Attach")
        entry |= {name: os_disk[name] for name in _CHANGEABLE if name in os_disk}
        profile = {"osDisk": entry, "dataDisks": self._changed_data_disks([], given.get("dataDisks") or [])}
        self._check_used_once(profile)
        return profile

    # The OS disk

    def _changed_os_disk(self, present: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        if given.get("createOption", present["createOption"]) != present["createOption"]:
            raise change_not_allowed("osDisk.createOption")
        if given.get("osType", present["osType"]) != present["osType"]:
            raise change_not_allowed("osDisk.osType")
        wanted = _disk_id(given) or _disk_id(present)
        entry = dict(present)
        if wanted.lower() != _disk_id(present).lower():
            self._check_swap(present)
            disk = self._attachable_os_disk(wanted)
            if disk["properties"]["osType"] != present["osType"]:
                raise change_not_allowed("osDisk.osType")
            entry |= os_disk_entry(disk, present["createOption"]) | {
                name: present[name] for name in _CHANGEABLE if name in present
            }
        if given.get("name", entry["name"]) != entry["name"]:
            raise change_not_allowed("osDisk.name")
        self._check_size(entry, given)
        return entry | {name: given[name] for name in _CHANGEABLE if given.get(name) is not None}

    def _check_swap(self, present: Mapping[str, Any]) -> None:
        if present.get("diffDiskSettings") or not _disk_id(present):
            raise change_not_allowed("osDisk.managedDisk.id")
        if present.get("encryptionSettings", {}).get("enabled"):
            raise compute_error(
                409,
                "OSDiskSwapNotSupportedForVMsUsingDiskEncryption",
                "Swapping OS Disk is not supported for VMs using disk encryption.",
            )
        if self._world.compute.machines[self._id.lower()].power not in {STOPPED, DEALLOCATED}:
            raise not_allowed(
                f"Swapping OS Disk is not allowed on VM '{self._machine['name']}' since the VM is running. Stop or "
                "deallocate the VM and try again."
            )

    def _attachable_os_disk(self, disk_id: str) -> Mapping[str, Any]:
        disk = self._attachable_disk(disk_id)
        properties = disk["properties"]
        if "osType" not in properties:
            raise invalid_parameter(f"Disk '{disk['name']}' has no operating system.", "osDisk.managedDisk.id")
        self._check_generation(properties.get("hyperVGeneration", "V1"))
        wanted = self._machine["properties"].get("securityProfile", {}).get("securityType", "Standard")
        found = properties.get("securityProfile", {}).get("securityType", "Standard")
        if wanted != found:
            raise other_security(disk["name"], found, wanted)
        return disk

    def _check_generation(self, generation: str) -> None:
        present = self._machine["properties"]["storageProfile"].get("osDisk")
        if present:
            former = self._world.store.get(present["managedDisk"]["id"])
            own = former["properties"].get("hyperVGeneration", "V1") if former else generation
            if own != generation:
                raise other_generation(own)
        size = self._machine["properties"]["hardwareProfile"]["vmSize"]
        if generation not in SIZES[size].generations:
            raise cannot_boot(size, generation)

    # Data disks

    def _changed_data_disks(
        self, present: list[dict[str, Any]], given: list[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        former = {entry["managedDisk"]["id"].lower(): entry for entry in present}
        entries: dict[int, dict[str, Any]] = {}
        for wanted in map(_spelled, given):
            if wanted.get("toBeDetached"):
                continue
            lun = self._lun(wanted, entries)
            entries[lun] = self._data_disk(former, lun, wanted)
        size = self._machine["properties"]["hardwareProfile"]["vmSize"]
        most = SIZES[size].data_disks
        if len(entries) > most:
            raise not_allowed(
                f"The maximum number of data disks allowed to be attached to a VM of this size is {most}."
            )
        return list(entries.values())

    def _lun(self, wanted: Mapping[str, Any], entries: Mapping[int, Any]) -> int:
        lun = wanted.get("lun")
        if not isinstance(lun, int) or not 0 <= lun <= HIGHEST_LUN:
            raise invalid_parameter(
                f"The value '{lun}' of parameter 'dataDisk.lun' is out of range. Value '{lun}' must be between '0' and "
                f"'{HIGHEST_LUN}' inclusive.",
                "dataDisk.lun",
            )
        if lun in entries:
            raise invalid_parameter(f"A disk at LUN {lun} already exists.", "dataDisk.lun")
        return lun

    def _data_disk(self, former: Mapping[str, dict[str, Any]], lun: int, wanted: Mapping[str, Any]) -> dict[str, Any]:
        disk_id = _disk_id(wanted)
        if not disk_id:
            raise bad_request("The simulator attaches managed disks alone: managedDisk.id is missing.")
        changes = {name: wanted[name] for name in _CHANGEABLE if wanted.get(name) is not None}
        entry = former.get(disk_id.lower())
        if entry:
            if lun != entry["lun"]:
                raise change_not_allowed("dataDisk.lun")
            if wanted.get("createOption", entry["createOption"]) != entry["createOption"]:
                raise change_not_allowed("dataDisk.createOption")
            return {**entry, **changes}
        if wanted.get("createOption") != "Attach":
            raise compute_error(
                400,
                "InvalidParameterConflictingProperties",
                f"The property 'dataDisk.createOption' cannot have the value '{wanted.get('createOption')}' when "
                "property 'dataDisk.managedDisk.id' is set.",
                "dataDisk.createOption",
            )
        disk = self._attachable_disk(disk_id)
        if wanted.get("name", disk["name"]) != disk["name"]:
            raise invalid_parameter(f"The name of disk '{disk['name']}' is not '{wanted['name']}'.", "dataDisk.name")
        self._check_size({"name": disk["name"], "diskSizeGB": disk["properties"]["diskSizeGB"]}, wanted)
        self._check_place(former.values(), lun, wanted)
        return {**data_disk_entry(disk, lun, "Attach"), **changes}

    def _check_place(self, present: Iterable[Mapping[str, Any]], lun: int, wanted: Mapping[str, Any]) -> None:
        """Raise 409 for a disk at the LUN of another one, which this update would replace."""
        entry = next((entry for entry in present if entry["lun"] == lun), None)
        if entry is None or self._replaces:
            return
        renamed = wanted.get("name", entry["name"]) != entry["name"]
        raise change_not_allowed("dataDisk.name" if renamed else "dataDisk.managedDisk.id")

    # Any disk

    def _attachable_disk(self, disk_id: str) -> Mapping[str, Any]:
        """Return a disk that can be attached to the VM; raise the error of any other."""
        disk = self._world.store.get(disk_id)
        if disk is None:
            name = disk_id.rpartition("/")[2]
            raise compute_error(404, "NotFound", f"Disk {name} is not found.", disk_id)
        if disk["location"].lower() != self._machine["location"].lower():
            raise bad_request(
                f"Disk {disk_id} cannot be attached to the VM because it is not in the same location as the VM."
            )
        self._check_zone(disk)
        owner = str(disk.get("managedBy", self._id))
        if owner.lower() != self._id.lower():
            if _is_being_detached(self._world.store.get(owner), disk["id"]):
                raise being_detached(disk["name"], self._machine["name"])
            raise already_attached(disk["id"], self._id, owner)
        if disk["id"].lower() in self._world.compute.underway:
            raise being_detached(disk["name"], self._machine["name"])
        return disk

    def _check_zone(self, disk: Mapping[str, Any]) -> None:
        own, its = self._machine.get("zones", []), disk.get("zones", [])
        if own == its:
            return
        if own and its:
            why = f"it is not in the same zone as the VM. VM zone: '{own[0]}'. Disk zone: '{its[0]}'."
        else:
            why = f"it is not in zone '{own[0]}'." if own else f"the VM is not in zone '{its[0]}'."
        raise bad_request(f"Disk {disk['id']} cannot be attached to the VM because {why}")

    def _check_size(self, entry: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        size_gb = given.get("diskSizeGB")
        if size_gb is not None and size_gb < entry["diskSizeGB"]:
            raise size_reduced(entry["name"])
        if size_gb is not None and size_gb > entry["diskSizeGB"]:
            raise bad_request(f"The simulator does not resize disks: '{entry['name']}' has {entry['diskSizeGB']} GB.")

    def _check_used_once(self, profile: Mapping[str, Any]) -> None:
        ids = [_disk_id(entry).lower() for entry in (profile["osDisk"], *profile["dataDisks"])]
        for disk_id in ids:
            if ids.count(disk_id) > 1:
                raise already_attached(disk_id, self._id, self._id)


def _is_being_detached(owner: Mapping[str, Any] | None, disk_id: str) -> bool:
    """Return whether a disk is being detached from its VM."""
    entries = owner["properties"]["storageProfile"]["dataDisks"] if owner else []
    return any(entry["toBeDetached"] and _disk_id(entry).lower() == disk_id.lower() for entry in entries)


def free_lun(used: set[int]) -> int:
    """Return the lowest LUN that is not used."""
    return next(lun for lun in range(HIGHEST_LUN + 2) if lun not in used)


def _disk_id(entry: Mapping[str, Any]) -> str:
    return str((entry.get("managedDisk") or {}).get("id") or "")


def _spelled(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return a disk of a storage profile with its words in Azure's casing, and without members that are null."""
    given = {name: value for name, value in entry.items() if value is not None}
    words = {name: _WORDS.get(str(given[name]).lower(), given[name]) for name in _WORDED if name in given}
    return given | words


def disk_ids(profile: Mapping[str, Any]) -> set[str]:
    """Return the ids of a storage profile's disks, in lower case."""
    entries = (profile["osDisk"], *profile["dataDisks"])
    return {_disk_id(entry).lower() for entry in entries if _disk_id(entry)}


def settle_disks(world: World, machine: Mapping[str, Any], former: set[str] | frozenset[str] = frozenset()) -> None:
    """Write the state and the owner of a VM's disks; those are released that it had until now.

    These are the ids in ``former``, and what an update that failed has left.
    """
    own, profile = world.compute.machines[machine["id"].lower()], machine["properties"]["storageProfile"]
    left = [entry for entry in profile["dataDisks"] if entry["toBeDetached"]]
    if left:
        kept = [entry for entry in profile["dataDisks"] if not entry["toBeDetached"]]
        profile = {**profile, "dataDisks": kept}
        change(world, machine["id"], {"storageProfile": profile})
    attached = disk_ids(profile)
    state = "Reserved" if own.power == DEALLOCATED else "Attached"
    gone, own.held = (former | own.held) - attached, frozenset()
    for disk_id in gone:
        release(world, disk_id)
    for disk_id in attached:
        change(world, disk_id, {"diskState": state}, managedBy=machine["id"])


def release(world: World, disk_id: str) -> None:
    """Make a disk ``Unattached``, without an owner."""
    change(world, disk_id, {"diskState": "Unattached"}, managedBy=None)
