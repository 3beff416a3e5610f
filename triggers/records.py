"""Records of recoveries, as orchestrations of the task hub: written once, the first writer wins.

A record is the input of its orchestration. If several start at the same moment, only one instance runs, and its input
is what counts: so whoever writes a record reads it back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain import errors
from domain.errors import TransientError
from domain.wire import as_object
from orchestrations.names import HOLD_RECORD
from triggers.hub import read_payload

if TYPE_CHECKING:
    import azure.durable_functions as df
    from durabletask.client import OrchestrationState

    from domain.errors import Json


class Records:
    """The records of one task hub. Both methods raise ``TransientError`` if the hub cannot be reached."""

    def __init__(self, client: df.SyncDurableFunctionsClient) -> None:
        self._client = client

    def read(self, record_id: str) -> Json | None:
        """Return what a record holds, ``None`` if there is none."""
        try:
            return _data_of(self._client.get_orchestration_state(record_id, fetch_payloads=True))
        except Exception as error:
            raise _unreachable(record_id, error) from error

    def write(self, record_id: str, data: Json) -> Json:
        """Write a record unless there is one, and return what it holds: the first writer wins."""
        held = self.read(record_id)
        if held is not None:
            return held
        failure: Exception | None = None
        try:
            self._client.schedule_new_orchestration(HOLD_RECORD, input=data, instance_id=record_id)
        except Exception as error:  # noqa: BLE001 - raised below, unless the record exists nevertheless
            failure = error
        held = self.read(record_id)
        if held is None:
            raise _unreachable(record_id, failure) from failure
        return held


async def read_record(client: df.DurableFunctionsClient, record_id: str) -> Json | None:
    """Return what a record holds, as ``Records.read`` does."""
    try:
        return _data_of(await client.get_orchestration_state(record_id, fetch_payloads=True))
    except Exception as error:
        raise _unreachable(record_id, error) from error


async def write_record(client: df.DurableFunctionsClient, record_id: str, data: Json) -> Json:
    """Write a record unless there is one, and return what it holds, as ``Records.write`` does."""
    held = await read_record(client, record_id)
    if held is not None:
        return held
    failure: Exception | None = None
    try:
        await client.schedule_new_orchestration(HOLD_RECORD, input=data, instance_id=record_id)
    except Exception as error:  # noqa: BLE001 - as above
        failure = error
    held = await read_record(client, record_id)
    if held is None:
        raise _unreachable(record_id, failure) from failure
    return held


def _data_of(state: OrchestrationState | None) -> Json | None:
    if state is None or state.name != HOLD_RECORD:
        return None
    return dict(as_object(read_payload(state.serialized_input)))


def _unreachable(record_id: str, failure: Exception | None) -> TransientError:
    why = failure or "it was written but cannot be found"
    message = f"The record {record_id} could not be read from the task hub or written to it: {why}"
    return TransientError(errors.SERVICE_UNAVAILABLE, message)
