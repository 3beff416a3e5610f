"""The steps before the trigger: which item, which recovery point, would the service do it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain import errors
from domain.errors import RestoreError, TerminalError
from domain.jobs import OperationStatus
from domain.polling import operation_interval_s, wait_s
from domain.protected_items import ProtectedItem
from domain.restores import Phase, restore_body
from domain.times import format_time
from domain.validation import Validation

from orchestrations.names import (
    CHECK_RESTORE,
    CHOOSE_RECOVERY_POINT,
    GET_VALIDATION,
    RESOLVE_ITEM,
    START_VALIDATION,
)

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
    """Choose the recovery point; only the chosen one enters the history, or the newest of them for a plan."""
    chosen = yield from run.ask(
        CHOOSE_RECOVERY_POINT,
        {
            "item": item_of(run.restore).to_json(),
            "request": run.restore.request.to_json(),
            "now": format_time(run.now),
        },
    )
    if cut := chosen.get("candidatesCut"):
        message = f"{cut} older recovery points were considered, too; the plan shows the newest and the chosen one."
        run.become(run.restore.with_warning("CandidatesCut", message))
    if "error" in chosen:
        run.update(candidates=tuple(chosen["candidates"]))
        raise RestoreError.from_json(chosen["error"])
    run.update(
        point=chosen["point"],
        archived=chosen["archived"],
        facts=chosen["facts"],
        candidates=tuple(chosen["candidates"]),
        phase=Phase.VALIDATING,
    )


def validate(run: Run) -> Steps[None]:
    """Check the restore against the service's rules, then have the service check it too unless that is not wanted."""
    restore = run.restore
    if not restore.checked:
        yield from _check(run)
    elif not restore.request.validate_first:
        _ready(run)
    elif restore.validation_id is None:
        yield from _start_validation(run)
    else:
        yield from _follow_validation(run)


def _check(run: Run) -> Steps[None]:
    restore = run.restore
    data = {"item": item_of(restore).to_json(), "request": restore.request.to_json(), "facts": restore.facts}
    checked = yield from run.ask(CHECK_RESTORE, data)
    for warning in checked["warnings"]:
        run.become(run.restore.with_warning(warning["code"], warning["message"]))
    run.update(checked=True, guard_requests=tuple(checked["guardRequests"]))


def _follow_validation(run: Run) -> Steps[None]:
    restore = run.restore
    look = {"vaultId": item_of(restore).vault_id, "operationId": restore.validation_id, "url": restore.validation_url}
    try:
        answer = yield from run.ask(GET_VALIDATION, look)
    except TerminalError as error:
        _without_validation(run, error)
        return
    validation = Validation.from_json(answer["validation"])
    if validation.status is OperationStatus.RUNNING:
        elapsed_s = (run.now - (restore.validating_since or run.now)).total_seconds()
        own_s = operation_interval_s(restore.limits, elapsed_s=elapsed_s)
        run.poll_after(wait_s(answer["retryAfterS"], own_s))
        return
    if validation.findings or validation.status is not OperationStatus.SUCCEEDED:
        first = f": {validation.findings[0].message}" if validation.findings else "."
        raise TerminalError(
            errors.VALIDATION_FAILED, f"The service would not do this restore{first}", validation.findings
        )
    _ready(run)


def _ready(run: Run) -> None:
    if run.restore.request.is_plan:
        run.become(run.restore.planned(run.now))
    elif run.restore.awaits_decision:
        run.update(phase=Phase.AWAITING_APPROVAL, next_poll=None)
    else:
        run.update(phase=Phase.TRIGGERING, next_poll=None)


def _start_validation(run: Run) -> Steps[None]:
    restore = run.restore
    point_id: str = (restore.point or {})["id"]
    data = {"item": item_of(restore).to_json(), "pointId": point_id, "body": restore_body(restore)}
    try:
        accepted = yield from run.ask(START_VALIDATION, data)
    except TerminalError as error:
        _without_validation(run, error)
        return
    if accepted["operationId"] is None:
        _without_validation(run, TerminalError(errors.NOT_FOUND, "The answer names no operation to follow."))
        return
    run.update(validation_id=accepted["operationId"], validation_url=accepted["url"], validating_since=run.now)
    run.poll_after(wait_s(accepted["retryAfterS"], operation_interval_s(restore.limits, elapsed_s=0.0)))


def _without_validation(run: Run, error: TerminalError) -> None:
    """Go on with a warning where the vault or its region lacks the call; every other refusal is one."""
    if error.code != errors.NOT_FOUND:
        raise error
    message = f"The service could not validate the restore before it was triggered: {error.message}"
    run.become(run.restore.with_warning("ValidationUnavailable", message))
    _ready(run)
