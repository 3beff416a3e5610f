"""What App Service authentication changes in the description of the HTTP API."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from domain.errors import Json

_FORBIDDEN: Final = (
    "The caller lacks the app role for this (`AuthorizationFailed`): `Restore.Read` to read, `Restore.Operate` to "
    "start and command, `Restore.Approve` to approve and reject; or a page of another site sent the request."
)
REFUSALS: Final[Mapping[int, tuple[str, str]]] = {
    401: ("AuthenticationRequired", "The platform did not say who calls."),
    403: ("Forbidden", _FORBIDDEN),
}
"""For each HTTP status of a refusal: the name of its response, and what it means."""
_KEY_ROUTE: Final = "/alerts"
_PERSON: Final = "Who signed in: it may be left out, and another name is refused."
_ENTRA: Final = (
    "App Service authentication: an Entra token for this app, or the cookie of a browser that signed in. Changes need "
    "Content-Type: application/json, also without a body."
)
# The member of each kind of body that says who calls.
_PERSON_IN: Final[Mapping[str, str]] = {
    "CancellationRequest": "by",
    "DecisionRequest": "by",
    "GroupRequest": "by",
    "GroupDecisionRequest": "by",
    "RestoreRequest": "requestedBy",
    "RecoveryRequest": "requestedBy",
}


def with_principals(document: Json, refusals: Mapping[int, Json]) -> Json:
    """Return the description for an app that App Service authentication is in front of.

    ``document`` describes the app with function keys; ``refusals`` are the answers with the statuses of ``REFUSALS``.
    """
    changed = copy.deepcopy(document)
    components, keys = changed["components"], changed["security"]
    components["responses"] |= {REFUSALS[status][0]: answer for status, answer in refusals.items()}
    components["securitySchemes"]["entra"] = {"type": "http", "scheme": "bearer", "description": _ENTRA}
    changed["security"] = [{"entra": []}]
    for route, methods in changed["paths"].items():
        for operation in (value for name, value in methods.items() if name != "parameters"):
            if route == _KEY_ROUTE:
                operation["security"] = keys
            elif "security" not in operation:
                _add_refusals(operation)
    for name, person in _PERSON_IN.items():
        _make_optional(components["schemas"][name], person)
    return changed


def _add_refusals(operation: Json) -> None:
    for status, (name, _) in REFUSALS.items():
        operation["responses"][str(status)] = {"$ref": f"#/components/responses/{name}"}
    body: Json = operation.get("requestBody", {})
    schema: str = next((content["schema"]["$ref"] for content in body.get("content", {}).values()), "")
    if schema.endswith("DecisionRequest"):
        body["required"] = False


def _make_optional(schema: Any, person: str) -> None:
    schema["properties"][person] = {**schema["properties"][person], "description": _PERSON}
    needed = [name for name in schema.pop("required", ()) if name != person]
    if needed:
        schema["required"] = needed
