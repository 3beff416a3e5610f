"""The description of the HTTP API in OpenAPI 3.1, made from the readers and types that the API itself uses."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

import azure.durable_functions as df
import azure.functions as func

from domain import api_types, errors
from domain.alerts.decide import MAX_STARTS
from domain.alerts.payload import MAX_VMS, SCHEMA_ID
from domain.azure import resource_ids as ids
from domain.principal import Authenticator
from domain.reading import resource_id, string
from domain.recovery.commands import Command
from domain.recovery.parts import MemberStatus, RecoveryStatus
from domain.recovery.request import RECOVERY_REQUEST
from domain.request_schema import request_schema
from domain.restore.parts import Status
from domain.templates import VM_PLACEHOLDERS, placeholder_definitions
from triggers.alert_decisions import MAX_SHOWN
from triggers.answers import CANCELLATION, DECISION, STATUS_OF, json_response
from triggers.list_filters import ID_PATTERN
from triggers.openapi_principals import REFUSALS, with_principals
from triggers.page import MEDIA_TYPES
from triggers.parameters import DEFAULT_TOP, MAX_TOP
from triggers.people import PeopleRoutes
from triggers.recoveries import GROUP_COMMAND, GROUP_DECISION, INSTRUCTIONS
from triggers.recovery_members import MAX_MEMBERS_SHOWN
from triggers.schemas import schemas_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from domain.azure.resource_ids import ResourceKind
    from domain.errors import Json
    from domain.reading import Reader
    from triggers.people import Authentication

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
# For each HTTP status of an error: the name of its response, and what it means.
_ERRORS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("BadRequest", "The request can never work; details name every member that is wrong."),
    404: ("NotFound", "The restore, recovery, plan, virtual machine, backup or file was not found."),
    409: (
        "Conflict",
        "An existing restore or recovery, or its state, does not allow the request; the message says what to do.",
    ),
    413: ("ContentTooLarge", "The body has more than 1 MiB."),
    415: ("UnsupportedMediaType", "The Content-Type of the body is not JSON."),
    502: ("BadGateway", "Azure refused the app; its own code and message are in details."),
    503: (
        "ServiceUnavailable",
        "Azure or the app's task hub did not answer, or the alert rules or recovery plans are wrong; try again.",
    ),
}
_DECISIONS: Final[Mapping[str, str]] = {
    "cancel": "Cancel a restore, and its job in Azure where that is still possible",
    "approve": "Approve a restore that waits for a person",
    "reject": "Reject a restore that waits for a person",
}
_COMMANDS: Final[Mapping[Command, str]] = {
    Command.PAUSE: "Start nothing new; what runs goes on",
    Command.RESUME: "Go on after a pause",
    Command.CANCEL: "Cancel what has not started, and the restores that run",
    Command.RETRY: "Start the members of failed groups again that have not succeeded",
    Command.SKIP: "Let the next groups start as if failed groups, or one that has not started, had succeeded",
    Command.APPROVE: "Approve a recovery, or groups of it, that wait for a person",
    Command.REJECT: "Reject a recovery, or groups of it, that wait for a person",
}
_INSTRUCTIONS: Final[Mapping[str, Reader]] = {
    "CancellationRequest": CANCELLATION,
    "GroupRequest": GROUP_COMMAND,
    "GroupDecisionRequest": GROUP_DECISION,
}
_MEMBER_STATUSES: Final = tuple(dict.fromkeys(status.word for status in MemberStatus))
_STRING: Final[Json] = {"type": "string"}
_LINK: Final[Json] = {"type": "string", "format": "uri"}


class DescriptionApi:
    """The route that describes all routes. ``version`` is the app's."""

    def __init__(self, *, version: str, authentication: Authentication) -> None:
        self._version = version
        self._authenticator = authentication.by

    def get_openapi(self, req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG002 - bound by name
        """200 with the OpenAPI description of every route."""
        return json_response(200, description(self._version, self._authenticator))


def blueprint(api: DescriptionApi, authentication: Authentication) -> df.Blueprint:
    """Return the route as a function of the app."""
    routes = PeopleRoutes(df.Blueprint(), authentication)
    routes.get("openapi.json", api.get_openapi)
    return routes.blueprint


@cache
def description(version: str, authenticator: Authenticator = Authenticator.FUNCTION_KEY) -> Json:
    """Return the OpenAPI 3.1 document. The Functions host's own answers 401, 404 and 405 are not in it.

    Readers also refuse, with 400, some values that their schemas allow, such as a valid id in the wrong group.
    """
    document = _description(version)
    if authenticator is Authenticator.FUNCTION_KEY:
        return document
    return with_principals(document, {status: _error(status, text) for status, (_, text) in REFUSALS.items()})


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
        "paths": {**_restore_paths(), **_plan_paths(), **_recovery_paths(), **_other_paths(), **_page_paths()},
        "webhooks": {"restoreEvent": {"post": _restore_event()}, "recoveryEvent": {"post": _recovery_event()}},
        "components": {
            "schemas": _schemas(),
            "responses": {
                "NotModified": {
                    "description": "If-None-Match names the present answer, which is not sent again.",
                    "headers": _headers("ETag"),
                },
                **{name: _error(status, text) for status, (name, text) in _ERRORS.items()},
            },
            "parameters": {
                "RestoreId": {"name": "id", "in": "path", "required": True, "schema": _STRING},
                "RecoveryId": {"name": "id", "in": "path", "required": True, "schema": _STRING},
                "IfNoneMatch": {
                    "name": "If-None-Match",
                    "in": "header",
                    "schema": _STRING,
                    "description": "The ETag of the answer that the caller has.",
                },
            },
            "headers": {
                "ETag": {"description": "A hash of the answer's body.", "required": True, "schema": _STRING},
                "Location": {"description": "Where the status is.", "required": True, "schema": _LINK},
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


def _restore_paths() -> Json:
    restore_id = {"$ref": "#/components/parameters/RestoreId"}
    recovery_id = _in_query("recoveryId", {**_STRING, "pattern": f"^{ID_PATTERN}$", "description": "Of its members."})
    filters = [_in_query("sourceResourceId", _schema("VirtualMachineId")), recovery_id, *_filters(Status)]
    again = "The same request started this restore before, and it has ended."
    ended = _answer(200, again, api_types.RestoreAccepted, "Location")
    started = [ended, _accepted(), 400, 409, 413, 415, 503]
    page = "Restores, newest first. A page may be short or empty; the last one has no nextLink."
    document = "The restore as it stands."
    return {
        "/restores": {
            "post": _operation("post_restore", "Start a restore, or plan one", started, body="RestoreRequest"),
            "get": _polled("list_restores", "List restores", page, api_types.RestoreList, 400, 503, parameters=filters),
        },
        "/restores/{id}": {
            "parameters": [restore_id],
            "get": _polled("get_restore", "Show a restore", document, api_types.StatusDocument, 404, 503),
        },
        **{
            f"/restores/{{id}}/{verb}": {"parameters": [restore_id], "post": _deciding(f"{verb}_restore", summary)}
            for verb, summary in _DECISIONS.items()
        },
    }


def _plan_paths() -> Json:
    name = {"name": "name", "in": "path", "required": True, "schema": _STRING}
    listing = _answer(200, "The configured plans, in the order of the file.", api_types.RecoveryPlanList)
    plan = _answer(200, "The plan, with what its author wrote.", api_types.RecoveryPlanDocument)
    return {
        "/recovery-plans": {"get": _operation("list_plans", "List the configured recovery plans", [listing, 503])},
        "/recovery-plans/{name}": {
            "parameters": [name],
            "get": _operation("get_plan", "Show a configured recovery plan", [plan, 404, 503]),
        },
    }


def _recovery_paths() -> Json:
    recovery_id = {"$ref": "#/components/parameters/RecoveryId"}
    started = "The recovery is accepted."
    again = "The same call started this recovery before, and it has ended."
    starts = [
        _answer(200, again, api_types.RecoveryAccepted, "Location"),
        _answer(202, started, api_types.RecoveryAccepted, "Location", "Retry-After"),
    ]
    page = "Recoveries, newest first. A page may be short or empty; the last one has no nextLink."
    members = "The members in the order of the plan; none before they are chosen. The last page has no nextLink."
    document = "The recovery as it stands."
    status = {"type": "string", "enum": list(_MEMBER_STATUSES), "description": "Upper and lower case are the same."}
    member_filters = [_in_query("group", _STRING), _in_query("status", status), *_pages(MAX_MEMBERS_SHOWN)]
    filters = _filters(RecoveryStatus)
    return {
        "/recoveries": {
            "post": _operation(
                "post_recovery", "Start a recovery", [*starts, 400, 404, 409, 413, 415, 503], body="RecoveryRequest"
            ),
            "get": _polled(
                "list_recoveries", "List recoveries", page, api_types.RecoveryList, 400, 503, parameters=filters
            ),
        },
        "/recoveries/{id}": {
            "parameters": [recovery_id],
            "get": _polled("get_recovery", "Show a recovery", document, api_types.RecoveryDocument, 404, 503),
        },
        "/recoveries/{id}/members": {
            "parameters": [recovery_id],
            "get": _polled(
                "list_recovery_members",
                "List the members of a recovery",
                members,
                api_types.RecoveryMemberList,
                *(400, 404, 503),
                parameters=member_filters,
            ),
        },
        **{
            f"/recoveries/{{id}}/{command}": {"parameters": [recovery_id], "post": _command_operation(command, summary)}
            for command, summary in _COMMANDS.items()
        },
    }


def _command_operation(command: Command, summary: str) -> Json:
    answer = _answer(202, "The recovery as it stands.", api_types.RecoveryDocument, "Retry-After")
    reader = INSTRUCTIONS[command]
    body = next(name for name, known in _INSTRUCTIONS.items() if known is reader)
    answers = [answer, 400, 404, 409, 413, 415, 503]
    return _operation(f"{command}_recovery", summary, answers, body=body, needed=reader is GROUP_DECISION)


def _other_paths() -> Json:
    vm = {**_in_query("sourceResourceId", _schema("VirtualMachineId")), "required": True}
    needed = "Needed for a virtual machine that is deleted, unless the setting RESTORE_SCOPES names its vault."
    vault = {**_in_query("vaultId", _schema("VaultId")), "description": needed}
    points = [_answer(200, "Recovery points, newest first.", api_types.RecoveryPointList), 400, 404, 502, 503]
    list_points = "List a virtual machine's recovery points, each with a verdict"
    decided = _answer(202, "The decision for each virtual machine of the alert.", api_types.AlertDecisionList)
    decisions = [decided, 400, 413, 415, 503]
    rules = _answer(200, "The rules, and what is wrong with them.", api_types.AlertRuleList)
    health = _answer(200, "The app runs; Azure was not called.", api_types.Health)
    get_health = _operation("get_health", "Return whether the app runs, and its alert rules; needs no key", [health])
    preflight = _answer(
        200, "Each feature at each scope: what is missing there now, and what to do.", api_types.PreflightReport
    )
    itself = {"200": {"description": "This document.", "content": _json({"type": "object"})}}
    return {
        "/recovery-points": {"get": _operation("list_recovery_points", list_points, points, parameters=[vm, vault])},
        "/alerts": {"post": _operation("post_alert", "Receive an alert of Azure Monitor", decisions, body="Alert")},
        "/alert-decisions": {
            "get": _polled(
                "list_alert_decisions",
                "List what the last alerts were answered",
                "Alerts, newest first. A page may be short; the last one has no nextLink.",
                api_types.AlertRecordList,
                *(400, 503),
                parameters=_pages(MAX_SHOWN),
            ),
        },
        "/alert-rules": {"get": _operation("list_alert_rules", "Show the alert rules", [rules])},
        "/health": {"get": {**get_health, "security": []}},
        "/preflight": {"get": _operation("get_preflight", "Check the app's permissions and regions", [preflight])},
        "/openapi.json": {"get": _operation("get_openapi", "Describe the API", [itself])},
    }


def _page_paths() -> Json:
    def files(*media_types: str) -> Json:
        content = {media_type.partition(";")[0]: {"schema": _STRING} for media_type in media_types}
        unchanged = {"$ref": "#/components/responses/NotModified"}
        return {"200": {"description": "The file.", "content": content, "headers": _headers("ETag")}, "304": unchanged}

    if_none_match: Json = {"$ref": "#/components/parameters/IfNoneMatch"}
    name = {"name": "file", "in": "path", "required": True, "schema": _STRING}
    session = _answer(200, "Who calls, and what this caller may do.", api_types.Session)
    page = _operation("get_page", "Show the operator's page", [files(MEDIA_TYPES[".html"])], parameters=[if_none_match])
    file = _operation(
        "get_page_file", "Return a file of the page", [files(*MEDIA_TYPES.values()), 404], parameters=[if_none_match]
    )
    get_session = _operation("get_session", "Return who calls, and with which rights", [session])
    return {
        "/ui": {"get": {**page, "security": []}},
        "/ui/session": {"get": {**get_session, "security": []}},
        "/ui/{file}": {"parameters": [name], "get": {**file, "security": []}},
    }


def _restore_event() -> Json:
    bodies = [_schema(kind.__name__) for kind in (api_types.StatusDocument, api_types.RestoreEvent)]
    return {
        "operationId": "restore_event",
        "summary": "A restore waits for a person, or has ended",
        "description": "A restore that has ended is sent as its status document, one that waits as an event.",
        **_posted("X-Restore-Id", Status, {"oneOf": bodies}),
    }


def _recovery_event() -> Json:
    return {
        "operationId": "recovery_event",
        "summary": "A recovery, or a group of it, waits for a person, or the recovery has ended",
        "description": "The same signature and the same receiver as for restores; the other id says which it is.",
        **_posted("X-Recovery-Id", RecoveryStatus, _schema(api_types.RecoveryEvent.__name__)),
    }


def _posted(id_header: str, events: Iterable[str], body: Json) -> Json:
    """Describe what the app posts to RESTORE_WEBHOOK_URL."""
    headers = {
        "X-Restore-Event": {"type": "string", "enum": list(events)},
        id_header: _STRING,
        "X-Restore-Signature-256": {**_STRING, "description": "sha256= and the HMAC-SHA256 of the body in hex."},
    }
    return {
        "security": [],
        "parameters": [{"name": name, "in": "header", "required": True, "schema": headers[name]} for name in headers],
        "requestBody": {"required": True, "content": _json(body)},
        "responses": {"2XX": {"description": "Received. After any other answer it is posted again, for ten minutes."}},
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
    for answer in answers:
        if isinstance(answer, int):
            responses[str(answer)] = {"$ref": f"#/components/responses/{_ERRORS[answer][0]}"}
        else:
            responses |= answer
    operation: Json = {"operationId": name, "summary": summary, "responses": responses}
    if parameters:
        operation["parameters"] = list(parameters)
    if body is not None:
        operation["requestBody"] = {"required": needed, "content": _json(_schema(body))}
    return operation


def _polled(name: str, summary: str, text: str, kind: type, *failures: int, parameters: Iterable[Json] = ()) -> Json:
    """Describe a GET that may be repeated often: its answer has an ETag."""
    unchanged: Json = {"304": {"$ref": "#/components/responses/NotModified"}}
    if_none_match: Json = {"$ref": "#/components/parameters/IfNoneMatch"}
    answers = [_answer(200, text, kind, "ETag"), unchanged, *failures]
    return _operation(name, summary, answers, parameters=[*parameters, if_none_match])


def _deciding(name: str, summary: str) -> Json:
    answer = _answer(202, "The restore as it stands.", api_types.StatusDocument, "Retry-After")
    is_decision = name != "cancel_restore"
    body = "DecisionRequest" if is_decision else "CancellationRequest"
    return _operation(name, summary, [answer, 400, 404, 409, 413, 415, 503], body=body, needed=is_decision)


def _accepted() -> Json:
    def link(operation: str) -> Json:
        return {"operationId": operation, "parameters": {"id": "$response.body#/id"}}

    answer = _answer(202, "The restore is accepted.", api_types.RestoreAccepted, "Location", "Retry-After")
    followed = ("get_restore", "cancel_restore", "approve_restore", "reject_restore")
    answer["202"]["links"] = {name: link(name) for name in followed}
    return answer


def _answer(status: int, text: str, kind: type, *headers: str) -> Json:
    answer: Json = {"description": text, "content": _json(_schema(kind.__name__))}
    if headers:
        answer["headers"] = _headers(*headers)
    return {str(status): answer}


def _headers(*names: str) -> Json:
    return {name: {"$ref": f"#/components/headers/{name.replace('-', '')}"} for name in names}


def _error(status: int, text: str) -> Json:
    codes = [code for code, its_status in STATUS_OF.items() if its_status == status]
    schema = _schema(api_types.ErrorAnswer.__name__)
    if codes:
        narrowed = {"properties": {"error": {"properties": {"code": {"enum": codes}}}}}
        schema = {"allOf": [schema, narrowed]}
    error: Json = {"description": text, "content": _json(schema)}
    if errors.SERVICE_UNAVAILABLE in codes:
        error["headers"] = {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}}
    return error


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _filters(statuses: Iterable[str]) -> list[Json]:
    """Return the parameters of the list of restores or recoveries."""
    names = {"type": "array", "items": {"type": "string", "enum": list(statuses)}, "minItems": 1}
    told = "Separated by commas: one of these. Upper and lower case are the same."
    searched = (
        "Found in any letter case in the id of the restore, recovery or VM, in plan, requestId, requestedBy, reason."
    )
    time = {**_STRING, "format": "date-time"}
    return [
        {**_in_query("status", names), "style": "form", "explode": False, "description": told},
        {**_in_query("text", string.schema), "description": searched},
        {**_in_query("createdAfter", time), "description": "Created at this time or later."},
        {**_in_query("createdBefore", time), "description": "Created before this time."},
        *_pages(MAX_TOP),
    ]


def _pages(max_top: int) -> list[Json]:
    """Return the parameters of a list that comes in pages."""
    return [
        _in_query("top", {"type": "integer", "minimum": 1, "maximum": max_top, "default": DEFAULT_TOP}),
        _in_query("continuationToken", {**_STRING, "description": "Copied from a nextLink."}),
    ]


def _in_query(name: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "schema": schema}


def _schema(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _schemas() -> Json:
    """Return all schemas by name. ``RequestDocument`` gets all members of a ``RestoreRequest``, as optional ones."""
    asked, answered = _request_schemas(), schemas_of((*api_types.ANSWERS, *api_types.EVENTS))
    shown: Json = answered[api_types.RequestDocument.__name__]
    shown["properties"] = {**asked["RestoreRequest"]["properties"], **shown["properties"]}
    return {**asked, **answered}


def _request_schemas() -> Json:
    """Return the schemas of what callers send; each kind of resource id has a schema of its own."""
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
                "type": "array",
                "items": _STRING,
                "description": f"At most {MAX_VMS} virtual machines; at most {MAX_STARTS} of them are restored.",
            },
        },
        "required": ["alertId", "monitorCondition"],
    }
    data: Json = {"type": "object", "properties": {"essentials": essentials}, "required": ["essentials"]}
    alert: Json = {
        "type": "object",
        "description": "Azure Monitor's common alert schema; the app also reads some members that are not listed here.",
        "properties": {"schemaId": {"type": "string", "const": SCHEMA_ID}, "data": data},
        "required": ["schemaId", "data"],
    }
    return {
        "RestoreRequest": _with_refs(request_schema(), homes),
        **{name: {**schema, "examples": [_example(_IDS[name])]} for schema, name in homes},
        "CancellationRequest": {**CANCELLATION.schema, "description": "Who cancels, and why."},
        "DecisionRequest": {**DECISION.schema, "description": "Who decides, and why."},
        "GroupRequest": {**GROUP_COMMAND.schema, "description": "Which group (default: all), who says so, and why."},
        "GroupDecisionRequest": {
            **GROUP_DECISION.schema,
            "description": "Who decides, why, and about which group (default: all that wait).",
        },
        "RecoveryRequest": _with_refs(_with_components(RECOVERY_REQUEST.schema), homes),
        **_with_components(placeholder_definitions(VM_PLACEHOLDERS)),
        "Alert": alert,
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
    return _schema(home) if home else {name: _with_refs(part, homes) for name, part in cast("Json", schema).items()}
