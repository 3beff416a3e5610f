"""The routes of alerts, as OpenAPI describes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from domain import api_types
from domain.alerts.decide import MAX_STARTS
from domain.alerts.payload import MAX_VMS, SCHEMA_ID
from domain.reading import string
from triggers.alert_decisions import MAX_ALERTS_SHOWN
from triggers.api_description.operations import STRING, answer_of_type, operation, page_parameters, polled_get

if TYPE_CHECKING:
    from domain.errors import Json

_ESSENTIALS: Final[Json] = {
    "type": "object",
    "properties": {
        "alertId": string.schema,
        "monitorCondition": string.schema,
        "alertRule": STRING,
        "severity": STRING,
        "signalType": STRING,
        "monitoringService": STRING,
        "alertTargetIDs": {
            "type": "array",
            "items": STRING,
            "description": f"At most {MAX_VMS} virtual machines; at most {MAX_STARTS} of them are restored.",
        },
    },
    "required": ["alertId", "monitorCondition"],
}
ALERT: Final[Json] = {
    "type": "object",
    "description": "Azure Monitor's common alert schema; the app also reads some members that are not listed here.",
    "properties": {
        "schemaId": {"type": "string", "const": SCHEMA_ID},
        "data": {"type": "object", "properties": {"essentials": _ESSENTIALS}, "required": ["essentials"]},
    },
    "required": ["schemaId", "data"],
}
"""The schema of an alert."""


def alert_paths() -> Json:
    """Describe the routes of alerts, of the decisions about them, and of their rules."""
    decided = answer_of_type(202, "The decision for each virtual machine of the alert.", api_types.AlertDecisionList)
    decisions = [decided, 400, 413, 415, 503]
    rules = answer_of_type(200, "The rules, and what is wrong with them.", api_types.AlertRuleList)
    return {
        "/alerts": {"post": operation("post_alert", "Receive an alert of Azure Monitor", decisions, body="Alert")},
        "/alert-decisions": {
            "get": polled_get(
                "list_alert_decisions",
                "List what the last alerts were answered",
                "Alerts, newest first. A page may be short; the last one has no nextLink.",
                api_types.AlertRecordList,
                *(400, 503),
                parameters=page_parameters(MAX_ALERTS_SHOWN),
            ),
        },
        "/alert-rules": {"get": operation("list_alert_rules", "Show the alert rules", [rules])},
    }
