"""URLs: made from names that cannot break out of their segment, and judged before a token goes to them."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote, urlencode

from domain.errors import ErrorDetail, InvalidRequestError
from domain.wire import as_name
from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_SIGNATURE_MEMBERS: Final = frozenset({"t", "c", "s", "h", "sig"})
_LONGEST_URL: Final = 4000
_PLAIN_URL: Final = re.compile(r"[\x21-\x7e]+")


def segment(name: str) -> str:
    """Return a name as one percent-encoded path segment (``;`` becomes ``%3B``).

    Raises ``InvalidRequestError`` for an empty name and for ``.`` and ``..``, which no encoding makes harmless.
    """
    if name in {"", ".", ".."}:
        problem = ErrorDetail(code="InvalidValue", message=f"{name!r} cannot be part of a resource id")
        raise InvalidRequestError([problem])
    return quote(name, safe="")


def resource_path(resource_id: str, *names: str) -> str:
    """Return the path of a resource id, encoded segment by segment, with further names appended to it."""
    return "".join(f"/{segment(name)}" for name in (*resource_id.strip("/").split("/"), *names))


def with_query(path: str, api_version: str, expression: str | None = None) -> str:
    """Append ``api-version`` and, where given, ``$filter`` to a path."""
    query = {"api-version": api_version} | ({} if expression is None else {"$filter": expression})
    return f"{path}?{urlencode(query, quote_via=quote)}"


def _parse(url: str) -> Url | None:
    # The parser that the HTTP client uses: another one could see another host in the same text.
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
    """Tell whether scheme, host and port of the URL are the endpoint's; a URL with a user name in it never is."""
    return (origin := _origin(url)) is not None and origin == _origin(endpoint)


def path_of(url: str) -> str:
    """Return the URL's path without its query, for messages and logs: the query of an async URL is a signature."""
    parsed = _parse(url)
    return (parsed.path if parsed is not None else None) or "/"


def operation_id_of(url: str) -> str | None:
    """Return the last segment of the URL's path, decoded, or ``None`` where there is no usable one."""
    name = as_name(unquote(path_of(url).rpartition("/")[2]))
    return None if name in {".", ".."} else name


def without_signature(url: str) -> str:
    """Return an async URL without ``t``, ``c``, ``s`` and ``h``, with which the service signs it since 2025.

    Reads work without them, and an address that is kept should open nothing. All else stays as it was given.
    """
    address, mark, query = url.partition("?")
    kept = [each for each in query.split("&") if each.partition("=")[0] not in _SIGNATURE_MEMBERS]
    return f"{address}{mark if kept else ''}{'&'.join(kept)}"


def is_results_url(url: str) -> bool:
    """Tell whether this is an ``…operationResults/{id}`` address: it answers by status code, without a status body."""
    segments = path_of(url).split("/")
    return len(segments) > 1 and segments[-2].casefold().endswith("operationresults")


def is_usable(url: str, endpoint: str) -> bool:
    """Tell whether an async URL may and can be called.

    Not one of another host: no token leaves for it. Not one with a doubled ``/subscriptions//subscriptions/`` either,
    as Microsoft's documentation once showed in a ``Location``, nor one that is too long to be kept or no
    URL as it stands, which the client would mend in its own way.
    """
    return (
        len(url) <= _LONGEST_URL
        and _PLAIN_URL.fullmatch(url) is not None
        and has_origin(url, endpoint)
        and "/subscriptions//subscriptions/" not in path_of(url).casefold()
    )
