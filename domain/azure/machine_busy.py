"""Which codes of Azure Compute say that another operation changes the VM or its disks, so that the call works later.

No list of all codes is published. These are what users report of a VM that something else changes at the same moment:

* ``Conflict``: "The request failed due to conflict with a concurrent request." (azure-cli#15765, onefuzz#2124)
* ``ConflictingConcurrentWriteNotAllowed``: "… interrupted by a conflicting concurrent write on the same entity. Please
  retry later." (bosh-azure-cpi-release#762, lisa#4623)
* ``AttachDiskWhileBeingDetached``: the disk is still being detached from another VM (kubernetes#78657)
* ``OperationPreempted``: a newer operation has ended this one; ``RetryableError`` (pulumi-azure-native#1450)
* ``AnotherOperationInProgress``: of Azure Network, for an interface or its subnet (AzureTRE#2222, bicep#5132)
* ``PreconditionFailed``, a 412: the VM has changed since its etag was read (cloud-provider-azure#9728)

They come with the status 409 or 412, and as the error of an operation that was accepted. ``OperationNotAllowed`` is not
among them: with a 409 it means a state that waiting does not change, such as too many data disks for the VM's size.
"""

from __future__ import annotations

from typing import Final

_BUSY: Final = frozenset(
    {
        "anotheroperationinprogress",
        "attachdiskwhilebeingdetached",
        "conflict",
        "conflictingconcurrentwritenotallowed",
        "operationpreempted",
        "preconditionfailed",
        "retryableerror",
    }
)


_OF_GUEST: Final = ("vmextension", "vmagent")


def is_of_guest(code: str) -> bool:
    """Return whether a code of Azure Compute is about the extensions or the agent in a VM, and not about the VM itself.

    Azure ends a change of a VM only when they have reported, and calls it failed if one of them fails.
    """
    return code.casefold().startswith(_OF_GUEST)


def is_machine_busy(code: str) -> bool:
    """Return whether a code of Azure Compute says that another operation changes the VM or the disk."""
    return code.casefold() in _BUSY
