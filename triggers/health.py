"""The route that says whether the app runs and which alert rules it found. It needs no key, so it shows no secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import azure.durable_functions as df
import azure.functions as func

from domain.api_types import AlertRulesHealth, Health
from triggers.answers import json_response

if TYPE_CHECKING:
    from domain.alerts.alert_rules import LoadedRules

_MAX_PROBLEMS: Final = 20


class HealthApi:
    """The route. ``version`` is the app's; ``rules`` are the alert rules as they were found at its start."""

    def __init__(self, *, version: str, rules: LoadedRules) -> None:
        self._health = Health(status="ok", version=version, alert_rules=_rules_health(rules))

    def get_health(self, req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG002 - bound by name
        """200 as long as the app runs; Azure is not called."""
        return json_response(200, self._health)


def _rules_health(loaded: LoadedRules) -> AlertRulesHealth:
    shown, more = loaded.problems[:_MAX_PROBLEMS], len(loaded.problems) - _MAX_PROBLEMS
    return AlertRulesHealth(
        count=0 if loaded.rules is None else len(loaded.rules.rules),
        source=loaded.source,
        problems=(*shown, f"{more} more problems; the log at the app's start has all of them") if more > 0 else shown,
    )


def blueprint(api: HealthApi) -> df.Blueprint:
    """Return the route as a function of the app. It needs no key, because health checks of platforms send none."""
    bp = df.Blueprint()
    # The level of a blueprint is replaced by the app's; that of a route is not.
    bp.route(route="health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)(api.get_health)
    return bp
