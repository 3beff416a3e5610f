from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from simulator.faults import ALWAYS, Burst
from simulator.providers.backup.protection import DiskExclusion
from simulator.reading import InvalidDocument
from simulator.scenario import Scenario

if TYPE_CHECKING:
    from pathlib import Path

A_VAULT = {"name": "v", "resourceGroup": "g", "region": "westeurope"}
VALID_TIERS = {"InstantRP": "Valid", "HardenedRP": "Valid"}


def a_document(*vms: Any, **members: Any) -> dict[str, Any]:
    return {
        "subscriptionId": "s",
        "vaults": [A_VAULT],
        "vms": list(vms),
        **members,
    }


def a_vm(**members: Any) -> dict[str, Any]:
    return {"name": "vm", "resourceGroup": "rg", "vault": "v", **members}


def problems_of(document: Any) -> list[str]:
    with pytest.raises(InvalidDocument) as caught:
        Scenario.from_dict(document)
    return list(caught.value.problems)


def test_default_scenario_is_as_documented() -> None:
    scenario = Scenario.default()
    guard = scenario.vaults[1].guard
    groups: dict[str, int] = {}
    for vm in scenario.vms:
        groups[vm.resource_group] = groups.get(vm.resource_group, 0) + 1

    assert scenario.subscription_id == "11111111-1111-1111-1111-111111111111"
    assert [(vault.name, vault.resource_group, vault.region) for vault in scenario.vaults] == [
        ("vault-weu", "backup-rg", "westeurope"),
        ("vault-guarded", "guarded-rg", "westeurope"),
        ("vault-zrs", "rules-rg", "westeurope"),
        ("vault-locked", "rules-rg", "westeurope"),
        ("vault-crr", "crr-rg", "westeurope"),
    ]
    assert groups == {
        "web-rg": 7,
        "Mixed-RG": 1,
        "sql-rg": 1,
        "guarded-rg": 1,
        "rules-rg": 9,
        "crr-rg": 3,
        "deleted-rg": 3,
        "old-rg": 1,
        "new-rg": 1,
        "swap-rg": 10,
        "load-rg": 100,
        "fault-rg": 24,
    }
    assert guard is not None
    assert (guard.name, guard.resource_group, guard.granted_after_s) == ("guard-01", "security-rg", 300)
    assert [vault.cross_subscription_restore for vault in scenario.vaults] == ["Enabled"] * 3 + ["Disabled", "Enabled"]
    assert [vault.cross_region_restore for vault in scenario.vaults] == [False] * 4 + [True]
    assert scenario.vaults[2].storage_type == "ZoneRedundant"
    unprotected = {vm.name for vm in scenario.vms if vm.vault is None and vm.resource_group != "swap-rg"}
    assert unprotected == {"lonely-01", "moved-01"}
    assert {vm.name for vm in scenario.vms if vm.vault and not vm.points} == {"empty-01"}


def test_point_ids_are_decimal_unique_and_the_same_every_time() -> None:
    ids = [point.point_id for vm in Scenario.default().vms for point in vm.points]

    assert ids == [point.point_id for vm in Scenario.default().vms for point in vm.points]
    assert len(set(ids)) == len(ids)
    assert all(point_id.isdecimal() and 15 <= len(point_id) <= 18 for point_id in ids)


def test_count_numbers_copies() -> None:
    scenario = Scenario.from_dict(a_document(a_vm(name="load", count=3)))

    assert [vm.name for vm in scenario.vms] == ["load-001", "load-002", "load-003"]


def test_clone_takes_over_what_it_does_not_say_itself() -> None:
    first = a_vm(name="a", osType="Linux", points=[{"ageHours": 1, "tiers": VALID_TIERS}], faults={"lost202": True})

    scenario = Scenario.from_dict(a_document(first, {"name": "b", "clone": "a", "faults": {}}))

    one, two = scenario.vms
    assert (two.name, two.os_type, len(two.points)) == ("b", "Linux", 1)
    assert (one.faults.lost202, two.faults.lost202) == (ALWAYS, 0)
    assert one.points[0].point_id != two.points[0].point_id


def test_copies_of_a_clone_are_not_counted_again() -> None:
    scenario = Scenario.from_dict(a_document(a_vm(name="a", count=2), {"name": "b", "clone": "a"}))

    assert [vm.name for vm in scenario.vms] == ["a-001", "a-002", "b"]


def test_location_is_the_vaults_unless_given() -> None:
    scenario = Scenario.from_dict(a_document(a_vm(name="a"), a_vm(name="b", location="northeurope")))

    assert [vm.location for vm in scenario.vms] == ["westeurope", "northeurope"]


