"""The one table from Azure's answers to our errors, and the words of each."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import requests
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from domain.errors import (
    AUTHORIZATION_FAILED,
    NOT_FOUND,
    RESTORE_REFUSED,
    SERVICE_UNAVAILABLE,
    ErrorDetail,
    Json,
    UnknownOutcomeError,
    TerminalError,
    TransientError,
)
from domain.wire import as_label, as_list, as_object, as_text
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError, ProxyError, SSLError

from arm.logs import without_identity_secret
from arm.transport import LONGEST_ANSWER, AnswerTooLongError

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from arm.reply import Reply

_REQUEST_TIMEOUT: Final = 408
_SERVER_ERRORS: Final = range(500, 600)
_REFUSALS: Final = frozenset(range(400, 500)) - {_REQUEST_TIMEOUT, 429}
_MOST_DETAILS: Final = 20
_LONGEST_MESSAGE: Final = 2000
_NO_MESSAGE: Final = "The service gave no message."
_OPEN: Final = "It is not known whether Azure took the request; look for its job before asking again."


@dataclass(frozen=True, slots=True)
class _Rule:
    """A row: the statuses and service codes (none: every code) that it is for, and what they mean to us."""

    statuses: Container[int]
    service_codes: frozenset[str]
    error: type[TransientError | TerminalError]
    code: str
    message: str


_TABLE: Final = (
    _Rule(
        {403},
        frozenset({"LinkedAuthorizationFailed"}),
        TerminalError,
        AUTHORIZATION_FAILED,
        "The app's identity may not use a resource that the request names (see details). Give it Storage Account "
        "Contributor on the staging account, Contributor on the target resource group, and the join permission on "
        "the subnet.",
    ),
    _Rule(
        {401},
        frozenset(),
        TerminalError,
        AUTHORIZATION_FAILED,
        "Azure does not accept the app's token, not even a new one. Check that the managed identity exists, that "
        "AZURE_CLIENT_ID names it, and that its tenant is the subscription's.",
    ),
    _Rule(
        {403},
        frozenset(),
        TerminalError,
        AUTHORIZATION_FAILED,
        "The app's identity lacks a permission (see details). A restore needs Backup Operator on the vault, Virtual "
        "Machine Contributor on the source VM, Contributor on the target resource group, Storage Account Contributor "
        "on the staging account, and Microsoft.RecoveryServices/locations/backupStatus/action on the VM's "
        "subscription.",
    ),
    _Rule({404}, frozenset(), TerminalError, NOT_FOUND, "Azure does not know this resource. Check the ids and names."),
    _Rule({429}, frozenset(), TransientError, SERVICE_UNAVAILABLE, "Azure asks for fewer requests."),
    _Rule(
        {_REQUEST_TIMEOUT, *_SERVER_ERRORS},
        frozenset(),
        TransientError,
        SERVICE_UNAVAILABLE,
        "Azure could not answer just now.",
    ),
    _Rule(range(1000), frozenset(), TerminalError, RESTORE_REFUSED, "Azure refused the request (see details)."),
)


def service_error(reply: Reply, *, once: bool = False) -> TransientError | TerminalError | UnknownOutcomeError:
    """Return the error that an answer other than 2xx stands for, the service's own words in its details.

    ``once``: the request must not be done twice, so an answer that leaves open whether it was done
    (5xx, 408) is an ``UnknownOutcomeError``. A 429 is none: it comes before anything is done.
    """
    details = _read_details(reply)
    service_code = details[0].code
    rule = next(
        rule
        for rule in _TABLE
        if reply.status in rule.statuses and (not rule.service_codes or service_code in rule.service_codes)
    )
    message = f"{rule.message} ({reply.method} {reply.path}: HTTP {reply.status} {service_code})"
    if once and (reply.status == _REQUEST_TIMEOUT or reply.status in _SERVER_ERRORS):
        return UnknownOutcomeError(rule.code, f"{_OPEN} {message}", details, retry_after_s=reply.retry_after_s)
    return rule.error(rule.code, message, details, retry_after_s=reply.retry_after_s)


def held_error(request: str, left_s: float) -> TransientError:
    """Return the error for a call that was not made, because Azure's last answer asked to wait for longer."""
    message = f"Azure asks for fewer requests. ({request}: not sent, its last answer asks to wait {left_s:.0f} s more)"
    return TransientError(SERVICE_UNAVAILABLE, message, retry_after_s=left_s)


def not_accepted(reply: Reply) -> UnknownOutcomeError:
    """Return the error for a 2xx other than 202 to the one request that must not be done twice."""
    message = f"{_OPEN} ({reply.method} {reply.path}: HTTP {reply.status}, where 202 means that it did.)"
    detail = ErrorDetail(
        code=f"Http{reply.status}", message="Azure answered otherwise than it does.", info=_info(reply)
    )
    return UnknownOutcomeError(SERVICE_UNAVAILABLE, message, [detail], retry_after_s=reply.retry_after_s)


def unreadable(reply: Reply, wanted: str) -> TransientError:
    """Return the error for a 2xx whose body is not what it must be, such as a proxy's page or half an answer."""
    detail = ErrorDetail(code="UnreadableAnswer", message=f"The answer is not {wanted}.", info=_info(reply))
    message = f"Azure's answer could not be read. ({reply.method} {reply.path}: HTTP {reply.status})"
    return TransientError(SERVICE_UNAVAILABLE, message, [detail], retry_after_s=reply.retry_after_s)


