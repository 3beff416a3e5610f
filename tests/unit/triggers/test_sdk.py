"""What the extension answers when a worker died in an entity's operation: plain text, which must not end a restore."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import durabletask.internal.orchestrator_service_pb2 as pb
from azure.durable_functions.internal.serialization import DEFAULT_FUNCTIONS_DATA_CONVERTER
from google.protobuf import wrappers_pb2

from tests.support.azure import Lab, a_restore
from triggers.sdk import accept_plain_text_payloads

if TYPE_CHECKING:
    import pytest

DIED = "Exception while executing function: vm_lock"


def test_plain_text_is_read_as_text_and_json_as_ever() -> None:
    accept_plain_text_payloads()

    assert DEFAULT_FUNCTIONS_DATA_CONVERTER.deserialize(DIED, str) == DIED
    assert DEFAULT_FUNCTIONS_DATA_CONVERTER.deserialize('{"a": 1}', dict) == {"a": 1}


def test_a_worker_that_dies_while_the_lock_is_asked_for_costs_the_restore_a_second_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    accept_plain_text_payloads()
    lab = Lab()
    complete = lab.hub._backend.complete_entity
    died: list[str] = []

    def dies_first(result: pb.EntityBatchResult, entity_id: str) -> None:
        """Answer the first operation as the extension does, in the protocol of its own."""
        if not died:
            died.append(entity_id)
            call = result.operationInfos[0]
            answer = json.dumps({"exceptionType": "WorkerProcessExitException", "result": DIED})
            event = pb.HistoryEvent(
                eventRaised=pb.EventRaisedEvent(name=call.requestId, input=wrappers_pb2.StringValue(value=answer))
            )
            instance = lab.hub._backend._instances[call.responseDestination.instanceId]
            for delivered in result.operationInfos:
                if delivered.requestId == call.requestId:  # the hub may have delivered it twice
                    delivered.ClearField("responseDestination")
            instance.pending_events.append(event)
            lab.hub._backend._enqueue_orchestration(instance.instance_id)
        complete(result, entity_id)

    monkeypatch.setattr(lab.hub._backend, "complete_entity", dies_first)
    done = lab.run(a_restore())

    assert died
    assert done["status"] == "Completed"
