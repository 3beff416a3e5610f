"""A deployment that runs: it creates at the same time all resources whose dependencies are ready."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from simulator.errors import ArmError
from simulator.formats import iso_duration, iso_time, ticks
from simulator.providers.resources.deployers import DEPLOYERS
from simulator.providers.resources.linked import check_links

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulator.providers.resources.templates import Plan, PlannedResource
    from simulator.world import World

OPERATIONS = "Microsoft.Resources/deployments/operations"
_TICK = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One operation of a deployment: a resource that is made, or the evaluation of the outputs."""

    operation_id: str
    tracking_id: str
    began: datetime
    resource: PlannedResource | None
    status: str = "OK"


class DeploymentRun:
    """Carries out a plan, and writes its progress into the deployment and its operations.

    It checks each simulated second which resources are ready. A deployment that is cancelled or deleted starts nothing
    more; what it has started is finished all the same.
    """

    def __init__(self, world: World, body: Mapping[str, Any], plan: Plan) -> None:
        self._world, self._plan = world, plan
        self._id, self._began, self._status_id = body["id"], world.now(), body["statusId"]
        self._left = list(plan.resources)
        self._running: dict[str, _Step] = {}
        self._done: set[str] = set()
        self._errors: list[Mapping[str, Any]] = []
        world.at(world.now() + _TICK, self._check)

    def _check(self) -> None:
        body = self._world.store.get(self._id)
        if not body or body["statusId"] != self._status_id or body["properties"]["provisioningState"] == "Canceled":
            return
        self._record_ends()
        if not self._errors:
            self._start_ready()
        if self._running or (self._left and not self._errors):
            self._update(body, {"provisioningState": "Running"})
            self._world.at(self._world.now() + _TICK, self._check)
        else:
            self._update(body, self._end())

    def _start_ready(self) -> None:
        for resource in [planned for planned in self._left if self._done.issuperset(planned.needs)]:
            self._left.remove(resource)
            self._start(resource)

    def _start(self, resource: PlannedResource) -> None:
        status = "OK" if self._world.store.get(resource.resource_id) else "Created"
        step = self._step(self._world.new_id().replace("-", "")[:16].upper(), resource, status)
        try:
            check_links(self._world, resource.type, f"{resource.type}/write", resource.resource_id, resource.body)
            self._world.locks.check(resource.resource_id, "PUT")
            DEPLOYERS[resource.type](self._world, resource.resource_id, resource.body)
        except ArmError as error:
            self._fail(step, HTTPStatus(error.status).phrase.replace(" ", ""), error.body["error"])
        else:
            self._running[resource.resource_id.lower()] = step
            self._show(step, "Running")

    def _record_ends(self) -> None:
        for key, step in list(self._running.items()):
            resource = self._world.store.get(key)
            state = resource["properties"]["provisioningState"] if resource else "Failed"
            if state not in {"Succeeded", "Failed"}:
                continue
            del self._running[key]
            if state == "Failed":
                self._fail(step, "Conflict", _resource_failed(self._world, step))
            else:
                self._done.add(key)
                self._show(step, "Succeeded")

    def _fail(self, step: _Step, status: str, error: Mapping[str, Any]) -> None:
        self._errors.append(error)
        self._show(step, "Failed", {"statusCode": status, "statusMessage": {"error": error}})

    def _end(self) -> dict[str, Any]:
        """Return the properties with which the deployment ends."""
        if self._errors:
            return {"provisioningState": "Failed", "error": _deployment_failed(self._id, self._errors)}
        self._show(self._step(self._status_id, None, "OK"), "Succeeded")
        made = sorted((planned.type, planned.resource_id) for planned in self._plan.resources)
        return {
            "provisioningState": "Succeeded",
            **({"outputs": self._plan.outputs} if self._plan.outputs else {}),
            "outputResources": [{"id": resource_id} for _, resource_id in made],
        }

    def _step(self, operation_id: str, resource: PlannedResource | None, status: str) -> _Step:
        return _Step(
            operation_id=operation_id,
            tracking_id=self._world.new_id(),
            began=self._world.now(),
            resource=resource,
            status=status,
        )

    def _show(self, step: _Step, state: str, more: Mapping[str, Any] | None = None) -> None:
        """Put an operation into the store as the list of operations shows it."""
        properties = {
            "provisioningOperation": "Create" if step.resource else "EvaluateDeploymentOutput",
            "provisioningState": state,
            **self._times(step.began),
            "trackingId": step.tracking_id,
            "statusCode": step.status,
            **(more or {}),
        }
        if step.resource:
            properties["targetResource"] = step.resource.target
        operation_id = f"{self._id}/operations/{step.operation_id}"
        operation = {"id": operation_id, "type": OPERATIONS, "operationId": step.operation_id}
        self._world.store.put({**operation, "properties": properties})

    def _update(self, body: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
        properties = {**body["properties"], **self._times(self._began), **changes}
        self._world.store.put({**body, "properties": properties})

    def _times(self, began: datetime) -> dict[str, str]:
        now = self._world.now()
        return {"timestamp": iso_time(now), "duration": iso_duration(ticks(now) - ticks(began))}


def _resource_failed(world: World, step: _Step) -> dict[str, Any]:
    resource_id = step.resource.resource_id if step.resource else ""
    machine = world.compute.machines.get(resource_id.lower())
    cause = machine.failure if machine else None
    return {
        "code": "ResourceDeploymentFailure",
        "target": resource_id,
        "message": "The resource write operation failed to complete successfully, because it reached terminal "
        "provisioning state 'Failed'.",
        **({"details": [{"code": cause.code, "message": cause.message}]} if cause else {}),
    }


def _deployment_failed(deployment_id: str, errors: list[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "code": "DeploymentFailed",
        "target": deployment_id,
        "message": "At least one resource deployment operation failed. Please list deployment operations for details. "
        "Please see https://aka.ms/arm-deployment-operations for usage details.",
        "details": errors,
    }
