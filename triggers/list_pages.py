"""What the lists of the API have in common: where a page ends, and how it reads the instances behind it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import grpc

from triggers.answers import invalid
from triggers.sdk import query_page

if TYPE_CHECKING:
    import azure.durable_functions as df
    from durabletask.client import OrchestrationQuery, OrchestrationState, Page

    from domain.errors import InvalidRequestError, Json

MAX_QUERIES: Final = 8
"""How many pages of instances one page of a list reads at most."""
MAX_ROWS_WITH_INPUT: Final = 200
"""How many instances are read at once with their inputs: so many fit into an answer of the task hub."""

_MAX_TOKEN: Final = 2000


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page of a list ends: after the entry with the key ``last``, in the hub's page that begins at ``hub``.

    Keys (``list_entries.key_of``) do not change, so what starts or continues as new between two pages moves nothing.
    ``last`` is empty where the hub's page begins with the next entry; ``hub`` is ``None`` for the hub's first page.
    """

    last: str = ""
    hub: str | None = None

    @classmethod
    def read(cls, token: str | None) -> Self:
        """Read a continuation token; ``None`` is the beginning. Raises ``InvalidRequestError`` for an invalid one."""
        if not token:
            return cls()
        try:
            last, hub, check = json.loads(base64.b64decode(token[:_MAX_TOKEN], altchars=b"-_", validate=True))
            is_whole = check == _checksum(last, hub)  # raises ValueError where a text has half a surrogate pair
        except (ValueError, TypeError, binascii.Error) as error:
            raise _wrong_token() from error
        if not (is_whole and isinstance(last, str) and (hub is None or isinstance(hub, str))):
            raise _wrong_token()
        return cls(last, hub)

    @property
    def token(self) -> str:
        """The position as a continuation token."""
        return base64.urlsafe_b64encode(
            json.dumps([self.last, self.hub, _checksum(self.last, self.hub)]).encode()
        ).decode()


@dataclass(frozen=True, slots=True)
class ListPage:
    """What a page shows, newest first. ``rest`` is where the next page begins, ``None`` if there is none."""

    documents: tuple[Json, ...]
    rest: Position | None


async def query_rows(
    client: df.DurableFunctionsClient, query: OrchestrationQuery, at: str | None, begin: Position
) -> Page[OrchestrationState]:
    """Return the page of instances that the hub's token ``at`` names; ``begin`` is the position that the caller sent.

    Raises ``InvalidRequestError`` if the task hub does not know the caller's token.
    """
    try:
        return await query_page(client, query, at)
    except grpc.aio.AioRpcError as error:
        if at is None or at != begin.hub or error.code() is not grpc.StatusCode.UNKNOWN:
            raise
    await query_page(client, query)  # raises if the task hub does not answer at all
    try:
        return await query_page(client, query, at)
    except grpc.aio.AioRpcError as error:
        raise _wrong_token() from error


def _checksum(last: str, hub: str | None) -> str:
    """Return a checksum that shows whether a token was changed by mistake. It is no secret: a token gives no rights."""
    return hashlib.sha256(f"{last} {hub}".encode()).hexdigest()[:8]


def _wrong_token() -> InvalidRequestError:
    return invalid("continuationToken", "must be taken as it is from a nextLink")
