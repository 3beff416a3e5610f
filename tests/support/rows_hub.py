"""A task hub with rows that can be listed and purged as in Azure Storage; it runs nothing. Also its client."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast, override

import grpc
from durabletask.client import OrchestrationState, PurgeInstancesResult, new_orchestration_state
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.testing.in_memory_backend import OrchestrationInstance

from domain.codec import pack
from domain.recovery.custom_status import custom_status
from domain.restore.document import document
from local_host.azure_like import AzureLikeBackend, NoFaults
from orchestrations.names import HOLD_LIST_ENTRY, RESTORE_VM, RUN_RECOVERY
from triggers.list_entries import ListEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from domain.errors import Json
    from domain.recovery.state import Recovery
    from domain.restore.state import Restore

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
ENDED: Json = {"status": "Completed", "phase": "Finished"}
FAILED: Json = {"status": "Failed", "phase": "Finished"}


class HubError(grpc.aio.AioRpcError):
    def __init__(self, code: grpc.StatusCode) -> None:
        super().__init__(code, grpc.aio.Metadata(), grpc.aio.Metadata())


class _Context:
    def abort(self, code: grpc.StatusCode, _details: str) -> None:
        raise HubError(code)


class RowsHub(AzureLikeBackend):
    """A task hub and its client. ``queries`` and ``reads`` count questions, ``rows`` what was given."""

    def __init__(self, restores: Iterable[Restore] = (), **members: Any) -> None:
        super().__init__(NoFaults(), max_history_size=1000)
        self.queries = self.reads = self.rows = 0
        self.is_away = False
        self.between: Callable[[], object] = lambda: None
        for restore in restores:
            self.add(restore, **members)

    @override
    def _now(self) -> datetime:
        return NOW

    def add(
        self,
        restore: Restore,
        *,
        went_on: datetime | None = None,
        updated: datetime | None = None,
        is_noted: bool = True,
        **members: Any,
    ) -> None:
        """Take in a restore, whose history last began at ``went_on`` and changed at ``updated``, and its entry.

        ``is_noted``: the entry has the document of a restore that has ended.
        """
        at = restore.accepted.created
        shown: Json = {**document(restore, at), "status": "Running", "phase": "TrackingJob", **members}
        has_ended = shown["phase"] == "Finished"
        self._instances[restore.restore_id] = OrchestrationInstance(
            instance_id=restore.restore_id,
            name=RESTORE_VM,
            status=pb.ORCHESTRATION_STATUS_COMPLETED if has_ended else pb.ORCHESTRATION_STATUS_RUNNING,
            input=json.dumps(pack(restore)),
            output=json.dumps(shown) if has_ended else None,
            custom_status=json.dumps(shown),
            created_at=went_on or at,
            last_updated_at=updated or went_on or at,
        )
        kept = json.dumps(shown) if has_ended and is_noted else None
        self.note(HOLD_LIST_ENTRY, ListEntry.of(restore).instance_id, at, kept=kept)

    def add_recovery(self, recovery: Recovery, *, updated: datetime | None = None, has_ended: bool = False) -> None:
        """Take in a recovery that changed at ``updated``, and its entry."""
        at, recovery_id = recovery.accepted.created, recovery.recovery_id
        self._instances[recovery_id] = OrchestrationInstance(
            instance_id=recovery_id,
            name=RUN_RECOVERY,
            status=pb.ORCHESTRATION_STATUS_COMPLETED if has_ended else pb.ORCHESTRATION_STATUS_RUNNING,
            input=json.dumps(pack(recovery)),
            custom_status=json.dumps(custom_status(recovery)),
            created_at=at,
            last_updated_at=updated or at,
        )
        self.note(HOLD_LIST_ENTRY, ListEntry.of_recovery(recovery.accepted).instance_id, at)

    def note(
        self,
        name: str,
        instance_id: str,
        at: datetime = NOW,
        *,
        has_ended: bool = True,
        kept: str | None = None,
    ) -> None:
        """Take in an instance without output; ``kept`` is its input."""
        status = pb.ORCHESTRATION_STATUS_COMPLETED if has_ended else pb.ORCHESTRATION_STATUS_RUNNING
        self._instances[instance_id] = OrchestrationInstance(
            instance_id=instance_id, name=name, status=status, input=kept, created_at=at, last_updated_at=at
        )

    @property
    def ids(self) -> set[str]:
        """The ids of the instances that there are."""
        return set(self._instances)

    def go_on(self, restore_id: str, at: datetime) -> None:
        """Let a restore's history begin anew."""
        self._instances[restore_id].created_at = at

    # The client

    def _get_stub(self) -> RowsHub:
        return self

    @override
    async def QueryInstances(self, request: pb.QueryInstancesRequest) -> pb.QueryInstancesResponse:  # type: ignore[override]
        if self.is_away:
            raise HubError(grpc.StatusCode.UNKNOWN)
        self.queries += 1
        self.between()
        answer = super().QueryInstances(request, _Context())
        self.rows += len(answer.orchestrationState)
        return answer

    async def get_orchestration_state(self, instance_id: str, *, fetch_payloads: bool) -> OrchestrationState | None:
        self.reads += 1
        request = pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=fetch_payloads)
        return new_orchestration_state(instance_id, self.GetInstance(request, cast("Any", _Context())))

    async def purge_orchestration(self, instance_id: str, *, recursive: bool) -> PurgeInstancesResult:
        assert not recursive
        answer = self.PurgeInstances(pb.PurgeInstancesRequest(instanceId=instance_id), cast("Any", _Context()))
        return PurgeInstancesResult(answer.deletedInstanceCount, None)
