"""What there is in the simulated subscription: vaults, staging accounts, VMs, their points and their faults."""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import NAMESPACE_URL, uuid5

from simulator.faults import Faults
from simulator.providers.backup.guards import ResourceGuard
from simulator.providers.backup.points import read_points
from simulator.providers.backup.protection import DiskExclusion, Finding, SoftDelete, VaultIdentity
from simulator.providers.compute.hardware import Hardware
from simulator.reading import InvalidDocument, Node

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from simulator.providers.backup.points import Point

DEFAULT_FILE = Path(__file__).with_name("default_scenario.json")
REDUNDANCIES = ("LocallyRedundant", "ZoneRedundant", "GeoRedundant")
ENCRYPTIONS = ("MicrosoftManaged", "CustomerManaged")
CROSS_SUBSCRIPTION = ("Enabled", "Disabled", "PermanentlyDisabled", "Absent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A subscription of the one tenant."""

    subscription_id: str
    name: str

    @classmethod
    def read(cls, node: Node) -> Subscription:
        """Read a subscription and close its node."""
        subscription = cls(subscription_id=node.text("subscriptionId"), name=node.text("name"))
        node.close()
        return subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What every resource of a scenario has."""

    name: str
    resource_group: str
    subscription_id: str

    TYPE: ClassVar[str]
    """The provider's namespace and the type, as ids have them."""

    @property
    def resource_id(self) -> str:
        """The resource id."""
        group = f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"
        return f"{group}/providers/{self.TYPE}/{self.name}"


def _read_names(node: Node, home: str) -> dict[str, str]:
    """Return the names by which a resource is found; ``home`` is the subscription of those that name none."""
    return {
        "name": node.text("name"),
        "resource_group": node.text("resourceGroup"),
        "subscription_id": node.text("subscriptionId", home),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Vault(Named):
    """A Recovery Services vault."""

    TYPE = "Microsoft.RecoveryServices/vaults"
    region: str
    storage_type: str
    cross_region_restore: bool
    cross_subscription_restore: str
    encryption: str
    identity: VaultIdentity
    guard: ResourceGuard | None
    restores_per_day: int | None

    @classmethod
    def read(cls, node: Node, home: str) -> Vault:
        """Read a vault and close its node."""
        names = _read_names(node, home)
        vault = cls(
            **names,
            region=node.text("region"),
            storage_type=node.choice("storageType", REDUNDANCIES, "GeoRedundant"),
            cross_region_restore=node.flag("crossRegionRestore"),
            cross_subscription_restore=node.choice("crossSubscriptionRestore", CROSS_SUBSCRIPTION, "Enabled"),
            encryption=node.choice("encryption", ENCRYPTIONS, "MicrosoftManaged"),
            identity=VaultIdentity.read(node.node_or_empty("identity")),
            guard=ResourceGuard.read(node.node("resourceGuard"), names["subscription_id"])
            if node.has("resourceGuard")
            else None,
            restores_per_day=node.whole("restoresPerDay") if node.has("restoresPerDay") else None,
        )
        node.close()
        return vault


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageAccount(Named):
    """A storage account that may serve as staging account."""

    TYPE = "Microsoft.Storage/storageAccounts"
    location: str
    sku: str
    kind: str
    shared_keys: bool
    readable: bool
    blob_reader: bool
    """Whether the caller has a role for the data of its blobs."""
    firewall: bool
    """Whether only chosen networks reach its blobs; the caller is in none of them."""

    @classmethod
    def read(cls, node: Node, home: str) -> StorageAccount:
        """Read an account and close its node."""
        account = cls(
            **_read_names(node, home),
            location=node.text("location"),
            sku=node.text("sku", "Standard_LRS"),
            kind=node.text("kind", "StorageV2"),
            shared_keys=node.flag("allowSharedKeyAccess", default=True),
            readable=node.flag("readable", default=True),
            blob_reader=node.flag("blobReader", default=True),
            firewall=node.flag("firewall"),
        )
        node.close()
        return account


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualNetwork(Named):
    """A virtual network that new VMs may join."""

    TYPE = "Microsoft.Network/virtualNetworks"

    location: str
    prefix: str
    subnets: tuple[tuple[str, str], ...]
    """Each subnet's name and address prefix."""

    @classmethod
    def read(cls, node: Node, home: str) -> VirtualNetwork:
        """Read a network and close its node."""
        prefix = node.text("addressPrefix", "10.1.0.0/16")
        network = cls(
            **_read_names(node, home),
            location=node.text("location"),
            prefix=prefix,
            subnets=tuple(_read_subnets(node, prefix)),
        )
        node.close()
        return network


def _read_subnets(network: Node, prefix: str) -> Iterator[tuple[str, str]]:
    """Give the name and the prefix of each subnet: the next sixteenth of the network, where the scenario says none."""
    nodes = network.nodes("subnets") or [Node({"name": "default"}, f"{network.path}.subnets[0]", network.problems)]
    try:
        sixteenths = list(IPv4Network(prefix).subnets(4))
    except ValueError:
        network.complain("addressPrefix", "expected a range of addresses such as 10.1.0.0/16, /25 or wider")
        return
    for number, node in enumerate(nodes):
        own = node.text("addressPrefix", str(sixteenths[number % len(sixteenths)]))
        try:
            yield node.text("name"), str(IPv4Network(own))
        except ValueError:
            node.complain("addressPrefix", "expected a range of addresses such as 10.1.0.0/24")
        node.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeniedActions:
    """Actions that the caller may not perform at a scope and below it."""

    scope: str
    actions: tuple[str, ...]

    @classmethod
    def read(cls, node: Node) -> DeniedActions:
        """Read denied actions and close their node."""
        denied = cls(scope=node.text("scope"), actions=node.texts("actions"))
        node.close()
        return denied


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A token bucket: its size and what flows in per second."""

    size: int
    refill_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Page sizes, limits and delays that hold for the whole simulator."""

    page_vaults: int
    page_points: int
    page_items: int
    page_jobs: int
    page_disks: int
    page_vms: int
    page_permissions: int
    page_resources: int
    reads: Limit
    writes: Limit
    resource_requests: Limit
    validate_s: float
    cancel_s: float
    graph_delay_s: float
    cores_per_region: int
    identity_secret: str
    identity_failures: int
    different_operation_ids: bool
    other_jobs: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything the simulator starts with."""

    subscription_id: str
    subscriptions: tuple[Subscription, ...]
    vaults: tuple[Vault, ...]
    storage_accounts: tuple[StorageAccount, ...]
    virtual_networks: tuple[VirtualNetwork, ...]
    resource_groups: tuple[str, ...]
    denied_actions: tuple[DeniedActions, ...]
    vms: tuple[Vm, ...]
    settings: Settings

    @classmethod
    def default(cls) -> Scenario:
        """Return the scenario that ships with the simulator."""
        return cls.from_file(DEFAULT_FILE)

    @classmethod
    def from_file(cls, path: Path) -> Scenario:
        """Read a scenario file; raise ``OSError`` or ``InvalidDocument``."""
        try:
            return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise InvalidDocument([f"$: no JSON ({error})"]) from error

    @classmethod
    def from_dict(cls, document: Any) -> Scenario:
        """Read a scenario; raise ``InvalidDocument`` naming every problem by its JSON path."""
        root = Node(document)
        subscription_id = root.text("subscriptionId")
        others = tuple(Subscription.read(node) for node in root.nodes("subscriptions"))
        vaults = tuple(Vault.read(node, subscription_id) for node in root.nodes("vaults"))
        if not vaults and not root.problems:
            root.complain("vaults", "at least one vault is needed")
        accounts = tuple(StorageAccount.read(node, subscription_id) for node in root.nodes("storageAccounts"))
        networks = tuple(VirtualNetwork.read(node, subscription_id) for node in root.nodes("virtualNetworks"))
        groups = root.texts("resourceGroups")
        denied = tuple(DeniedActions.read(node) for node in root.nodes("deniedActions"))
        vms = _read_vms(root, {vault.name: vault for vault in vaults}, subscription_id)
        settings = _read_settings(root.node_or_empty("settings"))
        root.close()
        if root.problems:
            raise InvalidDocument(dict.fromkeys(root.problems))
        return cls(
            subscription_id=subscription_id,
            subscriptions=(Subscription(subscription_id=subscription_id, name="Simulated"), *others),
            vaults=vaults,
            storage_accounts=accounts,
            virtual_networks=networks,
            resource_groups=groups,
            denied_actions=denied,
            vms=vms,
            settings=settings,
        )


def _read_settings(node: Node) -> Settings:
    pages, limits = node.node_or_empty("pageSizes"), node.node_or_empty("limits")
    settings = Settings(
        page_vaults=pages.whole("vaults", 100),
        page_points=pages.whole("recoveryPoints", 100),
        page_items=pages.whole("protectedItems", 200),
        page_jobs=pages.whole("jobs", 200),
        page_disks=pages.whole("disks", 200),
        page_vms=pages.whole("virtualMachines", 200),
        page_permissions=pages.whole("permissions", 100),
        page_resources=pages.whole("resources", 100),
        reads=_read_limit(limits.node_or_empty("reads"), Limit(size=250, refill_per_s=25)),
        writes=_read_limit(limits.node_or_empty("writes"), Limit(size=200, refill_per_s=10)),
        resource_requests=_read_limit(limits.node_or_empty("resourceRequests"), Limit(size=1100, refill_per_s=110)),
        validate_s=node.number("validateSeconds", 5),
        cancel_s=node.number("cancelSeconds", 30),
        graph_delay_s=node.number("graphDelaySeconds", 30),
        cores_per_region=node.whole("coresPerRegion", 2000),
        identity_secret=node.text("identitySecret", "simulator"),
        identity_failures=node.whole("identityFailures", 0),
        different_operation_ids=node.flag("differentOperationIds"),
        other_jobs=node.flag("otherJobs", default=True),
    )
    for each in (pages, limits, node):
        each.close()
    return settings


def _read_limit(node: Node, default: Limit) -> Limit:
    limit = Limit(
        size=node.whole("size", default.size), refill_per_s=node.number("refillPerSecond", default.refill_per_s)
    )
    node.close()
    return limit


def _read_vms(root: Node, vaults: Mapping[str, Vault], home: str) -> tuple[Vm, ...]:
    vms: dict[str, Vm] = {}
    for node, name in _expand(root):
        vm = _read_vm(node, name, vaults, home)
        if vm.key in vms:
            node.complain("name", f"there is another VM {vm.key}")
        vms[vm.key] = vm
    return tuple(vms.values())


def _expand(root: Node) -> Iterator[tuple[Node, str]]:
    """Give one node and name per VM: ``clone`` takes over what a VM further up says, ``count`` numbers copies."""
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
    names = {**_read_names(node, home), "name": name}
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
        data_disks=tuple(DataDisk.read(each) for each in node.nodes("dataDisks")),
        hardware=Hardware.read(node),
        disk_exclusion=DiskExclusion.read(node.node("diskExclusion")) if node.has("diskExclusion") else None,
        points=read_points(node, key),
        validation=tuple(Finding.read(each) for each in node.nodes("validation")),
        faults=Faults.read(node.node_or_empty("faults"), node.raw("faults") or {}),
    )
    node.close()
    return vm
