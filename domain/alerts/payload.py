"""Read Azure Monitor's common alert schema.

Azure adds members at any time and changes the case of ids. Unknown members are ignored; an optional member of the
wrong type counts as absent. Source: Azure Monitor's schema pages and payloads that users have published (metric,
Prometheus, Resource Health, Service Health, activity log, log search v1 and v2, Azure Backup, budget, smart detection).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from domain.alerts.fields import object_of, text_of
from domain.alerts.ignore_reasons import ignore_reason
from domain.alerts.kinds import NOT_ABOUT_VMS, AlertKind, kind_of
from domain.alerts.resource_health import health_approval_reason
from domain.alerts.targets import find_vms
from domain.errors import InvalidRequestError
from domain.reading import INVALID_VALUE, MISSING_FIELD, Problems, string
from domain.texts import trimmed
from domain.times import parse_api_time

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
    without case, in the order found, and keep their casing. ``ignore_reason`` says why the alert must start nothing,
    ``approval_reason`` why a person must confirm a restore, whatever the rule says.
    ``unresolved`` has a sentence for each name that cannot be taken for a VM, or one when the alert names no VM at all.
    """

    alert_id: str
    alert_rule: str
    severity: str
    monitoring_service: str
    kind: AlertKind
    fired: datetime | None
    vm_ids: tuple[str, ...]
    ignore_reason: str | None = None
    approval_reason: str | None = None
    unresolved: tuple[str, ...] = ()


def read_alert(data: object) -> Alert:
    """Read an alert in the common alert schema; raise ``InvalidRequestError`` with every problem."""
    problems = Problems()
    body = object_of(data)
    essentials = _read_essentials(data, body, problems)
    if problems.found:
        raise InvalidRequestError(problems.found)
    context = object_of(object_of(body["data"]).get("alertContext"))
    kind = kind_of(essentials, context)
    _check_needed(kind, essentials, problems)
    vm_ids, unresolved = find_vms(kind, essentials, context)
    if (count := len(vm_ids) + len(unresolved)) > MAX_VMS:
        message = f"names {count} virtual machines, but one alert may name at most {MAX_VMS}; split the alert rule"
        problems.add(INVALID_VALUE, "data", message)
    if problems.found:
        raise InvalidRequestError(problems.found)
    return Alert(
        alert_id=trimmed(essentials["alertId"]),
        alert_rule=text_of(essentials, "alertRule"),
        severity=text_of(essentials, "severity"),
        monitoring_service=text_of(essentials, "monitoringService"),
        kind=kind,
        fired=parse_api_time(essentials.get("firedDateTime")),
        vm_ids=vm_ids,
        ignore_reason=ignore_reason(kind, essentials, context),
        approval_reason=health_approval_reason(context) if kind is AlertKind.RESOURCE_HEALTH else None,
        unresolved=unresolved,
    )


def _read_essentials(data: object, body: Mapping[str, Any], problems: Problems) -> Mapping[str, Any]:
    """Return ``data.essentials`` of an alert, or add what is wrong with its outer form."""
    if not body and not isinstance(data, dict):
        problems.add(INVALID_VALUE, None, f"must be a JSON object, an alert in Azure Monitor's {SCHEMA_ID}")
        return {}
    schema = body.get("schemaId")
    if not isinstance(schema, str) or schema.lower() != SCHEMA_ID.lower():
        message = f"must be {SCHEMA_ID}: switch 'Enable the common alert schema' on in the action group's receiver"
        problems.add(MISSING_FIELD if schema is None else INVALID_VALUE, "schemaId", message)
        return {}
    sent = object_of(body.get("data")).get("essentials")
    essentials = object_of(sent)
    if not essentials and not isinstance(sent, dict):
        problems.add(MISSING_FIELD if sent is None else INVALID_VALUE, "data.essentials", "must be a JSON object")
    return essentials


def _check_needed(kind: AlertKind, essentials: Mapping[str, Any], problems: Problems) -> None:
    """Add what is wrong with the members that an alert needs. Kinds that are not about VMs need no condition."""
    for name in ("alertId",) if kind in NOT_ABOUT_VMS else ("alertId", "monitorCondition"):
        if essentials.get(name) is None:
            problems.add(MISSING_FIELD, f"data.essentials.{name}", "is needed")
        else:
            string(essentials[name], f"data.essentials.{name}", problems)
