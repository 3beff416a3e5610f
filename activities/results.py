"""The activities that post to the webhook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from domain.answers import Answer
from domain.recovery.event import recovery_event_of
from domain.restore.answers import Done
from domain.restore.status_events import event_of

if TYPE_CHECKING:
    from domain.errors import Json
    from domain.recovery.calls import PostRecoveryEvent
    from domain.restore.calls import PostEvent, PostResult


class Webhook(Protocol):
    """The receiver of results and events."""

    def post(self, body: Json, *, event: str, restore_id: str | None = None, recovery_id: str | None = None) -> None:
        """Post an event of a restore or recovery; raises :class:`domain.errors.TransientError` unless it was taken."""
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

    def post_recovery_event(self, call: PostRecoveryEvent) -> Answer[Done]:
        """Post an event of a recovery, if there is a webhook."""
        event = recovery_event_of(call.change)
        return self._post(event, recovery_id=event["recovery"]["id"], event=call.change.status)

    def _post(self, body: Json, **about: str) -> Answer[Done]:
        if self._webhook is not None:
            self._webhook.post(body, **about)
        return Answer(Done())
