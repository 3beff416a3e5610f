"""Alert rules, and alerts to match them with, as the tests of the rules need them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domain.alerts.kinds import AlertKind
from domain.alerts.payload import Alert
from domain.alerts.rules_file import read_rules
from domain.recovery.plans_file import read_plans
from tests.support.azure import STORAGE_ID, SUBSCRIPTION, TARGET_GROUP, VM_ID
from tests.support.strategies import NETWORK, SUBNET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from domain.alerts.alert_rules import AlertRules
    from domain.errors import Json
    from domain.recovery.plan import RecoveryPlan


ROOT = Path(__file__).parents[4]
NOW = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)
SQL_VM = f"{SUBSCRIPTION}/resourceGroups/sql-rg/providers/Microsoft.Compute/virtualMachines/sql-01"
WEB_2 = VM_ID.replace("web-01", "web-02")
DISKS: Json = {
    "recoveryType": "RestoreDisks",
    "storageAccountId": STORAGE_ID,
    "targetResourceGroupId": "/subscriptions/{subscriptionId}/resourceGroups/restored-{resourceGroup}",
}
SWAP: Json = {**DISKS, "thenSwapDisks": {}}
NEW_VM: Json = {
    **DISKS,
    "targetResourceGroupId": TARGET_GROUP,
    "thenCreateVirtualMachine": {"name": "{vmName}-{firedDate}", "subnetId": SUBNET},
}
ATTACH: Json = {
    **DISKS,
    "targetResourceGroupId": TARGET_GROUP,
    "thenAttachDisks": {"virtualMachineId": f"{TARGET_GROUP}/providers/Microsoft.Compute/virtualMachines/rescue"},
}
IN_PLACE: Json = {"recoveryType": "OriginalLocation", "storageAccountId": STORAGE_ID}
CLONE: Json = {
    "recoveryType": "AlternateLocation",
    "storageAccountId": STORAGE_ID,
    "targetResourceGroupId": TARGET_GROUP,
    "targetVirtualMachineId": f"{TARGET_GROUP}/providers/Microsoft.Compute/virtualMachines/{{vmName}}-restored",
    "virtualNetworkId": NETWORK,
    "subnetId": SUBNET,
}
SAMPLE_FILE = ROOT / "auto_restore_rules.sample.json"


def a_rule(**members: Any) -> Json:
    return {"name": "web tier", "restore": DISKS, **members}


def a_file(*rules: Json, **members: Any) -> Json:
    return {"rules": list(rules) or [a_rule()], **members}


def read(*rules: Json, **members: Any) -> AlertRules:
    return read_rules(a_file(*rules, **members))


def template(**members: Any) -> Json:
    return a_rule(restore={**DISKS, **members})


def plans(restore: Json = DISKS) -> Mapping[str, RecoveryPlan]:
    """Return the configured plans: one, whose members are restored in this way."""
    groups = [{"name": "all", "sourceResourceIds": [SQL_VM]}]
    return read_plans({"plans": [{"name": "Shop", "restore": restore, "groups": groups}]})


def match(**members: Any) -> Json:
    return a_rule(match=members)


DENY: Json = {"name": "never", "deny": True}
PLAN: Json = {"name": "whole shop", "plan": "shop"}


def an_alert(*vm_ids: str, **members: Any) -> Alert:
    known = Alert(
        alert_id=f"{SUBSCRIPTION}/providers/Microsoft.AlertsManagement/alerts/a1e27",
        alert_rule="vm-web-down",
        severity="Sev1",
        monitoring_service="Platform",
        kind=AlertKind.METRIC,
        fired=datetime(2026, 11, 20, 10, tzinfo=UTC),
        vm_ids=vm_ids or (VM_ID,),
    )
    return replace(known, **members)
