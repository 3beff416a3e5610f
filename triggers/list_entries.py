"""The index of the lists: for each restore and recovery an instance of the task hub whose id sorts by its age.

The task hub has one index, its ids. A query by time or status makes Azure read every row of it. The id of a restore
derives from its key, and the hub's time of creation changes while a restore runs, so neither puts restores in order.

When a restore has ended, its entry is started once more with the final status document as its input. So a page of ended
restores needs no other row of the hub than their entries. Entries of recoveries have a prefix of their own and hold no
document: recoveries are few, and one that failed may go on. If such an entry could not be written when its recovery
started, it is written when the recovery's next change is published.

A start that the task hub refuses because the entry's instance is running is no failure: the entry is there.
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
from triggers.hub import is_already_running

if TYPE_CHECKING:
    import azure.durable_functions as df

    from domain.errors import Json
    from domain.recovery.parts import AcceptedRecovery
    from domain.restore.state import Restore

MAX_DOCUMENT: Final = 16_000
"""How long a document in an entry may be, in characters of JSON: a page has many, and an answer of the hub 4 MiB."""

RESTORES: Final = "listed-"
"""With which the ids of the entries of restores begin."""
RECOVERIES: Final = "recovery-listed-"
"""With which the ids of the entries of recoveries begin."""

_LOG: Final = logging.getLogger(__name__)
_ID: Final = re.compile(
    rf"({RECOVERIES}|{RESTORES})(\d{{17}})-([0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})(?:-([0-9a-f]{{8}}))?",
    re.ASCII,
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = 10**17  # microseconds after 1970: the year 5138
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListEntry:
    """The place of a restore or recovery in its list: when it was accepted, and its id.

    ``vm_mark`` is a mark of a restore's VM, if its request names one. An entry may be left from a start that was
    refused, or was slower than another one with the same id. It then has another time than the restore or recovery,
    and lists nothing.
    """

    created: datetime
    listed_id: str
    vm_mark: str | None = None
    prefix: str = RESTORES

    @classmethod
    def of(cls, restore: Restore) -> Self:
        """Return the entry of an accepted restore."""
        vm_id = restore.source_resource_id
        return cls(
            created=as_utc(restore.accepted.created),
            listed_id=restore.restore_id,
            vm_mark=None if vm_id is None else mark_of(vm_id),
        )

    @classmethod
    def of_recovery(cls, accepted: AcceptedRecovery) -> Self:
        """Return the entry of an accepted recovery."""
        return cls(created=as_utc(accepted.created), listed_id=accepted.recovery_id, prefix=RECOVERIES)

    @classmethod
    def of_recovery_document(cls, document: Json) -> Self:
        """Return the entry of the recovery with this document."""
        created = parse_request_time(document["createdTime"])
        return cls(created=created, listed_id=document["id"], prefix=RECOVERIES)

    @classmethod
    def of_document(cls, document: Json) -> Self:
        """Return the entry of the restore with this final status document."""
        vm_id = as_text(as_object(document["request"]).get("sourceResourceId"))
        return cls(
            created=parse_request_time(document["createdTime"]),
            listed_id=document["id"],
            vm_mark=None if vm_id is None else mark_of(vm_id),
        )

    @classmethod
    def read(cls, instance_id: str) -> Self | None:
        """Return the entry that an instance's id names; ``None`` if it names none."""
        found = _ID.fullmatch(instance_id)
        if found is None:
            return None
        created = _EPOCH + (_LAST - int(found[2])) * _MICROSECOND
        return cls(created=created, listed_id=found[3], vm_mark=found[4], prefix=found[1])

    @property
    def key(self) -> str:
        """The place in the list: keys sort from the newest to the oldest."""
        return key_of(self.created, self.listed_id)

    @property
    def instance_id(self) -> str:
        """The id of the entry's instance."""
        return f"{self.prefix}{self.key}" if self.vm_mark is None else f"{self.prefix}{self.key}-{self.vm_mark}"

    def may_be_of(self, vm_mark: str | None) -> bool:
        """Return whether the restore may be of the VM with this mark; ``None`` stands for all VMs."""
        return vm_mark is None or self.vm_mark in {None, vm_mark}


def key_of(created: datetime, listed_id: str) -> str:
    """Return the place in the list of what was accepted then: keys sort from the newest to the oldest."""
    return f"{_LAST - (as_utc(created) - _EPOCH) // _MICROSECOND:017}-{listed_id}"


def mark_of(vm_id: str) -> str:
    """Return a short mark of a VM's resource id, the same in any letter case. Two VMs rarely have the same mark."""
    return hashlib.sha256(vm_id.rstrip("/").lower().encode()).hexdigest()[:8]


async def note_start(client: df.DurableFunctionsClient, restore: Restore) -> None:
    """Write the entry of a restore that has been started. A failure is logged: its end writes the entry, too."""
    if (failure := await _write(client, ListEntry.of(restore))) is not None:
        _LOG.warning("restore %s is not listed until it has ended", restore.restore_id, exc_info=failure)


async def note_recovery(client: df.DurableFunctionsClient, accepted: AcceptedRecovery) -> None:
    """Write the entry of a recovery that has been started. A failure is logged: the next change writes the entry."""
    if (failure := await _write(client, ListEntry.of_recovery(accepted))) is not None:
        message = "recovery %s is not listed until its next change of status"
        _LOG.warning(message, accepted.recovery_id, exc_info=failure)


async def _write(client: df.DurableFunctionsClient, entry: ListEntry) -> Exception | None:
    """Write an entry without a document; return why that failed, if it did."""
    try:
        await client.schedule_new_orchestration(HOLD_LIST_ENTRY, input=None, instance_id=entry.instance_id)
    except Exception as error:  # noqa: BLE001 - whatever the task hub raises: what is listed runs
        return None if is_already_running(error) else error
    return None


def note_end(client: df.SyncDurableFunctionsClient, document: Json) -> None:
    """Write the restore's entry again, with the final status document unless that is long.

    The list reads the restore itself where its entry has no document. That is so, too, if the restore has ended while
    the entry of its start was still being written. Any other failure is logged.
    """
    kept = document if len(json.dumps(document)) <= MAX_DOCUMENT else None
    entry = ListEntry.of_document(document)
    try:
        client.schedule_new_orchestration(HOLD_LIST_ENTRY, input=kept, instance_id=entry.instance_id)
    except Exception as error:  # noqa: BLE001 - whatever the task hub raises: the result is published nevertheless
        if not is_already_running(error):
            message = "the end of restore %s is not in its list entry: look whether GET /api/restores shows it"
            _LOG.warning(message, entry.listed_id, exc_info=True)


def ensure_recovery_listed(client: df.SyncDurableFunctionsClient, document: Json) -> None:
    """Write the entry of the recovery with this document, if there is none. A failure is logged."""
    entry = ListEntry.of_recovery_document(document)
    try:
        if client.get_orchestration_state(entry.instance_id, fetch_payloads=False) is None:
            client.schedule_new_orchestration(HOLD_LIST_ENTRY, input=None, instance_id=entry.instance_id)
    except Exception as error:  # noqa: BLE001 - whatever the task hub raises: the change is published nevertheless
        if not is_already_running(error):
            message = "the list entry of recovery %s could not be written: look whether GET /api/recoveries shows it"
            _LOG.warning(message, entry.listed_id, exc_info=True)