def transport_error(
    error: Exception, call: str, client_request_id: str, *, once: bool
) -> TransientError | UnknownOutcomeError:
    """Return the error for a call that got no answer. Says its kind only: such an error's text quotes the whole URL."""
    kinds = ": ".join(dict.fromkeys(type(each).__name__ for each in (error, _reason(error))))
    detail = ErrorDetail(code=type(error).__name__, message=kinds, info={"clientRequestId": client_request_id})
    if once and not _never_left(error):
        return UnknownOutcomeError(SERVICE_UNAVAILABLE, f"{_OPEN} ({call}: {kinds})", [detail])
    lead = f"Azure's answer is longer than {LONGEST_ANSWER >> 20} MiB."
    if not isinstance(error, AnswerTooLongError):
        lead = "Azure could not be reached."
    return TransientError(SERVICE_UNAVAILABLE, f"{lead} ({call}: {kinds})", [detail])


def _reason(error: Exception) -> Exception:
    """Return what made requests give up, below the wrappers of requests, urllib3's retry and its proxy error."""
    first = error.args[0] if error.args else None
    reason = first.reason if isinstance(first, MaxRetryError) else first
    # urllib3 calls a connection that broke after the request was sent a proxy error too: only its cause tells.
    if isinstance(reason, ProxyError | SSLError) and reason.args and isinstance(reason.args[-1], Exception):
        reason = reason.args[-1]
    return reason if isinstance(reason, Exception) else error


def _never_left(error: Exception) -> bool:
    """Tell whether the connection never stood, so that nothing can have been sent. Every doubt means ``False``."""
    never = (ConnectTimeoutError, NewConnectionError, requests.ConnectTimeout, ssl.SSLCertVerificationError)
    return isinstance(_reason(error), never)


# What azure-identity lets one tell apart: a credential that has worked before raises what happened (azure-core's
# network errors, HTTP statuses); but the first token of a process comes through DefaultAzureCredential's chain, which
# flattens everything into one ClientAuthenticationError without cause or status. Only its text still has the network
# library's phrases, and the status that App Service's identity endpoint sent (500 there means a wrong resource).
_PASSING: Final = re.compile(
    r"Failed to establish a new connection|Failed to resolve|Max retries exceeded|Connection aborted|timed out"
    r"|JSON is invalid|Token request error: \([^)]*\) (?:408|429|502|503|504)\b",
    re.IGNORECASE,
)


def credential_error(error: Exception) -> TransientError | TerminalError:
    """Return the error for a token that could not be had: terminal when refused, transient for passing trouble."""
    said = _clip(without_identity_secret(str(error)))
    detail = ErrorDetail(code=type(error).__name__, message=said or _NO_MESSAGE)
    if _is_refusal(error):
        message = (
            "The app got no token for Azure. Check that it has a managed identity (user-assigned: AZURE_CLIENT_ID), "
            "or locally IDENTITY_ENDPOINT and IDENTITY_HEADER."
        )
        return TerminalError(AUTHORIZATION_FAILED, message, [detail])
    return TransientError(SERVICE_UNAVAILABLE, "The identity endpoint could not give a token just now.", [detail])


def _is_refusal(error: Exception) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ServiceRequestError | ServiceResponseError | OSError):
            return False
        if isinstance(cause, HttpResponseError) and cause.status_code is not None:
            return cause.status_code in _REFUSALS
        cause = cause.__cause__
    return isinstance(error, ClientAuthenticationError) and not _PASSING.search(str(error))


def _clip(text: str) -> str:
    return text.strip()[:_LONGEST_MESSAGE]


def _info(reply: Reply) -> Json:
    info: Json = {
        "httpStatus": reply.status,
        "requestId": as_label(reply.headers.get("x-ms-request-id")),
        "correlationRequestId": as_label(reply.headers.get("x-ms-correlation-request-id")),
        "clientRequestId": reply.client_request_id,
    }
    cause = as_label(reply.headers.get("x-ms-failure-cause"))
    return info if cause is None else {**info, "failureCause": cause}


def _read_details(reply: Reply) -> list[ErrorDetail]:
    """Read ``{"error": {…}}``, a bare ``{"code", "message"}`` or anything else; always at least one detail."""
    body = as_object(reply.parsed())
    error = as_object(body.get("error")) or body
    entries = [as_object(entry) for entry in as_list(error.get("details"))[: _MOST_DETAILS - 1]]
    code = _words(error.get("code")) or as_text(body.get("error")) or f"Http{reply.status}"
    return [
        ErrorDetail(code=code, message=_message(error), target=as_text(error.get("target")), info=_info(reply)),
        *(
            ErrorDetail(
                code=_words(entry.get("code")) or "Unknown",
                message=_message(entry),
                target=as_text(entry.get("target")),
            )
            for entry in entries
            if entry.get("code") or entry.get("message")
        ),
    ]


def _words(value: object) -> str:
    return _clip(str(value)) if isinstance(value, str | int) else ""


def _message(entry: Mapping[str, Any]) -> str:
    said = _words(entry.get("message")) or _NO_MESSAGE
    advice = entry.get("recommendations") or entry.get("recommendedAction")
    lines = [advice] if isinstance(advice, str) else as_list(advice)
    return _clip(" ".join([said, *(line for line in lines if isinstance(line, str))]))
