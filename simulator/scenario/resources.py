"""The resources of a scenario besides virtual machines: vaults, staging accounts, networks; and denied actions."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, ClassVar

from simulator.providers.backup.guards import ResourceGuard
from simulator.providers.backup.protection import VaultIdentity
from simulator.reading import Node

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def read_names(node: Node, home: str) -> dict[str, str]:
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
        names = read_names(node, home)
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
            **read_names(node, home),
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
            **read_names(node, home),
            location=node.text("location"),
            prefix=prefix,
            subnets=tuple(_read_subnets(node, prefix)),
        )
        node.close()
        return network


def _read_subnets(network: Node, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the prefix of each subnet: the next sixteenth of the network where the scenario says none."""
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
