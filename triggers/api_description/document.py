"""The description of the HTTP API in OpenAPI 3.1, made from the readers and types that the API itself uses."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from domain.principal import Authenticator
from triggers.api_description.alerts import alert_paths
from triggers.api_description.components import components
from triggers.api_description.operations import error_answer
from triggers.api_description.principals import REFUSALS, with_principals
from triggers.api_description.recoveries import plan_paths, recovery_event, recovery_paths
from triggers.api_description.restores import restore_event, restore_paths
from triggers.api_description.service import page_paths, service_paths

if TYPE_CHECKING:
    from domain.errors import Json


@cache
def description(version: str, authenticator: Authenticator = Authenticator.FUNCTION_KEY) -> Json:
    """Return the OpenAPI 3.1 document. The Functions host's own answers 401, 404 and 405 are not in it.

    Readers also refuse, with 400, some values that their schemas allow, such as a valid id in the wrong group.
    """
    document = _description(version)
    if authenticator is Authenticator.FUNCTION_KEY:
        return document
    return with_principals(document, {status: error_answer(status, text) for status, (_, text) in REFUSALS.items()})


def _description(version: str) -> Json:
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Azure VM restore",
            "version": version,
            "summary": "Restores virtual machines from Azure Backup: one by one, or many in order by a recovery plan.",
            "description": "Every error has ARM's shape. A member that is `null` in a request counts as left out.",
        },
        "servers": [{"url": "/api"}],
        "security": [{"header": []}, {"query": []}],
        "paths": {
            **restore_paths(),
            **plan_paths(),
            **recovery_paths(),
            **alert_paths(),
            **service_paths(),
            **page_paths(),
        },
        "webhooks": {"restoreEvent": {"post": restore_event()}, "recoveryEvent": {"post": recovery_event()}},
        "components": components(),
    }
