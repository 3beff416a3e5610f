"""``make plans``: checks a file of recovery plans and shows the order in which each restores its groups.

It calls nothing and starts nothing. The exit code is 1 when the file cannot be used.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from domain.recovery.plans_file import plans_schema, read_plans
from domain.times import format_duration
from scripts.checked_files import UnusableFileError, parser_of_files, read_file, refuse

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from domain.recovery.plan import Group, RecoveryPlan, Selection

SCHEMA_FILE: Final = Path("recovery_plans.schema.json")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code."""
    options = _parse(argv)
    if options.schema:
        options.schema.write_text(schema_text(), encoding="utf-8")
        print(f"plans: wrote {options.schema}")
        return 0
    try:
        plans = read_file(options.file, read_plans)
    except UnusableFileError as error:
        return refuse(error)
    print(f"{options.file}: good; plans: {len(plans)}")
    for plan in plans.values():
        _show(plan)
    return 0


def schema_text() -> str:
    """Return what the committed schema must hold."""
    return json.dumps(plans_schema(), indent=2) + "\n"


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = parser_of_files(
        "python -m scripts.plans",
        "Checks recovery plans and shows the order of their groups.",
        "the plans, as RECOVERY_PLANS names them",
        SCHEMA_FILE,
    )
    options = parser.parse_args(argv)
    if options.file is None and options.schema is None:
        parser.error("name the FILE of plans")
    return options


def _show(plan: RecoveryPlan) -> None:
    cap = "" if plan.max_running is None else f", at most {plan.max_running} restores at a time"
    print(f"\n{plan.name}: {len(list(plan.named_members()))} virtual machines named{cap}")
    groups = {group.name: group for group in plan.groups}
    for number, wave in enumerate(plan.waves(), start=1):
        for name in wave:
            print(f"  {number}. {name}{_after(groups[name])}: {_members(groups[name])}{_remarks(groups[name])}")


def _after(group: Group) -> str:
    return f" (after {', '.join(group.after)})" if group.after else ""


def _members(group: Group) -> str:
    named = [vm_id.rpartition("/")[2] for vm_id in group.source_resource_ids]
    found = [] if group.selection is None else [_selection(group.selection)]
    return "; ".join([", ".join(named), *found] if named else found)


def _selection(selection: Selection) -> str:
    patterns = (pattern.text for pattern in selection.source_resource_ids or ())
    vaults = (f"vault {vault_id.rpartition('/')[2]}" for vault_id in selection.vault_ids or ())
    tags = (f"tag {name}={value}" for name, value in selection.tags.items())
    excluded = (f"not {pattern.text}" for pattern in selection.excluded)
    return f"what Resource Graph finds: {', '.join([*vaults, *patterns, *tags, *excluded])}"


def _remarks(group: Group) -> str:
    timeout = group.approval_timeout
    gate = [] if timeout is None else [f"waits {format_duration(timeout)} for approval"]
    optional = ["optional"] if group.optional else []
    remarks = ", ".join([*gate, *optional])
    return f" [{remarks}]" if remarks else ""


if __name__ == "__main__":
    raise SystemExit(main())
