"""The activities that post to the webhook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from domain.answers import Answer
from domain.restore.answers import Done
from domain.restore.status_events import event_of

if TYPE_CHECKING:
    from domain.errors import Json
    from domain.restore.calls import PostEvent, PostResult


class Webhook(Protocol):
    """The receiver of results and events."""

    def post(self, body: Json, *, restore_id: str, event: str) -> None:
        """Post one event of a restore; raises :class:`domain.errors.TransientError` unless it was accepted."""
        ...


class WebhookActivities:
    """The activities of the webhook. Posting twice is safe, because headers and body are the same."""

    def __init__(self, webhook: Webhook | None) -> None:
        self._webhook = webhook

    def post_result(self, call: PostResult) -> Answer[Done]:
        """Post the status document of a finished restore, if there is a webhook."""
        return self._post(call.document, restore_id=call.document["id"], event=call.document["status"])

    def post_event(self, call: PostEvent) -> Answer[Done]:
        """Post an event of a restore that waits for a person, if there is a webhook."""
        event = event_of(call.change)
        return self._post(event, restore_id=event["restore"]["id"], event=call.change.status)

    def _post(self, body: Json, *, restore_id: str, event: str) -> Answer[Done]:
        if self._webhook is not None:
            self._webhook.post(body, restore_id=restore_id, event=event)
        return Answer(Done())
