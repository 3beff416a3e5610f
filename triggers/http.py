"""The routes of the HTTP API: parse a request, start or read restores, answer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import azure.durable_functions as df
import azure.functions as func

from domain.api_types import RestoreAccepted, RestoreLinks, RestoreList
from domain.errors import RestoreError
from domain.principal import Right
from domain.requests import RestoreRequest
from domain.restore.calls import ResolveItem
from domain.restore.parts import ENDED, Decision, Source, Status
from triggers.answers import (
    CANCELLATION,
    DECISION,
    START_POLLING_S,
    answering,
    error_response,
    fresh_response,
    json_response,
    origin_of,
    read_json,
    read_optional_json,
    read_person,
    with_absolute_links,
)
from triggers.deciding import cancel_restore, decide_restore
from triggers.hub import answer_deadline
from triggers.list_filters import RESTORE_LIST, ListFilter
from triggers.list_pages import Position
from triggers.listing import list_restores
from triggers.parameters import DEFAULT_TOP, RECOVERY_POINTS, id_in_route, next_query, read_parameters
from triggers.people import PeopleRoutes
from triggers.restore_states import get_document, no_such_restore
from triggers.starting import admission, start_restore
from triggers.undoing import undo_restore

if TYPE_CHECKING:
    from collections.abc import Callable

    from domain.api_types import RecoveryPointList
    from domain.errors import Json
    from domain.reading import Reader
    from domain.restore.state import Restore
    from triggers.people import Authentication
    from triggers.starting import LimitsFor, Started

_LOG = logging.getLogger(__name__)


class RestoresApi:
    """The routes. ``recovery_points`` lists the points of a VM; ``limits_for`` returns the limits of a restore."""

    def __init__(self, *, limits_for: LimitsFor, recovery_points: Callable[[ResolveItem], RecoveryPointList]) -> None:
        self._limits_for = limits_for
        self._recovery_points = recovery_points

    @answering
    async def post_restore(self, req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
        """202 with the restore's id and links, or an ARM-shaped 400, 409, 413, 415 that names what is wrong.

        If the same requestId and body were sent before: the restore's present status, with 200 once it has ended.
        """
        request = RestoreRequest.from_json(read_json(req))
        started = await start_restore(client, request, source=Source.HTTP, limits=self._limits_for(request))
        return await _admitted(req, client, started)

    @answering
    async def get_restore(self, req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
        """200 with the status document, 304 if the caller has it (``If-None-Match``), or 404."""
        restore_id = _restore_id(req)
        document = await get_document(client, restore_id)
        if document is None:
            raise no_such_restore(restore_id)
        return fresh_response(req, with_absolute_links(document, req))

    @answering
    async def cancel_restore(self, req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
        """202 with the status document; 404, or 409 when the restore has ended. Body: ``{"by"?, "comment"?}``."""
        restore_id, person = _read_person(req, CANCELLATION)
        document = await cancel_restore(client, restore_id, person)
        by, comment = person.get("by"), person.get("comment")
        _LOG.info("restore %s: to be cancelled by %r, comment %r", document["id"], by, comment)
        return json_response(202, with_absolute_links(document, req), {"Retry-After": str(START_POLLING_S)})

    @answering
    async def approve_restore(self, req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
        """202 with the status document; 404, 409 when it waits for no decision.

        Body: ``{"by", "comment"?, "before"?}``; ``before`` names one of the two decisions that a restore may ask for.
        """
        return await _decide(req, client, Decision.APPROVED)

    @answering
    async def reject_restore(self, req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
        """202 with the status document; 404, 409 when it waits for no decision. Body: as for an approval."""
        return await _decide(req, client, Decision.REJECTED)

    @answering
    async def undo_restore(self, req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
        """202 with the id and links of the restore that puts the former disks back; 404, or 409 without a swap.

        If it was asked for before: its present status, with 200 once it has ended well. After one that failed, another
        one is started. Body: ``{"by"?, "comment"?}``.
        """
        restore_id, person = _read_person(req, CANCELLATION)
        started = await undo_restore(client, restore_id, person, limits_for=self._limits_for)
        by, comment = person.get("by"), person.get("comment")
        _LOG.info("restore %s: undone by %r as %s, comment %r", restore_id, by, started.restore.restore_id, comment)
        return await _admitted(req, client, started)

    @answering
    async def list_restores(self, req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
        """200 with ``{"value": [status documents], "nextLink"?}``, newest first. A page may be short, even empty.

        304 if the caller has this page (``If-None-Match``).
        """
        given = read_parameters(req, RESTORE_LIST)
        begin = Position.read(given.get("continuationToken"))
        page = await list_restores(client, ListFilter.of(given), top=given.get("top", DEFAULT_TOP), begin=begin)
        shown = tuple(with_absolute_links(document, req) for document in page.documents)
        next_link = f"{origin_of(req)}/restores?{next_query(req, page.rest.token)}" if page.rest else None
        return fresh_response(req, RestoreList(value=shown, next_link=next_link))

    def list_recovery_points(self, req: func.HttpRequest) -> func.HttpResponse:
        """200 with ``{"value": [points with a verdict each], "warnings"}``, newest first; 404 without a backup."""
        try:
            given = read_parameters(req, RECOVERY_POINTS)
            wanted = ResolveItem(source_resource_id=given["sourceResourceId"], vault_id=given.get("vaultId"))
            return json_response(200, self._recovery_points(wanted))
        except RestoreError as error:
            return error_response(error)


def blueprint(api: RestoresApi, authentication: Authentication) -> df.Blueprint:
    """Return the routes as functions of the app."""
    routes = PeopleRoutes(df.Blueprint(), authentication)
    routes.post("restores", api.post_restore, Right.OPERATE, person="requestedBy")
    routes.get("restores", api.list_restores)
    routes.get("restores/{id}", api.get_restore)
    routes.post("restores/{id}/cancel", api.cancel_restore, Right.OPERATE, person="by")
    routes.post("restores/{id}/approve", api.approve_restore, Right.APPROVE, person="by")
    routes.post("restores/{id}/reject", api.reject_restore, Right.APPROVE, person="by")
    routes.post("restores/{id}/undo", api.undo_restore, Right.OPERATE, person="by")
    routes.get("recovery-points", api.list_recovery_points)
    return routes.blueprint


async def _decide(req: func.HttpRequest, client: df.DurableFunctionsClient, decision: Decision) -> func.HttpResponse:
    restore_id, person = _read_person(req, DECISION)
    document = await decide_restore(client, restore_id, decision, person)
    _LOG.info("restore %s: %s by %r, comment %r", restore_id, decision, person.get("by"), person.get("comment"))
    return json_response(202, with_absolute_links(document, req), {"Retry-After": str(START_POLLING_S)})


def _read_person(req: func.HttpRequest, reader: Reader) -> tuple[str, Json]:
    """Return the id in the route, and who cancels, decides or undoes, and why."""
    body = read_optional_json(req)
    restore_id = _restore_id(req)  # checked first: a wrong id matters more to the caller than an incomplete body
    return restore_id, read_person(body, reader)


def _restore_id(req: func.HttpRequest) -> str:
    return id_in_route(req, no_such_restore)


async def _admitted(req: func.HttpRequest, client: df.DurableFunctionsClient, started: Started) -> func.HttpResponse:
    """Return the answer to a start, once admission control has let the restore in."""
    document = await admission(client, started.restore, until=answer_deadline())
    status = Status.PENDING
    if not started.is_new and (document := document or await get_document(client, started.restore.restore_id)):
        status = Status(document["status"])
    return _accepted(started.restore, status, req)


def _accepted(restore: Restore, status: Status, req: func.HttpRequest) -> func.HttpResponse:
    link = f"{origin_of(req)}/restores/{restore.restore_id}"
    links = RestoreLinks(self=link, cancel=f"{link}/cancel", approve=f"{link}/approve", reject=f"{link}/reject")
    body = RestoreAccepted(id=restore.restore_id, status=status, links=links)
    if status in ENDED:
        return json_response(200, body, {"Location": link})
    return json_response(202, body, {"Location": link, "Retry-After": str(START_POLLING_S)})
