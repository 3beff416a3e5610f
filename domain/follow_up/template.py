"""The template by which Azure Backup lets people make a VM of restored disks, checked before it runs with our rights.

It lies in the staging account, where others may write. So it is not deployed as it is: every expression is evaluated
(``domain.follow_up.expressions``), and a new template is made of the values that are known here and safe. Anything else
is refused by name. The new template makes one VM, its network interfaces and its public addresses, in one resource
group; the VM has disks of this restore alone, and its interfaces are in the subnet that was asked for. It has no
identity, no script and no extension, and changes no resource but these.

No example of such a template was found. Its parameters are known from a deployment of 2020:
``virtualMachineName``, ``virtualNetwork``, ``virtualNetworkResourceGroup``, ``subnet``, ``osDiskName``,
``networkInterfacePrefixName``, ``publicIpAddressName``. All are names, not ids.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from domain.azure.deployments import RESTORE_TAG
from domain.azure.resource_ids import AVAILABILITY_SET, NETWORK_SECURITY_GROUP, ResourceKind, is_id_of, same_id
from domain.errors import TEMPLATE_REFUSED, Json, TerminalError
from domain.follow_up.expressions import Evaluation, ExpressionError
from domain.reading import strict_json

MAX_TEMPLATE_BYTES: Final = 1024 * 1024
VM_TYPE: Final = "Microsoft.Compute/virtualMachines"
INTERFACE_TYPE: Final = "Microsoft.Network/networkInterfaces"
ADDRESS_TYPE: Final = "Microsoft.Network/publicIPAddresses"

_SCHEMA: Final = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
_LOCATION: Final = "[resourceGroup().location]"  # the only expression that is sent: the region is not known here
_ATTACH: Final = "Attach"
_MAX_RESOURCES: Final = 20
_MAX_ENTRIES: Final = 100
_MAX_TEXT: Final = 1000
_MAX_NUMBER: Final = 10**6
_API_VERSION: Final = re.compile(r"20[0-9]{2}-[01][0-9]-[0-3][0-9](-preview)?")
_NAME: Final = re.compile(r"(?u:[-\w.()]{0,79}[-\w()])")
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "securestring": (str,),
    "int": (int,),
    "bool": (bool,),
    "object": (dict,),
    "array": (list,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateUse:
    """What a template may make: the VM ``vm_name`` in the resource group ``group_id``, of these disks, in this subnet.

    ``values`` are the parameters that the app can give, by name; only those that the template declares are used.
    """

    restore_id: str
    group_id: str
    vm_name: str
    subnet_id: str
    disk_ids: tuple[str, ...]
    values: dict[str, str]

    @classmethod
    def of(
        cls, *, restore_id: str, vm_id: str, subnet_id: str, os_disk_id: str, disk_ids: tuple[str, ...]
    ) -> TemplateUse:
        """Return the use of a template for this VM; the ids are valid."""
        vm_name, names = vm_id.rpartition("/")[2], subnet_id.split("/")
        return cls(
            restore_id=restore_id,
            group_id="/".join(vm_id.split("/")[:5]),
            vm_name=vm_name,
            subnet_id=subnet_id,
            disk_ids=disk_ids,
            values={
                "virtualMachineName": vm_name,
                "virtualNetwork": names[8],
                "virtualNetworkResourceGroup": names[4],
                "subnet": names[10],
                "osDiskName": os_disk_id.rpartition("/")[2],
                "networkInterfacePrefixName": f"{vm_name}-nic-",
                "publicIpAddressName": f"{vm_name}-ip",
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedTemplate:
    """A template without parameters that is safe to deploy, and the ids of the resources that it makes."""

    template: Json
    resource_ids: tuple[str, ...]


class _RefusedError(ValueError):
    """A template is not allowed; the message goes on after "The template ... is not deployed, because it"."""


def check_template(content: bytes, use: TemplateUse) -> CheckedTemplate:
    """Return the template that is deployed instead of this one.

    Raises ``TerminalError`` ``TemplateRefused``, whose message names the first thing that is not allowed.
    """
    try:
        return _checked(_parse(content), use)
    except (_RefusedError, ExpressionError) as error:
        message = (
            f"The template that Azure Backup wrote is not deployed, because it {error}. The restored disks are there: "
            "leave out thenCreateVirtualMachine.template, and the app makes the VM without the template."
        )
        raise TerminalError(TEMPLATE_REFUSED, message) from None


def _parse(content: bytes) -> Json:
    if len(content) > MAX_TEMPLATE_BYTES:
        raise _RefusedError("is larger than 1 MiB")
    try:
        template = strict_json(content.decode("utf-8-sig"))
    except ValueError:
        raise _RefusedError("is not JSON") from None
    if not isinstance(template, dict):
        raise _RefusedError("is not a JSON object")
    return cast("Json", template)


def _checked(template: Json, use: TemplateUse) -> CheckedTemplate:
    members = _members(template, "the template")
    unknown = members.keys() - {"$schema", "contentversion", "parameters", "variables", "resources", "outputs"}
    unknown -= {"metadata", "apiprofile"}
    if unknown:
        raise _RefusedError(f"has the member {min(unknown)[:80]!r}")
    declared = _members(_object(members.get("parameters"), "parameters"), "parameters")
    variables = _members(_object(members.get("variables"), "variables"), "variables")
    evaluation = Evaluation(group_id=use.group_id, parameters={}, variables=variables, location=_LOCATION)
    values = {name: _parameter(name, declaration, use, evaluation) for name, declaration in declared.items()}
    evaluation = Evaluation(group_id=use.group_id, parameters=values, variables=variables, location=_LOCATION)
    listed = members.get("resources")
    if not isinstance(listed, list):
        raise _RefusedError("has no list of resources")
    resources = cast("list[object]", listed)
    if len(resources) > _MAX_RESOURCES:
        raise _RefusedError(f"has more than {_MAX_RESOURCES} resources")
    return _Resources(use, evaluation).check(resources)


def _members(value: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Return the members by their names in lower case, because Azure compares them without case."""
    members = {name.lower(): member for name, member in value.items()}
    if len(members) < len(value):
        raise _RefusedError(f"has two members in {path} whose names differ only in case")
    return members


