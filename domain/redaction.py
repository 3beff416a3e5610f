"""Removal of secrets from texts of other services, which get into logs, histories and results."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from re import Match

_REMOVED: Final = "(removed)"
_HARMLESS_PARAMETERS: Final = frozenset({"api-version", "linkid", "clcid"})
_URL_QUERY: Final = re.compile(
    r"(?P<url>\b[a-z][a-z0-9+.-]{1,20}://[^\s\"'<>?]*)\?(?P<query>[^\s\"'<>]*)", re.IGNORECASE
)
_SECRETS: Final = (
    (re.compile(r"\b(bearer|sharedkey(?:lite)?|basic)\s+[\w.~+/=:-]{16,}", re.IGNORECASE), rf"\1 {_REMOVED}"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?"), _REMOVED),
    (
        re.compile(
            r"\b(account_?key|shared_?access_?(?:key|signature)|client_?secret|password|(?:access|refresh)_?token"
            r"|x-identity-header|sig|signature)(\\?\"?\s*[=:]\s*\\?\"?)[^\s\"'&,;\\]+",
            re.IGNORECASE,
        ),
        rf"\1\2{_REMOVED}",
    ),
    # The signature in the URL of an asynchronous operation, if the text has the URL without scheme and host.
    (re.compile(r"([?&][tcsh]=)[\w%~.-]{16,}"), rf"\1{_REMOVED}"),
)


def redacted(text: str) -> str:
    """Return the text without secrets: tokens, keys, signatures, and the queries of URLs.

    ``api-version`` and the parameters of Microsoft's help links stay in a query. A second pass changes nothing.
    """
    text = _URL_QUERY.sub(_url_without_secrets, text)
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def _url_without_secrets(match: Match[str]) -> str:
    parameters = match["query"].split("&")
    harmless = [text for text in parameters if text.partition("=")[0].casefold() in _HARMLESS_PARAMETERS]
    return match["url"] + (f"?{'&'.join(harmless)}" if harmless else "")
