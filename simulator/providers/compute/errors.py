"""The errors of Compute, in the words that users have reported; docs/simulator.md says which are guesses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from simulator.errors import ArmError
from simulator.providers.compute.times import offset_time

if TYPE_CHECKING:
    from datetime import datetime

CONFLICT = (
    "The request failed due to conflict with a concurrent request. To resolve it, please refer to "
    "https://aka.ms/activitylog to get more details on the conflicting requests."
)
PREEMPTED = "Operation execution has been preempted by a more recent operation."

NO_AGENT = (
    "VM has not reported status for VM agent or extensions. Verify that the OS is up and healthy, the VM has a running "
    "VM agent, and that it can establish outbound connections to Azure storage."
)


def compute_error(status: int, code: str, message: str, target: str = "") -> ArmError:
    """Return an error that may name the property it is about."""
    error = ArmError(status, code, message)
    if target:
        error.body["error"]["target"] = target
    return error


def not_allowed(message: str) -> ArmError:
    """409 for what a resource does not allow as it is now."""
    return compute_error(409, "OperationNotAllowed", message)


def change_not_allowed(name: str) -> ArmError:
    """409 for a property that cannot be changed."""
    return compute_error(409, "PropertyChangeNotAllowed", f"Changing property '{name}' is not allowed.", name)


def busy() -> ArmError:
    """409 for a write while another one runs."""
    return compute_error(409, "Conflict", CONFLICT)


def marked_for_deletion(vm: str) -> ArmError:
    """409 for a write to a VM that is being deleted."""
    return not_allowed(
        f"Operation 'Update VM' is not allowed on VM '{vm}' since the VM is marked for deletion. You can only retry "
        "the Delete operation (or wait for an ongoing one to complete)."
    )


def invalid_parameter(message: str, target: str) -> ArmError:
    """400 for a value that cannot be."""
    return compute_error(400, "InvalidParameter", message, target)


def bad_request(message: str) -> ArmError:
    """400 for what cannot work."""
    return compute_error(400, "BadRequest", message)


def other_security(disk: str, found: str, wanted: str) -> ArmError:
    """409 for an OS disk of another security type than the VM's."""
    message = f"The security type '{found}' of disk '{disk}' does not match '{wanted}' of the VM."
    return compute_error(409, "PropertyChangeNotAllowed", message, "securityProfile.securityType")


def other_generation(own: str) -> ArmError:
    """409 for an OS disk of another generation than the VM's."""
    return compute_error(
        409,
        "PropertyChangeNotAllowed",
        "Swapping OS Disk is not supported since HyperVisor property on the OSDisk and VM do not match. Please make "
        f"sure the HyperVisor property on the OSDisk is HyperVisor Generation '{own}'",
    )


def cannot_boot(size: str, generation: str) -> ArmError:
    """400 for a size that does not boot a generation."""
    number = generation.removeprefix("V")
    return bad_request(
        f"The selected VM size '{size}' cannot boot Hypervisor Generation '{number}'. If this was a Create operation "
        "please check that the Hypervisor Generation of the Image matches the Hypervisor Generation of the selected VM "
        f"Size. If this was an Update operation please select a Hypervisor Generation '{number}' VM Size. For more "
        "information, see https://aka.ms/azuregen2vm"
    )


def already_attached(disk_id: str, vm_id: str, owner: str) -> ArmError:
    """409 for a disk that another VM has."""
    message = (
        f"Cannot attach the disk {disk_id.rpartition('/')[2]} to VM {vm_id} because it is already attached to VM "
        f"{owner}. A disk can be attached to only one VM at a time."
    )
    return compute_error(409, "ConflictingUserInput", message, disk_id)


def being_detached(disk: str, vm: str) -> ArmError:
    """409 for a disk that is still being detached or deleted."""
    message = (
        f"Cannot attach data disk '{disk}' to VM '{vm}' because the disk is currently being detached or the last "
        "detach operation failed. Please wait until the disk is completely detached and then try again or "
        "delete/detach the disk explicitly again."
    )
    return compute_error(409, "AttachDiskWhileBeingDetached", message)


def size_reduced(disk: str) -> ArmError:
    """400 for a size below the present one."""
    return bad_request(
        f"The disk {disk} cannot be resized down. Reducing disk/snapshot size is not supported in Azure to prevent "
        "data loss."
    )


def too_many_requests(policy: str, size: int, wait_s: int, now: datetime, until: datetime) -> ArmError:
    """429 for an empty bucket of Compute."""
    error = ArmError(
        429,
        "OperationNotAllowed",
        "The server rejected the request because too many requests have been received for this subscription.",
        headers={"Retry-After": str(wait_s)},
    )
    detail = {
        "operationGroup": policy,
        "startTime": offset_time(now),
        "endTime": offset_time(until),
        "allowedRequestCount": size,
        "measuredRequestCount": size + 1,
    }
    error.body["error"]["details"] = [
        {"code": "TooManyRequests", "target": policy, "message": json.dumps(detail, separators=(",", ":"))}
    ]
    error.body["error"]["innererror"] = {"internalErrorCode": "TooManyRequestsReceived"}
    return error
