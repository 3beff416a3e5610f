"""The managed identity's tokens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.clock import Clock

LIFETIME = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it was given out."""

    text: str
    expires: datetime


class Tokens:
    """Gives out opaque tokens and knows them again. Time is the machine's own, whatever the simulator's speed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._expiries: dict[str, datetime] = {}

    def issue(self, unique: str) -> Token:
        """Give out a token that ends with the given unique text."""
        token = Token(f"simulated.{unique}", self._clock.now() + LIFETIME)
        self._expiries[token.text] = token.expires
        return token

    def is_known(self, text: str) -> bool:
        """Tell whether the token was given out here."""
        return text in self._expiries

    def is_valid(self, text: str) -> bool:
        """Tell whether the token was given out here and has not expired."""
        expires = self._expiries.get(text)
        return expires is not None and self._clock.now() < expires

    def expire_all(self) -> int:
        """Expire every token given out so far; return how many."""
        now = self._clock.now()
        self._expiries = dict.fromkeys(self._expiries, now)
        return len(self._expiries)

    def __len__(self) -> int:
        return len(self._expiries)
