"""The model of the alert rules: which alert restores which VM. What no rule covers is ignored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from domain.alerts.fields import without_spaces
from domain.alerts.kinds import AlertKind
from domain.alerts.patterns import matches_any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from domain.alerts.patterns import Pattern
    from domain.alerts.payload import Alert
    from domain.errors import Json

NAMED_AS: Final[Mapping[AlertKind, str]] = {
    AlertKind.BACKUP: "Azure Backup",
    AlertKind.ACTIVITY_LOG: "Activity Log - Administrative",
}
"""The kinds of alerts that start a restore only if a rule's ``monitoringServices`` name them, and their names there.

They do not say that a VM is down: a backup may fail while its VM is healthy, and a deletion may be wanted.
"""
# Patterns are searched for these words, in lower case as the patterns' own texts are.
_NAMING_WORDS: Final[Mapping[AlertKind, tuple[str, ...]]] = {
    AlertKind.BACKUP: ("backup",),
    AlertKind.ACTIVITY_LOG: ("activity", "administrative"),
}


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

    def names(self, kind: AlertKind) -> bool:
        """Return whether a pattern for monitoring services contains a word that names this kind; ``*`` does not."""
        literals = [literal for pattern in self.monitoring_services or () for literal in pattern.literals]
        return any(word in literal for word in _NAMING_WORDS[kind] for literal in literals)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """One rule. It has one of two: ``restore``, a template as written, or ``plan``, the name of a recovery plan.

    With neither it denies restores. ``body`` is what its author wrote.
    """

    body: Json
    name: str
    match: Match
    restore: Json | None
    approval: Json
    cool_down: timedelta
    max_per_hour: int | None
    plan: str | None = None

    @property
    def denies(self) -> bool:
        """Whether the rule denies restores."""
        return self.restore is None and self.plan is None

    def decides(self, alert: Alert) -> bool:
        """Return whether the rule decides about alerts of this kind. One that denies restores decides about all."""
        return self.denies or alert.kind not in NAMED_AS or self.match.names(alert.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRules:
    """All rules in their order, and what counts as a storm of alerts."""

    rules: tuple[AlertRule, ...]
    storm: Storm

    def first_match(self, alert: Alert, vm_id: str) -> AlertRule | None:
        """Return the rule that decides about this VM of this alert, or ``None`` if no rule does."""
        return next((rule for rule in self._covering(alert, vm_id) if rule.decides(alert)), None)

    def first_covering(self, alert: Alert, vm_id: str) -> AlertRule | None:
        """Return the first rule whose conditions match, also one that does not name the kind of the alert."""
        return next(self._covering(alert, vm_id), None)

    def _covering(self, alert: Alert, vm_id: str) -> Iterator[AlertRule]:
        return (rule for rule in self.rules if rule.match.covers(alert, vm_id))


NO_RULES: Final = AlertRules(rules=(), storm=Storm())


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedRules:
    """The rules as the app found them at its start: ``rules``, or ``None`` and the ``problems`` that switch alerts off.

    ``source`` is the path of the file, ``"setting"`` if the app setting has the JSON or a value that must not be shown,
    and ``None`` if there are no rules.
    """

    source: str | None
    rules: AlertRules | None
    problems: tuple[str, ...] = ()
