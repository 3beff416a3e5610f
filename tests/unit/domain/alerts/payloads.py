"""Alerts in the common alert schema, as the tests of their reading need them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from domain.alerts.payload import Alert, read_alert
from tests.support.azure import SUBSCRIPTION, VM_ID

if TYPE_CHECKING:
    from domain.errors import Json


SAMPLES = {path.stem: path for path in (Path(__file__).parents[3] / "samples" / "alerts").glob("*.json")}
GROUP = f"{SUBSCRIPTION}/resourceGroups/web-rg"
VM_2, VM_3 = (VM_ID.replace("web-01", name) for name in ("web-02", "web-03"))
WORKSPACE = f"{SUBSCRIPTION}/resourceGroups/monitor-rg/providers/Microsoft.OperationalInsights/workspaces/logs"
SCALE_SET_VM = f"{GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/vmss/virtualMachines/0"
METRIC = {"signalType": "Metric", "monitoringService": "Platform"}
HEALTH = {"signalType": "Activity Log", "monitoringService": "Resource Health"}
ACTIVITY = {"signalType": "Activity Log", "monitoringService": "Activity Log - Administrative"}
LOG = {"signalType": "Log", "monitoringService": "Log Alerts V2"}
LOG_V1 = {"signalType": "Log", "monitoringService": "Log Analytics"}
BACKUP = {"signalType": "Log", "monitoringService": "Azure Backup"}


def sample(name: str) -> Json:
    return json.loads(SAMPLES[name].read_text(encoding="utf-8"))


def an_alert(essentials: Json | None = None, context: object = None) -> Json:
    known = {
        "alertId": f"{SUBSCRIPTION}/providers/Microsoft.AlertsManagement/alerts/a1",
        "monitorCondition": "Fired",
        "alertTargetIDs": [],
    }
    data = {"essentials": {**known, **METRIC, **(essentials or {})}, "alertContext": context}
    return {"schemaId": "azureMonitorCommonAlertSchema", "data": data}


def alert_of(essentials: Json, context: object = None, *targets: object) -> Alert:
    return read_alert(an_alert({**essentials, "alertTargetIDs": list(targets)}, context))
