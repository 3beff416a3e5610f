"""A lab with recoveries: their orchestrator, and their activities on the same hub, over a scripted Azure."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast, override

import grpc
from durabletask.client import OrchestrationState, new_orchestration_state
from durabletask.internal import orchestrator_service_pb2 as pb

from domain.answers import Answer
from domain.codec import pack
from domain.recovery import calls
from domain.recovery.calls import GroupOutline, Resolved, record_id_of_members
from domain.recovery.event import recovery_event_of
from domain.recovery.machine import COMMAND_EVENT
from domain.recovery.parts import AcceptedRecovery, PlannedGroup
from domain.recovery.roster import MemberItem, Roster, RosterMember, member_restore_id
from domain.recovery.state import Recovery
from domain.restore.answers import Done
from domain.restore.parts import Admission, Clock, LockState, Source
from domain.restore.state import restore_id_for
from domain.sealing import sealed
from orchestrations import names
from orchestrations.list_entry import hold_list_entry
from orchestrations.record import hold_record
from orchestrations.run_recovery import run_recovery
from tests.support.azure import CONTAINER, ITEM, LIMITS, VAULT_ID, Lab, a_request, vm_id
from tests.support.hub import START
from triggers.member_activities import MemberActivities
from triggers.restore_states import document_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import azure.durable_functions as df

    from domain.errors import Json
    from domain.restore.polling import Limits
    from tests.support.hub import Hub

RECOVERY = restore_id_for("recovery:test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group of a plan: how many members, and after which groups."""

    count: int
    after: tuple[int, ...] = ()
    optional: bool = False


def a_roster(groups: Sequence[Group], *, max_running: int | None = None) -> Roster:
    """Return the frozen list of a recovery whose members are of one vault."""
    firsts = [sum(group.count for group in groups[:number]) for number in range(len(groups))]
    outlines = tuple(
        GroupOutline(name=f"g{number}", after=group.after, first=first, count=group.count, optional=group.optional)
        for number, (group, first) in enumerate(zip(groups, firsts, strict=True))
    )
    total = sum(group.count for group in groups)
    item = MemberItem(container_name=CONTAINER, protected_item_name=ITEM)
    template = {name: value for name, value in a_request().items() if name != "sourceResourceId"}
    return Roster(
        resolved=Resolved(
            groups=outlines, vault_ids=(VAULT_ID,), vault_of=(0,) * total, max_running=max_running, typical_s=1860.0
        ),
        templates=(template,) * len(groups),
        regions=("westeurope",),
        members=tuple(RosterMember(vm_id=vm_id(index), item=item, looked=True) for index in range(total)),
    )


def a_recovery(roster: Roster, *, max_per_vault: int | None = None, dry_run: bool = False) -> Recovery:
    """Return an accepted recovery with the groups of a roster."""
    groups = tuple(
        PlannedGroup(name=group.name, after=group.after, optional=group.optional) for group in roster.resolved.groups
    )
    accepted = AcceptedRecovery(
        recovery_id=RECOVERY,
        plan_name="shop",
        groups=groups,
        fingerprint="c0ffee",
        source=Source.HTTP,
        created=START,
        max_per_vault=max_per_vault,
        dry_run=dry_run,
    )
    admission = Admission(lock=LockState.NOT_NEEDED, admitted=True)
    return Recovery(accepted=accepted, clock=Clock(now=START), admission=admission)


def orchestration_state(hub: Hub, instance_id: str, *, fetch_payloads: bool = True) -> OrchestrationState | None:
    """Return an instance of a hub as its durable client tells of it."""
    request = pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=fetch_payloads)
    return new_orchestration_state(instance_id, hub._backend.GetInstance(request, cast("Any", None)))


