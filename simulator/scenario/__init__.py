"""What the simulator starts with, as a scenario file says it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.locks import Lock
from simulator.reading import InvalidDocument, Node
from simulator.scenario.machines import Vm, read_vms
from simulator.scenario.resources import DeniedActions, Named, StorageAccount, Subscription, Vault, VirtualNetwork
from simulator.scenario.settings import Limit, Settings

__all__ = [
    "DEFAULT_FILE",
    "DeniedActions",
    "Limit",
    "Named",
    "Scenario",
    "Settings",
    "StorageAccount",
    "Subscription",
    "Vault",
    "VirtualNetwork",
    "Vm",
]

DEFAULT_FILE = Path(__file__).parents[1] / "default_scenario.json"


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
    locks: tuple[Lock, ...]
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
        locks = tuple(Lock.read(node) for node in root.nodes("locks"))
        vms = read_vms(root, {vault.name: vault for vault in vaults}, subscription_id)
        settings = Settings.read(root.node_or_empty("settings"))
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
            locks=locks,
            vms=vms,
            settings=settings,
        )
