"""HTTP requests and answers: reading JSON bodies, writing answers and errors in ARM's shape."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

import azure.functions as func
import grpc

from domain import errors
from domain.api_types import ErrorAnswer
from domain.codec import as_json
from domain.errors import InvalidRequestError, RestoreError, TransientError
from domain.people import is_named
from domain.reading import INVALID_VALUE, Problems, an_object, one_of, prose, strict_json
from domain.request_schema import BEFORE_SWAP, BEFORE_TRIGGER
from domain.restore.document import links_of
from triggers.starting import now

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from domain.errors import Json
    from domain.reading import Reader

_LOG = logging.getLogger(__name__)
MAX_BODY_BYTES: Final = 1024 * 1024
START_POLLING_S: Final = 5
"""The ``Retry-After`` of a 202: short enough to see the phases change, long enough to spare the task hub."""

STATUS_OF: Final[Mapping[str, int]] = {
    errors.INVALID_REQUEST: 400,
    errors.AUTHENTICATION_REQUIRED: 401,
    errors.NOT_FOUND: 404,
    errors.NOT_PROTECTED: 404,
    errors.REQUEST_CONFLICT: 409,
    errors.REQUEST_ID_REUSED: 409,
    errors.REQUEST_TOO_LARGE: 413,
    errors.UNSUPPORTED_MEDIA_TYPE: 415,
    errors.INTERNAL_ERROR: 500,
    errors.SERVICE_UNAVAILABLE: 503,
    errors.VAULT_BLOCKED: 503,
}
NAMED_PERSON: Final = replace(
    prose.also(lambda name: None if is_named(name) else "must not be empty: it says who decides"),
    schema={**prose.schema, "pattern": rf"{prose.schema['pattern']}[\s\S]*\S"},
)
CANCELLATION: Final = an_object({"by": prose, "comment": prose})
WHICH_DECISION: Final = one_of(BEFORE_TRIGGER, BEFORE_SWAP).described(
    "Which decision this is, if the restore asks for two (`approval.before`). Left out: the one that it waits for."
)
DECISION: Final = an_object({"by": NAMED_PERSON, "comment": prose, "before": WHICH_DECISION}, needed=("by",))
_FIRST_ROUTE: Final = re.compile(r"/(restores|recoveries|recovery-plans|alert-decisions)(?=/|$)")
_BAD_GATEWAY: Final = 502  # Azure refused the app's call, which is not the caller's fault


type _Route[**P] = Callable[P, Coroutine[Any, Any, func.HttpResponse]]


def answering[**P](route: _Route[P]) -> _Route[P]:
    """Turn a route's exceptions into answers: errors in ARM's shape, and 503 if the task hub does not answer."""

    @functools.wraps(route)
    async def answer(*args: P.args, **kwargs: P.kwargs) -> func.HttpResponse:
        try:
            return await route(*args, **kwargs)
        except RestoreError as error:
            return error_response(error)
        except grpc.RpcError:
            _LOG.exception("the task hub did not answer")
            message = (
                "The app's task hub did not answer. Send the same request again. If it starts a restore or a recovery "
                "without a requestId, look first in GET /api/restores or GET /api/recoveries: it may be accepted."
            )
            return error_response(TransientError(errors.SERVICE_UNAVAILABLE, message))

    return answer


def json_response(status_code: int, body: object, headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    """Return a JSON answer; ``body`` is JSON, or one of ``domain.api_types``."""
    text = json.dumps(as_json(body))
    return func.HttpResponse(text, status_code=status_code, headers=headers, mimetype="application/json")


def fresh_response(req: func.HttpRequest, body: object) -> func.HttpResponse:
    """Return 200 with a JSON answer and its ``ETag``; 304 without a body if ``If-None-Match`` of the caller has it.

    The answer is made anew for each request, so a 304 is never about an old state. Whoever keeps it must ask again.
    """
    text = json.dumps(as_json(body))
    headers = {"ETag": etag_of(text), "Cache-Control": "private, no-cache"}
    if has_etag(req, headers["ETag"]):
        # The type is that of the 200, because a cache takes it over.
        return func.HttpResponse(status_code=304, headers=headers, mimetype="application/json")
    return func.HttpResponse(text, headers=headers, mimetype="application/json")


def etag_of(text: str) -> str:
    """Return the strong entity tag of a body: a hash of all of it, in double quotes (RFC 9110, section 8.8.3)."""
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def has_etag(req: func.HttpRequest, etag: str) -> bool:
    """Return whether ``If-None-Match`` names this entity tag, or any (``*``).

    As RFC 9110 (section 13.1.2) says for this header, ``W/`` does not count: what compresses answers may add it.
    """
    named = cast("Mapping[str, str]", req.headers).get("If-None-Match", "")
    tags = [tag.strip().removeprefix("W/") for tag in named.split(",")]
    return etag in tags or tags == ["*"]


def error_response(error: RestoreError, status_code: int | None = None) -> func.HttpResponse:
    """Return an error in ARM's shape ``{"error": {"code", "message", "details"}}``, with the status of its code."""
    headers: dict[str, str] = {}
    if isinstance(error, TransientError):
        headers["Retry-After"] = str(round(error.retry_after_s or START_POLLING_S) or 1)
    status_code = status_code or STATUS_OF.get(error.code, _BAD_GATEWAY)
    return json_response(status_code, ErrorAnswer(error=error.to_json()), headers)


