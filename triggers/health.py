"""The route that says whether the app runs, and which alert rules and recovery plans it found.

It needs no key, so it shows no secrets and no resource ids.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import azure.durable_functions as df
import azure.functions as func

from domain.api_types import AlertRulesHealth, Health, RecoveryPlansHealth
from triggers.answers import json_response

if TYPE_CHECKING:
    from domain.alerts.alert_rules import LoadedRules
    from domain.recovery.plan import LoadedPlans
    from triggers.people import Authentication

_MAX_PROBLEMS: Final = 20
_RESOURCE_ID: Final = re.compile(r"/subscriptions/[^\s,;:]+")


class HealthApi:
    """The route. ``version`` is the app's; ``rules`` and ``plans`` are what was found at its start."""

    def __init__(self, *, version: str, rules: LoadedRules, plans: LoadedPlans, authentication: Authentication) -> None:
        self._health = Health(
            status="ok",
            version=version,
            alert_rules=_rules_health(rules),
            recovery_plans=_plans_health(plans),
            authentication=authentication.by,
            authentication_problem=authentication.problem,
        )

    def get_health(self, req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG002 - bound by name
        """200 as long as the app runs; Azure is not called."""
        return json_response(200, self._health)


def _rules_health(loaded: LoadedRules) -> AlertRulesHealth:
    count = 0 if loaded.rules is None else len(loaded.rules.rules)
    return AlertRulesHealth(count=count, source=loaded.source, problems=_shown(loaded.problems))


def _plans_health(loaded: LoadedPlans) -> RecoveryPlansHealth:
    # Two members of a plan that get in each other's way are named by their ids.
    problems = tuple(_RESOURCE_ID.sub("/subscriptions/…", problem) for problem in loaded.problems)
    return RecoveryPlansHealth(count=len(loaded.plans or ()), source=loaded.source, problems=_shown(problems))


def _shown(problems: tuple[str, ...]) -> tuple[str, ...]:
    more = len(problems) - _MAX_PROBLEMS
    notice = (f"{more} more problems; the log at the app's start has all of them",) if more > 0 else ()
    return (*problems[:_MAX_PROBLEMS], *notice)


def blueprint(api: HealthApi) -> df.Blueprint:
    """Return the route as a function of the app. It needs no key, because health checks of platforms send none."""
    bp = df.Blueprint()
    # The level of a blueprint is replaced by the app's; that of a route is not.
    bp.route(route="health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)(api.get_health)
    return bp
