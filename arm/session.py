"""One call to Azure Resource Manager: token, headers, timeouts, errors. Nothing is ever repeated by itself."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Final, override

import requests
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError

from arm.addresses import path_of
from arm.errors import credential_error, held_error, service_error, transport_error
from arm.logs import guard_logs
from arm.reply import Reply
from arm.retry_after import read_retry_after
from arm.transport import Adapter, read_body
from arm.waits import Waits

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.core.credentials import TokenCredential
    from domain.errors import Json

VERSION: Final = "0.1.0"
_ACCEPTED: Final = 202
_UNAUTHORIZED: Final = 401
_FEW_LEFT: Final = 10
_LONGEST_ID: Final = 100
_LIMIT_HEADERS: Final = "x-ms-ratelimit-remaining-"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long a call may take to connect and to go on answering, in seconds; a restore's trigger may take longer.

    A whole answer may take four times as long.
    """

    connect_s: float = 5.0
    read_s: float = 30.0
    trigger_read_s: float = 60.0


class _Bearer(AuthBase):
    """Sets our token. As requests' own auth it keeps ``.netrc`` and user names in URLs from setting theirs."""

    def __init__(self, token: str) -> None:
        self._token = token

    @override
    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        r.headers["Authorization"] = f"Bearer {self._token}"
        return r


def _utc_now() -> datetime:
    return datetime.now(UTC)


class ArmSession:
    """Calls ARM at one endpoint with a token of the app's identity. Safe to use from several threads.

    ``credential_factory`` makes a credential; it is asked again when Azure refuses a token, because the old
    credential would hand out the same one from its cache.
    """

    def __init__(
        self,
        endpoint: str,
        credential_factory: Callable[[], TokenCredential],
        *,
        clock: Callable[[], datetime] = _utc_now,
        timeouts: Timeouts | None = None,
    ) -> None:
        self.endpoint = endpoint.rstrip("/")
        self.timeouts = timeouts or Timeouts()
        self._scope = f"{self.endpoint}/.default"
        self._credential_factory = credential_factory
        self._credential: TokenCredential | None = None
        self._credential_lock = threading.Lock()
        self._clock = clock
        self._waits = Waits(clock)
        self._http = _new_http_session()

    def close(self) -> None:
        """Close the pooled connections and the credential's."""
        self._http.close()
        with self._credential_lock:
            credential, self._credential = self._credential, None
        close = getattr(credential, "close", None)
        if callable(close):
            close()

    def call(
        self,
        method: str,
        url: str,
        *,
        body: Json | None = None,
        client_request_id: str | None = None,
        once: bool = False,
    ) -> Reply:
        """Call ``url`` (whole, or a path with its query at the endpoint) and return the answer if it is a 2xx.

        Anything else raises what ``arm.errors`` makes of it. ``once`` is for the one request that must not be done
        twice: where it is not known whether Azure took it, ``UnknownOutcomeError`` is raised. A 401 renews the token
        and repeats the call, once: Azure did nothing the first time. A URL whose last answer asked for a wait that is
        not over is not called: ``TransientError`` with the seconds that are left.
        """
        url = f"{self.endpoint}{url}" if url.startswith("/") else url
        request_id = client_request_id or str(uuid.uuid4())
        credential, token = self._token(None)
        reply = self._send(method, url, body, request_id, token, once=once)
        if reply.status == _UNAUTHORIZED:
            _, token = self._token(credential)
            reply = self._send(method, url, body, request_id, token, once=once)
        if not reply.status // 100 == 2:  # noqa: PLR2004 - every 2xx
            raise service_error(reply, once=once)
        return reply

    def _token(self, refused: TokenCredential | None) -> tuple[TokenCredential, str]:
        """Return a credential and its token; a new one where the present one's token is the one that was refused."""
        try:
            with self._credential_lock:
                if self._credential is None or self._credential is refused:
                    self._credential = self._credential_factory()
                credential = self._credential
            return credential, credential.get_token(self._scope).token
        except Exception as error:  # noqa: BLE001 - azure-identity lets errors of msal, json and sockets through
            raise credential_error(error) from None

    def _send(self, method: str, url: str, body: Json | None, request_id: str, token: str, *, once: bool) -> Reply:
        path, started = path_of(url), time.monotonic()
        if left_s := self._waits.left_s(method, url):
            raise held_error(f"{method} {path}", left_s)
        try:
            with self._http.request(
                method,
                url,
                json=body,
                headers={"x-ms-client-request-id": request_id},
                auth=_Bearer(token),
                timeout=(self.timeouts.connect_s, self.timeouts.trigger_read_s if once else self.timeouts.read_s),
                allow_redirects=False,
                stream=True,
            ) as response:
                content = read_body(response)
        except (requests.RequestException, HTTPError, ValueError) as error:
            _log_call(method, path, type(error).__name__, started, request_id)
            raise transport_error(error, f"{method} {path}", request_id, once=once) from None
        _log_call(method, path, response.status_code, started, response.headers.get("x-ms-request-id"))
        _warn_of_limits(path, response)
        retry_after_s = read_retry_after(response.headers, self._clock())
        # Accepted with a wait: that is for what was started, not for starting another at the same address.
        started_something = method == "POST" and response.status_code == _ACCEPTED
        self._waits.note(method, url, None if started_something else retry_after_s)
        return Reply(
            method=method,
            path=path,
            client_request_id=request_id,
            status=response.status_code,
            headers=response.headers,
            content=content.replace(token.encode(), b"(removed)"),  # a gateway may quote what it was sent
            retry_after_s=retry_after_s,
        )


def _new_http_session() -> requests.Session:
    session = requests.Session()
    adapter = Adapter()
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.headers.update({"Accept": "application/json", "User-Agent": f"azure-vm-restore/{VERSION}"})
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    guard_logs()
    return session


def _log_call(method: str, path: str, outcome: int | str, started: float, request_id: str | None) -> None:
    took_ms = (time.monotonic() - started) * 1000
    shown_id = " ".join((request_id or "").split())[:_LONGEST_ID]  # folded header lines would forge one of the log
    _log.debug("%s %s %s in %.0f ms, request %s", method, path, outcome, took_ms, shown_id or None)


def _warn_of_limits(path: str, response: requests.Response) -> None:
    for name, value in response.headers.items():
        if name.lower().startswith(_LIMIT_HEADERS) and value.isdecimal() and int(value[:9]) < _FEW_LEFT:
            _log.warning("Azure will soon throttle: %s is %s after %s", name, value, path)
