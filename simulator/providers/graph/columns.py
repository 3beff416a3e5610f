"""The columns that all tables of Resource Graph have."""

from __future__ import annotations

from typing import Any

from simulator.tenant import TENANT_ID

TABLES = ("resources", "resourcecontainers", "recoveryservicesresources")
TEXT_COLUMNS = (
    "id",
    "name",
    "type",
    "tenantId",
    "kind",
    "location",
    "resourceGroup",
    "subscriptionId",
    "managedBy",
)
DYNAMIC_COLUMNS = ("sku", "plan", "properties", "tags", "identity", "zones", "extendedLocation")


def row_of(body: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a resource: type, location and group in lower case; a text that it does not have is empty."""
    parts = body["id"].split("/")
    texts = {
        "id": body["id"],
        "name": body["name"],
        "type": body["type"].lower(),
        "tenantId": TENANT_ID,
        "kind": body.get("kind", ""),
        "location": body.get("location", "").lower(),
        "resourceGroup": parts[4].lower() if len(parts) > 4 else "",  # noqa: PLR2004 - subscriptions/S/resourceGroups/G
        "subscriptionId": parts[2],
        "managedBy": body.get("managedBy", ""),
    }
    return texts | {name: body.get(name) for name in DYNAMIC_COLUMNS}
