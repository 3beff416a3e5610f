"""What becomes of a body that is not quite a request: an answer that says so, and nothing started."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast

import azure.functions as func
import grpc
import pytest
from durabletask.client import OrchestrationStatus
from hypothesis import given

from domain.api_types import RecoveryPointList
from domain.codec import pack
from domain.errors import InvalidRequestError
from domain.requests import RestoreRequest
from domain.restore.calls import ResolveItem
from domain.restore.document import document
from domain.restore.parts import ENDED
from tests.support.azure import LIMITS, VAULT_ID, VM_ID, a_request, a_restore
from tests.support.hub import START
from tests.support.rows_hub import ENDED as COMPLETED
from tests.support.rows_hub import RowsHub
from tests.support.strategies import NAMES, THOROUGH, damaged, good_requests
from tests.unit.triggers.states import a_state
from triggers.http import RestoresApi

if TYPE_CHECKING:
    from collections.abc import Callable

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


def an_api(recovery_points: Callable[[ResolveItem], RecoveryPointList]) -> RestoresApi:
    return RestoresApi(limits_for=lambda _request: LIMITS, recovery_points=recovery_points)


def post(body: object, hub: Hub | None = None) -> tuple[func.HttpResponse, list[Json]]:
    api = an_api(lambda _wanted: RecoveryPointList(value=()))
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
    assert "without a requestId, look first in GET /api/restores" in error["message"]
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


class Holding(Hub):
    """A task hub in which one restore stands as its status document says."""

    def __init__(self, body: Json, status: str, *, ended: bool) -> None:
        super().__init__()
        restore = a_restore(**body)
        phase = "Finished" if ended else "AwaitingApproval"
        shown = {**document(restore, START), "status": status, "phase": phase}
        payload = {"serialized_output" if ended else "serialized_custom_status": shown}
        runtime = OrchestrationStatus.COMPLETED if ended else OrchestrationStatus.RUNNING
        self._state = a_state(runtime, serialized_input=pack(restore), **payload)

    async def get_orchestration_state(self, *_: Any, **__: Any) -> Any:
        return self._state


@pytest.mark.parametrize("body", [{"requestId": "r1"}, {"requestId": "r1", "sourceResourceId": None, **NAMES}])
class TestTheSameRequestIdAgain:
    @pytest.mark.parametrize("status", sorted(map(str, ENDED)))
    def test_is_answered_how_it_ended(self, body: Json, status: str) -> None:
        hub = Holding(body, status, ended=True)
        answer, started = post(a_request(**body), hub)

        told = json.loads(answer.get_body())
        assert (answer.status_code, told["status"], started) == (200, status, [])
        assert told["id"] in answer.headers["Location"]
        assert "Retry-After" not in answer.headers

    @pytest.mark.parametrize("status", ["Running", "AwaitingApproval"])
    def test_is_answered_where_it_stands(self, body: Json, status: str) -> None:
        answer, started = post(a_request(**body), Holding(body, status, ended=False))

        assert (answer.status_code, json.loads(answer.get_body())["status"], started) == (202, status, [])

    @pytest.mark.parametrize("ended", [True, False])
    def test_with_another_body_is_refused_under_its_own_code(self, body: Json, ended: bool) -> None:
        hub = Holding(body, "Completed" if ended else "Running", ended=ended)
        answer, started = post(a_request(**body, reason="another"), hub)

        assert (answer.status_code, json.loads(answer.get_body())["error"]["code"]) == (409, "RequestIdReused")
        assert started == []


def points_of(**params: str) -> tuple[func.HttpResponse, list[ResolveItem]]:
    asked: list[ResolveItem] = []

    def recovery_points(wanted: ResolveItem) -> RecoveryPointList:
        asked.append(wanted)
        return RecoveryPointList(value=())

    request = func.HttpRequest("GET", "http://127.0.0.1/api/recovery-points", params=params, body=b"")
    return an_api(recovery_points).list_recovery_points(request), asked


@pytest.mark.parametrize("params", [{}, {"vaultId": ""}, {"code": "key", "clientId": "default"}])
def test_recovery_points_are_asked_for_by_the_vm(params: dict[str, str]) -> None:
    answer, asked = points_of(sourceResourceId=f"{VM_ID}/", **params)

    assert (answer.status_code, asked) == (200, [ResolveItem(source_resource_id=VM_ID)])


def test_recovery_points_of_a_deleted_vm_are_asked_for_by_its_vault_too() -> None:
    _, asked = points_of(sourceResourceId=VM_ID, vaultId=f"{VAULT_ID}/")

    assert asked == [ResolveItem(source_resource_id=VM_ID, vault_id=VAULT_ID)]


@pytest.mark.parametrize(
    ("params", "code", "target", "words"),
    [
        ({}, "MissingField", "sourceResourceId", "is needed"),
        ({"sourceResourceId": ""}, "MissingField", "sourceResourceId", "is needed"),
        ({"sourceResourceId": VAULT_ID}, "InvalidValue", "sourceResourceId", "Microsoft.Compute/virtualMachines"),
        ({"sourceResourceId": VM_ID, "vaultId": VM_ID}, "InvalidValue", "vaultId", "Microsoft.RecoveryServices/vaults"),
        ({"sourceResourceId": VM_ID, "vault": VAULT_ID}, "UnknownField", "vault", "is it vaultId?"),
        ({"sourceResourceId": VM_ID, "vaultid": VAULT_ID}, "UnknownField", "vaultid", "is it vaultId?"),
        ({"sourceResourceId": VM_ID, "top": ""}, "UnknownField", "top", "is not a known"),
    ],
)
def test_a_wrong_parameter_of_recovery_points_is_named(
    params: dict[str, str], code: str, target: str, words: str
) -> None:
    answer, asked = points_of(**params)

    error = json.loads(answer.get_body())["error"]
    assert (answer.status_code, error["code"], asked) == (400, "InvalidRequest", [])
    (detail,) = error["details"]
    assert (detail["code"], detail["target"]) == (code, target)
    assert words in detail["message"]


def restores_of(**params: str) -> func.HttpResponse:
    """Ask for the restores of a hub in which one has completed."""
    hub = RowsHub([a_restore()], **COMPLETED)
    request = func.HttpRequest("GET", "http://127.0.0.1/api/restores", params=params, body=b"")
    api = an_api(lambda _wanted: RecoveryPointList(value=()))
    return asyncio.run(api.list_restores(request, cast("df.DurableFunctionsClient", hub)))


@pytest.mark.parametrize(
    ("status", "count"),
    [("Completed", 1), ("completed", 1), (" COMPLETED\r", 1), ("", 1), ("completedwithwarnings", 0), ("running", 0)],
)
def test_the_status_of_a_list_is_known_in_any_case(status: str, count: int) -> None:
    assert len(json.loads(restores_of(status=status).get_body())["value"]) == count


@pytest.mark.parametrize(
    ("params", "targets"),
    [
        ({"status": "Done"}, ["status"]),
        ({"stauts": "Completed"}, ["stauts"]),
        ({"Status": "Completed", "vaultId": VAULT_ID}, ["Status", "vaultId"]),
        ({"sourceResourceId": "web-01", "other": ""}, ["other", "sourceResourceId"]),
    ],
)
def test_every_wrong_parameter_of_a_list_is_named(params: dict[str, str], targets: list[str]) -> None:
    answer = restores_of(**params)

    error = json.loads(answer.get_body())["error"]
    assert (answer.status_code, error["code"]) == (400, "InvalidRequest")
    assert sorted(detail["target"] for detail in error["details"]) == targets
