"""What the descriptions of operations refer to: schemas, responses, parameters, headers and security schemes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from domain import api_types
from domain.azure import resource_ids as ids
from domain.reading import resource_id
from domain.recovery.request import RECOVERY_REQUEST
from domain.request_schema import request_schema
from domain.templates import VM_PLACEHOLDERS, placeholder_definitions
from triggers.answers import CANCELLATION, DECISION
from triggers.api_description.alerts import ALERT
from triggers.api_description.operations import ERRORS, STRING, error_answer, header_refs, schema_ref
from triggers.recoveries import GROUP_COMMAND, GROUP_DECISION
from triggers.schemas import schemas_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from domain.azure.resource_ids import ResourceKind
    from domain.errors import Json

_IDS: Final[Mapping[str, ResourceKind]] = {
    "VirtualMachineId": ids.VIRTUAL_MACHINE,
    "VaultId": ids.VAULT,
    "StorageAccountId": ids.STORAGE_ACCOUNT,
    "ResourceGroupId": ids.RESOURCE_GROUP,
    "VirtualNetworkId": ids.VIRTUAL_NETWORK,
    "SubnetId": ids.SUBNET,
    "DiskEncryptionSetId": ids.DISK_ENCRYPTION_SET,
    "DiskAccessId": ids.DISK_ACCESS,
    "ManagedIdentityId": ids.MANAGED_IDENTITY,
}


def components() -> Json:
    """Return what the descriptions of operations refer to."""
    return {
        "schemas": _schemas(),
        "responses": {
            "NotModified": {
                "description": "If-None-Match names the present answer, which is not sent again.",
                "headers": header_refs("ETag"),
            },
            **{name: error_answer(status, text) for status, (name, text) in ERRORS.items()},
        },
        "parameters": {
            "RestoreId": {"name": "id", "in": "path", "required": True, "schema": STRING},
            "RecoveryId": {"name": "id", "in": "path", "required": True, "schema": STRING},
            "IfNoneMatch": {
                "name": "If-None-Match",
                "in": "header",
                "schema": STRING,
                "description": "The ETag of the answer that the caller has.",
            },
        },
        "headers": {
            "ETag": {"description": "A hash of the answer's body.", "required": True, "schema": STRING},
            "Location": {
                "description": "Where the status is.",
                "required": True,
                "schema": {"type": "string", "format": "uri"},
            },
            "RetryAfter": {
                "description": "Seconds to wait before the next request.",
                "required": True,
                "schema": {"type": "integer", "minimum": 1},
            },
        },
        "securitySchemes": {
            "header": {"type": "apiKey", "in": "header", "name": "x-functions-key"},
            "query": {"type": "apiKey", "in": "query", "name": "code"},
        },
    }


def _schemas() -> Json:
    """Return all schemas by name. ``RequestDocument`` gets all members of a ``RestoreRequest``, as optional ones."""
    asked, answered = _request_schemas(), schemas_of((*api_types.ANSWERS, *api_types.EVENTS))
    shown: Json = answered[api_types.RequestDocument.__name__]
    shown["properties"] = {**asked["RestoreRequest"]["properties"], **shown["properties"]}
    return {**asked, **answered}


def _request_schemas() -> Json:
    """Return the schemas of what callers send; each kind of resource id has a schema of its own."""
    homes = [(resource_id(kind).schema, name) for name, kind in _IDS.items()]
    return {
        "RestoreRequest": _with_refs(request_schema(), homes),
        **{name: {**schema, "examples": [_example(_IDS[name])]} for schema, name in homes},
        "CancellationRequest": {**CANCELLATION.schema, "description": "Who cancels or undoes, and why."},
        "DecisionRequest": {**DECISION.schema, "description": "Who decides, and why."},
        "GroupRequest": {**GROUP_COMMAND.schema, "description": "Which group (default: all), who says so, and why."},
        "GroupDecisionRequest": {
            **GROUP_DECISION.schema,
            "description": "Who decides, why, and about which group (default: all that wait).",
        },
        "RecoveryRequest": _with_refs(_with_components(RECOVERY_REQUEST.schema), homes),
        **_with_components(placeholder_definitions(VM_PLACEHOLDERS)),
        "Alert": ALERT,
    }


def _example(kind: ResourceKind) -> str:
    return kind.example.replace("<id>", "00000000-0000-0000-0000-000000000000").replace("<name>", "name")


def _with_components(schema: Any) -> Any:
    """Return the schema with its references to its own definitions pointing at the components of this document."""
    if isinstance(schema, list):
        return [_with_components(part) for part in cast("list[Any]", schema)]
    if isinstance(schema, dict):
        return {name: _with_components(part) for name, part in cast("Json", schema).items()}
    return schema.replace("#/$defs/", "#/components/schemas/") if isinstance(schema, str) else schema


def _with_refs(schema: Any, homes: list[tuple[Json, str]]) -> Any:
    """Return the schema with each part that is a named schema replaced by a reference to it."""
    if isinstance(schema, list):
        return [_with_refs(part, homes) for part in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    home = next((name for original, name in homes if schema == original), None)
    return schema_ref(home) if home else {name: _with_refs(part, homes) for name, part in cast("Json", schema).items()}
