"""The activity that posts the result of a restore to the webhook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from domain.answers import Answer
from domain.restore.answers import Done

if TYPE_CHECKING:
    from domain.errors import Json
    from domain.restore.calls import PostResult


class Webhook(Protocol):
    """The receiver of results."""

    def post(self, document: Json) -> None:
        """Post a status document; raises :class:`domain.errors.TransientError` unless it was accepted."""
        ...


class ResultActivities:
    """The activity of the webhook. Posting twice is safe, because ``X-Restore-Id`` and the body are the same."""

    def __init__(self, webhook: Webhook | None) -> None:
        self._webhook = webhook

    def post_result(self, call: PostResult) -> Answer[Done]:
        """Post the status document, if there is a webhook."""
        if self._webhook is not None:
            self._webhook.post(call.document)
        return Answer(Done())
