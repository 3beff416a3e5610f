"""Read Azure Monitor's common alert schema.

Azure adds members at any time and changes the case of ids. Unknown members are ignored; an optional member of the
wrong type counts as absent. Source: Azure Monitor's schema pages and payloads that users have published (metric,
Resource Health, activity log, log search v1 and v2, Azure Backup).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from domain.alerts.fields import object_of, text_of
from domain.alerts.ignore_reasons import ignore_reason
from domain.alerts.kinds import kind_of
from domain.alerts.targets import find_vms
from domain.errors import InvalidRequestError
from domain.reading import INVALID_VALUE, MISSING_FIELD, Problems, string
from domain.times import parse_api_time
from domain.wire import as_object

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

SCHEMA_ID: Final = "azureMonitorCommonAlertSchema"
MAX_VMS: Final = 1000
"""How many VMs one alert may name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What the rules and admission control need of an alert.

    ``alert_id``, ``alert_rule``, ``severity`` and ``monitoring_service`` are as sent, the latter three ``""`` when
    absent. ``fired`` is aware UTC, or ``None``; decisions ignore it, because clocks differ. ``vm_ids`` are distinct
    without case, in the order found, and keep their casing. ``ignore_reason`` says why the alert must start nothing.
    ``unresolved`` has a sentence for each name that cannot be taken for a VM, or one when the alert names no VM at all.
    """

    alert_id: str
    alert_rule: str
    severity: str
    monitoring_service: str
    fired: datetime | None
    vm_ids: tuple[str, ...]
    ignore_reason: str | None = None
    unresolved: tuple[str, ...] = ()


def read_alert(data: object) -> Alert:
    """Read an alert in the common alert schema; raise ``InvalidRequestError`` with every problem."""
    problems = Problems()
    essentials = _read_essentials(data, problems)
    if problems.found:
        raise InvalidRequestError(problems.found)
    context = object_of(as_object(as_object(data)["data"]).get("alertContext"))
    kind = kind_of(essentials, context)
    vm_ids, unresolved = find_vms(kind, essentials, context)
    if (count := len(vm_ids) + len(unresolved)) > MAX_VMS:
        message = f"names {count} virtual machines, but one alert may name at most {MAX_VMS}; split the alert rule"
        problems.add(INVALID_VALUE, "data", message)
        raise InvalidRequestError(problems.found)
    return Alert(
        alert_id=essentials["alertId"],
        alert_rule=text_of(essentials, "alertRule"),
        severity=text_of(essentials, "severity"),
        monitoring_service=text_of(essentials, "monitoringService"),
        fired=parse_api_time(essentials.get("firedDateTime")),
        vm_ids=vm_ids,
        ignore_reason=ignore_reason(kind, essentials, context),
        unresolved=unresolved,
    )


def _read_essentials(data: object, problems: Problems) -> Mapping[str, Any]:
    """Return ``data.essentials``, where every alert has its id and its condition."""
    if not isinstance(data, dict):
        problems.add(INVALID_VALUE, None, f"must be a JSON object, an alert in Azure Monitor's {SCHEMA_ID}")
        return {}
    body = cast("Mapping[str, Any]", data)
    schema = body.get("schemaId")
    if not isinstance(schema, str) or schema.lower() != SCHEMA_ID.lower():
        message = f"must be {SCHEMA_ID}: switch 'Enable the common alert schema' on in the action group's receiver"
        problems.add(MISSING_FIELD if schema is None else INVALID_VALUE, "schemaId", message)
        return {}
    essentials = as_object(body.get("data")).get("essentials")
    if not isinstance(essentials, dict):
        problems.add(MISSING_FIELD if essentials is None else INVALID_VALUE, "data.essentials", "must be a JSON object")
        return {}
    members = cast("Mapping[str, Any]", essentials)
    for name in ("alertId", "monitorCondition"):
        if members.get(name) is None:
            problems.add(MISSING_FIELD, f"data.essentials.{name}", "is needed")
        else:
            string(members[name], f"data.essentials.{name}", problems)
    return members
