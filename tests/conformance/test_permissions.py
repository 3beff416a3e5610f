"""What the caller may do: permissions at each scope, and calls that are refused for a lack of them, raw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from simulator.reading import InvalidDocument
from simulator.scenario import Scenario
from simulator.server import running
from simulator.tenant import CLIENT_ID, PRINCIPAL_ID
from tests.conformance.caller import (
    ACCOUNTS,
    GUARD,
    STAGING,
    SUBSCRIPTION,
    TARGET_GROUP,
    VAULT,
    Caller,
    error_code,
    item_path,
    vm_id,
)

if TYPE_CHECKING:
    from simulator.clock import ManualClock

VNET = f"{TARGET_GROUP}/providers/Microsoft.Network/virtualNetworks/restored-vnet"
READ_VM, READ_JOBS = "Microsoft.Compute/virtualMachines/read", "Microsoft.RecoveryServices/vaults/backupJobs/read"
READ_ITEMS = "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems/read"
USE_GUARD = "Microsoft.DataProtection/resourceGuards/triggerRestoreRequests/read"
VERSION = "2022-04-01"


def permissions(arm: Caller, scope: str) -> list[dict[str, Any]]:
    """Return all permissions at a scope, page by page."""
    page = arm.get(f"{scope}/providers/Microsoft.Authorization/permissions", **{"api-version": VERSION}).json()
    found = page["value"]
    while link := page.get("nextLink"):
        page = arm.get(link).json()
        found += page["value"]
    return found


def denied(arm: Caller, scope: str) -> list[str]:
    first, *others = [entry["notActions"] for entry in permissions(arm, scope)]
    assert all(entry == first for entry in others)
    return first


@pytest.mark.parametrize("scope", [SUBSCRIPTION, TARGET_GROUP, VAULT, STAGING, VNET, vm_id("web-01")])
def test_everything_is_allowed_at_first_in_entries_on_several_pages(arm: Caller, scope: str) -> None:
    blobs = ["Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"]
    assert permissions(arm, scope) == [
        {"actions": [actions], "notActions": [], "dataActions": data, "notDataActions": []}
        for actions, data in (("*/read", []), ("*", blobs))
    ]


@pytest.mark.parametrize(
    ("scope", "code"),
    [
        ("/subscriptions/22222222-2222-2222-2222-222222222222", "SubscriptionNotFound"),
        (f"{SUBSCRIPTION}/resourceGroups/no-rg", "ResourceGroupNotFound"),
        (f"{VAULT}-x", "ResourceNotFound"),
        (f"{STAGING}x", "ResourceNotFound"),
        (f"{VNET}-x", "ResourceNotFound"),
        (f"{GUARD}-x", "ResourceNotFound"),
        (vm_id("gone-01"), "ResourceNotFound"),
        (f"{TARGET_GROUP}/providers/Microsoft.Web/sites/app", "ResourceNotFound"),
    ],
)
def test_an_unknown_scope_is_not_found(arm: Caller, scope: str, code: str) -> None:
    answer = arm.get(f"{scope}/providers/Microsoft.Authorization/permissions", **{"api-version": VERSION})

    assert (answer.status_code, error_code(answer)) == (404, code)


def test_an_action_that_is_taken_away_is_missing_at_its_scope_and_below(arm: Caller) -> None:
    group = vm_id("web-01").partition("/providers/")[0]
    answer = arm.post("/_simulator/denied-actions", {"scope": group.upper(), "actions": [READ_VM]})

    assert answer.status_code == 200
    assert [denied(arm, scope) for scope in (SUBSCRIPTION, group, vm_id("web-01"))] == [[], [READ_VM], [READ_VM]]
    refused = arm.get(vm_id("web-01"))
    assert (refused.status_code, error_code(refused)) == (403, "AuthorizationFailed")
    assert refused.json()["error"]["message"].startswith(
        f"The client '{CLIENT_ID}' with object id '{PRINCIPAL_ID}' does not have authorization to perform action "
        f"'{READ_VM}' over scope '"
    )
    assert arm.get(vm_id("sql-01", "sql-rg")).status_code == 200
    arm.post("/_simulator/denied-actions", {"scope": group, "actions": []})
    assert arm.get(vm_id("web-01")).status_code == 200


def test_calls_of_the_backup_service_have_their_own_actions(arm: Caller) -> None:
    arm.simulator.world.deny(VAULT, [READ_JOBS, READ_ITEMS])
    arm.simulator.world.deny(SUBSCRIPTION, ["*/backupStatus/action"])
    status = f"{SUBSCRIPTION}/providers/Microsoft.RecoveryServices/locations/westeurope/backupStatus"

    assert arm.get(f"{VAULT}/backupJobs").status_code == 403
    assert arm.get(item_path("web-01")).status_code == 403
    assert arm.get(f"{item_path('web-01')}/recoveryPoints").status_code == 200
    assert arm.get(VAULT).status_code == 200
    assert arm.post(status, {"resourceType": "VM", "resourceId": vm_id("web-01")}).status_code == 403
    assert denied(arm, VAULT) == ["*/backupStatus/action", READ_ITEMS, READ_JOBS]


GROUP = f"{SUBSCRIPTION}/resourceGroups/swap-rg"
DISK = f"{GROUP}/providers/Microsoft.Compute/disks/swap-01_DataDisk_0"
NIC = f"{GROUP}/providers/Microsoft.Network/networkInterfaces/swap-01-nic"
NSG = f"{TARGET_GROUP}/providers/Microsoft.Network/networkSecurityGroups/nsg-a"
ADDRESS = f"{TARGET_GROUP}/providers/Microsoft.Network/publicIPAddresses/pip-a"
IDENTITY = f"{TARGET_GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/one"
WRITE_VM, WRITE_NIC = "Microsoft.Compute/virtualMachines/write", "Microsoft.Network/networkInterfaces/write"
VM = vm_id("swap-01", "swap-rg")


def disks(**profile: Any) -> dict[str, Any]:
    return {"properties": {"storageProfile": profile}}


def configuration(**properties: Any) -> dict[str, Any]:
    return {"location": "westeurope", "properties": {"ipConfigurations": [{"name": "one", "properties": properties}]}}


@pytest.mark.parametrize(
    ("method", "path", "body", "own", "needed", "linked"),
    [
        (
            "PATCH",
            VM,
            disks(osDisk={"managedDisk": {"id": DISK}}),
            WRITE_VM,
            "Microsoft.Compute/disks/write",
            DISK,
        ),
        (
            "PATCH",
            VM,
            disks(dataDisks=[{"managedDisk": {"id": DISK}}]),
            WRITE_VM,
            "Microsoft.Compute/disks/write",
            DISK,
        ),
        (
            "POST",
            f"{VM}/attachDetachDataDisks",
            {"dataDisksToDetach": [{"diskId": DISK}]},
            "Microsoft.Compute/virtualMachines/attachDetachDataDisks/action",
            "Microsoft.Compute/disks/write",
            DISK,
        ),
        (
            "PUT",
            VM,
            {"properties": {"networkProfile": {"networkInterfaces": [{"id": NIC}]}}},
            WRITE_VM,
            "Microsoft.Network/networkInterfaces/join/action",
            NIC,
        ),
        (
            "PATCH",
            VM,
            {"identity": {"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}}},
            WRITE_VM,
            "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
            IDENTITY,
        ),
        (
            "PUT",
            NIC,
            configuration(subnet={"id": f"{VNET}/subnets/default"}),
            WRITE_NIC,
            "Microsoft.Network/virtualNetworks/subnets/join/action",
            f"{VNET}/subnets/default",
        ),
        (
            "PUT",
            NIC,
            configuration(publicIPAddress={"id": ADDRESS}),
            WRITE_NIC,
            "Microsoft.Network/publicIPAddresses/join/action",
            ADDRESS,
        ),
        (
            "PUT",
            NIC,
            {"properties": {"networkSecurityGroup": {"id": NSG}}},
            WRITE_NIC,
            "Microsoft.Network/networkSecurityGroups/join/action",
            NSG,
        ),
    ],
)
def test_a_write_needs_a_permission_at_what_it_names(
    arm: Caller, method: str, path: str, body: dict[str, Any], own: str, needed: str, linked: str
) -> None:
    arm.simulator.world.deny(linked, [needed])

    answer = arm.session.request(method, f"{arm.simulator.url}{path}?api-version=2024-07-01", json=body, timeout=10)

    assert (answer.status_code, error_code(answer)) == (403, "LinkedAuthorizationFailed")
    scope = VM if path.startswith(VM) else path
    assert f"has permission to perform action '{own}' on scope '{scope}'" in answer.json()["error"]["message"]
    assert f"action(s) '{needed}' on the linked scope(s) '{linked}'" in answer.json()["error"]["message"]


def test_an_identity_is_taken_away_without_a_permission_at_it(arm: Caller) -> None:
    arm.simulator.world.deny(TARGET_GROUP, ["Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"])
    body = {"identity": {"type": "None", "userAssignedIdentities": {IDENTITY: None}}}
    url = f"{arm.simulator.url}{VM}?api-version=2024-07-01"

    assert arm.session.patch(url, json=body, timeout=10).status_code == 200


def test_the_list_itself_can_be_denied(arm: Caller) -> None:
    arm.simulator.world.deny(TARGET_GROUP, ["Microsoft.Authorization/permissions/read"])

    answer = arm.get(f"{TARGET_GROUP}/providers/Microsoft.Authorization/permissions", **{"api-version": VERSION})

    assert (answer.status_code, error_code(answer)) == (403, "AuthorizationFailed")


def test_an_account_that_cannot_be_read_shows_it(arm: Caller) -> None:
    assert denied(arm, f"{ACCOUNTS}/staginghidden") == ["Microsoft.Storage/storageAccounts/read"]


def test_a_guard_allows_its_request_only_while_it_is_open(arm: Caller) -> None:
    before = denied(arm, GUARD)
    arm.simulator.world.set_guard("vault-guarded", granted=True)

    assert (before, denied(arm, GUARD)) == ([USE_GUARD], [])


def test_accounts_of_a_group_and_a_network_are_read(arm: Caller) -> None:
    listed = arm.get(ACCOUNTS).json()["value"]

    assert [account["name"] for account in listed] == ["stagingweu", "stagingzrs", "stagingblob", "stagingneu"]
    assert listed[0] == arm.get(STAGING).json()
    assert arm.get(VNET).json()["location"] == "westeurope"
    assert error_code(arm.get(f"{VNET}-x")) == "ResourceNotFound"
    assert error_code(arm.get(ACCOUNTS.replace("backup-rg", "no-rg"))) == "ResourceGroupNotFound"


def test_a_scenario_takes_actions_away_and_names_groups(clock: ManualClock) -> None:
    document = {
        "subscriptionId": SUBSCRIPTION.rpartition("/")[2],
        "vaults": [{"name": "vault-weu", "resourceGroup": "backup-rg", "region": "westeurope"}],
        "resourceGroups": ["Empty-RG"],
        "deniedActions": [{"scope": VAULT, "actions": [READ_JOBS]}],
    }
    with running(scenario=Scenario.from_dict(document), clock=clock) as simulator:
        arm = Caller(simulator)
        with arm.session:
            assert denied(arm, VAULT) == [READ_JOBS]
            assert denied(arm, f"{SUBSCRIPTION}/resourceGroups/empty-rg") == []


def test_wrong_denials_are_named(arm: Caller) -> None:
    answer = arm.post("/_simulator/denied-actions", {"scope": VAULT, "actions": "x", "more": 1})

    assert answer.status_code == 400
    assert answer.json()["problems"] == ["$.actions: expected a list", "$.more: unknown member"]
    with pytest.raises(InvalidDocument, match=r"deniedActions\[0\].scope: is missing"):
        Scenario.from_dict({"subscriptionId": "s", "vaults": [], "deniedActions": [{"actions": []}]})
