"""Messages on the requests queue that start recoveries, or never can."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any, cast

import azure.functions as func
import pytest

from domain.errors import TransientError
from domain.recovery.plan import LoadedPlans
from domain.recovery.plans_file import read_plans
from orchestrations.names import RUN_RECOVERY
from tests.support.azure import LIMITS
from tests.support.plans import a_group, a_plan
from tests.unit.triggers.recovery_hub import StartsHub
from triggers.queue import RequestsQueue
from triggers.recovery_starting import RecoverySettings, recovery_id_for

if TYPE_CHECKING:
    import azure.durable_functions as df

    from domain.errors import Json

PLANS = LoadedPlans(source="x", plans=read_plans({"plans": [a_plan()]}))
BROKEN = LoadedPlans(source="x", plans=None, problems=("plans[0].name is needed",))


class _Results:
    """What is put on the results queue."""

    def __init__(self) -> None:
        self.message: Json | None = None

    def set(self, text: str) -> None:
        self.message = json.loads(base64.b64decode(text))


def deliver(hub: StartsHub, content: object, plans: LoadedPlans = PLANS, message_id: str = "m1") -> Json | None:
    """Deliver a message; returns what is put on the results queue."""
    settings = RecoverySettings(plans=plans, max_per_vault=5)
    queue = RequestsQueue(limits_for=lambda _request: LIMITS, recoveries=settings)
    message = func.QueueMessage(id=message_id, body=json.dumps(content).encode())
    results = _Results()
    client = cast("df.DurableFunctionsClient", hub)
    asyncio.run(queue.on_restore_request(message, client, cast("func.Out[str]", results)))
    return results.message


def recoveries_in(hub: StartsHub) -> list[str]:
    return [state.instance_id for state in hub.instances.values() if state.name == RUN_RECOVERY]


def test_a_message_with_a_plan_starts_a_recovery_once_however_often_it_is_delivered() -> None:
    hub = StartsHub()

    assert [deliver(hub, {"plan": "SHOP"}) for _ in range(3)] == [None] * 3

    assert recoveries_in(hub) == [recovery_id_for("message:m1")]
    assert hub.names.count(RUN_RECOVERY) == 1


def test_a_key_in_the_message_counts_more_than_the_message() -> None:
    hub = StartsHub()

    for message_id in ("m1", "m2"):
        assert deliver(hub, {"plan": a_plan(), "requestId": "r1"}, message_id=message_id) is None

    assert recoveries_in(hub) == [recovery_id_for("r1")]


@pytest.mark.parametrize(
    ("content", "code", "plan"),
    [
        ({"plan": "other", "requestedBy": "ada"}, "NotFound", "other"),
        ({"plan": ""}, "InvalidRequest", ""),
        ({"plan": None}, "InvalidRequest", ""),
        ({"plan": 5}, "InvalidRequest", ""),
        ({"plan": a_plan(a_group("web", after=["db"]))}, "InvalidRequest", "shop"),
        ({"plan": "shop", "sourceResourceId": "x"}, "InvalidRequest", "shop"),
        ({"plan": {"name": "x" * 5000}, "reason": "y" * 5000}, "InvalidRequest", "x" * 1000),
        ({"plan": "see https://x.blob.core.windows.net/?sig=c2VjcmV0"}, "InvalidRequest", None),
    ],
)
def test_a_message_that_can_never_work_is_answered_as_a_recovery(content: Json, code: str, plan: str | None) -> None:
    hub = StartsHub()

    answered = deliver(hub, content)

    assert answered is not None
    assert (answered["id"], answered["status"], answered["startedBy"]) == ("m1", "Failed", "queue")
    assert answered["error"]["code"] == code
    assert answered["plan"] == plan or plan is None
    assert (answered["groups"], answered["links"], "sourceResourceId" in answered) == ([], {}, False)
    assert answered["requestedBy"] == content.get("requestedBy")
    assert "c2VjcmV0" not in json.dumps(answered)
    assert hub.instances == {}


def test_the_answer_to_a_message_with_a_great_many_mistakes_fits_into_a_message() -> None:
    content = {"plan": a_plan(*(a_group(f"\U0001f525{index}", "x" * 200) for index in range(50)))}

    answered = deliver(StartsHub(), content)

    assert answered is not None
    assert len(base64.b64encode(json.dumps(answered).encode())) <= 64 * 1024
    assert (answered["status"], answered["error"]["code"]) == ("Failed", "InvalidRequest")


def test_a_key_of_another_call_is_answered() -> None:
    hub = StartsHub()
    deliver(hub, {"plan": "shop", "requestId": "r1"})

    answered = deliver(hub, {"plan": "shop", "requestId": "r1", "dryRun": True}, message_id="m2")

    assert answered is not None
    assert (answered["id"], answered["error"]["code"], answered["dryRun"]) == ("m2", "RequestIdReused", True)


@pytest.mark.parametrize(("plans", "away"), [(BROKEN, False), (PLANS, True)])
def test_what_may_work_later_is_left_to_the_next_delivery(plans: LoadedPlans, away: bool) -> None:
    hub = StartsHub()
    hub.loses_starts = away

    with pytest.raises((TransientError, ConnectionError)):
        deliver(hub, {"plan": "shop"}, plans)

    hub.loses_starts = False
    assert deliver(hub, {"plan": "shop"}) is None
    assert len(recoveries_in(hub)) == 1


def test_the_content_of_other_messages_is_a_restore_request() -> None:
    answered: Any = deliver(StartsHub(), {"plans": "shop"})

    assert "sourceResourceId" in answered
    assert "plan" not in answered
