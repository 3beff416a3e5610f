"""The calls about deployments to a resource group."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call, page
from simulator.errors import not_authorized_in_template
from simulator.formats import iso_duration, iso_time
from simulator.providers.resources import errors
from simulator.providers.resources.deletions import Deletion, begin_deletion
from simulator.providers.resources.deployment_run import OPERATIONS, DeploymentRun
from simulator.providers.resources.groups import check_not_deleted, find_group, group_id_of
from simulator.providers.resources.permissions import is_denied
from simulator.providers.resources.templates import Plan, PlannedResource, read_plan
from simulator.signing import Signatures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulator.world import World

DEPLOYMENTS = "Microsoft.Resources/deployments"
DELETION_S = 5.0
_LONGEST_NAME, _NAME = 64, re.compile(r"[-\w.()]+")
_ACTIVE = frozenset({"Accepted", "Running"})


def validate_deployment(world: World, call: Call) -> Answer:
    """Answer what a deployment would create; raise 400 for a template that cannot be deployed."""
    group = find_group(world, group_id_of(call))
    _check_name(call.params["deployment"])
    plan = read_plan(group, call.body)
    _check_permissions(world, plan)
    body = _body(world, group, call.params["deployment"], plan)
    body["properties"] |= {
        "provisioningState": "Succeeded",
        "validatedResources": [{"id": resource.resource_id} for resource in plan.resources],
    }
    return Answer(body=body)


def put_deployment(world: World, call: Call) -> Answer:
    """Accept a deployment: 201, or 200 where there was one of this name; raise 409 while that one runs."""
    group = find_group(world, group_id_of(call))
    check_not_deleted(group)
    _check_name(call.params["deployment"])
    former = world.store.get(call.path)
    if former and former["properties"]["provisioningState"] in _ACTIVE:
        properties = former["properties"]
        raise errors.deployment_active(former["id"], former["began"], properties["correlationId"])
    plan = read_plan(group, call.body)
    _check_permissions(world, plan)
    if former:
        world.store.remove(former["id"])
    body = _body(world, group, former["name"] if former else call.params["deployment"], plan)
    operation_id = f"0{world.random.randrange(8 * 10**18, 9 * 10**18)}"
    body |= {"began": world.now(), "statusId": operation_id}
    world.store.put(body)
    DeploymentRun(world, body, plan)
    address = f"{call.base_url}{body['id']}/operationStatuses/{operation_id}?api-version={call.api_version}"
    headers = {"Azure-AsyncOperation": Signatures(world.now(), world.random).sign(address)}
    return Answer(status=200 if former else 201, body=_shown(body), headers=headers)


def _check_permissions(world: World, plan: Plan) -> None:
    """Raise 403 for a template with a resource that the caller may not write."""
    denied = [planned for planned in plan.resources if is_denied(world, f"{planned.type}/write", planned.resource_id)]
    if denied:
        raise errors.deployment_not_authorized(
            [
                not_authorized_in_template(
                    planned.resource_id.rpartition("/")[2], planned.type, f"{planned.type}/write", planned.resource_id
                )
                for planned in denied
            ]
        )


def _check_name(name: str) -> None:
    if len(name) > _LONGEST_NAME:
        raise errors.deployment_name_too_long(name, _LONGEST_NAME)
    if not _NAME.fullmatch(name):
        raise errors.invalid_deployment_name(name)


def get_deployment(world: World, call: Call) -> Answer:
    """Answer a deployment."""
    return Answer(body=_shown(_find(world, call)))


def head_deployment(world: World, call: Call) -> Answer:
    """Answer 204 if there is such a deployment, else 404."""
    _find(world, call)
    return Answer(status=204)


def list_deployments(world: World, call: Call) -> Answer:
    """Answer the deployments of a resource group, the newest first."""
    found = world.store.of_type(DEPLOYMENTS, below=find_group(world, group_id_of(call))["id"])
    return Answer(body=page(call, found[::-1], world.scenario.settings.page_resources, _shown))


def get_deployment_status(world: World, call: Call) -> Answer:
    """Answer the state of a deployment, with its error if it failed."""
    body = _find(world, call)
    if call.params["operation"] != body["statusId"]:
        raise errors.unknown_operation(call.path)
    properties = body["properties"]
    error = {"error": properties["error"]} if "error" in properties else {}
    return Answer(body={"status": properties["provisioningState"], **error})


def cancel_deployment(world: World, call: Call) -> Answer:
    """Cancel a deployment that runs; raise 409 for one that has ended."""
    body = _find(world, call)
    state = body["properties"]["provisioningState"]
    if state not in _ACTIVE:
        raise errors.deployment_not_running(body["name"], state)
    world.store.put({**body, "properties": {**body["properties"], "provisioningState": "Canceled"}})
    return Answer(status=204)


def delete_deployment(world: World, call: Call) -> Answer:
    """Delete a deployment, not what it made: 202, or 204 where there is none."""
    body = world.store.get(call.path)
    if body is None:
        return Answer(status=204)
    if body["properties"]["provisioningState"] in _ACTIVE:
        raise errors.deployment_active(body["id"], body["began"], body["properties"]["correlationId"])
    deletion = Deletion(
        job=f"DEPLOYMENTDELETIONJOB-{body['name']}",
        location=find_group(world, group_id_of(call))["location"],
        seconds=DELETION_S,
        ends_as=HTTPStatus.NO_CONTENT,
        remove=lambda: world.store.remove(body["id"]),
    )
    return begin_deletion(world, call, deletion)


def list_deployment_operations(world: World, call: Call) -> Answer:
    """Answer the operations of a deployment, one for each resource and one for the outputs, in order."""
    found = world.store.of_type(OPERATIONS, below=_find(world, call)["id"])
    return Answer(body=page(call, found, world.scenario.settings.page_resources, _operation_body))


def get_deployment_operation(world: World, call: Call) -> Answer:
    """Answer one operation of a deployment."""
    operation = world.store.get(f"{_find(world, call)['id']}/operations/{call.params['operation']}")
    if operation is None:
        raise errors.unknown_operation(call.path)
    return Answer(body=_operation_body(operation))


def _operation_body(operation: Mapping[str, Any]) -> dict[str, Any]:
    return {name: operation[name] for name in ("id", "operationId", "properties")}


def _find(world: World, call: Call) -> Mapping[str, Any]:
    group = find_group(world, group_id_of(call))
    body = world.store.get(f"{group['id']}/providers/{DEPLOYMENTS}/{call.params['deployment']}")
    if body is None:
        raise errors.deployment_not_found(call.params["deployment"])
    return body


def _shown(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in ("id", "name", "type", "properties")}


def _body(world: World, group: Mapping[str, Any], name: str, plan: Plan) -> dict[str, Any]:
    return {
        "id": f"{group['id']}/providers/{DEPLOYMENTS}/{name}",
        "name": name,
        "type": DEPLOYMENTS,
        "properties": {
            "templateHash": plan.template_hash,
            "parameters": plan.parameters,
            "mode": "Incremental",
            "provisioningState": "Accepted",
            "timestamp": iso_time(world.now()),
            "duration": iso_duration(0),
            "correlationId": world.new_id(),
            "providers": _providers(plan),
            "dependencies": [_dependency(resource, plan) for resource in plan.resources if resource.needs],
        },
    }


def _providers(plan: Plan) -> list[dict[str, Any]]:
    """Return the types of a plan with their regions, by the namespace of their provider."""
    types: dict[str, dict[str, list[Any]]] = {}
    for resource in plan.resources:
        namespace, _, kind = resource.type.partition("/")
        locations = types.setdefault(namespace, {}).setdefault(kind, [])
        if resource.body.get("location") not in locations:
            locations.append(resource.body.get("location"))
    return [
        {
            "namespace": namespace,
            "resourceTypes": [{"resourceType": kind, "locations": locations} for kind, locations in kinds.items()],
        }
        for namespace, kinds in types.items()
    ]


def _dependency(resource: PlannedResource, plan: Plan) -> dict[str, Any]:
    needed = [each for each in plan.resources if each.resource_id.lower() in resource.needs]
    return {"dependsOn": [each.target for each in needed], **resource.target}
