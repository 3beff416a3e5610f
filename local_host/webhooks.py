"""The durable extension's management webhooks, answered from the task hub."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web
from azure.durable_functions.internal.compat.history_projection import project_history
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal.history_helpers import collect_history_events
from google.protobuf import wrappers_pb2

from .backend import IN_PROCESS
from .durable import WEBHOOKS

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from .joined import TaskHub

_STATUS = {
    pb.ORCHESTRATION_STATUS_RUNNING: "Running",
    pb.ORCHESTRATION_STATUS_COMPLETED: "Completed",
    pb.ORCHESTRATION_STATUS_FAILED: "Failed",
    pb.ORCHESTRATION_STATUS_TERMINATED: "Terminated",
    pb.ORCHESTRATION_STATUS_PENDING: "Pending",
    pb.ORCHESTRATION_STATUS_SUSPENDED: "Suspended",
}
_FINISHED = {"Completed", "Failed", "Terminated"}
_CONTINUATION = "x-ms-continuation-token"
_RETRY_AFTER_S = "5"  # what the extension asks for
_TOP = 100  # instances in a page, unless told otherwise


@dataclass(frozen=True)
class Webhooks:
    """The routes under ``/runtime/webhooks/durabletask``. No system key is asked for."""

    backend: TaskHub

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, for an aiohttp application."""
        one = WEBHOOKS + "/instances/{id}"
        return [
            web.get(WEBHOOKS + "/instances", self._list),
            web.get(one, self._get),
            web.delete(one, self._purge),
            web.post(one + "/terminate", self._terminate),
            web.post(one + "/suspend", self._suspend),
            web.post(one + "/resume", self._resume),
            web.post(one + "/raiseEvent/{event}", self._raise_event),
        ]

    def _find(self, request: web.Request) -> pb.OrchestrationState:
        asked = pb.GetInstanceRequest(instanceId=request.match_info["id"], getInputsAndOutputs=True)
        found = self.backend.GetInstance(asked, IN_PROCESS)
        if not found.exists:
            raise web.HTTPNotFound
        return found.orchestrationState

    def _find_unfinished(self, request: web.Request) -> pb.OrchestrationState:
        state = self._find(request)
        if _STATUS[state.orchestrationStatus] in _FINISHED:
            raise web.HTTPGone
        return state

    async def _get(self, request: web.Request) -> web.Response:
        state = self._find(request)
        body = _document(state, show_input=_flag(request, "showInput", default=True))
        if _flag(request, "showHistory"):
            asked = pb.StreamInstanceHistoryRequest(instanceId=state.instanceId)
            events = collect_history_events(self.backend.StreamInstanceHistory(asked, IN_PROCESS))
            body["historyEvents"] = project_history(
                events,
                show_input=_flag(request, "showInput", default=True),
                show_history_output=_flag(request, "showHistoryOutput"),
            )
        if body["runtimeStatus"] not in _FINISHED:
            later = {"Location": str(request.url), "Retry-After": _RETRY_AFTER_S}
            return web.json_response(body, status=202, headers=later)
        failed = body["runtimeStatus"] == "Failed" and _flag(request, "returnInternalServerErrorOnFailure")
        return web.json_response(body, status=500 if failed else 200)

    async def _list(self, request: web.Request) -> web.Response:
        wanted = {name for each in request.query.getall("runtimeStatus", []) for name in each.split(",")}
        query = pb.InstanceQuery(
            runtimeStatus=[value for value, name in _STATUS.items() if name in wanted],
            instanceIdPrefix=wrappers_pb2.StringValue(value=request.query.get("instanceIdPrefix", "")),
            maxInstanceCount=_number(request, "top") or _TOP,
            continuationToken=wrappers_pb2.StringValue(value=request.headers.get(_CONTINUATION, "")),
            fetchInputsAndOutputs=True,
        )
        page = self.backend.QueryInstances(pb.QueryInstancesRequest(query=query), IN_PROCESS)
        show_input = _flag(request, "showInput")
        body = [_document(state, show_input=show_input) for state in page.orchestrationState]
        return web.json_response(body, headers={_CONTINUATION: page.continuationToken.value})

    async def _terminate(self, request: web.Request) -> web.Response:
        state = self._find_unfinished(request)
        self.backend.TerminateInstance(
            pb.TerminateRequest(instanceId=state.instanceId, output=_reason(request)), IN_PROCESS
        )
        return web.Response(status=202)

    async def _suspend(self, request: web.Request) -> web.Response:
        state = self._find_unfinished(request)
        self.backend.SuspendInstance(
            pb.SuspendRequest(instanceId=state.instanceId, reason=_reason(request)), IN_PROCESS
        )
        return web.Response(status=202)

    async def _resume(self, request: web.Request) -> web.Response:
        state = self._find_unfinished(request)
        self.backend.ResumeInstance(pb.ResumeRequest(instanceId=state.instanceId, reason=_reason(request)), IN_PROCESS)
        return web.Response(status=202)

    async def _raise_event(self, request: web.Request) -> web.Response:
        state = self._find_unfinished(request)
        if request.content_type != "application/json":
            raise web.HTTPBadRequest(text="the event's data must be application/json")
        try:
            data = json.dumps(json.loads(await request.read() or b"null"))
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"the event's data is not JSON: {error}") from error
        event = pb.RaiseEventRequest(
            instanceId=state.instanceId,
            name=request.match_info["event"],
            input=wrappers_pb2.StringValue(value=data),
        )
        self.backend.RaiseEvent(event, IN_PROCESS)
        return web.Response(status=202)

    async def _purge(self, request: web.Request) -> web.Response:
        state = self._find(request)
        if _STATUS[state.orchestrationStatus] not in _FINISHED:
            raise web.HTTPPreconditionFailed(text="only a finished orchestration can be purged")
        purged = self.backend.PurgeInstances(pb.PurgeInstancesRequest(instanceId=state.instanceId), IN_PROCESS)
        return web.json_response({"instancesDeleted": purged.deletedInstanceCount})


def _document(state: pb.OrchestrationState, *, show_input: bool) -> dict[str, Any]:
    return {
        "name": state.name,
        "instanceId": state.instanceId,
        "runtimeStatus": _STATUS[state.orchestrationStatus],
        "input": _value(state.input.value) if show_input else None,
        "customStatus": _value(state.customStatus.value),
        "output": _value(state.output.value),
        "createdTime": _time(state.createdTimestamp),
        "lastUpdatedTime": _time(state.lastUpdatedTimestamp),
    }


def _value(text: str) -> Any:
    """Read a payload; the reason of a termination and the error of a failure are plain text."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text


def _time(stamp: Timestamp) -> str:
    return stamp.ToDatetime().strftime("%Y-%m-%dT%H:%M:%SZ")


def _flag(request: web.Request, name: str, *, default: bool = False) -> bool:
    return request.query.get(name, str(default)).lower() == "true"


def _number(request: web.Request, name: str) -> int:
    text = request.query.get(name, "")
    return int(text) if text.isdecimal() else 0


def _reason(request: web.Request) -> wrappers_pb2.StringValue:
    """Return the reason as it was given: the extension makes no JSON of it."""
    return wrappers_pb2.StringValue(value=request.query.get("reason", ""))
