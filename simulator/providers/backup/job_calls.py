"""The vault's jobs: list, single job, cancellation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call, page
from simulator.errors import ArmError, invalid_input
from simulator.faults import OperationFailure
from simulator.formats import read_filter_time
from simulator.providers.backup.errors import not_in_vault, refused
from simulator.providers.backup.jobs import RUNNING, Job, job_details, job_entry
from simulator.providers.backup.lookup import job_of, operation_of, vault_of
from simulator.providers.backup.operations import Operation
from simulator.providers.backup.service_jobs import CONFIGURE_BACKUP, ServiceJob, service_jobs
from simulator.signing import Signatures

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from simulator.scenario import Vault
    from simulator.world import World

RESTORE = "Restore"
CANCEL_RETRY_AFTER_S = 60
CANCEL_STATUS_VERSION = "2019-05-13-preview"
_NO_ID = "00000000-0000-0000-0000-000000000000"


def list_jobs(world: World, call: Call) -> Answer:
    """Answer the vault's jobs, newest first, without their details."""
    vault, now = vault_of(world, call), world.now()
    wanted = read_conditions(
        call.filters(
            "operation", "status", "backupManagementType", "startTime", "endTime", "jobId", ignores_unreadable=True
        )
    )
    with_others = wanted.get("operation") != RESTORE.lower()
    jobs = jobs_in(world, vault, now, with_others=with_others)
    if wanted:
        jobs = [job for job in jobs if _matches(job, wanted, now)]

    def write(job: Job | ServiceJob) -> dict[str, Any]:
        return _resource(call, job, entry_of(job, now))

    return Answer(body=page(call, jobs, world.scenario.settings.page_jobs, write))


def jobs_in(world: World, vault: Vault, now: datetime, *, with_others: bool = True) -> list[Job | ServiceJob]:
    """Return the jobs that a vault's list shows, newest first: restores, and the others if they are wanted."""
    found: list[Job | ServiceJob] = list(service_jobs(world, vault)) if with_others else []
    restores = (job for job in reversed(world.jobs.values()) if job.vault == vault.name and not job.region)
    found += [job for job in restores if now >= job.listed_from]
    return sorted(found, key=lambda job: job.started, reverse=True)


def entry_of(job: Job | ServiceJob, now: datetime) -> dict[str, Any]:
    """Write the properties of a job of any kind as the list of jobs has them."""
    return job_entry(job, now) if isinstance(job, Job) else job.entry(now)


def read_conditions(conditions: Mapping[str, str]) -> dict[str, Any]:
    """Return the conditions of a list of jobs, with their times read."""
    try:
        return {
            name: read_filter_time(value) if name in {"starttime", "endtime"} else value.lower()
            for name, value in conditions.items()
        }
    except ValueError as error:
        raise invalid_input(str(error)) from error


def _matches(job: Job | ServiceJob, wanted: Mapping[str, Any], now: datetime) -> bool:
    """Return whether a job meets the conditions; only the facts that a condition names are computed."""
    facts: dict[str, Callable[[], str]] = {
        "operation": lambda: RESTORE if isinstance(job, Job) else job.operation,
        "status": lambda: job.status(now),
        "backupmanagementtype": lambda: "AzureIaasVM",
        "jobid": lambda: job.job_id,
    }
    if any(facts[name]().lower() != value for name, value in wanted.items() if name in facts):
        return False
    return wanted.get("starttime", job.started) <= job.started <= wanted.get("endtime", job.started)


def get_job(world: World, call: Call) -> Answer:
    """Answer one job with all its details."""
    job = job_of(world, call)
    if not isinstance(job, Job):
        return Answer(body=_resource(call, job, job.details(world.now())))
    state = world.faults(job.vm_key)
    if state.strikes("jobMissing404", state.faults.job_missing404):
        raise not_in_vault("Job", job.job_id)
    body = _resource(call, job, job_details(job, world.now()))
    if state.strikes("malformedJson", state.faults.malformed_json):
        text = json.dumps(body).encode()
        return Answer(raw=text[: len(text) // 2])
    return Answer(body=body)


def _resource(call: Call, job: Job | ServiceJob, properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": f"{call.vault_path}/backupJobs/{job.job_id}",
        "name": job.job_id,
        "type": "Microsoft.RecoveryServices/vaults/backupJobs",
        "properties": properties,
    }


def cancel_job(world: World, call: Call) -> Answer:
    """Accept a cancellation with 202, even where it will be refused later; raise 400 for a job that has ended."""
    job, now = job_of(world, call), world.now()
    is_configuration = isinstance(job, ServiceJob) and job.operation == CONFIGURE_BACKUP
    if job.status(now) not in RUNNING or is_configuration:
        raise refused(
            "BMSUserErrorJobNotCancellable", f"Job '{job.job_id}' has ended and cannot be cancelled any more."
        )
    failure = None
    if world.faults(job.vm_key).faults.cancel_refused:
        failure = OperationFailure(
            code="BMSUserErrorJobNotCancellable", message="The job is in a phase in which it cannot be cancelled."
        )
    elif isinstance(job, Job):
        world.cancel(job)
    else:
        world.cancelled_backups.setdefault(job.job_id, now)
    operation = Operation(
        operation_id=world.new_id(),
        kind="cancel",
        vault=job.vault,
        vm_key=job.vm_key,
        started=now,
        ready=now,
        failure=failure,
    )
    world.add_operation(operation)
    return Answer(status=202, headers=_cancel_headers(world, call, job, operation))


def _cancel_headers(world: World, call: Call, job: Job | ServiceJob, operation: Operation) -> dict[str, str]:
    base = f"{call.base_url}{call.vault_path}/backupJobs/{job.job_id}"
    signatures = Signatures(world.now(), world.random)
    result = f"{base}/operationResults/{operation.operation_id}?api-version={call.api_version}"
    status = f"{base}/operationsStatus/{operation.operation_id}?api-version={CANCEL_STATUS_VERSION}"
    return {
        "Location": signatures.sign(result),
        "Azure-AsyncOperation": signatures.sign(status),
        "Retry-After": world.timeline.retry_after(CANCEL_RETRY_AFTER_S),
    }


def job_operation_status(world: World, call: Call) -> Answer:
    """Answer the status of a cancellation."""
    return Answer(body=operation_of(world, call, "cancel").body(world.now()))


def job_operation_result(world: World, call: Call) -> Answer:
    """Answer 204 for a cancellation that was taken, 400 for a refused one; the job's name is not checked."""
    operation = operation_of(world, call, "cancel")
    if operation.failure:
        raise ArmError(400, operation.failure.code, operation.failure.message)
    return Answer(status=204, headers={"x-ms-request-id": _NO_ID, "x-ms-client-request-id": _NO_ID})
