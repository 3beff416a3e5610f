from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from domain.azure.restore_scopes import RestoreScopes
from scripts.host import alert_rules, restore_scopes

if TYPE_CHECKING:
    from pathlib import Path


def test_the_host_brings_a_rule_for_the_alert_that_it_prints(tmp_path: Path) -> None:
    assert "vm-availability" in alert_rules(tmp_path)["AUTO_RESTORE_RULES"]


@pytest.mark.parametrize("name", ["auto_restore_rules.json", "local.settings.json"])
def test_rules_or_settings_of_the_developer_win(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}")

    assert alert_rules(tmp_path) == {}


def test_the_host_brings_scopes_for_the_preflight_that_it_prints(tmp_path: Path) -> None:
    scopes = RestoreScopes.from_json(json.loads(restore_scopes(tmp_path)["RESTORE_SCOPES"]))
    (tmp_path / "local.settings.json").write_text("{}")

    assert scopes.vault_ids
    assert restore_scopes(tmp_path) == {}
