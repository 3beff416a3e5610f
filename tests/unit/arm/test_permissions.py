"""``queries/required_permissions.json`` names what the client calls and what Azure Backup requires of its caller."""

from __future__ import annotations

import inspect
import json
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest

from arm.backup import BackupClient
from domain.azure.permissions import READ_BLOBS
from domain.azure.protected_items import ProtectedItem
from domain.errors import RestoreError
from domain.follow_up.calls import UpdateDisks
from domain.follow_up.creation_calls import PutNetworkInterface, PutVirtualMachine
from tests.support.arm_server import ArmServer, Say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from arm.session import ArmSession

GROUP = "/subscriptions/s/resourceGroups/g"
VM = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/vm1"
DISK = f"{GROUP}/providers/Microsoft.Compute/disks/d1"
VAULT = f"{GROUP}/providers/Microsoft.RecoveryServices/vaults/v1"
ITEM = ProtectedItem(
    vault_id=VAULT, container_name="c", protected_item_name="i", source_resource_id=VM, region="westeurope"
)
ITEM_PATH = f"{VAULT}/backupFabrics/Azure/protectionContainers/c/protectedItems/i"
FILE = Path(__file__).parents[3] / "queries" / "required_permissions.json"
FEATURES: list[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
ACTIONS: dict[str, list[str]] = {feature["feature"]: feature["actions"] for feature in FEATURES}

INTERFACE = f"{GROUP}/providers/Microsoft.Network/networkInterfaces/n1"
ADDRESS = f"{GROUP}/providers/Microsoft.Network/publicIPAddresses/a1"
NEW_INTERFACE = PutNetworkInterface(restore_id="r", interface_id=INTERFACE, location="w", subnet_id=f"{GROUP}/s")
NEW_MACHINE = PutVirtualMachine(
    restore_id="r", vm_id=VM, location="w", size="s", os_disk_id=DISK, os_type="Linux", interface_id=INTERFACE
)
VERBS = {"GET": "read", "PATCH": "write", "PUT": "write", "DELETE": "delete"}

# What a feature is granted at: a member of RESTORE_SCOPES, or subscriptions of vaults and VMs.
SCOPES = {
    "subscriptions",
    "machineSubscriptions",
    "vaultIds",
    "targetResourceGroupIds",
    "stagingScopes",
    "virtualNetworkIds",
    "virtualMachineScopes",
    "inPlaceScopes",
}
# The features that make each call of the client.
CALLERS = {
    "get_backup_status": ["FindBackups"],
    "list_machine_sizes": ["ReadSizes"],
    "get_virtual_machine_region": ["ReadVirtualMachines", "ReplaceDisks"],
    # The disks of a restore are in its target resource group, those that are replaced in place in the VM's.
    "list_disks": ["CreateDisks", "ReplaceDisks"],
    "get_storage_account": ["StageRestores"],
    "list_storage_accounts": ["StageRestores"],
    "get_virtual_network": ["JoinNetworks"],
    "query_resources": [],  # Resource Graph has no action of its own: it shows what the other actions may read
    **{call: ["SwapDisks"] for call in ("update_disks", "merge_tags", "list_locks")},
    **{
        call: ["SwapDisks", "CreateVirtualMachinesFromDisks"]
        for call in ("deallocate_virtual_machine", "start_virtual_machine")
    },
    **{
        call: ["SwapDisks", "CreateVirtualMachinesFromDisks", "AttachDisks"]
        for call in ("get_virtual_machine", "get_compute_operation")
    },
    "get_disk": ["SwapDisks", "CreateVirtualMachinesFromDisks", "DeleteDisks"],
    **{
        call: ["CreateVirtualMachinesFromDisks"]
        for call in (
            *("get_deployment", "put_deployment", "get_made_resource", "put_network_interface"),
            "put_virtual_machine",
        )
    },
    "attach_disks": ["AttachDisks"],
    "delete_disk": ["DeleteDisks"],
    "list_permissions": [],  # of no feature: every role of infra/roles has Microsoft.Authorization/permissions/read
    **{
        call: ["RestoreFromVaults"]
        for call in (
            *("get_vault", "get_vault_region", "list_resource_guard_proxies"),
            *("get_protected_item", "list_protected_items"),
            *("list_recovery_points", "recovery_point_pages", "get_recovery_point"),
            *("trigger_restore", "get_operation", "trigger_validation", "get_validation"),
            *("find_restore_job", "list_restore_jobs", "list_running_jobs", "get_job", "cancel_job"),
        )
    },
}
# Azure Backup restores with the rights of its caller. Source: the table "Minimum role requirements for Azure VM
# backup" of https://learn.microsoft.com/azure/backup/backup-rbac-rs-vault. It names some actions, and for the rest only
# Contributor and Storage Account Contributor: the actions marked "inferred" are what a restore creates, reads or joins
# under these two roles.
REQUIRED_OF_THE_CALLER = {
    "CreateDisks": {
        "Microsoft.Compute/disks/write",  # inferred
        "Microsoft.Resources/subscriptions/resourceGroups/read",  # inferred
        "Microsoft.Resources/subscriptions/resourceGroups/write",
    },
    "StageRestores": {
        "Microsoft.Storage/storageAccounts/listkeys/action",  # inferred
        "Microsoft.Storage/storageAccounts/write",
    },
    "CreateVirtualMachines": {
        "Microsoft.Compute/virtualMachines/write",
        "Microsoft.Network/networkInterfaces/join/action",  # inferred
        "Microsoft.Network/networkInterfaces/read",  # inferred
        "Microsoft.Network/networkInterfaces/write",  # inferred
    },
    "JoinNetworks": {
        "Microsoft.Network/virtualNetworks/read",
        "Microsoft.Network/virtualNetworks/subnets/join/action",
    },
    "ReplaceDisks": {
        "Microsoft.Compute/disks/write",  # inferred
        "Microsoft.Compute/virtualMachines/write",
    },
    # Not of Azure Backup but of Azure Compute, which attaches a disk with the rights of its caller.
    "SwapDisks": {"Microsoft.Compute/disks/write"},  # inferred
    # What a VM names, and what a template makes, is made and joined with the rights of whoever deploys it.
    "CreateVirtualMachinesFromDisks": {
        "Microsoft.Compute/disks/write",  # inferred
        "Microsoft.Network/networkInterfaces/join/action",
        "Microsoft.Network/networkSecurityGroups/join/action",
        "Microsoft.Network/publicIPAddresses/join/action",
        "Microsoft.Network/publicIPAddresses/write",
    },
}


def calls(url: str) -> Iterable[tuple[str, Callable[[BackupClient], object]]]:
    """Yield a call of every public method; methods that poll a URL are called with every kind of URL."""
    yield "get_virtual_machine_region", lambda api: api.get_virtual_machine_region(VM)
    yield "get_vault_region", lambda api: api.get_vault_region(VAULT)
    yield "get_vault", lambda api: api.get_vault(VAULT)
    account = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/a"
    yield "get_storage_account", lambda api: api.get_storage_account(account)
    yield "list_storage_accounts", lambda api: list(api.list_storage_accounts(GROUP))
    network = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/n"
    yield "get_virtual_network", lambda api: api.get_virtual_network(network)
    yield "list_permissions", lambda api: list(api.list_permissions(VM))
    yield "list_disks", lambda api: list(api.list_disks(GROUP))
    yield "list_resource_guard_proxies", lambda api: list(api.list_resource_guard_proxies(VAULT))
    yield "get_backup_status", lambda api: api.get_backup_status(VM, "westeurope")
    yield "get_protected_item", lambda api: api.get_protected_item(VAULT, "c", "i")
    yield "list_protected_items", lambda api: list(api.list_protected_items(VAULT))
    yield "list_recovery_points", lambda api: list(api.list_recovery_points(ITEM))
    yield "recovery_point_pages", lambda api: list(api.recovery_point_pages(ITEM, None))
    yield "get_recovery_point", lambda api: api.get_recovery_point(ITEM, "p")
    yield "trigger_restore", lambda api: api.trigger_restore(ITEM, "p", {}, client_request_id="r")
    for address in (None, f"{url}{ITEM_PATH}/operationsStatus/o", f"{url}{ITEM_PATH}/operationResults/o"):
        yield "get_operation", lambda api, address=address: api.get_operation(VAULT, "o", address)
    yield "find_restore_job", lambda api: api.find_restore_job(VAULT, activity_id="r")
    yield "list_restore_jobs", lambda api: list(api.list_restore_jobs(VAULT))
    yield "query_resources", lambda api: api.query_resources("resources")
    yield "list_running_jobs", lambda api: api.list_running_jobs(VAULT)
    yield "get_virtual_machine", lambda api: api.get_virtual_machine(VM)
    yield "deallocate_virtual_machine", lambda api: api.deallocate_virtual_machine(VM)
    yield "start_virtual_machine", lambda api: api.start_virtual_machine(VM)
    yield "update_disks", lambda api: api.update_disks(UpdateDisks(vm_id=VM, data_disks=()))
    operation = f"{url}/subscriptions/s/providers/Microsoft.Compute/locations/westeurope/operations/o"
    yield "get_compute_operation", lambda api: api.get_compute_operation(operation)
    yield "get_disk", lambda api: api.get_disk(DISK)
    yield "merge_tags", lambda api: api.merge_tags(DISK, {"t": "v"})
    yield "list_locks", lambda api: list(api.list_locks(VM))
    yield "list_machine_sizes", lambda api: list(api.list_machine_sizes("/subscriptions/s", "westeurope"))
    yield "get_deployment", lambda api: api.get_deployment(GROUP, "d")
    yield "put_deployment", lambda api: api.put_deployment(GROUP, "d", {})
    for resource_id in (VM, INTERFACE, ADDRESS):
        yield "get_made_resource", lambda api, resource_id=resource_id: api.get_made_resource(resource_id)
    yield "put_network_interface", lambda api: api.put_network_interface(NEW_INTERFACE)
    yield "put_virtual_machine", lambda api: api.put_virtual_machine(NEW_MACHINE)
    yield "attach_disks", lambda api: api.attach_disks(VM, [DISK])
    yield "delete_disk", lambda api: api.delete_disk(DISK)
    yield "get_job", lambda api: api.get_job(VAULT, "j")
    yield "cancel_job", lambda api: api.cancel_job(VAULT, "j")
    yield "trigger_validation", lambda api: api.trigger_validation(ITEM, "p", {})
    for kind in ("backupValidateOperationsStatuses", "backupValidateOperationResults"):
        yield "get_validation", lambda api, kind=kind: api.get_validation(VAULT, "o", f"{url}{VAULT}/{kind}/o")
    yield "get_validation", lambda api: api.get_validation(VAULT, "o", None)


def action_of(method: str, path: str) -> str:
    """Return ARM's name of an operation: the types in the path, then ``read``, ``write``, or ``action``."""
    names = unquote(path).rpartition("/providers/")[2].split("/")
    types = names[1::2]
    return "/".join([names[0], *types, VERBS.get(method, "action")])


@pytest.fixture
def actions_by_feature(open_session: Callable[[str], ArmSession]) -> dict[str, set[str]]:
    """The actions of the calls that each feature makes."""
    found: dict[str, set[str]] = {feature: set() for feature in ACTIONS}
    with (
        closing(ArmServer()) as server,
        closing(BackupClient(open_session(server.url), api_version="2025-08-01")) as api,
    ):
        for name, call in calls(server.url):
            begin = len(server.requests)
            server.answers(*[Say(404, {"error": {"code": "NotFound", "message": "no"}})] * 2)
            with suppress(RestoreError):  # after a 404 a second URL is polled
                call(api)
            made = {action_of(request.method, request.path) for request in server.requests[begin:]}
            assert made, name
            for feature in CALLERS[name]:
                found[feature] |= made
    return found


@pytest.mark.parametrize("feature", ACTIONS)
def test_a_feature_has_exactly_the_actions_that_it_needs(feature: str, actions_by_feature: dict[str, set[str]]) -> None:
    needed = actions_by_feature[feature] | REQUIRED_OF_THE_CALLER.get(feature, set())

    assert set(ACTIONS[feature]) == needed


def test_all_calls_and_requirements_belong_to_a_feature() -> None:
    public = {name for name, _ in inspect.getmembers(BackupClient, inspect.isfunction) if not name.startswith("_")}

    others = {"close", "from_settings", "get_principal_id", "read_blob"}  # a blob needs a data action
    assert {name for name, _ in calls("")} == set(CALLERS) == public - others
    assert {feature for features in CALLERS.values() for feature in features} | REQUIRED_OF_THE_CALLER.keys() == (
        ACTIONS.keys() - {"ReadTemplates"}
    )
    assert len(ACTIONS) == len(FEATURES)


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature["feature"])
def test_a_feature_is_complete_and_has_no_wildcards(feature: dict[str, Any]) -> None:
    assert list(feature)[:4] == ["feature", "scope", "purpose", "actions"]
    assert feature.keys() <= {"feature", "scope", "purpose", "actions", "dataActions"}
    assert feature["scope"] in SCOPES
    assert feature["purpose"].endswith(".")
    assert feature["actions"] == sorted(set(feature["actions"]))
    assert feature["actions"] or feature["dataActions"] == [READ_BLOBS]
    assert not [action for action in feature["actions"] if "*" in action]


