"""The route that describes the HTTP API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import azure.durable_functions as df
import azure.functions as func

from triggers.answers import json_response
from triggers.api_description.document import description
from triggers.people import PeopleRoutes

if TYPE_CHECKING:
    from triggers.people import Authentication


class DescriptionApi:
    """The route that describes all routes. ``version`` is the app's."""

    def __init__(self, *, version: str, authentication: Authentication) -> None:
        self._version = version
        self._authenticator = authentication.by

    def get_openapi(self, req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG002 - bound by name
        """200 with the OpenAPI description of every route."""
        return json_response(200, description(self._version, self._authenticator))


def blueprint(api: DescriptionApi, authentication: Authentication) -> df.Blueprint:
    """Return the route as a function of the app."""
    routes = PeopleRoutes(df.Blueprint(), authentication)
    routes.get("openapi.json", api.get_openapi)
    return routes.blueprint
