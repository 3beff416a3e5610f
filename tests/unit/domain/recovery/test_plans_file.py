"""A file of recovery plans is checked as a whole: every problem is found before the day on which the plan is needed."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidRequestError
from domain.recovery.plans_file import plans_schema, read_plans
from tests.support.plans import RESTORE, STAGING, SUBSCRIPTION, a_group, a_plan, vm

if TYPE_CHECKING:
    from domain.recovery.plan import RecoveryPlan

type Problem = tuple[str | None, str]


def read(*plans: dict[str, Any]) -> RecoveryPlan:
    return next(iter(read_plans({"plans": list(plans)}).values()))


def problems_of(*plans: dict[str, Any]) -> list[Problem]:
    with pytest.raises(InvalidRequestError) as caught:
        read_plans({"plans": list(plans)})
    return [(detail.target, detail.message) for detail in caught.value.details]


def test_a_group_waits_for_the_one_before_it_unless_it_says_otherwise() -> None:
    plan = read(
        a_plan(
            a_group("network"),
            a_group("database", after=[]),
            a_group("app", after=["DATABASE", "network"]),
            a_group("web"),
        )
    )

    assert {group.name: group.after for group in plan.groups} == {
        "network": (),
        "database": (),
        "app": ("database", "network"),
        "web": ("app",),
    }
    assert plan.waves() == [["network", "database"], ["app"], ["web"]]


def test_members_of_a_group_win_over_those_of_the_plan() -> None:
    other = f"{SUBSCRIPTION}/resourceGroups/elsewhere"
    plan = read(
        a_plan(
            a_group("web", vm("web-01"), restore={"targetResourceGroupId": other}),
            a_group("app", vm("app-01", "app-rg"), restore={"recoveryPoint": {"id": "17"}}),
            recoveryPoint={"notOlderThan": "P2D"},
        )
    )
    web, app = plan.groups

    assert web.request_for(vm("web-01")).body == {
        "recoveryPoint": {"notOlderThan": "P2D"},
        "recoveryType": "RestoreDisks",
        "storageAccountId": STAGING,
        "targetResourceGroupId": other,
        "sourceResourceId": vm("web-01"),
    }
    request = app.request_for(vm("app-01", "app-rg"))
    assert request.target_group == f"{SUBSCRIPTION}/resourceGroups/restored-app-rg"
    assert request.criteria.point_id == "17"


def test_a_gate_waits_four_hours_unless_it_says_otherwise() -> None:
    plan = read(
        a_plan(
            a_group("database"),
            a_group("app", gate={"approval": {}}),
            a_group("web", gate={"approval": {"timeout": "PT30M"}}),
        )
    )

    timeouts = [group.approval_timeout for group in plan.groups]
    assert timeouts == [None, timedelta(hours=4), timedelta(minutes=30)]


def test_a_virtual_machine_that_is_named_twice_is_one_member_of_the_first_group() -> None:
    plan = read(a_plan(a_group("web", vm("web-01"), vm("web-02")), a_group("app", vm("WEB-01"), vm("app-01"))))

    members = [(group.name, vm_id) for group, vm_id in plan.named_members()]
    assert members == [("web", vm("web-01")), ("web", vm("web-02")), ("app", vm("app-01"))]


def test_a_selection_has_vaults_patterns_tags_and_exceptions() -> None:
    select = {"sourceResourceIds": ["*/resourceGroups/App-*/*"], "tags": {"env": "prod"}, "except": ["*/*-old"]}
    (group,) = read(a_plan({"name": "app", "select": select})).groups

    assert group.selection is not None
    assert group.selection.vault_ids is None
    assert group.selection.source_resource_ids is not None
    assert group.selection.source_resource_ids[0].matches(vm("a", "app-1").lower())
    assert group.selection.tags == {"env": "prod"}
    assert group.selection.excluded[0].matches(vm("a-old").lower())


SWAP = {**RESTORE, "thenSwapDisks": {}, "targetResourceGroupId": None}
LONG_TARGET = "/subscriptions/{subscriptionId}/resourceGroups/x-{resourceGroup}-{vmName}"
GROUP_RESTORE = {"targetResourceGroupId": f"{SUBSCRIPTION}/resourceGroups/one"}
NEW_VM_OF_DISKS = {
    **RESTORE,
    **GROUP_RESTORE,
    "thenCreateVirtualMachine": {
        "name": "copy",
        "subnetId": f"{GROUP_RESTORE['targetResourceGroupId']}/providers/Microsoft.Network/virtualNetworks/n/subnets/s",
    },
}
NEW_VM = {
    **RESTORE,
    "recoveryType": "AlternateLocation",
    "targetResourceGroupId": f"{SUBSCRIPTION}/resourceGroups/one",
    "targetVirtualMachineId": vm("copy", "one"),
    "virtualNetworkId": f"{SUBSCRIPTION}/resourceGroups/one/providers/Microsoft.Network/virtualNetworks/net",
    "subnetId": f"{SUBSCRIPTION}/resourceGroups/one/providers/Microsoft.Network/virtualNetworks/net/subnets/default",
}


@pytest.mark.parametrize(
    ("plans", "problems"),
    [
        (
            [a_plan(a_group("a"), a_group("b", after=["c"]), a_group("c", after=["d"]), a_group("d"))],
            [("plans[0].groups", "wait for each other in a circle: c waits for d waits for c")],
        ),
        (
            [a_plan(a_group("a", after=["A"]))],
            [("plans[0].groups", "wait for each other in a circle: a waits for a")],
        ),
        (
            [a_plan(a_group("a"), a_group("b", after=["a", "x"]))],
            [("plans[0].groups[1].after[1]", "names no group of the plan")],
        ),
        (
            [a_plan(a_group("a"), a_group("A"))],
            [("plans[0].groups[1].name", "must differ from the name of plans[0].groups[0]")],
        ),
        ([a_plan(), a_plan(maxRunning=3)], [("plans[1].name", "must differ from the name of plans[0]")]),
        (
            [a_plan({"name": "a"})],
            [("plans[0].groups[0].sourceResourceIds", "is needed, or select: a group has virtual machines")],
        ),
        (
            [a_plan({"name": "a", "select": {"except": ["*/x-*"]}})],
            [("plans[0].groups[0].select.sourceResourceIds", "is needed, or tags, or vaultIds")],
        ),
        (
            [a_plan(restore={"recoveryType": "RestoreDisks"})],
            [("plans[0].restore.storageAccountId", "is needed unless identityInfo is given")],
        ),
        (
            [a_plan(a_group("a", restore={"recoveryType": "RestoreDisk"}))],
            [
                (
                    "plans[0].groups[0].restore.recoveryType",
                    "must be one of RestoreDisks, AlternateLocation, OriginalLocation",
                )
            ],
        ),
        (
            [a_plan(restore={**RESTORE, "requestId": "x", "approval": {"required": True}})],
            [
                (
                    "plans[0].restore.requestId",
                    "must be left out: each member has a key of its own, made from the recovery's id",
                ),
                (
                    "plans[0].restore.approval",
                    "must be left out, or have before: Swap: a group waits for a person by its gate",
                ),
            ],
        ),
        (
            [a_plan(restore={**RESTORE, "approval": {"required": True, "before": "Swap"}})],
            [("plans[0].restore.approval.before", "may be Swap only together with thenSwapDisks")],
        ),
        (
            [a_plan(restore={**SWAP, "approval": {"before": "Swap", "distinct": True}})],
            [
                ("plans[0].restore.approval.distinct", "is not a known field"),
                ("plans[0].restore.approval.required", "is needed"),
            ],
        ),
        (
            [a_plan(restore={**RESTORE, "targetResourceGroupId": "/subscriptions/{subscriptionID}/resourceGroups/x"})],
            [
                (
                    "plans[0].restore.targetResourceGroupId",
                    "has an unknown placeholder; is it {subscriptionId}?",
                ),
            ],
        ),
        (
            [
                a_plan(
                    restore={
                        **RESTORE,
                        "targetResourceGroupId": LONG_TARGET,
                    }
                )
            ],
            [
                (
                    "plans[0].restore.targetResourceGroupId",
                    (
                        "must be the resource id of a resource group, such as "
                        "/subscriptions/<id>/resourceGroups/<name> "
                        "(checked with the longest names that Azure allows)"
                    ),
                )
            ],
        ),
        (
            [a_plan(a_group("a", vm("web-01"), vm("WEB-01", "other-rg"), restore=GROUP_RESTORE))],
            [
                (
                    "plans[0].groups",
                    (
                        f"restore {vm('web-01')} and {vm('WEB-01', 'other-rg')} under one name to "
                        f"{SUBSCRIPTION}/resourceGroups/one: WEB-01: give one of them another target"
                    ),
                )
            ],
        ),
        (
            [a_plan(a_group("a", vm("web-01")), a_group("b", vm("web-02")), restore=NEW_VM_OF_DISKS)],
            [
                (
                    "plans[0].groups",
                    (
                        f"restore {vm('web-01')} and {vm('web-02')} under one name to "
                        f"{SUBSCRIPTION}/resourceGroups/one: copy: give one of them another target"
                    ),
                )
            ],
        ),
        (
            [a_plan(a_group("a", vm("web-01")), a_group("b", vm("web-02")), restore=NEW_VM)],
            [
                (
                    "plans[0].groups",
                    (
                        f"restore {vm('web-01')} and {vm('web-02')} under one name to "
                        f"{SUBSCRIPTION}/resourceGroups/one: copy: give one of them another target"
                    ),
                )
            ],
        ),
    ],
)
def test_every_problem_is_named_with_its_place(plans: list[dict[str, Any]], problems: list[Problem]) -> None:
    assert problems_of(*plans) == problems


def test_each_member_of_a_group_may_wait_for_a_person_before_its_swap() -> None:
    approval = {"required": True, "before": "Swap", "timeout": "PT30M"}
    plan = read(a_plan(a_group("a", restore={"thenSwapDisks": {"start": False}, "approval": approval}), a_group("b")))

    first, second = (group.request_for(vm("web-01")) for group in plan.groups)
    assert (first.needs_approval_of_swap, first.needs_approval) == (True, False)
    assert first.approval_timeout == timedelta(minutes=30)
    assert (second.needs_approval_of_swap, second.needs_approval) == (False, False)
    assert plan.replaces_disks


@pytest.mark.parametrize(
    "restore",
    [
        {
            **NEW_VM_OF_DISKS,
            "thenCreateVirtualMachine": {**NEW_VM_OF_DISKS["thenCreateVirtualMachine"], "name": "{vmName}-r"},
        },
        {**RESTORE, **GROUP_RESTORE, "thenAttachDisks": {"virtualMachineId": vm("rescue"), "deleteOthers": True}},
    ],
)
def test_members_may_become_new_vms_or_disks_of_one_vm_without_a_person(restore: dict[str, Any]) -> None:
    plan = read(a_plan(a_group("a", vm("web-01"), vm("web-02")), restore=restore))

    assert not plan.replaces_disks
    assert [plan.groups[0].request_for(vm(name)).needs_approval for name in ("web-01", "web-02")] == [False, False]


def test_a_group_whose_virtual_machines_all_belong_to_groups_before_it_is_refused_unless_it_is_optional() -> None:
    first, second = a_group("a", vm("web-01"), vm("web-02")), a_group("b", vm("WEB-02"))

    assert problems_of(a_plan(first, second)) == [
        (
            "plans[0].groups[1].sourceResourceIds",
            "has no virtual machine of its own: groups before it name all of them",
        )
    ]
    assert read(a_plan(first, {**second, "optional": True}))
    assert read(a_plan(first, {**second, "select": {"tags": {"env": "prod"}}}))


@pytest.mark.parametrize("member", ["sourceResourceIds", "except"])
def test_a_pattern_that_can_match_no_virtual_machine_is_refused(member: str) -> None:
    select = {"tags": {"env": "prod"}, member: ["web-*"]}

    ((target, message),) = problems_of(a_plan({"name": "web", "select": select}))

    assert target == f"plans[0].groups[0].select.{member}[0]"
    assert message.startswith("matches no virtual machine: it is compared with the whole id, such as /subscriptions/")


def test_a_recovery_has_at_most_a_thousand_named_members() -> None:
    groups = [a_group(f"g{n}", *(vm(f"vm-{n}-{i}") for i in range(n, 501 + n))) for n in range(2)]

    assert problems_of(a_plan(*groups)) == [
        ("plans[0].groups", "name 1002 virtual machines; a recovery has at most 1000")
    ]


@given(st.lists(st.sets(st.integers(0, 7), max_size=3), min_size=1, max_size=8))
def test_a_plan_is_accepted_exactly_if_an_order_of_its_groups_exists(after: list[set[int]]) -> None:
    count = len(after)
    edges = [{to % count for to in targets} for targets in after]
    groups = [a_group(f"g{i}", after=[f"g{to}" for to in sorted(edges[i])]) for i in range(count)]
    done: set[int] = set()
    while ready := {i for i in range(count) if i not in done and edges[i] <= done}:
        done |= ready

    if len(done) < count:
        ((target, message),) = problems_of(a_plan(*groups))
        assert target == "plans[0].groups"
        circle = message.removeprefix("wait for each other in a circle: ").split(" waits for ")
        assert circle[0] == circle[-1]
        assert all(int(to[1:]) in edges[int(start[1:])] for start, to in itertools.pairwise(circle))
    else:
        started: set[str] = set()
        for wave in read(a_plan(*groups)).waves():
            for name in wave:
                assert {f"g{to}" for to in edges[int(name[1:])]} <= started
            started |= set(wave)
        assert len(started) == count


def test_the_schema_accepts_what_the_reader_accepts_and_refuses_unknown_members() -> None:
    schema = plans_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    plan = a_plan(
        a_group("database"),
        {
            "name": "app",
            "after": [],
            "optional": True,
            "gate": {"approval": {"timeout": "PT2H"}},
            "select": {"tags": {"env": "prod"}, "except": ["*-old"]},
            "restore": {
                "validate": False,
                "thenSwapDisks": {"dataDisksOnly": True},
                "approval": {"required": True, "before": "Swap"},
            },
        },
        recoveryPoint={"notOlderThan": "P2D"},
        maxRunning=40,
    )

    validator.validate({"plans": [plan]})
    for broken in (
        {**plan, "grups": []},
        {**plan, "restore": {**RESTORE, "dryRun": True}},
        {**plan, "restore": {**RESTORE, "approval": {"required": True}}},
        {**plan, "maxRunning": 0},
    ):
        assert not validator.is_valid({"plans": [broken]}), json.dumps(broken)