class HubClient:
    """The durable client of an activity, on a hub in the same thread."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def get_orchestration_state(self, instance_id: str, *, fetch_payloads: bool) -> OrchestrationState | None:
        return orchestration_state(self._hub, instance_id, fetch_payloads=fetch_payloads)

    async def schedule_new_orchestration(self, name: str, *, input: Json | None, instance_id: str) -> str:  # noqa: A002 - the SDK's
        return self._hub.start(name, input, instance_id=instance_id)

    async def raise_orchestration_event(self, instance_id: str, name: str, *, data: Json) -> None:
        try:
            self._hub.raise_event(instance_id, name, data)
        except LookupError as error:
            code, metadata = grpc.StatusCode.FAILED_PRECONDITION, grpc.aio.Metadata()
            raise grpc.aio.AioRpcError(code, metadata, metadata) from error


class _RefusingClient(HubClient):
    """One that fails at the next starts of some members, of which it takes the indexes away."""

    def __init__(self, hub: Hub, refused: list[int]) -> None:
        super().__init__(hub)
        self._refused = refused

    @override
    async def schedule_new_orchestration(self, name: str, *, input: Json | None, instance_id: str) -> str:
        for index in self._refused:
            if instance_id == member_restore_id(RECOVERY, index, 1):
                self._refused.remove(index)
                raise ConnectionError("the hub is away")
        return await super().schedule_new_orchestration(name, input=input, instance_id=instance_id)


class RecoveryLab(Lab):
    """A lab whose hub also runs recoveries. The list of members is a record from the beginning."""

    def __init__(self, *, redeliver: bool | Callable[[str], bool] = False, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self.recovery_events: list[Json] = []
        self.posted_recovery_events: list[Json] = []
        self.refuses_starts: list[int] = []
        """Members whose next start fails."""
        super().__init__(redeliver=redeliver)

    @override
    def more_orchestrators(self) -> dict[str, Callable[..., Any]]:
        return {
            names.RUN_RECOVERY: run_recovery,
            names.HOLD_RECORD: hold_record,
            names.HOLD_LIST_ENTRY: hold_list_entry,
        }

    @override
    def more_activities(self) -> dict[str, Callable[..., Any]]:
        clock = self.azure.clock.now
        members = MemberActivities(limits_for=lambda _request: self._limits, clock=clock)
        others: dict[type[Any], Callable[[Any], Answer[Any]]] = {
            calls.ResolveRecovery: self._resolve,
            calls.PublishRecoveryEvents: self._publish_recovery_events,
            calls.PostRecoveryEvent: self._post_recovery_event,
        }
        return {
            **{name: self._with_client(activity) for name, activity in members.by_name().items()},
            **{kind.name: sealed(kind, activity, clock) for kind, activity in others.items()},
        }

    def _with_client(self, activity: Callable[..., Any]) -> Callable[[Json], Json]:
        def call(data: Json) -> Json:
            return asyncio.run(activity(data, cast("df.DurableFunctionsClient", self.client)))

        return call

    @property
    def client(self) -> HubClient:
        """The durable client that activities get."""
        return _RefusingClient(self.hub, self.refuses_starts)

    def _resolve(self, call: calls.ResolveRecovery) -> Answer[calls.Resolution]:
        record = self.hub.state(record_id_of_members(call.recovery_id))
        return Answer(Roster.from_json(record.input).resolved)

    def _publish_recovery_events(self, call: calls.PublishRecoveryEvents) -> Answer[Done]:
        self.recovery_events += [recovery_event_of(change) for change in call.changes]
        return Answer(Done())

    def _post_recovery_event(self, call: calls.PostRecoveryEvent) -> Answer[Done]:
        self.posted_recovery_events.append(recovery_event_of(call.change))
        return Answer(Done())

    def start_recovery(self, *groups: Group, max_running: int | None = None, **members: Any) -> str:
        """Freeze a list of members and start their recovery; returns its id."""
        return self.start_recovery_of(a_roster(groups, max_running=max_running), **members)

    def start_recovery_of(self, roster: Roster, **members: Any) -> str:
        """Start a recovery with this frozen list of members; returns its id."""
        self.hub.start(names.HOLD_RECORD, roster.to_json(), instance_id=record_id_of_members(RECOVERY))
        return self.hub.start(names.RUN_RECOVERY, pack(a_recovery(roster, **members)), instance_id=RECOVERY)

    def shown(self) -> Json:
        """Return the recovery's custom status."""
        return self.hub.state(RECOVERY).custom_status or {}

    def reach_status(self, status: str) -> Json:
        """Run until the recovery shows this status; returns its custom status."""
        self.hub.run_until(lambda: self.shown().get("status") == status)
        return self.shown()

    def command(self, command: str, **members: Any) -> None:
        """Give the recovery a command."""
        data = {"id": f"c{len(self.hub.calls)}", "command": command, "by": "ada", **members}
        self.hub.raise_event(RECOVERY, COMMAND_EVENT, data)

    def member(self, index: int, attempt: int = 1) -> Json:
        """Return the document of a member's restore."""
        state = orchestration_state(self.hub, member_restore_id(RECOVERY, index, attempt))
        assert state is not None
        return document_of(state)
