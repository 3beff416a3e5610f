"""What can go wrong while a VM is changed, raw: lost and refused writes, strangers, failures, reads that lag behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from simulator.reading import InvalidDocument
from tests.conformance.caller import SUBSCRIPTION, TARGET_GROUP, Caller, error_code, vm_id

if TYPE_CHECKING:
    from simulator.clock import ManualClock

GROUP = f"{SUBSCRIPTION}/resourceGroups/swap-rg"
VM = vm_id("swap-01", "swap-rg")
DISKS = f"{GROUP}/providers/Microsoft.Compute/disks"
FIRST, SECOND = "swap-01_DataDisk_0", "swap-01_DataDisk_1"
FAILS_ONCE: dict[str, Any] = {"code": "InternalExecutionError", "actions": ["patch_vm"], "count": 1}
NEW_VM = f"{TARGET_GROUP}/providers/Microsoft.Compute/virtualMachines/swap-01-r"


def call(
    arm: Caller, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> requests.Response:
    url = f"{arm.simulator.url}{path}?api-version=2024-07-01"
    return arm.session.request(method, url, json=body, headers=headers, timeout=10)


def vm_of(arm: Caller) -> dict[str, Any]:
    """Return the VM with its instance view."""
    return arm.get(VM, **{"api-version": "2024-07-01", "$expand": "instanceView"}).json()


def power(arm: Caller) -> list[str]:
    codes = [status["code"] for status in vm_of(arm)["properties"]["instanceView"]["statuses"]]
    return [code.partition("/")[2] for code in codes if code.startswith("PowerState/")]


def state(arm: Caller) -> str:
    return vm_of(arm)["properties"]["provisioningState"]


def data_disks(arm: Caller) -> dict[int, str]:
    return {entry["lun"]: entry["name"] for entry in vm_of(arm)["properties"]["storageProfile"]["dataDisks"]}


def disk(arm: Caller, name: str) -> dict[str, Any]:
    return arm.get(f"{DISKS}/{name}", **{"api-version": "2024-03-02"}).json()


def restored(arm: Caller, clock: ManualClock) -> list[str]:
    """Restore the disks of the VM beside it; return the names of the OS disk and of the data disks."""
    job_id = arm.restored_job("swap-01", "swap-rg", targetResourceGroupId=GROUP)
    clock.advance(120)
    arm.simulator.world.settle()
    found = arm.simulator.world.store.below(GROUP)
    return [each["name"] for each in found if each.get("tags", {}).get("RSVaultBackup") == job_id]


def swap(names: list[str]) -> dict[str, Any]:
    """Compose a PATCH that gives the VM an OS disk and data disks, by their names."""
    os_disk, *others = names
    entries = [
        {"lun": lun, "createOption": "Attach", "managedDisk": {"id": f"{DISKS}/{name}"}}
        for lun, name in enumerate(others)
    ]
    named = {"name": os_disk, "createOption": "FromImage", "managedDisk": {"id": f"{DISKS}/{os_disk}"}}
    return {"properties": {"storageProfile": {"osDisk": named, "dataDisks": entries}}}


def fault(arm: Caller, **switches: Any) -> None:
    arm.simulator.world.set_faults(VM, switches)


class TestAnswers:
    @pytest.mark.parametrize(
        ("status", "code"), [(500, "InternalServerError"), (504, "GatewayTimeout"), (408, "ServerTimeout")]
    )
    def test_the_answer_to_a_write_that_was_carried_out_may_be_an_error(
        self, arm: Caller, status: int, code: str
    ) -> None:
        fault(arm, lostAnswers={"count": 1, "status": status, "actions": ["deallocate_vm"]})

        answer = call(arm, "POST", f"{VM}/deallocate")

        assert (answer.status_code, error_code(answer)) == (status, code)
        assert power(arm) == ["deallocating"]

    def test_a_write_may_be_refused_without_being_carried_out(self, arm: Caller) -> None:
        fault(
            arm,
            refusedWrites={
                "count": 2,
                "status": 409,
                "code": "ConflictingConcurrentWriteNotAllowed",
                "retryAfterSeconds": 5,
                "actions": ["patch_vm"],
            },
        )

        answers = [call(arm, "PATCH", VM, {"tags": {"a": "b"}}) for _ in range(3)]

        assert [answer.status_code for answer in answers] == [409, 409, 200]
        assert error_code(answers[0]) == "ConflictingConcurrentWriteNotAllowed"
        assert answers[0].headers["Retry-After"] == "5"
        assert call(arm, "GET", VM).status_code == 200

    def test_a_write_may_get_lost_before_it_is_carried_out(self, arm: Caller) -> None:
        fault(arm, refusedWrites={"count": 1, "status": 0})

        with pytest.raises(requests.ConnectionError):
            call(arm, "POST", f"{VM}/deallocate")
        assert power(arm) == ["running"]

    def test_a_429_of_compute_has_a_code_of_its_own(self, arm: Caller) -> None:
        fault(arm, throttle429={"count": 2, "retryAfterSeconds": 20, "actions": ["start_vm"]})

        answer = call(arm, "POST", f"{VM}/start")

        assert (answer.status_code, error_code(answer), answer.headers["Retry-After"]) == (
            429,
            "OperationNotAllowed",
            "20",
        )
        assert answer.json()["error"]["details"][0]["code"] == "TooManyRequests"
        fault(arm, throttle429={"count": 1})
        assert "Retry-After" not in call(arm, "POST", f"{VM}/start").headers

    @pytest.mark.parametrize("scope", [GROUP, f"{DISKS}/{FIRST}", f"{DISKS}/{FIRST}".upper()])
    def test_switches_may_be_set_for_anything(self, arm: Caller, scope: str) -> None:
        arm.simulator.world.set_faults(scope.replace("/SUBSCRIPTIONS", "/subscriptions"), {"refusedWrites": {}})

        answer = call(arm, "PATCH", f"{DISKS}/{FIRST}", {"tags": {}})

        assert (answer.status_code, error_code(answer)) == (500, "InternalServerError")
        assert call(arm, "DELETE", f"{TARGET_GROUP}/providers/Microsoft.Compute/disks/none").status_code == 204

    def test_the_nearest_switches_hold(self, arm: Caller) -> None:
        arm.simulator.world.set_faults(GROUP, {"refusedWrites": {"status": 503}})
        arm.simulator.world.set_faults(f"{DISKS}/{FIRST}", {"refusedWrites": {"status": 502}})
        assert call(arm, "PATCH", f"{DISKS}/{FIRST}", {"tags": {}}).status_code == 502
        assert call(arm, "PATCH", f"{DISKS}/{SECOND}", {"tags": {}}).status_code == 503
        assert call(arm, "POST", f"{VM}/start").status_code == 503

        fault(arm, refusedWrites={"status": 504})
        assert call(arm, "POST", f"{VM}/start").status_code == 504

    def test_a_vm_that_is_yet_to_be_made_has_switches(self, arm: Caller, clock: ManualClock) -> None:
        failed = {"code": "AllocationFailed", "actions": ["put_vm"]}
        arm.simulator.world.set_faults(NEW_VM, {"computeFailed": failed})
        os_disk, *_ = restored(arm, clock)
        body = {"osType": "Windows", "createOption": "Attach", "managedDisk": {"id": f"{DISKS}/{os_disk}"}}
        nic = f"{GROUP}/providers/Microsoft.Network/networkInterfaces/free-nic"
        subnet = f"{TARGET_GROUP}/providers/Microsoft.Network/virtualNetworks/restored-vnet/subnets/default"
        configuration = {"name": "one", "properties": {"subnet": {"id": subnet}}}
        made = {"location": "westeurope", "properties": {"ipConfigurations": [configuration]}}
        assert call(arm, "PUT", nic, made).status_code == 201
        clock.advance(10)

        properties = {
            "hardwareProfile": {"vmSize": "Standard_D2s_v5"},
            "storageProfile": {"osDisk": body},
            "networkProfile": {"networkInterfaces": [{"id": nic}]},
        }
        answer = call(arm, "PUT", NEW_VM, {"location": "westeurope", "properties": properties})
        clock.advance(60)

        assert answer.status_code == 201
        assert call(arm, "GET", NEW_VM).json()["properties"]["provisioningState"] == "Failed"
        assert call(arm, "DELETE", f"{DISKS}/{os_disk}").status_code == 409, "a VM that failed keeps its disks"

    @pytest.mark.parametrize(
        ("switches", "problem"),
        [
            (
                {"lostAnswers": {"count": 1, "status": 200}},
                r"lostAnswers.status: expected the status of an error, or 0",
            ),
            ({"foreignChanges": [{"change": "tag"}]}, r"foreignChanges\[0\]: expected the names of calls"),
            ({"foreignChanges": {"change": "paint", "after": ["get_vm"]}}, r"change: expected one of touch, tag"),
            ({"computeFailed": {"code": "a", "leaves": "b"}}, r"leaves: expected one of asked, former"),
        ],
    )
    def test_wrong_switches_are_named(self, arm: Caller, switches: dict[str, Any], problem: str) -> None:
        with pytest.raises(InvalidDocument, match=problem):
            fault(arm, **switches)


class TestStrangers:
    def test_somebody_else_changes_the_vm_right_before_a_call(self, arm: Caller, clock: ManualClock) -> None:
        fault(arm, foreignChanges={"change": "tag", "before": ["patch_vm"]})

        refused = call(arm, "PATCH", VM, {"tags": {"owner": "x"}})
        clock.advance(10)

        assert (refused.status_code, error_code(refused)) == (409, "Conflict")
        assert vm_of(arm)["tags"] == {"changed-by": "somebody else"}
        assert call(arm, "PATCH", VM, {"tags": {"owner": "x"}}).status_code == 200

    def test_somebody_else_changes_the_etag(self, arm: Caller) -> None:
        fault(arm, foreignChanges={"change": "touch", "after": ["get_vm"]})
        etag = vm_of(arm)["etag"]

        answer = call(arm, "PATCH", VM, {"tags": {}}, {"If-Match": etag})

        assert (answer.status_code, error_code(answer)) == (412, "PreconditionFailed")

    def test_somebody_else_attaches_a_disk(self, arm: Caller, clock: ManualClock) -> None:
        fault(arm, foreignChanges={"change": "attachDisk", "after": ["deallocate_vm"], "delaySeconds": 20})
        call(arm, "POST", f"{VM}/deallocate")

        clock.advance(60)

        present = data_disks(arm)
        assert {lun: present[lun] for lun in (0, 1)} == {0: FIRST, 1: SECOND}
        assert present[63].startswith("foreign-")
        assert disk(arm, present[63])["managedBy"] == VM

    def test_somebody_else_detaches_the_disks(self, arm: Caller, clock: ManualClock) -> None:
        fault(arm, foreignChanges={"change": "detachDisks", "after": ["get_vm"]})
        vm_of(arm)
        clock.advance(60)

        assert data_disks(arm) == {}
        assert disk(arm, FIRST)["properties"]["diskState"] == "Unattached"

    def test_somebody_else_starts_the_vm_that_was_deallocated(self, arm: Caller, clock: ManualClock) -> None:
        fault(arm, foreignChanges={"change": "start", "after": ["deallocate_vm"], "delaySeconds": 10})
        call(arm, "POST", f"{VM}/deallocate")
        clock.advance(9)
        assert power(arm) == ["deallocated"]
        clock.advance(60)
        assert power(arm) == ["running"]

    @pytest.mark.parametrize(("change", "ends"), [("start", "running"), ("powerOff", "stopped")])
    def test_somebody_elses_power_operation_ends_the_one_that_runs(
        self, arm: Caller, clock: ManualClock, change: str, ends: str
    ) -> None:
        fault(
            arm,
            foreignChanges=[{"change": change, "after": ["restart_vm"], "delaySeconds": 1}],
            computeFailed={"code": "Ours", "actions": ["start_vm", "power_off_vm"]},
        )
        operation = call(arm, "POST", f"{VM}/restart").headers["Azure-AsyncOperation"]
        clock.advance(60)

        ended = arm.get(operation).json()
        assert (ended["status"], ended["error"]["code"]) == ("Failed", "OperationPreempted")
        assert power(arm) == [ends], "the faults of the caller do not concern others"

    def test_a_stranger_comes_as_often_as_told(self, arm: Caller, clock: ManualClock) -> None:
        fault(arm, foreignChanges=[{"change": "deallocate", "before": ["get_vm"], "count": 2}])
        states: list[str] = []
        for _ in range(4):
            states.append(state(arm))
            clock.advance(60)

        assert states == ["Updating", "Updating", "Succeeded", "Succeeded"]


class TestFailedUpdates:
    def test_the_model_stays_as_it_was_asked_for_and_the_vm_keeps_all_disks(
        self, arm: Caller, clock: ManualClock
    ) -> None:
        new = restored(arm, clock)
        call(arm, "POST", f"{VM}/deallocate")
        clock.advance(60)
        fault(arm, replacesDisks=True, computeFailed=FAILS_ONCE)

        operation = call(arm, "PATCH", VM, swap(new)).headers["Azure-AsyncOperation"]
        clock.advance(60)

        assert arm.get(operation).json()["error"]["code"] == "InternalExecutionError"
        assert (state(arm), power(arm), data_disks(arm)) == ("Failed", ["deallocated"], dict(enumerate(new[1:])))
        assert {disk(arm, name)["managedBy"] for name in (*new, FIRST, SECOND)} == {VM}

    @pytest.mark.parametrize("start", [True, False])
    def test_the_next_operation_lets_the_former_disks_go(self, arm: Caller, clock: ManualClock, *, start: bool) -> None:
        new = restored(arm, clock)
        call(arm, "POST", f"{VM}/deallocate")
        clock.advance(60)
        fault(arm, replacesDisks=True, computeFailed=FAILS_ONCE)
        call(arm, "PATCH", VM, swap(new))
        clock.advance(60)

        assert call(arm, "POST" if start else "PATCH", f"{VM}/start" if start else VM, {}).status_code in {200, 202}
        clock.advance(60)

        assert (state(arm), data_disks(arm)) == ("Succeeded", dict(enumerate(new[1:])))
        assert {disk(arm, name)["properties"]["diskState"] for name in (FIRST, SECOND)} == {"Unattached"}
        assert all("managedBy" not in disk(arm, name) for name in (FIRST, SECOND))

    def test_a_disk_that_a_failed_update_has_not_detached_is_still_listed_and_taken_back(
        self, arm: Caller, clock: ManualClock
    ) -> None:
        fault(arm, computeFailed=FAILS_ONCE)
        call(arm, "PATCH", VM, {"properties": {"storageProfile": {"dataDisks": []}}})
        clock.advance(60)
        leaving = vm_of(arm)["properties"]["storageProfile"]["dataDisks"]
        assert [(entry["name"], entry["toBeDetached"]) for entry in leaving] == [(FIRST, True), (SECOND, True)]

        wanted = {**leaving[0], "toBeDetached": False}
        again = call(arm, "PATCH", VM, {"properties": {"storageProfile": {"dataDisks": [wanted]}}})
        assert again.status_code == 200, again.text
        clock.advance(60)

        kept = vm_of(arm)["properties"]["storageProfile"]["dataDisks"]
        assert [(entry["name"], entry["toBeDetached"]) for entry in kept] == [(FIRST, False)]
        assert disk(arm, SECOND)["properties"]["diskState"] == "Unattached"

    def test_several_failures_come_one_after_the_other(self, arm: Caller, clock: ManualClock) -> None:
        failed = [
            {"code": "AllocationFailed", "actions": ["start_vm"], "count": 1},
            {"code": "SkuNotAvailable", "actions": ["start_vm"], "count": 1, "refused": True},
        ]
        call(arm, "POST", f"{VM}/deallocate")
        clock.advance(60)
        fault(arm, computeFailed=failed)

        codes: list[str] = []
        for _ in range(3):
            answer = call(arm, "POST", f"{VM}/start")
            clock.advance(60)
            ended = arm.get(answer.headers["Azure-AsyncOperation"]).json() if answer.status_code == 202 else {}
            codes.append(ended.get("error", answer.json().get("error") if answer.content else {"code": ""})["code"])
            assert power(arm) == (["running"] if len(codes) == 3 else ["deallocated"])

        assert codes == ["AllocationFailed", "SkuNotAvailable", ""]


class TestReads:
    def test_a_read_lags_behind_what_was_accepted(self, arm: Caller, clock: ManualClock) -> None:
        fault(arm, staleReads=5)
        etag = vm_of(arm)["etag"]

        call(arm, "POST", f"{VM}/deallocate")

        assert (power(arm), state(arm), vm_of(arm)["etag"]) == (["running"], "Succeeded", etag)
        clock.advance(5)
        assert (power(arm), state(arm)) == (["deallocating"], "Updating")

    def test_a_read_lags_behind_the_end(self, arm: Caller, clock: ManualClock) -> None:
        fault(arm, staleReads=5)
        operation = call(arm, "POST", f"{VM}/deallocate").headers["Azure-AsyncOperation"]

        clock.advance(8)
        assert arm.get(operation).json()["status"] == "Succeeded"
        assert (power(arm), state(arm)) == (["deallocating"], "Updating")
        view = arm.get(f"{VM}/instanceView", **{"api-version": "2024-07-01"}).json()
        assert view["statuses"][-1]["code"] == "PowerState/deallocating"
        clock.advance(5)
        assert (power(arm), state(arm)) == (["deallocated"], "Succeeded")

    def test_a_read_lags_behind_the_disks_of_the_model(self, arm: Caller, clock: ManualClock) -> None:
        fault(arm, staleReads=30)
        call(arm, "PATCH", VM, {"properties": {"storageProfile": {"dataDisks": []}}})

        clock.advance(20)
        assert data_disks(arm) == {0: FIRST, 1: SECOND}
        clock.advance(30)
        assert data_disks(arm) == {}

    def test_the_power_state_may_be_missing(self, arm: Caller) -> None:
        fault(arm, hiddenPowerState=2)

        assert [power(arm) for _ in range(3)] == [[], [], ["running"]]

    def test_the_agent_may_need_long(self, arm: Caller, clock: ManualClock) -> None:
        fault(arm, agentSeconds=600)
        call(arm, "POST", f"{VM}/deallocate")
        clock.advance(60)
        call(arm, "POST", f"{VM}/start")

        def agent() -> str:
            return vm_of(arm)["properties"]["instanceView"]["vmAgent"]["statuses"][0]["displayStatus"]

        clock.advance(20 + 599)
        assert (power(arm), agent()) == (["running"], "Not Ready")
        clock.advance(1)
        assert agent() == "Ready"
