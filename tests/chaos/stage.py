"""A run: the app's orchestrator, activities and client on a hub whose workers die, over an Azure that fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, Final, override

from activities.new_machines import NewMachineActivities
from activities.restores import RestoreActivities
from activities.virtual_machines import VirtualMachineActivities
from domain.answers import Answer
from domain.codec import pack
from domain.restore import calls
from domain.restore.answers import Done, Joined, Published, Running
from domain.restore.calls import entity_key
from domain.restore.machine import CANCEL_EVENT, DECISION_EVENT, SLOT_EVENT
from domain.restore.parts import Source
from domain.restore.state import Restore
from domain.restore.status_events import event_of
from domain.restore.undo import can_be_undone, undo
from domain.sealing import sealed
from domain.times import format_time
from domain.wire import as_object
from orchestrations import names
from orchestrations.entities import ENTITIES
from orchestrations.restore_vm import restore_vm
from orchestrations.watch_vault import watch_vault
from tests.chaos.made_plans import (
    ATTACHED,
    CANCELLED,
    CREATED,
    NAME_TAKEN,
    USE_FAULTS,
    rescue_vm,
    target_group,
    use_switches,
)
from tests.chaos.plans import DELIVERIES, RIVAL, SWITCHES, Plan, a_calm_plan, a_watchers_plan, an_undo_of, vault_id
from tests.chaos.service import Service
from tests.chaos.swap_plans import COMPUTE_FAULTS, SWAP_CANCELLED, UNDONE
from tests.support.azure import PostClaims, find_running, join_watch, watcher_of
from tests.support.hub import START, Hub, StillWaitingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from domain.errors import Json
    from tests.chaos.service import VmSeen

_DELIVERY_CHANCE: Final = 0.08
_TURN_CHANCE: Final = 0.1
_RUN_AGAIN_AFTER: Final = (timedelta(seconds=0.1), timedelta(seconds=5), timedelta(seconds=70))
"""At once, after a restart of the engine, after the visibility timeout of an instance that died."""
_RESTART_EVERY: Final = 500
_STEPS_PER_RESTORE: Final = 20_000
_STRUCK_AT_START: Final = frozenset({*SWITCHES, *COMPUTE_FAULTS, *USE_FAULTS, "nobody_answers", RIVAL})
"""What is set up with the restore and strikes by itself."""
_COMES_TO_REST: Final = timedelta(hours=1)
"""What was begun at a VM has ended by then."""
_LEASES_S: Final = (150.0, 300.0, 600.0)
"""How long a dead worker's activity stays its own: five minutes in Azure Storage's queues."""


@dataclass(slots=True)
class Outcome:
    """What became of one restore. ``document`` is ``None`` while it has none that is final."""

    plan: Plan
    restore: Restore
    document: Json | None = None
    state: str = "NotStarted"
    published: list[Json] = field(default_factory=list["Json"])
    events: list[str] = field(default_factory=list[str])
    terminated: bool = False
    holds_vm: bool = False
    holds_slot: bool = False


class _Hub(Hub):
    """A hub whose workers are handed an activity twice, die with it, or are replaced between two turns."""

    def __init__(self, stage: Stage, orchestrator: Callable[..., Any], step_limit: int) -> None:
        self._stage = stage
        super().__init__(
            orchestrators={
                names.RESTORE_VM: orchestrator,
                names.WATCH_VAULT: watch_vault,
                **stage.more_orchestrators(),
            },
            entities=dict(ENTITIES),
            activities=stage.activities(),
            step_limit=step_limit,
            repeat_turns=self._runs_twice,
            defer_starts=lambda restore_id: stage.plan_of(restore_id).strikes("start_deferred", 1),
        )
        self._again: set[tuple[str, int, int]] = set()
        self._ran: set[tuple[str, int, int]] = set()

    def _runs_twice(self, restore_id: str) -> bool:
        plan = self._stage.plan_of(restore_id)
        strikes = plan.strikes("turn_run_twice", _TURN_CHANCE)
        if strikes:
            self.second_run = plan.random.choice(_RUN_AGAIN_AFTER)
        return strikes

    def at(self, when: datetime, happen: Callable[[], object]) -> None:
        """Let something happen at a time."""
        self._backend.at(when, lambda: (happen(), None)[1], lambda: True)

    @override
    def _activity(self) -> bool:
        if not self._backend.activities:
            return False
        work = self._backend.activities.popleft()
        plan = self._stage.plan_of(work.item.instance_id)
        known = (work.item.instance_id, work.item.task_id, work.generation)
        is_again = (
            known in self._ran and known not in self._again
        )  # the turn that asked for it was run twice: nobody waits for this answer
        self._ran.add(known)
        fate = None if known in self._again else self._fate(plan)
        if fate == "redelivered_late":
            self._again.add(known)
            self._run(plan, work.item, counts=False)
            lease_s = plan.random.choice(_LEASES_S)
            self.at(self.clock.now() + timedelta(seconds=lease_s), lambda: self._backend.activities.append(work))
            self._stage.new_process()
            return True
        for _ in range({"delivered_twice": 1, "delivered_five_times": 4}.get(fate or "", 0)):
            self._run(plan, work.item, counts=False)
        outcome: str | Exception = RuntimeError("the worker died")
        if fate == "worker_died_after":
            self._run(plan, work.item, counts=False)
        elif fate != "worker_died_before":
            outcome = self._run(plan, work.item, counts=not is_again)
        self._backend.complete_activity(work, outcome)
        return True

    def _run(self, plan: Plan, item: Any, *, counts: bool) -> str | Exception:
        with self._stage.service.calling(plan, counts=counts):
            return self._call(item)

    @staticmethod
    def _fate(plan: Plan) -> str | None:
        return next((each for each in DELIVERIES if plan.strikes(each, _DELIVERY_CHANCE)), None)


class Stage:
    """One run over its plans. Use ``run`` once, then look at the outcomes."""

    def __init__(
        self, seed: int, plans: Sequence[Plan], *, orchestrator: Callable[..., Any] = restore_vm, again_every: int = 10
    ) -> None:
        self.plans = list(plans)
        self.random = Random(f"{seed}/stage")
        self.restarts = 0
        self.outcomes: dict[str, Outcome] = {}
        self.refused_again: list[tuple[Outcome, Mapping[str, Any]]] = []
        self.livelock: str | None = None
        self._again_every = again_every
        self._away: dict[str, int] = {}
        self.claims = PostClaims()
        limit = _STEPS_PER_RESTORE * (len(self.plans) + 10)
        self.process: dict[str, Callable[[Json], Json]] = {}
        vaults = {vault_id(plan.vm): plan.vm for plan in self.plans}
        self._watchers = {watcher_of(vault): a_watchers_plan(seed, vm) for vault, vm in vaults.items()}
        self.hub = _Hub(self, orchestrator, limit)
        self.service = Service(self.hub.clock, seed, self.plans)
        self.service.on_touch = self._vm_touched
        self.final: dict[str, VmSeen] = {}
        """What the VMs that restores have changed are in the end, by their ids in lower case."""
        self.in_the_end: dict[str, Mapping[str, Any]] = {}
        """Everything that restores can make, by ids in lower case, when they have all ended."""
        self.power_in_the_end: dict[str, str] = {}
        self.undone: dict[str, str] = {}
        """The restores that were undone, by the ids of the undos."""
        self.client = self.service.client()
        self.new_process()

    def activities(self) -> dict[str, Callable[[Json], Json]]:
        """Return every activity by name; those of a restore are whatever the present process has."""
        others: dict[type[calls.ActivityCall], Callable[[Any], Answer[Any]]] = {
            calls.ClaimPost: self.claims.claim_post,
            calls.PublishResult: self._publish,
            calls.PostResult: self._post,
            calls.PublishEvents: self._publish_events,
            calls.PostEvent: self._post_event,
            calls.FindRunning: self._find_running,
            calls.WakeRestore: self._wake,
            calls.JoinWatch: self._join,
        }
        delegated = [kind for kind in calls.ActivityCall.__subclasses__() if kind not in others]
        return {kind.name: self._delegate(kind.name) for kind in delegated} | {
            kind.name: sealed(kind, activity, self.hub_now) for kind, activity in others.items()
        }

    def more_orchestrators(self) -> dict[str, Callable[..., Any]]:
        """Return what else runs on the hub, by name."""
        return {}

    def hub_now(self) -> datetime:
        """Return the time of the hub's clock."""
        return self.hub.clock.now()

    def new_process(self) -> None:
        """Replace the process: what only its memory knew is gone."""
        restores = RestoreActivities(self.client, clock=self.hub.clock.now)
        starting = restores.start_restore_with(self.claims.take)
        machines = VirtualMachineActivities(self.client, clock=self.hub.clock.now)
        made = NewMachineActivities(self.client, clock=self.hub.clock.now)
        self.process = {**restores.by_name(), **machines.by_name(), **made.by_name(), calls.StartRestore.name: starting}
        self.hub.restart_worker()

    def plan_of(self, instance_id: str) -> Plan:
        """Return the plan of a restore, or of a vault's watcher."""
        return self._watchers.get(instance_id) or self.outcomes[instance_id].plan

    def run(self) -> None:
        """Start every restore at its time, run until nothing is left to do, then restore VMs again."""
        for plan in self.plans:
            self.hub.at(START + timedelta(seconds=plan.starts_s), lambda plan=plan: self._start(plan))
        self.finish()

    def finish(self) -> None:
        """Run until nothing is left to do, then restore VMs again."""
        self._pump()
        for outcome in self.outcomes.values():
            self._close(outcome)
        self._see_machines()
        self._restore_again()

    def lock_holder(self, plan: Plan) -> str | None:
        """Return the id of the restore that holds the VM's lock."""
        state = as_object(self.hub.entity_state(calls.AcquireLock.entity, entity_key(plan.vm_id)))
        return as_object(state.get("holder")).get("restoreId")

    def slot_holders(self, vm: int) -> list[str]:
        """Return the ids of the restores that have a slot at a VM's vault."""
        state = as_object(self.hub.entity_state(calls.AcquireSlot.entity, entity_key(vault_id(vm))))
        return [*state.get("running", [])]

    def _pump(self) -> None:
        try:
            while self.hub.step():
                if self.random.random() < 1 / _RESTART_EVERY:
                    self.restarts += 1
                    self.new_process()
        except StillWaitingError as error:
            self.livelock = str(error)[:300]

    # Starts and people

    def _start(self, plan: Plan) -> None:
        restore = plan.restore(self.hub.clock.now())
        self.begin(plan, restore)
        self.hub.start(names.RESTORE_VM, pack(restore), instance_id=restore.restore_id)

    def begin(self, plan: Plan, restore: Restore) -> None:
        """Set up what will strike a restore that starts now."""
        self.outcomes[restore.restore_id] = Outcome(plan, restore)
        if plan.switches:
            self.service.world.set_faults(plan.vm_id, plan.switches)
        if plan.uses_disks:
            other = (rescue_vm(plan.number),) if ATTACHED in plan.members else ()
            for scope in (target_group(plan.number), *other):
                self.service.world.set_faults(scope, use_switches(plan.faults))
        plan.struck.update(each for each in plan.faults if each in _STRUCK_AT_START)
        self._away[restore.restore_id] = plan.publish_failures
        for fault, act in self._people(restore).items():
            if plan.has(fault):
                self.hub.at(self.hub.clock.now() + timedelta(seconds=plan.after_s[fault]), act)

    def _undo(self, restore: Restore) -> None:
        """Undo a restore once it has ended, as ``triggers.undoing`` does."""
        plan, now = self.plan_of(restore.restore_id), self.hub.clock.now()
        state = self.hub.state(restore.restore_id)
        if not state.is_over:
            self.hub.at(now + timedelta(minutes=10), partial(self._undo, restore))
            return
        if state.status != "Completed" or not can_be_undone(state.output):
            return
        plan.struck[UNDONE] += 1
        own = an_undo_of(plan, restore.restore_id)
        request, back = undo(state.output, own.restore_id, now, by="chaos", comment=None)
        undoing = Restore.undo(
            request,
            back,
            undo_of=restore.restore_id,
            restore_id=own.restore_id,
            source=Source.HTTP,
            created=now,
            limits=own.limits,
        )
        self.service.world.set_faults(own.vm_id, {})
        self.undone[own.restore_id] = restore.restore_id
        self.begin(own, undoing)
        self.hub.start(names.RESTORE_VM, pack(undoing), instance_id=own.restore_id)

    def _vm_touched(self, plan: Plan) -> None:
        for fault in (SWAP_CANCELLED, CANCELLED):
            if plan.has(fault):
                cancel = self._telling(plan.restore_id, fault, CANCEL_EVENT, {"by": "chaos"})
                self.hub.at(self.hub.clock.now() + timedelta(seconds=plan.after_s[fault]), cancel)

    def _telling(self, restore_id: str, fault: str, event: str, data: Json) -> Callable[[], None]:
        """Return what sends an event to a restore."""
        plan = self.plan_of(restore_id)

        def say() -> None:
            state, now = self.hub.state(restore_id), self.hub.clock.now()
            is_asked = (state.custom_status or {}).get("approval") is not None
            if state.status == "Pending":  # as triggers.hub.raise_event
                self.hub.at(now + timedelta(seconds=1), say)
            elif not state.is_over and event == DECISION_EVENT and plan.asks_before_swap and not is_asked:
                self.hub.at(now + timedelta(minutes=1), say)  # a decision is refused until it is asked for
            elif not state.is_over:
                plan.struck[fault] += 1
                told = {**data, "time": format_time(now)}  # as triggers.starting
                self.hub.raise_event(restore_id, event, told)

        return say

    def _people(self, restore: Restore) -> dict[str, Callable[[], object]]:
        plan, outcome = self.plan_of(restore.restore_id), self.outcomes[restore.restore_id]

        tell = partial(self._telling, restore.restore_id)

        def terminate() -> None:
            if not self._is_over(restore.restore_id):
                plan.struck["operator_terminates"] += 1
                outcome.terminated = True
                self.hub.terminate(restore.restore_id, "chaos")

        def suspend() -> None:
            if not self._is_over(restore.restore_id):
                plan.struck["operator_suspends"] += 1
                self.hub.suspend(restore.restore_id)
                later = self.hub.clock.now() + timedelta(minutes=40)
                self.hub.at(later, partial(self._resume, restore.restore_id))

        return {
            "person_cancels": tell("person_cancels", CANCEL_EVENT, {"by": "chaos"}),
            "approved": tell("approved", DECISION_EVENT, {"decision": "Approved", "by": "chaos"}),
            "rejected": tell("rejected", DECISION_EVENT, {"decision": "Rejected", "by": "chaos"}),
            "operator_terminates": terminate,
            "operator_suspends": suspend,
            "start_repeated": lambda: self._start_again(restore),
            UNDONE: lambda: self._undo(restore),
            **({NAME_TAKEN: lambda: self.service.take_name(plan)} if CREATED in plan.members else {}),
            "vault_deleted": lambda: self.service.delete_vault(plan),
            "job_cancelled_outside": lambda: self.service.cancel_outside(plan, restore.client_request_id),
        }

    def _resume(self, restore_id: str) -> None:
        if self.hub.state(restore_id).status == "Suspended":  # the SDK fails an orchestration that is resumed in vain
            self.hub.resume(restore_id)

    def _start_again(self, restore: Restore) -> None:
        """Deliver the same alert, message or request again, as ``triggers.starting`` does: a known id is not new."""
        self.plan_of(restore.restore_id).struck["start_repeated"] += 1
        state = self.hub.state(restore.restore_id)
        if state.status == "Completed" and "refused" in state.output:
            outcome = self.outcomes[restore.restore_id]
            outcome.restore = outcome.plan.restore(self.hub.clock.now())
            self.hub.start(names.RESTORE_VM, pack(outcome.restore), instance_id=restore.restore_id)

    def _is_over(self, restore_id: str) -> bool:
        return self.hub.state(restore_id).is_over

    # The end

    def _close(self, outcome: Outcome) -> None:
        state = self.hub.state(outcome.restore.restore_id)
        outcome.state = state.status
        outcome.document = state.output if state.status == "Completed" else None
        outcome.holds_vm = self.lock_holder(outcome.plan) == outcome.restore.restore_id
        outcome.holds_slot = outcome.restore.restore_id in self.slot_holders(outcome.plan.vm)

    def _see_machines(self) -> None:
        """Let what was begun at the VMs end, and note what they are."""
        if self.service.touched or self.service.used:
            self.hub.clock.advance(_COMES_TO_REST)
        self.in_the_end = self.service.see_resources()
        machines = self.service.world.compute.machines
        self.power_in_the_end = {vm: machine.power for vm, machine in machines.items()}
        self.final = {vm: self.service.see_vm(vm) for vm in self.service.touched}

    def _restore_again(self) -> None:
        """Start a calm restore of each VM whose guard may be held, and of some others."""
        last = {outcome.plan.vm: outcome for outcome in self.outcomes.values()}
        suspicious = {
            outcome.plan.vm for outcome in self.outcomes.values() if outcome.terminated or outcome.state != "Completed"
        }
        suspicious |= {outcome.plan.vm for outcome in last.values() if self.lock_holder(outcome.plan) is not None}
        again: list[tuple[Outcome, Plan]] = []
        for vm, outcome in last.items():
            if vm in suspicious or vm % self._again_every == 0:
                plan = a_calm_plan(1_000_000 + vm, vm)
                self.service.world.set_faults(plan.vm_id, {})
                self._start(plan)
                again.append((outcome, plan))
        self._pump()
        for outcome, plan in again:
            document = as_object(self.hub.state(plan.restore_id).output)
            if document.get("status") != "Completed":
                self.refused_again.append((outcome, document))
            del self.outcomes[plan.restore_id]

    # Activities

    def _delegate(self, name: str) -> Callable[[Json], Json]:
        def call(data: Json) -> Json:
            return self.process[name](data)

        call.__name__ = name
        return call

    def _publish(self, call: calls.PublishResult) -> Answer[Published]:
        self._fail("results_queue_away", call.document)
        self.outcomes[call.document["id"]].published.append(call.document)
        return Answer(Published(has_webhook=True))

    def _post(self, call: calls.PostResult) -> Answer[Done]:
        self._fail("webhook_away", call.document)
        return Answer(Done())

    def _publish_events(self, call: calls.PublishEvents) -> Answer[Done]:
        events = [event_of(change) for change in call.changes]
        restore = events[0]["restore"]
        self._fail("events_queue_away", restore)
        self.outcomes[restore["id"]].events += [event["event"] for event in events]
        return Answer(Done())

    def _post_event(self, call: calls.PostEvent) -> Answer[Done]:
        self._fail("webhook_away", event_of(call.change)["restore"])
        return Answer(Done())

    def _fail(self, fault: str, data: Json) -> None:
        plan = self.plan_of(data["id"])
        if plan.has(fault) and plan.struck[fault] < self._away[data["id"]]:
            plan.struck[fault] += 1
            raise ConnectionError(f"{fault}, by chaos")

    def _find_running(self, call: calls.FindRunning) -> Answer[Running]:
        return Answer(find_running(self.hub, call.restore_id))

    def _wake(self, call: calls.WakeRestore) -> Answer[Done]:
        if self._is_running(call.restore_id):
            self.hub.raise_event(call.restore_id, SLOT_EVENT)
        return Answer(Done())

    def _join(self, call: calls.JoinWatch) -> Answer[Joined]:
        return Answer(Joined(is_watched=join_watch(self.hub, call)))

    def _is_running(self, restore_id: str) -> bool:
        return restore_id in self.outcomes and not self._is_over(restore_id)
