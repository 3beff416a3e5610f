"""How the app connects to Azure: pooled connections, timeouts, and a token in each request."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Final, override

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from arm.errors import credential_error
from arm.logs import redact_library_logs

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.core.credentials import TokenCredential

VERSION: Final = "0.1.0"
_POOL_SIZE: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long to wait for a connection and for the next byte of an answer, in seconds.

    ``trigger_read_s`` replaces ``read_s`` for the trigger of a restore. The last byte of a body must come within four
    times the read timeout after the call began.
    """

    connect_s: float = 5.0
    read_s: float = 30.0
    trigger_read_s: float = 60.0


def utc_now() -> datetime:
    """Return the time, aware UTC."""
    return datetime.now(UTC)


class Tokens:
    """The app's tokens for one scope. Safe to use from several threads.

    ``credential_factory`` makes a credential. It is called again when Azure refuses a token, because the old credential
    would return the same token from its cache.
    """

    def __init__(self, scope: str, credential_factory: Callable[[], TokenCredential]) -> None:
        self._scope = scope
        self._credential_factory = credential_factory
        self._credential: TokenCredential | None = None
        self._lock = threading.Lock()

    def get(self, refused: TokenCredential | None = None) -> tuple[TokenCredential, str]:
        """Return a credential and its token. A new credential is made if the present one is ``refused``."""
        try:
            with self._lock:
                if self._credential is None or self._credential is refused:
                    self._credential = self._credential_factory()
                credential = self._credential
            return credential, credential.get_token(self._scope).token
        except Exception as error:  # noqa: BLE001 - azure-identity lets errors of msal, json and sockets through
            raise credential_error(error) from None

    def close(self) -> None:
        """Close the credential."""
        with self._lock:
            credential, self._credential = self._credential, None
        close = getattr(credential, "close", None)
        if callable(close):
            close()


class Bearer(AuthBase):
    """Sets the app's token. Otherwise ``requests`` would use a password from ``.netrc`` or from the URL."""

    def __init__(self, token: str) -> None:
        self._token = token

    @override
    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        r.headers["Authorization"] = f"Bearer {self._token}"
        return r


def new_http_session() -> requests.Session:
    """Return a session that keeps no cookies, and neither repeats a request nor logs a secret."""
    session = requests.Session()
    adapter = HTTPAdapter(pool_maxsize=_POOL_SIZE, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.headers.update(
        {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": f"azure-vm-restore/{VERSION}"}
    )
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    redact_library_logs()
    return session
