"""Reads one small blob of a staging account with the app's identity: no key, no shared access signature.

The token is one for storage, and never ARM's. It is sent to one host alone, which is made of the name of the account
that the request names and of the cloud's suffix, never to an address that somebody else wrote. The app's identity needs
a role for the data (*Storage Blob Data Reader*), which the roles for the account itself do not include.

Source: the REST reference of Get Blob, and "Authorize access to blobs using Microsoft Entra ID".
"""

from __future__ import annotations

import ipaddress
import re
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

import requests
from domain.errors import (
    AUTHORIZATION_FAILED,
    NOT_FOUND,
    RESTORE_REFUSED,
    SERVICE_UNAVAILABLE,
    ErrorDetail,
    Json,
    TerminalError,
    TransientError,
)
from domain.wire import as_label
from telemetry.signals import NO_TELEMETRY
from urllib3.exceptions import HTTPError, LocationParseError
from urllib3.util import parse_url

from arm.addresses import path_of
from arm.body import BODY_DEADLINE_READS, BodyTooLargeError, read_body
from arm.connections import Bearer, Timeouts, Tokens, new_http_session, utc_now
from arm.errors import SERVER_FAILURES, transport_error
from arm.retry_after import read_retry_after

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from azure.core.credentials import TokenCredential
    from telemetry.signals import Telemetry

MAX_BLOB_BYTES: Final = 1024 * 1024
_SCOPE: Final = "https://storage.azure.com/.default"
_VERSION: Final = "2021-08-06"
_OPERATION: Final = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"
_SUFFIXES: Final = {
    "management.azure.com": "core.windows.net",
    "management.usgovcloudapi.net": "core.usgovcloudapi.net",
    "management.chinacloudapi.cn": "core.chinacloudapi.cn",
}
"""The suffix of storage by the host of ARM, also of its regional hosts, such as ``westus.management.azure.com``."""

_ACCOUNT: Final = re.compile(r"[a-z0-9]{3,24}")
_CONTAINER: Final = re.compile(r"[a-z0-9](-?[a-z0-9]){2,62}")
_BLOB: Final = re.compile(r"[^\x00-\x1f\x7f\\]{1,1024}")
_MESSAGE: Final = re.compile(rb"<Message>([^<\r\n]{1,500})")
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_TOO_MANY: Final = 429
_FIREWALL_CODE: Final = "AuthorizationFailure"  # a missing role is AuthorizationPermissionMismatch
_KEPT_OUT: Final = (
    "{account} keeps the app out by its firewall: allow the app's virtual network there, or leave out "
    "thenCreateVirtualMachine.template, which needs a blob of that account."
)
_PROBLEMS: Final = {
    _UNAUTHORIZED: (
        "{account} does not accept the app's token, not even a new one. Check that the managed identity exists, and "
        "that its tenant is the subscription's."
    ),
    _FORBIDDEN: (
        "{account} does not let the app's identity read its blobs: give it the role Storage Blob Data Reader there. "
        "Contributor and Storage Account Contributor do not include it. A new role takes some minutes to work."
    ),
    _NOT_FOUND: "{account} does not have this blob any more.",
}
_CODES: Final = {_UNAUTHORIZED: AUTHORIZATION_FAILED, _FORBIDDEN: AUTHORIZATION_FAILED, _NOT_FOUND: NOT_FOUND}


