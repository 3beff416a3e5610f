"""``make rules``: what it prints and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.rules import main, schema_text

ROOT = Path(__file__).parents[3]
RULES = str(ROOT / "auto_restore_rules.sample.json")
PLANS = str(ROOT / "recovery_plans.sample.json")
ALERTS = ROOT / "tests" / "samples" / "alerts"


def written(folder: Path, data: Any) -> str:
    path = folder / "file.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return str(path)


def test_good_rules_are_called_good(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([RULES]) == 0

    out = capsys.readouterr().out
    assert "good; rules: 5, of which 1 deny; a storm is more than 10 virtual machines within PT10M" in out
    assert "admission control" not in out


def test_a_plan_is_shown_and_its_file_is_checked_where_it_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rules = written(tmp_path, {"rules": [{"name": "all", "plan": "shop"}]})

    assert main([rules, str(ALERTS / "metric.json")]) == 0
    unchecked = capsys.readouterr().out
    assert main([rules, str(ALERTS / "metric.json"), "--plans", PLANS]) == 0
    checked = capsys.readouterr().out

    for out in (unchecked, checked):
        assert "decision: Started\n    rule:     all\n" in out
        assert "    plan:     shop\n" in out
    assert "Name their file with --plans" in unchecked
    assert "--plans" not in checked


@pytest.mark.parametrize("plans", [PLANS, "no such file"])
def test_a_plan_that_is_not_in_its_file_is_a_fault(
    plans: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rules = written(tmp_path, {"rules": [{"name": "all", "plan": "office"}]})

    assert main([rules, "--plans", plans]) == 1

    wrong = f"{rules}: rules[0].plan names no plan of RECOVERY_PLANS\n"
    assert capsys.readouterr().err == (
        wrong if plans == PLANS else f"{plans}: cannot be read: No such file or directory\n"
    )


def test_an_alert_shows_each_vm_with_decision_rule_reason_and_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([RULES, str(ALERTS / "metric.json")]) == 0

    out = capsys.readouterr().out
    assert "metric.json: alert 'vm-web-down' (Sev1, Platform)" in out
    assert "virtualmachines/web-03\n    decision: Started\n    rule:     web tier\n    reason:   Rule 'web tier'" in out
    request = json.loads(out.partition("request:")[2].partition("\n\nNot checked")[0])
    assert request["sourceResourceId"].endswith("/web-03")
    assert request["targetResourceGroupId"].endswith("/resourceGroups/restored-web-rg")
    assert "Not checked here: admission control" in out


def test_an_alert_that_starts_nothing_shows_no_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([RULES, str(ALERTS / "resolved.json"), str(ALERTS / "no-vm.json")]) == 0

    out = capsys.readouterr().out
    assert "decision: Ignored\n    rule:     -\n    reason:   The alert is Resolved" in out
    assert "(no virtual machine)\n    decision: Refused" in out
    assert "request:" not in out


def test_an_alert_without_words_is_shown_too(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    essentials = {"alertId": "a", "monitorCondition": "Fired"}
    alert = {"schemaId": "azureMonitorCommonAlertSchema", "data": {"essentials": essentials}}

    assert main([RULES, written(tmp_path, alert)]) == 0

    assert "alert ''\n" in capsys.readouterr().out


def test_every_problem_of_the_rules_has_its_line_and_its_place(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = written(tmp_path, {"rules": [{"name": "a", "restore": {}}], "strom": {}})

    assert main([path, str(ALERTS / "metric.json")]) == 1

    seen = capsys.readouterr()
    assert seen.out == ""
    assert sorted(line.removeprefix(f"{path}: ") for line in seen.err.splitlines()) == [
        "rules[0].restore.recoveryType is needed",
        "rules[0].restore.storageAccountId is needed unless identityInfo is given",
        "strom is not a known field; is it storm?",
    ]


@pytest.mark.parametrize(
    ("data", "told"), [("{", "is not JSON: "), ("[]", "the file must be a JSON object"), ("[" * 100_000, "is not JSON")]
)
def test_a_file_that_holds_no_rules(capsys: pytest.CaptureFixture[str], tmp_path: Path, data: str, told: str) -> None:
    assert main([written(tmp_path, data)]) == 1

    assert told in capsys.readouterr().err


def test_a_file_that_is_missing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main([str(tmp_path / "none.json")]) == 1

    assert "none.json: cannot be read: No such file" in capsys.readouterr().err


def test_a_bad_alert_does_not_hide_the_others(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main([RULES, written(tmp_path, {"schemaId": "mine"}), str(ALERTS / "metric.json")]) == 1

    seen = capsys.readouterr()
    assert "schemaId must be azureMonitorCommonAlertSchema" in seen.err
    assert "decision: Started" in seen.out


def test_the_schema_is_written_where_asked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "schema.json"

    assert main(["--schema", str(path)]) == 0

    assert path.read_text(encoding="utf-8") == schema_text()
    assert str(path) in capsys.readouterr().out


def test_the_committed_schema_is_what_it_writes() -> None:
    committed = (ROOT / "auto_restore_rules.schema.json").read_text(encoding="utf-8")

    assert committed == schema_text(), "run python -m scripts.rules --schema"


def test_a_file_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([])

    assert caught.value.code == 2
    assert "name the FILE of rules" in capsys.readouterr().err


def test_it_runs_as_a_command() -> None:
    command = [sys.executable, "-m", "scripts.rules", RULES]

    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=60).returncode == 0
