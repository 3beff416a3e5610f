"""A new VM of restored disks: by the template that the job wrote, or by our own PUTs of an interface and of the VM.

A pure state machine. As in a swap, every decision comes from a reading: of the deployment, of the interface, of the VM.
So each step may be made twice, and the worker may die at any moment. Nothing is taken back: what was made is listed,
and a person decides what becomes of it. What exists already, and was not made by this restore, is never changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final

from domain import errors
from domain.azure.deployments import MadeResource
from domain.azure.disks import Disk
from domain.azure.machine_busy import is_machine_busy, is_of_guest
from domain.azure.resource_ids import same_id
from domain.azure.virtual_machines import VirtualMachine
from domain.errors import ErrorDetail, Json, RestoreError, RestoreWarning, TerminalError, TransientError
from domain.follow_up.calls import (
    ChangeAccepted,
    ChangeStatus,
    DeallocateVirtualMachine,
    FoundDisks,
    GetComputeOperation,
    GetDisks,
    GetVirtualMachine,
    StartVirtualMachine,
)
from domain.follow_up.creation_calls import (
    EXISTS_ALREADY,
    NOTHING_SENT,
    Deployed,
    DeployTemplate,
    DiskPlace,
    FoundDeployment,
    FoundResource,
    GetDeployment,
    GetNetworkInterface,
    PutNetworkInterface,
    PutVirtualMachine,
)
from domain.follow_up.patience import (
    MAX_TIME,
    UNSHOWN,
    Trouble,
    is_hopeless,
    look_s,
    with_trouble,
    without_trouble,
)
from domain.warning_codes import WarningCode

if TYPE_CHECKING:
    from domain.restore.calls import ActivityCall

_RUNNING, _DEALLOCATED = "running", "deallocated"
_CONFIDENTIAL: Final = "confidentialvm"
_LOOKS: Final = (GetDisks, GetDeployment, GetNetworkInterface, GetVirtualMachine, GetComputeOperation)
"""The calls that change nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateSource:
    """Where the job's template is: the staging account of the request, and the address that the job says."""

    account: str
    uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSettings:
    """What the app gives a VM that it makes without the template; see ``thenCreateVirtualMachine``."""

    size: str
    zone: str | None = None
    private_ip_address: str | None = None
    network_security_group_id: str | None = None
    availability_set_id: str | None = None
    license_type: str | None = None
    user_assigned_identity_ids: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A change of the VM that Azure has accepted at the time ``at``, and the VM does not show yet.

    ``url`` is the address of its operation. ``in_doubt``: the VM neither changes nor has changed, so the operation is
    asked.
    """

    change: str
    at: datetime
    url: str | None = None
    in_doubt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """One new VM. ``template`` or ``own`` says how it is made.

    ``places`` are the data disks. ``os_disk`` is the OS disk as it was read; ``seen`` the last reading of the VM,
    ``is_missing`` if it showed that there is none. ``deployment`` and ``interface`` are the last readings of those.
    What is ``None`` must be read. ``asked`` is what the VM does not show yet, ``waits_since`` since when something is
    being made. ``made`` are the ids of what exists, or may exist. ``refusal`` is why a change is not asked for again;
    all is read before that is believed, because an earlier delivery of the change may have arrived. ``stuck`` is why it
    ended without the VM.
    """

    kind: ClassVar = "creation"
    restore_id: str
    vm_id: str
    subnet_id: str
    os_disk_id: str
    places: tuple[DiskPlace, ...] = ()
    starts: bool = True
    template: TemplateSource | None = None
    own: OwnSettings | None = None
    os_disk: Disk | None = None
    deployment: FoundDeployment | None = None
    is_deployed: bool = False
    interface: FoundResource | None = None
    seen: VirtualMachine | None = None
    is_missing: bool = False
    was_there: bool = False
    asked: Asked | None = None
    since: datetime | None = None
    waits_since: datetime | None = None
    running: datetime | None = None
    made: tuple[str, ...] = ()
    troubles: dict[str, Trouble] = field(default_factory=dict[str, Trouble])
    refusal: Json | None = None
    stuck: Json | None = None
    is_cancelled: bool = False
    warnings: tuple[RestoreWarning, ...] = ()

    @property
    def group_id(self) -> str:
        """The resource group of the VM."""
        return "/".join(self.vm_id.split("/")[:5])

    @property
    def interface_id(self) -> str:
        """The id of the interface that the app makes itself."""
        return interface_id_of(self.vm_id)

    @property
    def deployment_name(self) -> str:
        """The name of the deployment: the same each time, so that the template is deployed once."""
        return f"restore-{self.restore_id}"

    @property
    def disk_ids(self) -> tuple[str, ...]:
        """The ids of all disks, the OS disk first."""
        return (self.os_disk_id, *(place.disk_id for place in self.places))

    @property
    def may_go_back(self) -> bool:
        """Whether a person can still stop it: nothing has been made, and nothing is being made at this moment."""
        return not self.made and isinstance(next_call(self), _LOOKS)

    @property
    def is_there(self) -> bool:
        """Whether the VM is as it was asked for."""
        vm = self.seen
        wanted = _RUNNING if self.starts else _DEALLOCATED
        return vm is not None and self.asked is None and not vm.is_changing and vm.power == wanted


def interface_id_of(vm_id: str) -> str:
    """Return the id of the interface that the app makes for a VM, in the VM's resource group."""
    group_id = "/".join(vm_id.split("/")[:5])
    return f"{group_id}/providers/Microsoft.Network/networkInterfaces/{vm_id.rpartition('/')[2]}-nic"


