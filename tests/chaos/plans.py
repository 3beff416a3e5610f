"""What goes wrong with each restore of a run: drawn from the seed and the restore's number, and from nothing else.

So one restore of a run meets the same faults when it runs alone (``--only``), as far as it calls in the same order.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any, Final

from domain.restore.polling import Limits
from domain.restore.state import restore_id_for
from domain.restore.undo import undo_id
from domain.wire import as_object
from tests.chaos.made_plans import (
    ATTACHED,
    CANCELLED,
    CREATED,
    NAME_TAKEN,
    USE_FAULTS,
    job_switches,
    use_faults,
    use_members,
)
from tests.chaos.swap_plans import (
    COMPUTE_FAULTS,
    SWAP_CANCELLED,
    UNDONE,
    compute_faults,
    swap_members,
    with_compute_switches,
)
from tests.support.azure import TARGET_GROUP, VAULT_ID, a_restore, an_alert_start, vm_id

if TYPE_CHECKING:
    from datetime import datetime

    from domain.errors import Json
    from domain.restore.state import Restore

CALL_FAULTS: Final = (
    "throttled_seconds",
    "throttled_http_date",
    "throttled_milliseconds",
    "unavailable_503",
    "dns_failure",
    "connect_timeout",
    "read_timeout",
    "connection_reset",
    "token_expired",
    "token_refused",
    "identity_away",
    "forbidden_for_a_while",
    "truncated_json",
    "proxy_page",
    "asked_to_wait_by_a_success",
    "asked_to_wait_by_a_read",
    "slow_answer",
    "error_500",
    "gateway_timeout_504",
    "write_answer_reset",
    "write_answer_500",
    "write_answer_504",
)
"""What may strike any call, again and again; most of them before the service sees the call.

A ``write_answer`` is lost after the service has done what it was asked to; the restore's POST has faults of its own.
"""

TRIGGER_FAULTS: Final = (
    "trigger_500_before",
    "trigger_timeout_before",
    "trigger_dns_failure",
    "trigger_refused",
    "trigger_500_after",
    "trigger_503_after_with_wait",
    "trigger_408_after",
    "trigger_200_for_202",
    "trigger_timeout_after",
    "trigger_reset_after",
    "trigger_lost_202",
)
"""What may become of a restore POST, the first or the first two; after: the job was made."""

SERVICE_FAULTS: Final = (
    "job_404_first_minute",
    "operation_404",
    "progress_backwards",
    "job_cancelled_outside",
    "vault_deleted",
)
"""How the service itself misbehaves towards one restore, beyond what the simulator can."""

SWITCHES: Final[dict[str, Json]] = {
    "job_listed_late": {"jobNotListed": {"seconds": 30}},
    "operation_stuck": {"slowOperation": {"seconds": 3 * 3600}},
    "operation_slow": {"slowOperation": {"seconds": 200}},
    "operation_failed": {"operationFailed": {"code": "UserErrorSimulated", "message": "It failed."}},
    "job_failed": {"jobFailed": {"afterSeconds": 100}},
    "job_with_warnings": {"jobWarnings": [{"errorTitle": "UserWarning"}]},
    "job_stuck_for_ever": {"jobSeconds": 1e8},
    "async_url_of_another_host": {"wrongHostUrl": True},
    "location_with_doubled_subscriptions": {"doubleSubscriptionsLocation": True},
    "location_alone": {"noAsyncHeader": True},
    "operation_id_is_not_the_jobs": {"differentOperationId": True},
    "integers_for_enums": {"integerEnums": True},
    "words_nobody_knows": {"unknownEnums": True},
    "cancel_refused": {"cancelRefused": True},
}
"""The simulator's own switches."""

DELIVERIES: Final = (
    "delivered_twice",
    "delivered_five_times",
    "worker_died_before",
    "worker_died_after",
    "redelivered_late",
)
"""How an activity may be handed to workers; ``late`` is by a new process, when the dead one's lease has run out."""

ENGINE: Final = ("turn_run_twice", "start_deferred")
"""What the engine does besides: it sends a turn's messages and crashes before the history is written, or has a start
lie for two seconds, in which events are lost. Entity operations that come twice and out of order are every restore's.
"""

PEOPLE: Final = ("person_cancels", "start_repeated", "operator_terminates", "operator_suspends")
APPROVALS: Final = ("approved", "rejected", "nobody_answers")
ENDS: Final = ("results_queue_away", "events_queue_away", "webhook_away")
RIVAL: Final = "two_restores_of_one_vm"
RESTART: Final = "worker_restarted"

