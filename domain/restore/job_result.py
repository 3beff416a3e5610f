"""The status document's ``result`` of a job that ended, and the warnings that belong to it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from domain.azure.disks import RestoredDisk
from domain.azure.resource_ids import VIRTUAL_MACHINE, ResourceId
from domain.azure.restore_constraints import staging_account_id
from domain.codec import as_json, camel_case
from domain.request_schema import RESTORE_DISKS
from domain.warning_codes import WarningCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from domain.azure.disks import Disk
    from domain.azure.jobs import Job, JobResult
    from domain.errors import Json
    from domain.restore.state import Restore


def with_result(restore: Restore, job: Job, disks: Sequence[Disk] | None) -> tuple[Restore, Json]:
    """Return the restore with the warnings that belong to its result, and the result itself.

    ``disks`` are the managed disks that the job created, ``None`` if none were listed.
    """
    named = job.result()
    shown = None if disks is None else tuple(map(RestoredDisk.of, disks))
    result = replace(named, disks=shown)
    if job.status.is_good:
        made: str | None = restore.request.body.get("targetVirtualMachineId")
        result = replace(result, target_virtual_machine_id=made, **_missing_targets(restore, named))
        if (message := _message_of_incomplete(restore, job, named)) is not None:
            restore = restore.with_warning(WarningCode.RESULT_INCOMPLETE, message)
    if result.encryption_info_blob_name is not None:
        restore = restore.with_warning(WarningCode.ENCRYPTION_KEYS_SAVED, _message_of_keys(job, result))
    return restore, as_json(result)


def source_machine(restore: Restore) -> ResourceId | None:
    """Return the id of the backed-up VM, or ``None`` if it is not known."""
    try:
        return ResourceId.parse(restore.prepared.item.source_resource_id if restore.prepared else "", VIRTUAL_MACHINE)
    except ValueError:
        return None


def _missing_targets(restore: Restore, named: JobResult) -> dict[str, Any]:
    """Return the members that the job does not name and the request knows, by their names in ``JobResult``."""
    body = restore.request.body
    targets: dict[str, str | None] = {
        "target_storage_account_name": _last_segment(staging_account_id(restore.request)),
        "target_resource_group": _last_segment(body.get("targetResourceGroupId")),
        "target_virtual_machine_name": _last_segment(body.get("targetVirtualMachineId")),
    }
    if restore.request.is_in_place and (machine := source_machine(restore)) is not None:
        targets |= {"target_resource_group": machine.resource_group, "target_virtual_machine_name": machine.name}
    return {name: value for name, value in targets.items() if value is not None and getattr(named, name) is None}


def _last_segment(resource_id: str | None) -> str | None:
    return None if resource_id is None else resource_id.rstrip("/").rpartition("/")[2]


def _message_of_incomplete(restore: Restore, job: Job, named: JobResult) -> str | None:
    """Return what the job should name and does not, or ``None`` if it names all."""
    filled = [camel_case(name) for name in _missing_targets(restore, named)]
    lacks_blob = restore.request.recovery_type == RESTORE_DISKS and named.config_blob_uri is None
    sentences: list[str] = []
    if filled:
        names = ", ".join(filled)
        sentences.append(f"These members of the result are from the request, and not from Azure Backup: {names}.")
    if lacks_blob:
        sentences.append("configBlobUri is not known: look for it in the staging account.")
    if not sentences:
        return None
    lacking = f"Azure Backup job {job.job_id} has completed, but it does not name all that it made."
    return " ".join([lacking, *sentences, "Check that the disks are there before you rely on them."])


def _message_of_keys(job: Job, result: JobResult) -> str:
    """Return what a person must do with the keys. Source: Microsoft's documentation of restoring the keys of VMs."""
    container = f"container {job.named('config blob container name') or 'of configBlobUri'}"
    account = f"storage account {result.target_storage_account_name or 'for staging'}"
    saved = (
        f"Azure Backup saved the keys of the disks in blob {result.encryption_info_blob_name}, {container}, {account}."
    )
    if job.has_secured_keys:
        return (
            f"{saved} If the key of the confidential VM is no longer in its Key Vault or managed HSM, put it back "
            "(KeyBackupData, with Restore-AzKeyVaultKey), make a disk encryption set with it, and name that in "
            "securedVMDetails when you restore again."
        )
    return (
        f"{saved} If they are no longer in the Key Vault, put them back before you make a VM from the disks: the key "
        "(KeyBackupData) with Restore-AzKeyVaultKey, the secret (SecretData) with Set-AzKeyVaultSecret."
    )
