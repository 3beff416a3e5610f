"""The routes that show the configured recovery plans, and what the log says of them at the app's start."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import azure.durable_functions as df
import azure.functions as func

from domain.alerts.fields import single_line
from domain.api_types import RecoveryPlanDocument, RecoveryPlanLinks, RecoveryPlanList
from domain.errors import RestoreError
from domain.redaction import redacted_json
from domain.texts import trimmed
from triggers.answers import error_response, json_response, origin_of
from triggers.people import PeopleRoutes

if TYPE_CHECKING:
    from domain.recovery.plan import LoadedPlans, RecoveryPlan
    from triggers.people import Authentication

_LOG = logging.getLogger(__name__)
_MAX_LOGGED_PROBLEM: Final = 1000


def log_plans(loaded: LoadedPlans) -> None:
    """Log which recovery plans the app found at its start, or that the configured plans are off."""
    if loaded.plans is None:
        _LOG.error("CONFIGURED RECOVERY PLANS ARE OFF. %s", loaded.what_is_wrong)
        for problem in loaded.problems:
            _LOG.error("recovery plans: %s", single_line(problem, _MAX_LOGGED_PROBLEM))
    elif loaded.source is not None:
        _LOG.info("recovery plans: %d from %s", len(loaded.plans), single_line(loaded.source))


class PlansApi:
    """The routes. ``plans`` are the configured plans as they were found at the app's start."""

    def __init__(self, plans: LoadedPlans) -> None:
        self._loaded = plans

    def list_plans(self, req: func.HttpRequest) -> func.HttpResponse:
        """200 with ``{"value": [plans]}`` in the order of the file; 503 when the plans cannot be used."""
        try:
            plans = self._loaded.all()
        except RestoreError as error:
            return error_response(error)
        shown = tuple(_document(plan, req, is_whole=False) for plan in plans)
        return json_response(200, RecoveryPlanList(value=shown))

    def get_plan(self, req: func.HttpRequest) -> func.HttpResponse:
        """200 with the plan, 404, or 503 when the plans cannot be used."""
        try:
            plan = self._loaded.named(trimmed(req.route_params.get("name", "")))
        except RestoreError as error:
            return error_response(error)
        return json_response(200, _document(plan, req, is_whole=True))


def blueprint(api: PlansApi, authentication: Authentication) -> df.Blueprint:
    """Return the routes as functions of the app."""
    routes = PeopleRoutes(df.Blueprint(), authentication)
    routes.get("recovery-plans", api.list_plans)
    routes.get("recovery-plans/{name}", api.get_plan)
    return routes.blueprint


def _document(plan: RecoveryPlan, req: func.HttpRequest, *, is_whole: bool) -> RecoveryPlanDocument:
    return RecoveryPlanDocument(
        name=plan.name,
        max_running=plan.max_running,
        order=tuple(map(tuple, plan.waves())),
        named_members=len(list(plan.named_members())),
        plan=redacted_json(plan.body) if is_whole else None,
        links=RecoveryPlanLinks(self=f"{origin_of(req)}/recovery-plans/{plan.name}"),
    )
