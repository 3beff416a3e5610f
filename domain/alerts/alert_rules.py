"""The model of the alert rules: which alert restores which VM. What no rule covers is ignored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from domain.alerts.fields import without_spaces
from domain.alerts.patterns import matches_any

if TYPE_CHECKING:
    from domain.alerts.patterns import Pattern
    from domain.alerts.payload import Alert
    from domain.errors import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """When alerts look like an outage of Azure: more than ``distinct_vms`` VMs ``within`` this time."""

    distinct_vms: int = 10
    within: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """The conditions of a rule; ``None`` matches all. The patterns for monitoring services have no spaces."""

    source_resource_ids: tuple[Pattern, ...] | None = None
    alert_rules: tuple[Pattern, ...] | None = None
    severities: tuple[Pattern, ...] | None = None
    monitoring_services: tuple[Pattern, ...] | None = None

    def covers(self, alert: Alert, vm_id: str) -> bool:
        """Return whether all conditions match this VM of this alert."""
        return (
            matches_any(self.alert_rules, alert.alert_rule)
            and matches_any(self.severities, alert.severity)
            and matches_any(self.monitoring_services, without_spaces(alert.monitoring_service))
            and matches_any(self.source_resource_ids, vm_id)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """One rule. ``restore`` is the template as written, ``None`` when the rule denies restores."""

    name: str
    match: Match
    restore: Json | None
    approval: Json
    cool_down: timedelta
    max_per_hour: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRules:
    """All rules in their order, and what counts as a storm of alerts."""

    rules: tuple[AlertRule, ...]
    storm: Storm

    def first_match(self, alert: Alert, vm_id: str) -> AlertRule | None:
        """Return the first rule that covers this VM of this alert, or ``None`` if no rule does."""
        return next((rule for rule in self.rules if rule.match.covers(alert, vm_id)), None)


NO_RULES: Final = AlertRules(rules=(), storm=Storm())
