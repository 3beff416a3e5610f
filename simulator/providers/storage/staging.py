"""The blobs that restore jobs leave in their staging account: how the VM was configured, a template, disks, keys."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from simulator.providers.resources.restored_vm_template import restored_vm_template

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from simulator.providers.backup.jobs import Job
    from simulator.scenario import StorageAccount, Vm
    from simulator.world import World

_PAGE, _CONFIG_SIZE, _VHD_FOOTER, _GB = 512, 5120, 512, 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A blob; the content of a disk is not kept."""

    name: str
    kind: str
    created: datetime
    size: int
    content: bytes | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def etag(self) -> str:
        """The ETag, which depends on the name and the content."""
        content = self.content or b""
        return f'"0x8D{hashlib.sha256(self.name.encode() + content).hexdigest()[:13].upper()}"'


def jobs_with_blobs(world: World, account: StorageAccount) -> dict[str, Job]:
    """Return the jobs that have left blobs in an account, by their container."""
    now = world.now()
    return {
        job.blob_container: job
        for job in world.jobs.values()
        if job.target.account.lower() == account.name.lower()
        and job.profile.leaves_blobs
        and job.status(now) in {"Completed", "CompletedWithWarnings"}
    }


def blobs_of(world: World, job: Job) -> dict[str, Blob]:
    """Return the blobs that a job has left, by name in order."""
    vm = world.vm_with_key(job.vm_key)
    disks = _disk_sizes_gb(job, vm)
    config = _config(job, vm)
    blobs = [
        _blob(job, job.config_blob, "PageBlob", config, {"configblobsize": str(len(config))}),
        _blob(job, job.template_blob, "BlockBlob", _json(_template(job, vm))),
    ]
    if job.keys_blob:
        blobs.append(_blob(job, job.keys_blob, "BlockBlob", _json(_keys(vm))))
    if not job.makes_managed_disks:
        for lun, size_gb in disks.items():
            size = int(size_gb) * _GB + _VHD_FOOTER
            blobs.append(Blob(name=f"{job.disk_name(lun)}.vhd", kind="PageBlob", created=job.ends_at(), size=size))
    return {blob.name: _as_written(world, job, blob) for blob in sorted(blobs, key=lambda blob: blob.name)}


def _as_written(world: World, job: Job, blob: Blob) -> Blob:
    content = world.overwritten_blobs.get((job.target.account.lower(), blob.name))
    return blob if content is None else replace(blob, content=content, size=len(content))


def _blob(job: Job, name: str, kind: str, content: bytes, metadata: Mapping[str, str] | None = None) -> Blob:
    return Blob(
        name=name, kind=kind, created=job.ends_at(), size=len(content), content=content, metadata=metadata or {}
    )


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=2).encode()


def _disk_sizes_gb(job: Job, vm: Vm) -> dict[int, float]:
    """Return the sizes of the restored disks by LUN; the OS disk counts as LUN -1."""
    return {-1: vm.disk_gb, **{disk.lun: disk.size_gb for disk in vm.data_disks if disk.lun in job.data_luns}}


def _place(job: Job, lun: int) -> dict[str, Any]:
    """Return where a restored disk is: a managed disk, or a blob of the same name (a guess)."""
    name = job.disk_name(lun)
    if job.makes_managed_disks:
        return {"managedDisk": {"id": f"{job.target.group_id}/providers/Microsoft.Compute/disks/{name}"}}
    return {"vhd": {"uri": f"https://{job.target.account}.blob.core.windows.net/{job.blob_container}/{name}.vhd"}}


def _config(job: Job, vm: Vm) -> bytes:
    """Write the configuration of the VM as UTF-16, padded with NULs to whole pages, at least to the recorded size."""
    disks = {lun: {"name": job.disk_name(lun), **_place(job, lun)} for lun in _disk_sizes_gb(job, vm)}
    os_disk = {"osType": vm.os_type, "createOption": "FromImage", **disks.pop(-1)}
    config = {
        "name": vm.name,
        "id": vm.resource_id,
        "type": vm.TYPE,
        "location": vm.location,
        "tags": dict(vm.tags),
        "properties.hardwareProfile": {"vmSize": vm.hardware.size},
        "properties.storageProfile": {
            "osDisk": os_disk,
            "dataDisks": [{"lun": lun, "createOption": "Attach", **disk} for lun, disk in disks.items()],
        },
    }
    text = json.dumps(config, separators=(",", ":")).encode("utf-16-le")
    return text.ljust(max(_CONFIG_SIZE, -(-len(text) // _PAGE) * _PAGE), b"\0")


def _template(job: Job, vm: Vm) -> dict[str, Any]:
    luns = [lun for lun in _disk_sizes_gb(job, vm) if lun >= 0]
    zones = (vm.hardware.zone,) if job.target.zones is None else job.target.zones
    template = restored_vm_template(
        location=job.region or vm.location,
        vm_size=vm.hardware.size,
        os_type=vm.os_type,
        disks_group=job.target.resource_group,
        os_disk=job.disk_name(-1),
        data_disks=[(lun, job.disk_name(lun)) for lun in luns],
        zone=next(iter(zones), None) or None,
    )
    if not job.makes_managed_disks:
        profile = template["resources"][-1]["properties"]["storageProfile"]
        for lun, disk in zip((-1, *luns), (profile["osDisk"], *profile["dataDisks"]), strict=True):
            del disk["managedDisk"]
            disk.update(_place(job, lun))
    return template


def _keys(vm: Vm) -> dict[str, Any]:
    """Write the keys of the OS disk, with the members that Azure's documentation reads."""
    key_vault = f"https://{vm.name.lower()}-kv.vault.azure.net"
    return {
        "OsDiskKeyAndSecretDetails": {
            "KeyUrl": f"{key_vault}/keys/kek/1",
            "KeyBackupData": "a2VrLWJhY2t1cA==",
            "SecretUrl": f"{key_vault}/secrets/bek/1",
            "SecretData": "YmVr",
        },
        "DataDiskKeyAndSecretDetails": None,
    }
