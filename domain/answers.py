"""What comes back from one call to Azure, beside the value itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer[T]:
    """A value and the wait that the service asked for before the next call, in seconds (``None``: it named none)."""

    value: T
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A 202: the service has taken the request and works on it.

    ``operation_id`` is the last path segment of the asynchronous URL; ``url`` that URL as given, or ``None`` when it
    must not be called (another host) or was not sent. Both are ``None`` when the answer carried no usable header.
    """

    operation_id: str | None
    url: str | None
    retry_after_s: float | None
