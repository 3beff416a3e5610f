"""The guards as durable entities: each holds one guard's state and does one operation at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.guards import answer_once, leave_turn, note_alert, release_vm, take_budget, take_turn, take_vm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from domain.errors import Json
    from domain.guards import Operation
    from durabletask.entities import EntityContext


def vm_guard(ctx: EntityContext, data: Json) -> Json:
    """Guard one VM: ``take`` and ``release``, see :mod:`domain.guards`."""
    return _operate(ctx, data, {"take": take_vm, "release": release_vm})


def rule_budget(ctx: EntityContext, data: Json) -> Json:
    """Guard one alert rule's restores per hour: ``take``."""
    return _operate(ctx, data, {"take": take_budget})


def vault_turns(ctx: EntityContext, data: Json) -> Json:
    """Share out a vault's places: ``take`` and ``leave``."""
    return _operate(ctx, data, {"take": take_turn, "leave": leave_turn})


def storm_guard(ctx: EntityContext, data: Json) -> Json:
    """Count the VMs that alerts want restored, all rules together: ``note``."""
    return _operate(ctx, data, {"note": note_alert})


def _operate(ctx: EntityContext, data: Json, operations: Mapping[str, Operation]) -> Json:
    state, answer = answer_once(ctx.operation, operations[ctx.operation], ctx.get_state(), data)
    ctx.set_state(state)
    return answer
