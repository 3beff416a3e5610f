"""The table that maps Azure's answers to the app's errors, and the text of each error."""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import requests
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from domain.azure.item_busy import is_refusal, says_busy
from domain.azure.machine_busy import is_machine_busy
from domain.azure.vault_block import is_vault_block
from domain.errors import (
    AUTHORIZATION_FAILED,
    ITEM_BUSY,
    MACHINE_BUSY,
    NOT_FOUND,
    RESTORE_REFUSED,
    SERVICE_UNAVAILABLE,
    VAULT_BLOCKED,
    ErrorDetail,
    Json,
    TerminalError,
    TransientError,
    UnknownOutcomeError,
)
from domain.wire import as_label, as_list, as_object, as_text
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError, ProxyError, SSLError

from arm.body import MAX_BODY_BYTES, BodyTooLargeError
from arm.logs import without_identity_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence

    from arm.reply import Reply

SERVER_FAILURES: Final = frozenset({408, *range(500, 600)})
_TOKEN_REFUSALS: Final = frozenset({400, 401, 403})
_MAX_DETAILS: Final = 20
_NO_MESSAGE: Final = "The service gave no message."
_THROTTLED: Final = "Azure asks for fewer requests."
_PREFLIGHT: Final = (
    "GET /api/preflight says what is missing and where; docs/deploying.md (Roles) says how to grant it. A new role "
    "takes some minutes to work."
)
_ITEM_BUSY: Final = "Azure does not take the request yet, because the protected item is busy (see details)."
_COMPUTE: Final = "/providers/microsoft.compute/"
_NETWORK: Final = "/providers/microsoft.network/"
_MADE: Final = (_COMPUTE, _NETWORK, "/providers/microsoft.resources/deployments/")
_MACHINE_BUSY: Final = (
    "Azure does not take the change yet, because something else changes the VM or its disks (see details)."
)
_UNKNOWN_OUTCOME: Final = (
    "It is unknown whether Azure accepted the request; search for its job before posting it again."
)


def _is_linked_authorization(details: Sequence[ErrorDetail]) -> bool:
    return details[0].code == "LinkedAuthorizationFailed"


def _is_item_busy(details: Sequence[ErrorDetail]) -> bool:
    return says_busy([detail.code for detail in details])


def _is_vault_block(details: Sequence[ErrorDetail]) -> bool:
    return any(is_vault_block(detail.code) for detail in details)


def _may_be_item_busy(details: Sequence[ErrorDetail]) -> bool:
    return not is_refusal(details[0].code)


def _is_machine_busy(details: Sequence[ErrorDetail]) -> bool:
    return is_machine_busy(details[0].code) or _is_item_busy(details)


def _is_lock(details: Sequence[ErrorDetail]) -> bool:
    return details[0].code == "ScopeLocked"


def _is_policy(details: Sequence[ErrorDetail]) -> bool:
    return any(detail.code == "RequestDisallowedByPolicy" for detail in details)


def _is_deny_assignment(details: Sequence[ErrorDetail]) -> bool:
    return details[0].code == "DenyAssignmentAuthorizationFailed"


def _is_missing_permission(details: Sequence[ErrorDetail]) -> bool:
    return details[0].code in {"AuthorizationFailed", "LinkedAuthorizationFailed"}


def _changes_compute(reply: Reply) -> bool:
    return reply.method != "GET" and _COMPUTE in reply.path.lower()


def _changes_machine(reply: Reply) -> bool:
    """Return whether the call changes a VM, a disk or a network interface."""
    return reply.method != "GET" and any(kind in reply.path.lower() for kind in (_COMPUTE, _NETWORK))


def _makes_something(reply: Reply) -> bool:
    """Return whether the call makes a VM, a network interface or a deployment."""
    return reply.method == "PUT" and any(kind in reply.path.lower() for kind in _MADE)


def _attaches_disks(reply: Reply) -> bool:
    return reply.path.lower().endswith("/attachdetachdatadisks")


def _deletes_disk(reply: Reply) -> bool:
    return reply.method == "DELETE" and _COMPUTE in reply.path.lower()


class _Row(NamedTuple):
    """The error for answers with one of ``statuses``; if ``fits`` is given, only for those whose details it accepts.

    ``needs_wait``: only for an answer that asks for a wait. If ``of_calls`` is given, only for calls that it accepts.
    """

    statuses: Container[int]
    error: type[TransientError | TerminalError]
    code: str
    message: str
    fits: Callable[[Sequence[ErrorDetail]], bool] | None = None
    needs_wait: bool = False
    of_calls: Callable[[Reply], bool] | None = None


