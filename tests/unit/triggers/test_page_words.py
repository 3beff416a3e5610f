"""The words of the operator's page: one for each code of the API, with the advice of the runbook."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from domain.recovery.parts import GroupStatus, MemberStatus, RecoveryStatus
from domain.request_schema import ALTERNATE_LOCATION, ORIGINAL_LOCATION, RESTORE_DISKS
from domain.restore.parts import Phase, Source, Status, WaitReason
from domain.warning_codes import WarningCode

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[3]
WORDS: dict[str, dict[str, str]] = json.loads((ROOT / "triggers/ui/words.json").read_text(encoding="utf-8"))
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
        ("kind", {RESTORE_DISKS, ALTERNATE_LOCATION, ORIGINAL_LOCATION}),
        ("warningAdvice", WarningCode),
    ],
)
def test_each_code_of_the_api_has_words(kind: str, codes: Iterable[str]) -> None:
    assert set(WORDS[kind]) == {str(code) for code in codes}


@pytest.mark.parametrize("kind", ["warningAdvice", "errorAdvice"])
def test_the_advice_is_that_of_the_runbook(kind: str) -> None:
    runbook = _without_marks(RUNBOOK)

    assert [code for code, advice in WORDS[kind].items() if advice not in runbook] == []
