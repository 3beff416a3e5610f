"""URLs: built from encoded names, each in its own path segment, and checked before a token is sent to them."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote, urlencode

from domain.errors import ErrorDetail, InvalidRequestError
from domain.wire import as_name
from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_SIGNATURE_PARAMETERS: Final = frozenset({"t", "c", "s", "h", "sig"})
_MAX_URL_LENGTH: Final = 4000
_PRINTABLE_ASCII: Final = re.compile(r"[\x21-\x7e]+")


def _segment(name: str) -> str:
    """Return a name as one percent-encoded path segment (``;`` becomes ``%3B``)."""
    if name in {"", ".", ".."}:  # encoding does not make these safe
        problem = ErrorDetail(code="InvalidValue", message=f"{name!r} cannot be part of a resource id")
        raise InvalidRequestError([problem])
    return quote(name, safe="")


def resource_path(resource_id: str, *names: str) -> str:
    """Return the path of a resource id with ``names`` appended, encoded segment by segment.

    Raises ``InvalidRequestError`` when a segment is empty, ``.`` or ``..``.
    """
    return "".join(f"/{_segment(name)}" for name in (*resource_id.strip("/").split("/"), *names))


def with_query(path: str, api_version: str, expression: str | None = None) -> str:
    """Append ``api-version`` and, if there is an expression, ``$filter`` to a path."""
    query = {"api-version": api_version} | ({} if expression is None else {"$filter": expression})
    return f"{path}?{urlencode(query, quote_via=quote)}"


def _parse(url: str) -> Url | None:
    # The parser that the HTTP client uses: another parser might find another host in the same text.
    try:
        return parse_url(url)
    except LocationParseError:
        return None


def _origin(url: str) -> tuple[str, str, int | None] | None:
    parsed = _parse(url)
    if parsed is None or parsed.scheme is None or parsed.host is None or parsed.auth is not None:
        return None
    return parsed.scheme, parsed.host, parsed.port or _DEFAULT_PORTS.get(parsed.scheme)


def has_origin(url: str, endpoint: str) -> bool:
    """Return whether the URL has the endpoint's scheme, host and port, and no user name."""
    return (origin := _origin(url)) is not None and origin == _origin(endpoint)


def path_of(url: str) -> str:
    """Return the path of a URL, for messages and logs: the query of an async URL contains a signature."""
    parsed = _parse(url)
    return (parsed.path if parsed is not None else None) or "/"


def operation_id_of(url: str) -> str | None:
    """Return the last path segment of the URL, decoded, or ``None`` when it cannot be a name."""
    name = as_name(unquote(path_of(url).rpartition("/")[2]))
    return None if name in {".", ".."} else name


def without_signature(url: str) -> str:
    """Return an async URL without ``t``, ``c``, ``s`` and ``h``, the signature that the service adds since 2025.

    Reading works without it, and a URL that is stored must not grant access. The rest of the URL is unchanged.
    """
    base, separator, query = url.partition("?")
    kept = [pair for pair in query.split("&") if pair.partition("=")[0] not in _SIGNATURE_PARAMETERS]
    return f"{base}{separator if kept else ''}{'&'.join(kept)}"


def is_results_url(url: str) -> bool:
    """Return whether this is an ``…operationResults/{id}`` URL: it answers by status code, without a status body."""
    segments = path_of(url).split("/")
    return len(segments) > 1 and segments[-2].casefold().endswith("operationresults")


def is_usable(url: str, endpoint: str) -> bool:
    """Return whether an async URL may be called and stored.

    It must be on the endpoint's host, because a token is sent to it; short enough for the history; and valid as it is,
    because the HTTP client would silently repair it. Microsoft's documentation once showed a ``Location`` with
    ``/subscriptions//subscriptions/``, which does not work.
    """
    return (
        len(url) <= _MAX_URL_LENGTH
        and _PRINTABLE_ASCII.fullmatch(url) is not None
        and has_origin(url, endpoint)
        and "/subscriptions//subscriptions/" not in path_of(url).casefold()
    )