# The next call


def next_call(work: Creation) -> ActivityCall | None:
    """Return the call that brings the VM on, ``None`` at the end. The caller knows when it may be made."""
    if work.stuck is not None or work.is_there:
        return None
    if work.os_disk is None:
        return GetDisks(disk_ids=work.disk_ids)
    if work.template is not None and not work.is_deployed:
        found = work.deployment
        is_new = found is not None and found.deployment is None
        return _deploy(work, work.template) if is_new else _get_deployment(work)
    return _next_of_machine(work, work.os_disk)


def _next_of_machine(work: Creation, os_disk: Disk) -> ActivityCall:
    asked = work.asked
    if asked is not None and asked.in_doubt and asked.url is not None:
        return GetComputeOperation(url=asked.url)
    if work.is_missing and asked is None:
        return _make(work, os_disk)
    if work.seen is None or asked is not None or work.seen.is_changing:
        return GetVirtualMachine(vm_id=work.vm_id)
    power = StartVirtualMachine if work.starts else DeallocateVirtualMachine
    return power(vm_id=work.vm_id)


def _get_deployment(work: Creation) -> GetDeployment:
    return GetDeployment(group_id=work.group_id, deployment=work.deployment_name)


def _deploy(work: Creation, source: TemplateSource) -> DeployTemplate:
    return DeployTemplate(
        restore_id=work.restore_id,
        deployment=work.deployment_name,
        account=source.account,
        template_uri=source.uri,
        vm_id=work.vm_id,
        subnet_id=work.subnet_id,
        os_disk_id=work.os_disk_id,
        disk_ids=work.disk_ids,
    )


def _make(work: Creation, os_disk: Disk) -> ActivityCall:
    """Return the next call for a VM that is not there; with the template it must be there by now."""
    own = work.own
    if own is None:
        return GetVirtualMachine(vm_id=work.vm_id)
    found = work.interface
    if found is None or (found.resource is not None and found.resource.is_changing):
        return GetNetworkInterface(interface_id=work.interface_id)
    if found.resource is None:
        return PutNetworkInterface(
            restore_id=work.restore_id,
            interface_id=work.interface_id,
            location=os_disk.location or "",
            subnet_id=work.subnet_id,
            private_ip_address=own.private_ip_address,
            network_security_group_id=own.network_security_group_id,
            tags=own.tags,
        )
    return PutVirtualMachine(
        restore_id=work.restore_id,
        vm_id=work.vm_id,
        location=os_disk.location or "",
        size=own.size,
        os_disk_id=work.os_disk_id,
        os_type=os_disk.os_type or "",
        interface_id=work.interface_id,
        data_disks=work.places,
        zone=os_disk.zone or own.zone,
        security_type=os_disk.security_type,
        license_type=own.license_type,
        availability_set_id=own.availability_set_id,
        user_assigned_identity_ids=own.user_assigned_identity_ids,
        tags=own.tags,
    )


