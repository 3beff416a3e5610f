"""The route that shows the alert rules as the app found them at its start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import azure.durable_functions as df
import azure.functions as func

from domain.api_types import AlertRuleList, StormDocument
from domain.redaction import redacted_json
from triggers.answers import json_response
from triggers.people import PeopleRoutes

if TYPE_CHECKING:
    from domain.alerts.alert_rules import LoadedRules
    from triggers.people import Authentication


class AlertRulesApi:
    """The route. ``rules`` are what was found at the app's start."""

    def __init__(self, rules: LoadedRules) -> None:
        self._loaded = rules

    def list_alert_rules(self, req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG002 - bound by name
        """200 with ``{"source", "problems", "rules", "storm"}``, also when the rules cannot be used."""
        found = self._loaded.rules
        rules = () if found is None else tuple(redacted_json(rule.body) for rule in found.rules)
        storm = found and StormDocument(distinct_vms=found.storm.distinct_vms, within=found.storm.within)
        body = AlertRuleList(source=self._loaded.source, problems=self._loaded.problems, rules=rules, storm=storm)
        return json_response(200, body)


def blueprint(api: AlertRulesApi, authentication: Authentication) -> df.Blueprint:
    """Return the route as a function of the app."""
    routes = PeopleRoutes(df.Blueprint(), authentication)
    routes.get("alert-rules", api.list_alert_rules)
    return routes.blueprint