ALL_FAULTS: Final = (
    *CALL_FAULTS,
    *TRIGGER_FAULTS,
    *SERVICE_FAULTS,
    *SWITCHES,
    *DELIVERIES,
    *ENGINE,
    *PEOPLE,
    *APPROVALS,
    *ENDS,
    *COMPUTE_FAULTS,
    SWAP_CANCELLED,
    UNDONE,
    *USE_FAULTS,
    NAME_TAKEN,
    CANCELLED,
    RIVAL,
    RESTART,
)
MILD: Final = frozenset({*CALL_FAULTS, *DELIVERIES, *ENGINE, *TRIGGER_FAULTS}) - {"trigger_refused"}
"""What an exact restore survives."""
RESTORES_PER_VAULT: Final = 25
UNDO_NUMBERS: Final = 4_000_000
"""The number of an undo is that of its restore, and this."""
_NETWORK: Final = TARGET_GROUP.replace("restored-rg", "net-rg/providers/Microsoft.Network/virtualNetworks/isolated")


@dataclass(slots=True, kw_only=True)
class Plan:
    """One restore, what it asks for, and what will strike it. ``struck`` counts what did.

    ``own_id`` is the id of what the plan is for, if that is no restore which the run itself starts.
    """

    number: int
    random: Random
    vm: int
    starts_s: float
    started_by: str
    limits: Limits
    members: Json
    switches: Json
    faults: frozenset[str]
    after_s: dict[str, float]
    trigger_strikes: int = 1
    publish_failures: int = 0
    own_id: str | None = None
    struck: Counter[str] = field(default_factory=Counter[str])
    bursts: dict[str, tuple[str, int]] = field(default_factory=dict[str, tuple[str, int]])

    @property
    def key(self) -> str:
        """What the restore's id is made of."""
        return f"chaos:{self.number}"

    @property
    def restore_id(self) -> str:
        """The restore's id."""
        return self.own_id or restore_id_for(self.key)

    @property
    def vm_id(self) -> str:
        """The VM's resource id."""
        return vm_id(self.vm)

    @property
    def swaps(self) -> bool:
        """Whether the restored disks are to be put into the VM."""
        return "thenSwapDisks" in self.members

    @property
    def uses_disks(self) -> bool:
        """Whether a new VM is to be made of the restored disks, or another VM is to get them."""
        return CREATED in self.members or ATTACHED in self.members

    @property
    def asks_before_swap(self) -> bool:
        """Whether a person is asked when the disks are restored."""
        return as_object(self.members.get("approval")).get("before") == "Swap"

    def has(self, fault: str) -> bool:
        """Whether this fault was drawn for the restore."""
        return fault in self.faults

    def strikes(self, fault: str, chance: float) -> bool:
        """Draw whether a fault that was drawn for the restore strikes now; counts it."""
        if fault not in self.faults or self.random.random() >= chance:
            return False
        self.struck[fault] += 1
        return True

    def restore(self, created: datetime) -> Restore:
        """Return the restore as its trigger would accept it now."""
        alert = an_alert_start(alert_id=self.key, storm_vms=1_000_000) if self.started_by == "alert" else None
        return a_restore(
            self.limits,
            key=self.key,
            started_by=self.started_by,
            alert=alert,
            created=created,
            sourceResourceId=self.vm_id,
            **self.members,
        )


def draw_plans(seed: int, count: int) -> list[Plan]:
    """Draw so many restores; some are of the VM of the one before them, at nearly the same moment."""
    plans: list[Plan] = []
    for number in range(count):
        random = Random(f"{seed}/{number}")
        rival = bool(plans) and random.random() < 0.1
        plan = draw(number, random)
        if rival:
            before = plans[-1]
            plan.vm, plan.switches = before.vm, before.switches
            plan.limits = replace(plan.limits, max_per_vault=before.limits.max_per_vault)
            plan.starts_s = before.starts_s + random.choice((0.0, 1.0, random.uniform(0, 3600)))
            plan.faults |= {RIVAL}
        plans.append(plan)
    return plans


def a_calm_plan(number: int, vm: int) -> Plan:
    """Return a restore that nothing strikes."""
    return Plan(
        number=number,
        random=Random(number),
        vm=vm,
        starts_s=0.0,
        started_by="http",
        limits=Limits(job_poll_min_s=15, job_poll_max_s=60, deadline_s=24 * 3600, adoption_window_s=120),
        members={},
        switches={},
        faults=frozenset(),
        after_s={},
    )


def a_watchers_plan(seed: int, vm: int) -> Plan:
    """Return what strikes the watcher of a VM's vault."""
    random = Random(f"{seed}/watcher/{vault_id(vm)}")
    strike = (*CALL_FAULTS, *DELIVERIES, *ENGINE)
    faults = frozenset(fault for fault in strike if random.random() < 0.3)
    return replace(a_calm_plan(2_000_000 + vm, vm), random=random, faults=faults)


def log_uniform(random: Random, low: float, high: float) -> float:
    """Draw a number whose logarithm is evenly spread."""
    return math.exp(random.uniform(math.log(low), math.log(high)))


