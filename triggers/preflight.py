"""The route that checks what the app's identity may not do at the scopes of the setting ``RESTORE_SCOPES``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import azure.durable_functions as df
import azure.functions as func

from triggers.answers import json_response
from triggers.people import PeopleRoutes

if TYPE_CHECKING:
    from collections.abc import Callable

    from domain.api_types import PreflightReport
    from triggers.people import Authentication


class PreflightRoute:
    """The route. ``run`` makes the checks and raises nothing."""

    def __init__(self, run: Callable[[], PreflightReport]) -> None:
        self._run = run

    def get_preflight(self, req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG002 - bound by name
        """200 with the outcome of all checks, whatever it is."""
        return json_response(200, self._run())


def blueprint(route: PreflightRoute, authentication: Authentication) -> df.Blueprint:
    """Return the route as a function of the app."""
    routes = PeopleRoutes(df.Blueprint(), authentication)
    routes.get("preflight", route.get_preflight)
    return routes.blueprint
