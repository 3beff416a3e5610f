"""The lists of restores and recoveries, newest first. A page reads a bounded number of rows of the task hub."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from durabletask.client import OrchestrationQuery, OrchestrationStatus

from domain.restore.parts import RefusedWhen, Status
from domain.times import parse_request_time
from orchestrations.names import RESTORE_VM
from triggers.list_entries import RECOVERIES, RESTORES, ListEntry, key_of, mark_of
from triggers.list_pages import MAX_QUERIES, MAX_ROWS_WITH_INPUT, ListPage, Position, query_rows
from triggers.recovery_states import get_recovery
from triggers.restore_states import document_in, get_document
from triggers.sdk import query_page

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import azure.durable_functions as df
    from durabletask.client import OrchestrationState, Page

    from domain.errors import Json
    from triggers.list_filters import ListFilter

type GetDocument = Callable[[df.DurableFunctionsClient, str], Awaitable[Json | None]]

MAX_EXTRA_READS: Final = 100
"""How many restores a page reads at most beyond ``top``. Then it ends, short or even empty, with a ``nextLink``."""
_MIN_ROWS: Final = 50  # where only the documents tell what passes the filter, so that few of the rows may
_ROWS_WITHOUT_INPUT: Final = 400  # where most entries are passed over: their ids tell their time and their VM
_AT_ONCE: Final = 16
_ACTIVE: Final = frozenset({Status.PENDING, Status.RUNNING, Status.AWAITING_APPROVAL})
_NOT_ENDED: Final = [
    OrchestrationStatus.PENDING,
    OrchestrationStatus.RUNNING,
    OrchestrationStatus.CONTINUED_AS_NEW,
    OrchestrationStatus.SUSPENDED,
]


async def list_recoveries(
    client: df.DurableFunctionsClient, wanted: ListFilter, *, top: int, begin: Position
) -> ListPage:
    """Return up to ``top`` recoveries from a position on, as ``list_restores`` does."""
    walk = _Walk(client, wanted, top, begin, RECOVERIES)
    rest = await walk.run()
    return ListPage(tuple(walk.shown), rest)


async def list_restores(
    client: df.DurableFunctionsClient, wanted: ListFilter, *, top: int, begin: Position
) -> ListPage:
    """Return up to ``top`` restores from a position on. Starts refused while their callers waited are left out.

    Raises ``InvalidRequestError`` if the task hub does not know the position.
    """
    is_active = bool(wanted.statuses) and wanted.statuses <= _ACTIVE
    if is_active and (active := await _active_ids(client)) is not None:
        documents = await read_documents(client, active)
        return _page_of([document for document in documents if document is not None], wanted, top, begin)
    walk = _Walk(client, wanted, top, begin)
    rest = await walk.run()
    return ListPage(tuple(walk.shown), rest)


class _Walk:
    """Follows the index from a position on, and reads what it names, until a page is full.

    ``prefix`` is that of the entries: it says whether restores or recoveries are listed. If the filter has a span of
    time that ended in the past, the entries that are newer come first: they are passed over, many at once, without
    their documents.
    """

    def __init__(
        self, client: df.DurableFunctionsClient, wanted: ListFilter, top: int, begin: Position, prefix: str = RESTORES
    ) -> None:
        self.shown: list[Json] = []
        self._client = client
        self._wanted = wanted
        self._prefix = prefix
        self._mark = None if wanted.vm_id is None else mark_of(wanted.vm_id)
        self._top = top
        self._begin = begin
        self._last = begin.last
        self._left = top + MAX_EXTRA_READS
        self._kept: dict[str, Json | None] = {}
        self._has_reached_span = False

    async def run(self) -> Position | None:
        """Fill ``shown``; return where the next page begins, ``None`` if there is none."""
        at = self._begin.hub
        for _ in range(MAX_QUERIES):
            page = await self._rows(at)
            found = [(entry, state) for state in page.items if (entry := ListEntry.read(state.instance_id))]
            self._kept = {entry.key: document_in(state.serialized_input) for entry, state in found}
            entries = [entry for entry, _ in found if entry.key > self._last]
            if self._passes_over and entries and not self._wanted.is_too_new(entries[-1].created):
                self._has_reached_span = True  # these rows are read again, with their documents
                continue
            if not await self._take([entry for entry in entries if self._may_be_shown(entry)]):
                break
            if page.continuation_token is None or (entries and self._wanted.is_too_old(entries[-1].created)):
                return None
            at = page.continuation_token
            self._last = entries[-1].key if entries else self._last
            if self._missing == 0 or self._left == 0:
                break
        return Position(self._last, at)

    def _may_be_shown(self, entry: ListEntry) -> bool:
        """Return whether what the entry names must be read: the entry itself tells the time, and mostly the VM."""
        is_in_time = not (self._wanted.is_too_new(entry.created) or self._wanted.is_too_old(entry.created))
        return is_in_time and entry.may_be_of(self._mark)

    async def _take(self, entries: list[ListEntry]) -> bool:
        """Read and show the restores of these entries; return false if the page ends before the last of them."""
        while entries and self._left and self._missing:
            next_entries = entries[: min(self._left, max(self._missing, _AT_ONCE))]
            self._left -= len(next_entries)
            for entry, document in zip(next_entries, await self._read(next_entries), strict=True):
                if self._missing == 0:
                    return False
                self._last = entry.key
                if document is not None and _key(document) == entry.key and _is_shown(document, self._wanted):
                    self.shown.append(document)
            entries = entries[len(next_entries) :]
        return not entries

    async def _read(self, entries: Sequence[ListEntry]) -> list[Json | None]:
        """Return the document of each entry: kept in the entry, or read from the restore or recovery itself."""
        to_read = [entry.listed_id for entry in entries if self._kept[entry.key] is None]
        get = get_recovery if self._prefix == RECOVERIES else get_document
        read = dict(zip(to_read, await read_documents(self._client, to_read, get), strict=True))
        return [self._kept[entry.key] or read[entry.listed_id] for entry in entries]

    @property
    def _missing(self) -> int:
        return self._top - len(self.shown)

    @property
    def _passes_over(self) -> bool:
        """Whether entries are only passed over, to reach those that are old enough."""
        return self._mark is None and self._is_before_span and not self._has_reached_span

    @property
    def _is_before_span(self) -> bool:
        """Whether the last entry was newer than all that is wanted, so that the next ones may be, too."""
        last = ListEntry.read(f"{self._prefix}{self._last}")
        return last is not None and self._wanted.is_too_new(last.created)

    async def _rows(self, at: str | None) -> Page[OrchestrationState]:
        # Most entries are then passed over, and are too many for their documents to fit into one answer.
        without_documents = self._mark is not None or self._passes_over
        if without_documents:
            size = _ROWS_WITHOUT_INPUT
        elif self._is_before_span:
            size = MAX_ROWS_WITH_INPUT
        else:
            size = max(self._missing, _MIN_ROWS) if self._wanted.is_about_documents else self._missing
            size = min(size, MAX_ROWS_WITH_INPUT)
        query = OrchestrationQuery(
            instance_id_prefix=self._prefix, max_instance_count=size, fetch_inputs_and_outputs=not without_documents
        )
        return await query_rows(self._client, query, at, self._begin)


async def _active_ids(client: df.DurableFunctionsClient) -> list[str] | None:
    """Return the ids of the restores that have not ended; ``None`` if they are so many that the index is as fast.

    There is one query for each digit that an id may begin with: that leaves out the entities, which never end.
    """

    async def read(digit: str) -> list[str] | None:
        ids: list[str] = []
        query = OrchestrationQuery(
            runtime_status=_NOT_ENDED, instance_id_prefix=digit, max_instance_count=MAX_EXTRA_READS
        )
        token: str | None = None
        for _ in range(MAX_QUERIES):
            page = await query_page(client, query, token)
            ids += [state.instance_id for state in page.items if state.name == RESTORE_VM]
            token = page.continuation_token
            if token is None:
                return ids
            if len(ids) > MAX_EXTRA_READS:
                return None
        return None

    found = await asyncio.gather(*map(read, "0123456789abcdef"))
    ids = [restore_id for ids_of_digit in found for restore_id in ids_of_digit or ()]
    return None if None in found or len(ids) > MAX_EXTRA_READS else ids


def _page_of(documents: Sequence[Json], wanted: ListFilter, top: int, begin: Position) -> ListPage:
    shown = sorted(
        (document for document in documents if _key(document) > begin.last and _is_shown(document, wanted)), key=_key
    )
    return ListPage(tuple(shown[:top]), Position(_key(shown[top - 1])) if len(shown) > top else None)


async def read_documents(
    client: df.DurableFunctionsClient, ids: Sequence[str], get: GetDocument = get_document
) -> list[Json | None]:
    """Return the document of each restore, or of what else ``get`` reads; several are read at once."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def read(listed_id: str) -> Json | None:
        async with slots:
            return await get(client, listed_id)

    return await asyncio.gather(*map(read, ids))


def _is_shown(document: Json, wanted: ListFilter) -> bool:
    return document.get("refused") != RefusedWhen.AT_ONCE and wanted.wants(document)


def _key(document: Json) -> str:
    return key_of(parse_request_time(document["createdTime"]), document["id"])
