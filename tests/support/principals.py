"""Callers as App Service authentication describes them to the app, in the header ``X-MS-CLIENT-PRINCIPAL``."""

from __future__ import annotations

import base64
import json


def principal(*claims: tuple[str, str]) -> str:
    """Return the header of a caller from Entra with these claims, each its type and its value."""
    listed = [{"typ": kind, "val": value} for kind, value in claims]
    described = {"auth_typ": "aad", "claims": listed, "name_typ": "name", "role_typ": "roles"}
    return base64.b64encode(json.dumps(described).encode()).decode()


def person(name: str, *roles: str) -> str:
    """Return the header of a person who signed in under this name, with these app roles."""
    return principal(("preferred_username", name), *(("roles", role) for role in roles))
