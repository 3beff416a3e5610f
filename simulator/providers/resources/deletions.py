"""The asynchronous deletions of groups and deployments, and the calls for their results."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call
from simulator.errors import ArmError
from simulator.providers.resources.errors import unknown_operation
from simulator.signing import Signatures

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simulator.world import World

RETRY_AFTER_S = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """What is deleted, named as ARM names its job; ``remove`` does it, or raises the error that is answered then."""

    job: str
    location: str
    seconds: float
    ends_as: HTTPStatus
    remove: Callable[[], object]


def begin_deletion(world: World, call: Call, deletion: Deletion) -> Answer:
    """Begin a deletion; answer 202 with the address of its result."""
    job = f"{deletion.job.upper().replace('_', ':5F')}|{world.new_id().replace('-', '')[:16]}"
    text = json.dumps({"jobId": f"{job}-{deletion.location.upper()}", "jobLocation": deletion.location})
    token = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    result: dict[str, Any] = {
        "id": f"/subscriptions/{call.params['subscription']}/operationresults/{token}",
        "type": "Microsoft.Resources/operationresults",
        "status": HTTPStatus.ACCEPTED,
        "error": None,
    }
    world.store.put(result)

    def end() -> None:
        try:
            deletion.remove()
            world.store.put({**result, "status": deletion.ends_as})
        except ArmError as error:
            world.store.put({**result, "status": error.status, "error": (error.code, error.reason)})

    world.at(world.now() + timedelta(seconds=deletion.seconds), end)
    return _answer_running(world, call, result)


def get_deletion_result(world: World, call: Call) -> Answer:
    """Answer 202 while a deletion runs, then its end; raise the error of one that could not end."""
    result = world.store.get(call.path)
    if result is None:
        raise unknown_operation(call.path)
    if result["error"]:
        raise ArmError(result["status"], *result["error"], cause="gateway")
    if result["status"] == HTTPStatus.ACCEPTED:
        return _answer_running(world, call, result)
    return Answer(status=result["status"])


def _answer_running(world: World, call: Call, result: Mapping[str, Any]) -> Answer:
    address = f"{call.base_url}{result['id']}?api-version={call.api_version}"
    headers = {
        "Location": Signatures(world.now(), world.random).sign(address),
        "Retry-After": world.timeline.retry_after(RETRY_AFTER_S),
    }
    return Answer(status=202, headers=headers)