_TABLE: Final = (
    _Row({400, 409}, TransientError, MACHINE_BUSY, _MACHINE_BUSY, fits=_is_machine_busy, of_calls=_changes_machine),
    _Row({412}, TransientError, MACHINE_BUSY, _MACHINE_BUSY, of_calls=_changes_compute),
    _Row(
        {409},
        TransientError,
        MACHINE_BUSY,
        _MACHINE_BUSY,
        fits=_may_be_item_busy,
        needs_wait=True,
        of_calls=_changes_compute,
    ),
    _Row(
        {403},
        TerminalError,
        RESTORE_REFUSED,
        "An Azure Policy forbids it (see details, which name the assignment); no role of the app helps. Exempt the "
        "resource or its resource group from that assignment, or make it comply.",
        fits=_is_policy,
    ),
    _Row(
        {403},
        TerminalError,
        AUTHORIZATION_FAILED,
        "A deny assignment forbids it (see details), such as one of a deployment stack, a blueprint or a managed "
        "application; no role of the app helps. Whoever owns that must let the app's identity through.",
        fits=_is_deny_assignment,
    ),
    _Row(
        {409},
        TerminalError,
        RESTORE_REFUSED,
        "A management lock forbids to delete the disk (see details). Remove the lock from it, from its resource group "
        "or from its subscription, and delete it by hand; the lock can be set again afterwards.",
        fits=_is_lock,
        of_calls=_deletes_disk,
    ),
    _Row(
        {409},
        TerminalError,
        RESTORE_REFUSED,
        "A management lock forbids to change the VM or the disk (see details). Remove the ReadOnly lock from it, from "
        "its resource group or from its subscription; the lock can be set again afterwards.",
        fits=_is_lock,
        of_calls=_changes_compute,
    ),
    _Row(
        {403},
        TerminalError,
        AUTHORIZATION_FAILED,
        "The app's identity may not make the VM, its network interface or its deployment, or use what they name (see "
        "details). Give it the role CreateVirtualMachinesFromDisks, or Contributor, on the target resource group, "
        "JoinNetworks or Network Contributor on the virtual network, and Managed Identity Operator on each identity "
        f"that the VM gets. {_PREFLIGHT}",
        fits=_is_missing_permission,
        of_calls=_makes_something,
    ),
    _Row(
        {403},
        TerminalError,
        AUTHORIZATION_FAILED,
        "The app's identity may not attach the disks to the VM (see details). Give it the role AttachDisks, or Virtual "
        "Machine Contributor, on the VM or its resource group, and CreateDisks or Contributor on the resource group of "
        f"the disks. {_PREFLIGHT}",
        fits=_is_missing_permission,
        of_calls=_attaches_disks,
    ),
    _Row(
        {403},
        TerminalError,
        AUTHORIZATION_FAILED,
        "The app's identity may not delete the disk (see details). Give it the role DeleteDisks, or Contributor, on "
        f"the resource group of the disk. {_PREFLIGHT}",
        fits=_is_missing_permission,
        of_calls=_deletes_disk,
    ),
    _Row(
        {403},
        TerminalError,
        AUTHORIZATION_FAILED,
        "The app's identity may not change the VM or a disk (see details). Give it the role SwapDisks, or Virtual "
        "Machine Contributor, on the resource groups of the VM and of its present disks, and CreateDisks or "
        f"Contributor on the resource group of the restored disks. {_PREFLIGHT}",
        fits=_is_missing_permission,
        of_calls=_changes_compute,
    ),
    _Row(
        range(400, 500),
        TransientError,
        VAULT_BLOCKED,
        "Azure Backup blocks the vault for some hours, because too many operations were asked of it (see details).",
        fits=_is_vault_block,
    ),
    _Row(
        {403},
        TerminalError,
        AUTHORIZATION_FAILED,
        "The app's identity may not use a resource that the request names (see details). Give it the roles "
        "StageRestores or Storage Account Contributor on the staging account, CreateDisks or Contributor on the target "
        "resource group, JoinNetworks on the virtual network, and ReplaceDisks or Virtual Machine Contributor on the "
        f"source VM. {_PREFLIGHT}",
        fits=_is_linked_authorization,
    ),
    _Row(
        {401},
        TerminalError,
        AUTHORIZATION_FAILED,
        "Azure does not accept the app's token, not even a new one. Check that the managed identity exists, that "
        "AZURE_CLIENT_ID names it, and that its tenant is the subscription's.",
    ),
    _Row(
        {403},
        TerminalError,
        AUTHORIZATION_FAILED,
        "The app's identity lacks a permission (see details). A restore needs the roles of the deployment, or Backup "
        "Operator on the vault, Virtual Machine Contributor on the source VM, Contributor on the target resource "
        "group, Storage Account Contributor on the staging account, and Microsoft.RecoveryServices/locations/"
        f"backupStatus/action on the VM's subscription. {_PREFLIGHT}",
    ),
    _Row({404}, TerminalError, NOT_FOUND, "Azure does not know this resource. Check the ids and names."),
    _Row({400, 409}, TransientError, ITEM_BUSY, _ITEM_BUSY, fits=_is_item_busy),
    _Row({409}, TransientError, ITEM_BUSY, _ITEM_BUSY, fits=_may_be_item_busy, needs_wait=True),
    _Row({429}, TransientError, SERVICE_UNAVAILABLE, _THROTTLED),
    _Row(SERVER_FAILURES, TransientError, SERVICE_UNAVAILABLE, "Azure failed to process the request."),
    _Row(range(1000), TerminalError, RESTORE_REFUSED, "Azure refused the request (see details)."),
)


