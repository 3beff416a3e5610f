"""The operator's page: its static files, and what it has to know before it asks for anything else.

The files hold no data, so everybody may read them; what they show comes from the routes of the JSON API.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import azure.durable_functions as df
import azure.functions as func

from domain import errors
from domain.api_types import Session
from domain.errors import RestoreError, TerminalError
from domain.principal import ALL_RIGHTS
from triggers.answers import error_response, etag_of, has_etag, json_response
from triggers.people import principal_of

if TYPE_CHECKING:
    from triggers.people import Authentication

_FOLDER: Final = Path(__file__).parent / "ui"
_INDEX: Final = "index.html"
MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
"""The kinds of files that are served, by the end of their names."""
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",  # a browser asks each time, and mostly gets 304
}
"""What every answer with a file of the page, or with 304 for one, says to browsers."""


@dataclass(frozen=True, slots=True)
class _File:
    text: str
    media_type: str
    etag: str

    @classmethod
    def read(cls, path: Path) -> _File:
        text = path.read_text(encoding="utf-8")
        return cls(text, MEDIA_TYPES[path.suffix], etag_of(text))


# Read at the start: no name from a request reaches the disk.
_FILES: Final = {path.name: _File.read(path) for path in sorted(_FOLDER.iterdir()) if path.suffix in MEDIA_TYPES}


class PageApi:
    """The routes of the page. ``version`` is the app's."""

    def __init__(self, *, version: str, authentication: Authentication) -> None:
        self._version = version
        self._authentication = authentication

    def get_page(self, req: func.HttpRequest) -> func.HttpResponse:
        """200 with the page, or 304."""
        if urlsplit(req.url).path.endswith("/"):  # the page's links are relative, so the slash would break them
            return func.HttpResponse(status_code=308, headers={"Location": "../ui", **HEADERS})
        return _answer(req, _FILES[_INDEX])

    def get_page_file(self, req: func.HttpRequest) -> func.HttpResponse:
        """200 with a file of the page, 304, or 404."""
        file = _FILES.get(req.route_params.get("file", ""))
        if file is None:
            return error_response(TerminalError(errors.NOT_FOUND, "The page has no file of this name."))
        return _answer(req, file)

    def get_session(self, req: func.HttpRequest) -> func.HttpResponse:
        """200 with who calls, and what this caller may do.

        With function keys the host shows no name, and a key gives all rights.
        """
        name, rights = None, ALL_RIGHTS
        if self._authentication.is_app_service:
            try:
                principal = principal_of(req)
            except RestoreError:
                rights = ()
            else:
                name, rights = principal.name, principal.rights
        session = Session(authentication=self._authentication.by, name=name, may=rights, version=self._version)
        return json_response(200, session, {"Cache-Control": "no-store"})


def _answer(req: func.HttpRequest, file: _File) -> func.HttpResponse:
    headers = {**HEADERS, "ETag": file.etag, "Content-Type": file.media_type}
    if has_etag(req, file.etag):
        return func.HttpResponse(status_code=304, headers=headers)
    return func.HttpResponse(file.text, headers=headers)


def blueprint(api: PageApi) -> df.Blueprint:
    """Return the routes as functions of the app. They need no key: a browser that opens a page sends none."""
    bp = df.Blueprint()
    bp.route(route="ui", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)(api.get_page)
    bp.route(route="ui/session", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)(api.get_session)
    bp.route(route="ui/{file}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)(api.get_page_file)
    return bp
