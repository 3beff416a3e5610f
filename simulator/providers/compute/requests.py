"""What is checked of a write before anything else: the condition, the form of the body, and what cannot change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from uuid import NAMESPACE_URL, uuid5

from simulator.providers.compute.errors import change_not_allowed, compute_error, invalid_parameter
from simulator.tenant import TENANT_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulator.calls import Call

_DISK: dict[str, Any] = {"name": str, "createOption": str, "diskSizeGB": int, "managedDisk": {"id": str}}
FIRST_WITH_ETAGS = "2023-09-01"
"""The api-version in whose specification VMs have etags and writes of VMs conditions."""
_ANY = "*"  # stands for any member
TAGS: dict[str, Any] = {"tags": {_ANY: str}}
VIRTUAL_MACHINE: dict[str, Any] = {
    **TAGS,
    "location": str,
    "zones": [str],
    "identity": {"type": str, "userAssignedIdentities": {}},
    "properties": {
        "hardwareProfile": {"vmSize": str},
        "securityProfile": {"securityType": str},
        "availabilitySet": {"id": str},
        "osProfile": {},
        "storageProfile": {"osDisk": _DISK, "dataDisks": [{**_DISK, "lun": int, "toBeDetached": bool}]},
        "networkProfile": {"networkInterfaces": [{"id": str}]},
    },
}
ATTACHMENTS: dict[str, Any] = {
    "dataDisksToAttach": [{"diskId": str, "lun": int}],
    "dataDisksToDetach": [{"diskId": str}],
}
RUN_COMMAND: dict[str, Any] = {
    **TAGS,
    "properties": {
        "source": {"script": str, "scriptUri": str, "commandId": str},
        "parameters": [{"name": str, "value": str}],
        "asyncExecution": bool,
        "timeoutInSeconds": int,
    },
}


def check_condition(call: Call, present: Mapping[str, Any] | None) -> None:
    """Raise 412 where the VM is not in the state that ``If-Match`` or ``If-None-Match`` asks for.

    Versions from before VMs had etags ignore both.
    """
    if call.api_version < FIRST_WITH_ETAGS:
        return
    wanted, etag = call.headers.get("if-match", ""), present["etag"] if present else ""
    if wanted not in {"", "*", etag}:
        raise _failed(f"Etag provided in if-match header {wanted} does not match etag {etag} of resource.")
    if wanted and not present:
        raise _failed("The resource does not exist.")
    if present and call.headers.get("if-none-match", "") in {"*", etag}:
        raise _failed("The resource already exists.")


def _failed(message: str) -> Exception:
    return compute_error(412, "PreconditionFailed", message)


def check_form(given: Mapping[str, Any], form: Mapping[str, Any]) -> None:
    """Raise 400 for a body that has members of another type than its form says."""
    _check(given, form, "")


def _check(value: Any, form: Any, path: str) -> None:
    kind = dict if isinstance(form, dict) else list if isinstance(form, list) else form
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise invalid_parameter(f"The value of parameter {path} is invalid.", path)
    if isinstance(form, list):
        for each in cast("list[Any]", value):
            _check(each, form[0], path)
    elif isinstance(form, dict):
        forms, members = cast("dict[str, Any]", form), cast("dict[str, Any]", value)
        for name, member in members.items():
            inner = forms.get(name, forms.get(_ANY))
            if inner is not None and member is not None:
                _check(member, inner, f"{path}.{name}".lstrip("."))


def check_fixed(body: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise 409 for a change of what a VM keeps for its life: its region, its zone, its availability set, its names."""
    if str(given.get("location") or body["location"]).lower() != body["location"].lower():
        raise change_not_allowed("location")
    if given.get("zones") is not None and given["zones"] != body.get("zones", []):
        raise change_not_allowed("zones")
    properties: Mapping[str, Any] = given.get("properties") or {}
    for group, name in (("availabilitySet", "id"), ("osProfile", "computerName"), ("osProfile", "adminUsername")):
        wanted = str((properties.get(group) or {}).get(name) or "")
        present = str((body["properties"].get(group) or {}).get(name) or "")
        if wanted and wanted.lower() != present.lower():
            raise change_not_allowed(f"{group}.{name}")


def identity_after(vm_id: str, present: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the identity of a VM after a change: a user-assigned one is added, or removed where it is null."""
    kind = str(given.get("type", "None"))
    wanted = {**(present.get("userAssignedIdentities") or {}), **(given.get("userAssignedIdentities") or {})}
    identity: dict[str, Any] = {"type": kind}
    if "SystemAssigned" in kind:
        identity |= {"principalId": _id(vm_id, "principal"), "tenantId": TENANT_ID}
    if "UserAssigned" in kind:
        identity["userAssignedIdentities"] = {
            name: {"principalId": _id(name, "principal"), "clientId": _id(name, "client")}
            for name, value in wanted.items()
            if value is not None
        }
    return identity


def _id(resource_id: str, kind: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"{resource_id.lower()} {kind}"))
