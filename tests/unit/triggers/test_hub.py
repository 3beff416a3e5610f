"""Events to an instance that has not begun, or that has ended, on a task hub that treats them as Azure's does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from durabletask.client import OrchestrationStatus

from domain.errors import TransientError
from triggers import hub as hubs
from triggers.hub import raise_event

if TYPE_CHECKING:
    import azure.durable_functions as df

PENDING, RUNNING = OrchestrationStatus.PENDING, OrchestrationStatus.RUNNING


@dataclass(frozen=True)
class _State:
    runtime_status: OrchestrationStatus


@dataclass
class _TaskHub:
    """Shows these statuses one after the other, the last one for ever; ``None`` is no instance."""

    statuses: list[OrchestrationStatus | None]
    refuses: grpc.StatusCode | None = None
    heard: list[tuple[str, Any]] = field(default_factory=list[tuple[str, Any]])

    async def get_orchestration_state(self, *_: Any, **__: Any) -> _State | None:
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return None if status is None else _State(status)

    async def raise_orchestration_event(self, _instance_id: str, name: str, *, data: Any) -> None:
        if self.refuses is not None:
            raise grpc.aio.AioRpcError(self.refuses, grpc.aio.Metadata(), grpc.aio.Metadata())
        if self.statuses[0] is not PENDING:  # dropped in silence otherwise
            self.heard.append((name, data))


def raised(hub: _TaskHub) -> bool:
    return asyncio.run(raise_event(cast("df.DurableFunctionsClient", hub), "r", "cancel", {"by": "ada"}))


def test_it_is_raised_once_when_a_deferred_start_has_begun_to_run() -> None:
    hub = _TaskHub([PENDING, PENDING, PENDING, RUNNING])

    assert raised(hub)
    assert hub.heard == [("cancel", {"by": "ada"})]


def test_a_start_that_stays_deferred_is_a_503_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "ADMISSION_PATIENCE_S", 0.1)

    with pytest.raises(TransientError, match="Send the request again") as error:
        raised(_TaskHub([PENDING]))

    assert error.value.code == "ServiceUnavailable"


@pytest.mark.parametrize("code", [grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND])
def test_one_that_ends_meanwhile_or_is_purged_does_not_hear_it(code: grpc.StatusCode) -> None:
    assert not raised(_TaskHub([RUNNING], refuses=code))


def test_one_that_is_unknown_does_not_hear_it() -> None:
    assert not raised(_TaskHub([None]))


def test_any_other_refusal_is_no_silence() -> None:
    with pytest.raises(grpc.RpcError):
        raised(_TaskHub([RUNNING], refuses=grpc.StatusCode.UNAVAILABLE))
