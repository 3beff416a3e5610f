"""The state of the simulated tenant."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from random import Random
from threading import RLock
from typing import TYPE_CHECKING, Any
from uuid import UUID

from simulator.faults import Faults, FaultState
from simulator.limits import Bucket
from simulator.locks import Lock, Locks
from simulator.providers.backup.guards import GuardState
from simulator.providers.backup.jobs import RUNNING, Job
from simulator.providers.compute.state import ComputeState
from simulator.providers.graph.state import GraphState
from simulator.providers.identity.tokens import Tokens
from simulator.providers.seed import seed
from simulator.reading import InvalidDocument, Node
from simulator.store import ResourceStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from simulator.clock import Timeline
    from simulator.providers.backup.crossregion.tokens import RestoreToken
    from simulator.providers.backup.operations import Operation
    from simulator.providers.backup.points import Point
    from simulator.providers.backup.service_jobs import ServiceJob
    from simulator.scenario import Named, Scenario, StorageAccount, Vault, Vm

LOG_LENGTH = 20_000


def _is_in(resource: Named, subscription_id: str, resource_group: str) -> bool:
    """Return whether a resource lies in a group, whatever the casing."""
    found = (resource.subscription_id.lower(), resource.resource_group.lower())
    return found == (subscription_id.lower(), resource_group.lower())


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """One answered request. ``status`` 0 means that the connection was dropped without an answer.

    ``request_id`` is the ``x-ms-request-id`` of the answer.
    """

    method: str
    path: str
    action: str
    vm: str
    status: int
    time: datetime
    real_time: datetime
    headers: Mapping[str, str]
    body: Any
    request_id: str = ""


class World:
    """Vaults, VMs, jobs, operations, faults, tokens, limits, the request log, and the store of all other resources.

    Requests are handled under ``lock``; the public methods take it too, so tests may call them from their thread.
    """

    def __init__(self, scenario: Scenario, timeline: Timeline) -> None:
        self.scenario = scenario
        self.timeline = timeline
        self.lock = RLock()
        self.random = Random()
        self.tokens = Tokens(timeline.wall)
        self.identity_failures_left = scenario.settings.identity_failures
        self.requests: deque[RequestRecord] = deque(maxlen=LOG_LENGTH)
        self.jobs: dict[str, Job] = {}
        self.service_history: dict[str, list[ServiceJob]] = {}
        self.cancelled_backups: dict[str, datetime] = {}
        self.operations: dict[str, Operation] = {}
        self.restore_tokens: dict[str, RestoreToken] = {}
        self.store = ResourceStore()
        self.compute = ComputeState()
        self.overwritten_blobs: dict[tuple[str, str], bytes] = {}
        self._moment: datetime | None = None
        self.started = self.now()
        self._effects: list[tuple[datetime, int, Callable[[], object]]] = []
        self._effect_numbers = count()
        self._counts: Counter[tuple[str, int]] = Counter()
        self._vms = {vm.key: vm for vm in scenario.vms}
        self._vms_by_id = {vm.resource_id.lower(): vm for vm in scenario.vms}
        self._faults = {vm.key: FaultState(vm.faults) for vm in scenario.vms}
        self._items = {(vm.vault.name.lower(), vm.native_name): vm for vm in scenario.vms if vm.vault}
        self._vaults = {vault.name.lower(): vault for vault in scenario.vaults}
        self._guards = {name: GuardState(vault.guard) for name, vault in self._vaults.items() if vault.guard}
        self._accounts = {account.name.lower(): account for account in scenario.storage_accounts}
        self._denied = {denied.scope.lower().rstrip("/"): denied.actions for denied in scenario.denied_actions}
        own = (
            Lock(scope=vm.resource_id, level=vm.hardware.lock, name=f"{vm.name}-lock")
            for vm in scenario.vms
            if vm.hardware.lock
        )
        self.locks = Locks((*scenario.locks, *own))
        real = timeline.real.now()
        reads, writes = scenario.settings.reads, scenario.settings.writes
        limits = {"read": reads, "write": writes, "delete": writes}
        self._buckets = {kind: Bucket(limit, real) for kind, limit in limits.items()}
        self._resource_requests: dict[str, Bucket] = {}
        seed(self)
        self.graph = GraphState(self.store, scenario.settings.graph_delay_s, self.now)

    def now(self) -> datetime:
        """Return the simulated time; while an effect runs, the moment for which it was meant."""
        with self.lock:
            return self._moment or self.timeline.simulated.now()

    def new_id(self) -> str:
        """Return a new random GUID."""
        return str(UUID(int=self.random.getrandbits(128), version=4))

    # What there is

    def has_subscription(self, subscription_id: str) -> bool:
        """Return whether there is a subscription of this id, whatever its casing."""
        return any(known.subscription_id.lower() == subscription_id.lower() for known in self.scenario.subscriptions)

    def vault(self, subscription_id: str, resource_group: str, name: str) -> Vault | None:
        """Find a vault by its names, whatever their casing."""
        vault = self._vaults.get(name.lower())
        return vault if vault and _is_in(vault, subscription_id, resource_group) else None

    def storage_account(self, subscription_id: str, resource_group: str, name: str) -> StorageAccount | None:
        """Find a storage account of the scenario by its names, whatever their casing."""
        account = self._accounts.get(name.lower())
        return account if account and _is_in(account, subscription_id, resource_group) else None

    def resource_guard(self, resource_id: str) -> GuardState | None:
        """Find a Resource Guard by its id, whatever its casing."""
        states = self._guards.values()
        return next((state for state in states if state.guard.resource_id.lower() == resource_id.lower()), None)

    def vm(self, key: str) -> Vm | None:
        """Find a VM by ``group/name``, whatever its casing."""
        return self._vms.get(key.lower())

    def vm_with_key(self, key: str) -> Vm:
        """Return the VM of a job or an operation."""
        return self._vms[key]

    def vm_named(self, name: str) -> Vm | None:
        """Find a VM by its resource id or by its bare name, whatever the casing."""
        if "/" in name:
            return self._vms_by_id.get(name.lower().rstrip("/"))
        return next((vm for vm in self._vms.values() if vm.name.lower() == name.lower()), None)

    def item(self, vault: str, native_name: str) -> Vm | None:
        """Find a protected VM by its native name in a vault, whatever the casing."""
        return self._items.get((vault.lower(), native_name.lower()))

    def items(self, vault: str) -> list[Vm]:
        """Return the protected VMs of a vault."""
        return [vm for (name, _), vm in self._items.items() if name == vault.lower()]

    def vm_underway(self, resource_id: str) -> bool:
        """Return whether a running job will create a VM of this resource id."""
        now = self.now()
        return any(
            job.kind == "new_vm"
            and job.target.vm_id.lower() == resource_id.lower()
            and job.ends_as == "Completed"
            and job.status(now) in RUNNING - {"Cancelling"}
            for job in self.jobs.values()
        )

    def point_time(self, point: Point) -> datetime:
        """Return when a recovery point was taken."""
        return self.started - timedelta(hours=point.age_hours)

    # What the caller may do

    def denied_actions(self, path: str) -> list[str]:
        """Return the actions that are denied at a path: those of its own scope and of the scopes above it."""
        here = f"{path.lower().rstrip('/')}/"
        return sorted(
            {action for scope, actions in self._denied.items() if here.startswith(f"{scope}/") for action in actions}
        )

    def deny(self, scope: str, actions: Iterable[str]) -> None:
        """Replace the actions that are denied at a scope by these; none allows everything again."""
        with self.lock:
            self._denied[scope.lower().rstrip("/")] = tuple(actions)

    def set_lock(self, scope: str, level: str) -> None:
        """Put a lock of a level at a scope in the place of those that are there; the empty level leaves none."""
        with self.lock:
            self.locks.replace(scope, level)

    def overwrite_blob(self, account: str, name: str, content: bytes) -> None:
        """Put other content into a blob that a job leaves, now or later, as others with a role on the account can."""
        with self.lock:
            self.overwritten_blobs[account.lower(), name] = content

    # What happens

    def at(self, moment: datetime, effect: Callable[[], object]) -> None:
        """Plan an effect: ``settle`` runs it once the simulated time has reached a moment."""
        with self.lock:
            heappush(self._effects, (moment, next(self._effect_numbers), effect))

    def settle(self) -> None:
        """Run all effects that are due, in the order of their times."""
        with self.lock:
            now = self.now()
            while self._effects and self._effects[0][0] <= now:
                self._moment, _, effect = heappop(self._effects)
                try:
                    effect()
                finally:
                    self._moment = None

    def add_job(self, job: Job) -> None:
        """Add a new job."""
        with self.lock:
            self.jobs[job.job_id] = job

    def add_operation(self, operation: Operation) -> None:
        """Add a new operation."""
        with self.lock:
            self.operations[operation.operation_id.lower()] = operation

    def cancel(self, job: Job) -> None:
        """Cancel a running job; a second cancellation changes nothing."""
        with self.lock:
            if job.cancelled_at is None:
                self.jobs[job.job_id] = replace(job, cancelled_at=self.now())

    def jobs_of(self, vm: str) -> list[Job]:
        """Return the jobs of a VM (resource id or name), oldest first."""
        with self.lock:
            found = self.vm_named(vm)
            return [job for job in self.jobs.values() if found and job.vm_key == found.key]

    def faults(self, vm_key: str) -> FaultState:
        """Return the switches of a VM, none for a VM that is not there."""
        return self._faults.get(vm_key.lower()) or FaultState(Faults())

    def faults_at(self, path: str) -> FaultState:
        """Return the switches of what a path names: its VM's, if it has any, or those of the nearest id above it."""
        vm = self.vm_named("/".join(path.split("/")[:9]))
        own = self._faults[vm.key] if vm else None
        if own and own.faults.given:
            return own
        here = f"{path.lower().rstrip('/')}/"
        found = max((scope for scope in self._faults if here.startswith(f"{scope}/")), key=len, default="")
        return self._faults[found] if found else own or FaultState(Faults())

    def set_faults(self, vm: str, switches: Mapping[str, Any]) -> None:
        """Replace all switches of a VM (resource id or name) by these, as a scenario writes them; ``{}`` clears.

        The id of anything else, there or not, also of a resource group, sets switches for all calls at it and below it.
        Raises ``KeyError`` for an unknown VM and ``InvalidDocument`` for wrong switches.
        """
        node = Node(switches, "$.faults")
        faults = Faults.read(node, switches)
        if node.problems:
            raise InvalidDocument(node.problems)
        with self.lock:
            found = self.vm_named(vm)
            if found is None and not vm.startswith("/subscriptions/"):
                raise KeyError(vm)
            self._faults[found.key if found else vm.lower().rstrip("/")] = FaultState(faults)

    def guard(self, vault: Vault) -> GuardState | None:
        """Return what the Resource Guard of a vault says, if it has one."""
        return self._guards.get(vault.name.lower())

    def set_guard(self, vault: str, *, granted: bool) -> None:
        """Allow or forbid the restores of a guarded vault; raise ``KeyError`` for any other."""
        with self.lock:
            self._guards[vault.lower()].grant(self.now(), granted=granted)

    def expire_tokens(self) -> int:
        """Expire every token given out so far; return how many."""
        with self.lock:
            return self.tokens.expire_all()

    def bucket(self, kind: str) -> Bucket:
        """Return the bucket of ``read``, ``write`` or ``delete`` calls."""
        return self._buckets[kind]

    def resource_requests(self, action: str) -> Bucket:
        """Return the bucket of one action of the backup service."""
        if action not in self._resource_requests:
            limit = self.scenario.settings.resource_requests
            self._resource_requests[action] = Bucket(limit, self.timeline.real.now())
        return self._resource_requests[action]

    # The request log and the counters

    def record(self, record: RequestRecord) -> None:
        """Add an answered request to the log and the counters."""
        with self.lock:
            self.requests.append(record)
            self._counts[record.action, record.status] += 1

    def counters(self) -> dict[str, Any]:
        """Return how many requests, jobs and tokens there were."""
        with self.lock:
            now = self.now()
            by_action: Counter[str] = Counter()
            by_status: Counter[str] = Counter()
            for (action, status), count in self._counts.items():
                by_action[action] += count
                by_status[str(status)] += count
            statuses = [job.status(now) for job in self.jobs.values()]
            return {
                "requests": self._counts.total(),
                "byAction": dict(sorted(by_action.items())),
                "byStatus": dict(sorted(by_status.items())),
                "jobs": len(self.jobs),
                "runningJobs": sum(status in RUNNING for status in statuses),
                "jobsByStatus": dict(Counter(statuses)),
                "jobsByVm": dict(Counter(job.vm_key for job in self.jobs.values())),
                "tokens": len(self.tokens),
            }
