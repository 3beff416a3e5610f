"""Result messages: a status document as a queue can carry it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, cast

from domain.wire import as_list, as_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from domain.errors import Json

_MAX_BYTES: Final = 48_000
"""Azure Storage takes 64 KiB a message, of which base64 leaves three quarters."""

_LONGEST_TEXT: Final = 100
_MOST_ENTRIES: Final = 5
_IDENTITY: Final = ("id", "sourceResourceId", "requestId", "jobId", "operationId", "vaultId", "links")


def _without_the_bulk(document: Json) -> Json:
    result = dict(as_object(document["result"]))
    if "propertyBag" in result:
        result["propertyBag"] = {}
    if "plan" in result:
        result["plan"] = {**as_object(result["plan"]), "candidates": []}
    return {**document, "result": result or None}


def _with_few_words(document: Json) -> Json:
    error = dict(as_object(document["error"]))
    if error:
        error["details"] = as_list(error.get("details"))[:_MOST_ENTRIES]
    return {**document, "error": error or None, "warnings": as_list(document["warnings"])[-_MOST_ENTRIES:]}


def _with_short_texts(document: Json) -> Json:
    short = as_object(_shortened({**document, "result": None}))
    return {**short, **{name: document[name] for name in _IDENTITY}}


def _shortened(value: object) -> object:
    if isinstance(value, str):
        return value[:_LONGEST_TEXT]
    if isinstance(value, dict):
        return {name: _shortened(each) for name, each in cast("Json", value).items()}
    if isinstance(value, list):
        return [_shortened(each) for each in cast("list[object]", value)]
    return value


def _without_details(document: Json) -> Json:
    error = as_object(document["error"])
    return {**document, "error": {**error, "details": []} if error else None, "warnings": []}


_CUTS: Final[tuple[Callable[[Json], Json], ...]] = (
    _without_the_bulk,
    _with_few_words,
    _with_short_texts,
    _without_details,
)


def result_message(document: Json) -> str:
    """Return the text of a restore's message on the results queue: the status document, cut only where it must be.

    A cut one says so with the warning ``ResultCut``; ``GET /api/restores/{id}`` has the whole document.
    """
    for cut in _CUTS:
        if _size_as_sent(document) <= _MAX_BYTES:
            break
        document = cut(document)
        message = f"The document was too long for a queue message; GET /api/restores/{document['id']} has all of it."
        others = [each for each in as_list(document["warnings"]) if as_object(each).get("code") != "ResultCut"]
        document = {**document, "warnings": [*others, {"code": "ResultCut", "message": message}]}
    return json.dumps(document)


def _size_as_sent(document: Json) -> int:
    """Return the bytes of a message: the Functions host writes JSON anew, indented, with its system's line ends.

    Measured as ASCII, which is never shorter than what the host writes.
    """
    text = json.dumps(document, indent=2)
    return len(text) + text.count("\n")
