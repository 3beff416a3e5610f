"""The decision for each VM of an alert: first by the alert and the rules, then by what admission control answered."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from domain import errors
from domain.alerts.alert_rules import NAMED_AS
from domain.alerts.fields import single_line
from domain.alerts.kinds import AlertKind
from domain.alerts.templates import alert_name, fill_template
from domain.codec import as_json
from domain.errors import InvalidRequestError
from domain.recovery.parts import APPROVAL_TIMEOUT
from domain.request_schema import BEFORE_SWAP, replaces_disks, swaps_disks
from domain.requests import RestoreRequest
from domain.times import parse_duration
from domain.wire import as_object

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from domain.alerts.alert_rules import AlertRule, AlertRules, Storm
    from domain.alerts.payload import Alert
    from domain.errors import Json, RestoreError
    from domain.recovery.plan import RecoveryPlan

    type Plans = Mapping[str, RecoveryPlan]

MAX_STARTS: Final = 100
"""How many restores and recoveries one alert may start: action groups wait only ten seconds for the answer."""

_MAX_REASON: Final = 2048


class AlertDecision(StrEnum):
    """What an alert does with a VM, as the answer to the alert says it."""

    STARTED = "Started"
    AWAITING_APPROVAL = "AwaitingApproval"
    IGNORED = "Ignored"
    DUPLICATE = "Duplicate"
    COOLING_DOWN = "CoolingDown"
    REFUSED = "Refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class VmDecisionDocument:
    """The decision for one virtual machine of an alert. A rule with a plan has `plan` and `recoveryId`."""

    source_resource_id: str | None
    decision: AlertDecision
    reason: str
    restore_id: str | None = None
    rule: str | None = None
    plan: str | None = field(default=None, metadata={"description": "The recovery plan that the rule names."})
    recovery_id: str | None = field(
        default=None,
        metadata={"description": "The recovery that the alert started: one for all of its virtual machines."},
    )


@dataclass(frozen=True, slots=True)
class VmDecision:
    """The decision for one VM. ``source_resource_id`` is ``None`` when the alert does not say which VM it is.

    ``reason`` is a sentence for the operator. ``request`` is the restore to start, with the decisions ``Started`` and
    ``AwaitingApproval`` only; where the rule names a plan, its recovery is started instead. ``restore_id`` or
    ``recovery_id`` is there once it was started.
    """

    source_resource_id: str | None
    decision: AlertDecision
    reason: str
    rule: AlertRule | None = None
    request: RestoreRequest | None = None
    restore_id: str | None = None
    recovery_id: str | None = None

    @property
    def plan(self) -> str | None:
        """The name of the recovery plan that the rule names, if it names one."""
        return self.rule and self.rule.plan

    @property
    def starts(self) -> str | None:
        """What is to be started: a plan by its name in lower case, or the VM's restore by its id; ``None``: nothing."""
        if self.decision not in {AlertDecision.STARTED, AlertDecision.AWAITING_APPROVAL}:
            return None
        return self.plan.lower() if self.plan else self.source_resource_id

    def to_json(self) -> Json:
        """Return what the sender of the alert gets."""
        document = VmDecisionDocument(
            source_resource_id=self.source_resource_id,
            decision=self.decision,
            reason=self.reason,
            restore_id=self.restore_id,
            rule=self.rule and self.rule.name,
            plan=self.plan,
            recovery_id=self.recovery_id,
        )
        return as_json(document)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanStart:
    """A recovery that an alert starts: one for all of its VMs whose rules name the plan.

    ``rule`` is that of the first such VM. ``approval_reason`` says why a person must approve, whatever the plan does;
    ``None`` if there is no reason.
    """

    plan: str
    rule: AlertRule
    approval_reason: str | None

    @property
    def approval_timeout(self) -> timedelta:
        """How long the recovery waits for a person, if it must."""
        timeout = self.rule.approval.get("timeout")
        return parse_duration(timeout) if timeout else APPROVAL_TIMEOUT


