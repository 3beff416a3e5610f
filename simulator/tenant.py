"""The one tenant of the simulated cloud, and the one identity that calls it."""

from __future__ import annotations

TENANT_ID = "77777777-7777-4777-8777-777777777777"
CLIENT_ID = "22222222-2222-2222-2222-222222222222"
PRINCIPAL_ID = "88888888-8888-4888-8888-888888888888"
CALLER = f"client '{CLIENT_ID}' with object id '{PRINCIPAL_ID}'"
"""How ARM's errors name the identity."""
