"""Reads what a deployment asks for: checks its template, evaluates it, and plans the resources."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from simulator.providers.resources.deployers import DEPLOYERS
from simulator.providers.resources.errors import invalid_content, invalid_template
from simulator.providers.resources.expressions import ExpressionError, Scope
from simulator.reading import object_or_empty

_TYPES = {kind.lower(): kind for kind in DEPLOYERS}
_NEEDED = ("$schema", "contentVersion", "resources")
_OF_TEMPLATES = ("type", "apiVersion", "name", "dependsOn", "comments")
_UNSUPPORTED = ("copy", "condition", "resources", "scope", "resourceGroup", "subscriptionId", "existing")
_KINDS: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "securestring": lambda value: isinstance(value, str),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "bool": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, Mapping),
}
_SHOWN_KINDS = {"securestring": "SecureString"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedResource:
    """A resource of a template; ``needs`` has the ids, in lower case, of those that must be there before."""

    type: str
    name: str
    resource_id: str
    body: Mapping[str, Any]
    needs: tuple[str, ...]

    @property
    def target(self) -> dict[str, str]:
        """How operations and dependencies name the resource."""
        return {"id": self.resource_id, "resourceType": self.type, "resourceName": self.name}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a deployment is to create. ``parameters`` and ``outputs`` are as the deployment shows them."""

    template_hash: str
    parameters: Mapping[str, Any]
    outputs: Mapping[str, Any]
    resources: tuple[PlannedResource, ...]


def read_plan(group: Mapping[str, Any], asked: Any) -> Plan:
    """Read the body of a deployment into a resource group; raise 400 for one that cannot be deployed."""
    properties = object_or_empty(object_or_empty(asked).get("properties"))
    if "templateLink" in properties:
        raise invalid_content("templateLink is not supported here, only a template")
    if str(properties.get("mode")).lower() != "incremental":
        raise invalid_content("mode must be Incremental: the simulator does not delete what a template leaves out")
    template = properties.get("template")
    if not isinstance(template, Mapping):
        raise invalid_content("template must be an object")
    try:
        return _plan(group, cast("Mapping[str, Any]", template), object_or_empty(properties.get("parameters")))
    except ExpressionError as error:
        raise invalid_template(str(error)) from error


def _plan(group: Mapping[str, Any], template: Mapping[str, Any], given: Mapping[str, Any]) -> Plan:
    for name in _NEEDED:
        if name not in template:
            raise invalid_template(f"Required property '{name}' not found in JSON", parsing=True)
    scope = Scope(group=group, parameters={}, variables=_lower(object_or_empty(template.get("variables"))))
    parameters = _read_parameters(object_or_empty(template.get("parameters")), given, scope)
    scope.parameters = {name.lower(): parameter["value"] for name, parameter in parameters.items()}
    return Plan(
        template_hash=str(int(hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:16], 16)),
        parameters={name: _shown(parameter) for name, parameter in parameters.items()},
        outputs={
            name: _output(declaration, scope) for name, declaration in object_or_empty(template.get("outputs")).items()
        },
        resources=_read_resources(group, template["resources"], scope),
    )


def _read_parameters(declared: Mapping[str, Any], given: Mapping[str, Any], scope: Scope) -> dict[str, dict[str, Any]]:
    """Return the type and the value of each declared parameter; raise for missing, unknown and wrong ones."""
    values = _lower(given)
    unknown = [name for name in given if name.lower() not in _lower(declared)]
    if unknown:
        raise invalid_template(
            f"The template parameters '{', '.join(unknown)}' in the parameters file are not valid; they are not "
            "present in the original template and can therefore not be provided at deployment time. The only supported "
            f"parameters for this template are '{', '.join(declared)}'. Please see "
            "https://aka.ms/arm-pass-parameter-values for usage details."
        )
    return {
        name: _read_parameter(name, object_or_empty(declaration), values.get(name.lower()), scope)
        for name, declaration in declared.items()
    }


