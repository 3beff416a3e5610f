"""The kinds of alerts that Azure Monitor sends. They name the VMs, and what happened, in different members."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from domain.alerts.fields import letters_of, object_of, text_of, value_of

if TYPE_CHECKING:
    from collections.abc import Mapping


class AlertKind(Enum):
    """What an alert is about; ``OTHER`` is a kind that this app does not know."""

    METRIC = "metric"
    RESOURCE_HEALTH = "resource health"
    ACTIVITY_LOG = "activity log"
    LOG_SEARCH = "log search"
    LOG_SEARCH_V1 = "log search v1"
    BACKUP = "Azure Backup"
    OTHER = "other"


_KIND_OF_SERVICE: Final[Mapping[str, AlertKind]] = {
    "resourcehealth": AlertKind.RESOURCE_HEALTH,
    "logalertsv2": AlertKind.LOG_SEARCH,
    "loganalytics": AlertKind.LOG_SEARCH_V1,
    "applicationinsights": AlertKind.LOG_SEARCH_V1,
    "azurebackup": AlertKind.BACKUP,
    "administrative": AlertKind.ACTIVITY_LOG,
}


def kind_of(essentials: Mapping[str, Any], context: Mapping[str, Any]) -> AlertKind:
    """Return the kind of an alert, by its ``monitoringService`` and ``signalType``."""
    service, signal = (letters_of(text_of(essentials, name)) for name in ("monitoringService", "signalType"))
    kind = _KIND_OF_SERVICE.get(service, AlertKind.OTHER)
    if signal == "activitylog" or service.startswith("activitylog"):
        return kind if kind is AlertKind.RESOURCE_HEALTH else AlertKind.ACTIVITY_LOG
    if service == "platform":
        return AlertKind.LOG_SEARCH_V1 if signal == "log" else AlertKind.METRIC
    # Any alert that reports an operation counts as an activity log alert: somebody may have done it on purpose.
    return AlertKind.ACTIVITY_LOG if kind is AlertKind.OTHER and operation_of(context) else kind


def operation_of(context: Mapping[str, Any]) -> str:
    """Return the operation that an activity log alert reports, such as ``Microsoft.Compute/virtualMachines/delete``."""
    action = object_of(context.get("authorization")).get("action")
    return (value_of(context.get("operationName")) or value_of(action)).strip("/ ")
