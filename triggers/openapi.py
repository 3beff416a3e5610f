"""The description of the HTTP API in OpenAPI 3.1, made of the readers and enums that the API itself works with."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

import azure.durable_functions as df
import azure.functions as func

from domain import errors
from domain.alerts.decide import MAX_STARTS, AlertDecision
from domain.alerts.payload import MAX_VMS, SCHEMA_ID
from domain.azure import resource_ids as ids
from domain.jobs import JobStatus
from domain.reading import an_object, duration, prose, resource_id, string
from domain.request_schema import ALTERNATE_LOCATION, ORIGINAL_LOCATION, RESTORE_DISKS, request_schema
from domain.restore.state import Decision, Phase, RefusedWhen, Source, Status
from triggers.answers import json_response

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
# The name of each error's response, when it comes, and the codes it may have; none where they are too many to name.
_ERRORS: Final[Mapping[int, tuple[str, str, tuple[str, ...]]]] = {
    400: (
        "BadRequest",
        "The request can never work; details name every member that is wrong.",
        (errors.INVALID_REQUEST,),
    ),
    404: ("NotFound", "There is no such thing, or no backup of it.", (errors.NOT_FOUND, errors.NOT_PROTECTED)),
    409: ("Conflict", "What is there already does not allow it.", (errors.REQUEST_CONFLICT, errors.REQUEST_ID_REUSED)),
    413: ("ContentTooLarge", "The body has more than 1 MiB.", (errors.REQUEST_TOO_LARGE,)),
    415: ("UnsupportedMediaType", "The body is not said to be JSON.", (errors.UNSUPPORTED_MEDIA_TYPE,)),
    502: ("BadGateway", "Azure refused the app; its own code and message are in details.", ()),
    503: (
        "ServiceUnavailable",
        "Azure, or the app's own task hub, could not answer just now; try again.",
        (errors.SERVICE_UNAVAILABLE,),
    ),
}
_STRING: Final[Json] = {"type": "string"}
_TIME: Final[Json] = {"type": "string", "format": "date-time"}
_LINK: Final[Json] = {"type": "string", "format": "uri"}


class DescriptionApi:
    """The route that tells of the others. ``version`` is the app's."""

    def __init__(self, *, version: str) -> None:
        self._version = version

    def get_openapi(self, req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG002 - bound by name
        """200 with the OpenAPI description of every route."""
        return json_response(200, description(self._version))


def blueprint(api: DescriptionApi) -> df.Blueprint:
    """Return the route as a function of the app."""
    bp = df.Blueprint(http_auth_level=func.AuthLevel.FUNCTION)
    bp.route(route="openapi.json", methods=["GET"])(api.get_openapi)
    return bp


@cache
def description(version: str) -> Json:
    """Return the OpenAPI 3.1 document; made once, when first asked for. The host's own 401, 404 and 405 are not in it.

    What a reader refuses beyond its schema, such as an id of the right form in the wrong group, answers 400 as well.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Azure VM restore",
            "version": version,
            "summary": "Restores virtual machines from Azure Backup.",
            "description": "Every error has ARM's shape. A member that is `null` in a request counts as left out.",
        },
        "servers": [{"url": "/api"}],
        "security": [{"header": []}, {"query": []}],
        "paths": _paths(),
        "components": {
            "schemas": _schemas(),
            "responses": {name: _error(told, codes) for name, told, codes in _ERRORS.values()},
            "parameters": {
                "RestoreId": {"name": "id", "in": "path", "required": True, "schema": _STRING},
            },
            "headers": {
                "Location": {"description": "Where the restore's status is.", "required": True, "schema": _LINK},
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
        },
    }


def _paths() -> Json:
    restore_id = {"$ref": "#/components/parameters/RestoreId"}
    vm = _in_query("sourceResourceId", _schema("VirtualMachineId"))
    filters = [
        _in_query("status", {"type": "string", "enum": list(Status)}),
        vm,
        _in_query("top", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 50}),
        _in_query("continuationToken", {**_STRING, "description": "As it stands in a nextLink."}),
    ]
    ended = _answer(200, "The restore that the same request started before has ended.", "Accepted", "Location")
    start = _operation(
        "post_restore",
        "Start a restore, or plan one",
        [ended, _accepted(), 400, 409, 413, 415, 503],
        body="RestoreRequest",
    )
    listing = _answer(200, "Restores, newest first.", "RestoreList")
    document = _answer(200, "The restore as it stands.", "StatusDocument")
    points = _answer(200, "Recovery points, newest first.", "RecoveryPointList")
    decisions = _answer(202, "The decision for each virtual machine of the alert.", "DecisionList")
    health = _answer(200, "The app runs; Azure was not asked.", "Health")
    itself = {"200": {"description": "This.", "content": {"application/json": {"schema": {"type": "object"}}}}}
    return {
        "/restores": {
            "post": start,
            "get": _operation("list_restores", "List restores", [listing, 400, 503], parameters=filters),
        },
        "/restores/{id}": {
            "parameters": [restore_id],
            "get": _operation("get_restore", "Show a restore", [document, 404, 503]),
        },
        "/restores/{id}/cancel": {
            "parameters": [restore_id],
            "post": _deciding("cancel_restore", "Cancel a restore, and its job in Azure where that is still possible"),
        },
        "/restores/{id}/approve": {
            "parameters": [restore_id],
            "post": _deciding("approve_restore", "Let a restore that waits for a person go on"),
        },
        "/restores/{id}/reject": {
            "parameters": [restore_id],
            "post": _deciding("reject_restore", "End a restore that waits for a person"),
        },
        "/recovery-points": {
            "get": _operation(
                "list_recovery_points",
                "List a virtual machine's recovery points, each with a verdict",
                [points, 400, 404, 502, 503],
                parameters=[{**vm, "required": True}],
            )
        },
        "/alerts": {
            "post": _operation(
                "post_alert", "Take an alert of Azure Monitor", [decisions, 400, 413, 415, 503], body="Alert"
            )
        },
        "/health": {"get": _operation("get_health", "Tell whether the app runs", [health])},
        "/openapi.json": {"get": _operation("get_openapi", "Describe the API", [itself])},
    }


def _operation(
    name: str,
    summary: str,
    answers: Iterable[Json | int],
    *,
    parameters: Iterable[Json] = (),
    body: str | None = None,
    needed: bool = True,
) -> Json:
    """Describe one function by its name in the app; ``answers`` that are numbers are errors, see ``_ERRORS``."""
    responses: Json = {}
    for each in answers:
        error = {} if isinstance(each, dict) else {str(each): {"$ref": f"#/components/responses/{_ERRORS[each][0]}"}}
        responses |= each if isinstance(each, dict) else error
    operation: Json = {"operationId": name, "summary": summary, "responses": responses}
    if parameters:
        operation["parameters"] = list(parameters)
    if body is not None:
        operation["requestBody"] = {"required": needed, "content": _json(_schema(body))}
    return operation


def _deciding(name: str, summary: str) -> Json:
    answer = _answer(202, "The restore as it stands.", "StatusDocument", "Retry-After")
    return _operation(name, summary, [answer, 400, 404, 409, 413, 415, 503], body="Said", needed=False)


def _accepted() -> Json:
    def link(operation: str) -> Json:
        return {"operationId": operation, "parameters": {"id": "$response.body#/id"}}

    answer = _answer(202, "The restore is accepted.", "Accepted", "Location", "Retry-After")
    followed = ("get_restore", "cancel_restore", "approve_restore", "reject_restore")
    answer["202"]["links"] = {name: link(name) for name in followed}
    return answer


def _answer(status: int, told: str, schema: str, *headers: str) -> Json:
    known = {name: {"$ref": f"#/components/headers/{name.replace('-', '')}"} for name in headers}
    return {
        str(status): {"description": told, **({"headers": known} if known else {}), "content": _json(_schema(schema))}
    }


def _error(told: str, codes: tuple[str, ...]) -> Json:
    schema = _schema("Error")
    if codes:
        narrowed = {"properties": {"error": {"properties": {"code": {"enum": list(codes)}}}}}
        schema = {"allOf": [schema, narrowed]}
    headers = {"headers": {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}}}
    return {
        "description": told,
        **(headers if errors.SERVICE_UNAVAILABLE in codes else {}),
        "content": _json(schema),
    }


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _in_query(name: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "schema": schema}


def _schema(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(told: str, properties: Json, *, optional: Iterable[str] = ()) -> Json:
    """Describe an object of an answer: every member is there but the optional ones; more may come in time."""
    required = [name for name in properties if name not in set(optional)]
    return {"type": "object", "description": told, "properties": properties, "required": required}


def _array(items: Json) -> Json:
    return {"type": "array", "items": items}


def _nullable(schema: Json) -> Json:
    if "type" not in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    enum = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, "type": [schema["type"], "null"], **enum}


def _enum(values: Iterable[str]) -> Json:
    return {"type": "string", "enum": [str(each) for each in values]}


def _schemas() -> Json:
    return {**_asked(), **_documents(), **_errors(), **_lists()}


def _asked() -> Json:
    """Return the schemas of what callers send, each kind of resource id in a home of its own."""
    homes = [(resource_id(kind).schema, name) for name, kind in _IDS.items()]
    essentials = {
        "type": "object",
        "properties": {
            "alertId": string.schema,
            "monitorCondition": string.schema,
            "alertRule": _STRING,
            "severity": _STRING,
            "signalType": _STRING,
            "monitoringService": _STRING,
            "alertTargetIDs": {
                **_array(_STRING),
                "description": f"At most {MAX_VMS} virtual machines; at most {MAX_STARTS} of them are restored.",
            },
        },
        "required": ["alertId", "monitorCondition"],
    }
    data: Json = {"type": "object", "properties": {"essentials": essentials}, "required": ["essentials"]}
    alert: Json = {
        "type": "object",
        "description": "Azure Monitor's common alert schema; members that are not named here are read where they help.",
        "properties": {"schemaId": {"type": "string", "const": SCHEMA_ID}, "data": data},
        "required": ["schemaId", "data"],
    }
    return {
        "RestoreRequest": _with_refs(request_schema(), homes),
        **{name: {**schema, "examples": [_example(_IDS[name])]} for schema, name in homes},
        "Said": {**an_object({"by": prose, "comment": prose}).schema, "description": "Who decides, and why."},
        "Alert": alert,
    }


def _example(kind: ResourceKind) -> str:
    return kind.example.replace("<id>", "00000000-0000-0000-0000-000000000000").replace("<name>", "name")


def _with_refs(schema: Any, homes: list[tuple[Json, str]]) -> Any:
    """Return the schema with each that has a home replaced by a reference to it."""
    if isinstance(schema, list):
        return [_with_refs(each, homes) for each in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    home = next((name for original, name in homes if schema == original), None)
    return _schema(home) if home else {name: _with_refs(each, homes) for name, each in cast("Json", schema).items()}


def _documents() -> Json:
    """Return the schemas of one restore as it is accepted, as it stands, and as it ended."""
    text = _nullable(_STRING)
    accepted = {"id": _STRING, "status": _enum(Status)}
    links: Json = dict.fromkeys(("self", "cancel", "approve", "reject"), _LINK)
    document = {
        "id": _STRING,
        "status": _enum(Status),
        "phase": _enum(Phase),
        "progressPercentage": {"type": ["number", "null"], "minimum": 0, "maximum": 100},
        "sourceResourceId": text,
        "recoveryType": _enum((RESTORE_DISKS, ALTERNATE_LOCATION, ORIGINAL_LOCATION)),
        "requestId": text,
        "requestedBy": text,
        "reason": text,
        "startedBy": _enum(Source),
        "recoveryPoint": _nullable(_schema("RecoveryPoint")),
        "operationId": text,
        "jobId": text,
        "vaultId": text,
        "createdTime": _TIME,
        "lastUpdatedTime": _TIME,
        "completedTime": _nullable(_TIME),
        "nextPollTime": _nullable(_TIME),
        "approval": _schema("Approval"),
        "cancellation": _object("Who asked to cancel.", {"by": text, "comment": text, "time": _nullable(_TIME)}),
        "refused": {**_enum(RefusedWhen), "description": "Only on a start that admission control refused, and when."},
        "result": {"anyOf": [_schema("JobResult"), _schema("PlanResult"), {"type": "null"}]},
        "error": _nullable(_schema("ErrorBody")),
        "warnings": _array(_object("What did not end the restore.", {"code": _STRING, "message": _STRING})),
        "links": _object("Where to find it.", {"self": _LINK}),
    }
    approval = {
        "required": {"type": "boolean"},
        "timeout": duration.schema,
        "reason": _STRING,
        "expires": _nullable(_TIME),
        "decision": _nullable(_enum(Decision)),
        "by": text,
        "comment": text,
        "time": _nullable(_TIME),
    }
    # Too long ones of tasks and plan are null until the webhook has answered.
    names = ("configBlobUri", "templateBlobUri", "targetStorageAccountName", "targetResourceGroup")
    job = {
        "jobStatus": _enum(JobStatus),
        "startTime": _nullable(_TIME),
        "endTime": _nullable(_TIME),
        "duration": _nullable(duration.schema),
        **dict.fromkeys((*names, "targetVirtualMachineName", "targetVirtualMachineId"), text),
        "tasks": _nullable(_array(_object("One step of the job.", {"taskId": text, "status": text, "details": text}))),
        "propertyBag": {"type": "object", "description": "All that the job says, by the service's display names."},
    }
    plan = _object(
        "What would be done.",
        {
            "requestBody": {"type": "object", "description": "The body that would be sent to Azure Backup."},
            "candidates": _array(_schema("Candidate")),
        },
    )
    return {
        "Accepted": _object("A restore that was asked for.", {**accepted, "links": _object("Where to go on.", links)}),
        "StatusDocument": _object(
            "One restore. `approval`, `cancellation` and `refused` are there only where they say something.",
            document,
            optional=["approval", "cancellation", "refused"],
        ),
        "Approval": _object("A person's say; what is not known yet is `null`.", approval),
        "JobResult": _object("The end of the Azure Backup job.", job),
        "PlanResult": _object("The outcome of a dry run.", {"plan": _nullable(plan)}),
    }


def _errors() -> Json:
    detail = {
        "code": _STRING,
        "message": _STRING,
        "target": {**_STRING, "description": "A JSON path into the request."},
        "additionalInfo": _array(
            _object("What helps to find the call.", {"type": _STRING, "info": {"type": "object"}})
        ),
    }
    return {
        "Error": _object("ARM's error.", {"error": _schema("ErrorBody")}),
        "ErrorBody": _object(
            "What went wrong and what to do next.",
            {
                "code": _STRING,
                "message": _STRING,
                "details": _array(_object("One reason.", detail, optional=["target", "additionalInfo"])),
            },
        ),
    }


def _lists() -> Json:
    # The service may name kinds and tiers that nobody has heard of: no enums.
    point = {"id": _STRING, "time": _nullable(_TIME), "consistency": _STRING, "tiers": _array(_STRING)}
    reasons = {**_array(_STRING), "description": "Why not; empty where it is."}
    decision = {
        "sourceResourceId": _nullable(_STRING),
        "decision": _enum(AlertDecision),
        "reason": _STRING,
        "restoreId": _STRING,
        "rule": _STRING,
    }
    listed = _object(
        "A point and whether it can be restored.", {**point, "restorable": {"type": "boolean"}, "reasons": reasons}
    )
    decided = _object("The decision for one virtual machine of an alert.", decision, optional=["restoreId", "rule"])
    restores = {"value": _array(_schema("StatusDocument")), "nextLink": _LINK}
    return {
        "RestoreList": _object(
            "A page of restores; there are more while it has a nextLink.", restores, optional=["nextLink"]
        ),
        "RecoveryPoint": _object("A recovery point.", point),
        "Candidate": _object(
            "A point and why it was not chosen.", {**point, "chosen": {"type": "boolean"}, "reasons": reasons}
        ),
        "RecoveryPointList": _object("All points of a virtual machine.", {"value": _array(listed)}),
        "DecisionList": _object("The answer to an alert.", {"decisions": _array(decided)}),
        "Health": _object(
            "The app as it sees itself.", {"status": {"type": "string", "const": "ok"}, "version": _STRING}
        ),
    }
