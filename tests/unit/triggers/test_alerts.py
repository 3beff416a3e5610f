"""What an action group is told when the task hub is away."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any, cast

import azure.functions as func

from domain.alerts.payload import MAX_VMS
from domain.alerts.rules_file import read_rules
from scripts.alerting import vm_down
from tests.support.azure import LIMITS, VM_ID, a_request
from triggers.alerts import AlertsApi

if TYPE_CHECKING:
    import azure.durable_functions as df
    import pytest

RESTORE = {name: value for name, value in a_request().items() if name != "sourceResourceId"}
API = AlertsApi(rules=read_rules({"rules": [{"name": "all", "restore": RESTORE}]}), limits_for=lambda _request: LIMITS)


class _Away:
    """A task hub that cannot be reached."""

    async def get_orchestration_state(self, *_: Any, **__: Any) -> None:
        raise ConnectionError("storage is away")


def post(alert: object) -> func.HttpResponse:
    request = func.HttpRequest("POST", "/api/alerts", body=json.dumps(alert).encode())
    return asyncio.run(API.post_alert(request, cast("df.DurableFunctionsClient", _Away())))


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
