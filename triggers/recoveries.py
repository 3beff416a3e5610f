"""The routes of recoveries: start, show and list them, and give them commands."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import azure.durable_functions as df
import azure.functions as func

from domain.api_types import RecoveryAccepted, RecoveryList
from domain.principal import Right
from domain.reading import an_object, prose, string
from domain.recovery.commands import Command
from domain.recovery.document import document as document_of
from domain.recovery.parts import MemberStatus, RecoveryStatus
from domain.recovery.request import RecoveryRequest
from domain.restore.parts import Source
from triggers.answers import (
    CANCELLATION,
    NAMED_PERSON,
    START_POLLING_S,
    answering,
    fresh_response,
    json_response,
    origin_of,
    read_json,
    read_optional_json,
    read_person,
)
from triggers.list_filters import RECOVERY_LIST, ListFilter
from triggers.list_pages import Position
from triggers.listing import list_recoveries
from triggers.parameters import DEFAULT_TOP, id_in_route, next_query, parse_name, parse_top, parsed, read_parameters
from triggers.people import PeopleRoutes
from triggers.recovery_commands import DECISION_OF, give_command
from triggers.recovery_members import MAX_MEMBERS_SHOWN, list_members
from triggers.recovery_starting import start_recovery
from triggers.recovery_states import get_recovery, no_such_recovery, view_recovery
from triggers.starting import now

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from domain.errors import Json
    from triggers.people import Authentication
    from triggers.recovery_starting import RecoverySettings

_LOG = logging.getLogger(__name__)
GROUP_COMMAND: Final = an_object({"group": string, "by": prose, "comment": prose})
GROUP_DECISION: Final = an_object({"group": string, "by": NAMED_PERSON, "comment": prose}, needed=("by",))
INSTRUCTIONS: Final = {
    Command.PAUSE: CANCELLATION,
    Command.RESUME: CANCELLATION,
    Command.CANCEL: CANCELLATION,
    Command.RETRY: GROUP_COMMAND,
    Command.SKIP: GROUP_COMMAND,
    Command.APPROVE: GROUP_DECISION,
    Command.REJECT: GROUP_DECISION,
}
"""The reader of each command's body."""


class RecoveriesApi:
    """The routes. ``settings`` are what every recovery needs to know of the app."""

    def __init__(self, settings: RecoverySettings) -> None:
        self._settings = settings

    @answering
    async def post_recovery(self, req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
        """202 with the recovery's id and links, or an ARM-shaped 400, 404, 409, 413, 415, 503.

        If the same requestId and body were sent before: the recovery's present status, with 200 once it has ended.
        """
        request = RecoveryRequest.from_json(read_json(req))
        started = await start_recovery(client, request, self._settings, source=Source.HTTP)
        document = None if started.is_new else await get_recovery(client, started.accepted.recovery_id)
        shown = _with_absolute_links(document or document_of(started.accepted, None, now()), req)
        body = RecoveryAccepted(id=shown["id"], status=RecoveryStatus(shown["status"]), links=shown["links"])
        headers = {"Location": shown["links"]["self"]}
        if body.status.has_ended:
            return json_response(200, body, headers)
        return json_response(202, body, {**headers, "Retry-After": str(START_POLLING_S)})

    @answering
    async def get_recovery(self, req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
        """200 with the recovery's document, or 404."""
        recovery_id = _recovery_id(req)
        document = await get_recovery(client, recovery_id)
        if document is None:
            raise no_such_recovery(recovery_id)
        return fresh_response(req, _with_absolute_links(document, req))

    @answering
    async def list_recoveries(self, req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
        """200 with ``{"value": [documents], "nextLink"?}``, newest first. A page may be short, even empty."""
        given = read_parameters(req, RECOVERY_LIST)
        begin = Position.read(given.get("continuationToken"))
        page = await list_recoveries(client, ListFilter.of(given), top=given.get("top", DEFAULT_TOP), begin=begin)
        shown = tuple(_with_absolute_links(document, req) for document in page.documents)
        next_link = f"{origin_of(req)}/recoveries?{next_query(req, page.rest.token)}" if page.rest else None
        return fresh_response(req, RecoveryList(value=shown, next_link=next_link))

    @answering
    async def list_recovery_members(
        self, req: func.HttpRequest, client: df.DurableFunctionsClient
    ) -> func.HttpResponse:
        """200 with ``{"value": [members], "nextLink"?}`` in the order of the plan; 404."""
        recovery_id = _recovery_id(req)
        given = {"top": DEFAULT_TOP, **read_parameters(req, MEMBERS)}
        view = await view_recovery(client, recovery_id)
        if view is None:
            raise no_such_recovery(recovery_id)
        return fresh_response(req, await list_members(client, view, req, given))


def command_route(
    command: Command,
) -> Callable[[func.HttpRequest, df.DurableFunctionsClient], Awaitable[func.HttpResponse]]:
    """Return the route of a command: 202 with the document; 404, or 409 when it does not fit the recovery's state."""

    async def post_command(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
        body = read_optional_json(req)
        recovery_id = _recovery_id(req)  # checked first: a wrong id matters more to the caller than an incomplete body
        instruction = read_person(body, INSTRUCTIONS[command])
        document = await give_command(client, recovery_id, command, instruction)
        by, comment, group = (instruction.get(name) for name in ("by", "comment", "group"))
        _LOG.info("recovery %s: %s by %r, group %r, comment %r", recovery_id, command, by, group, comment)
        headers = {"Retry-After": str(START_POLLING_S)}
        return json_response(202, _with_absolute_links(document, req), headers)

    post_command.__name__ = f"{command}_recovery"
    return answering(post_command)


def blueprint(api: RecoveriesApi, authentication: Authentication) -> df.Blueprint:
    """Return the routes as functions of the app."""
    routes = PeopleRoutes(df.Blueprint(), authentication)
    routes.post("recoveries", api.post_recovery, Right.OPERATE, person="requestedBy")
    routes.get("recoveries", api.list_recoveries)
    routes.get("recoveries/{id}", api.get_recovery)
    routes.get("recoveries/{id}/members", api.list_recovery_members)
    for command in Command:
        right = Right.APPROVE if command in DECISION_OF else Right.OPERATE
        routes.post(f"recoveries/{{id}}/{command}", command_route(command), right, person="by")
    return routes.blueprint


def _recovery_id(req: func.HttpRequest) -> str:
    return id_in_route(req, no_such_recovery)


def _with_absolute_links(document: Json, req: func.HttpRequest) -> Json:
    """Return a recovery's document with absolute links to what can be done with it now."""
    origin, links = origin_of(req), document["links"].items()
    return {**document, "links": {name: f"{origin}{link.removeprefix('/api')}" for name, link in links}}


def _continuation(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len("1000")):
        raise ValueError("must be taken as it is from a nextLink")
    return int(text)


_MEMBER_STATUSES: Final = tuple(dict.fromkeys(status.word for status in MemberStatus))
MEMBERS: Final = an_object(
    {
        "group": string,
        "status": parsed(lambda text: parse_name(text, _MEMBER_STATUSES)),
        "top": parsed(lambda text: parse_top(text, MAX_MEMBERS_SHOWN)),
        "continuationToken": parsed(_continuation),
    }
)
