"""The decisions about the last alerts: what their senders were answered. The route that lists them.

Each answer is kept in the task hub as the lists' entries are: as an instance whose id sorts by its age, and whose input
is what is shown. ``purge_history`` purges it by its age.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from itertools import accumulate
from typing import TYPE_CHECKING, Final

import azure.durable_functions as df
import azure.functions as func
from durabletask.client import OrchestrationQuery

from domain.alerts.fields import single_line
from domain.api_types import AlertRecord, AlertRecordList
from domain.codec import as_json
from domain.reading import an_object
from domain.redaction import redacted_json
from domain.wire import as_object
from orchestrations.names import HOLD_LIST_ENTRY
from triggers.answers import answering, fresh_response, origin_of
from triggers.hub import read_payload
from triggers.list_entries import MAX_DOCUMENT, key_of
from triggers.list_pages import MAX_QUERIES, MAX_ROWS_WITH_INPUT, ListPage, Position, query_rows
from triggers.parameters import DEFAULT_TOP, next_query, parse_top, parsed, read_parameters
from triggers.people import PeopleRoutes

if TYPE_CHECKING:
    from datetime import datetime

    from domain.alerts.payload import Alert
    from domain.errors import Json
    from triggers.people import Authentication

PREFIX: Final = "noted-alert-"
"""With which the ids of the instances begin. It is none of the digits with which the ids of restores begin."""
MAX_ALERTS_SHOWN: Final = MAX_ROWS_WITH_INPUT
"""How many alerts a page has at most."""
MAX_WAIT_S: Final = 1.0
"""How long the answer to an alert waits until its decisions are kept: an action group waits ten seconds in all."""

_LOG: Final = logging.getLogger(__name__)
_MAX_TEXT: Final = 1024


async def note_decisions(
    client: df.DurableFunctionsClient, alert: Alert, decisions: tuple[Json, ...], time: datetime
) -> None:
    """Keep the decisions about an alert. A failure is logged: the alert is answered nevertheless."""
    try:
        async with asyncio.timeout(MAX_WAIT_S):
            await client.schedule_new_orchestration(
                HOLD_LIST_ENTRY,
                input=alert_record(alert, decisions, time),
                instance_id=f"{PREFIX}{key_of(time, str(uuid.uuid4()))}",
            )
    except Exception:  # noqa: BLE001 - whatever the task hub raises: the decisions are made
        _LOG.warning("GET /api/alert-decisions will not show alert %r", alert.alert_id, exc_info=True)


def alert_record(alert: Alert, decisions: tuple[Json, ...], time: datetime) -> Json:
    """Return what is kept of an alert, without secrets: as many of the decisions, from the first, as there is room."""
    record = AlertRecord(
        time=time,
        alert_id=single_line(alert.alert_id, _MAX_TEXT),
        alert_rule=single_line(alert.alert_rule, _MAX_TEXT),
        severity=single_line(alert.severity, _MAX_TEXT),
        fired_time=alert.fired,
        decisions=(),
        omitted=len(decisions),
    )
    shown: Json = redacted_json(as_json(record))
    shown_decisions: list[Json] = redacted_json(list(decisions))
    room = MAX_DOCUMENT - len(json.dumps(shown))
    ends = accumulate(len(json.dumps(decision)) + len(", ") for decision in shown_decisions)
    kept = shown_decisions[: sum(end <= room for end in ends)]
    omitted = {"omitted": len(decisions) - len(kept)} if len(kept) < len(decisions) else {}
    return {**{name: value for name, value in shown.items() if name != "omitted"}, "decisions": kept, **omitted}


async def list_decisions(client: df.DurableFunctionsClient, *, top: int, begin: Position) -> ListPage:
    """Return what is kept of up to ``top`` alerts from a position on, the newest first.

    Raises ``InvalidRequestError`` if the task hub does not know the position.
    """
    shown: list[Json] = []
    at = begin.hub
    for _ in range(MAX_QUERIES):
        query = OrchestrationQuery(
            instance_id_prefix=PREFIX, max_instance_count=top - len(shown), fetch_inputs_and_outputs=True
        )
        page = await query_rows(client, query, at, begin)
        records = [as_object(read_payload(state.serialized_input)) for state in page.items]
        shown += [{**record} for record in records if record.keys() >= {"time", "alertId", "decisions"}]
        at = page.continuation_token
        if at is None:
            return ListPage(tuple(shown), None)
        if len(shown) == top:
            break
    return ListPage(tuple(shown), Position(hub=at))


@answering
async def list_alert_decisions(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """200 with ``{"value": [alerts with their decisions], "nextLink"?}``, newest first. A page may be short."""
    given = read_parameters(req, _LIST)
    begin = Position.read(given.get("continuationToken"))
    page = await list_decisions(client, top=given.get("top", DEFAULT_TOP), begin=begin)
    next_link = f"{origin_of(req)}/alert-decisions?{next_query(req, page.rest.token)}" if page.rest else None
    return fresh_response(req, AlertRecordList(value=page.documents, next_link=next_link))


def blueprint(authentication: Authentication) -> df.Blueprint:
    """Return the route as a function of the app."""
    routes = PeopleRoutes(df.Blueprint(), authentication)
    routes.get("alert-decisions", list_alert_decisions)
    return routes.blueprint


_LIST: Final = an_object(
    {"top": parsed(lambda text: parse_top(text, MAX_ALERTS_SHOWN)), "continuationToken": parsed(str)},
)
