"""Removes secrets from what the HTTP and identity libraries log about our calls to Azure."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Final

from domain.redaction import redacted

if TYPE_CHECKING:
    from logging import LogRecord

_HTTP_LOGGER: Final = "urllib3.connectionpool"
_IDENTITY_LOGGERS: Final = (
    "azure.identity._credentials.chained",
    "azure.identity._internal.decorators",
    "azure.identity._internal.msal_managed_identity_client",
    "msal.managed_identity",
)


def redact_library_logs() -> None:
    """Add the filters that remove secrets to the libraries' loggers. Calling it again changes nothing."""
    logging.getLogger(_HTTP_LOGGER).addFilter(_remove_queries)
    for name in _IDENTITY_LOGGERS:
        logging.getLogger(name).addFilter(_redact)


def without_identity_secret(text: str) -> str:
    """Return the text without the secret that the app sends to the identity endpoint (``IDENTITY_HEADER``)."""
    secret = os.environ.get("IDENTITY_HEADER")
    return text.replace(secret, "(removed)") if secret else text


def _remove_queries(record: LogRecord) -> bool:
    """Remove the queries of URLs, which may hold a signature.

    An exception is replaced by its type: it may quote a header that urllib3 could not parse, with such a URL in it.
    """
    if isinstance(record.args, tuple):
        record.args = tuple(_without_query(arg) for arg in record.args)
    record.exc_info = None
    return True


def _without_query(arg: object) -> object:
    if isinstance(arg, BaseException):
        return type(arg).__name__
    return arg.partition("?")[0] if isinstance(arg, str) else arg


def _redact(record: LogRecord) -> bool:
    """Redact a line that may quote the answer of the identity endpoint, and drop a traceback, which would quote it."""
    record.msg, record.args = without_identity_secret(redacted(record.getMessage())), None
    record.exc_info = None
    return True
