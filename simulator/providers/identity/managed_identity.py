"""The managed-identity endpoint, as App Service has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.calls import Answer, Call
from simulator.tenant import CLIENT_ID, PRINCIPAL_ID

if TYPE_CHECKING:
    from simulator.world import World

API_VERSION = "2019-08-01"
_IDENTITY = "/resourcegroups/app-rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/restore-app"


def get_token(world: World, call: Call) -> Answer:
    """Answer a token for a resource."""
    if call.headers.get("x-identity-header") != world.scenario.settings.identity_secret:
        return _problem(401, "The X-IDENTITY-HEADER is missing or wrong.")
    if world.identity_failures_left > 0:
        world.identity_failures_left -= 1
        return _problem(500, "An unexpected error occured while fetching the AAD Token.")
    resource = call.query.get("resource", "")
    if call.api_version != API_VERSION or not resource:
        return _problem(400, f"A resource and the api-version {API_VERSION} are needed.")
    client_id = call.query.get("client_id", CLIENT_ID)
    token = world.tokens.issue(
        resource,
        client_id=client_id,
        object_id=call.query.get("object_id", PRINCIPAL_ID),
        resource_id=call.query.get("mi_res_id", f"/subscriptions/{world.scenario.subscription_id}{_IDENTITY}"),
    )
    return Answer(
        body={
            "access_token": token.text,
            "expires_on": str(int(token.expires.timestamp())),
            "resource": resource,
            "token_type": "Bearer",
            "client_id": client_id,
        }
    )


def _problem(status: int, message: str) -> Answer:
    return Answer(status=status, body={"statusCode": status, "message": message})