def test_archived_points_need_rehydration_and_rehydrated_ones_do_not() -> None:
    archived = {"ageHours": 1, "tiers": {"HardenedRP": "Deleted", "ArchivedRP": "Valid"}}
    rehydrated = {"ageHours": 1, "tiers": {"HardenedRP": "Deleted", "ArchivedRP": "Rehydrated"}}
    both = {"ageHours": 1, "tiers": {"InstantRP": "Valid", "ArchivedRP": "Valid"}}

    points = Scenario.from_dict(a_document(a_vm(points=[archived, rehydrated, both]))).vms[0].points

    assert [point.needs_rehydration for point in points] == [True, False, False]
    assert points[1].valid_tiers == {"HardenedRP"}


def test_all_switches_are_read() -> None:
    switches = {
        "lost202": {"count": 2},
        "throttle429": {"count": 3, "retryAfterSeconds": 4, "actions": ["get_job"]},
        "jobFailed": {"afterSeconds": 5},
        "wrongHostUrl": "http://127.0.0.1:1",
        "jobNotListed": {"seconds": 6},
        "unauthorizedOnce": False,
    }

    faults = Scenario.from_dict(a_document(a_vm(faults=switches))).vms[0].faults

    assert faults.lost202 == 2
    assert faults.throttle429 == Burst(count=3, retry_after_s=4.0, form="seconds", actions=("get_job",))
    assert faults.job_failed is not None
    assert (faults.job_failed.after_s, faults.job_failed.detail.title) == (5.0, "UserErrorSimulated")
    assert faults.wrong_host_url == "http://127.0.0.1:1"
    assert faults.job_not_listed_s == 6.0
    assert faults.unauthorized_once == 0


def test_disk_exclusion_names_disks_in_or_out() -> None:
    exclusions = [DiskExclusion(luns=(1,), inclusion=inclusion) for inclusion in (True, False)]

    assert [[each.backs_up(lun) for lun in (0, 1)] for each in exclusions] == [[False, True], [True, False]]


