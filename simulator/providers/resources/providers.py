"""The resource providers that a subscription has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.addresses import LAST_VERSION, PROVIDERS
from simulator.calls import Answer, Call
from simulator.regions import REGIONS

if TYPE_CHECKING:
    from simulator.world import World


def list_providers(_world: World, call: Call) -> Answer:
    """Answer all resource providers: each is registered."""
    return Answer(body={"value": [_provider(call, namespace) for namespace in PROVIDERS]})


def get_provider(_world: World, call: Call) -> Answer:
    """Answer one resource provider."""
    wanted = call.params["namespace"].lower()
    return Answer(body=next(_provider(call, namespace) for namespace in PROVIDERS if namespace.lower() == wanted))


def _provider(call: Call, namespace: str) -> dict[str, Any]:
    provider, regions = PROVIDERS[namespace], [region.display_name for region in REGIONS.values()]
    return {
        "id": f"/subscriptions/{call.params['subscription']}/providers/{namespace}",
        "namespace": namespace,
        "registrationPolicy": "RegistrationRequired",
        "resourceTypes": [
            {
                "resourceType": kind,
                "locations": regions,
                "apiVersions": [LAST_VERSION, provider.first_version],
                "capabilities": "None",
            }
            for kind in provider.types
        ],
        "registrationState": "Registered",
    }
