"""A run of recoveries: their orchestrator and activities beside those of restores, and persons who command them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any, Final, cast, override

from durabletask.client import OrchestrationStatus

from activities.recoveries import RecoveryActivities
from domain import errors
from domain.answers import Answer
from domain.codec import pack, unpack
from domain.errors import TransientError
from domain.recovery import calls
from domain.recovery.calls import record_id_of_plan, recovery_of_record
from domain.recovery.machine import COMMAND_EVENT
from domain.recovery.plans_file import plan_of
from domain.recovery.state import Recovery
from domain.restore.answers import Done
from domain.restore.parts import Source
from domain.restore.state import Restore
from domain.sealing import sealed
from orchestrations import names
from orchestrations.list_entry import hold_list_entry
from orchestrations.record import hold_record
from orchestrations.run_recovery import run_recovery
from tests.chaos.plans import a_calm_plan, limits_of
from tests.chaos.recovery_plans import DrawnRecovery, draw_recoveries
from tests.chaos.stage import Stage
from tests.support.azure import vm_id
from tests.support.hub import START
from tests.support.recovery_lab import HubClient, orchestration_state
from triggers.member_activities import MemberActivities
from triggers.records import Records
from triggers.restore_states import document_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    import azure.durable_functions as df
    from durabletask.client import OrchestrationState

    from domain.errors import Json
    from domain.requests import RestoreRequest
    from domain.restore.polling import Limits
    from tests.chaos.plans import Plan

FINGERPRINT: Final = "c0ffee"
_AWAY_CHANCE: Final = 0.02
_LOOKS_EVERY: Final = timedelta(minutes=23)
_PATIENCE: Final = 12
"""So often persons retry; then they skip."""


@dataclass(frozen=True, slots=True)
class MemberStart:
    """A restore of a member, and what was so when it started: the recovery's custom status, and its running members."""

    at: datetime
    index: int
    attempt: int
    restore_id: str
    shown: Json
    others: dict[int, list[Json]]
    """The documents of all restores of the recovery that were started before, by the member's index."""


@dataclass(slots=True)
class RecoveryOutcome:
    """What became of a recovery."""

    drawn: DrawnRecovery
    starts: list[MemberStart] = field(default_factory=list[MemberStart])
    events: list[str] = field(default_factory=list[str])
    helped: int = 0


class _Client(HubClient):
    """A durable client that fails now and then, and tells the stage of each member that is about to start."""

    def __init__(self, stage: RecoveryStage) -> None:
        super().__init__(stage.hub)
        self._stage = stage

    @override
    async def get_orchestration_state(self, instance_id: str, *, fetch_payloads: bool) -> OrchestrationState | None:
        self._stage.hub_answers()
        state = await super().get_orchestration_state(instance_id, fetch_payloads=fetch_payloads)
        if state is not None and state.runtime_status is OrchestrationStatus.PENDING and not fetch_payloads:
            # as triggers.hub.raise_event, which would wait for it in real time
            raise TransientError(errors.SERVICE_UNAVAILABLE, f"{instance_id} has not begun to run")
        return state

    @override
    async def schedule_new_orchestration(self, name: str, *, input: Json | None, instance_id: str) -> str:
        self._stage.hub_answers()
        if name == names.RESTORE_VM and input is not None:
            self._stage.member_starts(unpack(Restore, input))
        return await super().schedule_new_orchestration(name, input=input, instance_id=instance_id)


class _SyncClient:
    """The durable client of activities that are not coroutines."""

    def __init__(self, client: _Client) -> None:
        self._client = client

    def get_orchestration_state(self, instance_id: str, *, fetch_payloads: bool) -> OrchestrationState | None:
        return asyncio.run(self._client.get_orchestration_state(instance_id, fetch_payloads=fetch_payloads))

    def schedule_new_orchestration(self, name: str, *, input: Json, instance_id: str) -> str:  # noqa: A002 - the SDK's
        return asyncio.run(self._client.schedule_new_orchestration(name, input=input, instance_id=instance_id))