def invalid(target: str | None, message: str) -> InvalidRequestError:
    """Return the error for one wrong parameter or member; ``target`` is ``None`` for the body itself."""
    problems = Problems()
    problems.add(INVALID_VALUE, target, message)
    return InvalidRequestError(problems.found)


def parse_json(body: bytes) -> Any:
    """Parse a body; raises ``InvalidRequestError`` for anything but strict JSON in UTF-8 without duplicate members."""
    try:
        return strict_json(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise invalid(None, "The body must be JSON: it is not UTF-8") from error
    except ValueError as error:
        raise invalid(None, f"The body must be JSON: {error}") from error


def media_type_of(req: func.HttpRequest) -> str:
    """Return the media type of the body in lower case, without parameters; an empty text if none is given."""
    headers = cast("Mapping[str, str]", req.headers)
    return headers.get("Content-Type", "").partition(";")[0].strip().casefold()


def read_json(req: func.HttpRequest) -> Any:
    """Read a request's JSON body; raises the errors that answer 400, 413 and 415."""
    body = req.get_body()
    if len(body) > MAX_BODY_BYTES:
        message = f"The body has {len(body)} bytes; {MAX_BODY_BYTES} are allowed."
        raise RestoreError(errors.REQUEST_TOO_LARGE, message)
    media_type = media_type_of(req)
    if media_type and media_type != "application/json" and not media_type.endswith("+json"):
        message = f"Content-Type is {media_type!r}; send application/json."
        raise RestoreError(errors.UNSUPPORTED_MEDIA_TYPE, message)
    return parse_json(body)


def read_optional_json(req: func.HttpRequest) -> Any:
    """Read a JSON body as ``read_json`` does; a missing one, and ``null``, count as an empty object."""
    body = read_json(req) if req.get_body().strip() else None
    return {} if body is None else body


def read_person(body: Any, reader: Reader) -> Json:
    """Return who cancels or decides, and why; ``reader`` is ``CANCELLATION`` or ``DECISION``.

    Raises ``InvalidRequestError``.
    """
    problems = Problems()
    person: Json = reader(body, "", problems)
    if problems.found:
        raise InvalidRequestError(problems.found)
    return {name: text.strip() for name, text in person.items()}


def origin_of(req: func.HttpRequest) -> str:
    """Return scheme, host and route prefix of the caller's request, such as ``https://app.example/api``."""
    parts = urlsplit(req.url)
    found = _FIRST_ROUTE.search(parts.path)
    return f"{parts.scheme}://{parts.netloc}{parts.path[: found.start()] if found else '/api'}"


def with_absolute_links(document: Json, req: func.HttpRequest) -> Json:
    """Return a status document with absolute links to what can be done with the restore now."""
    return {**document, "links": links_of(document, now(), origin_of(req))}
