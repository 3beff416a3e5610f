"""Removal of secrets from texts of other services and of people, which get into logs, histories and results."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from re import Match

_REMOVED: Final = "(removed)"
_HARMLESS_PARAMETERS: Final = frozenset({"api-version", "linkid", "clcid"})
_PRIVATE_KEY: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.IGNORECASE
)
_URL_QUERY: Final = re.compile(
    r"(?P<url>\b[a-z][a-z0-9+.-]{1,20}://[^\s\"'<>?]*)(?:\?(?P<query>[^\s\"'<>]*))?", re.IGNORECASE
)
_VALUE: Final = r"[^\s\"'&,;\\]+"
# In a sentence the word after "key:" is often no key. Nearly every real key has a digit.
_LIKELY_VALUE: Final = r"(?!https?://)(?=[^\s\"'&,;\\]{0,100}[0-9])[^\s\"'&,;\\]{6,}"
_BEFORE_NAME: Final = r"(?<![a-z0-9])"
_SEPARATOR: Final = r"(\\?[\"']?\s*(?:[=:]|%3d)\s*\\?[\"']?)"
_SECRET_NAMES: Final = "|".join(
    (
        *("account[-_ ]?key", "shared[-_ ]?access[-_ ]?(?:key|signature)", "sig", "signature"),
        *("client[-_ ]?secret", "webhook[-_ ]?secret", "password", "(?:access|refresh|sas)[-_]?token"),
        *("x-identity-header", "x-functions-key"),
    )
)
_KEY_OWNERS: Final = "access|api|functions?|host|master|primary|secondary|storage|subscription|system|webhook"
_FLAGS: Final = "account-key|api-key|client-secret|password|sas-token|secret|token"
# The address of a webhook is a secret: whoever knows it may post there.
_HOOKS: Final = "|".join(
    (
        *(r"hooks\.[^\s/]+", r"[^\s/]*webhook\.office(?:365)?\.com", r"outlook\.office\.com/webhook"),
        *(r"discord(?:app)?\.com/api/webhooks", r"events\.pagerduty\.com/integration"),
    )
)
_PATTERNS: Final = (
    (r"(://)[^\s/@:\"']+:[^\s/@\"']+@", rf"\1{_REMOVED}@"),
    (rf"(https?://(?:{_HOOKS})/)[^\s\"'<>]+", rf"\1{_REMOVED}"),
    (r"\b(bearer|sharedkey(?:lite)?|basic)\s+[\w.~+/=:-]{16,}", rf"\1 {_REMOVED}"),
    (r"\b(bearer)\s+(?=[\w.~+/=:-]{0,15}[0-9])[\w.~+/=:-]{6,}", rf"\1 {_REMOVED}"),
    (r"\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?", _REMOVED),
    (rf"{_BEFORE_NAME}({_SECRET_NAMES}){_SEPARATOR}{_VALUE}", rf"\1\2{_REMOVED}"),
    (rf"{_BEFORE_NAME}((?:token|secret|pwd|passwd)=[\"']?){_VALUE}", rf"\1{_REMOVED}"),
    (
        rf"{_BEFORE_NAME}((?:{_KEY_OWNERS})[-_ ]?key|password|secret)({_SEPARATOR}|\s+is\s+){_LIKELY_VALUE}",
        rf"\1\2{_REMOVED}",
    ),
    (rf"(--(?:{_FLAGS})[\s=]+[\"']?){_VALUE}", rf"\1{_REMOVED}"),
    # The key of a function, or the signature of an asynchronous operation, in a URL without scheme and host.
    (r"((?:[?&]|%3f|%26)(?:code|key)(?:=|%3d))[^\s&\"'<>,;]+", rf"\1{_REMOVED}"),
    (r"([?&][tcsh]=)[\w%~.-]{16,}", rf"\1{_REMOVED}"),
    # Recognised by form: keys of Azure (base64 with padding, also as in a URL), client secrets of Entra ID, tokens of
    # GitHub and Slack.
    (r"(?<![\w+/-])[\w+/-]{40,}(?:={1,2}|(?:%3d){1,2}(?![\w%]))", _REMOVED),
    (r"(?<![\w~.-])[\w~.-]{3}[0-9]Q~[\w~.-]{31,}", _REMOVED),
    (r"\b(?:gh[pousr]_[a-z0-9]{36,}|github_pat_\w{22,}|xox[abeprs]-[\w-]{10,})", _REMOVED),
)
_SECRETS: Final = tuple((re.compile(pattern, re.IGNORECASE), replacement) for pattern, replacement in _PATTERNS)
# Each of the patterns needs one of these. Most texts are ids of resources and have none.
_NEEDED: Final = re.compile(r"[\s=:%~_]")
_NEEDED_WORDS: Final = ("eyj", "xox")


def redacted(text: str) -> str:
    """Return the text without secrets: tokens, keys, signatures, addresses of webhooks, and the queries of URLs.

    ``api-version`` and the parameters of Microsoft's help links stay in a query. A second pass changes nothing.
    """
    if not _NEEDED.search(text) and not any(word in text.lower() for word in _NEEDED_WORDS):
        return text
    text = _URL_QUERY.sub(_url_without_secrets, _PRIVATE_KEY.sub(_REMOVED, text))
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def redacted_json(value: Any) -> Any:
    """Return the JSON value with each of its texts redacted."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {name: redacted_json(member) for name, member in cast("dict[str, Any]", value).items()}
    return [redacted_json(entry) for entry in cast("list[Any]", value)] if isinstance(value, list) else value


def _url_without_secrets(match: Match[str]) -> str:
    parameters = (match["query"] or "").split("&")
    harmless = [text for text in parameters if text.partition("=")[0].casefold() in _HARMLESS_PARAMETERS]
    return match["url"] + (f"?{'&'.join(harmless)}" if harmless else "")
