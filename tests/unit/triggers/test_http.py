"""What becomes of a body that is not quite a request: an answer that says so, and nothing started."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast

import azure.functions as func
import grpc
from hypothesis import given

from domain.errors import InvalidRequestError
from domain.requests import RestoreRequest
from tests.support.azure import LIMITS, a_request
from tests.support.strategies import THOROUGH, damaged, good_requests
from triggers.http import RestoresApi

if TYPE_CHECKING:
    import azure.durable_functions as df

    from domain.errors import Json


class Hub:
    """A task hub that knows nothing, starts everything, and lets it be refused by no guard."""

    def __init__(self) -> None:
        self.started: list[Json] = []

    async def get_orchestration_state(self, *_: Any, **__: Any) -> None:
        return None

    async def schedule_new_orchestration(self, _name: str, *, input: Json, instance_id: str) -> str:  # noqa: A002
        self.started.append(input)
        return instance_id


def post(body: object, hub: Hub | None = None) -> tuple[func.HttpResponse, list[Json]]:
    api = RestoresApi(limits_for=lambda _request: LIMITS, recovery_points=lambda _vm: [])
    request = func.HttpRequest(
        "POST",
        "http://127.0.0.1/api/restores",
        headers={"Content-Type": "application/json"},
        body=json.dumps(body).encode(),
    )
    hub = hub or Hub()
    answer = asyncio.run(api.post_restore(request, cast("df.DurableFunctionsClient", hub)))
    return answer, hub.started


def test_a_task_hub_that_is_away_is_a_503_that_says_what_may_have_happened() -> None:
    class Away(Hub):
        async def get_orchestration_state(self, *_: Any, **__: Any) -> None:
            nothing = grpc.aio.Metadata()
            raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, nothing, nothing, details="connection refused")

    answer, started = post(a_request(requestId="r1"), Away())

    error = json.loads(answer.get_body())["error"]
    assert (answer.status_code, error["code"], started) == (503, "ServiceUnavailable", [])
    assert "without a requestId only after" in error["message"]
    assert int(answer.headers["Retry-After"]) > 0


def is_good(body: object) -> bool:
    try:
        RestoreRequest.from_json(json.loads(json.dumps(body)))
    except InvalidRequestError:
        return False
    return True


@given(damaged(good_requests()))
@THOROUGH
def test_a_damaged_request_is_named_and_starts_nothing(body: Json) -> None:
    if is_good(body):
        return  # the damage was none
    answer, started = post(body)

    error = json.loads(answer.get_body())["error"]
    assert (answer.status_code, error["code"], started) == (400, "InvalidRequest", [])
    assert error["details"]
