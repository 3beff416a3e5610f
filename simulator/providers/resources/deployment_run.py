"""A deployment that runs: it makes its resources one behind the other where they need each other, else at once."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from simulator.errors import ArmError
from simulator.formats import iso_duration, iso_time, ticks
from simulator.providers.resources.deployers import DEPLOYERS

if TYPE_CHECKING:
    from simulator.providers.resources.templates import Plan, PlannedResource
    from simulator.world import World

OPERATIONS = "Microsoft.Resources/deployments/operations"
_TICK = timedelta(seconds=1)


class DeploymentRun:
    """Carries out a plan, and writes into the deployment's body and operations how it goes.

    It looks each simulated second which resources are ready. A deployment that is cancelled or deleted starts nothing
    more; what is being made is finished all the same.
    """

    def __init__(self, world: World, body: dict[str, Any], plan: Plan, operation_id: str) -> None:
        self._world, self._body, self._plan, self._id = world, body, plan, operation_id
        self._began = world.now()
        self._left = list(plan.resources)
        self._running: dict[str, dict[str, Any]] = {}
        self._done: set[str] = set()
        self._errors: list[dict[str, Any]] = []
        world.at(world.now() + _TICK, self._look)

    def _look(self) -> None:
        present, properties = self._world.store.get(self._body["id"]), self._body["properties"]
        if present is not self._body or properties["provisioningState"] == "Canceled":
            return
        self._tell("Running")
        self._note_ends()
        if not self._errors:
            self._start_what_can()
        if self._running or (self._left and not self._errors):
            self._world.at(self._world.now() + _TICK, self._look)
        else:
            self._end()

    def _start_what_can(self) -> None:
        for resource in [each for each in self._left if self._done.issuperset(each.needs)]:
            self._left.remove(resource)
            self._start(resource)

    def _start(self, resource: PlannedResource) -> None:
        status = "OK" if self._world.store.get(resource.resource_id) else "Created"
        operation = self._operation(self._world.new_id().replace("-", "")[:16].upper(), "Create", resource)
        try:
            DEPLOYERS[resource.type](self._world, resource.resource_id, resource.body)
        except ArmError as error:
            self._fail(operation, HTTPStatus(error.status).phrase.replace(" ", ""), error.body["error"])
        else:
            operation["properties"]["statusCode"] = status
            self._running[resource.resource_id.lower()] = operation

    def _note_ends(self) -> None:
        for key, operation in list(self._running.items()):
            resource = self._world.store.get(key)
            state = resource["properties"]["provisioningState"] if resource else "Failed"
            self._time(operation["properties"], operation["began"])
            if state in {"Succeeded", "Failed"}:
                del self._running[key]
            if state == "Succeeded":
                self._done.add(key)
                operation["properties"]["provisioningState"] = "Succeeded"
            elif state == "Failed":
                self._fail(operation, "Conflict", _resource_failed(operation["properties"]["targetResource"]["id"]))

    def _fail(self, operation: dict[str, Any], status: str, error: dict[str, Any]) -> None:
        self._errors.append(error)
        operation["properties"] |= {
            "provisioningState": "Failed",
            "statusCode": status,
            "statusMessage": {"error": error},
        }

    def _end(self) -> None:
        properties = self._body["properties"]
        if self._errors:
            properties["error"] = _deployment_failed(self._body["id"], self._errors)
            self._tell("Failed")
            return
        operation = self._operation(self._id, "EvaluateDeploymentOutput", None)
        operation["properties"] |= {"provisioningState": "Succeeded", "statusCode": "OK"}
        if self._plan.outputs:
            properties["outputs"] = dict(self._plan.outputs)
        made = sorted((each.type, each.resource_id) for each in self._plan.resources)
        properties["outputResources"] = [{"id": resource_id} for _, resource_id in made]
        self._tell("Succeeded")

    def _operation(self, operation_id: str, kind: str, resource: PlannedResource | None) -> dict[str, Any]:
        """Add an operation of the deployment, which is shown in the list of them."""
        operation: dict[str, Any] = {
            "id": f"{self._body['id']}/operations/{operation_id}",
            "type": OPERATIONS,
            "operationId": operation_id,
            "began": self._world.now(),
            "properties": {
                "provisioningOperation": kind,
                "provisioningState": "Running",
                "timestamp": "",
                "duration": "",
                "trackingId": self._world.new_id(),
            },
        }
        if resource:
            target = {"id": resource.resource_id, "resourceType": resource.type, "resourceName": resource.name}
            operation["properties"]["targetResource"] = target
        self._time(operation["properties"], operation["began"])
        self._world.store.put(operation)
        return operation

    def _tell(self, state: str) -> None:
        self._time(self._body["properties"], self._began)
        self._body["properties"]["provisioningState"] = state

    def _time(self, properties: dict[str, Any], began: Any) -> None:
        now = self._world.now()
        properties |= {"timestamp": iso_time(now), "duration": iso_duration(ticks(now) - ticks(began))}


def _resource_failed(resource_id: str) -> dict[str, Any]:
    return {
        "code": "ResourceDeploymentFailure",
        "target": resource_id,
        "message": "The resource write operation failed to complete successfully, because it reached terminal "
        "provisioning state 'Failed'.",
    }


def _deployment_failed(deployment_id: str, errors: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "code": "DeploymentFailed",
        "target": deployment_id,
        "message": "At least one resource deployment operation failed. Please list deployment operations for details. "
        "Please see https://aka.ms/arm-deployment-operations for usage details.",
        "details": errors,
    }
