"""The managed-identity endpoint, as App Service has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.calls import Answer, Call

if TYPE_CHECKING:
    from simulator.world import World

DEFAULT_CLIENT_ID = "22222222-2222-2222-2222-222222222222"
API_VERSION = "2019-08-01"


def get_token(world: World, call: Call) -> Answer:
    """Give out a token for a resource."""
    if call.headers.get("x-identity-header") != world.scenario.settings.identity_secret:
        return _problem(401, "The X-IDENTITY-HEADER is missing or wrong.")
    if world.identity_failures_left > 0:
        world.identity_failures_left -= 1
        return _problem(500, "An unexpected error occured while fetching the AAD Token.")
    resource = call.query.get("resource", "")
    if call.api_version != API_VERSION or not resource:
        return _problem(400, f"A resource and the api-version {API_VERSION} are needed.")
    token = world.tokens.issue(world.new_id())
    return Answer(
        body={
            "access_token": token.text,
            "expires_on": str(int(token.expires.timestamp())),
            "resource": resource,
            "token_type": "Bearer",
            "client_id": call.query.get("client_id", DEFAULT_CLIENT_ID),
        }
    )


def _problem(status: int, message: str) -> Answer:
    return Answer(status=status, body={"statusCode": status, "message": message})
