"""Which restores and recoveries a list shows: the parameters of its query."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from domain.azure.resource_ids import VIRTUAL_MACHINE, same_id
from domain.reading import an_object, resource_id, string
from domain.recovery.parts import RecoveryStatus
from domain.restore.parts import Status
from domain.texts import trimmed
from domain.times import parse_request_time
from triggers.answers import invalid
from triggers.parameters import parse_name, parse_top, parsed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from domain.errors import Json
    from domain.reading import Reader

ID_PATTERN: Final = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
"""What the id of a recovery looks like, as a regular expression."""

# The members of a document in which a text is searched: those of restores and those of recoveries.
_SEARCHED: Final = ("id", "sourceResourceId", "recoveryId", "plan", "requestId", "requestedBy", "reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFilter:
    """Which restores or recoveries are listed: those that pass all of these; the default is all of them.

    ``statuses``: one of them, if there are any. ``text``: found in one of the members of ``_SEARCHED``, in any letter
    case. ``created_after`` is the first moment of acceptance that counts, ``created_before`` the first that does not.
    """

    statuses: frozenset[str] = frozenset()
    vm_id: str | None = None
    recovery_id: str | None = None
    text: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None

    @classmethod
    def of(cls, given: Json) -> Self:
        """Return the filter of these parameters (``RESTORE_LIST``, ``RECOVERY_LIST``); raises ``InvalidRequestError``.

        A span of time that is empty is refused: the two times were probably mixed up.
        """
        after, before = given.get("createdAfter"), given.get("createdBefore")
        if after is not None and before is not None and before <= after:
            raise invalid("createdBefore", "must be later than createdAfter")
        return cls(
            statuses=given.get("status", frozenset()),
            vm_id=given.get("sourceResourceId"),
            recovery_id=given.get("recoveryId"),
            text=given.get("text"),
            created_after=after,
            created_before=before,
        )

    @property
    def is_about_documents(self) -> bool:
        """Whether only the documents tell what passes, so that few of those that are read may pass."""
        return bool(self.statuses) or self.recovery_id is not None or self.text is not None

    def is_too_new(self, created: datetime) -> bool:
        """Return whether what was accepted then is newer than all that is wanted."""
        return self.created_before is not None and created >= self.created_before

    def is_too_old(self, created: datetime) -> bool:
        """Return whether what was accepted then is older than all that is wanted."""
        return self.created_after is not None and created < self.created_after

    def wants(self, document: Json) -> bool:
        """Return whether a restore or recovery with this document is wanted."""
        created = parse_request_time(document["createdTime"])
        return (
            (not self.statuses or document["status"] in self.statuses)
            and (self.vm_id is None or same_id(document["sourceResourceId"] or "", self.vm_id))
            and (self.recovery_id is None or document.get("recoveryId") == self.recovery_id)
            and (self.text is None or _has_text(document, self.text.casefold()))
            and not (self.is_too_new(created) or self.is_too_old(created))
        )


def _has_text(document: Json, folded: str) -> bool:
    return any(folded in (document.get(name) or "").casefold() for name in _SEARCHED)


def _parse_statuses(text: str, names: Iterable[str]) -> frozenset[str]:
    """Return the statuses that a text names, separated by commas, in any letter case; raises ``ValueError``."""
    return frozenset(parse_name(name, names) for name in text.split(","))


def _parse_recovery_id(text: str) -> str:
    found = trimmed(text).lower()
    if not re.fullmatch(ID_PATTERN, found, re.ASCII):
        raise ValueError("must be the id of a recovery")
    return found


def _members(statuses: Iterable[str]) -> dict[str, Reader]:
    names = tuple(statuses)
    time = parsed(lambda text: parse_request_time(trimmed(text)))
    return {
        "status": parsed(lambda text: _parse_statuses(text, names)),
        "text": string,
        "createdAfter": time,
        "createdBefore": time,
        "top": parsed(parse_top),
        "continuationToken": parsed(str),
    }


RESTORE_LIST: Final = an_object(
    {**_members(Status), "sourceResourceId": resource_id(VIRTUAL_MACHINE), "recoveryId": parsed(_parse_recovery_id)}
)
"""The reader of the parameters of ``GET /api/restores``."""
RECOVERY_LIST: Final = an_object(_members(RecoveryStatus))
"""The reader of the parameters of ``GET /api/recoveries``."""
