"""The kinds of alerts that Azure Monitor sends. They name the VMs, and what happened, in different members."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from domain.alerts.fields import items_of, letters_of, member_of, object_of, text_of, value_of

if TYPE_CHECKING:
    from collections.abc import Mapping


class AlertKind(Enum):
    """What an alert is about; ``OTHER`` is a kind that this app does not know."""

    METRIC = "metric"
    PROMETHEUS = "query-based metric"
    RESOURCE_HEALTH = "resource health"
    SERVICE_HEALTH = "service health"
    ACTIVITY_LOG = "activity log"
    LOG_SEARCH = "log search"
    LOG_SEARCH_V1 = "log search v1"
    BACKUP = "Azure Backup"
    COST = "cost"
    SMART_DETECTION = "smart detection"
    OTHER = "other"


NOT_ABOUT_VMS: Final = frozenset({AlertKind.SERVICE_HEALTH, AlertKind.COST, AlertKind.SMART_DETECTION})
"""Kinds that never report the state of a VM. Cost alerts leave out what other alerts have, even their condition."""

_KIND_OF_SERVICE: Final[Mapping[str, AlertKind]] = {
    "prometheus": AlertKind.PROMETHEUS,
    "resourcehealth": AlertKind.RESOURCE_HEALTH,
    "servicehealth": AlertKind.SERVICE_HEALTH,
    "logalertsv2": AlertKind.LOG_SEARCH,
    "loganalytics": AlertKind.LOG_SEARCH_V1,
    "applicationinsights": AlertKind.LOG_SEARCH_V1,
    "azurebackup": AlertKind.BACKUP,
    "administrative": AlertKind.ACTIVITY_LOG,
    "costalerts": AlertKind.COST,
    "costmanagement": AlertKind.COST,
    "budget": AlertKind.COST,
    "actualcostbudget": AlertKind.COST,
    "forecastedbudget": AlertKind.COST,
    "smartdetector": AlertKind.SMART_DETECTION,
    "smartdetection": AlertKind.SMART_DETECTION,
    "smartalert": AlertKind.SMART_DETECTION,
}
_KIND_OF_PROVIDER: Final[Mapping[str, AlertKind]] = {
    "microsoft.resourcehealth": AlertKind.RESOURCE_HEALTH,
    "microsoft.servicehealth": AlertKind.SERVICE_HEALTH,
}
_COST_ALERT: Final = "/providers/microsoft.costmanagement/"
_WORKSPACE: Final = "/providers/microsoft.monitor/accounts/"
_IN_ACTIVITY_LOG: Final = NOT_ABOUT_VMS | {AlertKind.RESOURCE_HEALTH}


def kind_of(essentials: Mapping[str, Any], context: Mapping[str, Any]) -> AlertKind:
    """Return the kind of an alert, by its ``monitoringService``, its ``signalType`` and what it holds."""
    service, signal = (letters_of(text_of(essentials, name)) for name in ("monitoringService", "signalType"))
    operation = operation_of(context)
    kind = _known_kind(service.removeprefix("activitylog"), operation, essentials)
    if signal == "activitylog" or service.startswith("activitylog"):
        return kind if kind in _IN_ACTIVITY_LOG else AlertKind.ACTIVITY_LOG
    if kind is not AlertKind.OTHER:
        return kind
    if operation and service != "platform":
        # An unknown service that reports an operation: somebody may have done it on purpose.
        return AlertKind.ACTIVITY_LOG
    if _is_query_based(essentials, context):
        return AlertKind.PROMETHEUS
    if service == "platform" or signal == "metric":
        return AlertKind.LOG_SEARCH_V1 if signal == "log" else AlertKind.METRIC
    return AlertKind.OTHER


def _known_kind(service: str, operation: str, essentials: Mapping[str, Any]) -> AlertKind:
    if service in _KIND_OF_SERVICE:
        return _KIND_OF_SERVICE[service]
    if _COST_ALERT in text_of(essentials, "alertId").lower():
        return AlertKind.COST
    return _KIND_OF_PROVIDER.get(operation.lower().partition("/")[0], AlertKind.OTHER)


def _is_query_based(essentials: Mapping[str, Any], context: Mapping[str, Any]) -> bool:
    """Return whether a metric alert comes from a query in PromQL, whose labels say what it is about."""
    condition = object_of(member_of(context, "condition"))
    return (
        "promql" in letters_of(value_of(member_of(context, "conditionType")))
        or "promql" in letters_of(value_of(member_of(condition, "odata.type")))
        or member_of(context, "labels") is not None
        or any(
            _WORKSPACE in target.lower()
            for target in items_of(essentials.get("alertTargetIDs"))
            if isinstance(target, str)
        )
    )


def operation_of(context: Mapping[str, Any]) -> str:
    """Return the operation that an activity log alert reports, such as ``Microsoft.Compute/virtualMachines/delete``."""
    action = member_of(object_of(member_of(context, "authorization")), "action")
    return (value_of(member_of(context, "operationName")) or value_of(action)).strip("/ ")
