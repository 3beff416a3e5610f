"""Status documents where space is limited: truncated until they fit, and as messages of the app's output queues."""

from __future__ import annotations

import json
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Final, cast

from domain.queue_text import encoded
from domain.warning_codes import WarningCode
from domain.wire import as_list, as_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from domain.errors import Json

_MAX_MESSAGE_BYTES: Final = 48_000
"""Azure Storage accepts 64 KiB per message; base64 leaves three quarters of that."""

_MAX_WARNINGS: Final = 5
_MAX_REQUEST: Final = 2000  # characters of JSON; most requests have half of it
_IDENTITY: Final = (
    *("id", "sourceResourceId", "requestId", "jobId", "operationId", "vaultId", "recoveryId", "links"),
    *("status", "phase", "createdTime", "lastUpdatedTime", "completedTime", "nextPollTime"),
)
"""The members that are never truncated: they identify the restore and say how far it has come."""


def fit(document: Json, *, size_of: Callable[[Json], int], max_size: int) -> Json:
    """Return the status document, cut no further than needed for ``size_of(document) <= max_size``.

    The cuts become more severe from one to the next. The members that identify the restore stay whole, so the result
    is larger than ``max_size`` if they alone are.
    """
    for cut in _CUTS:
        if size_of(document) <= max_size:
            break
        document = cut(document)
    return document


def result_message(document: Json) -> str:
    """Return the message for the results queue: base64 of the status document, which is cut only if it is too long.

    A document that was cut has the warning ``ResultCut``; ``GET /api/restores/{id}`` returns the whole document.
    """
    return _message(document, lambda document: document)


def event_message(event: Json) -> str:
    """Return the message for the events queue: base64 of the event, whose document is cut only if it is too long."""
    return _message(event["restore"], lambda document: {**event, "restore": document})


def recovery_event_message(event: Json) -> str:
    """Return the message for the events queue: base64 of a recovery's event, cut if it is too long.

    A document that was cut says so (``cut``); ``GET /api/recoveries/{id}`` returns all of it.
    """
    for member in ("failedMembers", "warnings", "result", "groups"):
        if _sent_size(event) <= _MAX_MESSAGE_BYTES:
            break
        short: list[Json] | None = None if member == "result" else []
        event = {**event, "recovery": {**event["recovery"], member: short, "cut": True}}
    return encoded(json.dumps(event))


def _message(document: Json, content_of: Callable[[Json], Json]) -> str:
    """Return the message for an output queue; ``content_of`` returns the content of the message for a document."""
    if _sent_size(content_of(document)) > _MAX_MESSAGE_BYTES:
        cut = fit(document, size_of=lambda cut: _sent_size(content_of(_with_notice(cut))), max_size=_MAX_MESSAGE_BYTES)
        document = _with_notice(cut)
    return encoded(json.dumps(content_of(document)))


def _sent_size(document: Json) -> int:
    """Return the size in bytes of the JSON, which is ASCII."""
    return len(json.dumps(document))


def _with_notice(document: Json) -> Json:
    message = f"The document was too long for a queue message; GET /api/restores/{document['id']} returns all of it."
    return {
        **document,
        "warnings": [*as_list(document["warnings"]), {"code": WarningCode.RESULT_CUT, "message": message}],
    }


def _without_long_request(document: Json) -> Json:
    """Return the document with only the target of its request, if the request is unusually long."""
    request = as_object(document.get("request"))
    is_long = len(json.dumps(request)) > _MAX_REQUEST
    return {**document, "request": {"target": request.get("target")}} if is_long else document


def _without_bulk(document: Json) -> Json:
    """Return the document without the job's property bag, the candidates of a plan, and a VM's former disks."""
    result = dict(as_object(document["result"]))
    if "propertyBag" in result:
        result["propertyBag"] = {}
    if "plan" in result:
        result["plan"] = {**as_object(result["plan"]), "candidates": []}
    if "swap" in result:
        result["swap"] = _short_swap(result["swap"])
    shown = {"swap": _short_swap(document["swap"])} if "swap" in document else {}
    return {**document, **shown, "result": result or None}


def _short_swap(swap: object) -> Json:
    return {**as_object(swap), "formerStorageProfile": None}


def _without_phases(document: Json) -> Json:
    return {name: value for name, value in document.items() if name != "phases"}


def _without_places(document: Json) -> Json:
    """Return the document without the disks of a swap or of an attachment that runs; its result will have them."""
    lists: Json = {"swap": {"disks": []}, "attachment": {"disks": [], "others": [], "deleted": []}}
    short = {name: {**as_object(document[name]), **empty} for name, empty in lists.items() if name in document}
    return {**document, **short}


def _with_details(document: Json, *, count: int) -> Json:
    """Return the document with the first ``count`` details of its error and with its last few warnings."""
    error, warnings = as_object(document["error"]), as_list(document["warnings"])[-_MAX_WARNINGS:]
    details = as_list(error.get("details"))[:count]
    return {**document, "error": {**error, "details": details} if error else None, "warnings": warnings}


def _without_request(document: Json) -> Json:
    return {**document, "request": None}


def _with_texts(document: Json, *, max_size: int) -> Json:
    """Return the document with long texts truncated and long members of its result ``None``.

    A truncated address or request body would be wrong, not only short.
    """
    result = as_object(document["result"]).items()
    short = {name: value for name, value in document.items() if name not in _IDENTITY}
    short["result"] = {name: value if len(json.dumps(value)) <= max_size else None for name, value in result} or None
    return {**document, **as_object(_truncated(short, max_size))}


def _truncated(value: object, max_size: int) -> object:
    """Return the JSON value with each text truncated to this size as JSON, where one character may need twelve."""
    if isinstance(value, str):
        sizes = accumulate(len(json.dumps(character)) - 2 for character in value[:max_size])
        return value[: sum(size <= max_size for size in sizes)]
    if isinstance(value, dict):
        return {name: _truncated(member, max_size) for name, member in cast("Json", value).items()}
    if isinstance(value, list):
        return [_truncated(entry, max_size) for entry in cast("list[object]", value)]
    return value


def _without_objects(document: Json) -> Json:
    """Return the document with only its identity, its texts, and the code and message of its error."""
    error = as_object(document["error"])
    short: Json = {"code": error.get("code"), "message": error.get("message"), "details": []}
    kept = {name: value if name in _IDENTITY or isinstance(value, str) else None for name, value in document.items()}
    return {**kept, "error": short if error else None, "warnings": []}


_CUTS: Final[tuple[Callable[[Json], Json], ...]] = (
    _without_long_request,
    _without_bulk,
    _without_phases,
    _without_places,
    partial(_with_details, count=5),
    _without_request,
    partial(_with_texts, max_size=1000),
    partial(_with_details, count=0),
    partial(_with_texts, max_size=200),
    _without_objects,
)
