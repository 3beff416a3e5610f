"""What the page knows of the API by itself: a word for each code, the runbook's advice, statuses and defaults."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from domain.alerts import rules_file
from domain.follow_up.attachment_report import AttachmentState
from domain.follow_up.creation_report import CreationState
from domain.follow_up.swap_report import SwapState
from domain.recovery.parts import APPROVAL_TIMEOUT, RETRIABLE, SKIPPABLE, GroupStatus, MemberStatus, RecoveryStatus
from domain.request_schema import ALTERNATE_LOCATION, FOLLOW_UPS, ORIGINAL_LOCATION, RESTORE_DISKS
from domain.restore.parts import Phase, Source, Status, WaitReason
from domain.times import parse_duration
from domain.warning_codes import WarningCode

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

ROOT = Path(__file__).parents[3]
UI = ROOT / "triggers/ui"
WORDS: dict[str, dict[str, str]] = json.loads((UI / "words.json").read_text(encoding="utf-8"))
RUNBOOK = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
STATUSES = {*Status, *RecoveryStatus, *GroupStatus, *(status.word for status in MemberStatus)}


def _without_marks(markdown: str) -> str:
    return re.sub(r"[`*]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", markdown))


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        ("status", STATUSES),
        ("phase", Phase),
        ("waiting", WaitReason),
        ("startedBy", Source),
        ("kind", {RESTORE_DISKS, ALTERNATE_LOCATION, ORIGINAL_LOCATION, *FOLLOW_UPS, "undo"}),
        ("swapState", SwapState),
        ("creationState", CreationState),
        ("attachmentState", AttachmentState),
        ("warningAdvice", WarningCode),
    ],
)
def test_each_code_of_the_api_has_words(kind: str, codes: Iterable[str]) -> None:
    assert set(WORDS[kind]) == {str(code) for code in codes}


@pytest.mark.parametrize("kind", ["warningAdvice", "errorAdvice"])
def test_the_advice_is_that_of_the_runbook(kind: str) -> None:
    runbook = _without_marks(RUNBOOK)

    assert [code for code, advice in WORDS[kind].items() if advice not in runbook] == []


def _in_script(name: str, pattern: str) -> str:
    (found,) = re.findall(pattern, (UI / name).read_text(encoding="utf-8"), re.DOTALL)
    return found


@pytest.mark.parametrize(
    ("script", "name", "statuses"),
    [
        ("parts.js", "ENDED", STATUSES - {status for status in RecoveryStatus if not status.has_ended}),
        ("recovery.js", "RETRIABLE", RETRIABLE),
        ("recovery.js", "SKIPPABLE", SKIPPABLE),
    ],
)
def test_the_page_agrees_with_the_app_which_statuses_are_ended_retriable_and_skippable(
    script: str, name: str, statuses: Iterable[str]
) -> None:
    listed = _in_script(script, rf"const {name} = new Set\(\[(.*?)\]\)")

    assert set(re.findall(r'"(\w+)"', listed)) == {str(status) for status in statuses}


@pytest.mark.parametrize(
    ("member", "default"), [("approval.timeout", APPROVAL_TIMEOUT), ("coolDown", rules_file.DEFAULT_COOL_DOWN)]
)
def test_the_page_shows_the_defaults_of_the_alert_rules(member: str, default: timedelta) -> None:
    shown = _in_script("alerts.js", rf'\b{re.escape(member)} \?\? "(\w+)"')

    assert parse_duration(shown) == default