def _object(value: object, path: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _RefusedError(f"has no object at {path}")
    return cast("Json", value)


def _parameter(name: str, declaration: object, use: TemplateUse, evaluation: Evaluation) -> Any:
    """Return the value of a declared parameter: the app's, or the template's default."""
    members = _members(_object(declaration, f"parameters.{name}"), f"parameters.{name}")
    known = {key.lower(): value for key, value in use.values.items()}
    kinds = _TYPES.get(str(members.get("type")).lower(), ())
    if name in known:
        value: Any = known[name]
    elif "defaultvalue" in members:
        value = evaluation.evaluate(members["defaultvalue"])
    else:
        raise _RefusedError(f"needs the parameter {name[:80]!r}, which the app does not know")
    if type(value) not in kinds:
        raise _RefusedError(f"has the parameter {name[:80]!r} of another type than its value")
    return value


type _Check = Callable[[Any, str], Any]
"""Gets a value without expressions and its place; returns it as it is sent, or raises ``_RefusedError``."""


def _is_safe(text: str) -> bool:
    # A text that begins with a bracket would be an expression to Azure.
    return len(text) <= _MAX_TEXT and not text.startswith("[") and text.isprintable()


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str) or not value or not _is_safe(value):
        raise _RefusedError(f"has no usable text at {path}")
    return value


