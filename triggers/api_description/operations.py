"""The parts of which each description of an operation is made: its parameters, its body and its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from domain import api_types, errors
from domain.reading import string
from triggers.answers import STATUS_OF
from triggers.parameters import DEFAULT_TOP, MAX_TOP

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from domain.errors import Json

ERRORS: Final[Mapping[int, tuple[str, str]]] = {
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
"""For each HTTP status of an error: the name of its response, and what it means."""
STRING: Final[Json] = {"type": "string"}
IF_NONE_MATCH: Final[Json] = {"$ref": "#/components/parameters/IfNoneMatch"}
UNCHANGED: Final[Json] = {"304": {"$ref": "#/components/responses/NotModified"}}


def operation(
    name: str,
    summary: str,
    answers: Iterable[Json | int],
    *,
    parameters: Iterable[Json] = (),
    body: str | None = None,
    needed: bool = True,
) -> Json:
    """Describe one function by its name in the app.

    ``answers`` are descriptions by their HTTP status; a number is the HTTP status of an error (``ERRORS``). ``body`` is
    the name of the body's schema, ``needed`` whether a body must be sent.
    """
    responses: Json = {}
    for answer in answers:
        if isinstance(answer, int):
            responses[str(answer)] = {"$ref": f"#/components/responses/{ERRORS[answer][0]}"}
        else:
            responses |= answer
    described: Json = {"operationId": name, "summary": summary, "responses": responses}
    if parameters:
        described["parameters"] = list(parameters)
    if body is not None:
        described["requestBody"] = {"required": needed, "content": json_content(schema_ref(body))}
    return described


def polled_get(name: str, summary: str, text: str, kind: type, *failures: int, parameters: Iterable[Json] = ()) -> Json:
    """Describe a GET that may be repeated often: its answer has an ETag. ``text`` says what a body of ``kind`` is."""
    answers = [answer_of_type(200, text, kind, "ETag"), UNCHANGED, *failures]
    return operation(name, summary, answers, parameters=[*parameters, IF_NONE_MATCH])


def answer_of_type(status: int, text: str, kind: type, *headers: str) -> Json:
    """Describe an answer with a body of this type of ``domain/api_types.py``, and with these headers."""
    answer: Json = {"description": text, "content": json_content(schema_ref(kind.__name__))}
    if headers:
        answer["headers"] = header_refs(*headers)
    return {str(status): answer}


def header_refs(*names: str) -> Json:
    """Return references to the headers of the components, by the names of the headers."""
    return {name: {"$ref": f"#/components/headers/{name.replace('-', '')}"} for name in names}


def error_answer(status: int, text: str) -> Json:
    """Describe the answer to an error, with the codes that go with its HTTP status."""
    codes = [code for code, its_status in STATUS_OF.items() if its_status == status]
    schema = schema_ref(api_types.ErrorAnswer.__name__)
    if codes:
        narrowed = {"properties": {"error": {"properties": {"code": {"enum": codes}}}}}
        schema = {"allOf": [schema, narrowed]}
    error: Json = {"description": text, "content": json_content(schema)}
    if errors.SERVICE_UNAVAILABLE in codes:
        error["headers"] = {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}}
    return error


def json_content(schema: Json) -> Json:
    """Return the content of a body in JSON."""
    return {"application/json": {"schema": schema}}


def posted_event(id_header: str, events: Iterable[str], body: Json) -> Json:
    """Describe what the app posts to RESTORE_WEBHOOK_URL."""
    headers = {
        "X-Restore-Event": {"type": "string", "enum": list(events)},
        id_header: STRING,
        "X-Restore-Signature-256": {**STRING, "description": "sha256= and the HMAC-SHA256 of the body in hex."},
    }
    return {
        "security": [],
        "parameters": [{"name": name, "in": "header", "required": True, "schema": headers[name]} for name in headers],
        "requestBody": {"required": True, "content": json_content(body)},
        "responses": {"2XX": {"description": "Received. After any other answer it is posted again, for ten minutes."}},
    }


def list_parameters(statuses: Iterable[str]) -> list[Json]:
    """Return the parameters of the list of restores or recoveries."""
    names = {"type": "array", "items": {"type": "string", "enum": list(statuses)}, "minItems": 1}
    told = "Separated by commas: one of these. Upper and lower case are the same."
    searched = (
        "Found in any letter case in the id of the restore, recovery or VM, in plan, requestId, requestedBy, reason."
    )
    time = {**STRING, "format": "date-time"}
    return [
        {**in_query("status", names), "style": "form", "explode": False, "description": told},
        {**in_query("text", string.schema), "description": searched},
        {**in_query("createdAfter", time), "description": "Created at this time or later."},
        {**in_query("createdBefore", time), "description": "Created before this time."},
        *page_parameters(MAX_TOP),
    ]


def page_parameters(max_top: int) -> list[Json]:
    """Return the parameters of a list that comes in pages."""
    return [
        in_query("top", {"type": "integer", "minimum": 1, "maximum": max_top, "default": DEFAULT_TOP}),
        in_query("continuationToken", {**STRING, "description": "Copied from a nextLink."}),
    ]


def in_query(name: str, schema: Json) -> Json:
    """Describe an optional parameter of the query."""
    return {"name": name, "in": "query", "schema": schema}


def schema_ref(name: str) -> Json:
    """Return a reference to a schema of the components."""
    return {"$ref": f"#/components/schemas/{name}"}
