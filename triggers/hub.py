"""Helpers for the task hub: its refusals, the events that it drops silently, its payloads as plain text."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any, Final

import grpc
from durabletask.client import OrchestrationStatus

from domain import errors
from domain.errors import TransientError
from domain.restore.state import ADMISSION_PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import azure.durable_functions as df

_FIRST_PAUSE_S: Final = 0.02  # from one poll of an orchestration to the next
_MAX_PAUSE_S: Final = 0.5
_NO_INSTANCE_CODES: Final = frozenset({grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND})


def answer_deadline() -> float:
    """Return until when (``time.monotonic``) a caller who arrives now is kept waiting for an answer."""
    return time.monotonic() + ADMISSION_PATIENCE_S


async def polls(until: float) -> AsyncIterator[None]:
    """Yield at growing intervals until ``until`` (``time.monotonic``), at least once."""
    pause_s = _FIRST_PAUSE_S
    yield
    while time.monotonic() + pause_s <= until:
        await asyncio.sleep(pause_s)
        yield
        pause_s = min(pause_s * 1.5, _MAX_PAUSE_S)


def read_payload(text: str | None) -> Any:
    """Return a payload of the task hub as parsed JSON, or as text if it is not JSON; ``None`` if there is none.

    The task hub stores the reason of a termination and the failure of an orchestration as plain text.
    """
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def is_already_running(error: Exception) -> bool:
    """Return whether the task hub refused a start because an instance with that id is running."""
    return _status_code(error) is grpc.StatusCode.ALREADY_EXISTS


async def raise_event(client: df.DurableFunctionsClient, instance_id: str, name: str, data: Any = None) -> bool:
    """Raise an event to an instance; returns false when the instance has ended or does not exist.

    The task hub drops an event to an instance that has not begun to run, so this waits until the instance runs. Raises
    ``TransientError`` ``ServiceUnavailable`` when that takes too long.
    """
    async for _ in polls(answer_deadline()):
        state = await client.get_orchestration_state(instance_id, fetch_payloads=False)
        if state is None:
            return False
        if state.runtime_status is not OrchestrationStatus.PENDING:
            break
    else:
        message = (
            f"{instance_id} has not begun to run, so that it cannot receive this request yet. "
            "Send the request again in a few seconds."
        )
        raise TransientError(errors.SERVICE_UNAVAILABLE, message)
    try:
        await client.raise_orchestration_event(instance_id, name, data=data)
    except grpc.RpcError as error:
        if _status_code(error) not in _NO_INSTANCE_CODES:
            raise
        return False
    return True


def _status_code(error: Exception) -> Any:
    return error.code() if isinstance(error, grpc.Call | grpc.aio.AioRpcError) else None
