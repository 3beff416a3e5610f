"""The managed identity's tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from simulator.tenant import CLIENT_ID, PRINCIPAL_ID, TENANT_ID

if TYPE_CHECKING:
    from simulator.clock import Clock

LIFETIME = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Token:
    """An issued token; ``expires`` is of the machine's own time."""

    text: str
    audience: str
    expires: datetime


class Tokens:
    """Issues JSON Web Tokens and remembers them. Time is the machine's own, whatever the simulator's speed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._issued: dict[str, Token] = {}

    def issue(
        self, audience: str, *, client_id: str = CLIENT_ID, object_id: str = PRINCIPAL_ID, resource_id: str = ""
    ) -> Token:
        """Issue a new token for an audience, and for an identity of these ids."""
        now = self._clock.now()
        expires = now + LIFETIME
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{TENANT_ID}/",
            "iat": int(now.timestamp()),
            "nbf": int(now.timestamp()),
            "exp": int(expires.timestamp()),
            "appid": client_id,
            "appidacr": "2",
            "idp": f"https://sts.windows.net/{TENANT_ID}/",
            "idtyp": "app",
            "oid": object_id,
            "sub": object_id,
            "tid": TENANT_ID,
            "uti": secrets.token_urlsafe(16),
            "ver": "1.0",
            "xms_mirid": resource_id,
        }
        token = Token(self._sign(claims), audience, expires)
        self._issued[token.text] = token
        return token

    def find(self, text: str) -> Token | None:
        """Return the issued token of this text, expired or not; None if there is none."""
        return self._issued.get(text)

    def audience_of(self, text: str) -> str:
        """Return the audience of a token, empty for one that was not issued here."""
        token = self._issued.get(text)
        return token.audience if token else ""

    def is_known(self, text: str) -> bool:
        """Return whether the token was issued here."""
        return text in self._issued

    def is_valid(self, text: str) -> bool:
        """Return whether the token was issued here and has not expired."""
        token = self._issued.get(text)
        return token is not None and self._clock.now() < token.expires

    def expire_all(self) -> int:
        """Expire every token issued so far; return how many."""
        now = self._clock.now()
        self._issued = {text: replace(token, expires=now) for text, token in self._issued.items()}
        return len(self._issued)

    def __len__(self) -> int:
        return len(self._issued)

    def _sign(self, claims: dict[str, Any]) -> str:
        """Write a token. Azure's are signed with RSA; no client checks that."""
        parts = [_encode(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "HS256"}, claims)]
        signed = hmac.digest(self._key, ".".join(parts).encode(), hashlib.sha256)
        return ".".join([*parts, _encode(signed)])


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
