"""The calls of cross-region restore that the vault's own region does not have."""

from __future__ import annotations

from simulator.providers.backup.crossregion import jobs, reads, restore, tokens
from simulator.routing import GROUP, SUBSCRIPTION, RouteTable

_LOCATION = SUBSCRIPTION + "/providers/Microsoft.RecoveryServices/locations/{region}"
_VAULT = GROUP + "/providers/Microsoft.RecoveryServices/vaults/{vault}"
_POINT = (
    _VAULT + "/backupFabrics/{fabric}/protectionContainers/{container}/protectedItems/{item}/recoveryPoints/{point}"
)

ROUTES: RouteTable = (
    ("GET", _LOCATION + "/backupAadProperties", tokens.get_aad_properties),
    ("POST", _POINT + "/accessToken", tokens.make_access_token),
    ("POST", _LOCATION + "/backupCrossRegionRestore", restore.trigger_cross_region_restore),
    ("GET", _LOCATION + "/backupCrrOperationsStatus/{operation}", restore.get_cross_region_operation),
    ("GET", _LOCATION + "/backupCrrOperationResults/{operation}", restore.get_cross_region_result),
    ("POST", _LOCATION + "/backupCrrJob", jobs.get_cross_region_job),
    ("POST", _LOCATION + "/backupCrrJobs", jobs.list_cross_region_jobs),
    ("GET", _VAULT + "/backupUsageSummaries", reads.list_usage_summaries),
)
