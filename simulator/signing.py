"""The signatures that ARM appends to the addresses of asynchronous operations."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from simulator.formats import ticks

if TYPE_CHECKING:
    from datetime import datetime
    from random import Random

_CERTIFICATE_BYTES = (1931, 1945, 1991, 2041)
_SIGNATURE_BYTES = 256
_HASH_BYTES = 32


def _text(random: Random, count: int) -> str:
    return base64.urlsafe_b64encode(random.randbytes(count)).decode().rstrip("=")


class Signatures:
    """The signatures of one answer: they share the certificate ``c``, and nobody checks them."""

    def __init__(self, moment: datetime, random: Random) -> None:
        self._issued = ticks(moment)
        self._random = random
        self._certificate = _text(random, random.choice(_CERTIFICATE_BYTES))

    def sign(self, url: str) -> str:
        """Append ``t``, ``c``, ``s`` and ``h`` of the usual sizes to an address."""
        signature, digest = _text(self._random, _SIGNATURE_BYTES), _text(self._random, _HASH_BYTES)
        return f"{url}&t={self._issued}&c={self._certificate}&s={signature}&h={digest}"
