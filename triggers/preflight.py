"""The route that checks what the app's identity may not do at the scopes of the setting ``RESTORE_SCOPES``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import azure.durable_functions as df
import azure.functions as func

from triggers.answers import json_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from domain.api_types import PreflightReport


class PreflightRoute:
    """The route. ``run`` makes the checks and raises nothing."""

    def __init__(self, run: Callable[[], PreflightReport]) -> None:
        self._run = run

    def get_preflight(self, req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG002 - bound by name
        """200 with the outcome of all checks, whatever it is."""
        return json_response(200, self._run())


def blueprint(route: PreflightRoute) -> df.Blueprint:
    """Return the route as a function of the app."""
    bp = df.Blueprint(http_auth_level=func.AuthLevel.FUNCTION)
    bp.route(route="preflight", methods=["GET"])(route.get_preflight)
    return bp
