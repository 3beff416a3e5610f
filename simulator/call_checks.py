"""What ARM checks on each call before a resource provider sees it: the token, the address, the body."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator import errors
from simulator.addresses import has_version, is_version, versions_of

if TYPE_CHECKING:
    from simulator.addresses import Address
    from simulator.calls import Call
    from simulator.world import World

AUDIENCES = (
    "https://management.core.windows.net/",
    "https://management.core.windows.net",
    "https://management.azure.com/",
    "https://management.azure.com",
)
_WITH_BODY = {"PUT", "POST", "PATCH"}
_OF_THE_TENANT = {"subscriptions", "tenants"}
_JSON = "application/json"


def check_token(world: World, call: Call) -> None:
    """Raise 401 for a call without a valid token of ARM.

    A token may also be for the address that is called: each cloud's ARM takes its own address as audience.
    """
    header = call.headers.get("authorization", "")
    kind, _, token = header.partition(" ")
    if not header:
        raise errors.no_token()
    if kind.lower() != "bearer" or not token.strip():
        raise errors.no_bearer_token()
    issued = world.tokens.find(token.strip())
    if issued is None:
        raise errors.invalid_token()
    now = world.timeline.wall.now()
    if issued.expires <= now:
        raise errors.token_expired(issued.expires, now)
    if issued.audience not in AUDIENCES and issued.audience.rstrip("/") != call.base_url:
        raise errors.wrong_audience(issued.audience, AUDIENCES)


def check_address(world: World, call: Call, address: Address) -> None:
    """Raise 400 or 404 for an api-version, a subscription or a provider that does not exist."""
    if not call.api_version:
        raise errors.missing_api_version()
    if not (address.subscription or address.namespace or address.types[0].lower() in _OF_THE_TENANT):
        raise errors.missing_subscription()
    if address.subscription and not world.has_subscription(address.subscription):
        raise errors.unknown_subscription(address.subscription)
    if not address.is_known:
        raise errors.unknown_namespace(address.namespace)
    versions = versions_of(address.provider)
    if has_version(address.provider, call.api_version):
        return
    if address.is_arm or not is_version(call.api_version):
        raise errors.invalid_api_version(call.api_version, versions)
    raise errors.no_provider(world.scenario.vaults[0].region, "/".join(address.types), call.api_version, versions)


def check_body(call: Call) -> None:
    """Raise 415 for a body whose ``Content-Type`` is not JSON, and 400 for one that is no JSON."""
    if call.method not in _WITH_BODY or not call.content:
        return
    given = call.headers.get("content-type", "<null>")
    if given.partition(";")[0].strip().lower() != _JSON:
        raise errors.unsupported_media_type(given)
    if call.body is None and call.content.strip() != b"null":
        raise errors.no_json(call.content)


def check_group(world: World, address: Address) -> None:
    """Raise 404 for an address in a resource group that does not exist."""
    group_id = f"/subscriptions/{address.subscription}/resourceGroups/{address.group}"
    if address.is_below_group and world.store.get(group_id) is None:
        raise errors.resource_group_not_found(address.group)
