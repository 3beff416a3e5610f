"""Alerts posted at the whole app: what is started, what is not, and what the action group is told."""

from __future__ import annotations

import hashlib
import hmac
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from domain.alerts.decide import MAX_STARTS
from domain.alerts.payload import MAX_VMS
from tests.integration.app_stage import (
    STORAGE_ID,
    SUBSCRIPTION,
    VAULT_ID,
    Stage,
    a_request,
    eventually,
    staged,
    vm_id,
)
from tests.support.receiver import Got, Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from domain.errors import Json

RESTORE = {
    "recoveryType": "RestoreDisks",
    "storageAccountId": STORAGE_ID,
    "targetResourceGroupId": f"{SUBSCRIPTION}/resourceGroups/restored-rg",
    "validate": False,
}
IN_PLACE = {"recoveryType": "OriginalLocation", "storageAccountId": STORAGE_ID}
GROUP = "/subscriptions/*/resourceGroups/{}/*"
RULES = {
    "rules": [
        {"name": "never empty", "match": {"sourceResourceIds": ["*/empty-*"]}, "deny": True},
        {"name": "in place", "match": {"alertRules": ["disk-*"]}, "restore": IN_PLACE},
        {"name": "swap", "match": {"alertRules": ["swap"]}, "restore": {**RESTORE, "thenSwapDisks": {}}},
        {
            "name": "new VM",
            "match": {"alertRules": ["new"]},
            "restore": {
                **RESTORE,
                "thenCreateVirtualMachine": {
                    "name": "{vmName}-{firedDate}",
                    "subnetId": f"{RESTORE['targetResourceGroupId']}/providers/Microsoft.Network/virtualNetworks/"
                    "restored-vnet/subnets/default",
                },
            },
        },
        {"name": "once an hour", "match": {"alertRules": ["rare"]}, "restore": RESTORE, "maxPerHour": 1},
        {
            "name": "ask",
            "match": {"alertRules": ["ask"]},
            "restore": RESTORE,
            "approval": {"required": True, "timeout": "PT1H"},
        },
        {
            "name": "deleted",
            "match": {"alertRules": ["deleted"], "monitoringServices": ["Activity Log - Administrative"]},
            "restore": {**RESTORE, "vaultId": VAULT_ID},
        },
        {"name": "load", "match": {"sourceResourceIds": [GROUP.format("load-rg")]}, "restore": RESTORE},
        {"name": "web tier", "match": {"sourceResourceIds": [GROUP.format("web-rg")]}, "restore": RESTORE},
    ],
    "storm": {"distinctVms": 10, "within": "PT10M"},
}


def an_alert(alert_id: str, *vms: str, **essentials: Any) -> Json:
    """Return a metric alert about these VMs."""
    known = {
        "alertId": f"{SUBSCRIPTION}/providers/Microsoft.AlertsManagement/alerts/{alert_id}",
        "alertRule": "vm-down",
        "severity": "Sev1",
        "signalType": "Metric",
        "monitorCondition": "Fired",
        "monitoringService": "Platform",
        "alertTargetIDs": [vm.lower() for vm in vms or (vm_id(),)],
        "firedDateTime": "2026-11-24T10:00:00Z",
    }
    data = {"essentials": {**known, **essentials}, "alertContext": {}}
    return {"schemaId": "azureMonitorCommonAlertSchema", "data": data}


def load(number: int) -> str:
    return vm_id(f"load-{number:03d}", "load-rg")


def decide(stage: Stage, alert: Json) -> list[Json]:
    """Post an alert and return the decisions."""
    answer = stage.call("POST", "alerts", json=alert)
    assert answer.status_code == 202, answer.text
    return answer.json()["decisions"]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with staged(monkeypatch, AUTO_RESTORE_RULES=json.dumps(RULES)) as running:
        yield running


