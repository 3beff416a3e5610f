"""A restore's turn at its vault: so many run at once, the others wait in line and say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from domain.errors import TransientError
from domain.guards import guard_key
from domain.restores import Guard

from orchestrations.names import FIND_RUNNING, PREPARE_RESTORE, VAULT_TURNS, WAKE_RESTORE
from orchestrations.preparing import become_prepared, begin_preparing, finish_preparing, item_of, prepare

if TYPE_CHECKING:
    from collections.abc import Callable

    from domain.errors import Json

    from orchestrations.run import Run, Steps

_LONGEST_WAIT_S: Final = 300.0  # whoever leaves wakes the next; this is for the case that it could not
_MAX_TRIES: Final = 3  # of an operation whose worker died


def prepare_in_turn(run: Run) -> Steps[None]:
    """Prepare the restore while its turn is asked for: most find a place free, and neither needs the other.

    A restore that has to wait prepares again when its turn comes: newer recovery points may exist by then. If the first
    preparation fails for good, the restore ends at once; a wait that Azure asked for is kept.
    """
    if run.restore.turn is not Guard.WANTED:
        yield from prepare(run)
        return
    if not run.may_ask(PREPARE_RESTORE):
        yield from take_turn(run)
        return
    preparing = begin_preparing(run)
    failure: TransientError | None = None
    try:
        yield from take_turn(run)
    except TransientError as error:
        failure = error
    prepared = yield from finish_preparing(run, preparing)
    if failure is not None:
        raise failure
    if not run.restore.wants_turn:
        become_prepared(run, prepared)


def take_turn(run: Run) -> Steps[None]:
    """Take a place at the vault, or wait until somebody leaves one."""
    taken = yield from run.operate(VAULT_TURNS, _key(run), "take", _asked(run))
    if taken["granted"]:
        run.update(turn=Guard.HELD, next_poll=None)
        return
    most = run.restore.limits.most_per_vault
    message = (
        f"{most} restores of this vault run at once (RESTORE_MAX_RUNNING_PER_VAULT); this one waited for its turn."
    )
    run.become(run.restore.with_warning("VaultBusy", message))
    run.update(turn=Guard.WAITING)
    run.poll_after(_LONGEST_WAIT_S)
    found = yield from run.ask(FIND_RUNNING, {"restoreId": taken["holder"]})
    if not found["running"]:
        yield from _leave(run, taken["holder"])


def step_aside(run: Run) -> Steps[None]:
    """Give the place back while a person is waited for: others need not wait with us."""
    if run.restore.turn is Guard.HELD:
        yield from _leave(run, run.restore.restore_id)
        run.update(turn=Guard.WANTED)


def leave_turn(run: Run) -> Steps[str | None]:
    """Give the place back, or stop waiting for one; returns why the vault could not be told, if it could not.

    The vault then notices at the next restore's request.
    """
    if run.restore.turn is None or run.restore.item is None:
        return None
    try:
        yield from _leave(run, run.restore.restore_id)
    except TransientError as error:
        return error.message
    return None


def _leave(run: Run, restore_id: str) -> Steps[None]:
    asked = {**_asked(run), "holder": restore_id}
    left = yield from _retry_transient(lambda: run.operate(VAULT_TURNS, _key(run), "leave", asked))
    if (following := left["next"]) is not None:
        yield from _retry_transient(lambda: run.ask(WAKE_RESTORE, {"restoreId": following}))


def _retry_transient[T](call: Callable[[], Steps[T]]) -> Steps[T]:
    for _ in range(_MAX_TRIES - 1):
        try:
            return (yield from call())
        except TransientError:
            continue
    return (yield from call())


def _asked(run: Run) -> Json:
    return {"most": run.restore.limits.most_per_vault}


def _key(run: Run) -> str:
    return guard_key(item_of(run.restore).vault_id)
