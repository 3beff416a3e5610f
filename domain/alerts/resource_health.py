"""Alerts of Resource Health: what they say of the VM, and whether that is enough to restore it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from domain.alerts.fields import letters_of, member_of, name_list, object_of, single_line, value_of
from domain.alerts.kinds import operation_of
from domain.wire import as_list

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ACTIVE: Final = frozenset({"active", "activated"})
_IN_PROGRESS: Final = "inprogress"
_ACTING_CAUSES: Final = frozenset({"platforminitiated", "unknown"})
_EVENT: Final = re.compile(r"microsoft\.resourcehealth/healthevent/([^/]+)/action", re.IGNORECASE)
_MAX_DEPTH: Final = 10


def causes_of(context: Mapping[str, Any]) -> list[str]:
    """Return the distinct texts of all members named ``cause``, wherever they are in an alert."""
    return list(dict.fromkeys(_causes(context)))


def health_ignore_reason(context: Mapping[str, Any]) -> str | None:
    """Return why a health event must start nothing, as a sentence; ``None`` when it may start a restore."""
    for word in _event_words(context):
        if letters_of(word) not in {*_ACTIVE, _IN_PROGRESS}:
            return f"The health event is {single_line(word)}; only an Active or InProgress event can start a restore."
    if letters_of(_health(context)) == "available":
        return "Resource Health says that the virtual machine is available."
    causes = causes_of(context)
    if causes and _ACTING_CAUSES.isdisjoint(map(letters_of, causes)):
        return (
            f"Resource Health names the cause {name_list(causes)}; only PlatformInitiated and Unknown start a restore."
        )
    return None


def health_approval_reason(context: Mapping[str, Any]) -> str | None:
    """Return why a person must confirm that the VM is down, as a sentence; ``None`` when the alert says enough.

    An Active event may name no cause, also when a user stopped the VM, and some outages of the platform are reported as
    InProgress only.
    """
    health = _health(context)
    doubts: list[str] = []
    if _IN_PROGRESS in map(letters_of, _event_words(context)):
        doubts.append("calls the event InProgress")
    if not causes_of(context):
        doubts.append("names no cause")
    if health and letters_of(health) != "unavailable":
        doubts.append(f"calls the virtual machine {single_line(health)}")
    return f"Resource Health {' and '.join(doubts)}, so a person must confirm." if doubts else None


def _event_words(context: Mapping[str, Any]) -> list[str]:
    """Return the event's state, such as ``Active``, by its status and by its operation; usually both are the same."""
    operation = _EVENT.fullmatch(operation_of(context))
    words = (value_of(member_of(context, "status")), operation[1] if operation else "")
    return [word for word in words if word]


def _health(context: Mapping[str, Any]) -> str:
    return value_of(member_of(object_of(member_of(context, "properties")), "currentHealthStatus"))


def _causes(value: object, depth: int = 0, *, in_cause: bool = False) -> Iterator[str]:
    """Yield every text of a member named ``cause``, at any depth: a missed cause could start a wrong restore."""
    if depth > _MAX_DEPTH:
        return
    members = object_of(value)
    for name, member in members.items():
        yield from _causes(member, depth + 1, in_cause=in_cause or letters_of(name) == "cause")
    if not members:
        for entry in as_list(value):
            yield from _causes(entry, depth + 1, in_cause=in_cause)
        if in_cause and isinstance(value, str) and value.strip():
            yield value
