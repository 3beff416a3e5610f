"""Taking secrets out of words that are not ours: what a service says ends up in logs, histories and results."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from re import Match

_REMOVED: Final = "(removed)"
_SHOWN_MEMBERS: Final = frozenset({"api-version", "linkid", "clcid"})
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
    # The signature of an asynchronous operation's address, where the text has it without scheme and host.
    (re.compile(r"([?&][tcsh]=)[\w%~.-]{16,}"), rf"\1{_REMOVED}"),
)


def redacted(text: str) -> str:
    """Return the text without what opens something: tokens, keys, signatures, and the queries of URLs.

    Of a query ``api-version`` and the members of Microsoft's help links stay. Doing it twice changes nothing more.
    """
    text = _URL_QUERY.sub(_plain_url, text)
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def _plain_url(match: Match[str]) -> str:
    members = [each for each in match["query"].split("&") if each.partition("=")[0].casefold() in _SHOWN_MEMBERS]
    return match["url"] + (f"?{'&'.join(members)}" if members else "")
