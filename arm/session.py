"""Single calls to Azure Resource Manager: token, headers, timeouts, errors. Failed calls are not retried here."""

from __future__ import annotations

import base64
import json
import logging
import time
import uuid
from typing import TYPE_CHECKING, Final

import requests
from domain.errors import RestoreError
from domain.wire import as_name, as_object
from telemetry.signals import NO_TELEMETRY
from urllib3.exceptions import HTTPError

from arm.addresses import path_of
from arm.body import BODY_DEADLINE_READS, read_body
from arm.connections import Bearer, Timeouts, Tokens, new_http_session, utc_now
from arm.errors import service_error, throttled_error, transport_error
from arm.operations import operation_name
from arm.reply import Reply
from arm.retry_after import read_retry_after
from arm.throttling import Throttling

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from azure.core.credentials import TokenCredential
    from domain.errors import Json
    from telemetry.signals import RecordedCall, Telemetry

_FOR_ONE_ITEM: Final = frozenset({202, 400, 409})
"""Answers to a POST whose wait is not for the next POST to the same URL, which may be about another item.

It is for polling the accepted operation, or for the end of the operation that keeps the item busy.
"""
_UNAUTHORIZED: Final = 401
_REQUEST_ID: Final = "x-ms-client-request-id"
_MAX_ID_LENGTH: Final = 100
_LOW_REMAINING: Final = 10
_REMAINING_HEADERS: Final = "x-ms-ratelimit-remaining-"
_GRAPH_REMAINING: Final = "x-ms-ratelimit-remaining-tenant-resource-requests"  # 15 for 5 s: low is usual there

_log = logging.getLogger(__name__)


class ArmSession:
    """Calls ARM at one endpoint with a token of the app's identity. Safe to use from several threads.

    ``credential_factory`` makes a credential. It is called again when Azure refuses a token, because the old
    credential would return the same token from its cache.
    """

    def __init__(
        self,
        endpoint: str,
        credential_factory: Callable[[], TokenCredential],
        *,
        clock: Callable[[], datetime] = utc_now,
        timeouts: Timeouts | None = None,
        telemetry: Telemetry = NO_TELEMETRY,
    ) -> None:
        self.endpoint = endpoint.rstrip("/")
        self._telemetry = telemetry
        self.timeouts = timeouts or Timeouts()
        self._tokens = Tokens(f"{self.endpoint}/.default", credential_factory)
        self._clock = clock
        self._throttling = Throttling(clock)
        self._http = new_http_session()

    def close(self) -> None:
        """Close the pooled connections and the credential."""
        self._http.close()
        self._tokens.close()

    def call(
        self,
        method: str,
        url: str,
        *,
        body: Json | None = None,
        client_request_id: str | None = None,
        if_match: str | None = None,
        only_new: bool = False,
        once: bool = False,
    ) -> Reply:
        """Call ``url`` (absolute, or a path with its query at the endpoint) and return a 2xx answer.

        For every other answer it raises the error from ``arm.errors``. ``if_match`` is the etag that the resource must
        still have; ``only_new``: there must not be such a resource yet. ``once`` is for the request that must not be
        executed twice: when it is unknown whether Azure accepted it, ``UnknownOutcomeError`` is raised. After a 401 the
        token is renewed and the call repeated once, because Azure has not executed it. While a wait that the URL's last
        answer asked for is not over, nothing is sent: ``TransientError`` has the remaining seconds.
        """
        url = f"{self.endpoint}{url}" if url.startswith("/") else url
        headers = {_REQUEST_ID: client_request_id or str(uuid.uuid4())}
        if if_match is not None:
            headers["If-Match"] = if_match
        if only_new:
            headers["If-None-Match"] = "*"
        credential, token = self._tokens.get()
        reply = self._send(method, url, body, headers, token, once=once)
        if reply.status == _UNAUTHORIZED:
            _, token = self._tokens.get(credential)
            reply = self._send(method, url, body, headers, token, once=once)
        if not reply.status // 100 == 2:  # noqa: PLR2004 - every 2xx
            raise service_error(reply, once=once)
        return reply

    def principal_id(self) -> str | None:
        """Return the object id of the caller, which Entra ID writes into its tokens; ``None`` if it cannot be read.

        The token is not verified here: the id is only shown to people.
        """
        try:
            _, token = self._tokens.get()
        except RestoreError:
            return None
        return _object_id(token)

    def _send(
        self, method: str, url: str, body: Json | None, headers: Mapping[str, str], token: str, *, once: bool
    ) -> Reply:
        path = path_of(url)
        operation = operation_name(method, path)
        if wait_s := self._throttling.wait_s(method, url):
            self._telemetry.call_not_sent(operation)
            raise throttled_error(f"{method} {path}", wait_s)
        with self._telemetry.call(
            operation, method=method, endpoint=self.endpoint, client_request_id=headers[_REQUEST_ID]
        ) as recorded:
            return self._exchange(recorded, method, url, body, headers=headers, token=token, once=once)

    def _exchange(
        self,
        recorded: RecordedCall,
        method: str,
        url: str,
        body: Json | None,
        *,
        headers: Mapping[str, str],
        token: str,
        once: bool,
    ) -> Reply:
        path, started, request_id = path_of(url), time.monotonic(), headers[_REQUEST_ID]
        read_s = self.timeouts.trigger_read_s if once else self.timeouts.read_s
        try:
            with self._http.request(
                method,
                url,
                json=body,
                headers=headers,
                auth=Bearer(token),
                timeout=(self.timeouts.connect_s, read_s),
                allow_redirects=False,
                stream=True,
            ) as response:
                content = read_body(response, deadline=started + BODY_DEADLINE_READS * read_s)
        except (requests.RequestException, HTTPError, ValueError) as error:
            _log_call(method, path, type(error).__name__, started, request_id)
            recorded.failed(type(error).__name__)
            raise transport_error(error, f"{method} {path}", request_id, once=once) from None
        _log_call(method, path, response.status_code, started, response.headers.get("x-ms-request-id"))
        recorded.answered(response.status_code, response.headers)
        _warn_before_throttling(path, response)
        retry_after_s = read_retry_after(response.headers, self._clock())
        is_for_one_item = method == "POST" and response.status_code in _FOR_ONE_ITEM
        self._throttling.record(method, url, None if is_for_one_item else retry_after_s)
        return Reply(
            method=method,
            path=path,
            client_request_id=request_id,
            status=response.status_code,
            headers=response.headers,
            content=content.replace(token.encode(), b"(removed)"),  # a gateway may quote the request
            retry_after_s=retry_after_s,
        )


def _object_id(token: str) -> str | None:
    """Return the claim ``oid`` of a JSON Web Token."""
    _, _, rest = token.partition(".")
    payload, _, _ = rest.partition(".")
    try:
        claims: object = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except ValueError:
        return None
    return as_name(as_object(claims).get("oid"))


def _log_call(method: str, path: str, outcome: int | str, started: float, request_id: str | None) -> None:
    took_ms = (time.monotonic() - started) * 1000
    one_line_id = " ".join((request_id or "").split())[:_MAX_ID_LENGTH]  # a line break could forge a log line
    _log.debug("%s %s %s in %.0f ms, request %s", method, path, outcome, took_ms, one_line_id or None)


def _warn_before_throttling(path: str, response: requests.Response) -> None:
    for name, value in response.headers.items():
        is_counted = name.lower().startswith(_REMAINING_HEADERS) and name.lower() != _GRAPH_REMAINING
        if is_counted and value.isdecimal() and int(value[:9]) < _LOW_REMAINING:
            _log.warning("Azure will soon throttle: %s is %s after %s", name, value, path)
