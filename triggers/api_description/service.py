"""The routes about the app itself, and those of its page, as OpenAPI describes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain import api_types
from triggers.api_description.operations import (
    IF_NONE_MATCH,
    STRING,
    UNCHANGED,
    answer_of_type,
    header_refs,
    json_content,
    operation,
)
from triggers.page import MEDIA_TYPES

if TYPE_CHECKING:
    from domain.errors import Json


def service_paths() -> Json:
    """Describe the routes that say whether the app runs, what it may do, and what its API is."""
    health = answer_of_type(200, "The app runs; Azure was not called.", api_types.Health)
    get_health = operation("get_health", "Return whether the app runs, and its alert rules; needs no key", [health])
    preflight = answer_of_type(
        200, "Each feature at each scope: what is missing there now, and what to do.", api_types.PreflightReport
    )
    itself = {"200": {"description": "This document.", "content": json_content({"type": "object"})}}
    return {
        "/health": {"get": {**get_health, "security": []}},
        "/preflight": {"get": operation("get_preflight", "Check the app's permissions and regions", [preflight])},
        "/openapi.json": {"get": operation("get_openapi", "Describe the API", [itself])},
    }


def page_paths() -> Json:
    """Describe the routes of the operator's page, which need no key."""

    def files(*media_types: str) -> Json:
        content = {media_type.partition(";")[0]: {"schema": STRING} for media_type in media_types}
        return {"200": {"description": "The file.", "content": content, "headers": header_refs("ETag")}, **UNCHANGED}

    name = {"name": "file", "in": "path", "required": True, "schema": STRING}
    session = answer_of_type(200, "Who calls, and what this caller may do.", api_types.Session)
    page = operation("get_page", "Show the operator's page", [files(MEDIA_TYPES[".html"])], parameters=[IF_NONE_MATCH])
    file = operation(
        "get_page_file", "Return a file of the page", [files(*MEDIA_TYPES.values()), 404], parameters=[IF_NONE_MATCH]
    )
    get_session = operation("get_session", "Return who calls, and with which rights", [session])
    return {
        "/ui": {"get": {**page, "security": []}},
        "/ui/session": {"get": {**get_session, "security": []}},
        "/ui/{file}": {"parameters": [name], "get": {**file, "security": []}},
    }