def _flag(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise _RefusedError(f"has neither true nor false at {path}")
    return value


def _number(value: Any, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_NUMBER:
        raise _RefusedError(f"has no usable number at {path}")
    return value


def _place(value: Any, path: str) -> str:
    return value if value == _LOCATION else _text(value, path)


def _tags(value: Any, path: str) -> Json:
    tags = {name: text if text == "" else _text(text, path) for name, text in _object(value, path).items()}
    if not all(map(_is_safe, tags)) or len(tags) > _MAX_ENTRIES:
        raise _RefusedError(f"has no usable tags at {path}")
    return tags


def _list_of(check: _Check) -> _Check:
    def read(value: Any, path: str) -> list[Any]:
        if not isinstance(value, list):
            raise _RefusedError(f"has no list at {path}")
        entries = cast("list[Any]", value)
        if len(entries) > _MAX_ENTRIES:
            raise _RefusedError(f"has too many entries at {path}")
        return [check(entry, f"{path}[{index}]") for index, entry in enumerate(entries)]

    return read


def _shape(members: Mapping[str, _Check], *needed: str) -> _Check:
    """Return the check of an object that has these members and no others; ``null`` counts as left out."""
    checks = {name.lower(): (name, check) for name, check in members.items()}

    def read(value: Any, path: str) -> Json:
        if not isinstance(value, dict):
            raise _RefusedError(f"has no object at {path}")
        result: Json = {}
        given = cast("Json", value)
        unknown = next((name for name in given if name.lower() not in checks), None)
        if unknown is not None:
            raise _RefusedError(f"has {path}.{unknown[:80]}, which is not allowed")
        for name, member in _members(given, path).items():
            written, check = checks[name]
            if member is not None:
                result[written] = check(member, f"{path}.{written}")
        for name in needed:
            if name not in result:
                raise _RefusedError(f"has no {path}.{name}")
        return result

    return read


def _exactly(*allowed: str) -> _Check:
    def read(value: Any, path: str) -> str:
        found = next((text for text in allowed if isinstance(value, str) and value.lower() == text.lower()), None)
        if found is None:
            raise _RefusedError(f"has something else than {' or '.join(allowed)} at {path}")
        return found

    return read


def _one_of_ids(allowed: Callable[[], tuple[str, ...]], what: str) -> _Check:
    def read(value: Any, path: str) -> str:
        text = _text(value, path)
        found = next((resource_id for resource_id in allowed() if same_id(resource_id, text)), None)
        if found is None:
            raise _RefusedError(f"names {text[:200]!r} at {path}, which is not {what}")
        return found

    return read


def _reference_to(kind: ResourceKind) -> _Check:
    def read(value: Any, path: str) -> str:
        text = _text(value, path)
        if not is_id_of(text, kind):
            raise _RefusedError(f"has no id of a {kind.label} at {path}")
        return text

    return _shape({"id": read}, "id")


_SKU: Final = _shape({"name": _text, "tier": _text})


class _Resources:
    """Checks the resources of one template, in the order: names, then all that they hold."""

    def __init__(self, use: TemplateUse, evaluation: Evaluation) -> None:
        self._use, self._evaluation = use, evaluation
        self._ids: dict[str, list[str]] = {VM_TYPE: [], INTERFACE_TYPE: [], ADDRESS_TYPE: []}
        self._types = {kind.lower(): kind for kind in self._ids}
        self._bodies: dict[str, _Check] = {
            VM_TYPE: self._virtual_machine(),
            INTERFACE_TYPE: self._interface(),
            ADDRESS_TYPE: _ADDRESS,
        }

    def check(self, listed: list[object]) -> CheckedTemplate:
        """Return the template of these resources."""
        outlines = [self._outline(entry, f"resources[{index}]") for index, entry in enumerate(listed)]
        vms = self._ids[VM_TYPE]
        if len(vms) != 1 or not same_id(vms[0], f"{self._use.group_id}/providers/{VM_TYPE}/{self._use.vm_name}"):
            raise _RefusedError(f"does not make exactly one VM, with the name {self._use.vm_name!r}")
        resources = [
            self._resource(kind, name, members, f"resources[{index}]")
            for index, (kind, name, members) in enumerate(outlines)
        ]
        ids = tuple(resource_id for kind in self._ids.values() for resource_id in kind)
        if len({resource_id.lower() for resource_id in ids}) < len(ids):
            raise _RefusedError("has one resource twice")
        template = {"$schema": _SCHEMA, "contentVersion": "1.0.0.0", "resources": resources}
        return CheckedTemplate(template=template, resource_ids=ids)

    def _outline(self, entry: object, path: str) -> tuple[str, str, dict[str, Any]]:
        """Return the type, the name and the members of a resource, and note its id."""
        if not isinstance(entry, dict):
            raise _RefusedError(f"has no object at {path}")
        members = _members(cast("Json", entry), path)
        given = members.pop("type", None)
        kind = self._types.get(given.lower()) if isinstance(given, str) else None
        if kind is None:
            raise _RefusedError(f"makes a resource of type {str(given)[:200]!r} at {path}, which is not allowed")
        name = self._evaluation.evaluate(members.pop("name", None))
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise _RefusedError(f"has no usable name at {path}.name")
        self._ids[kind].append(f"{self._use.group_id}/providers/{kind}/{name}")
        return kind, name, members

    def _resource(self, kind: str, name: str, members: dict[str, Any], path: str) -> Json:
        version = members.pop("apiversion", None)
        if not isinstance(version, str) or not _API_VERSION.fullmatch(version):
            raise _RefusedError(f"has no usable date at {path}.apiVersion")
        for ignored in ("dependson", "comments", "metadata"):  # what it needs is known from what it names
            members.pop(ignored, None)
        evaluated = {member: self._evaluation.evaluate(value) for member, value in members.items()}
        body: Json = self._bodies[kind](evaluated, path)
        body["tags"] = {**body.get("tags", {}), RESTORE_TAG: self._use.restore_id}
        needs = [resource_id for other in _NEEDS[kind] for resource_id in self._ids[other]]
        return {"type": kind, "apiVersion": version, "name": name, "dependsOn": needs, **body}

    def _virtual_machine(self) -> _Check:
        disk = {
            "name": _text,
            "createOption": _exactly(_ATTACH),
            "managedDisk": _shape({"id": _one_of_ids(lambda: self._use.disk_ids, "a disk of this restore")}, "id"),
            "caching": _text,
            "deleteOption": _text,
            "writeAcceleratorEnabled": _flag,
            "diskSizeGB": _number,
        }
        storage = {
            "osDisk": _shape({**disk, "osType": _exactly("Linux", "Windows")}, "createOption", "managedDisk"),
            "dataDisks": _list_of(_shape({**disk, "lun": _number}, "lun", "createOption", "managedDisk")),
        }
        interfaces = _one_of_ids(lambda: tuple(self._ids[INTERFACE_TYPE]), "a network interface of the template")
        reference = _shape(
            {"id": interfaces, "properties": _shape({"primary": _flag, "deleteOption": _text})},
            "id",
        )
        return _shape(
            {
                **_ANY_RESOURCE,
                "zones": _list_of(_text),
                "plan": _shape(dict.fromkeys(("name", "publisher", "product", "promotionCode"), _text)),
                "properties": _shape(
                    {
                        "hardwareProfile": _shape({"vmSize": _text}, "vmSize"),
                        "storageProfile": _shape(storage, "osDisk"),
                        "networkProfile": _shape({"networkInterfaces": _list_of(reference)}, "networkInterfaces"),
                        **_VM_OPTIONS,
                    },
                    "hardwareProfile",
                    "storageProfile",
                    "networkProfile",
                ),
            },
            "location",
            "properties",
        )

    def _interface(self) -> _Check:
        subnet = _one_of_ids(lambda: (self._use.subnet_id,), "the subnet that was asked for")
        address = _one_of_ids(lambda: tuple(self._ids[ADDRESS_TYPE]), "a public address of the template")
        configuration = _shape(
            {
                "subnet": _shape({"id": subnet}, "id"),
                "publicIPAddress": _shape({"id": address}, "id"),
                "privateIPAllocationMethod": _exactly("Dynamic", "Static"),
                "privateIPAddress": _text,
                "privateIPAddressVersion": _text,
                "primary": _flag,
            },
            "subnet",
        )
        properties = {
            "ipConfigurations": _list_of(
                _shape({"name": _text, "properties": configuration}, "name", "properties"),
            ),
            "networkSecurityGroup": _reference_to(NETWORK_SECURITY_GROUP),
            "enableAcceleratedNetworking": _flag,
            "enableIPForwarding": _flag,
            "primary": _flag,
        }
        body = {**_ANY_RESOURCE, "properties": _shape(properties, "ipConfigurations")}
        return _shape(body, "location", "properties")


def _boot_diagnostics(value: Any, path: str) -> Json:
    """Return whether there are boot diagnostics. They go to storage of Azure, not to an account that a text names."""
    wanted = _shape({"enabled": _flag, "storageUri": lambda _value, _path: None})(value, path)
    return {"enabled": wanted.get("enabled", False)}


_ANY_RESOURCE: Final[Mapping[str, _Check]] = {"location": _place, "tags": _tags}
_VM_OPTIONS: Final[Mapping[str, _Check]] = {
    "availabilitySet": _reference_to(AVAILABILITY_SET),
    "licenseType": _text,
    "diagnosticsProfile": _shape({"bootDiagnostics": _boot_diagnostics}),
    "securityProfile": _shape(
        {
            "securityType": _text,
            "encryptionAtHost": _flag,
            "uefiSettings": _shape({"secureBootEnabled": _flag, "vTpmEnabled": _flag}),
        }
    ),
    "additionalCapabilities": _shape({"ultraSSDEnabled": _flag, "hibernationEnabled": _flag}),
}
_ADDRESS: Final = _shape(
    {
        **_ANY_RESOURCE,
        "zones": _list_of(_text),
        "sku": _SKU,
        "properties": _shape(
            {
                "publicIPAllocationMethod": _exactly("Dynamic", "Static"),
                "publicIPAddressVersion": _text,
                "idleTimeoutInMinutes": _number,
                "dnsSettings": _shape({"domainNameLabel": _text}),
            }
        ),
    },
    "location",
)
_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    ADDRESS_TYPE: (),
    INTERFACE_TYPE: (ADDRESS_TYPE,),
    VM_TYPE: (INTERFACE_TYPE,),
}
