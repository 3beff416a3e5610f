"""Restore constraints of item, point, vault, target and staging account: refused by a restore, found by validation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from simulator.clock import ManualClock
from simulator.scenario import Scenario
from simulator.server import running
from tests.conformance.caller import (
    ACCOUNTS,
    LOCKED,
    NETWORK,
    STAGING,
    TARGET_GROUP,
    VAULT,
    ZRS,
    Caller,
    error_code,
    item_path,
    new_vm_members,
    point_of,
    vm_id,
)

RULES = "rules-rg"
ELSEWHERE = TARGET_GROUP.replace("1111", "2222")
IN_PLACE: dict[str, Any] = {"recoveryType": "OriginalLocation"}
STAGING_ABROAD = (
    "/subscriptions/44444444-4444-4444-4444-444444444444/resourceGroups/recovery-rg"
    "/providers/Microsoft.Storage/storageAccounts/stagingrecovery"
)
ABROAD: dict[str, Any] = {"targetResourceGroupId": ELSEWHERE}


def staged_in(account: str) -> dict[str, Any]:
    return {"storageAccountId": f"{ACCOUNTS}/{account}"}


def by_identity(account: str) -> dict[str, Any]:
    return {
        "storageAccountId": None,
        "identityInfo": {"isSystemAssignedIdentity": True},
        "identityBasedRestoreDetails": {"targetStorageAccountId": f"{ACCOUNTS}/{account}"},
    }


DISK_ACCESS = f"{TARGET_GROUP}/providers/Microsoft.Compute/diskAccesses/private"


def access(option: str, disk_access: str | None = None) -> dict[str, Any]:
    """Say how the restored disks are reached."""
    settings = {"targetDiskNetworkAccessOption": option, "targetDiskAccessId": disk_access}
    return {"targetDiskNetworkAccessSettings": {name: value for name, value in settings.items() if value}}


def new_vm_abroad(member: str) -> dict[str, Any]:
    """Name one id of another subscription among those of a new VM."""
    members = new_vm_members()
    return {**members, member: members[member].replace("1111", "2222")}


# vault, VM, its resource group, index of its point, members of the body, reason
BROKEN = [
    pytest.param(vault, name, group, point, members, reason, id=f"{reason} - {number}")
    for number, (vault, name, group, point, members, reason) in enumerate(
        [
            (VAULT, "web-02", "web-rg", 1, {}, "the recovery point is soft-deleted"),
            (VAULT, "encrypted-01", RULES, 0, IN_PLACE, "OriginalLocation does not work for encrypted VMs"),
            (VAULT, "unmanaged-01", RULES, 0, IN_PLACE, "OriginalLocation does not work for unmanaged VMs"),
            *(
                (VAULT, "private-01", RULES, 0, members, "a point with private access needs the access of its disks")
                for members in ({}, {"targetResourceGroupId": TARGET_GROUP}, IN_PLACE)
            ),
            (VAULT, "private-01", RULES, 0, access("Private"), "the access of the disks must be one of three options"),
            (
                VAULT,
                "private-01",
                RULES,
                0,
                access("EnablePrivateAccessForAllDisks"),
                "targetDiskAccessId belongs to EnablePrivateAccessForAllDisks, and to that alone",
            ),
            (
                VAULT,
                "private-01",
                RULES,
                0,
                access("SameAsOnSourceDisks", DISK_ACCESS),
                "targetDiskAccessId belongs to EnablePrivateAccessForAllDisks, and to that alone",
            ),
            *(
                (vault, name, group, 0, access("SameAsOnSourceDisks"), "a point without private access takes no access")
                for vault, name, group in ((VAULT, "web-01", "web-rg"), (VAULT, "unmanaged-01", RULES))
            ),
            (VAULT, "web-01", "web-rg", 0, {"zones": ["4"]}, "zones must name one zone, 1 to 3, or NoZone"),
            (VAULT, "web-01", "web-rg", 0, {"zones": ["1"]}, "zones need a zone-redundant vault"),
            (ZRS, "zonal-01", RULES, 1, {"zones": ["1"]}, "zones need a point in the vault tier"),
            (VAULT, "encrypted-01", RULES, 0, {"zones": ["NoZone"]}, "zones need a managed, unencrypted point"),
            (VAULT, "unmanaged-01", RULES, 0, {"zones": ["NoZone"]}, "zones need a managed, unencrypted point"),
            (VAULT, "selective-01", RULES, 0, IN_PLACE, "an item with selected disks allows RestoreDisks alone"),
            (
                VAULT,
                "selective-01",
                RULES,
                0,
                new_vm_members(),
                "an item with selected disks allows RestoreDisks alone",
            ),
            (LOCKED, "locked-01", RULES, 0, ABROAD, "the vault does not allow restores to another subscription"),
            *(
                (
                    LOCKED,
                    "locked-01",
                    RULES,
                    0,
                    new_vm_abroad(member),
                    "the vault does not allow restores to another subscription",
                )
                for member in ("targetResourceGroupId", "targetVirtualMachineId")
            ),
            (
                LOCKED,
                "locked-01",
                RULES,
                0,
                {
                    **new_vm_members(),
                    "virtualNetworkId": NETWORK.replace("1111", "2222"),
                    "subnetId": f"{NETWORK.replace('1111', '2222')}/subnets/default",
                },
                "the vault does not allow restores to another subscription",
            ),
            (
                LOCKED,
                "locked-01",
                RULES,
                0,
                {"storageAccountId": STAGING_ABROAD},
                "the vault does not allow restores to another subscription",
            ),
            (VAULT, "web-02", "web-rg", 2, ABROAD, "a snapshot alone cannot be restored to another subscription"),
            (
                VAULT,
                "encrypted-01",
                RULES,
                0,
                ABROAD,
                "only managed, unencrypted points are restored to another subscription",
            ),
            (
                VAULT,
                "unmanaged-01",
                RULES,
                0,
                ABROAD,
                "only managed, unencrypted points are restored to another subscription",
            ),
            (VAULT, "web-01", "web-rg", 0, staged_in("nowhere"), "the staging account does not exist"),
            (
                VAULT,
                "web-01",
                "web-rg",
                0,
                staged_in("stagingneu"),
                "the staging account must be in the vault's region",
            ),
            (VAULT, "web-01", "web-rg", 0, staged_in("stagingzrs"), "the staging account must not be zone-redundant"),
            (
                VAULT,
                "web-01",
                "web-rg",
                0,
                staged_in("stagingblob"),
                "the staging account must not be of kind BlobStorage",
            ),
            (
                VAULT,
                "web-01",
                "web-rg",
                0,
                by_identity("stagingneu"),
                "the staging account must be in the vault's region",
            ),
            (VAULT, "web-01", "web-rg", 0, by_identity("stagingzrs"), "the staging account must not be zone-redundant"),
        ]
    )
]


def a_validation(arm: Caller, vault: str, name: str, group: str, point: int, **members: Any) -> dict[str, Any]:
    request = arm.request_body(name, group, point, **members)["properties"]
    return {
        "id": f"{item_path(name, group, vault)}/recoveryPoints/{request['recoveryPointId']}",
        "properties": {"objectType": "ValidateIaasVMRestoreOperationRequest", "restoreRequest": request},
    }


def findings_of(arm: Caller, vault: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    answer = arm.post(f"{vault}/backupValidateOperation", body)
    assert answer.status_code == 200, answer.text
    return answer.json()["validateOperationResponse"]["validationResults"]


@pytest.mark.parametrize(("vault", "name", "group", "point", "members", "reason"), BROKEN)
def test_restore_that_violates_a_constraint_is_refused(
    arm: Caller, vault: str, name: str, group: str, point: int, members: dict[str, Any], reason: str
) -> None:
    answer = arm.restore(name, group, point, vault=vault, **members)

    assert (answer.status_code, error_code(answer)) == (400, "BMSUserErrorInvalidInput")
    assert answer.json()["error"]["details"] == [{"code": "SimulatorReason", "message": reason}]
    assert not arm.simulator.world.jobs


@pytest.mark.parametrize(("vault", "name", "group", "point", "members", "reason"), BROKEN)
def test_validation_finds_the_violated_constraint(
    arm: Caller, vault: str, name: str, group: str, point: int, members: dict[str, Any], reason: str
) -> None:
    findings = findings_of(arm, vault, a_validation(arm, vault, name, group, point, **members))

    assert findings == [{"code": "BMSUserErrorInvalidInput", "message": reason, "recommendations": []}]


def test_validation_finds_every_violated_constraint_and_what_the_scenario_says(arm: Caller) -> None:
    members = {**new_vm_members(), "targetVirtualMachineId": vm_id("web-02"), **staged_in("stagingzrs")}

    findings = findings_of(arm, VAULT, a_validation(arm, VAULT, "quota-01", "web-rg", 0, **members))

    assert [finding["code"] for finding in findings] == [
        "UserErrorVmAlreadyExists",
        "BMSUserErrorInvalidInput",
        "UserErrorCoreCountSubscriptionQuotaReached",
    ]


def test_validation_over_time_ends_with_the_finding(arm: Caller, clock: ManualClock) -> None:
    answer = arm.post(
        f"{VAULT}/backupTriggerValidateOperation",
        a_validation(arm, VAULT, "gone-01", "web-rg", 0, **IN_PLACE),
    )
    clock.advance(10)

    done = arm.get(answer.headers["Azure-AsyncOperation"]).json()

    assert done["status"] == "Succeeded"
    found = done["properties"]["validateOperationResponse"]["validationResults"]
    assert [finding["code"] for finding in found] == ["UserErrorBcmDatasourceNotPresent"]


@pytest.mark.parametrize(
    ("vault", "name", "group", "point", "members"),
    [
        (VAULT, "selective-01", RULES, 0, {"restoreDiskLunList": [0, 1]}),
        (VAULT, "selective-01", RULES, 1, {"restoreDiskLunList": []}),
        (VAULT, "selective-01", RULES, 0, {}),
        (VAULT, "web-01", "web-rg", 0, {"restoreDiskLunList": [0]}),
        (VAULT, "web-01", "web-rg", 0, {"restoreDiskLunList": []}),
        (VAULT, "unmanaged-01", RULES, 0, new_vm_members()),
        (VAULT, "encrypted-01", RULES, 0, new_vm_members()),
        (ZRS, "zonal-01", RULES, 0, {"zones": ["2"]}),
        (ZRS, "zonal-01", RULES, 2, {"zones": ["NoZone"], **new_vm_members()}),
        (LOCKED, "locked-01", RULES, 0, new_vm_members()),
        (VAULT, "web-01", "web-rg", 0, new_vm_abroad("targetResourceGroupId")),
        (
            VAULT,
            "web-01",
            "web-rg",
            0,
            {**new_vm_members(), "targetVirtualMachineId": vm_id("web-02").replace("1", "2")},
        ),
        (VAULT, "web-01", "web-rg", 0, staged_in("staginghidden")),
        (VAULT, "web-01", "web-rg", 0, by_identity("stagingweu")),
    ],
)
def test_restore_within_the_constraints_is_accepted(
    arm: Caller, vault: str, name: str, group: str, point: int, members: dict[str, Any]
) -> None:
    assert findings_of(arm, vault, a_validation(arm, vault, name, group, point, **members)) == []
    assert arm.restore(name, group, point, vault=vault, **members).status_code == 202


def test_staging_account_of_an_identity_must_be_a_resource_id(arm: Caller) -> None:
    members = {**by_identity("x"), "identityBasedRestoreDetails": {"targetStorageAccountId": "stagingweu"}}

    assert arm.restore("web-01", **members).status_code == 400


def scenario_of(vault: dict[str, Any], accounts: list[dict[str, Any]] | None = None) -> Scenario:
    points = [{"ageHours": 1, "tiers": {"InstantRP": "Valid", "HardenedRP": "Valid"}}]
    home = {"resourceGroup": "backup-rg", "location": "westeurope"}
    return Scenario.from_dict(
        {
            "subscriptionId": "11111111-1111-1111-1111-111111111111",
            "vaults": [{"name": "vault-weu", "resourceGroup": "backup-rg", "region": "westeurope", **vault}],
            "storageAccounts": [{"name": "stagingweu", **home}, *({**home, **each} for each in accounts or [])],
            "vms": [{"name": "web-01", "resourceGroup": "web-rg", "vault": "vault-weu", "points": points}],
        }
    )


# The vault


@pytest.mark.parametrize("redundancy", ["LocallyRedundant", "ZoneRedundant", "GeoRedundant"])
def test_vault_shows_its_redundancy(redundancy: str) -> None:
    with running(scenario_of({"storageType": redundancy, "crossRegionRestore": True})) as simulator:
        caller = Caller(simulator)
        with caller.session:
            vault = caller.get(VAULT).json()["properties"]
            config = caller.get(f"{VAULT}/backupstorageconfig/vaultstorageconfig").json()["properties"]

    assert vault["redundancySettings"] == {
        "standardTierStorageRedundancy": redundancy,
        "crossRegionRestore": "Enabled",
    }
    assert (config["storageType"], config["crossRegionRestoreFlag"]) == (redundancy, True)


@pytest.mark.parametrize(
    ("state", "shown", "status"),
    [
        ("Enabled", {"crossSubscriptionRestoreState": "Enabled"}, 202),
        ("Disabled", {"crossSubscriptionRestoreState": "Disabled"}, 400),
        ("PermanentlyDisabled", {"crossSubscriptionRestoreState": "PermanentlyDisabled"}, 400),
        ("Absent", {}, 202),
    ],
)
def test_vault_shows_and_keeps_its_cross_subscription_setting(state: str, shown: dict[str, str], status: int) -> None:
    with running(scenario_of({"crossSubscriptionRestore": state})) as simulator:
        caller = Caller(simulator)
        with caller.session:
            settings = caller.get(VAULT).json()["properties"]["restoreSettings"]
            answer = caller.restore("web-01", **ABROAD)
            at_home = caller.restore("web-01", targetResourceGroupId=TARGET_GROUP)

    assert settings == {"crossSubscriptionRestoreSettings": shown}
    assert (answer.status_code, at_home.status_code) == (status, 202)


# Staging accounts


@pytest.mark.parametrize("sku", ["Standard_ZRS", "Standard_GZRS", "Standard_RAGZRS", "Premium_ZRS"])
def test_every_zone_redundant_sku_is_refused(sku: str) -> None:
    with running(scenario_of({}, [{"name": "zonal", "sku": sku}])) as simulator:
        caller = Caller(simulator)
        with caller.session:
            assert caller.restore("web-01", **staged_in("zonal")).status_code == 400


def test_storage_account_shows_what_the_constraints_depend_on() -> None:
    account = {"name": "odd", "sku": "Standard_GZRS", "kind": "BlobStorage", "allowSharedKeyAccess": False}
    with running(scenario_of({}, [account])) as simulator:
        caller = Caller(simulator)
        with caller.session:
            body = caller.get(f"{ACCOUNTS}/odd").json()
            usual = caller.get(STAGING).json()

    assert (body["location"], body["sku"]["name"], body["kind"]) == ("westeurope", "Standard_GZRS", "BlobStorage")
    assert body["properties"]["allowSharedKeyAccess"] is False
    assert usual["properties"]["allowSharedKeyAccess"] is True


def test_unreadable_account_answers_403_and_still_serves_a_restore(arm: Caller) -> None:
    answer = arm.get(f"{ACCOUNTS}/staginghidden")

    assert (answer.status_code, error_code(answer)) == (403, "AuthorizationFailed")
    assert "'Microsoft.Storage/storageAccounts/read'" in answer.json()["error"]["message"]
    assert answer.headers["x-ms-failure-cause"] == "gateway"
    assert arm.restore("web-01", **staged_in("staginghidden")).status_code == 202


# Items and points


def test_item_with_selected_disks_says_so(arm: Caller) -> None:
    chosen = arm.get(item_path("selective-01", RULES)).json()["properties"]
    usual = arm.get(item_path("unmanaged-01", RULES)).json()["properties"]
    native_name = f"iaasvmcontainerv2;{RULES};selective-01"
    condition = f"containerName eq '{native_name}'"
    listed = arm.get(f"{VAULT}/backupProtectedItems", **{"$filter": condition}).json()["value"]

    assert chosen["extendedProperties"] == {"diskExclusionProperties": {"diskLunList": [0, 1], "isInclusionList": True}}
    assert listed[0]["properties"]["extendedProperties"] == chosen["extendedProperties"]
    assert "extendedProperties" not in usual


def test_disks_are_named_by_the_single_point_alone(arm: Caller) -> None:
    path = f"{item_path('selective-01', RULES)}/recoveryPoints"
    listed = arm.get(path).json()["value"][0]["properties"]

    single = arm.get(f"{path}/{point_of(arm.simulator, 'selective-01')}").json()["properties"]

    disks = single.pop("recoveryPointDiskConfiguration")
    counts = listed.pop("recoveryPointDiskConfiguration")
    assert single == listed
    assert counts == {"numberOfDisksIncludedInBackup": 3, "numberOfDisksAttachedToVm": 4}
    assert counts.items() <= disks.items()
    attached = arm.get(f"{vm_id('x', RULES).partition('/virtualMachines')[0]}/disks").json()["value"]
    named = [disk["name"] for disk in disks["includedDiskList"] + disks["excludedDiskList"]]
    assert [disk["lun"] for disk in disks["includedDiskList"] + disks["excludedDiskList"]] == [-1, 0, 1, 2]
    assert set(named) <= {disk["name"] for disk in attached}


def test_item_without_a_selection_says_nothing_about_its_disks(arm: Caller) -> None:
    point = arm.get(f"{item_path('disks-01', RULES)}/recoveryPoints/{point_of(arm.simulator, 'disks-01')}").json()

    assert "recoveryPointDiskConfiguration" not in point["properties"]


def test_open_item_level_session_and_zones_are_shown(arm: Caller) -> None:
    selective = arm.get(f"{item_path('selective-01', RULES)}/recoveryPoints").json()["value"]
    zonal = arm.get(f"{item_path('zonal-01', RULES, ZRS)}/recoveryPoints/{point_of(arm.simulator, 'zonal-01')}").json()

    assert [each["properties"]["isInstantIlrSessionActive"] for each in selective] == [False, True]
    assert zonal["properties"]["zones"] == ["1"]


# New VMs


def test_only_one_of_two_restores_to_the_same_name_makes_the_vm(arm: Caller, clock: ManualClock) -> None:
    first = arm.restored_job("web-01", **new_vm_members())
    clock.advance(60)
    second = arm.restored_job("web-02", point=3, **new_vm_members())
    clock.advance(130)

    assert arm.job(first)["status"] == "Completed"
    failed = arm.job(second)
    assert failed["status"] == "Failed"
    assert failed["errorDetails"][0]["errorTitle"] == "UserErrorVmAlreadyExists"
    assert arm.get(new_vm_members()["targetVirtualMachineId"]).status_code == 200


def test_name_is_free_again_when_the_restore_that_wanted_it_was_cancelled(arm: Caller, clock: ManualClock) -> None:
    first = arm.restored_job("web-01", **new_vm_members())
    arm.post(f"{VAULT}/backupJobs/{first}/cancel")
    second = arm.restored_job("web-01", **new_vm_members())
    clock.advance(130)

    assert arm.job(first)["status"] == "Cancelled"
    assert arm.job(second)["status"] == "Completed"


# Long rows of points


def generated(count: int, **members: Any) -> Scenario:
    points = {"generate": {"count": count, "everyHours": 2, "like": [{"tiers": {"HardenedRP": "Valid"}}], **members}}
    return Scenario.from_dict(
        {
            "subscriptionId": "11111111-1111-1111-1111-111111111111",
            "vaults": [{"name": "vault-weu", "resourceGroup": "backup-rg", "region": "westeurope"}],
            "storageAccounts": [{"name": "stagingweu", "resourceGroup": "backup-rg", "location": "westeurope"}],
            "vms": [{"name": "web-01", "resourceGroup": "web-rg", "vault": "vault-weu", "points": points}],
        }
    )


def test_ten_thousand_points_come_in_a_hundred_pages(clock: ManualClock) -> None:
    with running(generated(10_000), clock=clock) as simulator:
        caller = Caller(simulator)
        with caller.session:
            pages = [caller.get(f"{item_path('web-01')}/recoveryPoints").json()]
            while "nextLink" in pages[-1]:
                pages.append(caller.get(pages[-1]["nextLink"]).json())
            points = [point for page in pages for point in page["value"]]
            item = caller.get(item_path("web-01"), **{"$filter": "expand eq 'extendedInfo'"}).json()["properties"]
            single = caller.get(f"{item_path('web-01')}/recoveryPoints/{points[4711]['name']}").json()
            taken = caller.restore("web-01", point=9_999)

    times = [point["properties"]["recoveryPointTime"] for point in points]
    assert [len(page["value"]) for page in pages] == [100] * 100
    assert len({point["name"] for point in points}) == 10_000
    assert times == sorted(times, reverse=True)
    assert item["extendedInfo"]["recoveryPointCount"] == 10_000
    assert (item["lastRecoveryPoint"], item["extendedInfo"]["oldestRecoveryPoint"]) == (times[0], times[-1])
    assert single["properties"]["recoveryPointTime"] == times[4711]
    assert taken.status_code == 202


@pytest.mark.parametrize(
    ("window", "ages"),
    [
        ("startDate eq '2026-11-20 05:00:00 AM'", [1, 3, 5, 7]),
        ("endDate eq '2026-11-18 12:00:00 AM'", [61, 63]),
        ("startDate eq '2026-11-20 03:00:00 AM' and endDate eq '2026-11-20 07:00:00 AM'", [5, 7, 9]),
        ("startDate eq '2026-11-21 02:00:00 AM'", list[int]()),
    ],
)
def test_window_with_both_its_ends_is_cut_out_of_generated_points(window: str, ages: list[int]) -> None:
    noon = ManualClock(datetime(2026, 11, 20, 12, tzinfo=UTC))
    with running(generated(32), clock=noon) as simulator:
        caller = Caller(simulator)
        with caller.session:
            found = caller.get(f"{item_path('web-01')}/recoveryPoints", **{"$filter": window}).json()["value"]
        vm = simulator.world.vm_named("web-01")
        assert vm is not None
        wanted = [point.point_id for point in vm.points if point.age_hours in ages]

    assert [point["name"] for point in found] == wanted
    assert len(wanted) == len(ages)
