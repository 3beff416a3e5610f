"""What libraries log of our calls to Azure, without what opens something."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Final

from domain.redaction import redacted

if TYPE_CHECKING:
    from logging import LogRecord

_URLS: Final = ("urllib3.connectionpool",)
_WORDS: Final = (
    "azure.identity._credentials.chained",
    "azure.identity._internal.decorators",
    "azure.identity._internal.msal_managed_identity_client",
    "msal.managed_identity",
)


def guard_logs() -> None:
    """Have the lines of the HTTP and identity libraries cleaned before anybody sees them; once more is no matter."""
    for name in _URLS:
        logging.getLogger(name).addFilter(_cut_queries)
    for name in _WORDS:
        logging.getLogger(name).addFilter(_clean_words)


def without_identity_secret(text: str) -> str:
    """Return the text without what the app proves itself with to the identity endpoint, should that quote it."""
    secret = os.environ.get("IDENTITY_HEADER")
    return text.replace(secret, "(removed)") if secret else text


def _cut_queries(record: LogRecord) -> bool:
    """Cut the query off the URLs in urllib3's own lines: that of an async URL is a signature.

    Its errors quote what they could not read, such as a header with such a URL: only their kind stays.
    """
    if isinstance(record.args, tuple):
        record.args = tuple(_cut(arg) for arg in record.args)
    record.exc_info = None
    return True


def _cut(arg: object) -> object:
    if isinstance(arg, BaseException):
        return type(arg).__name__
    return arg.partition("?")[0] if isinstance(arg, str) else arg


def _clean_words(record: LogRecord) -> bool:
    """Clean a line that may quote the identity endpoint's answer; its traceback would quote it again."""
    record.msg, record.args = without_identity_secret(redacted(record.getMessage())), None
    record.exc_info = None
    return True