class TestStarted:
    def test_an_alert_restores_its_vm(self, stage: Stage) -> None:
        [decision] = decide(stage, an_alert("a1"))

        assert (decision["decision"], decision["rule"]) == ("Started", "web tier")
        assert decision["sourceResourceId"] == vm_id().lower()
        done = stage.finished(decision["restoreId"])
        assert (done["status"], done["startedBy"], done["requestedBy"]) == ("Completed", "alert", "Azure Monitor")
        assert "vm-down" in done["reason"]
        assert stage.jobs_of("web-01") == 1

    def test_the_disks_for_a_swap_are_restored_at_once_and_a_person_approves_the_swap(self, stage: Stage) -> None:
        [decision] = decide(stage, an_alert("a1", alertRule="swap"))
        link = f"restores/{decision['restoreId']}"

        def waiting() -> Json | None:
            document = stage.call("GET", link).json()
            return document if document["status"] == "AwaitingApproval" else None

        assert (decision["decision"], decision["rule"]) == ("Started", "swap")
        approval = eventually(waiting)["approval"]
        assert (approval["distinct"], stage.jobs_of("web-01")) == (True, 1)
        requester = stage.call("POST", f"{link}/approve", json={"by": "Azure Monitor"})
        assert requester.status_code == 409
        assert stage.call("POST", f"{link}/approve", json={"by": "ada"}).status_code == 202
        done = stage.finished(decision["restoreId"])
        assert (done["status"], done["result"]["swap"]["state"]) == ("Completed", "Swapped")

    def test_a_new_vm_is_made_of_the_disks_and_no_person_is_asked(self, stage: Stage) -> None:
        [decision] = decide(stage, an_alert("a1", alertRule="new"))

        assert (decision["decision"], decision["rule"]) == ("Started", "new VM")
        done = stage.finished(decision["restoreId"])
        created = done["result"]["createdVirtualMachine"]
        assert (done["status"], created["state"]) == ("Completed", "Created")
        assert created["id"].endswith("/virtualMachines/web-01-2026-11-24")

    def test_every_vm_of_an_alert_gets_its_own_decision(self, stage: Stage) -> None:
        vms = [vm_id("web-01"), vm_id("empty-01"), vm_id("sql-01", "sql-rg"), vm_id("web-02")]
        decisions = decide(stage, an_alert("a1", *vms))

        told = {decision["sourceResourceId"].rpartition("/")[2]: decision["decision"] for decision in decisions}
        assert told == {"web-01": "Started", "empty-01": "Refused", "sql-01": "Ignored", "web-02": "Started"}
        assert all(("restoreId" in decision) == (decision["decision"] == "Started") for decision in decisions)

    def test_a_deleted_vm_is_restored_from_the_vault_that_the_rule_names(self, stage: Stage) -> None:
        gone, operation = vm_id("gone-01"), "Microsoft.Compute/virtualMachines/delete"
        activity = {"signalType": "Activity Log", "monitoringService": "Activity Log - Administrative"}
        alert = an_alert("a1", gone, **activity, alertRule="deleted")
        alert["data"]["alertContext"] = {
            "authorization": {"action": operation, "scope": gone},
            "operationName": operation,
            "status": "Succeeded",
        }

        [decision] = decide(stage, alert)

        assert (decision["decision"], decision["rule"]) == ("Started", "deleted")
        done = stage.finished(decision["restoreId"])
        assert (done["status"], done["error"]) == ("Completed", None)
        assert stage.jobs_of("gone-01") == 1

    def test_a_wrong_clock_at_azure_monitor_changes_nothing(self, stage: Stage) -> None:
        wrong = ["2031-01-01T00:00:00Z", "1999-01-01T00:00:00Z", "yesterday", None]
        first = [an_alert(f"a{n}", load(n), firedDateTime=fired) for n, fired in enumerate(wrong, start=1)]
        second = [an_alert(f"b{n}", load(n), firedDateTime=fired) for n, fired in enumerate(wrong, start=1)]

        decisions = [decide(stage, alert)[0] for alert in first]

        assert [decision["decision"] for decision in decisions] == ["Started"] * 4
        assert {stage.finished(decision["restoreId"])["status"] for decision in decisions} == {"Completed"}
        assert [decide(stage, alert)[0]["decision"] for alert in second] == ["CoolingDown"] * 4