def decide_alert(alert: Alert, rules: AlertRules, now: datetime, plans: Plans) -> list[VmDecision]:
    """Return the decision for each VM of the alert, and one for each name that is not a VM.

    Together they start at most ``MAX_STARTS`` restores and recoveries. ``plans`` are the recovery plans by their names
    in lower case; one that is not among them is decided about as if it replaced no disks. ``now`` is used for an alert
    that does not say when it fired.
    """
    if alert.ignore_reason is not None:
        return [VmDecision(vm_id, AlertDecision.IGNORED, alert.ignore_reason) for vm_id in alert.vm_ids or (None,)]
    decisions: list[VmDecision] = []
    starts: set[str] = set()
    for vm_id in alert.vm_ids:
        decision = _decide_vm(alert, vm_id, rules, now, plans)
        if (start := decision.starts) is not None:
            if start not in starts and len(starts) == MAX_STARTS:
                decision = _over_the_limit(decision)
            else:
                starts.add(start)
        decisions.append(decision)
    return [*decisions, *(VmDecision(None, AlertDecision.REFUSED, reason) for reason in alert.unresolved)]


def reason_of_start(alert: Alert, rule: AlertRule) -> str:
    """Return the reason of a restore or recovery which this rule starts because of this alert."""
    severity = f" ({alert.severity})" if alert.severity else ""
    reason = f"Alert {alert.alert_rule or alert_name(alert.alert_id)}{severity}: rule {rule.name!r}"
    return single_line(reason, _MAX_REASON)


def plan_starts(alert: Alert, decisions: Sequence[VmDecision], storm: Storm) -> list[PlanStart]:
    """Return the recoveries that are to be started by these decisions about the VMs of an alert."""
    by_plan: dict[str, list[VmDecision]] = {}
    for decision in decisions:
        if decision.plan and decision.starts:
            by_plan.setdefault(decision.starts, []).append(decision)
    return [
        PlanStart(plan=plan, rule=rule, approval_reason=_plan_approval_reason(alert, started, storm))
        for plan, started in by_plan.items()
        if (rule := started[0].rule) is not None
    ]


def _plan_approval_reason(alert: Alert, decisions: Sequence[VmDecision], storm: Storm) -> str | None:
    if alert.approval_reason is not None:
        return alert.approval_reason
    if len(decisions) > storm.distinct_vms:
        return f"The alert names {len(decisions)} virtual machines for this plan: this may be an outage of Azure."
    asking = [decision.rule for decision in decisions if decision.rule and decision.rule.approval.get("required")]
    return f"Rule {asking[0].name!r} asks for an approval." if asking else None


def refused_start(decision: VmDecision, error: RestoreError) -> VmDecision:
    """Return the decision for a VM whose restore or recovery was refused with this error by admission control."""
    refused = AlertDecision.COOLING_DOWN if error.code == errors.COOLING_DOWN else AlertDecision.REFUSED
    return replace(decision, decision=refused, reason=f"{error.code}: {error.message}", request=None)


def accepted_start(decision: VmDecision, started_id: str, *, is_new: bool, document: Json | None) -> VmDecision:
    """Return the decision for a VM whose restore, or recovery, with this id exists.

    It is new, or was started by an earlier delivery of the alert. ``document`` is its status document, ``None`` when
    admission control has not answered in time.
    """
    outcome, reason = decision.decision, decision.reason
    if not is_new:
        outcome, reason = AlertDecision.DUPLICATE, "This alert has been delivered before."
    elif document is None:
        what = "recovery" if decision.plan else "restore"
        reason = f"{reason} Admission control has not answered yet; see the status of the {what}."
    elif approval := document.get("approval"):
        outcome, reason = AlertDecision.AWAITING_APPROVAL, approval["reason"]
    started = {"recovery_id" if decision.plan else "restore_id": started_id}
    return replace(decision, decision=outcome, reason=reason, **started)


def _over_the_limit(decision: VmDecision) -> VmDecision:
    reason = (
        f"{decision.reason} But one alert starts at most {MAX_STARTS} restores, and this would be one more: probably "
        "Azure itself has an outage. If this virtual machine must be restored, use POST /api/restores."
    )
    return replace(decision, decision=AlertDecision.REFUSED, reason=reason, request=None)