class BlobReader:
    """Reads blobs with a token for storage. Safe to use from several threads.

    ``arm_endpoint`` says which cloud it is. Only if that is on loopback, blobs are read there, too: the simulator
    answers for storage under the account's name, as the official emulator does. ``clock`` returns aware UTC.
    """

    def __init__(
        self,
        arm_endpoint: str,
        credential_factory: Callable[[], TokenCredential],
        *,
        clock: Callable[[], datetime] = utc_now,
        timeouts: Timeouts | None = None,
        telemetry: Telemetry = NO_TELEMETRY,
    ) -> None:
        self._endpoint = arm_endpoint.rstrip("/")
        self._tokens = Tokens(_SCOPE, credential_factory)
        self._clock = clock
        self._timeouts = timeouts or Timeouts()
        self._telemetry = telemetry
        self._http = new_http_session()

    def close(self) -> None:
        """Close the pooled connections and the credential."""
        self._http.close()
        self._tokens.close()

    def read(self, account: str, uri: str) -> bytes:
        """Return the content of the blob ``uri``, which must be in this account.

        Raises ``TerminalError`` for an address of another host (``RestoreRefused``), a missing role or a firewall
        (``AuthorizationFailed``), a blob that is not there (``NotFound``) or is larger than 1 MiB; ``TransientError``
        for throttling, 5xx and network failures.
        """
        url = self._url(account, uri)
        credential, token = self._tokens.get()
        answer = self._get(url, token)
        if answer.status == _UNAUTHORIZED:
            _, token = self._tokens.get(credential)
            answer = self._get(url, token)
        if answer.status // 100 != 2:  # noqa: PLR2004 - every 2xx
            raise _error(answer, account, read_retry_after(answer.headers, self._clock()))
        return answer.content

    def _url(self, account: str, uri: str) -> str:
        """Return the blob's address, made anew from checked parts; only the names of container and blob are taken."""
        try:
            parsed = parse_url(uri)
        except LocationParseError:
            raise _foreign_error(account) from None
        expected = f"{account.lower()}.blob.{self._suffix()}"
        container, _, blob = (parsed.path or "").removeprefix("/").partition("/")
        container, blob = unquote(container), unquote(blob)
        is_ours = parsed.scheme == "https" and parsed.auth is None and parsed.port in {None, 443}
        if not (is_ours and parsed.host == expected and _ACCOUNT.fullmatch(account.lower())):
            raise _foreign_error(account)
        names = blob.split("/")
        if not _CONTAINER.fullmatch(container) or not _BLOB.fullmatch(blob) or {"", ".", ".."} & set(names):
            message = f"The address of a blob in storage account {account} has no usable container or name."
            raise TerminalError(RESTORE_REFUSED, message)
        base = f"{self._endpoint}/{account.lower()}" if _is_loopback(self._endpoint) else f"https://{expected}"
        return f"{base}/{container}/{'/'.join(quote(name, safe='') for name in names)}"

    def _suffix(self) -> str:
        if _is_loopback(self._endpoint):
            return _SUFFIXES["management.azure.com"]
        host = _host_of(self._endpoint)
        for name, suffix in _SUFFIXES.items():
            if host == name or host.endswith(f".{name}"):
                return suffix
        message = f"The app does not know the addresses of storage in the cloud of {self._endpoint}."
        raise TerminalError(RESTORE_REFUSED, message)

    def _get(self, url: str, token: str) -> _Answer:
        """Return the answer to one call. Of a blob that is too large, only one byte too much is asked for."""
        request_id = str(uuid.uuid4())
        origin = url[: url.index("/", len("https://"))]
        with self._telemetry.call(_OPERATION, method="GET", endpoint=origin, client_request_id=request_id) as recorded:
            try:
                answer = self._exchange(url, token, request_id)
            except BodyTooLargeError as error:
                recorded.failed(type(error).__name__)
                raise TerminalError(RESTORE_REFUSED, "The blob is larger than 1 MiB, so it is not read.") from None
            except (requests.RequestException, HTTPError, ValueError) as error:
                recorded.failed(type(error).__name__)
                raise transport_error(error, f"GET {path_of(url)}", request_id, once=False) from None
            recorded.answered(answer.status, answer.headers)
        return answer

    def _exchange(self, url: str, token: str, request_id: str) -> _Answer:
        read_s = self._timeouts.read_s
        deadline = time.monotonic() + BODY_DEADLINE_READS * read_s
        with self._http.get(
            url,
            headers={
                "Accept": "*/*",
                "Accept-Encoding": "identity",
                "x-ms-version": _VERSION,
                "x-ms-client-request-id": request_id,
                "x-ms-range": f"bytes=0-{MAX_BLOB_BYTES}",
            },
            auth=Bearer(token),
            timeout=(self._timeouts.connect_s, read_s),
            allow_redirects=False,
            stream=True,
        ) as response:
            content = read_body(response, deadline=deadline, max_bytes=MAX_BLOB_BYTES)
        return _Answer(
            path=path_of(url),
            status=response.status_code,
            headers=response.headers,
            content=content,
            client_request_id=request_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    path: str
    status: int
    headers: Mapping[str, str]
    content: bytes
    client_request_id: str


def _host_of(endpoint: str) -> str:
    return parse_url(endpoint).host or ""


def _is_loopback(endpoint: str) -> bool:
    host = _host_of(endpoint).strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _foreign_error(account: str) -> TerminalError:
    message = (
        f"The address of the blob is not in storage account {account}, which the restore was asked to use, so no token "
        "is sent there."
    )
    return TerminalError(RESTORE_REFUSED, message)


def _error(answer: _Answer, account: str, retry_after_s: float | None) -> TransientError | TerminalError:
    """Return the error for an answer other than 2xx: what to do, with the service's own code and text as details."""
    code = as_label(answer.headers.get("x-ms-error-code")) or f"Http{answer.status}"
    message = _MESSAGE.search(answer.content)
    said = "The service gave no message." if message is None else message[1].decode("utf-8", "replace")
    info: Json = {
        "httpStatus": answer.status,
        "requestId": as_label(answer.headers.get("x-ms-request-id")),
        "clientRequestId": answer.client_request_id,
    }
    details = [ErrorDetail(code=code, message=said, info=info)]
    call = f"(GET {answer.path}: HTTP {answer.status} {code})"
    if answer.status in SERVER_FAILURES or answer.status == _TOO_MANY:
        problem = f"Azure Storage cannot answer at the moment. {call}"
        return TransientError(SERVICE_UNAVAILABLE, problem, details, retry_after_s=retry_after_s)
    error_code = _CODES.get(answer.status, RESTORE_REFUSED)
    problem = _KEPT_OUT if code == _FIREWALL_CODE else _PROBLEMS.get(answer.status, "{account} refused the request.")
    text = problem.format(account=f"Storage account {account}")
    return TerminalError(error_code, f"{text} {call}", details, retry_after_s=retry_after_s)
