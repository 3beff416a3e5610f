"""The jobs of the secondary region. They are read with POST, and cannot be cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call, page
from simulator.errors import invalid_input, resource_not_found
from simulator.providers.backup.crossregion.regions import check_region, region_of
from simulator.providers.backup.errors import not_in_vault
from simulator.providers.backup.job_calls import read_conditions
from simulator.providers.backup.jobs import job_details, job_entry
from simulator.reading import object_or_empty

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from simulator.providers.backup.jobs import Job
    from simulator.scenario import Vault
    from simulator.world import World

OPERATION = "CrossRegionRestore"
_VAULT_ID_PARTS = 8


def get_cross_region_job(world: World, call: Call) -> Answer:
    """Answer one job of a vault in the secondary region, with all its details."""
    vault, name = _vault_of(world, call), _member(call, "jobName")
    job = world.jobs.get(name.lower())
    if job is None or not _is_of(job, vault, region_of(call)):
        raise not_in_vault("Job", name)
    return Answer(body=_resource(call, job, _details(vault, job, world.now())))


def list_cross_region_jobs(world: World, call: Call) -> Answer:
    """Answer the jobs of a vault in the secondary region, newest first, without their details."""
    vault, region, now = _vault_of(world, call), region_of(call), world.now()
    names = ("operation", "status", "backupManagementType", "startTime", "endTime", "jobId")
    wanted = read_conditions(call.filters(*names))
    jobs = [
        job
        for job in reversed(world.jobs.values())
        if _is_of(job, vault, region) and now >= job.listed_from and _matches(job, wanted, now)
    ]

    def write(job: Job) -> dict[str, Any]:
        return _resource(call, job, {**job_entry(job, now), "operation": OPERATION})

    return Answer(body=page(call, jobs, max(len(jobs), 1), write))


def _is_of(job: Job, vault: Vault, region: str) -> bool:
    return job.vault == vault.name and job.region == region


def _matches(job: Job, wanted: Mapping[str, Any], now: datetime) -> bool:
    facts = {
        "operation": OPERATION.lower(),
        "status": job.status(now).lower(),
        "backupmanagementtype": "azureiaasvm",
        "jobid": job.job_id,
    }
    if any(facts[name] != value for name, value in wanted.items() if name in facts):
        return False
    return wanted.get("starttime", job.started) <= job.started <= wanted.get("endtime", job.started)


def _resource(call: Call, job: Job, properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": f"{call.path.rstrip('/').rpartition('/')[0]}/backupJobs/{job.job_id}",
        "name": job.job_id,
        "type": "Microsoft.RecoveryServices/vaults/backupJobs",
        "properties": properties,
    }


def _details(vault: Vault, job: Job, now: datetime) -> dict[str, Any]:
    """Write a job with what only the secondary region says in its bags."""
    properties = {**job_details(job, now), "operation": OPERATION}
    info = properties["extendedInfo"]
    info["internalPropertyBag"] = {"AdHoc": "AdHoc", **info["internalPropertyBag"]}
    bag = info.get("propertyBag")
    if not bag:
        return properties
    renamed = {"Create VM Template Blob Uri": "Template Blob Uri"}
    kept = {renamed.get(key, key): value for key, value in bag.items() if key != "VM Subscription ID"}
    info["propertyBag"] = {
        **({"Job Type": kept.pop("Job Type")} if "Job Type" in kept else {}),
        **({} if "Target VM Name" in kept else {"Target VM Name": "vmName"}),  # the service's own word
        **kept,
        "Subscription Id of the vault": vault.subscription_id,
        "Resource Group Name of the vault": vault.resource_group,
        "Vault name": vault.name,
    }
    return properties


def _vault_of(world: World, call: Call) -> Vault:
    """Return the vault that the body names; its secondary region must be that of the address."""
    parts = _member(call, "resourceId").strip("/").split("/")
    if len(parts) != _VAULT_ID_PARTS:
        raise invalid_input("resourceId must be the id of a vault")
    vault = world.vault(parts[1], parts[3], parts[7])
    if vault is None:
        raise resource_not_found(f"Microsoft.RecoveryServices/vaults/{parts[7]}", parts[3])
    check_region(vault, region_of(call))
    return vault


def _member(call: Call, name: str) -> str:
    body = object_or_empty(call.body)
    value = body.get(name)
    if not value or not isinstance(value, str):
        raise invalid_input(f"{name} is needed")
    return value
