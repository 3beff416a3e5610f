"""Activities in the form that Durable Functions calls: they take JSON and return an envelope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from domain.codec import unpack
from domain.envelopes import seal
from domain.errors import RestoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from datetime import datetime

    from domain.answers import Answer
    from domain.errors import Json
    from domain.restore.calls import ActivityCall


def sealed[C: ActivityCall](
    kind: type[C], activity: Callable[[C], Answer[Any]], clock: Callable[[], datetime]
) -> Callable[[Json], Json]:
    """Return the activity as a function from packed JSON to an envelope with its answer or its ``RestoreError``.

    All other exceptions are raised, so that the orchestrator sees that the activity broke. ``clock`` returns aware UTC.
    """

    def call(data: Json) -> Json:
        try:
            answer = activity(unpack(kind, data))
        except RestoreError as error:
            return seal(error, activity=kind.name, at=clock())
        return seal(answer, activity=kind.name, at=clock())

    call.__name__ = kind.name
    return call


def sealed_async[C: ActivityCall, T](
    kind: type[C], activity: Callable[[C, T], Awaitable[Answer[Any]]], clock: Callable[[], datetime]
) -> Callable[[Json, T], Coroutine[Any, Any, Json]]:
    """Return a coroutine that also takes the task hub's client, as ``sealed`` returns a function."""

    async def call(data: Json, client: T) -> Json:
        try:
            answer = await activity(unpack(kind, data), client)
        except RestoreError as error:
            return seal(error, activity=kind.name, at=clock())
        return seal(answer, activity=kind.name, at=clock())

    call.__name__ = kind.name
    return call
