"""The activity that hands a finished restore to whoever asked to be told by HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from domain.errors import Json


class Webhook(Protocol):
    """Where results go."""

    def post(self, document: Json) -> None:
        """Post a status document; raises :class:`domain.errors.TransientError` unless it was taken."""
        ...


class ResultActivities:
    """The side effect of telling. Posting twice is safe: ``X-Restore-Id`` and the body are the same."""

    def __init__(self, webhook: Webhook | None) -> None:
        self._webhook = webhook

    def post_result(self, data: Json) -> Json:
        """Post a status document; raises what is worth repeating, so that the retry policy does."""
        if self._webhook is not None:
            self._webhook.post(data)
        return {}