class RecoveryStage(Stage):
    """One run of recoveries. Use ``run`` once, then look at ``recoveries`` and at the outcomes of their restores."""

    def __init__(self, seed: int, drawn: Sequence[DrawnRecovery]) -> None:
        self.seed = seed
        self.recoveries = {each.recovery_id: RecoveryOutcome(each) for each in drawn}
        self._hub_random = Random(f"{seed}/away")
        vms = {vm for each in drawn for group in each.groups.values() for vm in group}
        super().__init__(seed, [a_calm_plan(3_000_000 + vm, vm) for vm in sorted(vms)])

    @classmethod
    def of(cls, seed: int, count: int, **options: int) -> RecoveryStage:
        """Return a run of so many recoveries."""
        return cls(seed, draw_recoveries(seed, count, **options))

    @override
    def more_orchestrators(self) -> dict[str, Callable[..., Any]]:
        return {
            names.RUN_RECOVERY: run_recovery,
            names.HOLD_RECORD: hold_record,
            names.HOLD_LIST_ENTRY: hold_list_entry,
        }

    @override
    def new_process(self) -> None:
        super().new_process()
        client, clock = _Client(self), self.hub.clock.now
        members = MemberActivities(limits_for=self._limits, clock=clock)
        records = Records(cast("df.SyncDurableFunctionsClient", _SyncClient(client)))

        def with_client(activity: Callable[..., Any]) -> Callable[[Json], Json]:
            return lambda data: asyncio.run(activity(data, client))

        self.process |= {name: with_client(activity) for name, activity in members.by_name().items()}
        self.process |= {
            calls.ResolveRecovery.name: RecoveryActivities(self.client, clock=clock).resolve_recovery_with(records),
            calls.PublishRecoveryEvents.name: sealed(calls.PublishRecoveryEvents, self._publish_changes, clock),
            calls.PostRecoveryEvent.name: sealed(calls.PostRecoveryEvent, lambda _: Answer(Done()), clock),
        }

    @override
    def plan_of(self, instance_id: str) -> Plan:
        recovery = self.recoveries.get(recovery_of_record(instance_id) or instance_id)
        if recovery is not None:
            return recovery.drawn.plan
        if instance_id.startswith("listed-"):
            return self.plans[0]
        return super().plan_of(instance_id)

    @override
    def run(self) -> None:
        for outcome in self.recoveries.values():
            self.hub.at(START + timedelta(seconds=outcome.drawn.starts_s), lambda outcome=outcome: self._begin(outcome))
        self.finish()

    def shown(self, recovery_id: str) -> Json:
        """Return the custom status of a recovery."""
        return self.hub.state(recovery_id).custom_status or {}

    def restore_document(self, restore_id: str) -> Json:
        """Return the document of a restore that exists."""
        state = orchestration_state(self.hub, restore_id)
        assert state is not None
        return document_of(state)

    def hub_answers(self) -> None:
        """Raise, now and then, what a client does when the task hub is away."""
        if self._hub_random.random() < _AWAY_CHANCE:
            raise ConnectionError("the task hub is away, by chaos")

    def member_starts(self, restore: Restore) -> None:
        """Note a member's restore that is about to start, and draw what will strike it."""
        member = restore.accepted.member
        assert member is not None
        if restore.restore_id in self.outcomes:
            return
        recovery = self.recoveries[member.recovery_id]
        others: dict[int, list[Json]] = {}
        for start in recovery.starts:
            others.setdefault(start.index, []).append(self.restore_document(start.restore_id))
        shown, now = self.shown(member.recovery_id), self.hub_now()
        recovery.starts.append(MemberStart(now, member.index, member.attempt, restore.restore_id, shown, others))
        self.begin(recovery.drawn.attempt(self.seed, member.index, member.attempt, restore.restore_id), restore)

    def _limits(self, request: RestoreRequest) -> Limits:
        vm = next(plan.vm for plan in self.plans if request.source_resource_id == vm_id(plan.vm))
        return limits_of(Random(f"{self.seed}/limits/{vm}"), vm)

    def _publish_changes(self, call: calls.PublishRecoveryEvents) -> Answer[Done]:
        for change in call.changes:
            self.recoveries[change.document["id"]].events.append(change.status)
        return Answer(Done())

    # Starts and persons

    def _begin(self, outcome: RecoveryOutcome) -> None:
        """Start a recovery as ``triggers.recovery_starting`` does."""
        drawn = outcome.drawn
        recovery = Recovery.accept(
            plan_of(drawn.body),
            recovery_id=drawn.recovery_id,
            fingerprint=FINGERPRINT,
            source=Source.HTTP,
            created=self.hub_now(),
            max_per_vault=drawn.max_per_vault,
        )
        record_id = record_id_of_plan(drawn.recovery_id, FINGERPRINT)
        self.hub.start(names.HOLD_RECORD, {"plan": drawn.body, "request": {}}, instance_id=record_id)
        self.hub.start(names.RUN_RECOVERY, pack(recovery), instance_id=drawn.recovery_id)
        self._look_later(outcome)

    def _look_later(self, outcome: RecoveryOutcome) -> None:
        self.hub.at(self.hub_now() + _LOOKS_EVERY, lambda: self._look(outcome))

    def _look(self, outcome: RecoveryOutcome) -> None:
        """Let a person look at a recovery and, maybe, tell it something."""
        state = self.hub.state(outcome.drawn.recovery_id)
        if state.is_over:
            return
        word = self._command(outcome, state.custom_status or {})
        if word is not None:
            outcome.helped += 1
            outcome.drawn.plan.struck[f"person: {word}"] += 1
            data: Json = {"id": f"p{outcome.helped}", "command": word, "by": "chaos"}
            if word in {"retry", "skip", "approve"} and outcome.drawn.random.random() < 0.5:
                data["group"] = outcome.drawn.random.choice(list(outcome.drawn.groups))
            if state.status != "Pending":
                self.hub.raise_event(outcome.drawn.recovery_id, COMMAND_EVENT, data)
        self._look_later(outcome)

    @staticmethod
    def _command(outcome: RecoveryOutcome, shown: Json) -> str | None:
        random, status = outcome.drawn.random, shown.get("status")
        if status == "Paused":
            return random.choice(("resume", None))
        if status == "AwaitingApproval":
            return random.choice(("approve", "approve", "reject", None))
        if status == "Failed":
            is_patient = outcome.helped < _PATIENCE
            return (
                None
                if outcome.drawn.gives_up
                else random.choice(("retry", "retry", "skip") if is_patient else ("skip",))
            )
        return random.choices(("pause", "cancel", "skip", "retry", None), (3, 0.3, 1, 1, 94))[0]
