"""The route for alerts of Azure Monitor: each VM of an alert gets a decision by the alert rules."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Final

import azure.durable_functions as df
import azure.functions as func

from domain import errors
from domain.alerts.decide import accepted_start, decide_alert, plan_starts, reason_of_start, refused_start
from domain.alerts.fields import single_line
from domain.alerts.payload import read_alert
from domain.alerts.templates import REQUESTER
from domain.api_types import AlertDecisionList
from domain.errors import RestoreError, TerminalError, TransientError
from domain.recovery.request import RecoveryRequest
from domain.restore.parts import AlertStart, Source
from triggers.alert_decisions import note_decisions
from triggers.answers import error_response, json_response, read_json
from triggers.hub import answer_deadline
from triggers.recovery_starting import recovery_admission, start_recovery
from triggers.starting import Started, admission, now, start_restore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from domain.alerts.alert_rules import AlertRule, AlertRules, LoadedRules, Storm
    from domain.alerts.decide import PlanStart, VmDecision
    from domain.alerts.payload import Alert
    from domain.errors import Json
    from domain.recovery.plan import LoadedPlans
    from triggers.recovery_starting import RecoverySettings
    from triggers.starting import LimitsFor

type Finish = Callable[[VmDecision], VmDecision]
"""Returns the decision for a VM as the start of its plan's recovery has turned out."""

_LOG = logging.getLogger(__name__)
_MAX_VMS_AT_ONCE: Final = 50
_MAX_LOGGED_ERROR: Final = 1000
_MAX_SHOWN_PROBLEMS: Final = 3
_RULES_RETRY_S: Final = 60


def log_rules(loaded: LoadedRules, plans: LoadedPlans) -> None:
    """Log which alert rules the app found at its start, or that alerts are off, all or those that start plans."""
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
        with_plan = [rule.name for rule in loaded.rules.rules if rule.plan]
        if with_plan and plans.plans is None:
            _LOG.error(
                "RULES WITH A PLAN ARE OFF, because the recovery plans cannot be used: alerts about what they match "
                "are answered 503. The rules: %s",
                single_line(", ".join(with_plan), _MAX_LOGGED_ERROR),
            )


def _alerts_off_message(problems: Sequence[str]) -> str:
    more = len(problems) - _MAX_SHOWN_PROBLEMS
    return (
        "The alert rules cannot be used, so alerts start nothing; restores by hand (HTTP, queue) work. Correct "
        f"AUTO_RESTORE_RULES and start the app again: {'; '.join(problems[:_MAX_SHOWN_PROBLEMS])}"
        f"{f'; and {more} more problems, see the log at the start' if more > 0 else ''}"
    )


