"""The addresses of the cloud, which clients read before they have a token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator import errors
from simulator.calls import Answer, Call

if TYPE_CHECKING:
    from simulator.world import World

_AUDIENCES = ["https://management.core.windows.net/", "https://management.azure.com/"]
_GRAPH = "https://graph.windows.net/"
_GALLERY = "https://gallery.azure.com/"
_PORTAL = "https://portal.azure.com"
_SUFFIXES = {
    "azureDataLakeStoreFileSystem": "azuredatalakestore.net",
    "acrLoginServer": "azurecr.io",
    "sqlServerHostname": "database.windows.net",
    "azureDataLakeAnalyticsCatalogAndJob": "azuredatalakeanalytics.net",
    "keyVaultDns": "vault.azure.net",
    "storage": "core.windows.net",
    "azureFrontDoorEndpointSuffix": "azurefd.net",
}
_SUFFIXES_2022 = {
    "storageSyncEndpointSuffix": "afs.azure.net",
    "mhsmDns": "managedhsm.azure.net",
    "mysqlServerEndpoint": "mysql.database.azure.com",
    "postgresqlServerEndpoint": "postgres.database.azure.com",
    "mariadbServerEndpoint": "mariadb.database.azure.com",
    "synapseAnalytics": "dev.azuresynapse.net",
    "attestationEndpoint": "attest.azure.net",
}
_RESOURCES_2022 = {
    "microsoftGraphResourceId": "https://graph.microsoft.com/",
    "appInsightsResourceId": "https://api.applicationinsights.io",
    "appInsightsTelemetryChannelResourceId": "https://dc.applicationinsights.azure.com/v2/track",
    "attestationResourceId": "https://attest.azure.net",
    "synapseAnalyticsResourceId": "https://dev.azuresynapse.net",
    "logAnalyticsResourceId": "https://api.loganalytics.io",
    "ossrDbmsResourceId": "https://ossrdbms-aad.database.windows.net",
}


def get_endpoints(_world: World, call: Call) -> Answer:
    """Answer the addresses of the cloud: those of the public one, but for ARM and for signing in, which are here."""
    cloud = {
        "portal": _PORTAL,
        "authentication": _authentication(call),
        "media": "https://rest.media.azure.net",
        "graphAudience": _GRAPH,
        "graph": _GRAPH,
        "name": "AzureCloud",
        "suffixes": _SUFFIXES,
        "batch": "https://batch.core.windows.net/",
        "resourceManager": f"{call.base_url}/",
        "vmImageAliasDoc": "https://raw.githubusercontent.com/Azure/azure-rest-api-specs/master/arm-compute/"
        "quickstart-templates/aliases.json",
        "activeDirectoryDataLake": "https://datalake.azure.net/",
        "sqlManagement": "https://management.core.windows.net:8443/",
    }
    bodies: dict[str, Any] = {
        "2015-01-01": {
            "galleryEndpoint": _GALLERY,
            "graphEndpoint": _GRAPH,
            "portalEndpoint": _PORTAL,
            "authentication": {"loginEndpoint": call.base_url, "audiences": _AUDIENCES},
        },
        "2019-05-01": [{**cloud, "gallery": _GALLERY}],
        "2022-09-01": {**cloud, "suffixes": {**_SUFFIXES, **_SUFFIXES_2022}, **_RESOURCES_2022},
    }
    if call.api_version not in bodies:
        refused = errors.invalid_api_version(call.api_version, ",".join(bodies))
        return Answer(status=refused.status, body=refused.body, headers=refused.headers)
    return Answer(body=bodies[call.api_version])


def _authentication(call: Call) -> dict[str, Any]:
    return {"loginEndpoint": call.base_url, "audiences": _AUDIENCES, "tenant": "common", "identityProvider": "AAD"}