def test_the_documentation_has_every_feature_and_its_scope() -> None:
    page = (FILE.parents[1] / "docs" / "deploying.md").read_text(encoding="utf-8")
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in page.splitlines() if line.startswith("| ")}

    for feature in FEATURES:
        assert feature["scope"] in rows[feature["feature"]]


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("GET", VM, "Microsoft.Compute/virtualMachines/read"),
        ("GET", f"{VM}/providers/Microsoft.Authorization/permissions", "Microsoft.Authorization/permissions/read"),
        ("GET", f"{VAULT}/backupJobs", "Microsoft.RecoveryServices/vaults/backupJobs/read"),
        ("PUT", INTERFACE, "Microsoft.Network/networkInterfaces/write"),
        ("DELETE", DISK, "Microsoft.Compute/disks/delete"),
        ("PATCH", VM, "Microsoft.Compute/virtualMachines/write"),
        ("PATCH", f"{DISK}/providers/Microsoft.Resources/tags/default", "Microsoft.Resources/tags/write"),
        ("POST", f"{VAULT}/backupJobs/j/cancel", "Microsoft.RecoveryServices/vaults/backupJobs/cancel/action"),
    ],
)
def test_actions_have_the_names_that_arm_gives_them(method: str, path: str, action: str) -> None:
    assert action_of(method, path) == action
