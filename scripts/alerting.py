"""The alert that demo and host send themselves, and the rule that answers it."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any, Final

type Json = dict[str, Any]

RULE: Final = "VM down"


def vm_down(vm_id: str) -> Json:
    """Return what an action group posts when a VM's availability metric falls below 1; each has an id of its own."""
    subscription = "/".join(vm_id.split("/")[:3])
    return {
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": {
            "essentials": {
                "alertId": f"{subscription}/providers/Microsoft.AlertsManagement/alerts/{uuid.uuid4()}",
                "alertRule": "vm-availability",
                "severity": "Sev1",
                "signalType": "Metric",
                "monitorCondition": "Fired",
                "monitoringService": "Platform",
                "alertTargetIDs": [vm_id.lower()],
                "firedDateTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            },
            "alertContext": {
                "conditionType": "SingleResourceMultipleMetricCriteria",
                "condition": {
                    "windowSize": "PT5M",
                    "allOf": [
                        {
                            "metricName": "VmAvailabilityMetric",
                            "metricNamespace": "Microsoft.Compute/virtualMachines",
                            "operator": "LessThan",
                            "threshold": "1",
                            "timeAggregation": "Average",
                            "metricValue": 0,
                        }
                    ],
                },
            },
        },
    }


def rules_for(restore: Json) -> str:
    """Return ``AUTO_RESTORE_RULES``: a VM that is down is restored as this request says, whichever it is."""
    template = {name: value for name, value in restore.items() if name not in {"sourceResourceId", "requestedBy"}}
    rule = {"name": RULE, "match": {"alertRules": ["vm-availability"]}, "restore": template, "coolDown": "PT1M"}
    return json.dumps({"rules": [rule]})
