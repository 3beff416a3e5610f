"""The errors of ARM and of the backup service, in their shapes."""

from __future__ import annotations

from typing import Any


class ArmError(Exception):
    """An answer in ARM's error shape; ``cause`` says who refused: the ``gateway`` or the ``service``."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        cause: str = "service",
        headers: dict[str, str] | None = None,
        reason: str = "",
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.reason = reason or message
        self.headers = {"x-ms-failure-cause": cause, **(headers or {})}
        error: dict[str, Any] = {"code": code, "message": message}
        if reason:
            error["details"] = [{"code": "SimulatorReason", "message": reason}]
        self.body = {"error": error}


def not_authenticated(description: str) -> ArmError:
    """401 for a token that is missing, unknown or expired."""
    challenge = (
        'Bearer authorization_uri="https://login.windows.net/common", '
        f'error="invalid_token", error_description="{description}"'
    )
    return ArmError(
        401, "InvalidAuthenticationToken", description, cause="gateway", headers={"WWW-Authenticate": challenge}
    )


def token_expired() -> ArmError:
    """401 for a token past its time."""
    error = not_authenticated("The access token expiry is in the past. Get a new token and try again.")
    error.body["error"]["code"] = "ExpiredAuthenticationToken"
    return error


def missing_api_version() -> ArmError:
    """400 for a call without api-version."""
    return ArmError(
        400,
        "MissingApiVersionParameter",
        "The api-version query parameter (?api-version=) is required for all requests.",
        cause="gateway",
    )


def invalid_api_version(given: str) -> ArmError:
    """400 for an api-version that is no date."""
    return ArmError(400, "InvalidApiVersionParameter", f"The api-version '{given}' is invalid.", cause="gateway")


def unknown_subscription(subscription_id: str) -> ArmError:
    """404 for another subscription than the scenario's."""
    return ArmError(
        404, "SubscriptionNotFound", f"The subscription '{subscription_id}' could not be found.", cause="gateway"
    )


def resource_not_found(resource: str, resource_group: str) -> ArmError:
    """404 of the gateway for a resource (``type/name``) that is not there."""
    message = (
        f"The Resource '{resource}' under resource group '{resource_group}' was not found. "
        "For more details please go to https://aka.ms/ARMResourceNotFoundFix"
    )
    return ArmError(404, "ResourceNotFound", message, cause="gateway")


def resource_group_not_found(name: str) -> ArmError:
    """404 of the gateway for a resource group that is not there."""
    return ArmError(404, "ResourceGroupNotFound", f"Resource group '{name}' could not be found.", cause="gateway")


def unknown_call(method: str, path: str) -> ArmError:
    """404 for a call the simulator does not know."""
    return ArmError(
        404, "InvalidResourceType", f"No resource provider answers {method} '{path[:300]}'.", cause="gateway"
    )


def guard_not_granted(scope: str, action: str, guard_id: str) -> ArmError:
    """403 of the gateway: the caller has no rights on the guard, or not yet."""
    return ArmError(
        403,
        "LinkedAuthorizationFailed",
        f"The client 'simulator' has permission to perform action '{action}' on scope '{scope}'; however, it does "
        "not have permission to perform action(s) 'Microsoft.DataProtection/resourceGuards/triggerRestoreRequests/"
        f"read' on the linked scope(s) '{guard_id}' (respectively) or the linked scope(s) are invalid.",
        cause="gateway",
    )


def not_authorized(action: str, scope: str) -> ArmError:
    """403 of the gateway: the caller may not do this."""
    return ArmError(
        403,
        "AuthorizationFailed",
        f"The client 'simulator' does not have authorization to perform action '{action}' over scope '{scope}' or "
        "the scope is invalid. If access was recently granted, please refresh your credentials.",
        cause="gateway",
    )


def unavailable(wait: dict[str, str]) -> ArmError:
    """503 of the gateway, with the headers that say how long to wait, if any."""
    return ArmError(
        503, "ServerTimeout", "The request timed out. Please try again later.", cause="gateway", headers=wait
    )


def subscription_throttled(kind: str, subscription_id: str, wait_s: int) -> ArmError:
    """429 of the gateway: the subscription's bucket of ``read`` or ``write`` calls is empty."""
    message = (
        f"Number of '{kind}' requests for subscription '{subscription_id}' actor 'simulator' exceeded. Please try "
        f"again after '{wait_s}' seconds after additional tokens are available. Refer to "
        "https://aka.ms/arm-throttling for additional information."
    )
    return ArmError(
        429, "SubscriptionRequestsThrottled", message, cause="gateway", headers={"Retry-After": str(wait_s)}
    )


def resource_throttled(action: str, wait: dict[str, str]) -> ArmError:
    """429 for one kind of call to the backup service, with the headers that say how long to wait, if any."""
    message = (
        f"Number of requests for action '{action}' exceeded the limit of its time interval. Please try again later."
    )
    return ArmError(429, "ResourceRequestsThrottled", message, cause="gateway", headers=wait)


def invalid_input(reason: str) -> ArmError:
    """400 of the service, which never says why; the simulator adds its reason under ``details``."""
    return ArmError(400, "BMSUserErrorInvalidInput", "Input provided for the call is invalid", reason=reason)
