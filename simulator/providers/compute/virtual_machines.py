"""The calls for virtual machines, but for turning them on and off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from simulator.calls import Answer, Call, page
from simulator.providers.compute.attachments import free_lun
from simulator.providers.compute.bodies import VM_TYPE
from simulator.providers.compute.errors import compute_error, not_allowed
from simulator.providers.compute.former import as_seen
from simulator.providers.compute.hardware import SIZES
from simulator.providers.compute.instance_view import instance_view
from simulator.providers.compute.limits import spend
from simulator.providers.compute.machines import delete, find_vm, put_virtual_machine, update, vm_not_found
from simulator.providers.compute.operations import operation_headers
from simulator.providers.compute.requests import ATTACHMENTS, FIRST_WITH_ETAGS, check_condition, check_form
from simulator.providers.compute.state import DEALLOCATED
from simulator.providers.resources.groups import scope_of

if TYPE_CHECKING:
    from simulator.providers.compute.state import Machine
    from simulator.world import World


def list_vms(world: World, call: Call) -> Answer:
    """Answer the VMs of a resource group, or of the subscription."""
    vms = world.store.of_type(VM_TYPE, scope_of(world, call))
    return Answer(body=page(call, vms, world.scenario.settings.page_vms, lambda vm: _as_it_is(world, call, vm)))


def get_vm(world: World, call: Call) -> Answer:
    """Answer a VM, with ``$expand=instanceView`` also as it is at the moment."""
    found = find_vm(world, call.path)
    headers = spend(world, "LowCostGet", found["id"])
    seen = as_seen(world, found)
    if seen.body is None:
        raise vm_not_found(call.path)
    body = _shown(call, seen.body, seen.machine)
    if "etag" in body:
        headers["etag"] = body["etag"]
    if call.query.get("$expand", "").lower() == "instanceview":
        view = instance_view(world, body, seen.machine, seen.until)
        body = {**body, "properties": {**body["properties"], "instanceView": view}}
    return Answer(body=body, headers=headers)


def _as_it_is(world: World, call: Call, body: Mapping[str, Any]) -> dict[str, Any]:
    return _shown(call, body, world.compute.machines[body["id"].lower()])


def _shown(call: Call, body: Mapping[str, Any], machine: Machine) -> dict[str, Any]:
    """Write a VM as it is answered: without the sizes and kinds of its disks while it is deallocated.

    They may be changed then, and are read again when the VM starts. Old versions do not show etags.
    """
    if call.api_version < FIRST_WITH_ETAGS:
        body = {name: value for name, value in body.items() if name != "etag"}
    if machine.power != DEALLOCATED:
        return dict(body)
    profile = body["properties"]["storageProfile"]
    disks = {"osDisk": _bare(profile["osDisk"]), "dataDisks": [_bare(entry) for entry in profile["dataDisks"]]}
    return {**body, "properties": {**body["properties"], "storageProfile": {**profile, **disks}}}


def _bare(entry: Mapping[str, Any]) -> dict[str, Any]:
    disk = {name: value for name, value in entry.items() if name != "diskSizeGB"}
    return {**disk, "managedDisk": {"id": entry["managedDisk"]["id"]}} if "managedDisk" in entry else disk


def get_instance_view(world: World, call: Call) -> Answer:
    """Answer how a VM is at the moment."""
    found = find_vm(world, call.path.rpartition("/")[0])
    headers, seen = spend(world, "LowCostGet", found["id"]), as_seen(world, found)
    if seen.body is None:
        raise vm_not_found(found["id"])
    return Answer(body=instance_view(world, seen.body, seen.machine, seen.until), headers=headers)


def put_vm(world: World, call: Call) -> Answer:
    """Create a VM from disks, or replace what is said of it."""
    present = world.store.get(call.path)
    headers = spend(world, "PutVM", call.path)
    check_condition(call, present)
    operation = put_virtual_machine(world, call.path, object_body(call))
    status = 200 if present else 201
    return Answer(
        status=status,
        body=_as_it_is(world, call, find_vm(world, call.path)),
        headers={**headers, **operation_headers(world, call, operation, location=False)},
    )


def patch_vm(world: World, call: Call) -> Answer:
    """Change a VM; a list of data disks replaces the present one."""
    body = find_vm(world, call.path)
    headers = spend(world, "UpdateVM", body["id"])
    check_condition(call, body)
    operation = update(world, body, object_body(call), "patch_vm")
    answered = {**headers, **operation_headers(world, call, operation, location=False)}
    return Answer(body=_as_it_is(world, call, find_vm(world, call.path)), headers=answered)


def delete_vm(world: World, call: Call) -> Answer:
    """Delete a VM; 204 if there is none."""
    headers = spend(world, "DeleteVM", call.path)
    body = world.store.get(call.path)
    if body is None:
        return Answer(status=204, headers=headers)
    operation = delete(world, body)
    return Answer(status=202, headers={**headers, **operation_headers(world, call, operation, location=True)})


def attach_detach_data_disks(world: World, call: Call) -> Answer:
    """Attach and detach data disks, whether the VM runs or not; the result is the storage profile."""
    body = find_vm(world, call.path.rpartition("/")[0])
    headers = spend(world, "UpdateVM", body["id"])
    given = object_body(call)
    check_form(given, ATTACHMENTS)
    leaving = {str(each.get("diskId")).lower() for each in _objects(given, "dataDisksToDetach")}
    stay = [
        entry
        for entry in body["properties"]["storageProfile"]["dataDisks"]
        if entry["managedDisk"]["id"].lower() not in leaving
    ]
    missing = leaving - {
        entry["managedDisk"]["id"].lower() for entry in body["properties"]["storageProfile"]["dataDisks"]
    }
    if missing:
        raise not_allowed(f"Disk {min(missing)} is not attached to VM {body['id']}.")
    wanted = [*stay]
    for wish in _objects(given, "dataDisksToAttach"):
        wanted.append(_entry(wish, wanted))
    profile = {"properties": {"storageProfile": {"dataDisks": wanted}}}
    operation = update(world, body, profile, "attach_detach_data_disks", replaces=True)
    return Answer(status=202, headers={**headers, **operation_headers(world, call, operation, location=True)})


def _entry(wish: Mapping[str, Any], others: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a disk to attach as the storage profile has it, at the lowest free LUN if none is named."""
    lun = wish["lun"] if wish.get("lun") is not None else free_lun({entry["lun"] for entry in others})
    entry = {"lun": lun, "createOption": "Attach", "managedDisk": {"id": wish.get("diskId")}}
    return {**entry, **{name: wish[name] for name in ("caching", "deleteOption") if wish.get(name)}}


def _objects(given: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return cast("list[Mapping[str, Any]]", given.get(name) or [])


def list_sizes(_world: World, _call: Call) -> Answer:
    """Answer the sizes of a region, or those to which a VM can be changed: the same everywhere."""
    return Answer(body={"value": [size.body(name) for name, size in SIZES.items()]})


def retrieve_boot_diagnostics(world: World, call: Call) -> Answer:
    """Answer where the screenshot and the serial log of a VM can be read; there is nothing to read there."""
    body = find_vm(world, call.path.rpartition("/")[0])
    headers = spend(world, "UpdateVM", body["id"])
    place = f"https://md-{world.random.randbytes(6).hex()}.z1.blob.storage.azure.net/bootdiagnostics/{body['name']}"
    uris = {"consoleScreenshotBlobUri": f"{place}.bmp?sig=s", "serialConsoleLogBlobUri": f"{place}.log?sig=s"}
    return Answer(body=uris, headers=headers)


def object_body(call: Call) -> Mapping[str, Any]:
    """Return the body of a call; raise 400 for one that is no object."""
    if not isinstance(call.body, Mapping):
        raise compute_error(400, "InvalidRequestContent", "The request content was invalid: an object is expected.")
    return cast("Mapping[str, Any]", call.body)
