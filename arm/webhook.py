"""The results webhook: the one place besides Azure that the app ever calls."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

import requests
from domain import errors
from domain.errors import TransientError

from arm.transport import Adapter

if TYPE_CHECKING:
    from domain.errors import Json
    from settings import Settings

_TIMEOUT_S: Final = (5.0, 15.0)  # to connect, to answer


class ResultWebhook:
    """Posts status documents, each signed with HMAC-SHA256 over its body."""

    def __init__(self, url: str, secret: str) -> None:
        self._url, self._key = url, secret.encode()

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """Return the webhook of ``RESTORE_WEBHOOK_URL``; ``None`` where none is set."""
        if settings.webhook_url is None or settings.webhook_secret is None:
            return None
        return cls(settings.webhook_url, settings.webhook_secret)

    def post(self, document: Json) -> None:
        """Post a document; raises ``TransientError`` unless the answer is a 2xx.

        A redirect is not followed, and the messages name the host alone: webhook URLs often hold a key.
        """
        body = json.dumps(document).encode()
        signature = hmac.new(self._key, body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-Restore-Id": document["id"],
            "X-Restore-Signature-256": f"sha256={signature}",
        }
        host = urlsplit(self._url).hostname
        problem = ""
        try:
            with requests.Session() as session:  # no cookies from one result to the next
                session.trust_env = False  # no password of a .netrc goes along
                for scheme in ("https://", "http://"):
                    session.mount(scheme, Adapter())
                status = session.post(
                    self._url, data=body, headers=headers, timeout=_TIMEOUT_S, allow_redirects=False, stream=True
                ).status_code
            if not 200 <= status < 300:  # noqa: PLR2004 - the class of success
                problem = f"{host} answered {status}."
        except (requests.RequestException, ValueError) as error:  # urllib3 has a ValueError for odd hosts
            problem = f"{host} could not be reached ({type(error).__name__})."
        if problem:  # raised here, where no other error with the URL in it becomes its context
            raise TransientError(errors.SERVICE_UNAVAILABLE, problem)
