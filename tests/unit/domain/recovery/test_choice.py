"""Which of the listed virtual machines a plan takes, and into which group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.recovery.choice import ProtectedVm, by_group, choose
from domain.recovery.plans_file import read_plans

if TYPE_CHECKING:
    from domain.recovery.plan import RecoveryPlan

SUBSCRIPTION = "/subscriptions/11111111-1111-1111-1111-111111111111"
VAULT = f"{SUBSCRIPTION}/resourceGroups/backup-rg/providers/Microsoft.RecoveryServices/vaults/weu"
OTHER_VAULT = f"{SUBSCRIPTION}/resourceGroups/backup-rg/providers/Microsoft.RecoveryServices/vaults/neu"
RESTORE = {
    "recoveryType": "RestoreDisks",
    "storageAccountId": f"{SUBSCRIPTION}/resourceGroups/b/providers/Microsoft.Storage/storageAccounts/staging",
    "targetResourceGroupId": "/subscriptions/{subscriptionId}/resourceGroups/restored-{resourceGroup}",
}


def vm_id(name: str, group: str = "web-rg") -> str:
    return f"{SUBSCRIPTION}/resourceGroups/{group}/providers/Microsoft.Compute/virtualMachines/{name}"


def a_plan(**groups: Any) -> RecoveryPlan:
    """Return a plan of these groups: lists of named VMs, selections, or whole groups."""
    bodies: list[dict[str, Any]] = []
    for name, members in groups.items():
        body = {"sourceResourceIds": members} if isinstance(members, list) else members
        bodies.append({"name": name, **(body if isinstance(members, list) or "select" in body else {"select": body})})
    return read_plans({"plans": [{"name": "p", "restore": RESTORE, "groups": bodies}]})["p"]


def listed(name: str, vault_id: str = VAULT, tags: Any = None, **members: Any) -> ProtectedVm:
    """Return a virtual machine read from a row, as Resource Graph may write it."""
    item = f"VM;iaasvmcontainerv2;web-rg;{name}"
    row = {
        "id": f"{vault_id}/backupFabrics/Azure/protectionContainers/IaasVMContainer;{item}/protectedItems/{item}",
        "sourceResourceId": vm_id(name),
        "virtualMachineId": vm_id(name),
        "vmTags": tags,
        **members,
    }
    vm = ProtectedVm.from_row(row)
    assert vm is not None
    return vm


def chosen(plan: RecoveryPlan, *vms: ProtectedVm) -> dict[str, list[str]]:
    """Return the names of the chosen VMs by group."""
    members = by_group(plan, choose(plan, vms))
    return {
        group.name: [vm.vm_id.rpartition("/")[2] for vm in vms] for group, vms in zip(plan.groups, members, strict=True)
    }


def test_a_pattern_takes_ids_in_any_case() -> None:
    plan = a_plan(web={"sourceResourceIds": ["*/resourceGroups/WEB-*/*/web-0?"]})

    assert chosen(plan, listed("web-02"), listed("db-01"), listed("WEB-01")) == {"web": ["WEB-01", "web-02"]}


@pytest.mark.parametrize("tags", [{"env": "prod"}, {"ENV": "Prod"}, {"Env": "PROD", "tier": "web"}])
def test_a_tag_is_compared_without_case(tags: dict[str, str]) -> None:
    assert chosen(a_plan(web={"tags": {"Env": "prod"}}), listed("a", tags=tags)) == {"web": ["a"]}


@pytest.mark.parametrize("tags", [None, {}, {"env": "production"}, {"environment": "prod"}, {"env": None}, "env=prod"])
def test_another_tag_or_none_is_no_match(tags: Any) -> None:
    assert chosen(a_plan(web={"tags": {"env": "prod"}}), listed("a", tags=tags)) == {"web": []}


def test_all_tags_are_needed() -> None:
    plan = a_plan(web={"tags": {"env": "prod", "tier": "web"}})

    assert chosen(plan, listed("a", tags={"env": "prod"}), listed("b", tags={"tier": "web", "env": "prod"})) == {
        "web": ["b"]
    }


def test_a_selection_by_tags_takes_no_deleted_vm_and_one_by_patterns_does() -> None:
    plan = a_plan(tagged={"tags": {"env": "prod"}}, named={"sourceResourceIds": ["*/virtualMachines/web-*"]})

    assert chosen(plan, listed("web-01", tags=None)) == {"tagged": [], "named": ["web-01"]}


def test_a_vault_is_compared_without_case() -> None:
    plan = a_plan(web={"vaultIds": [VAULT.upper()]})

    assert chosen(plan, listed("a"), listed("b", OTHER_VAULT), listed("c", VAULT.lower())) == {"web": ["a", "c"]}


def test_except_leaves_out_what_the_other_conditions_take() -> None:
    plan = a_plan(web={"vaultIds": [VAULT], "except": ["*-old"]})

    assert chosen(plan, listed("a"), listed("a-OLD")) == {"web": ["a"]}


def test_except_leaves_out_of_its_own_group_alone_and_nothing_that_is_named() -> None:
    group = {"sourceResourceIds": [vm_id("b-old")], "select": {"vaultIds": [VAULT], "except": ["*-old"]}}
    plan = a_plan(web=group, rest={"vaultIds": [VAULT]})

    assert chosen(plan, listed("a-old"), listed("b-old"), listed("c")) == {"web": ["b-old", "c"], "rest": ["a-old"]}


def test_what_two_groups_select_is_in_the_first_of_them() -> None:
    plan = a_plan(first={"sourceResourceIds": ["*/virtualMachines/web-*"]}, second={"vaultIds": [VAULT]})

    assert chosen(plan, listed("db-01"), listed("web-01")) == {"first": ["web-01"], "second": ["db-01"]}


def test_what_is_named_is_in_the_group_that_names_it_even_if_an_earlier_one_selects_it() -> None:
    plan = a_plan(first={"vaultIds": [VAULT]}, second=[vm_id("Web-01")], third=[vm_id("web-01"), vm_id("a")])

    found = chosen(plan, listed("web-01"), listed("web-02"))

    assert found == {"first": ["web-02"], "second": ["Web-01"], "third": ["a"]}


def test_what_is_named_and_not_listed_is_a_member_of_no_known_vault() -> None:
    plan = a_plan(web=[vm_id("new"), vm_id("a")])

    found = choose(plan, [listed("a")])

    assert [(vm.vm_id, vm.vault_ids) for vm in by_group(plan, found)[0]] == [(vm_id("new"), ()), (vm_id("a"), (VAULT,))]


def test_a_named_vm_is_found_by_the_id_that_it_had_before_it_was_moved() -> None:
    plan = a_plan(web=[vm_id("a", "former-rg")])

    found = choose(plan, [listed("a", virtualMachineId=vm_id("a", "FORMER-rg"))])

    assert [(vm.vm_id, vm.vault_ids) for vm in found.values()] == [(vm_id("a", "former-rg"), (VAULT,))]


@pytest.mark.parametrize("former", [None, vm_id("a", "former-rg")])
def test_a_pattern_is_compared_with_the_id_that_a_vm_has_now(former: str | None) -> None:
    plan = a_plan(
        old={"sourceResourceIds": ["*/former-rg/*"]}, new={"sourceResourceIds": ["*"], "except": ["*/former-rg/*"]}
    )

    assert chosen(plan, listed("a", virtualMachineId=former)) == {"old": [], "new": ["a"]}


def test_a_vm_in_two_vaults_is_one_member() -> None:
    plan = a_plan(second={"vaultIds": [VAULT]}, first={"vaultIds": [OTHER_VAULT]})

    (member,) = choose(plan, [listed("a", OTHER_VAULT), listed("A"), listed("a", VAULT.upper())]).values()

    assert (member.group, member.vault_ids) == (0, (OTHER_VAULT, VAULT))


def test_named_members_come_in_their_order_and_the_others_by_their_ids() -> None:
    plan = a_plan(web={"sourceResourceIds": [vm_id("z"), vm_id("b")], "select": {"vaultIds": [VAULT]}})

    assert chosen(plan, listed("y"), listed("c"), listed("z"), listed("A")) == {"web": ["z", "b", "A", "c", "y"]}


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"id": None},
        {"id": "x" * 2000},
        {"id": f"{VAULT}/backupPolicies/p", "sourceResourceId": vm_id("a")},
        {"id": f"{VAULT}/backupFabrics/Azure", "sourceResourceId": "", "virtualMachineId": None},
        {"id": f"{VAULT}/backupFabrics/Azure", "sourceResourceId": f"{SUBSCRIPTION}/resourceGroups/g"},
        {"id": "/subscriptions/s/../vaults/v/backupFabrics/x", "sourceResourceId": vm_id("a")},
    ],
)
def test_a_row_that_is_no_item_of_a_vm_is_none(row: dict[str, Any]) -> None:
    assert ProtectedVm.from_row(row) is None


NAMES = st.sampled_from(["web-01", "WEB-01", "web-02", "db-01", "db-old", "other"])
LISTED = st.builds(
    listed, NAMES, st.sampled_from([VAULT, OTHER_VAULT]), st.sampled_from([None, {"env": "prod"}, {"env": "test"}])
)
PLAN = a_plan(
    database=[vm_id("db-01"), vm_id("gone-01")],
    app={"tags": {"env": "prod"}, "except": ["*-old"]},
    web={"sourceResourceIds": ["*/virtualMachines/web-*"]},
    rest={"vaultIds": [OTHER_VAULT]},
)


@given(st.lists(LISTED), st.integers(0, 20), st.randoms())
def test_neither_pages_nor_the_order_of_rows_change_the_members(vms: list[ProtectedVm], cut: int, random: Any) -> None:
    mixed = list(vms)
    random.shuffle(mixed)

    at_once = by_group(PLAN, choose(PLAN, vms))
    in_pages = by_group(PLAN, choose(PLAN, mixed[cut:], choose(PLAN, mixed[:cut])))

    assert [[vm.vm_id.lower() for vm in group] for group in at_once] == [
        [vm.vm_id.lower() for vm in group] for group in in_pages
    ]
    everybody = [vm.vm_id.lower() for group in at_once for vm in group]
    assert len(everybody) == len(set(everybody))
