"""Task hubs with recoveries: one in which they are started, and one with a recovery that is driven by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from durabletask.client import OrchestrationState, OrchestrationStatus

from domain.codec import pack
from domain.recovery.calls import record_id_of_members
from domain.recovery.custom_status import custom_status
from orchestrations.names import HOLD_RECORD, RUN_RECOVERY
from tests.unit.domain.recovery.driving import CREATED

if TYPE_CHECKING:
    from collections.abc import Callable

    from domain.errors import Json
    from domain.recovery.roster import Roster
    from tests.unit.domain.recovery.driving import Driven

ID = "0b8d6a52-6a43-5e7a-9f3c-1c2d3e4f5a6b"


def a_state(
    name: str, instance_id: str, status: OrchestrationStatus = OrchestrationStatus.RUNNING, **payloads: Any
) -> OrchestrationState:
    """Return an instance as a task hub tells of it; payloads are given as what they hold."""
    names = ("serialized_input", "serialized_output", "serialized_custom_status")
    written: dict[str, str | None] = {
        key: None if payloads.get(key) is None else json.dumps(payloads[key]) for key in names
    }
    return OrchestrationState(
        instance_id=instance_id,
        name=name,
        runtime_status=status,
        created_at=CREATED,
        last_updated_at=CREATED,
        failure_details=None,
        **written,  # type: ignore[arg-type]
    )


class StartsHub:
    """A task hub that keeps what is started. ``before_start`` is called before a recovery is started in it."""

    def __init__(self) -> None:
        self.instances: dict[str, OrchestrationState] = {}
        self.names: list[str] = []
        self.before_start: Callable[[], object] = lambda: None
        self.loses_starts = False

    async def get_orchestration_state(self, instance_id: str, **_: Any) -> OrchestrationState | None:
        return self.instances.get(instance_id)

    async def schedule_new_orchestration(self, name: str, *, instance_id: str, input: Json) -> None:  # noqa: A002
        if name == RUN_RECOVERY:
            self.before_start()
            if self.loses_starts:
                raise ConnectionError("the hub is away")
        self.names.append(name)
        if instance_id not in self.instances:  # of two starts of a running instance, one counts
            self.instances[instance_id] = a_state(name, instance_id, serialized_input=input)


class DrivenHub:
    """A task hub with one recovery, which hears at once what is sent to it, and with its roster.

    ``meanwhile`` and ``after`` are called before and after a command is heard.
    """

    def __init__(self, driven: Driven, roster: Roster | None = None) -> None:
        self.driven = driven
        self.sent: list[Json] = []
        self.is_deaf = False
        self.status = OrchestrationStatus.RUNNING
        self.meanwhile: Callable[[], object] = lambda: None
        self.after: Callable[[], object] = lambda: None
        self.restores: dict[str, OrchestrationState] = {}
        self._roster = roster

    async def get_orchestration_state(self, instance_id: str, **_: Any) -> OrchestrationState | None:
        recovery = self.driven.recovery
        if instance_id == ID:
            shown = custom_status(recovery)
            return a_state(
                RUN_RECOVERY, ID, self.status, serialized_input=pack(recovery), serialized_custom_status=shown
            )
        if instance_id == record_id_of_members(ID) and self._roster is not None:
            return a_state(HOLD_RECORD, instance_id, serialized_input=self._roster.to_json())
        return self.restores.get(instance_id)

    async def raise_orchestration_event(self, _id: str, name: str, *, data: Json) -> None:
        assert name == "command"
        self.meanwhile()
        self.sent.append(data)
        if not self.is_deaf:
            self.driven.hear(data)
            self.after()
