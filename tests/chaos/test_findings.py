"""What chaos runs have found, each reduced to the few steps that it takes: calls that came before they might."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from domain import errors
from domain.azure.jobs import Operation, OperationStatus
from domain.errors import TerminalError, TransientError
from domain.restore.calls import FindJob, GetOperation, StartRestore
from domain.restore.machine import CANCEL_EVENT
from tests.chaos.checks import violations
from tests.chaos.plans import a_calm_plan
from tests.chaos.service import Service
from tests.chaos.stage import Stage
from tests.chaos.swap_plans import data_luns, is_off
from tests.support.azure import LIMITS, Lab, a_restore, throttled
from tests.support.hub import START

if TYPE_CHECKING:
    import pytest

    from simulator.calls import Answer, Call
    from tests.chaos.plans import Plan

AWAY = TransientError(errors.SERVICE_UNAVAILABLE, "Azure could not answer just now.")
FORBIDDEN = TerminalError(errors.AUTHORIZATION_FAILED, "The app's identity lacks a permission.")


def pauses_s(lab: Lab, activity: str) -> list[float]:
    """Return the seconds between the calls of an activity."""
    at = [call.at for call in lab.hub.calls if call.name == activity]
    return [(later - earlier).total_seconds() for earlier, later in pairwise(at)]


def test_the_deadline_does_not_cut_a_wait_that_azure_asked_for() -> None:
    lab = Lab()
    lab.azure.job_takes = timedelta(hours=10)
    lab.azure.retry_after["get_job"] = 2400.0

    document = lab.run(a_restore(replace(LIMITS, deadline_s=3600)))

    assert document["status"] == "TimedOut"
    assert lab.azure.calls["get_job"] > 1
    assert min(pauses_s(lab, "get_job")) >= 2400


def test_an_operations_wait_outlasts_a_look_for_the_job_that_fails() -> None:
    lab = Lab()
    lab.azure.operations = [Operation(status=OperationStatus.RUNNING)] * 20
    lab.azure.retry_after["get_operation"] = 60.0
    lab.azure.fails["find_restore_job"] = [None, AWAY]

    lab.run()

    assert min(pauses_s(lab, "get_operation")) >= 60


def test_a_finished_operations_wait_outlasts_a_look_for_the_job_that_fails() -> None:
    lab = Lab()
    lab.azure.operations = [Operation(status=OperationStatus.SUCCEEDED)] * 2
    lab.azure.listed_after = timedelta(seconds=90)
    lab.azure.retry_after["get_operation"] = 60.0
    lab.azure.fails["find_restore_job"] = [None, AWAY]

    lab.run()

    assert min(pauses_s(lab, "get_operation")) >= 60


def test_a_cancel_does_not_cut_a_wait_on_the_list_of_jobs() -> None:
    lab = Lab()
    lab.azure.posts = ["lost"]
    lab.azure.listed_after = timedelta(minutes=1)
    lab.azure.fails["find_restore_job"] = [None, throttled(600)]
    restore_id = lab.start(a_restore())
    lab.hub.run_until(lambda: lab.azure.calls["find_restore_job"] == 2)

    lab.hub.run_until(timedelta(seconds=60))
    lab.hub.raise_event(restore_id, CANCEL_EVENT, {})
    lab.hub.finish(restore_id)

    asked = [call.at for call in lab.hub.calls if call.name in {"find_job", "start_restore"}]
    assert (asked[2] - asked[1]).total_seconds() >= 600


def test_a_cancel_that_failed_does_not_cut_a_wait_on_the_job() -> None:
    lab = Lab()
    lab.azure.fails["get_job"] = [throttled(600)]
    lab.azure.fails["cancel_job"] = [AWAY]
    restore_id = lab.start(a_restore())
    lab.hub.run_until(lambda: lab.azure.calls["get_job"] == 1)

    lab.hub.run_until(timedelta(seconds=60))
    lab.hub.raise_event(restore_id, CANCEL_EVENT, {})
    lab.hub.finish(restore_id)

    assert pauses_s(lab, "get_job")[0] >= 600
    assert pauses_s(lab, "cancel_job")[0] < 60  # nor does that wait hold the cancellation up


def test_a_cancel_does_not_cut_the_wait_that_the_202_asked_for() -> None:
    lab = Lab()
    lab.azure.fails["find_restore_job"] = [None, *[AWAY] * 20]
    restore_id = lab.start(a_restore())
    lab.hub.run_until(timedelta(seconds=1))

    lab.hub.raise_event(restore_id, CANCEL_EVENT, {})
    lab.hub.finish(restore_id)

    looks = [call.at for call in lab.hub.calls if call.name == GetOperation.name]
    assert [look for look in looks if (look - START).total_seconds() < 60] == []


def test_a_cancel_does_not_cut_a_wait_on_the_list_that_a_late_trigger_met() -> None:
    lab = Lab(redeliver=lambda name: name == StartRestore.name)
    lab.azure.fails["find_restore_job"] = [None, throttled(600)]
    restore_id = lab.start(a_restore())
    lab.hub.run_until(lambda: lab.azure.calls["find_restore_job"] == 2)

    lab.hub.run_until(timedelta(seconds=60))
    lab.hub.raise_event(restore_id, CANCEL_EVENT, {})
    done = lab.hub.finish(restore_id)

    [asked] = [call.at for call in lab.hub.calls if call.name == FindJob.name]
    assert (asked - START).total_seconds() >= 600
    assert (done["status"], len(lab.azure.jobs)) == ("Cancelled", 1)


def test_a_wait_that_a_list_asks_for_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = replace(a_calm_plan(0, 0), faults=frozenset({"trigger_timeout_before"}))
    _let_reads_ask(monkeypatch, "/backupJobs", 90)
    stage = Stage(0, [plan])

    stage.run()

    assert violations(stage) == []


def test_a_wait_that_an_earlier_read_of_the_activity_asked_for_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = replace(a_calm_plan(0, 0), bursts={_status_of(0): ("unavailable_503", 1)})
    plan.faults |= {"unavailable_503"}
    monkeypatch.setattr("tests.chaos.service._CHANCE", 0.0)
    _let_reads_ask(monkeypatch, "/virtualMachines/vm-0", 90)
    stage = Stage(0, [plan])

    stage.run()

    assert violations(stage) == []


def test_a_wait_that_a_read_of_the_vm_without_its_view_asked_for_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    _let_reads_ask(monkeypatch, "/virtualMachines/vm-0", 90)
    stage = Stage(0, [replace(a_calm_plan(0, 0), members={"thenSwapDisks": {}})])

    stage.run()

    assert violations(stage) == []


def test_an_update_of_disks_that_failed_is_not_taken_for_done() -> None:
    vm = next(vm for vm in range(100) if data_luns(vm) and not is_off(vm))
    preempted = {"code": "OperationPreempted", "count": 1, "actions": ["patch_vm"]}
    plan = replace(
        a_calm_plan(0, vm),
        members={"thenSwapDisks": {"start": False}},
        switches={"computeFailed": preempted, "replacesDisks": True},
    )
    stage = Stage(0, [plan])

    stage.run()

    assert violations(stage) == []


def _status_of(vm: int) -> str:
    subscription = a_calm_plan(0, vm).vm_id.partition("/resourceGroups")[0]
    return f"POST {subscription}/providers/Microsoft.RecoveryServices/locations/westeurope/backupStatus"


def _let_reads_ask(monkeypatch: pytest.MonkeyPatch, ending: str, wait_s: int) -> None:
    """Let every good answer of addresses that end so ask for a wait."""

    def ask(_service: Service, _plan: Plan, _fault: str | None, call: Call, given: Answer) -> Answer:
        if call.path.endswith(ending) and given.status < 300:
            return replace(given, headers={**given.headers, "Retry-After": str(wait_s)})
        return given

    monkeypatch.setattr(Service, "_after", ask)
