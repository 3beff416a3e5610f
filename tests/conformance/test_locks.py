"""Management locks: who shows them, and which calls they refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from simulator.reading import InvalidDocument
from simulator.scenario import Scenario
from simulator.server import running
from tests.conformance.caller import SUBSCRIPTION, TARGET_GROUP, Caller, error_code, vm_id

if TYPE_CHECKING:
    import requests

    from simulator.clock import ManualClock

GROUP = f"{SUBSCRIPTION}/resourceGroups/swap-rg"
VM = vm_id("swap-01", "swap-rg")
DISK = f"{GROUP}/providers/Microsoft.Compute/disks/swap-01_DataDisk_0"
VERSION = "2020-05-01"


def locks_at(arm: Caller, scope: str, **query: str) -> list[tuple[str, str]]:
    """Return the scope and the level of each lock that a list shows."""
    path = f"{scope}/providers/Microsoft.Authorization/locks"
    found = arm.get(path, **{"api-version": VERSION}, **query).json()["value"]
    return [(entry["id"].partition("/providers/Microsoft.Auth")[0], entry["properties"]["level"]) for entry in found]


def call(arm: Caller, method: str, path: str, body: Any = None) -> requests.Response:
    url = f"{arm.simulator.url}{path}?api-version=2025-04-01"
    return arm.session.request(method, url, json=body, timeout=10)


def test_the_locks_that_hold_for_a_vm_are_its_own_and_those_above_it(arm: Caller) -> None:
    world = arm.simulator.world
    for scope, level in ((SUBSCRIPTION, "CanNotDelete"), (GROUP.upper(), "ReadOnly"), (VM, "CanNotDelete")):
        world.set_lock(scope, level)
    world.set_lock(f"{VM}/extensions/agent", "ReadOnly")
    world.set_lock(f"{GROUP}-other", "ReadOnly")

    held = [(SUBSCRIPTION, "CanNotDelete"), (GROUP.upper(), "ReadOnly"), (VM, "CanNotDelete")]
    assert locks_at(arm, VM, **{"$filter": "atScope()"}) == held
    assert locks_at(arm, VM) == [*held, (f"{VM}/extensions/agent", "ReadOnly")]


def test_the_list_of_a_group_shows_what_is_locked_in_it_unless_it_is_told_not_to(arm: Caller) -> None:
    arm.simulator.world.set_lock(VM, "ReadOnly")

    assert (VM, "ReadOnly") in locks_at(arm, GROUP)
    assert locks_at(arm, GROUP, **{"$filter": "atScope()"}) == []


def test_a_lock_is_read_by_its_name(arm: Caller) -> None:
    place = f"{vm_id('swap-readonly-01', 'swap-rg')}/providers/Microsoft.Authorization/locks"

    (found,) = arm.get(place, **{"api-version": VERSION}).json()["value"]
    assert found == {
        "properties": {"level": "ReadOnly"},
        "id": f"{place}/swap-readonly-01-lock",
        "type": "Microsoft.Authorization/locks",
        "name": "swap-readonly-01-lock",
    }
    assert arm.get(found["id"], **{"api-version": VERSION}).json() == found
    assert arm.get(f"{place}/none", **{"api-version": VERSION}).status_code == 404


@pytest.mark.parametrize(
    ("scope", "code"), [(f"{GROUP}-x", "ResourceGroupNotFound"), (vm_id("none", "swap-rg"), "ResourceNotFound")]
)
def test_what_is_not_there_has_no_locks(arm: Caller, scope: str, code: str) -> None:
    answer = arm.get(f"{scope}/providers/Microsoft.Authorization/locks", **{"api-version": VERSION})

    assert (answer.status_code, error_code(answer)) == (404, code)


@pytest.mark.parametrize("scope", [SUBSCRIPTION, GROUP, VM])
@pytest.mark.parametrize(
    ("method", "action", "body"),
    [
        ("POST", "/deallocate", None),
        ("POST", "/start", None),
        ("POST", "/attachDetachDataDisks", {}),
        ("POST", "/retrieveBootDiagnosticsData", None),
        ("PATCH", "", {"tags": {"a": "b"}}),
        ("PUT", "", {"location": "westeurope"}),
        ("PUT", "/runCommands/one", {"properties": {}}),
    ],
)
def test_a_vm_that_may_only_be_read_is_neither_changed_nor_turned_on_or_off(
    arm: Caller, scope: str, method: str, action: str, body: dict[str, Any] | None
) -> None:
    arm.simulator.world.set_lock(scope, "ReadOnly")

    answer = call(arm, method, VM + action, body)

    assert (answer.status_code, error_code(answer)) == (409, "ScopeLocked")
    resource = VM + action if action.startswith("/runCommands") else VM
    assert answer.json()["error"]["message"] == (
        f"The scope '{resource}' cannot perform write operation because following scope(s) are locked: '{scope}'. "
        "Please remove the lock and try again."
    )
    assert call(arm, "GET", VM).status_code == 200


@pytest.mark.parametrize("scope", [SUBSCRIPTION, GROUP, VM])
@pytest.mark.parametrize("level", ["ReadOnly", "CanNotDelete"])
def test_no_lock_lets_a_vm_be_deleted(arm: Caller, scope: str, level: str) -> None:
    arm.simulator.world.set_lock(scope, level)

    answer = call(arm, "DELETE", VM)

    assert (answer.status_code, error_code(answer)) == (409, "ScopeLocked")
    assert "cannot perform delete operation" in answer.json()["error"]["message"]


def test_a_vm_that_may_not_be_deleted_is_changed_all_the_same(arm: Caller) -> None:
    arm.simulator.world.set_lock(GROUP, "CanNotDelete")

    assert call(arm, "PATCH", VM, {"tags": {"a": "b"}}).status_code == 200


@pytest.mark.parametrize("level", ["ReadOnly", "CanNotDelete"])
def test_a_group_keeps_what_is_locked_in_it(arm: Caller, level: str) -> None:
    arm.simulator.world.set_lock(VM, level)

    answer = arm.session.delete(f"{arm.simulator.url}{GROUP}?api-version=2021-04-01", timeout=10)

    assert (answer.status_code, error_code(answer)) == (409, "ScopeLocked")
    assert VM in answer.json()["error"]["message"].partition("are locked: ")[2]


@pytest.mark.parametrize(("level", "expected"), [("ReadOnly", [409, 409]), ("CanNotDelete", [202, 409])])
def test_disks_are_locked_too(arm: Caller, level: str, expected: list[int]) -> None:
    arm.simulator.world.set_lock(DISK, level)

    answers = [call(arm, "PATCH", DISK, {"tags": {"a": "b"}}), call(arm, "DELETE", DISK)]

    assert [answer.status_code for answer in answers] == expected


def test_the_locks_at_a_scope_are_replaced_by_one_or_none(arm: Caller) -> None:
    def set_lock(**lock: str) -> requests.Response:
        return arm.post("/_simulator/locks", lock)

    assert set_lock(scope=GROUP, level="ReadOnly").status_code == 200
    assert set_lock(scope=GROUP, level="CanNotDelete").status_code == 200
    assert locks_at(arm, GROUP, **{"$filter": "atScope()"}) == [(GROUP, "CanNotDelete")]
    assert set_lock(scope=GROUP.upper()).status_code == 200
    assert locks_at(arm, GROUP, **{"$filter": "atScope()"}) == []
    assert set_lock(level="ReadOnly").status_code == 400
    assert set_lock(scope=GROUP, level="None").status_code == 400


def test_a_scenario_has_locks(clock: ManualClock) -> None:
    document: dict[str, Any] = {
        "subscriptionId": SUBSCRIPTION.rpartition("/")[2],
        "vaults": [{"name": "v", "resourceGroup": "g", "region": "westeurope"}],
        "resourceGroups": ["restored-rg"],
        "locks": [{"scope": TARGET_GROUP, "level": "ReadOnly", "name": "frozen"}],
    }
    with running(Scenario.from_dict(document), clock=clock) as simulator:
        arm = Caller(simulator)
        with arm.session:
            assert locks_at(arm, TARGET_GROUP) == [(TARGET_GROUP, "ReadOnly")]
    document["locks"] = [{"scope": TARGET_GROUP, "level": "Frozen"}]
    with pytest.raises(InvalidDocument, match=r"locks\[0\].level: expected one of CanNotDelete, ReadOnly"):
        Scenario.from_dict(document)
