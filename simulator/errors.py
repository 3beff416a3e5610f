"""The errors of ARM and of the backup service, in their shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.formats import clock_time, us_time
from simulator.regions import REGIONS
from simulator.tenant import CALLER, PRINCIPAL_ID, TENANT_ID

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


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


def _unauthorized(code: str, message: str, description: str = "") -> ArmError:
    challenge = (
        f'Bearer authorization_uri="https://login.windows.net/{TENANT_ID}", '
        f'error="invalid_token", error_description="{description or message}"'
    )
    return ArmError(401, code, message, cause="gateway", headers={"WWW-Authenticate": challenge})


def no_token() -> ArmError:
    """401 for a call without a token."""
    message = "Authentication failed. The 'Authorization' header is missing."
    return _unauthorized(
        "AuthenticationFailed", message, "The authentication failed because of missing 'Authorization' header."
    )


def no_bearer_token() -> ArmError:
    """401 for a header that has no bearer token."""
    message = "Authentication failed. The 'Authorization' header is provided in an invalid format."
    return _unauthorized("AuthenticationFailedInvalidHeader", message)


def invalid_token() -> ArmError:
    """401 for a token that was not given out here."""
    return _unauthorized("InvalidAuthenticationToken", "The access token is invalid.")


def token_expired(expired: datetime, now: datetime) -> ArmError:
    """401 for a token past its time."""
    message = (
        f"The access token expiry UTC time '{us_time(expired)}' is earlier than current UTC time '{us_time(now)}'."
    )
    return _unauthorized("ExpiredAuthenticationToken", message)


def wrong_audience(audience: str, allowed: Iterable[str]) -> ArmError:
    """401 for a token that was asked for another resource."""
    names = ",".join(f"'{name}'" for name in allowed)
    message = (
        f"The access token has been obtained for wrong audience or resource '{audience}'. It should exactly match with "
        f"one of the allowed audiences {names}."
    )
    return _unauthorized("InvalidAuthenticationTokenAudience", message)


def missing_api_version() -> ArmError:
    """400 for a call without api-version."""
    return ArmError(
        400,
        "MissingApiVersionParameter",
        "The api-version query parameter (?api-version=) is required for all requests.",
        cause="gateway",
    )


def invalid_api_version(given: str, supported: str) -> ArmError:
    """400 for an api-version that is no date, that was given twice, or that ARM itself does not have."""
    message = f"The api-version '{given}' is invalid. The supported versions are '{supported}'."
    return ArmError(400, "InvalidApiVersionParameter", message, cause="gateway")


def no_provider(region: str, types: str, api_version: str, supported: str) -> ArmError:
    """400 for an api-version or a region that a provider does not have."""
    message = (
        f"No registered resource provider found for location '{region}' and API version '{api_version}' for type "
        f"'{types}'. The supported api-versions are '{supported}'. The supported locations are '{', '.join(REGIONS)}'."
    )
    return ArmError(400, "NoRegisteredProviderFound", message, cause="gateway")


def unsupported_media_type(given: str) -> ArmError:
    """415 for a body that does not say it is JSON."""
    message = f"The content media type '{given}' is not supported. Only 'application/json' is supported."
    return ArmError(415, "UnsupportedMediaType", message, cause="gateway")


def no_json(content: bytes) -> ArmError:
    """400 for a body that is no JSON."""
    first = content[:1].decode("ascii", "replace")
    message = (
        "The request content was invalid and could not be deserialized: 'Unexpected character encountered while "
        f"parsing value: {first}. Path '', line 0, position 0.'."
    )
    return ArmError(400, "InvalidRequestContent", message, cause="gateway")


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


def missing_subscription() -> ArmError:
    """404 for a path that begins with neither a subscription nor a provider."""
    message = "The request did not have a subscription or a valid tenant level resource provider."
    return ArmError(404, "MissingSubscription", message, cause="gateway")


def unknown_namespace(namespace: str) -> ArmError:
    """404 for a provider that there is not."""
    message = f"The resource namespace '{namespace}' is invalid."
    return ArmError(404, "InvalidResourceNamespace", message, cause="gateway")


def unknown_type(namespace: str, api_version: str) -> ArmError:
    """404 for a resource type that the provider does not have, or a call that the simulator does not know."""
    message = f"The resource type could not be found in the namespace '{namespace}' for api version '{api_version}'."
    return ArmError(404, "InvalidResourceType", message, cause="gateway")


def guard_not_granted(scope: str, action: str, guard_id: str) -> ArmError:
    """403 of the gateway: the caller has no rights on the guard, or not yet."""
    needed = "Microsoft.DataProtection/resourceGuards/triggerRestoreRequests/read"
    return not_authorized_on_links(action, scope, [(needed, guard_id)])


def not_authorized_on_links(action: str, scope: str, missing: Iterable[tuple[str, str]]) -> ArmError:
    """403 of the gateway: the caller may do this, but lacks actions at resources that the body names."""
    actions, scopes = zip(*missing, strict=True)
    return ArmError(
        403,
        "LinkedAuthorizationFailed",
        f"The {CALLER} has permission to perform action '{action}' on scope '{scope}'; however, it does "
        f"not have permission to perform action(s) '{','.join(actions)}' on the linked scope(s) "
        f"'{','.join(scopes)}' (respectively) or the linked scope(s) are invalid.",
        cause="gateway",
    )


def not_authorized_in_template(name: str, kind: str, action: str, scope: str) -> str:
    """Return what the refusal of a deployment says of a resource that the caller may not write."""
    return (
        f"Authorization failed for template resource '{name}' of type '{kind}'. The {CALLER} does not have permission "
        f"to perform action '{action}' at scope '{scope}'."
    )


def not_authorized(action: str, scope: str) -> ArmError:
    """403 of the gateway: the caller may not do this."""
    return ArmError(
        403,
        "AuthorizationFailed",
        f"The {CALLER} does not have authorization to perform action '{action}' over scope '{scope}' or "
        "the scope is invalid. If access was recently granted, please refresh your credentials.",
        cause="gateway",
    )


def scope_locked(scope: str, operation: str, locked: Iterable[str]) -> ArmError:
    """409 of the gateway for a ``write`` or a ``delete`` at a scope that locks hold.

    A POST is a ``write``, whatever it does (azure-sdk-for-java#2560). How Azure joins several scopes is a guess.
    """
    message = (
        f"The scope '{scope}' cannot perform {operation} operation because following scope(s) are locked: "
        f"'{','.join(locked)}'. Please remove the lock and try again."
    )
    return ArmError(409, "ScopeLocked", message, cause="gateway")


def unavailable(wait: dict[str, str]) -> ArmError:
    """503 of the gateway, with the headers that say how long to wait, if any."""
    return ArmError(
        503, "ServerTimeout", "The request timed out. Please try again later.", cause="gateway", headers=wait
    )


def broken_call(status: int, code: str, message: str, provider: str, wait: dict[str, str]) -> ArmError:
    """Return what a fault answers to a write; code and text are ARM's own where none are given."""
    ours = {
        500: ("InternalServerError", "Encountered internal server error."),
        504: (
            "GatewayTimeout",
            f"The gateway did not receive a response from '{provider}' within the specified time period.",
        ),
    }
    own_code, own_message = ours.get(status, ("ServerTimeout", "The request timed out. Please try again later."))
    return ArmError(status, code or own_code, message or own_message, cause="gateway", headers=wait)


def subscription_throttled(kind: str, subscription_id: str, wait_s: int) -> ArmError:
    """429 of the gateway: the subscription's bucket of ``read`` or ``write`` calls is empty."""
    message = (
        f"Number of '{kind}' requests for subscription '{subscription_id}' actor '{PRINCIPAL_ID}' exceeded. Please try "
        f"again after '{wait_s}' seconds after additional tokens are available. Refer to "
        "https://aka.ms/arm-throttling for additional information."
    )
    return ArmError(
        429, "SubscriptionRequestsThrottled", message, cause="gateway", headers={"Retry-After": str(wait_s)}
    )


def resource_throttled(action: str, limit: int, interval_s: int, wait_s: int, wait: dict[str, str]) -> ArmError:
    """429 for one action of the backup service, with the headers that say how long to wait, if any."""
    message = (
        f"Number of requests for action '{action}' exceeded the limit of '{limit}' for time interval "
        f"'{clock_time(interval_s)}'. Please try again after '{wait_s}' seconds."
    )
    return ArmError(429, "ResourceRequestsThrottled", message, cause="gateway", headers=wait)


def invalid_input(reason: str) -> ArmError:
    """400 of the service, which never says why; the simulator adds its reason under ``details``."""
    return ArmError(400, "BMSUserErrorInvalidInput", "Input provided for the call is invalid", reason=reason)