def service_error(reply: Reply, *, once: bool = False) -> TransientError | TerminalError | UnknownOutcomeError:
    """Return the error for an answer other than 2xx, with the service's own texts in its details.

    ``once``: the request must not be executed twice. After a 5xx or 408 it is unknown whether it was executed, so these
    are an ``UnknownOutcomeError``. A 429 is not: Azure throttles before it executes anything. Nor is a busy item: Azure
    refused the request.
    """
    details = _read_details(reply)
    row = next(row for row in _TABLE if _is_for(row, reply, details))
    message = f"{row.message} ({_call(reply)} {details[0].code})"
    if once and reply.status in SERVER_FAILURES:
        return UnknownOutcomeError(
            row.code, f"{_UNKNOWN_OUTCOME} {message}", details, retry_after_s=reply.retry_after_s
        )
    return row.error(row.code, message, details, retry_after_s=reply.retry_after_s)


def _is_for(row: _Row, reply: Reply, details: Sequence[ErrorDetail]) -> bool:
    call_fits = row.of_calls is None or row.of_calls(reply)
    wait_fits = reply.retry_after_s is not None or not row.needs_wait
    return reply.status in row.statuses and call_fits and wait_fits and (row.fits is None or row.fits(details))


def operation_error(reply: Reply, code: str) -> Json:
    """Return the inner error object of an operation that the body says has failed; ``code`` if the body names none."""
    details = _read_details(reply, code)
    return TerminalError(details[0].code, details[0].message, details).to_json()


def throttled_error(call: str, wait_s: float) -> TransientError:
    """Return the error for a call that was not sent, because a wait that Azure asked for is not over."""
    message = f"{_THROTTLED} ({call}: not sent, {wait_s:.0f} s are left of the wait that Azure asked for)"
    return TransientError(SERVICE_UNAVAILABLE, message, retry_after_s=wait_s)


def not_accepted_error(reply: Reply) -> UnknownOutcomeError:
    """Return the error for a 2xx other than 202 as the answer to the request that must not be executed twice."""
    message = f"{_UNKNOWN_OUTCOME} ({_call(reply)}; only 202 means that it did)"
    detail = ErrorDetail(code=f"Http{reply.status}", message="The answer should be a 202.", info=_info(reply))
    return UnknownOutcomeError(SERVICE_UNAVAILABLE, message, [detail], retry_after_s=reply.retry_after_s)


def unreadable_error(reply: Reply, expected: str) -> TransientError:
    """Return the error for a 2xx with a body of the wrong form, such as a proxy's page or a truncated answer."""
    detail = ErrorDetail(code="UnreadableAnswer", message=f"The answer is not {expected}.", info=_info(reply))
    message = f"Azure's answer could not be read. ({_call(reply)})"
    return TransientError(SERVICE_UNAVAILABLE, message, [detail], retry_after_s=reply.retry_after_s)


def transport_error(
    error: Exception, call: str, client_request_id: str, *, once: bool
) -> TransientError | UnknownOutcomeError:
    """Return the error for a call without a complete answer.

    It names only the types of exceptions, because the text of ``error`` quotes the URL.
    """
    types = ": ".join(dict.fromkeys(type(failure).__name__ for failure in (error, _root_cause(error))))
    detail = ErrorDetail(code=type(error).__name__, message=types, info={"clientRequestId": client_request_id})
    if once and not _was_never_sent(error):
        return UnknownOutcomeError(SERVICE_UNAVAILABLE, f"{_UNKNOWN_OUTCOME} ({call}: {types})", [detail])
    problem = "Azure could not be reached, or its answer did not arrive."
    if isinstance(error, BodyTooLargeError):
        problem = f"Azure's answer is larger than {MAX_BODY_BYTES >> 20} MiB."
    return TransientError(SERVICE_UNAVAILABLE, f"{problem} ({call}: {types})", [detail])