def _read_parameter(name: str, declaration: Mapping[str, Any], given: Any, scope: Scope) -> dict[str, Any]:
    kind = str(declaration.get("type")).lower()
    if given is not None and "value" in object_or_empty(given):
        value = given["value"]
    elif "defaultValue" in declaration:
        value = scope.evaluate(declaration["defaultValue"])
    else:
        raise invalid_template(
            f"The value for the template parameter '{name}' is not provided. Please see "
            "https://aka.ms/arm-create-parameter-file for usage details."
        )
    if kind not in _KINDS or not _KINDS[kind](value):
        raise invalid_template(
            f"Template parameter JToken type is not valid. Expected '{declaration.get('type')}'. Actual "
            f"'{type(value).__name__}'. Please see https://aka.ms/arm-create-parameter-file for usage details."
        )
    allowed = declaration.get("allowedValues")
    if isinstance(allowed, list) and value not in allowed:
        choices = ",".join(str(choice) for choice in cast("list[Any]", allowed))
        raise invalid_template(
            f"The provided value '{value}' for the template parameter '{name}' is not valid. The parameter value is "
            f"not part of the allowed value(s): '{choices}'."
        )
    return {"type": _SHOWN_KINDS.get(kind, kind.capitalize()), "value": value}


def _shown(parameter: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": parameter["type"]} if parameter["type"] == "SecureString" else dict(parameter)


def _output(declaration: Any, scope: Scope) -> dict[str, Any]:
    output = object_or_empty(declaration)
    return {"type": str(output.get("type")).capitalize(), "value": scope.evaluate(output.get("value"))}


def _read_resources(group: Mapping[str, Any], listed: Any, scope: Scope) -> tuple[PlannedResource, ...]:
    if not isinstance(listed, list):
        raise invalid_template("resources must be a list", parsing=True)
    resources: dict[str, PlannedResource] = {}
    dependencies: dict[str, list[str]] = {}
    for item in cast("list[Any]", listed):
        resource, needs = _read_resource(group, object_or_empty(item), scope)
        key = resource.resource_id.lower()
        if key in resources:
            raise invalid_template(f"The resource '{resource.resource_id}' is defined multiple times in a template")
        resources[key], dependencies[key] = resource, needs
    return tuple(
        replace(resource, needs=tuple(_find(dependency, resources, group) for dependency in dependencies[key]))
        for key, resource in _in_order(resources, dependencies, group).items()
    )


def _read_resource(
    group: Mapping[str, Any], item: Mapping[str, Any], scope: Scope
) -> tuple[PlannedResource, list[str]]:
    kind, name = str(item.get("type")), str(scope.evaluate(item.get("name")))
    unsupported = next((member for member in _UNSUPPORTED if member in item), None)
    if kind.lower() not in _TYPES or unsupported:
        raise invalid_template(
            f"The simulator does not deploy {unsupported or 'resources'} of type '{kind}'; it knows "
            f"{', '.join(_TYPES.values())}"
        )
    if not item.get("apiVersion") or not name or "/" in name:
        raise invalid_template(f"The template resource '{name}' of type '{kind}' needs an apiVersion and a plain name")
    body = {key: scope.evaluate(value) for key, value in item.items() if key not in _OF_TEMPLATES}
    resource = PlannedResource(
        type=_TYPES[kind.lower()],
        name=name,
        resource_id=f"{group['id']}/providers/{_TYPES[kind.lower()]}/{name}",
        body=body,
        needs=(),
    )
    return resource, [str(dependency) for dependency in scope.evaluate(item.get("dependsOn") or [])]


def _find(dependency: str, resources: Mapping[str, PlannedResource], group: Mapping[str, Any]) -> str:
    """Return the key of the resource that a dependency names by its id, by type and name, or by its name."""
    for key, resource in resources.items():
        if dependency.lower() in {key, f"{resource.type}/{resource.name}".lower(), resource.name.lower()}:
            return key
    named = dependency.removeprefix(f"{group['id']}/providers/")
    raise invalid_template(
        f"The resource '{named}' is not defined in the template. Please see https://aka.ms/arm-syntax for usage "
        "details."
    )


def _in_order(
    resources: Mapping[str, PlannedResource], dependencies: Mapping[str, list[str]], group: Mapping[str, Any]
) -> dict[str, PlannedResource]:
    """Return the resources so that each follows those that it needs; raise 400 for a circular dependency."""
    left = {key: {_find(dependency, resources, group) for dependency in dependencies[key]} for key in resources}
    ordered: dict[str, PlannedResource] = {}
    while left:
        ready = next((key for key, needs in left.items() if needs <= ordered.keys()), None)
        if ready is None:
            raise invalid_template(
                f"Circular dependency detected on resource: '{resources[next(iter(left))].resource_id}'. Please see "
                "https://aka.ms/arm-syntax-resources for usage details."
            )
        ordered[ready] = resources[ready]
        del left[ready]
    return ordered


def _lower(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name.lower(): value for name, value in members.items()}
