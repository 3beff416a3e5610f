"""The decisions about alerts are kept and listed, and whatever happens to that, the alert is answered."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast, override
from urllib.parse import parse_qsl, urlsplit

import azure.functions as func
import pytest

from domain.alerts.alert_rules import LoadedRules
from domain.alerts.payload import MAX_VMS, read_alert
from domain.alerts.rules_file import read_rules
from domain.recovery.plan import LoadedPlans
from orchestrations.names import HOLD_LIST_ENTRY
from scripts.alerting import vm_down
from tests.support.azure import LIMITS, VM_ID, a_restore
from tests.support.rows_hub import ENDED, NOW, RowsHub
from triggers import alert_decisions
from triggers.alert_decisions import alert_record, list_alert_decisions, note_decisions
from triggers.alerts import AlertsApi
from triggers.list_entries import MAX_DOCUMENT
from triggers.recovery_starting import RecoverySettings

if TYPE_CHECKING:
    import azure.durable_functions as df

    from domain.errors import Json

URL = "https://app.example/api/alert-decisions"
DENY = read_rules({"rules": [{"name": "never", "match": {"sourceResourceIds": ["*"]}, "deny": True}]})
NO_PLANS = LoadedPlans(source=None, plans={})


class Hub(RowsHub):
    """A task hub that takes the starts of list entries."""

    async def schedule_new_orchestration(self, name: str, *, input: Json, instance_id: str) -> str:  # noqa: A002
        assert name == HOLD_LIST_ENTRY
        self.note(name, instance_id, kept=json.dumps(input))
        return instance_id


def client_of(hub: Any) -> df.DurableFunctionsClient:
    return cast("df.DurableFunctionsClient", hub)


def post(hub: Any, alert: Json, rules: LoadedRules | None = None) -> func.HttpResponse:
    loaded = rules or LoadedRules(source="setting", rules=DENY)
    recoveries = RecoverySettings(plans=NO_PLANS, max_per_vault=50)
    api = AlertsApi(rules=loaded, limits_for=lambda _: LIMITS, recoveries=recoveries)
    request = func.HttpRequest("POST", "/api/alerts", body=json.dumps(alert).encode())
    return asyncio.run(api.post_alert(request, client_of(hub)))


def ask(hub: RowsHub, **params: str) -> tuple[int, Json]:
    request = func.HttpRequest("GET", URL, body=b"", params=params)
    answer = asyncio.run(list_alert_decisions(request, client_of(hub)))
    return answer.status_code, json.loads(answer.get_body())


def an_alert(**essentials: Any) -> Json:
    alert = vm_down(VM_ID)
    alert["data"]["essentials"].update(essentials)
    return alert


def test_what_the_sender_was_answered_is_listed() -> None:
    hub, before = Hub(), datetime.now(UTC)
    named = {"alertId": "/alerts/1", "alertRule": "vm-down", "severity": "Sev1"}
    answer = post(hub, an_alert(**named, firedDateTime="2026-11-24T10:00:00.1234567Z"))

    _, page = ask(hub)
    [shown] = page["value"]
    time = datetime.fromisoformat(shown.pop("time"))
    assert before <= time <= datetime.now(UTC)
    assert shown == {
        **named,
        "firedTime": "2026-11-24T10:00:00.123456Z",
        "decisions": json.loads(answer.get_body())["decisions"],
    }
    assert [decision["decision"] for decision in shown["decisions"]] == ["Refused"]
    assert "nextLink" not in page


def test_each_delivery_is_listed_also_if_it_starts_nothing() -> None:
    hub = Hub()
    for condition in ("Fired", "Fired", "Resolved"):
        post(hub, an_alert(monitorCondition=condition))

    found = [shown["decisions"][0]["decision"] for shown in ask(hub)[1]["value"]]
    assert found == ["Ignored", "Refused", "Refused"]


@pytest.mark.parametrize("top", ["1", "3", "10", "11", "200"])
def test_pages_have_each_alert_once_from_the_newest_on_and_nothing_else(top: str) -> None:
    hub = Hub([a_restore(key=str(number), created=NOW) for number in range(5)], **ENDED)
    for number in range(10):
        alert = read_alert(an_alert(alertId=f"/alerts/{number}"))
        asyncio.run(note_decisions(client_of(hub), alert, (), NOW + timedelta(microseconds=number)))

    found, params = list[list[str]](), {"top": top}
    while params:
        _, page = ask(hub, **params)
        found.append([shown["alertId"] for shown in page["value"]])
        link = page.get("nextLink", "")
        assert not link or link.startswith(f"{URL}?")
        params = dict(parse_qsl(urlsplit(link).query))

    assert [each for one in found for each in one] == [f"/alerts/{number}" for number in reversed(range(10))]
    assert max(map(len, found)) <= int(top)


def test_the_longest_page_of_the_longest_records_fits_into_an_answer_of_the_task_hub() -> None:
    alert = an_alert(alertTargetIDs=[f"{VM_ID}-{number}" for number in range(MAX_VMS)], severity="é" * 5000)
    hub = Hub()
    answer = post(hub, alert)

    [shown] = ask(hub)[1]["value"]
    decisions = json.loads(answer.get_body())["decisions"]
    assert len(json.dumps(shown)) <= MAX_DOCUMENT
    assert len(shown["decisions"]) > 10
    assert shown["decisions"] == decisions[: len(shown["decisions"])]
    assert shown["omitted"] + len(shown["decisions"]) == len(decisions) == MAX_VMS
    assert alert_decisions.MAX_ALERTS_SHOWN * MAX_DOCUMENT < 4 * 1024 * 1024


def test_words_of_the_sender_are_on_one_line_and_have_no_secrets() -> None:
    named = {"alertRule": "down\r\nforged: yes", "severity": "see https://x.example/y?sig=c2VjcmV0LXNpZ25hdHVyZQ"}
    decisions = ({"sourceResourceId": VM_ID, "decision": "Ignored", "reason": "password=hunter2hunter2"},)

    shown = alert_record(read_alert(an_alert(**named)), decisions, NOW)

    assert shown["alertRule"] == "down  forged: yes"
    assert "c2VjcmV0" not in json.dumps(shown)
    assert "hunter2" not in json.dumps(shown)


class _Away(Hub):
    @override
    async def schedule_new_orchestration(self, name: str, *, input: Json, instance_id: str) -> str:
        raise ConnectionError("storage is away")


class _Silent(Hub):
    @override
    async def schedule_new_orchestration(self, name: str, *, input: Json, instance_id: str) -> str:
        await asyncio.Event().wait()
        return instance_id


@pytest.mark.parametrize("hub", [_Away(), _Silent()], ids=["away", "silent"])
def test_a_task_hub_that_does_not_take_it_keeps_no_alert_from_being_answered(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(alert_decisions, "MAX_WAIT_S", 0.01)

    answer = post(hub, an_alert())

    assert (answer.status_code, len(json.loads(answer.get_body())["decisions"])) == (202, 1)
    assert ask(hub) == (200, {"value": []})
    assert "GET /api/alert-decisions will not show alert" in caplog.text


@pytest.mark.parametrize(
    ("alert", "rules"),
    [(an_alert(), LoadedRules(source="x", rules=None, problems=("x is wrong",))), ({"schemaId": "other"}, None)],
)
def test_an_alert_about_which_nothing_was_decided_is_not_listed(alert: Json, rules: LoadedRules | None) -> None:
    hub = Hub()

    assert post(hub, alert, rules).status_code in {400, 503}
    assert ask(hub) == (200, {"value": []})


def test_what_is_no_record_is_left_out() -> None:
    hub = Hub()
    for number, kept in enumerate((None, '"text"', "[]", "{}", "not JSON")):
        hub.note(HOLD_LIST_ENTRY, f"{alert_decisions.PREFIX}{number}", kept=kept)

    assert ask(hub) == (200, {"value": []})


@pytest.mark.parametrize(
    ("params", "target"),
    [
        ({"top": "0"}, "top"),
        ({"top": "201"}, "top"),
        ({"continuationToken": "abc"}, "continuationToken"),
        ({"status": "Started"}, "status"),
    ],
)
def test_a_wrong_parameter_is_named(params: dict[str, str], target: str) -> None:
    status, body = ask(Hub(), **params)

    assert (status, [detail["target"] for detail in body["error"]["details"]]) == (400, [target])