def _root_cause(error: Exception) -> Exception:
    """Return the error inside the wrappers of requests, of urllib3's retry and of its proxy error."""
    first = error.args[0] if error.args else None
    cause = first.reason if isinstance(first, MaxRetryError) else first
    # A connection behind a proxy that breaks after the request was sent is a ProxyError too: only its cause differs.
    if isinstance(cause, ProxyError | SSLError) and cause.args and isinstance(cause.args[-1], Exception):
        cause = cause.args[-1]
    return cause if isinstance(cause, Exception) else error


def _was_never_sent(error: Exception) -> bool:
    """Return whether there was no connection, so that nothing can have been sent; ``False`` in case of doubt."""
    no_connection = (ConnectTimeoutError, NewConnectionError, requests.ConnectTimeout, ssl.SSLCertVerificationError)
    return isinstance(_root_cause(error), no_connection)


# What azure-identity raises seldom has the HTTP status. For the first token of a process it is one
# ClientAuthenticationError with a line of text for each credential that was tried; only the texts tell the cases apart.
# A line of the managed identity that is not "authentication unavailable" quotes what its endpoint answered.
_NO_SUCH_IDENTITY: Final = re.compile(
    r"\bNo\b[^.\n]*\b(?:identity|MSI) found\b|\bidentity not found\b|\bNo identity has been assigned\b",
    re.IGNORECASE,
)
_ANSWERED: Final = re.compile(
    r"Token request error:|^\s*ManagedIdentityCredential: (?!.*authentication unavailable)", re.MULTILINE
)
_NO_ANSWER: Final = re.compile(
    r"Failed to establish a new connection|Failed to resolve|Max retries exceeded|Connection aborted|timed out"
    r"|JSON is invalid",
    re.IGNORECASE,
)


def credential_error(error: Exception) -> TransientError | TerminalError:
    """Return the error for a token that could not be obtained: terminal if there is no such identity, else transient.

    While an instance of the app starts, its identity endpoint may answer anything, a 500 for example.
    """
    text = without_identity_secret(str(error)).strip()
    detail = ErrorDetail(code=type(error).__name__, message=text or _NO_MESSAGE)
    if _is_refusal(error):
        message = (
            "The app got no token for Azure. Check that it has a managed identity (user-assigned: AZURE_CLIENT_ID), "
            "or locally IDENTITY_ENDPOINT and IDENTITY_HEADER."
        )
        return TerminalError(AUTHORIZATION_FAILED, message, [detail])
    return TransientError(SERVICE_UNAVAILABLE, "The identity endpoint failed to return a token.", [detail])


def _is_refusal(error: Exception) -> bool:
    text = str(error)
    if not isinstance(error, ClientAuthenticationError):
        return False
    if _NO_SUCH_IDENTITY.search(text):
        return True
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ServiceRequestError | ServiceResponseError | OSError):
            return False
        if isinstance(cause, HttpResponseError) and cause.status_code is not None:
            return cause.status_code in _TOKEN_REFUSALS
        cause = cause.__cause__
    # Without any answer there is no identity at all: its endpoint is missing from the app's environment.
    return not (_ANSWERED.search(text) or _NO_ANSWER.search(text))


def _call(reply: Reply) -> str:
    return f"{reply.method} {reply.path}: HTTP {reply.status}"


def _info(reply: Reply) -> Json:
    info: Json = {
        "httpStatus": reply.status,
        "requestId": as_label(reply.headers.get("x-ms-request-id")),
        "correlationRequestId": as_label(reply.headers.get("x-ms-correlation-request-id")),
        "clientRequestId": reply.client_request_id,
    }
    cause = as_label(reply.headers.get("x-ms-failure-cause"))
    return info if cause is None else {**info, "failureCause": cause}


def _read_details(reply: Reply, default_code: str | None = None) -> list[ErrorDetail]:
    """Read ``{"error": {…}}``, a bare ``{"code", "message"}`` or anything else; return at least one detail."""
    body = as_object(reply.parsed())
    error = as_object(body.get("error")) or body
    code = as_label(error.get("code")) or as_text(body.get("error")) or default_code or f"Http{reply.status}"
    entries = [as_object(entry) for entry in as_list(error.get("details"))[: _MAX_DETAILS - 1]]
    return [
        _detail(error, code, _info(reply)),
        *(
            _detail(entry, as_label(entry.get("code")) or "Unknown")
            for entry in entries
            if entry.get("code") or entry.get("message")
        ),
    ]


def _detail(entry: Mapping[str, Any], code: str, info: Json | None = None) -> ErrorDetail:
    text = (as_text(entry.get("message")) or "").strip() or _NO_MESSAGE
    advice = entry.get("recommendations") or entry.get("recommendedAction")
    lines = [line for line in ([advice] if isinstance(advice, str) else as_list(advice)) if isinstance(line, str)]
    message = " ".join([text, *lines]).strip()
    return ErrorDetail(code=code, message=message, target=as_text(entry.get("target")), info=info)
