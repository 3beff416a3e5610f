"""Who asks an entity in these tests, and when."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from domain.admission.answer_once import Asked, Operation, answer_once
from domain.codec import pack

if TYPE_CHECKING:
    from collections.abc import Callable

    from domain.errors import Json
    from domain.restore.calls import EntityCall

NOW: Final = datetime(2026, 11, 23, 8, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)


def asked(restore_id: str, at: timedelta = timedelta(), *, number: int = 1, created: datetime = NOW) -> Asked:
    """Return a request's frame: a restore asks this long after ``NOW``."""
    return Asked(restore_id=restore_id, created=created, number=number, now=NOW + at)


class Entity:
    """An entity as the task hub keeps it: its state is JSON, and so is everything that reaches or leaves it."""

    def __init__(self, state: type, functions: dict[type[EntityCall], Callable[[Any, Any, Asked], Any]]) -> None:
        self._operations = {
            call.operation: Operation(state=state, request=call, function=function)
            for call, function in functions.items()
        }
        self.state: Json = {}

    def ask(
        self, call: EntityCall, restore_id: str, number: int, at: timedelta = timedelta(), *, created: datetime = NOW
    ) -> Json:
        """Deliver one message; returns the answer."""
        message = {**pack(asked(restore_id, at, number=number, created=created)), "call": pack(call)}
        operation = self._operations[call.operation]
        state, answer = answer_once(call.operation, operation, self.state or None, json.loads(json.dumps(message)))
        self.state = json.loads(json.dumps(state))
        return json.loads(json.dumps(answer))
