"""One answer per request: messages to an entity may arrive twice, late and out of order (``docs/engine.md``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from domain.codec import pack, unpack
from domain.errors import Json
from domain.times import parse_request_time

_ANSWERS_KEPT_FOR: Final = timedelta(hours=1)  # far longer than any message is delayed
_MAX_ANSWERS: Final = 500

OUTDATED: Final = "outdated"
"""The member of the answer to an outdated request: the restore has made a later one since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which restore makes a request to an entity, and when by the restore's clock.

    ``created`` distinguishes a restore from an earlier one with the same id; ``number`` grows with each request.
    """

    restore_id: str
    created: datetime
    number: int
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LastAnswer:
    """The last answer that a restore got: to which of its requests, when, and what."""

    number: int
    operation: str
    time: datetime
    answer: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of an entity: the types of its state and of its request, and the function.

    The function takes the state, which is ``None`` before the first use, and returns the new state and the answer. The
    new state is ``None`` if there is still nothing to keep.
    """

    state: Any
    request: Any
    function: Callable[[Any, Any, Asked], tuple[Any, Any]]


def answer_once(name: str, operation: Operation, kept: Json | None, data: Json) -> tuple[Json, Json]:
    """Do an operation, unless this request or a later one of the same restore has been answered.

    ``kept`` is the entity's state as JSON, ``data`` a packed :class:`Asked` with the operation's request as ``call``.
    A repeated request gets the same answer and changes nothing. An outdated request, to which the restore no longer
    waits for an answer, changes nothing and is answered ``{"outdated": true}``. Returns the new state and the answer.
    """
    asked = unpack(Asked, data)
    known: Json = dict(kept or {})
    answers: dict[str, Json] = dict(known.pop("answers", {}))  # as JSON: of hundreds, one is read
    asker = f"{data['restoreId']} {data['created']}"
    if asker in answers:
        last = unpack(LastAnswer, answers.pop(asker))
        if (last.number, last.operation) == (asked.number, name):
            return kept or {}, last.answer
        if last.number > asked.number:
            return kept or {}, {OUTDATED: True}
    state = unpack(operation.state, known) if known else None
    new, answer = operation.function(state, unpack(operation.request, data["call"]), asked)
    sealed = pack(answer)
    answers[asker] = pack(LastAnswer(number=asked.number, operation=name, time=asked.now, answer=sealed))
    times = {key: parse_request_time(answer["time"]) for key, answer in answers.items()}
    oldest = max(times.values()) - _ANSWERS_KEPT_FOR
    fresh = [(key, answer) for key, answer in answers.items() if times[key] >= oldest]
    written: Json = {} if new is None else pack(new)
    return {**written, "answers": dict(fresh[-_MAX_ANSWERS:])}, sealed
