"""The answer to ``GET /api/recovery-points``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.azure.point_search import newest_first
from domain.azure.recovery_points import JudgedPoint
from domain.restore.calls import ResolveItem
from queries.item_lookup import find_item

if TYPE_CHECKING:
    from queries.backup_api import BackupApi


def list_recovery_points(api: BackupApi, source_resource_id: str) -> list[JudgedPoint]:
    """Return a VM's points, newest first, each with the verdict whether it can be restored, and why not.

    Raises :class:`domain.errors.RestoreError`.
    """
    item = find_item(api, ResolveItem(source_resource_id=source_resource_id))
    points = sorted(api.list_recovery_points(item), key=newest_first)
    verdicts = [(point, tuple(point.unusable_because(rehydrates=False))) for point in points]
    return [JudgedPoint.of(point, restorable=not reasons, reasons=reasons) for point, reasons in verdicts]
