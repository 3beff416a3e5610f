"""The answer to ``GET /api/recovery-points``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.api_types import RecoveryPointList
from domain.azure.point_search import newest_first
from domain.azure.recovery_points import JudgedPoint
from domain.errors import NOT_FOUND, RESTORE_REFUSED, RestoreWarning, TerminalError
from domain.warning_codes import WarningCode
from queries.item_lookup import find_item
from queries.soft_deletion import find_soft_deletion

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from domain.azure.protected_items import ProtectedItem
    from domain.azure.recovery_points import RecoveryPoint
    from domain.restore.calls import ResolveItem
    from queries.backup_api import BackupApi


def list_recovery_points(
    api: BackupApi, wanted: ResolveItem, now: datetime, vault_ids: Sequence[str] = ()
) -> RecoveryPointList:
    """Return a VM's points, newest first, each with the verdict whether it can be restored, and why not.

    ``vault_ids`` are the vaults in which a VM is searched for that Azure does not show to the app.
    A warning says if the item is soft-deleted: then none of its points can be restored, and Azure may list none.
    Raises :class:`domain.errors.RestoreError`.
    """
    item = find_item(api, wanted, vault_ids)
    # With a vault the item itself was read; backupStatus does not say whether it is soft-deleted.
    deletion = item.soft_deletion if wanted.vault_id else find_soft_deletion(api, item)
    reasons_of_item = () if deletion is None else (deletion.reason(now),)
    judged: list[JudgedPoint] = []
    for point in sorted(_points(api, item, is_deleted=deletion is not None), key=newest_first):
        reasons = (*reasons_of_item, *point.unusable_because(rehydrates=False))
        judged.append(JudgedPoint.of(point, restorable=not reasons, reasons=reasons))
    if deletion is None:
        return RecoveryPointList(value=tuple(judged))
    warning = RestoreWarning(code=WarningCode.ITEM_SOFT_DELETED, message=deletion.message_for(item, now))
    return RecoveryPointList(value=tuple(judged), warnings=(warning,))


def _points(api: BackupApi, item: ProtectedItem, *, is_deleted: bool) -> list[RecoveryPoint]:
    try:
        return list(api.list_recovery_points(item))
    except TerminalError as error:
        if is_deleted and error.code in {NOT_FOUND, RESTORE_REFUSED}:
            return []  # the warning says why
        raise
