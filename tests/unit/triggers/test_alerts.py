"""What an action group is told when the task hub is away, or the alert rules cannot be used."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any, cast

import azure.functions as func
import pytest

from domain.alerts.alert_rules import NO_RULES, LoadedRules
from domain.alerts.payload import MAX_VMS
from domain.alerts.rules_file import read_rules
from domain.recovery.plan import LoadedPlans
from scripts.alerting import vm_down
from tests.support.azure import LIMITS, VM_ID, a_request
from triggers.alerts import AlertsApi, log_rules
from triggers.recovery_starting import RecoverySettings

if TYPE_CHECKING:
    import azure.durable_functions as df

RESTORE = {name: value for name, value in a_request().items() if name != "sourceResourceId"}
RULES = LoadedRules(source="setting", rules=read_rules({"rules": [{"name": "all", "restore": RESTORE}]}))
BROKEN = LoadedRules(
    source="rules.json", rules=None, problems=tuple(f"rules[{index}].x is wrong" for index in range(5))
)
NO_PLANS = LoadedPlans(source=None, plans={})


class _Away:
    """A task hub that cannot be reached."""

    async def get_orchestration_state(self, *_: Any, **__: Any) -> None:
        raise ConnectionError("storage is away")


def post(alert: object, rules: LoadedRules = RULES) -> func.HttpResponse:
    recoveries = RecoverySettings(plans=NO_PLANS, max_per_vault=50)
    api = AlertsApi(rules=rules, limits_for=lambda _request: LIMITS, recoveries=recoveries)
    request = func.HttpRequest("POST", "/api/alerts", body=json.dumps(alert).encode())
    return asyncio.run(api.post_alert(request, cast("df.DurableFunctionsClient", _Away())))


def test_it_is_asked_to_send_the_alert_again(caplog: pytest.LogCaptureFixture) -> None:
    answer = post(vm_down(VM_ID))

    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert json.loads(answer.get_body())["error"]["code"] == "ServiceUnavailable"
    [told] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "storage is away" in str(told.exc_info)


def test_an_alert_that_is_refused_whole_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    alert = vm_down(VM_ID)
    alert["data"]["essentials"]["alertTargetIDs"] = [f"{VM_ID}{number}" for number in range(MAX_VMS + 1)]

    assert post(alert).status_code == 400

    [told] = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert f"names {MAX_VMS + 1} virtual machines" in told


def test_what_starts_nothing_needs_no_task_hub() -> None:
    alert = vm_down(VM_ID)
    alert["data"]["essentials"]["monitorCondition"] = "Resolved"

    assert json.loads(post(alert).get_body())["decisions"][0]["decision"] == "Ignored"


@pytest.mark.parametrize("alert", [vm_down(VM_ID), {"schemaId": "other"}])
def test_rules_that_cannot_be_used_are_answered_503(alert: object, caplog: pytest.LogCaptureFixture) -> None:
    answer = post(alert, BROKEN)

    error = json.loads(answer.get_body())["error"]
    assert (answer.status_code, error["code"]) == (503, "ServiceUnavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert "restores by hand (HTTP, queue) work" in error["message"]
    assert "rules[2].x is wrong; and 2 more problems" in error["message"]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_the_log_at_the_start_says_whether_alerts_are_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    log_rules(BROKEN, NO_PLANS)
    log_rules(LoadedRules(source=None, rules=NO_RULES), NO_PLANS)
    log_rules(RULES, NO_PLANS)

    *off, none, some = [(record.levelno, record.getMessage()) for record in caplog.records]
    assert off[0][1].startswith("ALERTS ARE OFF")
    assert [level for level, _ in off] == [logging.ERROR] * 6
    assert none[0] == logging.WARNING
    assert "every alert is Ignored" in none[1]
    assert "auto_restore_rules.json" in none[1]
    assert some == (logging.INFO, "alert rules: 1 from setting")


@pytest.mark.parametrize(("plans", "is_told"), [(None, True), ({}, False)])
def test_the_log_at_the_start_names_rules_whose_plans_cannot_be_used(
    plans: dict[str, Any] | None, is_told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    rules = LoadedRules(source="setting", rules=read_rules({"rules": [{"name": "whole shop", "plan": "shop"}]}))

    log_rules(rules, LoadedPlans(source="setting", plans=plans, problems=() if plans is not None else ("broken",)))

    told = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert ["whole shop" in line for line in told] == [True] * is_told
