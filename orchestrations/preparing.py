"""The steps before the trigger: which item, which recovery point, would the service do it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain import errors
from domain.errors import RestoreError, TerminalError
from domain.jobs import OperationStatus
from domain.polling import operation_interval_s, wait_s
from domain.protected_items import ProtectedItem
from domain.restores import Phase
from domain.times import format_time
from domain.validation import Validation
from domain.wire import as_object

from orchestrations.names import GET_VALIDATION, PREPARE_RESTORE, RESOLVE_ITEM

if TYPE_CHECKING:
    from domain.errors import Json
    from domain.restores import Restore
    from durabletask import task

    from orchestrations.run import Run, Steps


def item_of(restore: Restore) -> ProtectedItem:
    """Return the item, which every step after the first has."""
    if restore.item is None:
        raise TerminalError(errors.INTERNAL_ERROR, f"The restore reached {restore.phase} without its protected item.")
    return restore.item


def wanted_item(restore: Restore) -> Json:
    """Return what the request says of the item."""
    names = ("sourceResourceId", "vaultId", "containerName", "protectedItemName")
    return {name: value for name, value in restore.request.body.items() if name in names}


def resolve_item(run: Run) -> Steps[None]:
    """Find the vault and the native names of what is to be restored."""
    become_resolved(run, (yield from run.ask(RESOLVE_ITEM, wanted_item(run.restore))))


def become_resolved(run: Run, item: Json) -> None:
    """Store the item and move to the next phase."""
    run.update(item=ProtectedItem.from_json(item), phase=Phase.SELECTING_RECOVERY_POINT)


def prepare(run: Run) -> Steps[None]:
    """Choose the recovery point, check the restore against the service's rules, and start the service's own check."""
    become_prepared(run, (yield from finish_preparing(run, begin_preparing(run))))


def begin_preparing(run: Run) -> task.Task[Json]:
    """Start the preparation beside other calls; its task goes to ``finish_preparing``."""
    return run.begin(PREPARE_RESTORE, _preparation(run, None))


def finish_preparing(run: Run, preparing: task.Task[Json]) -> Steps[Json]:
    """Return what was chosen and found, for ``become_prepared``."""
    prepared = yield from run.finish(PREPARE_RESTORE, preparing)
    while (progress := prepared.get("progress")) is not None:  # the list is long, and is read in slices
        prepared = yield from run.ask(PREPARE_RESTORE, _preparation(run, progress))
    return prepared


def become_prepared(run: Run, prepared: Json) -> None:
    """Store what was prepared and move to the next phase; for a plan without a point, keep its verdicts and raise."""
    if cut := prepared.get("candidatesCut"):
        message = f"{cut} older recovery points were considered, too; the plan shows the newest and the chosen one."
        run.become(run.restore.with_warning("CandidatesCut", message))
    run.update(candidates=tuple(prepared["candidates"]))
    if "error" in prepared:
        raise RestoreError.from_json(prepared["error"])
    for warning in prepared["warnings"]:
        run.become(run.restore.with_warning(warning["code"], warning["message"]))
    run.update(
        point=prepared["point"],
        archived=prepared["archived"],
        facts=prepared["facts"],
        guard_requests=tuple(prepared["guardRequests"]),
    )
    validation = as_object(prepared["validation"])
    if (operation_id := validation.get("operationId")) is None:
        _ready(run)
        return
    run.update(
        phase=Phase.VALIDATING,
        validation_id=operation_id,
        validation_url=validation.get("url"),
        validating_since=run.now,
    )
    own_s = operation_interval_s(run.restore.limits, elapsed_s=0.0)
    run.poll_after(wait_s(prepared["retryAfterS"], own_s))


def follow_validation(run: Run) -> Steps[None]:
    """Poll the service's own check of the restore once."""
    restore = run.restore
    look = {"vaultId": item_of(restore).vault_id, "operationId": restore.validation_id, "url": restore.validation_url}
    try:
        answer = yield from run.ask(GET_VALIDATION, look)
    except TerminalError as error:
        if error.code != errors.NOT_FOUND:
            raise
        message = f"The service could not validate the restore before it was triggered: {error.message}"
        run.become(run.restore.with_warning("ValidationUnavailable", message))
        _ready(run)
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


def _preparation(run: Run, progress: Json | None) -> Json:
    restore = run.restore
    return {
        "item": item_of(restore).to_json(),
        "request": restore.request.to_json(),
        "now": format_time(run.now),
        "progress": progress,
    }


def _ready(run: Run) -> None:
    if run.restore.request.is_plan:
        run.become(run.restore.planned(run.now))
    elif run.restore.awaits_decision:
        run.update(phase=Phase.AWAITING_APPROVAL, next_poll=None)
    else:
        run.update(phase=Phase.TRIGGERING, next_poll=None)
