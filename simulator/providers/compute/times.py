"""How Compute writes times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.formats import iso_time

if TYPE_CHECKING:
    from datetime import datetime


def offset_time(moment: datetime) -> str:
    """Write a time with up to seven fractional digits and the offset ``+00:00``."""
    return f"{iso_time(moment).removesuffix('Z')}+00:00"


def whole_seconds(moment: datetime) -> str:
    """Write a time without a fraction, as the VM agent does."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}+00:00"
