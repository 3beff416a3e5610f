"""Backup policies for VMs: the two that a new vault has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call
from simulator.providers.backup.errors import not_in_vault
from simulator.providers.backup.ids import DEFAULT_POLICY, VAULTS
from simulator.providers.backup.lookup import vault_of
from simulator.providers.backup.points import RETENTION_DAYS

if TYPE_CHECKING:
    from simulator.scenario import Vault
    from simulator.world import World

_FACTS = {"backupmanagementtype": "azureiaasvm", "workloadtype": "vm"}


def list_policies(world: World, call: Call) -> Answer:
    """Answer the policies of a vault."""
    vault = vault_of(world, call)
    conditions = call.filters("backupManagementType", "workloadType")
    matches = all(_FACTS[name] == value.lower() for name, value in conditions.items())
    return Answer(body={"value": policy_bodies(world, vault, call.vault_path) if matches else []})


def get_policy(world: World, call: Call) -> Answer:
    """Answer one policy."""
    wanted = call.params["policy"]
    for policy in policy_bodies(world, vault_of(world, call), call.vault_path):
        if policy["name"].lower() == wanted.lower():
            return Answer(body=policy)
    raise not_in_vault("Policy", wanted)


def policy_bodies(world: World, vault: Vault, vault_path: str) -> list[dict[str, Any]]:
    """Write the policies of a vault: that of its items first."""
    protected = sum(vm.soft_delete is None for vm in world.items(vault.name))
    day = f"{world.started:%Y-%m-%d}"
    daily, hourly = f"{day}T21:30:00Z", f"{day}T08:00:00Z"
    default = {
        "policyType": "V1",
        "instantRPDetails": {},
        "schedulePolicy": {
            "schedulePolicyType": "SimpleSchedulePolicy",
            "scheduleRunFrequency": "Daily",
            "scheduleRunTimes": [daily],
            "scheduleWeeklyFrequency": 0,
        },
        **_retention_from(daily),
        "protectedItemsCount": protected,
    }
    enhanced = {
        "policyType": "V2",
        "instantRPDetails": {},
        "schedulePolicy": {
            "schedulePolicyType": "SimpleSchedulePolicyV2",
            "scheduleRunFrequency": "Hourly",
            "hourlySchedule": {"interval": 4, "scheduleWindowStartTime": hourly, "scheduleWindowDuration": 12},
        },
        **_retention_from(hourly),
        "protectedItemsCount": 0,
    }
    return [
        {
            "id": f"{vault_path}/backupPolicies/{name}",
            "name": name,
            "type": f"{VAULTS}/backupPolicies",
            "properties": {"backupManagementType": "AzureIaasVM", **properties},
        }
        for name, properties in ((DEFAULT_POLICY, default), ("EnhancedPolicy", enhanced))
    ]


def _retention_from(time: str) -> dict[str, Any]:
    return {
        "retentionPolicy": {
            "retentionPolicyType": "LongTermRetentionPolicy",
            "dailySchedule": {
                "retentionTimes": [time],
                "retentionDuration": {"count": RETENTION_DAYS, "durationType": "Days"},
            },
        },
        "instantRpRetentionRangeInDays": 2,
        "timeZone": "UTC",
    }
