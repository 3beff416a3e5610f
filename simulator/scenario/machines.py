"""The virtual machines of a scenario: their disks, how they are protected, their recovery points and faults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from simulator.faults import Faults
from simulator.providers.backup.points import read_points
from simulator.providers.backup.protection import DiskExclusion, Finding, SoftDelete
from simulator.providers.compute.hardware import Hardware
from simulator.reading import Node
from simulator.scenario.resources import Named, read_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from simulator.providers.backup.points import Point
    from simulator.scenario.resources import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class DataDisk:
    """A data disk of a VM."""

    lun: int
    size_gb: float

    @classmethod
    def read(cls, node: Node) -> DataDisk:
        """Read a disk and close its node."""
        disk = cls(lun=node.whole("lun", least=0), size_gb=node.number("sizeGb", 32, above=0))
        node.close()
        return disk


@dataclass(frozen=True, slots=True, kw_only=True)
class Vm(Named):
    """A virtual machine and how it is protected; no vault means not at all.

    ``key`` names it in the request log and in ``/_simulator``: ``group/name`` in lower case, behind the subscription's
    id if that is not the first one.
    """

    TYPE = "Microsoft.Compute/virtualMachines"

    key: str
    location: str
    os_type: str
    vault: Vault | None
    tags: Mapping[str, str]
    deleted: bool
    soft_delete: SoftDelete | None
    disk_gb: float
    data_disks: tuple[DataDisk, ...]
    hardware: Hardware
    disk_exclusion: DiskExclusion | None
    points: Sequence[Point]
    validation: tuple[Finding, ...]
    faults: Faults

    @property
    def listed_points(self) -> Sequence[Point]:
        """The points that the service shows."""
        return () if self.soft_delete and self.soft_delete.points == "Hidden" else self.points

    @property
    def backed_up_luns(self) -> tuple[int, ...]:
        """The data disks that are in the backup: all of them unless the item selects its disks."""
        exclusion = self.disk_exclusion
        return tuple(disk.lun for disk in self.data_disks if exclusion is None or exclusion.backs_up(disk.lun))

    @property
    def excluded_luns(self) -> tuple[int, ...]:
        """The data disks that are not in the backup."""
        return tuple(disk.lun for disk in self.data_disks if disk.lun not in self.backed_up_luns)

    def disk_name(self, lun: int) -> str:
        """Return the name of the managed disk at a LUN; -1 is the OS disk."""
        mark = uuid5(NAMESPACE_URL, self.key).hex
        return f"{self.name}_OsDisk_1_{mark}" if lun < 0 else f"{self.name}_DataDisk_{lun}"

    @property
    def native_name(self) -> str:
        """The name inside the vault, as the service keeps it."""
        return f"iaasvmcontainerv2;{self.resource_group};{self.name}".lower()


def read_vms(root: Node, vaults: Mapping[str, Vault], home: str) -> tuple[Vm, ...]:
    """Read the VMs of a scenario; ``home`` is the subscription of those that name none, ``vaults`` are by name."""
    vms: dict[str, Vm] = {}
    for node, name in _expand(root):
        vm = _read_vm(node, name, vaults, home)
        if vm.key in vms:
            node.complain("name", f"there is another VM {vm.key}")
        vms[vm.key] = vm
    return tuple(vms.values())


def _expand(root: Node) -> Iterator[tuple[Node, str]]:
    """Yield a node and a name for each VM: ``clone`` takes over what a VM further up says, ``count`` numbers copies."""
    seen: dict[str, Mapping[str, Any]] = {}
    for node in root.nodes("vms"):
        if not node.is_object:
            continue
        members = dict(node.members)
        if node.has("clone"):
            pattern = node.text("clone")
            if pattern not in seen:
                node.complain("clone", f"there is no VM {pattern!r} further up")
            members = {**seen.get(pattern, {}), **members}
            del members["clone"]
        name = node.text("name")
        count = node.whole("count", 1)
        numbered = members.pop("count", None) is not None
        seen[name] = members
        for number in range(1, count + 1):
            yield Node(members, node.path, node.problems), f"{name}-{number:03d}" if numbered else name


def _read_vm(node: Node, name: str, vaults: Mapping[str, Vault], home: str) -> Vm:
    names = {**read_names(node, home), "name": name}
    subscription_id, group = names["subscription_id"], names["resource_group"]
    key = f"{group}/{name}" if subscription_id.lower() == home.lower() else f"{subscription_id}/{group}/{name}"
    vault = vaults.get(node.text("vault")) if node.has("vault") else None
    if vault is None and node.has("vault"):
        node.complain("vault", "there is no such vault")
    vm = Vm(
        **names,
        key=key.lower(),
        location=node.text("location", vault.region if vault else None),
        os_type=node.choice("osType", ("Windows", "Linux"), "Windows"),
        vault=vault,
        tags=node.texts_by_name("tags"),
        deleted=node.flag("deleted"),
        soft_delete=SoftDelete.read(node.node("softDelete")) if node.has("softDelete") else None,
        disk_gb=node.number("diskGb", 127, above=0),
        data_disks=tuple(DataDisk.read(disk) for disk in node.nodes("dataDisks")),
        hardware=Hardware.read(node),
        disk_exclusion=DiskExclusion.read(node.node("diskExclusion")) if node.has("diskExclusion") else None,
        points=read_points(node, key),
        validation=tuple(Finding.read(finding) for finding in node.nodes("validation")),
        faults=Faults.read(node.node_or_empty("faults"), node.raw("faults") or {}),
    )
    node.close()
    return vm
