"""What callers are told of the configured recovery plans, also if those cannot be used."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import azure.functions as func
import pytest

from domain.recovery.plan import LoadedPlans
from domain.recovery.plans_file import read_plans
from tests.support.plans import a_group, a_plan, vm
from triggers.recovery_plans import PlansApi, log_plans

if TYPE_CHECKING:
    from domain.errors import Json

SHOP = a_plan(a_group("database", vm("sql-01")), a_group("web", vm("web-01"), vm("web-02")), name="Shop")
PLANS = LoadedPlans(source="plans.json", plans=read_plans({"plans": [SHOP, a_plan(name="other", maxRunning=4)]}))
BROKEN = LoadedPlans(
    source="plans.json", plans=None, problems=tuple(f"plans[{index}].x is wrong" for index in range(5))
)
ORIGIN = "https://app.example/api/recovery-plans"


def listed(plans: LoadedPlans) -> tuple[int, Json]:
    answer = PlansApi(plans).list_plans(func.HttpRequest("GET", ORIGIN, body=b""))
    return answer.status_code, json.loads(answer.get_body())


def shown(name: str, plans: LoadedPlans = PLANS) -> func.HttpResponse:
    request = func.HttpRequest("GET", f"{ORIGIN}/x", body=b"", route_params={"name": name})
    return PlansApi(plans).get_plan(request)


def test_plans_are_listed_in_their_order_without_their_text() -> None:
    assert listed(PLANS) == (
        200,
        {
            "value": [
                {
                    "name": "Shop",
                    "maxRunning": None,
                    "order": [["database"], ["web"]],
                    "namedMembers": 3,
                    "links": {"self": f"{ORIGIN}/Shop"},
                },
                {
                    "name": "other",
                    "maxRunning": 4,
                    "order": [["web"]],
                    "namedMembers": 1,
                    "links": {"self": f"{ORIGIN}/other"},
                },
            ]
        },
    )
    assert listed(LoadedPlans(source=None, plans={})) == (200, {"value": []})


@pytest.mark.parametrize("name", ["Shop", "shop", "SHOP "])
def test_a_plan_is_shown_as_it_was_written_by_its_name_in_any_case(name: str) -> None:
    answer = shown(name)

    assert answer.status_code == 200
    assert json.loads(answer.get_body())["plan"] == SHOP


@pytest.mark.parametrize("name", ["", "shops", "../health", "sh%6fp", "\u0130", "'", "a" * 5000])
def test_an_unknown_name_is_not_found(name: str) -> None:
    answer = shown(name)

    assert answer.status_code == 404
    assert json.loads(answer.get_body())["error"]["code"] == "NotFound"


def test_a_secret_in_a_plan_is_not_shown() -> None:
    secret = "https://account.blob.core.windows.net/c?sig=c2VjcmV0"
    restore: dict[str, Any] = {
        "recoveryType": "RestoreDisks",
        "vaultId": None,
        "storageAccountId": SHOP["restore"]["storageAccountId"],
    }
    plan = a_plan(restore={**restore, "encryptionDetails": {"kekUrl": secret}})
    answer = shown("shop", LoadedPlans(source="x", plans=read_plans({"plans": [plan]})))

    assert answer.status_code == 200
    assert b"c2VjcmV0" not in answer.get_body()


def test_plans_that_cannot_be_used_are_unavailable_and_say_why() -> None:
    status, body = listed(BROKEN)
    answer = shown("shop", BROKEN)

    assert (status, answer.status_code) == (503, 503)
    assert int(answer.headers["Retry-After"]) > 0
    assert body == json.loads(answer.get_body())
    assert body["error"]["code"] == "ServiceUnavailable"
    for part in ("Correct RECOVERY_PLANS", "plans[0].x is wrong", "plans[2].x is wrong", "and 2 more problems"):
        assert part in body["error"]["message"]


def test_the_log_at_the_start_says_which_plans_there_are(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    log_plans(BROKEN)
    log_plans(LoadedPlans(source=None, plans={}))
    log_plans(PLANS)

    *off, some = [(record.levelno, record.getMessage()) for record in caplog.records]
    assert off[0][1].startswith("CONFIGURED RECOVERY PLANS ARE OFF")
    assert [level for level, _ in off] == [logging.ERROR] * 6
    assert some == (logging.INFO, "recovery plans: 2 from plans.json")