def polled(work: Creation) -> str:
    """Return the name of the call that is repeated until something shows."""
    call = next_call(work)
    is_other = isinstance(call, GetDeployment | GetNetworkInterface)
    return call.name if call is not None and is_other else GetVirtualMachine.name


def look_again_s(work: Creation, now: datetime) -> float:
    """Return how long to wait before the next look, in seconds; 0 if that must not wait."""
    waits = isinstance(next_call(work), GetVirtualMachine | GetDeployment | GetNetworkInterface)
    return look_s(work.waits_since, now) if waits and work.waits_since is not None else 0.0


# What answers change


def answered(work: Creation, call: ActivityCall, value: Any, now: datetime) -> Creation:
    """Return the work after a call was answered."""
    work = without_trouble(replace(work, since=work.since or now), call.name)
    match call, value:
        case GetDisks(), FoundDisks():
            work = _disks_read(work, value)
        case GetDeployment(), FoundDeployment():
            work = _deployment_read(work, value, now)
        case DeployTemplate(), Deployed():
            work = replace(_with_made(work, *value.resource_ids), deployment=None, waits_since=now)
        case GetNetworkInterface(), FoundResource():
            work = _interface_read(work, value, now)
        case PutNetworkInterface(), ChangeAccepted():
            work = replace(_with_made(work, work.interface_id), interface=None, waits_since=now)
        case GetVirtualMachine(), VirtualMachine():
            work = _machine_read(work, value, now)
        case GetComputeOperation(), ChangeStatus():
            work = _operation_read(work, value)
        case PutVirtualMachine() | StartVirtualMachine() | DeallocateVirtualMachine(), ChangeAccepted():
            work = _accepted(work, call, value, now)
        case _:
            raise TypeError(f"a new VM needs no call {call.name}")
    return _within_time(work, now)


def _with_made(work: Creation, *resource_ids: str) -> Creation:
    new = [resource_id for resource_id in resource_ids if not any(same_id(resource_id, known) for known in work.made)]
    return replace(work, made=(*work.made, *new))


def _without_made(work: Creation, *others: str) -> Creation:
    """Return the work without what a call may have made, but somebody else did, so that nobody deletes that."""
    return replace(work, made=tuple(known for known in work.made if not any(same_id(known, other) for other in others)))


def _disks_read(work: Creation, found: FoundDisks) -> Creation:
    disks = {(disk.disk_id or "").lower(): disk for disk in found.disks}
    missing = [disk_id for disk_id in work.disk_ids if disk_id.lower() not in disks]
    if missing:
        return _stuck(work, errors.NOT_FOUND, f"These disks do not exist any more: {', '.join(missing)}.")
    taken = [disk for disk in found.disks if disk.attached_to and not same_id(disk.attached_to, work.vm_id)]
    if taken:
        return _stuck(work, errors.RESTORE_REFUSED, f"The disk {taken[0].name} is attached to {taken[0].attached_to}.")
    os_disk = disks[work.os_disk_id.lower()]
    problem = None if work.own is None else _problem_of_own_way(work.own, os_disk)
    if problem is not None:
        return _stuck(work, errors.RESTORE_REFUSED, problem)
    return replace(work, os_disk=os_disk)


def _problem_of_own_way(own: OwnSettings, os_disk: Disk) -> str | None:
    """Return why the app cannot make a VM of this OS disk itself, ``None`` if it can."""
    if (os_disk.security_type or "").lower().startswith(_CONFIDENTIAL):
        return "The disks are those of a confidential VM; give template true, which has its settings."
    if os_disk.location is None or os_disk.os_type is None:
        return f"Azure does not say where the disk {os_disk.name} is, or which operating system it has."
    if own.zone is not None and own.zone != os_disk.zone and not os_disk.is_zone_redundant:
        where = "in no zone" if os_disk.zone is None else f"in zone {os_disk.zone}"
        return f"The disks are {where}, and a VM in zone {own.zone} cannot have them."
    return None


def _deployment_read(work: Creation, found: FoundDeployment, now: datetime) -> Creation:
    deployment = found.deployment
    work = replace(work, deployment=found, waits_since=None if deployment is None else work.waits_since or now)
    if deployment is None:
        return work
    if deployment.is_running:
        return _with_made(work, work.vm_id, *deployment.made)
    work = _with_made(work, *deployment.made)
    if deployment.error is None:
        return replace(work, is_deployed=True, waits_since=None)
    failure = RestoreError.from_json(deployment.error)
    message = f"The deployment {work.deployment_name} failed: {failure.message}"
    return _stuck(work, failure.code, message, failure.details)


