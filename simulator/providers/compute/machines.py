"""How virtual machines are created, changed and deleted, without the HTTP part."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from simulator.errors import resource_not_found
from simulator.providers.compute.attachments import Attachments, disk_ids, release, settle_disks
from simulator.providers.compute.bodies import VM_TYPE
from simulator.providers.compute.changes import change, change_vm
from simulator.providers.compute.errors import (
    bad_request,
    busy,
    compute_error,
    invalid_parameter,
    marked_for_deletion,
)
from simulator.providers.compute.former import keep_former
from simulator.providers.compute.hardware import SIZES
from simulator.providers.compute.operations import begin, preempt
from simulator.providers.compute.requests import VIRTUAL_MACHINE, check_fixed, check_form, identity_after
from simulator.providers.compute.state import RUNNING, STARTING, STOPPED, Machine, Work
from simulator.providers.compute.times import offset_time
from simulator.providers.network.interfaces import vm_of_interface
from simulator.providers.resources.groups import check_placement

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from simulator.errors import ArmError
    from simulator.providers.compute.state import ComputeOperation
    from simulator.world import World

CREATE_S, UPDATE_S, ATTACH_S, DELETE_S, _AGENT_S = 30.0, 2.3, 10.5, 26.0, 15.0
DELETING = "Deleting"
_REPLACED = ("hardwareProfile", "securityProfile", "diagnosticsProfile", "licenseType", "userData")


def find_vm(world: World, vm_id: str) -> Mapping[str, Any]:
    """Return the VM of an id; raise 404 where there is none."""
    body = world.store.get(vm_id)
    if body is None:
        raise vm_not_found(vm_id)
    return body


def vm_not_found(vm_id: str) -> ArmError:
    """404 for a VM that is not there."""
    return resource_not_found(f"{VM_TYPE}/{vm_id.rpartition('/')[2]}", vm_id.split("/")[4])


def agent_s(world: World, vm_id: str) -> float:
    """Return how long after a VM has started its agent reports."""
    own = world.faults_at(vm_id).faults.compute.agent_s
    return _AGENT_S if own is None else own


def check_writable(body: Mapping[str, Any]) -> None:
    """Raise 409 for a VM that is being deleted."""
    if body["properties"]["provisioningState"] == DELETING:
        raise marked_for_deletion(body["name"])


def check_idle(world: World, body: Mapping[str, Any]) -> None:
    """Raise 409 for a VM or a disk on which another operation runs."""
    if body["id"].lower() in world.compute.underway:
        raise busy()


def begin_change(world: World, body: Mapping[str, Any], work: Work) -> ComputeOperation:
    """Begin an operation on a VM, with the provisioning states and etags that it causes, and return it."""
    vm_id, machine = body["id"], world.compute.machines[body["id"].lower()]

    def show(state: str) -> None:
        change_vm(world, vm_id, {"provisioningState": state})

    def succeed(moment: datetime) -> Any:
        result = work.finish(moment)
        machine.changed, machine.failure = moment, None
        show("Succeeded")
        return result

    def fail(moment: datetime) -> None:
        work.undo(moment)
        machine.changed, machine.failure = moment, operation.failure
        show("Failed")

    operation = begin(world, body, replace(work, finish=succeed, undo=fail))
    show("Updating")
    return operation


def update(
    world: World,
    body: Mapping[str, Any],
    given: Mapping[str, Any],
    action: str,
    *,
    is_foreign: bool = False,
    replaces: bool = False,
) -> ComputeOperation:
    """Change a VM as a PATCH says: what is not named stays, and lists are replaced as a whole.

    With ``replaces``, or the fault of this name, another disk may come to a LUN while the former one is detached.

    If that fails in the end, the model stays as it was asked for, the VM keeps both its former and its new disks, and
    its next operation that succeeds settles them (azuredisk-csi-driver#780); a fault may leave the former model.
    """
    check_form(given, VIRTUAL_MACHINE)
    check_writable(body)
    check_idle(world, body)
    replaces |= world.faults_at(body["id"]).faults.compute.replaces_disks
    wanted, vm_id = _merged(world, body, given, replaces=replaces), body["id"]
    former, profile = body["properties"], wanted["storageProfile"]
    former_disks, disks = disk_ids(former["storageProfile"]), disk_ids(profile)
    machine = world.compute.machines[vm_id.lower()]
    moves_disks = disks != former_disks and machine.power == RUNNING

    def finish(_moment: datetime) -> dict[str, Any]:
        change(world, vm_id, {"storageProfile": profile})
        settle_disks(world, find_vm(world, vm_id), former_disks)
        return profile

    def undo(_moment: datetime) -> None:
        if operation.failure and operation.failure.leaves == "asked":
            machine.held = (machine.held | former_disks) - disks
            return
        world.store.put({**body, "etag": find_vm(world, vm_id)["etag"]})
        for disk_id in disks - former_disks:
            release(world, disk_id)

    seconds = ATTACH_S if moves_disks else UPDATE_S
    work = Work(action=action, seconds=seconds, finish=finish, undo=undo, is_foreign=is_foreign)
    operation = begin_change(world, body, work)
    beside = {"tags": dict(given["tags"])} if given.get("tags") is not None else {}
    if given.get("identity") is not None:
        beside["identity"] = identity_after(vm_id, body.get("identity") or {}, given["identity"])
    change(
        world, vm_id, {**wanted, "storageProfile": _with_detaching_disks(former["storageProfile"], profile)}, **beside
    )
    for disk_id in disks - former_disks:
        change(world, disk_id, managedBy=vm_id)
    return operation


def _with_detaching_disks(former: Mapping[str, Any], profile: Mapping[str, Any]) -> dict[str, Any]:
    """Return a new storage profile in which the data disks that are being detached are still listed."""
    taken, disks = {entry["lun"] for entry in profile["dataDisks"]}, disk_ids(profile)
    detaching = [
        {**entry, "toBeDetached": True}
        for entry in former["dataDisks"]
        if entry["managedDisk"]["id"].lower() not in disks and entry["lun"] not in taken
    ]
    return {**profile, "dataDisks": [*profile["dataDisks"], *detaching]}


def _merged(world: World, body: Mapping[str, Any], given: Mapping[str, Any], *, replaces: bool) -> dict[str, Any]:
    """Return the properties that an update changes, checked."""
    check_fixed(body, given)
    properties: Mapping[str, Any] = given.get("properties") or {}
    changed = {name: properties[name] for name in _REPLACED if properties.get(name) is not None}
    candidate = {**body, "properties": {**body["properties"], **changed}}
    _check_size(candidate)
    attachments = Attachments(world, candidate, replaces=replaces)
    changed["storageProfile"] = attachments.changed_profile(properties.get("storageProfile") or {})
    if "networkProfile" in properties:
        changed["networkProfile"] = _network_profile(world, body, properties["networkProfile"] or {})
    return changed


def _check_size(body: Mapping[str, Any]) -> None:
    size = (body["properties"].get("hardwareProfile") or {}).get("vmSize")
    if size not in SIZES:
        message = f"The value {size} provided for the VM size is not valid. The valid sizes in the current region are: "
        raise invalid_parameter(message + ",".join(sorted(SIZES)), "vmSize")


def _network_profile(world: World, body: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the checked network profile: each NIC is there, in the region of the VM, and is no other VM's."""
    interfaces, vm_id = list[dict[str, Any]](given.get("networkInterfaces") or []), body["id"]
    for entry in interfaces:
        nic_id = str(entry.get("id"))
        nic = world.store.get(nic_id)
        if nic is None or nic["location"].lower() != body["location"].lower():
            raise compute_error(
                400,
                "InvalidResourceReference",
                f"Resource {nic_id} referenced by resource {vm_id} was not found. Please make sure that the referenced "
                "resource exists, and that both resources are in the same region.",
            )
        owner = vm_of_interface(world, nic_id)
        if owner and owner.lower() != vm_id.lower():
            raise compute_error(
                400,
                "NicInUse",
                f"Network Interface {nic_id} is used by existing resource {owner}. In order to delete the network "
                "interface, it must be dissociated from the resource. To learn more, see aka.ms/deletenic.",
            )
    if not interfaces:
        raise invalid_parameter("Virtual Machine must have at least one network interface.", "networkProfile")
    return {"networkInterfaces": interfaces}


def put_virtual_machine(world: World, vm_id: str, given: Mapping[str, Any]) -> ComputeOperation:
    """Create a VM from disks, or change the present one to what is given; raise where Azure refuses."""
    check_form(given, VIRTUAL_MACHINE)
    body = world.store.get(vm_id)
    if body:
        storage = {"dataDisks": [], **((given.get("properties") or {}).get("storageProfile") or {})}
        properties = {**(given.get("properties") or {}), "storageProfile": storage}
        return update(world, body, {"tags": {}, **given, "properties": properties}, "put_vm")
    return _create(world, vm_id, given)


def _create(world: World, vm_id: str, given: Mapping[str, Any]) -> ComputeOperation:
    properties: Mapping[str, Any] = given.get("properties") or {}
    if given.get("zones") and properties.get("availabilitySet"):
        raise bad_request(
            "Virtual Machine cannot be created because both Availability Zone and Availability Set were specified. "
            "Deploying an Availability Set to an Availability Zone isn't supported."
        )
    if properties.get("osProfile"):
        raise invalid_parameter("Parameter 'osProfile' is not allowed.", "osProfile")
    check_placement(world, vm_id, given)
    now = world.now()
    body: dict[str, Any] = {
        "name": vm_id.rpartition("/")[2],
        "id": vm_id,
        "type": VM_TYPE,
        "location": given["location"],
        **({"tags": dict(given["tags"])} if given.get("tags") is not None else {}),
        **({"zones": list(given["zones"])} if given.get("zones") else {}),
        **({"identity": identity_after(vm_id, {}, given["identity"])} if given.get("identity") else {}),
        "properties": {
            **{name: deepcopy(properties[name]) for name in _KEPT if properties.get(name) is not None},
            "provisioningState": "Creating",
            "vmId": str(uuid5(NAMESPACE_URL, f"{vm_id.lower()} {now}")),
            "storageProfile": {},
            "timeCreated": offset_time(now),
        },
        "etag": '"0"',
    }
    _check_size(body)
    body["properties"]["networkProfile"] = _network_profile(world, body, properties.get("networkProfile") or {})
    body["properties"]["storageProfile"] = Attachments(world, body).new_profile(properties.get("storageProfile") or {})
    return _begin_creation(world, body)


_KEPT = ("hardwareProfile", "securityProfile", "diagnosticsProfile", "licenseType", "availabilitySet", "userData")


def _begin_creation(world: World, body: Mapping[str, Any]) -> ComputeOperation:
    world.store.put(body)
    machine = Machine(power=STARTING, changed=world.now())
    world.compute.machines[body["id"].lower()] = machine
    keep_former(world, body["id"], is_new=True)

    def finish(moment: datetime) -> None:
        machine.set_power(RUNNING, moment, moment + timedelta(seconds=agent_s(world, body["id"])))

    def undo(moment: datetime) -> None:
        machine.set_power(STOPPED, moment)

    try:
        operation = begin_change(world, body, Work(action="put_vm", seconds=CREATE_S, finish=finish, undo=undo))
    except Exception:
        world.store.remove(body["id"])
        raise
    change(world, body["id"], {"provisioningState": "Creating"})
    settle_disks(world, body)
    return operation


def delete(world: World, body: Mapping[str, Any]) -> ComputeOperation:
    """Delete a VM: its disks and NICs stay, but for those whose ``deleteOption`` is ``Delete``."""
    vm_id = body["id"]
    preempt(world, vm_id)

    def finish(_moment: datetime) -> None:
        properties = find_vm(world, vm_id)["properties"]
        world.store.remove(vm_id)
        _release_attachments(world, properties)
        for disk_id in world.compute.machines[vm_id.lower()].held:
            release(world, disk_id)

    def undo(_moment: datetime) -> None:
        change_vm(world, vm_id, {"provisioningState": "Failed"})

    operation = begin(world, body, Work(action="delete_vm", seconds=DELETE_S, finish=finish, undo=undo))
    change_vm(world, vm_id, {"provisioningState": DELETING})
    return operation


def _release_attachments(world: World, properties: Mapping[str, Any]) -> None:
    """Delete or release the disks and NICs of a deleted VM, as their ``deleteOption`` says."""
    profile = properties["storageProfile"]
    for entry in (profile["osDisk"], *profile["dataDisks"]):
        if "managedDisk" not in entry:
            continue
        if entry.get("deleteOption") == "Delete":
            world.store.remove(entry["managedDisk"]["id"])
        else:
            release(world, entry["managedDisk"]["id"])
    for entry in properties["networkProfile"]["networkInterfaces"]:
        if entry.get("properties", {}).get("deleteOption") == "Delete":
            world.store.remove(entry["id"])
