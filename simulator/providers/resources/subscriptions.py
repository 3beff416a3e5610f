"""Subscriptions, their regions, and the tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call
from simulator.regions import REGIONS, Region
from simulator.tenant import TENANT_ID

if TYPE_CHECKING:
    from simulator.scenario import Subscription
    from simulator.world import World


def list_subscriptions(world: World, _call: Call) -> Answer:
    """Answer the subscriptions that the caller sees: all of the scenario."""
    found = world.scenario.subscriptions
    count = {"type": "Total", "value": len(found)}
    return Answer(body={"value": [_subscription(subscription) for subscription in found], "count": count})


def get_subscription(world: World, call: Call) -> Answer:
    """Answer one subscription."""
    found = {subscription.subscription_id.lower(): subscription for subscription in world.scenario.subscriptions}
    return Answer(body=_subscription(found[call.params["subscription"].lower()]))


def _subscription(subscription: Subscription) -> dict[str, Any]:
    return {
        "id": f"/subscriptions/{subscription.subscription_id}",
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "subscriptionId": subscription.subscription_id,
        "tenantId": TENANT_ID,
        "displayName": subscription.name,
        "state": "Enabled",
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01",
            "quotaId": "EnterpriseAgreement_2014-09-01",
            "spendingLimit": "Off",
        },
    }


def list_locations(_world: World, call: Call) -> Answer:
    """Answer the regions of a subscription, each with its pair."""
    scope = f"/subscriptions/{call.params['subscription']}/locations"
    return Answer(body={"value": [_location(region, scope) for region in REGIONS.values()]})


def _location(region: Region, scope: str) -> dict[str, Any]:
    pairs = [{"name": region.pair, "id": f"{scope}/{region.pair}"}] if region.pair else []
    return {
        "id": f"{scope}/{region.name}",
        "name": region.name,
        "type": "Region",
        "displayName": region.display_name,
        "regionalDisplayName": f"({region.geography_group}) {region.display_name}",
        "metadata": {
            "regionType": "Physical",
            "regionCategory": "Recommended",
            "geography": region.geography,
            "geographyGroup": region.geography_group,
            "physicalLocation": region.place,
            "pairedRegion": pairs,
        },
    }


def list_tenants(_world: World, _call: Call) -> Answer:
    """Answer the one tenant."""
    tenant = {
        "id": f"/tenants/{TENANT_ID}",
        "tenantId": TENANT_ID,
        "countryCode": "NL",
        "displayName": "Simulated",
        "domains": ["simulated.onmicrosoft.com"],
        "tenantCategory": "Home",
        "defaultDomain": "simulated.onmicrosoft.com",
        "tenantType": "AAD",
    }
    return Answer(body={"value": [tenant]})
