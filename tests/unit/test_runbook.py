"""The runbook has a row for each code that callers see, and its tables are tables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from domain import errors
from domain.recovery.parts import GroupStatus, RecoveryStatus
from domain.restore.parts import Status, WaitReason
from domain.warning_codes import WarningCode

ROOT: Final = Path(__file__).parents[2]
RUNBOOK: Final = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
ERROR_CODES: Final = [code for name, code in vars(errors).items() if name[0].isupper() and isinstance(code, str)]
NEVER_SEEN: Final = {
    errors.LATE_DELIVERY,  # inside the app: the restore searches for its job
    errors.ITEM_BUSY,  # a warning; at the end it is a RequestConflict
    errors.RESOURCE_GUARD_CLOSED,  # a warning; at the end it is ApprovalTimedOut
}
TABLE_ROW: Final = re.compile(r"^\|(.*)\|$")


def first_cells() -> str:
    """Return the first cells of all rows: what a person on call looks for."""
    return "\n".join(cells[0] for cells in rows(RUNBOOK))


def rows(text: str) -> list[list[str]]:
    found = (TABLE_ROW.match(line.strip()) for line in text.splitlines())
    return [re.split(r"(?<!\\)\|", row[1]) for row in found if row]


def tables(text: str) -> list[list[list[str]]]:
    """Return the rows of each table of a Markdown page."""
    blocks = re.split(r"\n(?!\s*\|)", text)
    return [rows(block) for block in blocks if rows(block)]


@pytest.mark.parametrize("code", [code for code in ERROR_CODES if code not in NEVER_SEEN])
def test_each_error_code_has_a_row(code: str) -> None:
    assert f"`{code}`" in first_cells()


@pytest.mark.parametrize("code", WarningCode)
def test_each_warning_code_has_a_row(code: WarningCode) -> None:
    assert f"`{code}`" in first_cells()


@pytest.mark.parametrize("reason", WaitReason)
def test_each_reason_to_wait_has_a_row(reason: WaitReason) -> None:
    assert f"`{reason}`" in first_cells()


@pytest.mark.parametrize("status", Status)
def test_each_status_has_a_row(status: Status) -> None:
    assert f"`{status}`" in first_cells()


def cells_about_recoveries() -> str:
    """Return the first cells of the rows about recoveries."""
    section = RUNBOOK.partition("\n## A recovery\n")[2].partition("\n## ")[0]
    return "\n".join(cells[0] for cells in rows(section))


@pytest.mark.parametrize("status", RecoveryStatus)
def test_each_status_of_a_recovery_has_a_row(status: RecoveryStatus) -> None:
    assert f"`{status}`" in cells_about_recoveries()


@pytest.mark.parametrize("status", [GroupStatus.REJECTED, GroupStatus.SKIPPED, GroupStatus.FAILED])
def test_each_status_of_a_group_that_needs_a_person_has_a_row(status: GroupStatus) -> None:
    assert f"a group is `{status}`" in cells_about_recoveries()


PAGES: Final = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_row_of_a_table_has_as_many_cells_as_its_head(page: Path) -> None:
    for table in tables(page.read_text(encoding="utf-8")):
        wrong = [row for row in table if len(row) != len(table[0])]
        assert wrong == []


def test_no_warning_has_a_code_of_its_own_making() -> None:
    calls = re.compile(r"(?:with_warning|with_note|with_settled|RestoreWarning|_warn)\(\s*(?:code=)?f?[\"']")
    folders = ("domain", "activities", "queries", "triggers", "orchestrations", "outbound", "arm")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]

    assert [path for path in files if calls.search(path.read_text(encoding="utf-8"))] == []