def _interface_read(work: Creation, found: FoundResource, now: datetime) -> Creation:
    resource = found.resource
    work = replace(work, interface=found, waits_since=None if resource is None else work.waits_since or now)
    if resource is None:
        return work
    if not _is_ours(work, resource):
        return _stuck(_without_made(work, work.interface_id), errors.RESTORE_REFUSED, _others(work.interface_id))
    work = _with_made(work, work.interface_id)
    if resource.has_failed:
        return _stuck(work, errors.RESTORE_REFUSED, f"Azure did not make the interface {work.interface_id}.")
    return work


def _is_ours(work: Creation, resource: MadeResource | VirtualMachine) -> bool:
    return resource.restore_id == work.restore_id


def _others(resource_id: str) -> str:
    return f"{resource_id} exists already, and this restore has not made it, so it is not changed."


def _machine_read(work: Creation, vm: VirtualMachine, now: datetime) -> Creation:
    if not _is_ours(work, vm):
        return _stuck(_without_made(work, work.vm_id), errors.RESTORE_REFUSED, _others(work.vm_id))
    waits_since = work.waits_since or now if vm.is_changing or work.asked is not None else None
    work = replace(_with_made(work, work.vm_id), seen=vm, is_missing=False, was_there=True, waits_since=waits_since)
    if vm.power == _RUNNING and not vm.is_changing and work.running is None:
        work = replace(work, running=now)
    asked = work.asked
    if vm.is_changing:
        return work
    if asked is None:
        return _failed_machine(work) if vm.has_failed and vm.power != _RUNNING else work
    if not vm.has_failed and vm.power == (_DEALLOCATED if asked.change == DeallocateVirtualMachine.name else _RUNNING):
        return replace(work, asked=None, waits_since=None)
    return _in_doubt(work, asked, now)


def _in_doubt(work: Creation, asked: Asked, now: datetime) -> Creation:
    """Return the work whose VM does not show what was asked for: its operation is asked, or it is made again."""
    if asked.url is not None:
        return replace(work, asked=replace(asked, in_doubt=True))
    if now - asked.at < UNSHOWN:
        return work
    if work.seen is not None and work.seen.has_failed:
        failure = work.seen.failure or ""
        return _up_without_guest(work, failure) if _has_power(work) and is_of_guest(failure) else _failed_machine(work)
    error = TransientError(errors.SERVICE_UNAVAILABLE, "Azure accepted the change, but does not show it.")
    return _again(replace(work, asked=None), asked.change, error, now)


def _has_power(work: Creation) -> bool:
    """Return whether the VM runs, or is deallocated, as it was asked to, whatever Azure says of what runs in it."""
    if work.asked is None or work.seen is None or work.seen.is_changing:
        return False
    return work.seen.power == (_DEALLOCATED if work.asked.change == DeallocateVirtualMachine.name else _RUNNING)


def _up_without_guest(work: Creation, failure: str) -> Creation:
    message = f"The VM was made, but its agent or one of its extensions has failed: {failure}"
    warning = RestoreWarning(code=WarningCode.AGENT_NOT_READY, message=message)
    return replace(work, asked=None, waits_since=None, warnings=(*work.warnings, warning))


def _failed_machine(work: Creation) -> Creation:
    why = "does not say why here; its activity log does."
    if work.seen is not None and work.seen.failure is not None:
        why = f"says: {work.seen.failure}"
    message = f"Azure did not bring the VM to its end, and {why}"
    return _stuck(work, errors.RESTORE_FAILED, message)


def _machine_missing(work: Creation, now: datetime) -> Creation:
    """Return the work after a reading that found no VM."""
    if work.was_there:
        return _stuck(work, errors.NOT_FOUND, "Somebody has deleted the VM again.")
    if work.own is None:
        waits_since = work.waits_since or now
        work = replace(work, is_missing=True, waits_since=waits_since)
        late = now - waits_since >= UNSHOWN
        message = "The deployment has succeeded, but there is no such VM."
        return _stuck(work, errors.NOT_FOUND, message) if late else work
    work = replace(work, seen=None, is_missing=True)
    return work if work.asked is None else _in_doubt(work, work.asked, now)


