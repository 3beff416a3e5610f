"""``make rules``: checks a file of alert rules and shows the decisions they make about an alert.

It calls nothing and starts nothing. The exit code is 1 when the file or an alert cannot be read.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from domain.alerts.decide import decide_alert
from domain.alerts.fields import single_line
from domain.alerts.payload import read_alert
from domain.alerts.rules_file import read_rules, rules_schema
from domain.recovery.plans_file import read_plans
from domain.times import format_duration
from scripts.checked_files import UnusableFileError, parser_of_files, read_file, refuse

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from domain.alerts.decide import VmDecision
    from domain.alerts.payload import Alert

SCHEMA_FILE: Final = Path("auto_restore_rules.schema.json")
_NOT_CHECKED: Final = (
    "Not checked here: admission control. In the app a cool-down, an hourly budget or a running restore may still "
    "prevent a restore, and a storm of alerts makes it wait for approval."
)
_PLANS_NOT_CHECKED: Final = (
    "Not checked here: the recovery plans that the rules name, and whether they replace disks, which a person must "
    "approve. Name their file with --plans (make rules: PLANS=)."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code."""
    options = _parse(argv)
    if options.schema:
        options.schema.write_text(schema_text(), encoding="utf-8")
        print(f"rules: wrote {options.schema}")
        return 0
    try:
        plans = None if options.plans is None else read_file(options.plans, read_plans)
        rules = read_file(options.file, lambda data: read_rules(data, plans))
    except UnusableFileError as error:
        return refuse(error)
    denying = sum(rule.denies for rule in rules.rules)
    storm = f"more than {rules.storm.distinct_vms} virtual machines within {format_duration(rules.storm.within)}"
    print(f"{options.file}: good; rules: {len(rules.rules)}, of which {denying} deny; a storm is {storm}")
    failures = 0
    for path in options.alerts:
        try:
            alert = read_file(path, read_alert)
        except UnusableFileError as error:
            failures += refuse(error)
        else:
            _show(path, alert, decide_alert(alert, rules, datetime.now(UTC), plans or {}))
    if options.alerts:
        print(f"\n{_NOT_CHECKED}")
    if plans is None and any(rule.plan for rule in rules.rules):
        print(f"\n{_PLANS_NOT_CHECKED}")
    return min(failures, 1)


def schema_text() -> str:
    """Return what the committed schema must hold."""
    return json.dumps(rules_schema(), indent=2) + "\n"


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = parser_of_files(
        "python -m scripts.rules",
        "Checks alert rules and shows the decisions they make about an alert.",
        "the rules, as AUTO_RESTORE_RULES names them",
        SCHEMA_FILE,
    )
    parser.add_argument("alerts", metavar="ALERT", type=Path, nargs="*", help="an alert in the common alert schema")
    parser.add_argument("--plans", metavar="PLANS", type=Path, help="the recovery plans that the rules may name")
    options = parser.parse_args(argv)
    if options.file is None and options.schema is None:
        parser.error("name the FILE of rules")
    return options


def _show(path: Path, alert: Alert, decisions: Sequence[VmDecision]) -> None:
    words = ", ".join(filter(None, map(single_line, (alert.severity, alert.monitoring_service))))
    print(f"\n{path}: alert {alert.alert_rule!r}" + (f" ({words})" if words else ""))
    for decision in decisions:
        print(f"  {decision.source_resource_id or '(no virtual machine)'}")
        print(f"    decision: {decision.decision}")
        print(f"    rule:     {decision.rule.name if decision.rule else '-'}")
        print(f"    reason:   {decision.reason}")
        if decision.plan is not None:
            print(f"    plan:     {decision.plan}")
        if decision.request is not None:
            body = json.dumps(decision.request.to_json(), indent=2, ensure_ascii=False)
            print("    request:  " + body.replace("\n", "\n    "))


if __name__ == "__main__":
    raise SystemExit(main())
