"""What ``GET /api/health`` shows without a key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import azure.functions as func
import pytest

from domain.alerts.alert_rules import NO_RULES, LoadedRules
from domain.alerts.rules_file import read_rules
from domain.principal import Authenticator
from domain.recovery.plan import LoadedPlans
from domain.recovery.plans_file import read_plans
from tests.support.plans import a_plan, vm
from triggers.health import HealthApi
from triggers.people import Authentication

if TYPE_CHECKING:
    from domain.errors import Json

DENY = {"name": "never", "deny": True}
MANY = tuple(f"AUTO_RESTORE_RULES: rules[{index}] is wrong" for index in range(25))


BY_KEY = Authentication(Authenticator.FUNCTION_KEY)
NO_PLANS = LoadedPlans(source=None, plans={})
NONE_SHOWN = {"count": 0, "source": None, "problems": []}


def health(rules: LoadedRules, plans: LoadedPlans = NO_PLANS, authentication: Authentication = BY_KEY) -> Json:
    api = HealthApi(version="1.2.3", rules=rules, plans=plans, authentication=authentication)
    answer = api.get_health(func.HttpRequest("GET", "/api/health", body=b""))
    assert answer.status_code == 200
    return json.loads(answer.get_body())


@pytest.mark.parametrize(
    ("rules", "shown"),
    [
        (LoadedRules(source=None, rules=NO_RULES), {"count": 0, "source": None, "problems": []}),
        (
            LoadedRules(source="rules.json", rules=read_rules({"rules": [DENY]})),
            {"count": 1, "source": "rules.json", "problems": []},
        ),
        (
            LoadedRules(source="setting", rules=None, problems=MANY[:1]),
            {"count": 0, "source": "setting", "problems": list(MANY[:1])},
        ),
    ],
)
def test_it_shows_the_version_and_the_alert_rules(rules: LoadedRules, shown: Json) -> None:
    told = {"status": "ok", "version": "1.2.3", "recoveryPlans": NONE_SHOWN, "authentication": "functionKey"}
    assert health(rules) == {**told, "alertRules": shown}


@pytest.mark.parametrize(
    ("plans", "shown"),
    [
        (
            LoadedPlans(source="plans.json", plans=read_plans({"plans": [a_plan(), a_plan(name="second")]})),
            {"count": 2, "source": "plans.json", "problems": []},
        ),
        (
            LoadedPlans(source="setting", plans=None, problems=(f"restore {vm('web-01')} and {vm('web-02')}: why?",)),
            {"count": 0, "source": "setting", "problems": ["restore /subscriptions/… and /subscriptions/…: why?"]},
        ),
    ],
)
def test_it_shows_the_recovery_plans_without_resource_ids(plans: LoadedPlans, shown: Json) -> None:
    assert health(LoadedRules(source=None, rules=NO_RULES), plans)["recoveryPlans"] == shown


def test_a_great_many_problems_are_cut() -> None:
    shown = health(LoadedRules(source="setting", rules=None, problems=MANY))["alertRules"]["problems"]

    assert shown[:20] == list(MANY[:20])
    assert shown[20:] == ["5 more problems; the log at the app's start has all of them"]


def test_it_shows_who_lets_callers_in() -> None:
    shown = health(LoadedRules(source=None, rules=NO_RULES), authentication=Authentication.of({}, is_wanted=True))

    assert shown["authentication"] == "appService"
    assert "authenticationProblem" not in shown


def test_it_shows_that_principals_are_not_believed_although_they_should_be() -> None:
    authentication = Authentication.of({"WEBSITE_SITE_NAME": "restore"}, is_wanted=True)
    shown = health(LoadedRules(source=None, rules=NO_RULES), authentication=authentication)

    assert shown["authentication"] == "functionKey"
    assert "WEBSITE_AUTH_ENABLED" in shown["authenticationProblem"]
