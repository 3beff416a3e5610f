"""``make plans``: what it prints and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema

from scripts.plans import SCHEMA_FILE, main, schema_text

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parents[3]
PLANS = ROOT / "recovery_plans.sample.json"


def test_a_good_plan_is_shown_in_the_order_of_its_groups(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(PLANS)]) == 0

    out = capsys.readouterr().out
    assert "good; plans: 1" in out
    assert "shop: 3 virtual machines named, at most 40 restores at a time\n  1. database: sql-01\n" in out
    found = "what Resource Graph finds: */resourcegroups/app-*/*, tag env=prod, not */virtualmachines/*-old"
    assert f"  2. app (after database): {found} [waits PT2H for approval]\n" in out
    assert "  3. web (after app): web-01, web-02 [optional]\n" in out


def test_a_file_that_cannot_be_used_names_every_problem(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "plans.json"
    path.write_text(json.dumps({"plans": [{"name": "a b", "groups": []}]}), encoding="utf-8")

    assert main([str(path)]) == 1

    problems = capsys.readouterr().err
    assert f"{path}: plans[0].name must be 1 to 80 of A-Z a-z 0-9 . _ -\n" in problems
    assert f"{path}: plans[0].groups must have 1 to 50 entries\n" in problems


def test_the_committed_schema_is_the_readers_and_accepts_the_sample() -> None:
    assert (ROOT / SCHEMA_FILE).read_text(encoding="utf-8") == schema_text()
    sample = json.loads(PLANS.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(json.loads(schema_text())).validate(sample)


def test_the_command_runs_by_itself() -> None:
    command = [sys.executable, "-m", "scripts.plans", str(PLANS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
