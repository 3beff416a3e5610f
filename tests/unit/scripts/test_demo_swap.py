"""The swap of the demo: what it takes for proof."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.demo_swap import Swapping

ACTIONS = ["trigger_restore", *["deallocate_vm", "get_vm", "patch_vm", "start_vm"] * 2]


def a_document(*, former: str = "old", new: str = "new", **members: Any) -> dict[str, Any]:
    place = {"lun": None, "formerDiskId": former, "diskId": new}
    swap = {"state": "Swapped", "disks": [place], "downtime": "PT1M4.5S"}
    return {"status": "Completed", "error": None, "completedTime": "x", "result": {"swap": swap}, **members}


def a_swap(**members: Any) -> Swapping:
    known = {"document": a_document(), "undo": a_document(former="new", new="OLD"), "actions": ACTIONS, **members}
    return Swapping(vm_id="/vm", vm_key="g/vm", **known)


def test_a_swap_that_was_undone_is_proof() -> None:
    assert a_swap().problem is None
    assert a_swap().is_finished
    assert a_swap().downtime == "64.5 s"


def test_a_call_that_the_host_made_twice_is_one() -> None:
    assert a_swap(actions=[*ACTIONS[:2], *ACTIONS[1:]]).problem is None


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"document": a_document(status="Failed", error={"message": "No."})}, "the swap ended as Failed: No."),
        ({"document": a_document(result=None)}, "the swap ended as Completed"),
        ({"undo": a_document(status="Failed", error={"message": "Gone."})}, "the undo ended as Failed: Gone."),
        ({"undo": a_document(former="new", new="other")}, "the undo did not put the former disks back"),
        ({"actions": [*ACTIONS, "patch_vm"]}, "instead of one swap and its undo"),
        ({"actions": [*ACTIONS[:3], *ACTIONS[4:]]}, "instead of one swap and its undo"),
        ({"actions": ["trigger_restore", *ACTIONS]}, "the simulator saw 2 restore POSTs"),
    ],
)
def test_anything_else_is_not(members: dict[str, Any], problem: str) -> None:
    assert problem in (a_swap(**members).problem or "")


def test_a_swap_that_failed_has_no_undo_to_wait_for() -> None:
    assert a_swap(document=a_document(status="Failed", result=None), undo={}).is_finished
    assert not a_swap(undo={"id": "1"}).is_finished