def _decide_vm(alert: Alert, vm_id: str, rules: AlertRules, now: datetime, plans: Plans) -> VmDecision:
    rule = rules.first_match(alert, vm_id)
    if rule is None:
        return VmDecision(vm_id, AlertDecision.IGNORED, _no_rule_reason(alert, rules.first_covering(alert, vm_id)))
    if rule.plan is not None:
        return _decide_plan(alert, vm_id, rule, plans.get(rule.plan.lower()))
    if rule.restore is None:
        reason = f"Rule {rule.name!r} denies restores of this virtual machine."
        return VmDecision(vm_id, AlertDecision.REFUSED, reason, rule)
    covered = f"Rule {rule.name!r} covers it"
    try:
        request = RestoreRequest.from_json(_request_body(alert, vm_id, rule, rule.restore, now))
    except InvalidRequestError as error:
        wrong = "; ".join(f"{detail.target} {detail.message}" for detail in error.details)
        reason = f"{covered}, but its restore cannot be requested for this virtual machine: {wrong}."
        return VmDecision(vm_id, AlertDecision.REFUSED, reason, rule)
    decision, reason = _decide_start(alert, request)
    return VmDecision(vm_id, decision, f"{covered}{reason}", rule, request)


def _decide_start(alert: Alert, request: RestoreRequest) -> tuple[AlertDecision, str]:
    """Return the decision for a restore that a rule starts, and the end of a sentence that says why."""
    if request.is_plan:
        return AlertDecision.STARTED, "."
    if alert.approval_reason:
        return AlertDecision.AWAITING_APPROVAL, f". {alert.approval_reason}"
    if request.needs_approval:
        why = " to replace its disks" if request.replaces_disks else ""
        return AlertDecision.AWAITING_APPROVAL, f"; a person must approve the restore{why}."
    if request.needs_approval_of_swap:
        return AlertDecision.STARTED, "; its disks are restored at once, and a person must approve their swap."
    return AlertDecision.STARTED, "."


def _decide_plan(alert: Alert, vm_id: str, rule: AlertRule, plan: RecoveryPlan | None) -> VmDecision:
    covered = f"Rule {rule.name!r} covers it and starts the recovery plan {rule.plan!r}"
    if alert.approval_reason:
        return VmDecision(vm_id, AlertDecision.AWAITING_APPROVAL, f"{covered}. {alert.approval_reason}", rule)
    replaces_disks = plan is not None and plan.replaces_disks
    if replaces_disks or rule.approval.get("required"):
        why = ", because the plan replaces disks" if replaces_disks else ""
        return VmDecision(
            vm_id, AlertDecision.AWAITING_APPROVAL, f"{covered}; a person must approve the recovery{why}.", rule
        )
    return VmDecision(vm_id, AlertDecision.STARTED, f"{covered}.", rule)


def _no_rule_reason(alert: Alert, covering: AlertRule | None) -> str:
    if covering is None:
        return "No rule covers it."
    why = {
        AlertKind.BACKUP: "An alert of Azure Backup does not say that the virtual machine is down",
        AlertKind.ACTIVITY_LOG: "A deletion may be wanted",
    }[alert.kind]
    return (
        f"Rule {covering.name!r} covers it, but does not name {NAMED_AS[alert.kind]!r} in match.monitoringServices. "
        f"{why}, so it starts a restore only where a rule names this kind of alert."
    )


def _request_body(alert: Alert, vm_id: str, rule: AlertRule, template: Json, now: datetime) -> Json:
    own = {name: value for name, value in as_object(template.get("approval")).items() if value is not None}
    approval = {**own, **rule.approval}
    needs_person = own.get("required") or rule.approval.get("required") or alert.approval_reason is not None
    if needs_person or replaces_disks(template):
        approval["required"] = True
    if replaces_disks(template):
        approval.setdefault("distinct", True)
    if swaps_disks(template):
        approval.setdefault("before", BEFORE_SWAP)
    body = fill_template(template, vm_id=vm_id, alert_id=alert.alert_id, fired=alert.fired or now)
    return {"reason": reason_of_start(alert, rule), **body, **({"approval": approval} if approval else {})}
