"""The recovery of the demo: its plan, and what it takes for proof."""

from __future__ import annotations

from typing import Any

import pytest

from domain.recovery.plans_file import read_plans
from scripts.demo_recovery import PLAN_VMS, Recovering, plan_of, state_of
from tests.support.plans import RESTORE, vm


def a_group(name: str, started: int, ended: int, **members: Any) -> dict[str, Any]:
    return {
        "name": name,
        "status": "Completed",
        "counts": {"Completed": 1},
        "waitingFor": [],
        "started": f"2026-11-24T10:00:{started:02d}Z",
        "ended": f"2026-11-24T10:00:{ended:02d}Z",
        **members,
    }


def a_recovery(**members: Any) -> Recovering:
    groups = [a_group("database", 1, 5), a_group("app", 6, 10), a_group("web", 10, 20)]
    document = {"status": "Completed", "error": None, "groups": groups, "completedTime": "x", **members}
    return Recovering({}, PLAN_VMS, document, posts=6, approved=True)


def test_the_plan_is_a_good_one_with_a_gate_in_the_middle() -> None:
    [plan] = read_plans({"plans": [plan_of([vm(name) for name in PLAN_VMS], RESTORE)]}).values()

    assert [(group.name, len(group.source_resource_ids)) for group in plan.groups] == [
        ("database", 1),
        ("app", 2),
        ("web", 3),
    ]
    assert plan.waves() == [["database"], ["app"], ["web"]]
    assert [group.approval_timeout is not None for group in plan.groups] == [False, True, False]


def test_what_completed_in_order_is_proof() -> None:
    assert a_recovery().problem is None


@pytest.mark.parametrize(
    ("members", "changes", "problem"),
    [
        ({"status": "CompletedWithWarnings"}, {}, "it ended as CompletedWithWarnings"),
        ({"status": "Failed", "error": {"message": "No."}}, {}, "it ended as Failed: No."),
        ({"status": "Failed", "groups": [a_group("app", 1, 2, status="Rejected")]}, {}, "Failed: app Rejected"),
        ({"groups": [a_group("database", 1, 5), a_group("app", 4, 6)]}, {}, "a group started before"),
        ({}, {"posts": 7}, "the simulator saw 7 restore POSTs for its 6 VMs"),
        ({}, {"approved": False}, "the group app waited for nobody"),
    ],
)
def test_anything_else_is_not(members: dict[str, Any], changes: dict[str, Any], problem: str) -> None:
    recovering = a_recovery(**members)
    for name, value in changes.items():
        setattr(recovering, name, value)

    assert problem in (recovering.problem or "")


@pytest.mark.parametrize(
    ("group", "state"),
    [
        (a_group("app", 1, 2), "Completed 1 of 1"),
        (a_group("app", 1, 2, status="Pending", waitingFor=["database", "net"]), "waits for database, net"),
        (a_group("app", 1, 2, status="Pending", counts={"Pending": 2}), "Pending"),
        (a_group("app", 1, 2, status="Running", counts={"Pending": 1, "Running": 2, "Failed": 3}), "Running 3 of 6"),
    ],
)
def test_a_group_is_told_in_a_few_words(group: dict[str, Any], state: str) -> None:
    assert state_of(group) == state
