"""A restore's turn at its vault: so many run at once, the others wait in line and say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from domain.errors import TransientError
from domain.guards import guard_key
from domain.restores import Guard
from domain.times import format_time

from orchestrations.names import FIND_RUNNING, VAULT_TURNS, WAKE_RESTORE
from orchestrations.preparing import item_of

if TYPE_CHECKING:
    from domain.errors import Json

    from orchestrations.run import Run, Steps

_LONGEST_WAIT_S: Final = 300.0  # whoever leaves wakes the next; this is for the case that it could not


def take_turn(run: Run) -> Steps[None]:
    """Take a place at the vault, or wait until somebody leaves one."""
    taken = yield from run.operate(VAULT_TURNS, _key(run), "take", _asked(run, run.restore.restore_id))
    if taken["granted"]:
        run.update(turn=Guard.HELD, next_poll=None)
        return
    most = run.restore.limits.most_per_vault
    message = (
        f"{most} restores of this vault run at once (RESTORE_MAX_RUNNING_PER_VAULT); this one waited for its turn."
    )
    run.become(run.restore.with_warning("VaultBusy", message))
    run.poll_after(_LONGEST_WAIT_S)
    found = yield from run.ask(FIND_RUNNING, {"restoreId": taken["holder"]})
    if not found["running"]:
        yield from _leave(run, taken["holder"])


def step_aside(run: Run) -> Steps[None]:
    """Give the place back while a person is waited for: others need not wait with us."""
    if run.restore.turn is Guard.HELD:
        yield from _leave(run, run.restore.restore_id)
        run.update(turn=Guard.WANTED)


def leave_turn(run: Run) -> Steps[None]:
    """Give the place back, or stop waiting for one; a vault that cannot be told finds out when the next one asks."""
    if run.restore.turn is None or run.restore.item is None:
        return
    try:
        yield from _leave(run, run.restore.restore_id)
    except TransientError as error:
        run.become(run.restore.with_warning("TurnNotGivenBack", error.message))


def _leave(run: Run, restore_id: str) -> Steps[None]:
    left = yield from run.operate(VAULT_TURNS, _key(run), "leave", _asked(run, restore_id))
    if left["next"] is not None:
        yield from run.ask(WAKE_RESTORE, {"restoreId": left["next"]})


def _asked(run: Run, restore_id: str) -> Json:
    return {"restoreId": restore_id, "most": run.restore.limits.most_per_vault, "now": format_time(run.now)}


def _key(run: Run) -> str:
    return guard_key(item_of(run.restore).vault_id)
