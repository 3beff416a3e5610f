"""Azure Resource Graph over ARM REST: one query, answered in pages.

Source: the REST reference of Microsoft.ResourceGraph, and "Guidance for throttled requests in Azure Resource Graph".
Its POST only reads, so it may be repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from domain.answers import Answer
from domain.azure.resource_graph import GraphPage
from domain.wire import as_flag, as_object, as_text

from arm.addresses import with_query
from arm.errors import unreadable_error

if TYPE_CHECKING:
    from domain.errors import Json

    from arm.reply import Reply
    from arm.session import ArmSession

_API_VERSION: Final = "2021-03-01"
_PATH: Final = "/providers/Microsoft.ResourceGraph/resources"
_MAX_ROWS: Final = 1000
_SUBSCRIPTIONS_CUT: Final = "x-ms-tenant-subscription-limit-hit"


def query_page(session: ArmSession, query: str, skip_token: str | None) -> Answer[GraphPage]:
    """Return a page of at most 1,000 rows of all that the app's identity may read in its tenant.

    The wait of the answer is set when the quota of queries is used up.
    """
    options: Json = {"resultFormat": "objectArray", "$top": _MAX_ROWS}
    if skip_token is not None:
        options["$skipToken"] = skip_token
    body: Json = {"query": query, "options": options}
    reply = session.call("POST", with_query(_PATH, _API_VERSION), body=body)
    return Answer(_page(reply), reply.retry_after_s)


def _page(reply: Reply) -> GraphPage:
    body = as_object(reply.parsed())
    data, token, total = body.get("data"), body.get("$skipToken"), body.get("totalRecords")
    # What is left out here would be virtual machines that nobody restores.
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in cast("list[object]", data)):
        raise unreadable_error(reply, "a list of rows")
    if token is not None and as_text(token) is None:
        raise unreadable_error(reply, "a page of rows")
    rows = cast("list[Json]", data)
    return GraphPage(
        rows=tuple(rows),
        skip_token=token,
        total=total if isinstance(total, int) else len(rows),
        is_partial=as_flag(body.get("resultTruncated")) is True
        or as_flag(reply.headers.get(_SUBSCRIPTIONS_CUT)) is True,
    )
