"""Reads whether a backup is soft-deleted: Azure's own refusals and empty lists do not say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from domain import errors
from domain.azure.protected_items import SoftDeletion, soft_deleted_error
from domain.errors import RestoreError
from domain.warning_codes import WarningCode
from domain.wire import as_object

if TYPE_CHECKING:
    from datetime import datetime

    from domain.azure.protected_items import ProtectedItem
    from domain.errors import TerminalError
    from queries.backup_api import BackupApi

# Errors whose cause may be that the item is soft-deleted.
_UNEXPLAINED: Final = frozenset(
    {errors.NO_MATCHING_RECOVERY_POINT, errors.NOT_FOUND, errors.VALIDATION_FAILED, errors.RESTORE_REFUSED}
)


def find_soft_deletion(api: BackupApi, item: ProtectedItem) -> SoftDeletion | None:
    """Return the soft deletion of an item, or ``None`` if it is not deleted, or cannot be read.

    It raises nothing: this read may explain another error, and must not replace it.
    """
    if item.soft_deletion is not None:
        return item.soft_deletion
    try:
        body = api.get_protected_item(item.vault_id, item.container_name, item.protected_item_name)
    except RestoreError:
        return None
    return SoftDeletion.from_api(as_object(body.get("properties")))


def explained_error(api: BackupApi, item: ProtectedItem, error: TerminalError, now: datetime) -> TerminalError:
    """Return the error; if the item is soft-deleted, and that may be its cause, return one that says so instead."""
    if error.code not in _UNEXPLAINED or any(detail.code == WarningCode.ITEM_SOFT_DELETED for detail in error.details):
        return error
    deletion = find_soft_deletion(api, item)
    return error if deletion is None else soft_deleted_error(item, deletion, now, error)
