"""What callers are shown of the alert rules, also if those cannot be used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import azure.functions as func

from domain.alerts.alert_rules import NO_RULES, LoadedRules
from domain.alerts.rules_file import read_rules
from tests.unit.domain.alerts.rules import IN_PLACE, SAMPLE_FILE, a_file, a_rule
from triggers.alert_rules import AlertRulesApi

if TYPE_CHECKING:
    from domain.errors import Json

DENY: Json = {"name": "never", "match": {"sourceResourceIds": ["*/empty-*"]}, "deny": True}


def shown(loaded: LoadedRules) -> Json:
    request = func.HttpRequest("GET", "https://app.example/api/alert-rules", body=b"")
    answer = AlertRulesApi(loaded).list_alert_rules(request)
    assert answer.status_code == 200
    return json.loads(answer.get_body())


def test_the_rules_are_shown_as_they_were_written_in_their_order() -> None:
    rules = [DENY, a_rule(name="disks", restore=IN_PLACE, coolDown="PT12H"), {"name": "shop", "plan": "Shop"}]
    loaded = LoadedRules(source="rules.json", rules=read_rules(a_file(*rules, storm={"within": "PT1H30M"})))

    assert shown(loaded) == {
        "source": "rules.json",
        "problems": [],
        "rules": rules,
        "storm": {"distinctVms": 10, "within": "PT1H30M"},
    }


def test_the_sample_is_shown_whole() -> None:
    sample = json.loads(SAMPLE_FILE.read_text(encoding="utf-8"))

    assert shown(LoadedRules(source="setting", rules=read_rules(sample)))["rules"] == sample["rules"]


def test_without_rules_there_are_none() -> None:
    storm = {"distinctVms": 10, "within": "PT10M"}

    assert shown(LoadedRules(source=None, rules=NO_RULES)) == {
        "source": None,
        "problems": [],
        "rules": [],
        "storm": storm,
    }


def test_rules_that_cannot_be_used_are_shown_with_all_that_is_wrong() -> None:
    problems = tuple(f"rules[{number}].x is wrong" for number in range(40))

    assert shown(LoadedRules(source="setting", rules=None, problems=problems)) == {
        "source": "setting",
        "problems": list(problems),
        "rules": [],
        "storm": None,
    }


def test_a_secret_that_a_rule_has_is_not_shown() -> None:
    rule = a_rule(restore={**IN_PLACE, "reason": "see https://wiki.example/page?sig=c2VjcmV0LXNpZ25hdHVyZQ"})

    assert "c2VjcmV0" not in json.dumps(shown(LoadedRules(source="setting", rules=read_rules(a_file(rule)))))
