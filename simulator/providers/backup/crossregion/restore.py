"""The restore in the secondary region, and the operation that stands for it."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call
from simulator.errors import ArmError, invalid_input
from simulator.formats import NO_TIME, iso_time
from simulator.providers.backup.checks import RestoreCheck, point_of
from simulator.providers.backup.crossregion.regions import check_region, region_of, secondary_region
from simulator.providers.backup.crossregion.tokens import redeem, vault_number
from simulator.providers.backup.errors import not_in_vault
from simulator.providers.backup.operation_calls import TRIGGER_RETRY_AFTER_S
from simulator.providers.backup.operations import Operation
from simulator.providers.backup.request_form import REHYDRATING, object_member
from simulator.providers.backup.restores import CheckedRestore, answer_trigger, start_job
from simulator.signing import Signatures

if TYPE_CHECKING:
    from simulator.world import World

_KIND = "cross_region"


class _SecondaryRegionCheck(RestoreCheck):
    """Checks a restore in the secondary region: there is no VM to put disks into, no snapshot and no archive."""

    _place = "secondary"

    @property
    def _region(self) -> str:
        return secondary_region(self._vault)

    @property
    def _has_zones(self) -> bool:
        return True

    def _check_in_place(self) -> None:
        if self.recovery_type == "OriginalLocation":
            raise invalid_input("OriginalLocation does not work in the secondary region")

    def _check_rehydration(self) -> None:
        if self._get("objectType") == REHYDRATING or self._get("recoveryPointRehydrationInfo") is not None:
            raise invalid_input("archived points are not in the secondary region")

    def _check_network_access(self) -> None:
        super()._check_network_access()
        access = self._get("targetDiskNetworkAccessSettings") or {}
        if access.get("targetDiskNetworkAccessOption") == "SameAsOnSourceDisks":
            raise invalid_input("SameAsOnSourceDisks does not work in the secondary region")


def trigger_cross_region_restore(world: World, call: Call) -> Answer:
    """Accept a restore in the secondary region. Its body is not wrapped in ``properties``."""
    region = region_of(call)
    token = redeem(world, object_member(call.body, "crossRegionRestoreAccessDetails"))
    request = object_member(call.body, "restoreRequest")
    vm = world.vm_with_key(token.vm_key)
    vault = vm.vault
    if vault is None:
        raise invalid_input("the virtual machine is not protected")
    check_region(vault, region)
    point = point_of(vm, token.point_id)
    account = _SecondaryRegionCheck(world, vault, vm, point, request).account()
    faults, activity_id = world.faults(vm.key), call.headers["x-ms-client-request-id"]
    restore = CheckedRestore(
        vault=vault,
        vm=vm,
        point=point,
        account=account,
        properties=request,
        faults=faults.faults,
        now=world.now(),
        region=region,
    )
    return answer_trigger(
        world, faults, lambda: _operation_headers(world, call, region, _accept(world, restore, activity_id))
    )


def _accept(world: World, restore: CheckedRestore, activity_id: str) -> Operation:
    """Create the operation, which has an id of its own, and its job."""
    name = base64.b64encode(f"{vault_number(restore.vault)};{world.new_id()}".encode()).decode()
    faults = restore.faults
    operation = Operation(
        operation_id=name,
        kind=_KIND,
        vault=restore.vault.name,
        vm_key=restore.vm.key,
        started=restore.now,
        ready=restore.now + timedelta(seconds=faults.slow_operation_s),
        job_id=world.new_id(),
        failure=faults.operation_failed,
    )
    world.add_operation(operation)
    if faults.operation_failed is None:
        start_job(world, restore, operation.job_id, activity_id)
    return operation


def _operation_headers(world: World, call: Call, region: str, operation: Operation) -> dict[str, str]:
    faults, signatures = world.faults(operation.vm_key).faults, Signatures(world.now(), world.random)
    base = f"{faults.wrong_host_url or call.base_url}{_location_path(call, region)}"
    version = f"{operation.operation_id}?api-version={call.api_version}"
    location = {"Location": signatures.sign(f"{base}/backupCrrOperationResults/{version}")}
    if faults.no_async_header:
        return location
    return {**location, "Azure-AsyncOperation": signatures.sign(f"{base}/backupCrrOperationsStatus/{version}")}


def _location_path(call: Call, region: str) -> str:
    """Return the path of a region in the subscription of a call."""
    return f"/subscriptions/{call.params['subscription']}/providers/Microsoft.RecoveryServices/locations/{region}"


def get_cross_region_operation(world: World, call: Call) -> Answer:
    """Answer the status of a restore's operation; its id is a path, and its end has no fraction of a second."""
    operation, now = _operation_of(world, call), world.now()
    status = operation.status(now)
    name = operation.operation_id
    body: dict[str, Any] = {
        "id": f"{_location_path(call, region_of(call))}/backupCrrOperationsStatus/{name}",
        "name": name,
        "status": status,
        "startTime": iso_time(operation.started),
        "endTime": NO_TIME if status == "InProgress" else iso_time(operation.ready.replace(microsecond=0)),
    }
    if status == "Failed" and operation.failure:
        body["error"] = {"code": operation.failure.code, "message": operation.failure.message}
    if status == "Succeeded":
        body["properties"] = {"objectType": "OperationStatusJobExtendedInfo", "jobId": operation.job_id}
    return Answer(body=body)


def get_cross_region_result(world: World, call: Call) -> Answer:
    """Answer 202 while a restore's operation runs, an empty 200 when it is done, its error when it failed."""
    operation = _operation_of(world, call)
    status = operation.status(world.now())
    if status == "Failed" and operation.failure:
        raise ArmError(400, operation.failure.code, operation.failure.message)
    if status == "Succeeded":
        return Answer()
    location = _operation_headers(world, call, region_of(call), operation)["Location"]
    wait = world.timeline.retry_after(TRIGGER_RETRY_AFTER_S)
    return Answer(status=202, headers={"Location": location, "Retry-After": wait})


def _operation_of(world: World, call: Call) -> Operation:
    """Return the operation of the address, whose region must be that of its vault's data."""
    region = region_of(call)
    operation = world.operations.get(call.params["operation"].lower())
    if operation is None or operation.kind != _KIND:
        raise not_in_vault("Operation", call.params["operation"])
    vault = world.vm_with_key(operation.vm_key).vault
    if vault is None or secondary_region(vault) != region:
        raise not_in_vault("Operation", call.params["operation"])
    return operation