class AlertsApi:
    """The route for alerts. ``rules`` say what an alert may start.

    ``limits_for`` returns the limits of a restore; ``recoveries`` are what every recovery needs to know of the app.
    """

    def __init__(self, *, rules: LoadedRules, limits_for: LimitsFor, recoveries: RecoverySettings) -> None:
        self._loaded = rules
        self._limits_for = limits_for
        self._recoveries = recoveries

    async def post_alert(self, req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
        """202 with ``{"decisions": [...]}``, one for each VM; ARM-shaped 400, 413, 415 when the body is no alert.

        503 when the rules cannot be used, or the recovery plans that a rule needs, or when the task hub failed for at
        least one VM: action groups send the alert again after a 503, but not after a 500. When it comes again, what
        was already started is ``Duplicate``.
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
        for failure in dict.fromkeys(failures):
            _LOG.error("alert %r: a decision failed", alert.alert_id, exc_info=failure)
        if failures:
            message = f"{len(failures)} of {len(decisions)} decisions could not be made. Send the same alert again."
            whys = dict.fromkeys(failure.message for failure in failures if isinstance(failure, RestoreError))
            return error_response(TransientError(errors.SERVICE_UNAVAILABLE, " ".join([message, *whys])))
        made = tuple(decision for decision in decisions if not isinstance(decision, BaseException))
        await note_decisions(client, alert, made, now())
        return json_response(202, AlertDecisionList(decisions=made))

    async def _decide(
        self, client: df.DurableFunctionsClient, alert: Alert, rules: AlertRules
    ) -> list[Json | BaseException]:
        """Start all that is wanted, then wait for admission control; return the decision for each VM, or the exception.

        Where several VMs start one plan, its recovery is started once.
        """
        until, at_once = answer_deadline(), asyncio.Semaphore(_MAX_VMS_AT_ONCE)

        async def start(decision: VmDecision) -> Started | None:
            async with at_once:
                return await self._start(client, alert, decision, rules.storm)

        async def recover(wanted: PlanStart) -> Finish:
            return await self._recover(client, alert, wanted, rules.storm, until)

        async def finish(decision: VmDecision, started: Started | BaseException | None) -> Json:
            if isinstance(started, BaseException):
                raise started
            if decision.plan and decision.starts:
                recovered = of_plan[decision.starts]
                if isinstance(recovered, BaseException):
                    raise recovered
                decision = recovered(decision)
            elif started is not None:
                async with at_once:
                    decision = await _after_admission(client, decision, started, until)
            answer = decision.to_json()
            _LOG.info("alert %r: %s", alert.alert_id, answer)
            return answer

        decisions = decide_alert(alert, rules, now(), self._recoveries.plans.plans or {})
        recoveries = plan_starts(alert, decisions, rules.storm)
        started, recovered = await asyncio.gather(
            asyncio.gather(*map(start, decisions), return_exceptions=True),
            asyncio.gather(*map(recover, recoveries), return_exceptions=True),
        )
        of_plan = {wanted.plan: outcome for wanted, outcome in zip(recoveries, recovered, strict=True)}
        return await asyncio.gather(*map(finish, decisions, started), return_exceptions=True)

    async def _start(
        self, client: df.DurableFunctionsClient, alert: Alert, decision: VmDecision, storm: Storm
    ) -> Started | None:
        """Start the restore of one VM; ``None`` when the decision is to start none."""
        rule = decision.rule
        if rule is None or decision.request is None:
            return None
        return await start_restore(
            client,
            decision.request,
            source=Source.ALERT,
            limits=self._limits_for(decision.request),
            key=f"alert:{alert.alert_id.lower()}:{(decision.source_resource_id or '').lower()}",
            alert=_alert_start(alert, rule, storm, alert.approval_reason),
        )

    async def _recover(
        self, client: df.DurableFunctionsClient, alert: Alert, wanted: PlanStart, storm: Storm, until: float
    ) -> Finish:
        """Start the recovery by a plan, or find the one that this alert started; return what finishes a decision."""
        reason = reason_of_start(alert, wanted.rule)
        started = await start_recovery(
            client,
            RecoveryRequest.from_json({"plan": wanted.plan, "requestedBy": REQUESTER, "reason": reason}),
            self._recoveries,
            source=Source.ALERT,
            key=f"alert:{alert.alert_id.lower()}:plan:{wanted.plan}",
            alert=_alert_start(alert, wanted.rule, storm, wanted.approval_reason),
            approval_timeout=wanted.approval_timeout,
        )
        recovery_id = started.accepted.recovery_id
        try:
            document = await recovery_admission(client, recovery_id, until=until)
        except TerminalError as error:
            return partial(refused_start, error=error)
        return partial(accepted_start, started_id=recovery_id, is_new=started.is_new, document=document)


def _alert_start(alert: Alert, rule: AlertRule, storm: Storm, approval_reason: str | None) -> AlertStart:
    return AlertStart(
        alert_id=alert.alert_id,
        rule=rule.name,
        cool_down=rule.cool_down,
        max_per_hour=rule.max_per_hour,
        storm_vms=storm.distinct_vms,
        storm_within=storm.within,
        approval_reason=approval_reason,
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
