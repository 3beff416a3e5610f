"""The webhook: the only address outside Azure that the app calls."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

import requests

from domain import errors
from domain.errors import TransientError

if TYPE_CHECKING:
    from domain.errors import Json
    from settings import Settings

_TIMEOUTS_S: Final = (5.0, 15.0)  # to connect, and to wait for the next byte of the answer


class SignedWebhook:
    """Posts the events of restores and recoveries with a signature: HMAC-SHA256 of the body."""

    def __init__(self, url: str, secret: str) -> None:
        self._url, self._key = url, secret.encode()

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """Return the webhook at ``RESTORE_WEBHOOK_URL``, or ``None`` when that is not set."""
        if settings.webhook_url is None or settings.webhook_secret is None:
            return None
        return cls(settings.webhook_url, settings.webhook_secret)

    def post(self, body: Json, *, event: str, restore_id: str | None = None, recovery_id: str | None = None) -> None:
        """Post an event of a restore or a recovery once; raise ``TransientError`` unless the answer is a 2xx.

        Redirects are not followed and the answer's body is not read. Messages name only the host, because webhook
        URLs often contain a key.
        """
        data = json.dumps(body).encode()
        signature = hmac.new(self._key, data, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            **({} if restore_id is None else {"X-Restore-Id": restore_id}),
            **({} if recovery_id is None else {"X-Recovery-Id": recovery_id}),
            "X-Restore-Event": event,
            "X-Restore-Signature-256": f"sha256={signature}",
        }
        host = urlsplit(self._url).hostname
        problem = ""
        try:
            with requests.Session() as session:  # a new session each time: no cookie is sent back later
                session.trust_env = False  # no password from a .netrc is sent
                status = session.post(
                    self._url, data=data, headers=headers, timeout=_TIMEOUTS_S, allow_redirects=False, stream=True
                ).status_code
            if not 200 <= status < 300:  # noqa: PLR2004 - every 2xx
                problem = f"{host} answered {status}."
        except (requests.RequestException, ValueError) as error:  # urllib3 raises ValueError for some invalid hosts
            problem = f"{host} could not be reached ({type(error).__name__})."
        if problem:  # raised outside of "except": otherwise its context would be an error that quotes the URL
            raise TransientError(errors.SERVICE_UNAVAILABLE, problem)
