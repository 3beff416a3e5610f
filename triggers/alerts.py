"""Azure Monitor's alerts: read, judged by the rules, answered with a decision for each VM."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import azure.durable_functions as df
import azure.functions as func

from domain import errors
from domain.alerts import plain, read_alert
from domain.auto_restore import judge
from domain.errors import RestoreError, TerminalError, TransientError
from domain.guards import AlertStart
from triggers.answers import error_response, json_response, read_json
from triggers.hub import patience
from triggers.starting import Started, admission, now, start_restore

if TYPE_CHECKING:
    from domain.alerts import Alert
    from domain.auto_restore import Rule, Rules, Verdict
    from domain.errors import Json
    from triggers.starting import LimitsFor

_LOG = logging.getLogger(__name__)
_AT_ONCE: Final = 50  # VMs of one alert
_LONGEST_TOLD: Final = 1000


class AlertsApi:
    """The route of the alerts. ``rules`` say what an alert may start, ``limits_for`` gives a request its bounds."""

    def __init__(self, *, rules: Rules, limits_for: LimitsFor) -> None:
        self._rules = rules
        self._limits_for = limits_for

    async def post_alert(self, req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
        """202 with ``{"decisions": [...]}``, one for each VM; ARM-shaped 400, 413, 415 for what is no alert.

        503 when the task hub failed for some VM: action groups send an alert again for that, but not for a 500. What
        was started meanwhile is a ``Duplicate`` then.
        """
        try:
            alert = read_alert(read_json(req))
        except RestoreError as error:
            # Action groups do not send it again, and show nobody what they were told.
            _LOG.warning("an alert was refused: %s", plain(str(error), _LONGEST_TOLD))
            return error_response(error)
        until, free = patience(), asyncio.Semaphore(_AT_ONCE)

        async def start(verdict: Verdict) -> Started | Json:
            async with free:
                return await self._start(client, alert, verdict)

        async def decide(verdict: Verdict, started: Started | Json | BaseException) -> Json:
            if isinstance(started, BaseException):
                raise started
            async with free:
                decision = started if isinstance(started, dict) else await _decide(client, verdict, started, until)
            _LOG.info("alert %r: %s", alert.alert_id, decision)
            return decision

        verdicts = judge(alert, self._rules, now())
        started = await asyncio.gather(*map(start, verdicts), return_exceptions=True)
        decided = await asyncio.gather(*map(decide, verdicts, started), return_exceptions=True)
        broken = [each for each in decided if isinstance(each, BaseException)]
        for error in broken:
            _LOG.error("alert %r could not be decided", alert.alert_id, exc_info=error)
        if broken:
            message = f"{len(broken)} of {len(decided)} decisions could not be made. Send the same alert again."
            return error_response(TransientError(errors.SERVICE_UNAVAILABLE, message))
        return json_response(202, {"decisions": decided})

    async def _start(self, client: df.DurableFunctionsClient, alert: Alert, verdict: Verdict) -> Started | Json:
        """Start the restore of one VM; a decision where there is nothing to start."""
        if verdict.rule is None or verdict.request is None:
            return _decision(verdict, verdict.decision, verdict.reason)
        return await start_restore(
            client,
            verdict.request,
            started_by="alert",
            limits=self._limits_for(verdict.request),
            key=f"alert:{alert.alert_id.lower()}:{(verdict.source_resource_id or '').lower()}",
            alert=_start_of(alert, verdict.rule, self._rules),
        )


async def _decide(client: df.DurableFunctionsClient, verdict: Verdict, started: Started, until: float) -> Json:
    try:
        document = await admission(client, started.restore, until=until)
    except TerminalError as error:
        decision = "CoolingDown" if error.code == errors.COOLING_DOWN else "Refused"
        return _decision(verdict, decision, f"{error.code}: {error.message}")
    decision, reason = verdict.decision, verdict.reason
    if not started.is_new:
        decision, reason = "Duplicate", "This alert has been delivered before."
    elif document is None:
        reason = f"{reason} Its guards have not answered yet: the restore's status will tell."
    elif document.get("approval"):
        decision, reason = "AwaitingApproval", document["approval"]["reason"]
    return _decision(verdict, decision, reason, started.restore.restore_id)


def blueprint(api: AlertsApi) -> df.Blueprint:
    """Return the route as a function of the app."""
    bp = df.Blueprint(http_auth_level=func.AuthLevel.FUNCTION)
    bp.route(route="alerts", methods=["POST"])(bp.durable_client_input(client_name="client")(api.post_alert))
    return bp


def _start_of(alert: Alert, rule: Rule, rules: Rules) -> AlertStart:
    return AlertStart(
        alert_id=alert.alert_id,
        rule=rule.name,
        cool_down=rule.cool_down,
        max_per_hour=rule.max_per_hour,
        storm_vms=rules.storm.distinct_vms,
        storm_within=rules.storm.within,
    )


def _decision(verdict: Verdict, decision: str, reason: str, restore_id: str | None = None) -> Json:
    body: Json = {"sourceResourceId": verdict.source_resource_id, "decision": decision, "reason": reason}
    if restore_id is not None:
        body["restoreId"] = restore_id
    if verdict.rule is not None:
        body["rule"] = verdict.rule.name
    return body
