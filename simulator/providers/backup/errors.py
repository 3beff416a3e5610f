"""The errors of the backup service."""

from __future__ import annotations

from simulator.errors import ArmError

ITEM_BUSY = "Another operation is in progress on the selected item. Please wait for it to finish and then try again."


def item_not_found() -> ArmError:
    """404 of the service for a missing item or recovery point."""
    return ArmError(
        404,
        "BMSUserErrorDataSourceObjectNotFound",
        "Item not found. Selected item might have been deleted. Please check if item is registered to the vault.",
    )


def not_in_vault(what: str, name: str) -> ArmError:
    """404 of the service for a job or operation that the vault does not have (the code's name is made up)."""
    return ArmError(404, f"BMSUserError{what}NotFound", f"{what} '{name}' was not found in this vault.")


def item_soft_deleted() -> ArmError:
    """400 of the service for a restore from a soft-deleted item. It does not say why, nor does the simulator."""
    return ArmError(400, "BMSUserErrorInvalidInput", "Input provided for the call is invalid")


def refused(code: str, message: str) -> ArmError:
    """400 of the service with a code of its own."""
    return ArmError(400, code, message)


def item_busy(status: int, code: str, wait: dict[str, str]) -> ArmError:
    """409 or 400 of the service while another operation runs on the item, with a wait or without."""
    return ArmError(status, code, ITEM_BUSY, headers=wait)


def vault_blocked() -> ArmError:
    """429 of the service for a vault of which too many operations were asked (no recording shows the status)."""
    return ArmError(
        429,
        "CloudDosAbsoluteLimitReachedWithRetry",
        "Operation is blocked as the vault has reached its maximum limit for such operations permitted in a span of 24 "
        "hours.",
    )


def guard_request_missing(guard_id: str) -> ArmError:
    """403 of the service for a guarded restore that does not name the guard's request (the code is made up)."""
    return ArmError(
        403,
        "UserErrorResourceGuardRequestMissing",
        f"The operation is protected by the Resource Guard '{guard_id}'. Provide its request in "
        "resourceGuardOperationRequests.",
    )


def internal_error() -> ArmError:
    """500 of the service."""
    return ArmError(
        500,
        "CloudInternalError",
        "Microsoft Azure Backup encountered an internal error. Wait for a few minutes and then try the operation "
        "again. If the issue persists, please contact Microsoft support.",
    )
