"""Locks, budgets and slots as durable entities. An entity holds one state and does one operation at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from domain.admission import alert_storm, rule_budget, vault_slots, vm_lock
from domain.admission.answer_once import Operation, answer_once
from domain.restore import calls

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from domain.errors import Json
    from durabletask.entities import EntityContext

_FUNCTIONS: Final = {
    calls.AcquireLock: (vm_lock.VmLock, vm_lock.acquire),
    calls.ReleaseLock: (vm_lock.VmLock, vm_lock.release),
    calls.ReleaseVanishedLock: (vm_lock.VmLock, vm_lock.release),
    calls.TakeBudget: (rule_budget.RuleBudget, rule_budget.take),
    calls.NoteAlert: (alert_storm.AlertStorm, alert_storm.note),
    calls.AcquireSlot: (vault_slots.VaultSlots, vault_slots.acquire),
    calls.ReleaseSlot: (vault_slots.VaultSlots, vault_slots.release),
}
_OPERATIONS: Final = {
    (call.entity, call.operation): Operation(state=state, request=call, function=function)
    for call, (state, function) in _FUNCTIONS.items()
}


def _entity(name: str) -> Callable[[EntityContext, Json], Json]:
    def operate(ctx: EntityContext, data: Json) -> Json:
        state, answer = answer_once(ctx.operation, _OPERATIONS[name, ctx.operation], ctx.get_state(), data)
        ctx.set_state(state)
        return answer

    operate.__name__ = name
    return operate


ENTITIES: Final[Mapping[str, Callable[[EntityContext, Json], Json]]] = {name: _entity(name) for name, _ in _OPERATIONS}
"""The entities by name: functions that take an operation's request as JSON and return its answer."""