def _accepted(work: Creation, call: ActivityCall, value: ChangeAccepted, now: datetime) -> Creation:
    url = None if value.operation is None else value.operation.url
    asked = Asked(change=call.name, at=now, url=url)
    return replace(_with_made(work, work.vm_id), asked=asked, waits_since=now, seen=None, is_missing=False)


def _operation_read(work: Creation, status: ChangeStatus) -> Creation:
    asked = work.asked
    if asked is None or status.is_running:
        return work if asked is None else replace(work, asked=replace(asked, in_doubt=False))
    if status.error is None and _has_power(work):  # what has failed came after it, such as an extension of a policy
        return replace(work, asked=None, waits_since=None)
    if status.error is None:
        return replace(work, asked=replace(asked, in_doubt=False, url=None))
    failure = RestoreError.from_json(status.error)
    if is_machine_busy(failure.code):  # another operation has ended this one
        return replace(work, asked=None, seen=None)
    if _has_power(work) and is_of_guest(failure.code):
        return _up_without_guest(work, f"{failure.code}: {failure.message}")
    return _stuck(work, failure.code, failure.message, failure.details)


def _within_time(work: Creation, now: datetime) -> Creation:
    call = next_call(work)
    failed_before = call is not None and not isinstance(call, _LOOKS) and call.name in work.troubles
    if failed_before and work.refusal is not None:
        return replace(work, stuck=work.refusal)
    is_over = work.since is not None and now - work.since >= MAX_TIME
    if not is_over or call is None:
        return work
    return _stuck(work, errors.DEADLINE_EXCEEDED, "The VM was not there within two hours.")


def _stuck(work: Creation, code: str, message: str, details: tuple[ErrorDetail, ...] = ()) -> Creation:
    return replace(work, stuck=TerminalError(code, message, details).to_json())


# What failures change


def failed(work: Creation, call: ActivityCall, error: RestoreError, now: datetime) -> Creation:
    """Return the work after a call that failed: to be made again, after another reading, or given up."""
    work = replace(work, since=work.since or now)
    others = [detail.target for detail in error.details if detail.code == EXISTS_ALREADY and detail.target is not None]
    if others:
        return replace(_without_made(work, *others), stuck=error.to_json())
    if error.code == errors.TEMPLATE_REFUSED:  # and there is no deployment, which was looked for just before
        return replace(work, made=(), stuck=error.to_json())
    if isinstance(call, GetVirtualMachine) and error.code == errors.NOT_FOUND:
        return _within_time(_machine_missing(without_trouble(work, call.name), now), now)
    if isinstance(call, GetComputeOperation) and not isinstance(error, TransientError):
        # Azure forgets operations, and the VM itself says enough.
        asked = None if work.asked is None else replace(work.asked, in_doubt=False, url=None)
        return replace(work, asked=asked)
    if isinstance(call, _LOOKS):
        work = with_trouble(work, call.name, error, now)
        is_early = bool(work.made) and now - work.troubles[call.name].since < UNSHOWN
        is_over = not is_early and is_hopeless(work, call.name, error, now)
        return replace(work, stuck=work.refusal or error.to_json()) if is_over else _within_time(work, now)
    return _within_time(_again(work, call.name, error, now), now)


def _again(work: Creation, change: str, error: RestoreError, now: datetime) -> Creation:
    """Return the work after a change that failed: given up, or made again if the next readings say so."""
    work = with_trouble(work, change, error, now)
    is_refused = isinstance(error, TerminalError) or any(detail.code == NOTHING_SENT for detail in error.details)
    if not is_refused:
        work = _with_made(work, {PutNetworkInterface.name: work.interface_id}.get(change, work.vm_id))
    if is_hopeless(work, change, error, now):
        if is_refused and work.troubles[change].failures == 1:
            return replace(work, stuck=error.to_json())
        work = replace(work, refusal=error.to_json())
    # It is not known whether the change was accepted, so all is read again.
    return replace(work, deployment=None, interface=None, seen=None, is_missing=False, waits_since=None)


def cancelled(work: Creation, error: RestoreError, _now: datetime) -> Creation:
    """Return the work ended because a person has cancelled it; see :attr:`Creation.may_go_back`."""
    return replace(work, stuck=error.to_json(), is_cancelled=True)
