"""The steps before the trigger: which item, which recovery point, would the service do it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain import errors
from domain.errors import TerminalError
from domain.jobs import OperationStatus
from domain.polling import OPERATION_INTERVAL_S
from domain.protected_items import ProtectedItem
from domain.restores import Phase, restore_body
from domain.times import format_time
from domain.validation import Validation

from orchestrations.names import CHOOSE_RECOVERY_POINT, GET_VALIDATION, RESOLVE_ITEM, START_VALIDATION

if TYPE_CHECKING:
    from domain.restores import Restore

    from orchestrations.run import Run, Steps


def item_of(restore: Restore) -> ProtectedItem:
    """Return the item, which every step after the first has."""
    if restore.item is None:
        raise TerminalError(errors.INTERNAL_ERROR, f"The restore reached {restore.phase} without its protected item.")
    return restore.item


def resolve_item(run: Run) -> Steps[None]:
    """Find the vault and the native names of what is to be restored."""
    names = ("sourceResourceId", "vaultId", "containerName", "protectedItemName")
    wanted = {name: value for name, value in run.restore.request.body.items() if name in names}
    item = yield from run.ask(RESOLVE_ITEM, wanted)
    run.update(item=ProtectedItem.from_json(item), phase=Phase.SELECTING_RECOVERY_POINT)


def choose_point(run: Run) -> Steps[None]:
    """Choose the recovery point; only the chosen one enters the history."""
    request = run.restore.request
    chosen = yield from run.ask(
        CHOOSE_RECOVERY_POINT,
        {
            "item": item_of(run.restore).to_json(),
            "recoveryPoint": request.body.get("recoveryPoint", {}),
            "rehydrates": request.rehydrates,
            "now": format_time(run.now),
        },
    )
    phase = Phase.VALIDATING if request.validate_first else Phase.TRIGGERING
    run.update(point=chosen["point"], archived=chosen["archived"], phase=phase)


def validate(run: Run) -> Steps[None]:
    """Have the service check the restore; findings end it, a service that cannot check is a warning."""
    restore = run.restore
    if restore.validation_id is None:
        yield from _start_validation(run)
        return
    look = {"vaultId": item_of(restore).vault_id, "operationId": restore.validation_id, "url": restore.validation_url}
    answer = yield from run.ask(GET_VALIDATION, look)
    validation = Validation.from_json(answer["validation"])
    if validation.status is OperationStatus.RUNNING:
        wait_s = answer["retryAfterS"]
        run.poll_after(OPERATION_INTERVAL_S if wait_s is None else wait_s)
        return
    if validation.findings or validation.status is not OperationStatus.SUCCEEDED:
        first = f": {validation.findings[0].message}" if validation.findings else "."
        message = f"The service would not do this restore{first} Nothing was started."
        raise TerminalError(errors.VALIDATION_FAILED, message, validation.findings)
    run.update(phase=Phase.TRIGGERING, next_poll=None)


def _start_validation(run: Run) -> Steps[None]:
    restore = run.restore
    point_id: str = (restore.point or {})["id"]
    data = {"item": item_of(restore).to_json(), "pointId": point_id, "body": restore_body(restore)}
    try:
        accepted = yield from run.ask(START_VALIDATION, data)
    except TerminalError as error:
        if error.code != errors.NOT_FOUND:
            raise
        accepted = {"operationId": None}
    if accepted["operationId"] is None:
        message = "The service did not validate the restore before it was triggered: the call is missing here."
        run.become(restore.with_warning("ValidationUnavailable", message))
        run.update(phase=Phase.TRIGGERING)
        return
    run.update(validation_id=accepted["operationId"], validation_url=accepted["url"])
    wait_s = accepted["retryAfterS"]
    run.poll_after(OPERATION_INTERVAL_S if wait_s is None else wait_s)
