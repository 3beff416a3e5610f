"""The signatures ARM hangs on the addresses of asynchronous operations."""

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


def sign(url: str, moment: datetime, random: Random) -> str:
    """Append ``t``, ``c``, ``s`` and ``h`` of the usual sizes; new ones at every call, and nobody checks them."""
    certificate = _text(random, random.choice(_CERTIFICATE_BYTES))
    return f"{url}&t={ticks(moment)}&c={certificate}&s={_text(random, _SIGNATURE_BYTES)}&h={_text(random, _HASH_BYTES)}"