def draw(number: int, random: Random) -> Plan:
    """Draw one restore."""
    faults = {fault for fault in CALL_FAULTS if random.random() < 0.15}
    faults |= {fault for fault in DELIVERIES if random.random() < 0.15}
    faults |= {fault for fault in ENGINE if random.random() < 0.3}
    faults |= {fault for fault in SERVICE_FAULTS if random.random() < 0.06}
    faults |= {fault for fault in PEOPLE if random.random() < 0.07}
    faults |= {fault for fault in ENDS if random.random() < 0.07}
    if random.random() < 0.6:
        faults.add(random.choice(TRIGGER_FAULTS))
    switches: Json = {"jobSeconds": log_uniform(random, 60, 3 * 3600)}
    for name, switch in SWITCHES.items():
        if random.random() < 0.06:
            faults.add(name)
            switches |= switch
    members = _members(random, number)
    if random.random() < 0.2:
        faults.add(random.choice(APPROVALS))
        members["approval"] = {"required": True, "timeout": random.choice(("PT10M", "PT2H"))}
    more_after_s: dict[str, float] = {}
    if "thenSwapDisks" in members:
        if random.random() < 0.8:  # else few would come so far that they swap
            faults, switches = faults & MILD | faults & {*APPROVALS, *ENDS}, {"jobSeconds": switches["jobSeconds"]}
        more_after_s = {SWAP_CANCELLED: random.uniform(0, 40), UNDONE: random.uniform(0, 3600)}
        faults |= compute_faults(random) | ({UNDONE} if random.random() < 0.4 else set())
        switches = with_compute_switches(switches, faults)
        if "approval" in members and random.random() < 0.7:
            members["approval"]["before"] = "Swap"
    if CREATED in members or ATTACHED in members:
        if random.random() < 0.8:
            faults, switches = faults & MILD | faults & {*APPROVALS, *ENDS}, {"jobSeconds": switches["jobSeconds"]}
        more_after_s = {CANCELLED: random.uniform(0, 60), NAME_TAKEN: random.uniform(0, 2 * switches["jobSeconds"])}
        faults |= use_faults(random)
        switches |= job_switches(faults)
    return Plan(
        number=number,
        random=random,
        vm=number,
        starts_s=number * 60 + random.uniform(0, 600),
        started_by=random.choice(("http", "queue", "alert")),
        limits=limits_of(random, number),
        members=members,
        switches=switches,
        faults=frozenset(faults),
        after_s={fault: log_uniform(random, 1, 2 * 3600) for fault in (*PEOPLE, *APPROVALS, *SERVICE_FAULTS)}
        | more_after_s,
        trigger_strikes=random.choice((1, 1, 2)),
        publish_failures=random.choice((1, 3, 20)),
    )


def an_undo_of(plan: Plan, restore_id: str) -> Plan:
    """Draw the undo of a restore that has swapped disks."""
    random = Random(f"{plan.after_s[UNDONE]}/{plan.number}/undo")
    faults = {fault for fault in (*CALL_FAULTS, *DELIVERIES) if random.random() < 0.15}
    faults |= {fault for fault in ENGINE if random.random() < 0.3} | compute_faults(random)
    return replace(
        a_calm_plan(UNDO_NUMBERS + plan.number, plan.vm),
        random=random,
        limits=plan.limits,
        own_id=undo_id(restore_id, 1),
        faults=frozenset(faults),
        switches=with_compute_switches({}, faults),
        after_s={SWAP_CANCELLED: random.uniform(0, 40)},
    )


def vault_id(vm: int) -> str:
    """Return the id of the vault that a VM is protected by."""
    return VAULT_ID.replace("vault-weu", f"vault-{vm // RESTORES_PER_VAULT}")


def _max_per_vault(vm: int) -> int:
    """Return how many restores of a VM's vault may run at once: too few in every second vault."""
    return 50 if vm // RESTORES_PER_VAULT % 2 else 5


def limits_of(random: Random, vm: int) -> Limits:
    """Draw the bounds of a restore of a VM."""
    return Limits(
        job_poll_min_s=15,
        job_poll_max_s=random.choice((60, 300)),
        deadline_s=timedelta(hours=random.choice((2, 4, 8))).total_seconds(),
        adoption_window_s=random.choice((60, 120, 300)),
        max_per_vault=_max_per_vault(vm),
    )


def _members(random: Random, number: int) -> Json:
    members: dict[str, Any] = {"validate": random.random() < 0.3}
    kind = random.random()
    if kind < 0.2:
        members |= {"recoveryType": "OriginalLocation", "targetResourceGroupId": None}
    elif kind < 0.4:
        members |= {
            "recoveryType": "AlternateLocation",
            "targetVirtualMachineId": f"{TARGET_GROUP}/providers/Microsoft.Compute/virtualMachines/new-{number}",
            "virtualNetworkId": _NETWORK,
            "subnetId": f"{_NETWORK}/subnets/default",
        }
    elif kind < 0.6:
        members |= swap_members(random, number)
    elif kind < 0.8:
        members |= use_members(random, number)
    return members
