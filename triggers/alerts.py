"""The route for alerts of Azure Monitor: each VM of an alert gets a decision by the alert rules."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import azure.durable_functions as df
import azure.functions as func

from domain import errors
from domain.alerts.decide import accepted_start, decide_alert, refused_start
from domain.alerts.fields import single_line
from domain.alerts.payload import read_alert
from domain.api_types import AlertDecisionList
from domain.errors import RestoreError, TerminalError, TransientError
from domain.restore.parts import AlertStart, Source
from triggers.answers import error_response, json_response, read_json
from triggers.hub import answer_deadline
from triggers.starting import Started, admission, now, start_restore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from domain.alerts.alert_rules import AlertRules, LoadedRules, Storm
    from domain.alerts.decide import VmDecision
    from domain.alerts.payload import Alert
    from domain.errors import Json
    from domain.recovery.plan import LoadedPlans
    from triggers.starting import LimitsFor

_LOG = logging.getLogger(__name__)
_MAX_VMS_AT_ONCE: Final = 50
_MAX_LOGGED_ERROR: Final = 1000
_MAX_SHOWN_PROBLEMS: Final = 3
_RULES_RETRY_S: Final = 60


def log_rules(loaded: LoadedRules) -> None:
    """Log which alert rules the app found at its start, or that alerts are off."""
    if loaded.rules is None:
        _LOG.error("ALERTS ARE OFF. %s", _alerts_off_message(loaded.problems))
        for problem in loaded.problems:
            _LOG.error("alert rules: %s", single_line(problem, _MAX_LOGGED_ERROR))
    elif loaded.source is None:
        _LOG.warning(
            "there are no alert rules, so every alert is Ignored: to have alerts start restores, deploy "
            "auto_restore_rules.json in the app's root, or put the JSON into the setting AUTO_RESTORE_RULES"
        )
    else:
        _LOG.info("alert rules: %d from %s", len(loaded.rules.rules), single_line(loaded.source))


def _alerts_off_message(problems: Sequence[str]) -> str:
    more = len(problems) - _MAX_SHOWN_PROBLEMS
    return (
        "The alert rules cannot be used, so alerts start nothing; restores by hand (HTTP, queue) work. Correct "
        f"AUTO_RESTORE_RULES and start the app again: {'; '.join(problems[:_MAX_SHOWN_PROBLEMS])}"
        f"{f'; and {more} more problems, see the log at the start' if more > 0 else ''}"
    )


class AlertsApi:
    """The route for alerts. ``rules`` say what an alert may start, and ``plans`` are those that they may name.

    ``limits_for`` returns the limits of a restore.
    """

    def __init__(self, *, rules: LoadedRules, plans: LoadedPlans, limits_for: LimitsFor) -> None:
        self._loaded = rules
        self._plans = plans
        self._limits_for = limits_for

    async def post_alert(self, req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
        """202 with ``{"decisions": [...]}``, one for each VM; ARM-shaped 400, 413, 415 when the body is no alert.

        503 when the rules cannot be used, or the task hub failed for at least one VM: action groups send the alert
        again after a 503, but not after a 500. When it comes again, restores that were already started are
        ``Duplicate``.
        """
        rules = self._loaded.rules
        if rules is None:
            message = _alerts_off_message(self._loaded.problems)
            _LOG.error("an alert was answered 503: %s", single_line(message, _MAX_LOGGED_ERROR))
            return error_response(TransientError(errors.SERVICE_UNAVAILABLE, message, retry_after_s=_RULES_RETRY_S))
        try:
            alert = read_alert(read_json(req))
        except RestoreError as error:
            # Logged, because action groups show the answer to nobody and do not send the alert again.
            _LOG.warning("an alert was refused: %s", single_line(str(error), _MAX_LOGGED_ERROR))
            return error_response(error)
        decisions = await self._decide(client, alert, rules)
        failures = [failure for failure in decisions if isinstance(failure, BaseException)]
        for failure in failures:
            _LOG.error("alert %r: a decision failed", alert.alert_id, exc_info=failure)
        if failures:
            message = f"{len(failures)} of {len(decisions)} decisions could not be made. Send the same alert again."
            return error_response(TransientError(errors.SERVICE_UNAVAILABLE, message))
        made = tuple(decision for decision in decisions if not isinstance(decision, BaseException))
        return json_response(202, AlertDecisionList(decisions=made))

    async def _decide(
        self, client: df.DurableFunctionsClient, alert: Alert, rules: AlertRules
    ) -> list[Json | BaseException]:
        """Start all restores, then wait for admission control; return the decision for each VM, or the exception."""
        until, at_once = answer_deadline(), asyncio.Semaphore(_MAX_VMS_AT_ONCE)

        async def start(decision: VmDecision) -> Started | None:
            async with at_once:
                return await self._start(client, alert, decision, rules.storm)

        async def finish(decision: VmDecision, started: Started | BaseException | None) -> Json:
            if isinstance(started, BaseException):
                raise started
            if started is not None:
                async with at_once:
                    decision = await _after_admission(client, decision, started, until)
            answer = decision.to_json()
            _LOG.info("alert %r: %s", alert.alert_id, answer)
            return answer

        decisions = decide_alert(alert, rules, now(), self._plans.plans or {})
        started = await asyncio.gather(*map(start, decisions), return_exceptions=True)
        return await asyncio.gather(*map(finish, decisions, started), return_exceptions=True)

    async def _start(
        self, client: df.DurableFunctionsClient, alert: Alert, decision: VmDecision, storm: Storm
    ) -> Started | None:
        """Start the restore of one VM; ``None`` when the decision is to start none."""
        rule = decision.rule
        if decision.plan and decision.starts:
            raise TransientError(errors.SERVICE_UNAVAILABLE, "Alerts cannot start recoveries yet.")
        if rule is None or decision.request is None:
            return None
        return await start_restore(
            client,
            decision.request,
            source=Source.ALERT,
            limits=self._limits_for(decision.request),
            key=f"alert:{alert.alert_id.lower()}:{(decision.source_resource_id or '').lower()}",
            alert=AlertStart(
                alert_id=alert.alert_id,
                rule=rule.name,
                cool_down=rule.cool_down,
                max_per_hour=rule.max_per_hour,
                storm_vms=storm.distinct_vms,
                storm_within=storm.within,
                approval_reason=alert.approval_reason,
            ),
        )


async def _after_admission(
    client: df.DurableFunctionsClient, decision: VmDecision, started: Started, until: float
) -> VmDecision:
    try:
        document = await admission(client, started.restore, until=until)
    except TerminalError as error:
        return refused_start(decision, error)
    return accepted_start(decision, started.restore.restore_id, is_new=started.is_new, document=document)


def blueprint(api: AlertsApi) -> df.Blueprint:
    """Return the route as a function of the app."""
    bp = df.Blueprint(http_auth_level=func.AuthLevel.FUNCTION)
    bp.route(route="alerts", methods=["POST"])(bp.durable_client_input(client_name="client")(api.post_alert))
    return bp