@pytest.mark.parametrize(
    ("document", "problems"),
    [
        ([], ["$: expected an object"]),
        ({}, ["$.subscriptionId: is missing"]),
        ({"subscriptionId": "s"}, ["$.vaults: at least one vault is needed"]),
        (a_document(surprise=1), ["$.surprise: unknown member"]),
        (a_document(subscriptionId=5), ["$.subscriptionId: expected a string that is not empty"]),
        (a_document(vms={}), ["$.vms: expected a list"]),
        (a_document("vm"), ["$.vms[0]: expected an object"]),
        (a_document({"name": "x"}), ["$.vms[0].resourceGroup: is missing", "$.vms[0].location: is missing"]),
        (a_document(a_vm(vault="w")), ["$.vms[0].vault: there is no such vault", "$.vms[0].location: is missing"]),
        (a_document(a_vm(clone="y")), ["$.vms[0].clone: there is no VM 'y' further up"]),
        (a_document(a_vm(count=0)), ["$.vms[0].count: expected a whole number, one or more"]),
        (a_document(a_vm(), a_vm(name="VM")), ["$.vms[1].name: there is another VM rg/vm"]),
        (a_document(a_vm(osType="Plan9")), ["$.vms[0].osType: expected one of Windows, Linux"]),
        (a_document(a_vm(deleted="yes")), ["$.vms[0].deleted: expected true or false"]),
        (a_document(a_vm(diskGb=0)), ["$.vms[0].diskGb: expected a number above 0"]),
        (a_document(a_vm(diskGb="big")), ["$.vms[0].diskGb: expected a number"]),
        (
            a_document(a_vm(points=[{}])),
            ["$.vms[0].points[0].tiers: expected an object", "$.vms[0].points[0].ageHours: is missing"],
        ),
        (
            a_document(a_vm(points=[{"ageHours": -1, "tiers": {}}])),
            ["$.vms[0].points[0].ageHours: expected a number, zero or more"],
        ),
        (
            a_document(a_vm(points=[{"ageHours": 1, "tiers": {"InstantRP": "Fine", "GoldRP": "Valid"}}])),
            [
                "$.vms[0].points[0].tiers.InstantRP: expected one of Valid, Disabled, Deleted, Rehydrated",
                "$.vms[0].points[0].tiers.GoldRP: unknown member",
            ],
        ),
        (
            a_document(a_vm(points=[{"id": "12a", "ageHours": 1, "tiers": VALID_TIERS}])),
            ["$.vms[0].points[0].id: expected decimal digits in a string"],
        ),
        (
            a_document(a_vm(points=[{"zones": [1], "ageHours": 1, "tiers": VALID_TIERS}])),
            ["$.vms[0].points[0].zones: expected a list of strings"],
        ),
        (
            a_document(
                a_vm(points={"generate": {"count": 0, "everyHours": 0, "like": [{"ageHours": 1, "tiers": {}}]}})
            ),
            [
                "$.vms[0].points.generate.like[0].ageHours: unknown member",
                "$.vms[0].points.generate.everyHours: expected a number above 0",
                "$.vms[0].points.generate.count: expected a whole number, one or more",
            ],
        ),
        (
            a_document(a_vm(points={"generate": {"count": 1, "everyHours": 1, "seed": 1}, "more": 1})),
            [
                "$.vms[0].points.generate.like: at least one point to take after is needed",
                "$.vms[0].points.generate.seed: unknown member",
                "$.vms[0].points.more: unknown member",
            ],
        ),
        (a_document(a_vm(points={})), ["$.vms[0].points.generate: expected an object"]),
        (
            a_document(a_vm(dataDisks=[{"lun": -1, "sizeGb": 0}], diskExclusion={"diskLunList": [True], "why": 1})),
            [
                "$.vms[0].dataDisks[0].lun: expected a whole number, zero or more",
                "$.vms[0].dataDisks[0].sizeGb: expected a number above 0",
                "$.vms[0].diskExclusion.diskLunList: expected a list of whole numbers",
                "$.vms[0].diskExclusion.why: unknown member",
            ],
        ),
        (
            a_document(vaults=[{**A_VAULT, "crossSubscriptionRestore": "Never"}]),
            [
                "$.vaults[0].crossSubscriptionRestore: expected one of Enabled, Disabled, PermanentlyDisabled, Absent",
            ],
        ),
        (
            a_document(
                vaults=[{**A_VAULT, "resourceGuard": {"name": "g", "granted": False, "grantedAfterSeconds": 1, "x": 1}}]
            ),
            [
                "$.vaults[0].resourceGuard.granted: goes without grantedAfterSeconds",
                "$.vaults[0].resourceGuard.resourceGroup: is missing",
                "$.vaults[0].resourceGuard.x: unknown member",
            ],
        ),
        (a_document(a_vm(validation=[{"code": "C"}])), ["$.vms[0].validation[0].message: is missing"]),
        (
            a_document(a_vm(faults={"lost202": {"count": 0}})),
            ["$.vms[0].faults.lost202.count: expected a whole number, one or more"],
        ),
        (a_document(a_vm(faults={"lost202": 3})), ["$.vms[0].faults.lost202: expected true or false"]),
        (
            a_document(a_vm(faults={"operationFailed": {"code": "C"}})),
            ["$.vms[0].faults.operationFailed.message: is missing"],
        ),
        (
            a_document(a_vm(faults={"jobWarnings": [{"errorCode": 1, "why": 2}]})),
            ["$.vms[0].faults.jobWarnings[0].why: unknown member"],
        ),
        (a_document(settings={"speed": 1}), ["$.settings.speed: unknown member"]),
        (
            a_document(settings={"limits": {"reads": {"size": 1.5, "refillPerSecond": -1}}}),
            [
                "$.settings.limits.reads.size: expected a whole number, one or more",
                "$.settings.limits.reads.refillPerSecond: expected a number, zero or more",
            ],
        ),
        (
            a_document(settings={"pageSizes": {"jobs": True}}),
            ["$.settings.pageSizes.jobs: expected a whole number, one or more"],
        ),
        (
            a_document(vaults=[{"name": "v"}]),
            ["$.vaults[0].resourceGroup: is missing", "$.vaults[0].region: is missing"],
        ),
        (
            a_document(storageAccounts=[{"name": "s", "resourceGroup": "g"}]),
            ["$.storageAccounts[0].location: is missing"],
        ),
    ],
)
def test_every_problem_is_named_by_its_place(document: Any, problems: list[str]) -> None:
    assert problems_of(document) == problems


def test_problem_of_a_counted_vm_is_named_once() -> None:
    assert problems_of(a_document(a_vm(count=50, osType="Plan9"))) == [
        "$.vms[0].osType: expected one of Windows, Linux"
    ]


def test_file_that_is_no_json_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "scenario.json"
    file.write_text("{", encoding="utf-8")
    with pytest.raises(InvalidDocument, match=r"\$: no JSON"):
        Scenario.from_file(file)

    file.write_bytes(b"\xff")
    with pytest.raises(InvalidDocument, match=r"\$: no JSON"):
        Scenario.from_file(file)


def test_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "scenario.json"
    file.write_text(json.dumps(a_document(a_vm())), encoding="utf-8")

    assert Scenario.from_file(file) == Scenario.from_dict(a_document(a_vm()))