class TestOnlyOnce:
    def test_the_same_alert_again_is_a_duplicate_of_the_same_restore(self, stage: Stage) -> None:
        [first] = decide(stage, an_alert("a1"))
        [second] = decide(stage, an_alert("A1", severity="Sev0", firedDateTime="2026-11-24T11:00:00Z"))
        stage.finished(first["restoreId"])
        [third] = decide(stage, an_alert("a1"))

        assert [decision["decision"] for decision in (first, second, third)] == ["Started", "Duplicate", "Duplicate"]
        assert len({decision["restoreId"] for decision in (first, second, third)}) == 1
        assert stage.jobs_of("web-01") == 1

    def test_fifty_at_the_same_moment_start_exactly_one_restore(self, stage: Stage) -> None:
        with ThreadPoolExecutor(50) as threads:
            answers = list(threads.map(lambda _: decide(stage, an_alert("a1"))[0], range(50)))

        assert sorted(decision["decision"] for decision in answers) == ["Duplicate"] * 49 + ["Started"]
        assert len({decision["restoreId"] for decision in answers}) == 1
        assert stage.finished(answers[0]["restoreId"])["status"] == "Completed"
        assert stage.jobs_of("web-01") == 1

    def test_another_alert_about_the_vm_is_cooling_down(self, stage: Stage) -> None:
        [first] = decide(stage, an_alert("a1"))
        health = an_alert("a2", monitoringService="Resource Health")
        health["data"]["alertContext"] = {"status": "Active", "properties": {"cause": "PlatformInitiated"}}
        [during] = decide(stage, health)
        stage.finished(first["restoreId"])
        [after] = decide(stage, an_alert("a3"))

        assert [during["decision"], after["decision"]] == ["CoolingDown"] * 2
        assert first["restoreId"] in during["reason"]
        assert "restoreId" not in during
        assert stage.jobs_of("web-01") == 1
        listed = stage.call("GET", "restores").json()["value"]
        assert [document["id"] for document in listed] == [first["restoreId"]]

    def test_a_restore_that_started_nothing_begins_no_cool_down_for_later_alerts(self, stage: Stage) -> None:
        vm = vm_id("lonely-01")
        decisions: list[str] = []
        for number in range(2):
            [decision] = decide(stage, an_alert(f"a{number}", vm))
            decisions.append(decision["decision"])
            assert stage.finished(decision["restoreId"])["error"]["code"] == "NotProtected"

        assert decisions == ["Started", "Started"]

    def test_fifty_at_the_same_moment_about_a_vm_that_cools_down_are_all_told_so(self, stage: Stage) -> None:
        stage.restore()
        for number in range(3):
            with ThreadPoolExecutor(50) as threads:
                answers = list(threads.map(lambda _, n=number: decide(stage, an_alert(f"b{n}"))[0], range(50)))
            assert {decision["decision"] for decision in answers} == {"CoolingDown"}
        assert stage.jobs_of("web-01") == 1

    def test_the_same_alert_with_another_severity_is_the_same_alert_whatever_the_template(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rule = {"name": "all", "restore": {**RESTORE, "requestId": "{alertId}-{vmName}"}}
        with staged(monkeypatch, AUTO_RESTORE_RULES=json.dumps({"rules": [rule]})) as stage:
            [first] = decide(stage, an_alert("a1"))
            [second] = decide(stage, an_alert("a1", severity="Sev0"))

        assert (first["decision"], second["decision"]) == ("Started", "Duplicate")
        assert first["restoreId"] == second["restoreId"]


class TestGuards:
    def test_one_restore_of_a_vm_at_a_time_by_http(self, stage: Stage) -> None:
        first = stage.post(a_request(requestId="one"))
        second = stage.post(a_request(requestId="two"))

        assert (first.status_code, second.status_code) == (202, 409)
        assert second.json()["error"]["code"] == "RequestConflict"
        assert first.json()["id"] in second.json()["error"]["message"]
        assert stage.finished(first.json()["id"])["status"] == "Completed"
        again = stage.post(a_request(requestId="two"))
        assert again.status_code == 202
        assert stage.finished(again.json()["id"])["status"] == "Completed"
        assert stage.jobs_of("web-01") == 2

    def test_twenty_at_the_same_moment_by_http_one_is_let_in(self, stage: Stage) -> None:
        with ThreadPoolExecutor(20) as threads:
            answers = list(threads.map(lambda _: stage.post(a_request()).status_code, range(20)))

        assert sorted(answers) == [202] + [409] * 19
        eventually(lambda: stage.call("GET", "restores?status=Completed").json()["value"])
        assert stage.jobs_of("web-01") == 1

    def test_an_alert_about_a_vm_that_a_person_restores_is_refused(self, stage: Stage) -> None:
        stage.post(a_request())
        [decision] = decide(stage, an_alert("a1"))

        assert decision["decision"] == "Refused"
        assert "RequestConflict" in decision["reason"]

    def test_the_hourly_budget(self, stage: Stage) -> None:
        told = [decide(stage, an_alert(f"a{n}", load(n), alertRule="rare"))[0]["decision"] for n in (1, 2)]

        assert told == ["Started", "Refused"]

    def test_a_storm_asks_a_person(self, stage: Stage) -> None:
        told = [decide(stage, an_alert(f"a{n}", load(n)))[0] for n in range(1, 13)]

        assert [decision["decision"] for decision in told] == ["Started"] * 10 + ["AwaitingApproval"] * 2
        assert all(stage.finished(decision["restoreId"])["status"] == "Completed" for decision in told[:10])
        waiting = stage.call("GET", f"restores/{told[10]['restoreId']}").json()
        assert (waiting["status"], stage.jobs_of("load-011")) == ("AwaitingApproval", 0)

    def test_a_terminated_restore_does_not_hold_its_vm(self, stage: Stage) -> None:
        [first] = decide(stage, an_alert("a1", alertRule="ask"))
        assert stage.post(a_request()).status_code == 409
        path = f"/runtime/webhooks/durabletask/instances/{first['restoreId']}/terminate?reason=enough"
        assert stage.call("POST", stage.url + path).status_code == 202

        eventually(lambda: stage.call("GET", f"restores/{first['restoreId']}").json()["phase"] == "Finished")
        assert stage.restore()["status"] == "Completed"


class TestApproval:
    def test_in_place_always_waits_and_is_done_once_approved(self, stage: Stage) -> None:
        [decision] = decide(stage, an_alert("a1", alertRule="disk-lost"))
        assert decision["decision"] == "AwaitingApproval"
        link = f"restores/{decision['restoreId']}"
        eventually(lambda: stage.call("GET", link).json()["status"] == "AwaitingApproval")
        assert stage.jobs_of("web-01") == 0

        alone = stage.call("POST", f"{link}/approve", json={"by": "azure monitor"})
        answer = stage.call("POST", f"{link}/approve", json={"by": "ada", "comment": "go"})

        assert (alone.status_code, answer.status_code) == (409, 202)
        assert answer.json()["approval"]["decision"] == "Approved"
        done = stage.finished(decision["restoreId"])
        assert (done["status"], done["approval"]["by"], done["approval"]["comment"]) == ("Completed", "ada", "go")

    def test_a_person_is_asked_and_told_why_if_the_alert_says_too_little(self, stage: Stage) -> None:
        alert = an_alert("a1", signalType="Activity Log", monitoringService="Resource Health")
        alert["data"]["alertContext"] = {"status": "Active", "properties": {"currentHealthStatus": "Unavailable"}}
        why = "Resource Health names no cause, so a person must confirm."

        [decision] = decide(stage, alert)

        assert (decision["decision"], decision["reason"]) == ("AwaitingApproval", why)
        link = f"restores/{decision['restoreId']}"
        eventually(lambda: stage.call("GET", link).json()["status"] == "AwaitingApproval")
        assert stage.call("GET", link).json()["approval"]["reason"] == why
        assert stage.jobs_of("web-01") == 0

    def test_decisions_are_in_the_log_on_one_line_each(self, stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO")
        [decision] = decide(stage, an_alert("a1", alertRule="ask"))
        stage.call("POST", f"restores/{decision['restoreId']}/reject", json={"by": "ada\nroot", "comment": "drill"})
        stage.finished(decision["restoreId"])

        told = [record.getMessage() for record in caplog.records if record.name.startswith("triggers.")]
        of_alert = [line for line in told if line.startswith("alert ")]  # the change of status has a line of its own
        assert sum("AwaitingApproval" in line and decision["restoreId"] in line for line in of_alert) == 1
        rejected = [line for line in told if "Rejected" in line and "ada" in line and "drill" in line]
        assert sum(": Rejected by " in line for line in rejected) == 1
        ended = [line for line in rejected if "ended as Rejected" in line]
        assert len(set(ended)) == 1
        assert len(ended) <= 2  # the local host may run an activity twice
        assert not any("\n" in line for line in told)

    def test_an_approval_may_come_the_moment_after_the_decision(self, stage: Stage) -> None:
        [decision] = decide(stage, an_alert("a1", alertRule="ask"))
        answer = stage.call("POST", f"restores/{decision['restoreId']}/approve", json={"by": "ada"})

        assert answer.status_code == 202
        assert stage.finished(decision["restoreId"])["status"] == "Completed"

    def test_reject(self, stage: Stage) -> None:
        [decision] = decide(stage, an_alert("a1", alertRule="ask"))
        answer = stage.call("POST", f"restores/{decision['restoreId']}/reject", json={"by": "bo"})
        done = stage.finished(decision["restoreId"])

        assert answer.status_code == 202
        assert (done["status"], done["error"]["code"], stage.jobs_of("web-01")) == ("Rejected", "Rejected", 0)

    def test_the_second_decision_is_told_that_it_came_too_late(self, stage: Stage) -> None:
        [decision] = decide(stage, an_alert("a1", alertRule="ask"))
        link = f"restores/{decision['restoreId']}"
        eventually(lambda: stage.call("GET", link).json()["status"] == "AwaitingApproval")
        with ThreadPoolExecutor(10) as threads:
            verbs = ["approve", "reject"] * 5
            codes = list(threads.map(lambda verb: stage.call("POST", f"{link}/{verb}", json={"by": verb}), verbs))

        told = {(answer.status_code, verb) for answer, verb in zip(codes, verbs, strict=True)}
        status = stage.finished(decision["restoreId"])["status"]
        won, lost = ("approve", "reject") if status == "Completed" else ("reject", "approve")
        assert (409, lost) in told
        assert (202, lost) not in told
        assert (202, won) in told

    def test_an_approval_that_a_cancel_overtook_is_told_so(self, stage: Stage) -> None:
        [decision] = decide(stage, an_alert("a1", alertRule="ask"))
        link = f"restores/{decision['restoreId']}"
        eventually(lambda: stage.call("GET", link).json()["status"] == "AwaitingApproval")
        with ThreadPoolExecutor(2) as threads:
            cancelled, approved = threads.map(
                lambda verb: stage.call("POST", f"{link}/{verb}", json={"by": "ada"}), ["cancel", "approve"]
            )

        done = stage.finished(decision["restoreId"])
        assert cancelled.status_code == 202
        assert (approved.status_code == 202) == (done["approval"]["decision"] == "Approved")

    def test_where_nothing_waits(self, stage: Stage) -> None:
        done = stage.restore(dryRun=True)["id"]
        running = stage.post(a_request()).json()["id"]

        for verb in ("approve", "reject"):
            answers = [
                stage.call("POST", f"restores/{which}/{verb}", json={"by": "ada"})
                for which in (done, running, "nonsense")
            ]
            assert [answer.status_code for answer in answers] == [409, 409, 404]
        assert stage.finished(running)["status"] == "Completed"

    def test_a_request_may_ask_for_one(self, stage: Stage) -> None:
        accepted = stage.post(a_request(approval={"required": True})).json()
        assert stage.call("POST", accepted["links"]["approve"], json={"by": "ada"}).status_code == 202
        assert stage.finished(accepted["id"])["status"] == "Completed"


class TestRefused:
    def test_an_unknown_schema_is_told_what_is_accepted(self, stage: Stage) -> None:
        answer = stage.call("POST", "alerts", json={"schemaId": "AzureMonitorMetricAlert", "data": {}})

        assert answer.status_code == 400
        assert "azureMonitorCommonAlertSchema" in answer.json()["error"]["message"]

    def test_no_json(self, stage: Stage) -> None:
        assert stage.call("POST", "alerts", data="{").status_code == 400

    def test_what_an_alert_wants_beyond_a_hundred_is_told_and_not_started(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ghosts = [vm_id(f"ghost-{number:04d}", "load-rg") for number in range(MAX_VMS)]
        with staged(monkeypatch, AUTO_RESTORE_RULES=json.dumps(RULES)) as stage:
            decisions = decide(stage, an_alert("a1", *ghosts))

        assert [decision["sourceResourceId"] for decision in decisions] == [vm.lower() for vm in ghosts]
        assert all("restoreId" in decision for decision in decisions[:MAX_STARTS])
        beyond = decisions[MAX_STARTS:]
        assert {(decision["decision"], decision["rule"], "restoreId" in decision) for decision in beyond} == {
            ("Refused", "load", False)
        }
        assert all("Azure itself has an outage" in decision["reason"] for decision in beyond)

    def test_rules_that_cannot_be_used_stop_alerts_but_no_restore_by_hand(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with staged(monkeypatch, AUTO_RESTORE_RULES='{"rules": [{"name": "web tier"}]}') as stage:
            refused = stage.call("POST", "alerts", json=an_alert("a1"))
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "ServiceUnavailable")
            assert "rules[0].restore is needed" in refused.json()["error"]["message"]
            assert stage.call("GET", "health").json()["alertRules"] == {
                "count": 0,
                "source": "setting",
                "problems": [
                    "AUTO_RESTORE_RULES: rules[0].restore is needed, or plan, unless the rule says deny: true",
                ],
            }
            assert stage.restore()["status"] == "Completed"

    def test_without_rules_nothing_is_started(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with staged(monkeypatch) as stage:
            [decision] = decide(stage, an_alert("a1"))
            assert decision["decision"] == "Ignored"
            assert stage.call("GET", "restores").json()["value"] == []


def test_the_webhook_gets_the_signed_status_document(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as receiver:
        url = f"{receiver.url}/hook?code=hidden"
        settings = {"RESTORE_WEBHOOK_URL": url, "RESTORE_WEBHOOK_SECRET": "s3cret"}
        with staged(monkeypatch, **settings) as stage:
            done = stage.restore()
            [got] = eventually(lambda: receiver.got)

    signature = hmac.new(b"s3cret", got.body, hashlib.sha256).hexdigest()
    assert got.path == "/hook?code=hidden"
    assert got.headers["X-Restore-Signature-256"] == f"sha256={signature}"
    assert got.headers["X-Restore-Id"] == done["id"]
    assert got.headers["X-Restore-Event"] == "Completed"
    assert got.headers["Content-Type"] == "application/json"
    assert json.loads(got.body) == {**done, "links": {"self": f"/api/restores/{done['id']}"}}


@pytest.mark.parametrize(("verb", "end"), [("reject", "Rejected"), ("cancel", "Cancelled")])
def test_the_webhook_gets_the_wait_for_a_person_and_the_end(
    monkeypatch: pytest.MonkeyPatch, verb: str, end: str
) -> None:
    with Receiver() as receiver:
        settings = {"RESTORE_WEBHOOK_URL": receiver.url, "RESTORE_WEBHOOK_SECRET": "s3cret"}
        with staged(monkeypatch, **settings) as stage:
            restore_id = stage.post(a_request(approval={"required": True})).json()["id"]
            eventually(lambda: receiver.got)
            stage.call("POST", f"restores/{restore_id}/{verb}", json={"by": "bo"})
            done = stage.finished(restore_id)

            def heard() -> dict[str, Got] | None:
                """Return the events by name, once both are there: each may come twice."""
                events = {got.headers["X-Restore-Event"]: got for got in receiver.got}
                return events if len(events) > 1 else None

            waiting, ended = eventually(heard).values()

    event = json.loads(waiting.body)
    assert (event["event"], event["restore"]["id"], event["restore"]["status"]) == (
        "AwaitingApproval",
        restore_id,
        "AwaitingApproval",
    )
    assert json.loads(ended.body) == {**done, "links": {"self": f"/api/restores/{restore_id}"}}
    assert [got.headers["X-Restore-Event"] for got in (waiting, ended)] == ["AwaitingApproval", end]
    for got in (waiting, ended):
        signature = hmac.new(b"s3cret", got.body, hashlib.sha256).hexdigest()
        assert got.headers["X-Restore-Signature-256"] == f"sha256={signature}"
        assert got.headers["X-Restore-Id"] == restore_id


PLANS = {
    "plans": [
        {"name": "shop", "restore": RESTORE, "groups": [{"name": "all", "sourceResourceIds": [load(1), load(2)]}]},
        {"name": "swap", "restore": IN_PLACE, "groups": [{"name": "all", "sourceResourceIds": [load(3)]}]},
    ]
}
SHOP = {"name": "whole shop", "match": {"sourceResourceIds": [GROUP.format("web-rg")]}, "plan": "shop"}
OTHERS = {"name": "others", "match": {"sourceResourceIds": [GROUP.format("load-rg")]}, "restore": RESTORE}


@contextmanager
def staged_with_plans(
    monkeypatch: pytest.MonkeyPatch, *rules: Json, plans: object = PLANS, **storm: Any
) -> Iterator[Stage]:
    """Run the app with these rules, and with plans for them."""
    file = {"rules": list(rules), "storm": {"distinctVms": 10, **storm}}
    with staged(monkeypatch, AUTO_RESTORE_RULES=json.dumps(file), RECOVERY_PLANS=json.dumps(plans)) as running:
        yield running


def recovered(stage: Stage, recovery_id: str) -> Json:
    """Return the document of a recovery that has ended."""

    def look() -> Json | None:
        document = stage.call("GET", f"recoveries/{recovery_id}").json()
        return document if document["completedTime"] else None

    return eventually(look)


class TestPlans:
    def test_an_alert_starts_one_recovery_for_all_of_its_vms(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with staged_with_plans(monkeypatch, SHOP, OTHERS) as stage:
            web, other, web_2 = decide(stage, an_alert("a1", vm_id("web-01"), load(9), vm_id("web-02")))

            assert [decision["decision"] for decision in (web, other, web_2)] == ["Started"] * 3
            assert web["recoveryId"] == web_2["recoveryId"]
            assert (web["plan"], web["rule"], "restoreId" in web) == ("shop", "whole shop", False)
            assert ("recoveryId" in other, "plan" in other) == (False, False)
            ended = recovered(stage, web["recoveryId"])
            assert (ended["status"], ended["startedBy"], ended["plan"]) == ("Completed", "alert", "shop")
            assert (ended["requestedBy"], "vm-down" in ended["reason"]) == ("Azure Monitor", True)
            assert stage.finished(other["restoreId"])["status"] == "Completed"
            assert [stage.jobs_of(f"load-00{number}") for number in (1, 2, 9)] == [1, 1, 1]
            assert stage.jobs_of("web-01") == 0

    def test_the_same_alert_again_is_a_duplicate_and_another_one_is_cooling_down(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with staged_with_plans(monkeypatch, SHOP) as stage:
            [first] = decide(stage, an_alert("a1"))
            [again] = decide(stage, an_alert("A1", vm_id("web-01"), severity="Sev0"))
            [during] = decide(stage, an_alert("a2"))
            recovered(stage, first["recoveryId"])
            [after] = decide(stage, an_alert("a3", vm_id("web-02")))
            [much_later] = decide(stage, an_alert("a1"))

            assert [decision["decision"] for decision in (again, much_later)] == ["Duplicate"] * 2
            assert again["recoveryId"] == much_later["recoveryId"] == first["recoveryId"]
            for decision in (during, after):
                assert (decision["decision"], decision["plan"]) == ("CoolingDown", "shop")
                assert first["recoveryId"] in decision["reason"]
                assert "recoveryId" not in decision
            assert stage.jobs_of("load-001") == 1
            listed = stage.call("GET", "recoveries").json()["value"]
            assert [document["id"] for document in listed] == [first["recoveryId"]]

    def test_an_alert_starts_one_recovery_for_each_plan(self, monkeypatch: pytest.MonkeyPatch) -> None:
        shop, other = PLANS["plans"]
        plans = {"plans": [shop, {**other, "name": "batch", "restore": RESTORE}]}
        batch = {"name": "batch", "match": {"sourceResourceIds": [GROUP.format("load-rg")]}, "plan": "batch"}
        with staged_with_plans(monkeypatch, SHOP, batch, plans=plans) as stage:
            decisions = decide(stage, an_alert("a1", vm_id("web-01"), load(9)))

            assert [decision["decision"] for decision in decisions] == ["Started", "Started"]
            ended = [recovered(stage, decision["recoveryId"]) for decision in decisions]
            assert [(document["plan"], document["status"]) for document in ended] == [
                ("shop", "Completed"),
                ("batch", "Completed"),
            ]

    def test_fifty_at_the_same_moment_start_exactly_one_recovery(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with staged_with_plans(monkeypatch, SHOP) as stage:
            with ThreadPoolExecutor(50) as threads:
                answers = list(threads.map(lambda _: decide(stage, an_alert("a1"))[0], range(50)))

            assert sorted(decision["decision"] for decision in answers) == ["Duplicate"] * 49 + ["Started"]
            [recovery_id] = {decision["recoveryId"] for decision in answers}
            assert recovered(stage, recovery_id)["status"] == "Completed"
            assert stage.jobs_of("load-001") == 1

    def test_a_refused_alert_may_come_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with staged_with_plans(monkeypatch, {**SHOP, "approval": {"required": True}}) as stage:
            [first] = decide(stage, an_alert("a1"))
            [refused] = decide(stage, an_alert("a2"))
            stage.call("POST", f"recoveries/{first['recoveryId']}/reject", json={"by": "ada"})
            recovered(stage, first["recoveryId"])
            [second] = decide(stage, an_alert("a2"))

            assert [decision["decision"] for decision in (first, refused, second)] == [
                "AwaitingApproval",
                "CoolingDown",
                "AwaitingApproval",
            ]
            assert f"Recovery {first['recoveryId']} of this plan" in refused["reason"]
            assert "has not ended" in refused["reason"]
            stage.call("POST", f"recoveries/{second['recoveryId']}/approve", json={"by": "ada"})
            assert recovered(stage, second["recoveryId"])["status"] == "Completed"
            assert stage.jobs_of("load-001") == 1

    def test_a_budget_counts_recoveries(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with staged_with_plans(monkeypatch, {**SHOP, "maxPerHour": 1, "coolDown": "PT0S"}) as stage:
            [first] = decide(stage, an_alert("a1"))
            recovered(stage, first["recoveryId"])
            [second] = decide(stage, an_alert("a2"))

            assert (second["decision"], "HourlyBudgetSpent" in second["reason"]) == ("Refused", True)

    @pytest.mark.parametrize(
        ("rule", "storm", "vms", "why"),
        [
            ({**SHOP, "approval": {"required": True, "timeout": "PT1H"}}, 10, 1, "Rule 'whole shop' asks"),
            ({**SHOP, "plan": "SWAP"}, 10, 1, "does not replace the disks"),
            (SHOP, 1, 2, "this may be an outage of Azure"),
        ],
        ids=["rule", "in place", "storm"],
    )
    def test_a_person_is_asked_before_the_first_restore(
        self, monkeypatch: pytest.MonkeyPatch, rule: Json, storm: int, vms: int, why: str
    ) -> None:
        with staged_with_plans(monkeypatch, rule, distinctVms=storm) as stage:
            alert = an_alert("a1", *[vm_id("web-01"), vm_id("web-02")][:vms])
            decision = decide(stage, alert)[0]

            assert (decision["decision"], why in decision["reason"]) == ("AwaitingApproval", True), decision
            address = f"recoveries/{decision['recoveryId']}"

            def waiting() -> Json | None:
                document = stage.call("GET", address).json()
                return document if document["status"] == "AwaitingApproval" else None

            document = eventually(waiting)
            assert [stage.jobs_of(f"load-00{number}") for number in (1, 2, 3)] == [0, 0, 0]
            assert stage.call("POST", document["links"]["approve"], json={"by": "ada"}).status_code == 202
            assert recovered(stage, decision["recoveryId"])["approval"]["by"] == "ada"

    def test_plans_that_cannot_be_used_stop_no_other_rule(self, monkeypatch: pytest.MonkeyPatch) -> None:
        alert = an_alert("a1", vm_id("web-01"), load(9))
        with staged_with_plans(monkeypatch, SHOP, OTHERS, plans={"plans": [{"name": "shop"}]}) as stage:
            answers = [stage.call("POST", "alerts", json=alert) for _ in range(2)]
            [decision] = decide(stage, an_alert("a2", load(8)))

            assert [answer.status_code for answer in answers] == [503, 503]
            assert "1 of 2 decisions could not be made" in answers[0].json()["error"]["message"]
            assert "The recovery plans cannot be used" in answers[0].json()["error"]["message"]
            [restore] = stage.call("GET", f"restores?sourceResourceId={load(9)}").json()["value"]
            assert stage.finished(restore["id"])["status"] == "Completed"
            assert stage.jobs_of("load-009") == 1
            assert decision["decision"] == "Started"
