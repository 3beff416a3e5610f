"""Subscriptions, regions, tenants and providers, as the official SDKs read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.resource.subscriptions import SubscriptionClient

from simulator.tenant import TENANT_ID
from tests.conformance.caller import SUBSCRIPTION, SUBSCRIPTION_ID, Caller, error_code
from tests.conformance.sdk import sdk_client

if TYPE_CHECKING:
    from simulator.server import Simulator


class TestSubscriptions:
    """``SubscriptionClient`` of azure-mgmt-resource-subscriptions."""

    def test_subscriptions_list(self, secure: Simulator) -> None:
        with sdk_client(SubscriptionClient, secure) as client:
            first, *_ = client.subscriptions.list()

        assert (first.subscription_id, first.id) == (SUBSCRIPTION_ID, SUBSCRIPTION)
        assert (first.tenant_id, first.state, first.managed_by_tenants) == (TENANT_ID, "Enabled", [])
        assert first.display_name

    def test_subscriptions_get(self, secure: Simulator) -> None:
        with sdk_client(SubscriptionClient, secure) as client:
            one = client.subscriptions.get(SUBSCRIPTION_ID)

        assert (one.subscription_id, one.tenant_id) == (SUBSCRIPTION_ID, TENANT_ID)

    def test_subscriptions_get_of_one_that_is_not_there(self, arm: Caller) -> None:
        answer = arm.get("/subscriptions/99999999-9999-9999-9999-999999999999", **{"api-version": "2022-12-01"})

        assert (answer.status_code, error_code(answer)) == (404, "SubscriptionNotFound")

    def test_subscriptions_list_locations(self, secure: Simulator) -> None:
        with sdk_client(SubscriptionClient, secure) as client:
            regions = {region.name: region for region in client.subscriptions.list_locations(SUBSCRIPTION_ID)}

        west = regions["westeurope"]
        assert (west.display_name, west.regional_display_name) == ("West Europe", "(Europe) West Europe")
        assert west.metadata
        assert west.metadata.paired_region
        (pair,) = west.metadata.paired_region
        assert (pair.name, pair.id) == ("northeurope", f"{SUBSCRIPTION}/locations/northeurope")

    def test_tenants_list(self, secure: Simulator) -> None:
        with sdk_client(SubscriptionClient, secure) as client:
            (tenant,) = client.tenants.list()

        assert (tenant.tenant_id, tenant.id) == (TENANT_ID, f"/tenants/{TENANT_ID}")


class TestProviders:
    """``ResourceManagementClient`` of azure-mgmt-resource."""

    def test_providers_get(self, secure: Simulator) -> None:
        with sdk_client(ResourceManagementClient, secure, SUBSCRIPTION_ID) as client:
            provider = client.providers.get("microsoft.recoveryservices")

        assert (provider.namespace, provider.registration_state) == ("Microsoft.RecoveryServices", "Registered")
        assert "vaults" in {kind.resource_type for kind in provider.resource_types or ()}

    def test_providers_list(self, secure: Simulator) -> None:
        with sdk_client(ResourceManagementClient, secure, SUBSCRIPTION_ID) as client:
            namespaces = {provider.namespace for provider in client.providers.list()}

        assert {"Microsoft.Compute", "Microsoft.RecoveryServices", "Microsoft.Storage"} <= namespaces

    def test_providers_get_of_an_unknown_namespace(self, arm: Caller) -> None:
        answer = arm.get(f"{SUBSCRIPTION}/providers/Microsoft.ClassicStorage", **{"api-version": "2021-04-01"})

        assert (answer.status_code, error_code(answer)) == (404, "InvalidResourceNamespace")
