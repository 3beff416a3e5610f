"""The list's index: for each restore an instance of the task hub whose id sorts by the restore's age.

The task hub has one index, its ids. A query by time or status makes Azure read every row of it. The id of a restore
derives from its key, and the hub's time of creation changes while a restore runs, so neither puts restores in order.

When a restore has ended, its entry is started once more with the final status document as its input. So a page of ended
restores needs no other row of the hub than their entries.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Self

from domain.times import as_utc, parse_request_time
from domain.wire import as_object, as_text
from orchestrations.names import HOLD_LIST_ENTRY

if TYPE_CHECKING:
    import azure.durable_functions as df

    from domain.errors import Json
    from domain.restore.state import Restore

MAX_DOCUMENT: Final = 16_000
"""How long a document in an entry may be, in characters of JSON: a page has many, and an answer of the hub 4 MiB."""

_LOG: Final = logging.getLogger(__name__)
PREFIX: Final = "listed-"
_ID: Final = re.compile(PREFIX + r"(\d{17})-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:-([0-9a-f]{8}))?", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = 10**17  # microseconds after 1970: the year 5138
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListEntry:
    """One restore's place in the list: when it was accepted, its id, and a mark of its VM if the request names one.

    The restore with this id may have been accepted at another time: then the start of this entry was refused, or
    another start with the same key was faster, and the entry shows nothing.
    """

    created: datetime
    restore_id: str
    vm_mark: str | None

    @classmethod
    def of(cls, restore: Restore) -> Self:
        """Return the entry of an accepted restore."""
        vm_id = restore.source_resource_id
        return cls(
            created=as_utc(restore.accepted.created),
            restore_id=restore.restore_id,
            vm_mark=None if vm_id is None else mark_of(vm_id),
        )

    @classmethod
    def of_document(cls, document: Json) -> Self:
        """Return the entry of the restore with this final status document."""
        vm_id = as_text(as_object(document["request"]).get("sourceResourceId"))
        return cls(
            created=parse_request_time(document["createdTime"]),
            restore_id=document["id"],
            vm_mark=None if vm_id is None else mark_of(vm_id),
        )

    @classmethod
    def read(cls, instance_id: str) -> Self | None:
        """Return the entry that an instance's id names; ``None`` if it names none."""
        found = _ID.fullmatch(instance_id)
        if found is None:
            return None
        created = _EPOCH + (_LAST - int(found[1])) * _MICROSECOND
        return cls(created=created, restore_id=found[2], vm_mark=found[3])

    @property
    def key(self) -> str:
        """The restore's place in the list: keys sort from the newest restore to the oldest."""
        return key_of(self.created, self.restore_id)

    @property
    def instance_id(self) -> str:
        """The id of the entry's instance."""
        return f"{PREFIX}{self.key}" if self.vm_mark is None else f"{PREFIX}{self.key}-{self.vm_mark}"

    def may_be_of(self, vm_mark: str | None) -> bool:
        """Return whether the restore may be of the VM with this mark; ``None`` stands for all VMs."""
        return vm_mark is None or self.vm_mark in {None, vm_mark}


def key_of(created: datetime, restore_id: str) -> str:
    """Return a restore's place in the list: keys sort from the newest restore to the oldest."""
    return f"{_LAST - (as_utc(created) - _EPOCH) // _MICROSECOND:017}-{restore_id}"


def mark_of(vm_id: str) -> str:
    """Return a short mark of a VM's resource id, the same in any letter case. Two VMs rarely have the same mark."""
    return hashlib.sha256(vm_id.rstrip("/").lower().encode()).hexdigest()[:8]


async def note_start(client: df.DurableFunctionsClient, restore: Restore) -> None:
    """Write the entry of a restore that has been started. A failure is logged: its end writes the entry, too."""
    entry = ListEntry.of(restore)
    try:
        await client.schedule_new_orchestration(HOLD_LIST_ENTRY, input=None, instance_id=entry.instance_id)
    except Exception:  # noqa: BLE001 - whatever the task hub raises: the restore runs
        _LOG.warning("restore %s is not listed until it has ended", entry.restore_id, exc_info=True)


def note_end(client: df.SyncDurableFunctionsClient, document: Json) -> None:
    """Write the restore's entry again, with the final status document unless that is long.

    The list reads the restore itself where its entry has no document. So a failure is logged.
    """
    kept = document if len(json.dumps(document)) <= MAX_DOCUMENT else None
    entry = ListEntry.of_document(document)
    try:
        client.schedule_new_orchestration(HOLD_LIST_ENTRY, input=kept, instance_id=entry.instance_id)
    except Exception:  # noqa: BLE001 - whatever the task hub raises: the result is published nevertheless
        _LOG.warning("the list entry of restore %s keeps no document", entry.restore_id, exc_info=True)
