"""Asks Azure Resource Graph, once for all groups of a recovery plan, which virtual machines have backups, and where."""

from __future__ import annotations

from dataclasses import replace
from itertools import batched
from typing import TYPE_CHECKING, Final

from domain.answers import Answer
from domain.errors import ErrorDetail, InvalidRequestError, RestoreError, RestoreWarning
from domain.reading import INVALID_VALUE
from domain.recovery.choice import ChoiceProgress, ProtectedVm, choose, retry_wait_s
from domain.recovery.plan import MAX_MEMBERS
from domain.warning_codes import WarningCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from domain.azure.resource_graph import GraphPage
    from domain.recovery.plan import RecoveryPlan
    from queries.backup_api import BackupApi

_MAX_IDS: Final = 250
"""Azure's guidance: fewer than 300 ids in a query."""
_MAX_RESTARTS: Final = 2

_ITEMS: Final = """recoveryservicesresources
| where type =~ 'microsoft.recoveryservices/vaults/backupfabrics/protectioncontainers/protecteditems'
| where tostring(properties.backupManagementType) =~ 'AzureIaasVM'
| project id, vault = tostring(split(tolower(id), '/backupfabrics/')[0]),
    sourceResourceId = coalesce(tostring(properties.sourceResourceId), tostring(properties.dataSourceInfo.resourceID)),
    virtualMachineId = tostring(properties.virtualMachineId)
| extend vm = tolower(coalesce(sourceResourceId, virtualMachineId))
"""
_TAGS: Final = """| join kind=leftouter (
    resources
    | where type =~ 'microsoft.compute/virtualmachines'
    | project vm = tolower(id), vmTags = tags
) on vm
"""
_COLUMNS: Final = "id, sourceResourceId, virtualMachineId"
_ORDER: Final = "| order by id asc"  # without an order, pages repeat rows and leave out others


def read_members(
    api: BackupApi, plan: RecoveryPlan, progress: ChoiceProgress, is_late: Callable[[], bool]
) -> Answer[ChoiceProgress]:
    """Continue to read what the plan's members are chosen from; the answer's wait is for the next call of this.

    It stops where Azure's quota of queries is used up, and when it is late. The reading is complete when
    ``is_complete`` says so. Raises ``RestoreError`` if Azure does not answer; for a plan that selects nothing, a
    warning says that instead, because each restore finds the item of its virtual machine by itself.
    """
    queries = member_queries(plan)
    while progress.query < len(queries):
        try:
            answer = api.query_resources(queries[progress.query], skip_token=progress.skip_token)
        except RestoreError as error:
            if (wait_s := retry_wait_s(error, progress.failures)) is not None:
                return Answer(replace(progress, failures=progress.failures + 1), wait_s)
            if any(group.selection for group in plan.groups):
                raise
            message = f"Azure Resource Graph did not say which vaults have the backups: {error.message}"
            return Answer(_warned(replace(progress, query=len(queries)), WarningCode.GRAPH_NOT_READ, message))
        progress = _after_page(plan, progress, answer.value)
        if progress.query < len(queries) and (answer.retry_after_s or is_late()):
            return Answer(progress, answer.retry_after_s)
    return Answer(progress)


def _after_page(plan: RecoveryPlan, progress: ChoiceProgress, page: GraphPage) -> ChoiceProgress:
    """Return the progress after a page. Raise ``InvalidRequestError`` for more members than a recovery has."""
    listed = filter(None, map(ProtectedVm.from_row, page.rows))
    chosen = choose(plan, listed, {vm.vm_id.lower(): vm for vm in progress.chosen})
    if len(chosen) > MAX_MEMBERS:
        message = (
            f"name and select more than {MAX_MEMBERS} virtual machines, the most that a recovery has: narrow the "
            "selections, or make several plans"
        )
        raise InvalidRequestError([ErrorDetail(code=INVALID_VALUE, message=message, target="groups")])
    progress = replace(progress, failures=0, chosen=tuple(chosen.values()))
    if page.is_partial:
        message = "Azure Resource Graph has left out rows or subscriptions: virtual machines may be missing."
        progress = _warned(progress, WarningCode.GRAPH_INCOMPLETE, message)
    if progress.total not in {None, page.total} and progress.restarts < _MAX_RESTARTS:
        # Rows have come or gone since the first page, so the rest has moved: a page may leave one out.
        return replace(progress, skip_token=None, total=None, restarts=progress.restarts + 1)
    if page.skip_token is not None:
        return replace(progress, skip_token=page.skip_token, total=page.total)
    return replace(progress, query=progress.query + 1, skip_token=None, total=None, restarts=0)


def _warned(progress: ChoiceProgress, code: WarningCode, message: str) -> ChoiceProgress:
    if any(warning.code == code for warning in progress.warnings):
        return progress
    return replace(progress, warnings=(*progress.warnings, RestoreWarning(code=code, message=message)))


def is_complete(plan: RecoveryPlan, progress: ChoiceProgress) -> bool:
    """Return whether all that the plan's members are chosen from has been read."""
    return progress.query >= len(member_queries(plan))


def member_queries(plan: RecoveryPlan) -> list[str]:
    """Return the queries that list the virtual machines which the plan may select, and the vaults of those it names.

    Patterns and tags are compared here, not by Azure: so one query serves all groups.
    """
    selections = [group.selection for group in plan.groups if group.selection is not None]
    with_tags = any(selection.tags for selection in selections)
    if any(selection.vault_ids is None for selection in selections):
        return [_query("", with_tags=with_tags)]
    vaults = dict.fromkeys(vault.lower() for selection in selections for vault in selection.vault_ids or ())
    named = [vm_id.lower() for group, vm_id in plan.named_members() if "vaultId" not in group.restore]
    return [
        *(_query(_among("vault", some), with_tags=with_tags) for some in batched(vaults, _MAX_IDS, strict=False)),
        *(_query(_among("vm", some), with_tags=False) for some in batched(named, _MAX_IDS, strict=False)),
    ]


def _query(condition: str, *, with_tags: bool) -> str:
    join, tags = (_TAGS, ", vmTags") if with_tags else ("", "")
    return f"{_ITEMS}{condition}{join}| project {_COLUMNS}{tags}\n{_ORDER}"


def _among(column: str, ids: Iterable[str]) -> str:
    texts = ", ".join(f"'{resource_id}'" for resource_id in ids)  # no id of Azure has a quotation mark
    return f"| where {column} in~ ({texts})\n"
