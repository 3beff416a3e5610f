"""Passes work items of the task hub to the app's orchestrators, activities and entities, and their results back."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from azure.functions import _durable_functions, meta
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf import wrappers_pb2

from .backend import MAX_MESSAGE
from .functions import ACTIVITY, ENTITY, ORCHESTRATION, convert_in, convert_out

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping

    from google.protobuf.message import Message

    from .functions import HostedFunction, Invoker
    from .joined import TaskHub

# The SDK's activity converter itself uses the form that the SDK warns of; under -W error an activity would fail of it.
_durable_functions._no_expected_type_notice_emitted = True

log = logging.getLogger(__name__)
WEBHOOKS = "/runtime/webhooks/durabletask"


def client_config(rpc_address: str, url: str, task_hub: str) -> str:
    """Return what the extension gives a durable client binding, as far as the SDK reads it."""
    return json.dumps(
        {
            "taskHubName": task_hub,
            "connectionName": "Storage",
            "baseUrl": url + WEBHOOKS,
            "httpBaseUrl": url + WEBHOOKS,
            "rpcBaseUrl": f"http://{rpc_address}",
            "maxGrpcMessageSizeInBytes": MAX_MESSAGE,
        }
    )


def failure(error: Exception) -> pb.TaskFailureDetails:
    """Describe an error for history; the backend takes one without a message for success."""
    details = helpers.new_failure_details(error)
    details.errorMessage = details.errorMessage or type(error).__name__
    return details


def _encoded(message: Message) -> meta.Datum:
    return meta.Datum(base64.b64encode(message.SerializeToString()).decode(), "string")


@dataclass(frozen=True, kw_only=True)
class Durable:
    """The durable half of the host. ``receive`` is called on the event loop, once for each work item."""

    backend: TaskHub
    invoke: Invoker
    functions: Mapping[tuple[str, str], HostedFunction]
    running: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    @classmethod
    def of(cls, functions: Iterable[HostedFunction], backend: TaskHub, invoke: Invoker) -> Durable:
        """Take the durable functions among ``functions``."""
        named = {(str(each.trigger.type), each.name.lower()): each for each in functions}
        return cls(backend=backend, invoke=invoke, functions=named)

    def receive(self, item: pb.WorkItem) -> None:
        """Start working on ``item``; its result goes to the backend."""
        task = asyncio.get_running_loop().create_task(self._work(item))
        self.running.add(task)
        task.add_done_callback(self.running.discard)

    def _work(self, item: pb.WorkItem) -> Coroutine[Any, Any, None]:
        match item.WhichOneof("request"):
            case "orchestratorRequest":
                return self._orchestrate(item.orchestratorRequest, item.completionToken)
            case "activityRequest":
                return self._act(item.activityRequest, item.completionToken)
            case _:
                return self._operate(item.entityRequestV2, item.completionToken)

    async def _call(self, trigger: str, name: str, datum: meta.Datum) -> Any:
        function = self.functions.get((trigger, name.lower()))
        if function is None:
            raise LookupError(f"the app has no {trigger} function '{name}'")
        return await self.invoke(function, convert_in(trigger, datum))

    async def _orchestrate(self, request: pb.OrchestratorRequest, token: str) -> None:
        events = itertools.chain(request.pastEvents, request.newEvents)
        try:
            name = next(event.executionStarted.name for event in events if event.HasField("executionStarted"))
            result = await self._call(ORCHESTRATION, name, _encoded(request))
            response = pb.OrchestratorResponse.FromString(base64.b64decode(result))
        except Exception as error:
            log.exception("orchestration %s failed outside its function", request.instanceId)
            end = helpers.new_complete_orchestration_action(-1, pb.ORCHESTRATION_STATUS_FAILED, "", failure(error))
            response = pb.OrchestratorResponse(instanceId=request.instanceId, actions=[end])
        response.completionToken = token
        await self.backend.complete(response)

    async def _act(self, request: pb.ActivityRequest, token: str) -> None:
        instance_id = request.orchestrationInstance.instanceId
        response = pb.ActivityResponse(instanceId=instance_id, taskId=request.taskId, completionToken=token)
        given = request.input.value if request.HasField("input") else "null"
        try:
            result = await self._call(ACTIVITY, request.name, meta.Datum(given, "json"))
            response.result.CopyFrom(wrappers_pb2.StringValue(value=convert_out(ACTIVITY, result).value))
        except Exception as error:  # noqa: BLE001 - whatever it is, the orchestration gets it
            log.warning("activity %s of %s failed: %s: %s", request.name, instance_id, type(error).__name__, error)
            response.failureDetails.CopyFrom(failure(error))
        await self.backend.complete(response)

    async def _operate(self, request: pb.EntityRequest, token: str) -> None:
        batch, infos = helpers.convert_to_entity_batch_request(request)
        name = request.instanceId.removeprefix("@").partition("@")[0]
        try:
            result = pb.EntityBatchResult.FromString(base64.b64decode(await self._call(ENTITY, name, _encoded(batch))))
        except Exception as error:
            log.exception("entity %s failed outside its function", request.instanceId)
            failed = pb.OperationResult(failure=pb.OperationResultFailure(failureDetails=failure(error)))
            result = pb.EntityBatchResult(results=[failed] * len(infos), entityState=batch.entityState)
        result.completionToken = token
        result.operationInfos.extend(infos)
        await self.backend.complete(result)
