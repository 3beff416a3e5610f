"""The activity that prepares a restore: choose the point, check the restore, start the service's validation."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from activities.follow_up_checks import FollowUpChecks
from domain import errors
from domain.answers import Answer
from domain.azure import restore_constraints as constraints
from domain.azure.point_search import PointSearch
from domain.azure.protected_items import soft_deleted_error
from domain.azure.recovery_points import no_such_point
from domain.errors import ErrorDetail, RestoreWarning, TerminalError, TransientError
from domain.restore.answers import AcceptedOperation, NoPointForPlan, Preparation, StillReading
from domain.restore.request_body import restore_body
from domain.warning_codes import WarningCode
from queries.soft_deletion import explained_error, find_soft_deletion

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from domain.azure.protected_items import ProtectedItem
    from domain.azure.recovery_points import RecoveryPoint
    from domain.requests import RestoreRequest
    from domain.restore.answers import Prepared
    from domain.restore.calls import PrepareRestore
    from queries.backup_api import BackupApi
    from queries.shared_reads import SharedReads

_SLICE: Final = timedelta(minutes=1)  # how long one call reads a list: far below the host's functionTimeout
_MAX_SLICES: Final = 20
_PREPARING: Final = timedelta(minutes=3)  # after this time no further call is made, because a call may take two minutes


class RestorePreparation:
    """One run of the preparation. ``clock`` returns aware UTC."""

    def __init__(self, api: BackupApi, reads: SharedReads, call: PrepareRestore, clock: Callable[[], datetime]) -> None:
        self._api, self._reads = api, reads
        self._request, self._item, self._progress = call.request, call.item, call.progress
        self._search = PointSearch.begin(call.request, call.now, call.progress)
        self._clock = clock
        self._began = clock()
        self._warnings: list[RestoreWarning] = []
        self._follow_up = FollowUpChecks(
            api, reads, call.request, call.item, before_call=self._check_time, warn=self._warn
        )

    def prepare(self) -> Answer[Prepared]:
        """Return the chosen point and what was found; the answer's wait is for the first poll of the validation.

        A list that takes long is read in slices. Then the answer is ``StillReading``, with the progress for the next
        call. Raises ``RestoreError``, for example ``ValidationFailed`` with every violation of a restore constraint. If
        the item is soft-deleted, the error says so, whatever Azure answered.
        """
        deletion = self._item.soft_deletion
        if deletion is not None and not self._request.is_plan:
            raise soft_deleted_error(self._item, deletion, self._clock())
        try:
            return self._prepare()
        except TerminalError as error:
            explained = error if self._is_late else explained_error(self._api, self._item, error, self._clock())
            if explained is error:
                raise
            raise explained from error

    def _prepare(self) -> Answer[Prepared]:
        reading = self._read_points()
        if reading is not None:
            return Answer(reading)
        refusal = self._refusal_of_plan()
        candidates = tuple(verdict.to_json() for verdict in self._search.candidates)
        cut = self._search.choice.seen - len(candidates) if self._request.is_plan else 0
        try:
            if refusal is not None:
                raise refusal
            point = self._search.choice.result()
        except TerminalError as error:
            if not self._request.is_plan:
                raise
            return Answer(NoPointForPlan(candidates=candidates, candidates_cut=cut, error=error.to_json()))
        self._check(point)
        self._check_time()
        guard_requests = self._guard_requests()
        self._check_time()
        validation, retry_after_s = None, None
        if self._request.validate_first:
            validation, retry_after_s = self._start_validation(point, guard_requests)
        found = Preparation(
            point=point,
            guard_requests=guard_requests,
            validation=validation,
            candidates=candidates,
            candidates_cut=cut,
            warnings=tuple(self._warnings),
            machine=self._follow_up.machine,
            source_size=self._follow_up.source_size,
            data_disk_room=self._follow_up.data_disk_room,
        )
        return Answer(found, retry_after_s)

    def _refusal_of_plan(self) -> TerminalError | None:
        """Return the error of a plan whose item is soft-deleted. Azure may refuse such an item only at the trigger."""
        if not self._request.is_plan or self._is_late:
            return None
        deletion, now = find_soft_deletion(self._api, self._item), self._clock()
        if deletion is None:
            return None
        self._search.choice.item_reason = deletion.reason(now)
        return soft_deleted_error(self._item, deletion, now)

    @property
    def _is_late(self) -> bool:
        return self._clock() > self._began + _PREPARING

    def _read_points(self) -> StillReading | None:
        """Continue to read the list; return the progress if that took longer than a slice, else ``None``."""
        known = self._progress
        if known is not None and known.link is None:
            return None
        until = self._began + _SLICE
        link = self._read_until(until, None if known is None else known.link)
        if self._clock() <= until:
            return None
        slices = (0 if known is None else known.slices) + 1
        if slices > _MAX_SLICES and link is not None:
            message = (
                f"Reading the recovery points took more than {_MAX_SLICES} minutes ({self._search.choice.seen} were "
                "read). Name the point in the request (recoveryPoint.id), or try again later."
            )
            raise TerminalError(errors.SERVICE_UNAVAILABLE, message)
        return StillReading(progress=self._search.progress(link, slices))

    def _read_until(self, until: datetime, link: str | None) -> str | None:
        """Continue to read the list at ``link``; return the link to continue at, or ``None`` at the end of the list."""
        point_id = None if self._request.is_plan else self._request.criteria.point_id
        if point_id is not None:
            self._search.consider([self._get_point(point_id)])
            return None
        for points, following in self._api.recovery_point_pages(self._item, link):
            self._search.consider(points)
            if following is not None and self._clock() > until:
                return following
        return None

    def _get_point(self, point_id: str) -> RecoveryPoint:
        try:
            return self._api.get_recovery_point(self._item, point_id)
        except TerminalError as error:
            if error.code != errors.NOT_FOUND:
                raise
            raise no_such_point(point_id, error.details) from error

    def _check_time(self) -> None:
        """Raise ``TransientError`` if one more call could run into the host's ``functionTimeout``."""
        if self._is_late:
            raise TransientError(
                errors.SERVICE_UNAVAILABLE, "Azure answers so slowly that the checks are started again."
            )

    def _check(self, point: RecoveryPoint) -> None:
        """Check the restore constraints, reading only what they depend on.

        Raises ``ValidationFailed`` with every violation.
        """
        request, item = self._request, self._item
        violations = [
            *constraints.target_violations(request, item),
            *constraints.point_violations(request, point, item.source_resource_id),
        ]
        self._warnings += [RestoreWarning(**warning) for warning in constraints.restore_warnings(request, point)]
        if constraints.needs_item(request):
            body = self._api.get_protected_item(item.vault_id, item.container_name, item.protected_item_name)
            violations += constraints.item_violations(request, body)
        self._check_time()
        if constraints.needs_vault(request, item.source_resource_id):
            vault = self._api.get_vault(item.vault_id)
            violations += constraints.vault_violations(request, vault, item.source_resource_id)
        self._check_time()
        if request.validate_first:
            violations += self._staging_violations(request, item)
        self._check_time()
        problem = "Azure Backup does not allow this restore" if violations else _cannot_be_used(request)
        if request.has_follow_up:
            violations += self._follow_up.violations(point)
        if violations:
            first = violations[0]
            message = f"{problem}: {first.target}: {first.message}."
            raise TerminalError(errors.VALIDATION_FAILED, message, violations)

    def _staging_violations(self, request: RestoreRequest, item: ProtectedItem) -> list[ErrorDetail]:
        account_id = constraints.staging_account_id(request)
        is_direct = "storageAccountId" in request.body
        target = "storageAccountId" if is_direct else "identityBasedRestoreDetails.targetStorageAccountId"
        try:
            account = self._reads.get_storage_account(account_id)
        except TerminalError as error:
            if error.code == errors.NOT_FOUND:
                message = f"Azure does not find {account_id}; check the id"
                return [ErrorDetail(code=error.code, message=message, target=target)]
            self._warn(WarningCode.STAGING_ACCOUNT_NOT_CHECKED, f"The staging account was not checked: {error.message}")
            return []
        return list(constraints.staging_violations(account, region=item.region, target=target))

    def _guard_requests(self) -> tuple[str, ...]:
        """Return the Resource Guard requests that the trigger must carry, unless the caller gave them."""
        if self._request.body.get("resourceGuardOperationRequests"):
            return ()
        try:
            proxies = self._reads.list_resource_guard_proxies(self._item.vault_id)
            return tuple(constraints.resource_guard_requests(proxies))
        except TerminalError as error:
            message = f"The app could not read whether a Resource Guard protects the vault: {error.message}"
            self._warn(WarningCode.RESOURCE_GUARD_NOT_READ, message)
            return ()

    def _start_validation(
        self, point: RecoveryPoint, guard_requests: tuple[str, ...]
    ) -> tuple[AcceptedOperation | None, float | None]:
        body = restore_body(self._request, self._item, point, guard_requests, self._follow_up.machine)
        try:
            accepted = self._api.trigger_validation(self._item, point.point_id, body["properties"])
        except TerminalError as error:
            if error.code != errors.NOT_FOUND:
                raise
            reason = error.message  # the vault or its region lacks the call
        else:
            if accepted.operation_id is not None:
                operation = AcceptedOperation(operation_id=accepted.operation_id, url=accepted.url)
                return operation, accepted.retry_after_s
            reason = "The answer names no operation to poll."
        message = f"The service could not validate the restore before it was triggered: {reason}"
        self._warn(WarningCode.VALIDATION_UNAVAILABLE, message)
        return None, None

    def _warn(self, code: WarningCode, message: str) -> None:
        self._warnings.append(RestoreWarning(code=code, message=message))


def _cannot_be_used(request: RestoreRequest) -> str:
    use = "swapped" if request.then_swap_disks is not None else "used as asked for"
    return f"The disks cannot be {use} afterwards"
