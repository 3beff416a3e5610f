"""What is asked of each recovery of a run, and what strikes it and its members: all drawn from the seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any, Final

from domain.restore.state import restore_id_for
from tests.chaos.made_plans import CANCELLED, NAME_TAKEN, USE_FAULTS
from tests.chaos.plans import (
    APPROVALS,
    CALL_FAULTS,
    DELIVERIES,
    ENGINE,
    MILD,
    RIVAL,
    Plan,
    a_calm_plan,
    draw,
    log_uniform,
)
from tests.chaos.swap_plans import COMPUTE_FAULTS, SWAP_CANCELLED, UNDONE
from tests.support.azure import a_request, vm_id

if TYPE_CHECKING:
    from domain.errors import Json

PER_RECOVERY: Final = 10_000
"""The numbers of a recovery's restores begin with its own, times this; then come member and attempt."""
_NOT_OF_MEMBERS: Final = frozenset(
    {
        *APPROVALS,
        RIVAL,
        "start_repeated",
        *COMPUTE_FAULTS,
        SWAP_CANCELLED,
        UNDONE,
        *USE_FAULTS,
        NAME_TAKEN,
        CANCELLED,
    }
)


@dataclass(slots=True, kw_only=True)
class DrawnRecovery:
    """One recovery: its groups by name, with their VMs, and how patient its persons are."""

    number: int
    random: Random
    plan: Plan
    groups: dict[str, list[int]]
    body: Json
    max_running: int | None
    max_per_vault: int
    starts_s: float
    gives_up: bool

    @property
    def recovery_id(self) -> str:
        """The recovery's id."""
        return self.plan.restore_id

    def attempt(self, seed: int, index: int, attempt: int, restore_id: str) -> Plan:
        """Draw what strikes a member's restore: half of them only what no restore fails of."""
        number = self.number * PER_RECOVERY + index * 100 + attempt
        vm = [vm for vms in self.groups.values() for vm in vms][index]
        random = Random(f"{seed}/{restore_id}")
        plan = draw(number, random)
        faults, switches = plan.faults - _NOT_OF_MEMBERS, plan.switches
        if random.random() < 0.75:
            faults, switches = faults & MILD, {"jobSeconds": switches["jobSeconds"]}
        # What is asked for stands in the recovery's own body.
        return replace(plan, vm=vm, own_id=restore_id, faults=faults, switches=switches, members={})


def draw_recoveries(seed: int, count: int, members: int = 40) -> list[DrawnRecovery]:
    """Draw so many recoveries; some share a VM with the one before."""
    drawn: list[DrawnRecovery] = []
    first = 0
    for number in range(count):
        random = Random(f"{seed}/recovery/{number}")
        shared = [random.choice(next(iter(drawn[-1].groups.values())))] if drawn and random.random() < 0.3 else []
        vms = [*shared, *range(first, first + random.randint(1, members))]
        first = vms[-1] + 1
        drawn.append(_draw(number, random, vms))
    return drawn


def _draw(number: int, random: Random, vms: list[int]) -> DrawnRecovery:
    count = min(len(vms), random.randint(1, 12))
    cuts = sorted(random.sample(range(1, len(vms)), count - 1))
    groups = {f"g{n}": vms[begin:end] for n, (begin, end) in enumerate(zip([0, *cuts], [*cuts, len(vms)], strict=True))}
    max_running = random.choice((None, None, 1, 3, 10)) if len(vms) < 20 else random.choice((None, 5, 20))
    faults = frozenset(fault for fault in (*CALL_FAULTS, *DELIVERIES, *ENGINE) if random.random() < 0.2)
    own_id = restore_id_for(f"recovery:chaos:{number}")
    return DrawnRecovery(
        number=number,
        random=random,
        plan=replace(
            a_calm_plan(number * PER_RECOVERY, vms[0]), random=Random(random.random()), own_id=own_id, faults=faults
        ),
        groups=groups,
        body=_body(random, groups, max_running),
        max_running=max_running,
        max_per_vault=random.choice((3, 5, 50)),
        starts_s=log_uniform(random, 1, 6 * 3600),
        gives_up=random.random() < 0.15,
    )


def _body(random: Random, groups: dict[str, list[int]], max_running: int | None) -> Json:
    template = {name: value for name, value in a_request().items() if name != "sourceResourceId"}
    members: list[Json] = []
    for name, vms in groups.items():
        before = [each["name"] for each in members]
        member: dict[str, Any] = {"name": name, "sourceResourceIds": [vm_id(vm) for vm in vms]}
        if random.random() < 0.8:
            member["after"] = random.sample(before, min(len(before), random.choice((0, 1, 1, 2))))
        if random.random() < 0.2:
            member["optional"] = True
        if random.random() < 0.15:
            member["gate"] = {"approval": {"timeout": random.choice(("PT30M", "PT6H"))}}
        members.append(member)
    body: Json = {"name": "chaos", "restore": {**template, "validate": random.random() < 0.3}, "groups": members}
    return body if max_running is None else {**body, "maxRunning": max_running}
