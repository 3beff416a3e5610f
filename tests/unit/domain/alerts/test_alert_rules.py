from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.alerts.kinds import AlertKind
from tests.support.azure import VM_ID
from tests.support.strategies import SWIFT
from tests.unit.domain.alerts.rules import DENY, SQL_VM, a_rule, an_alert, match, read

if TYPE_CHECKING:
    from domain.errors import Json


class TestMatching:
    @pytest.mark.parametrize(
        ("members", "covered"),
        [
            ({}, True),
            ({"sourceResourceIds": [VM_ID]}, True),
            ({"sourceResourceIds": [VM_ID.upper()]}, True),
            ({"sourceResourceIds": ["/subscriptions/*/resourceGroups/WEB-*/*"]}, True),
            ({"sourceResourceIds": ["*/sql-*", "*/web-0[12]"]}, True),
            ({"sourceResourceIds": ["*/web-0[!1]"]}, False),
            ({"sourceResourceIds": ["*/resourceGroups/sql-*/*"]}, False),
            ({"sourceResourceIds": [VM_ID[:-1] + "2"]}, False),
            ({"alertRules": ["VM-*-down"]}, True),
            ({"alertRules": ["vm-*"], "severities": ["sev1"]}, True),
            ({"alertRules": ["vm-*-dow"]}, False),
            ({"alertRules": ["vm-*"], "severities": ["Sev0"]}, False),
            ({"severities": ["Sev[01]"]}, True),
            ({"monitoringServices": ["platform"]}, True),
            ({"monitoringServices": ["Resource Health"]}, False),
        ],
    )
    def test_a_rule_covers_what_all_of_its_members_match(self, members: Json, covered: bool) -> None:
        rules = read(match(**members))

        assert (rules.first_match(an_alert(), VM_ID) is not None) == covered

    @pytest.mark.parametrize("written", ["Resource Health", "ResourceHealth", "resource*", "RESOURCE  HEALTH"])
    @pytest.mark.parametrize("sent", ["Resource Health", "ResourceHealth", "resourcehealth"])
    def test_spaces_in_a_service_do_not_count(self, written: str, sent: str) -> None:
        rules = read(match(monitoringServices=[written]))

        assert rules.first_match(an_alert(monitoring_service=sent), VM_ID)

    def test_spaces_elsewhere_do(self) -> None:
        assert read(match(alertRules=["vmdown"])).first_match(an_alert(alert_rule="vm down"), VM_ID) is None

    def test_the_first_one_wins(self) -> None:
        everything, web = a_rule(name="everything"), {**match(sourceResourceIds=["*/web-*"]), "name": "web"}

        assert name_of_first_match(web, everything) == "web"
        assert name_of_first_match(everything, web) == "everything"

    @given(st.lists(st.sampled_from(["*", "*/web-01", "*/sql-01", "*/resourceGroups/sql-rg/*"]), max_size=5))
    @SWIFT
    def test_the_first_one_wins_among_any(self, patterns: list[str]) -> None:
        rules = read(
            *(
                a_rule(name=str(index), match={"sourceResourceIds": [pattern]})
                for index, pattern in enumerate(patterns)
            ),
            {**DENY, "match": {"sourceResourceIds": ["*"]}},
        )
        for vm_id, fitting in ((VM_ID, {"*", "*/web-01"}), (SQL_VM, {"*", "*/sql-01", "*/resourceGroups/sql-rg/*"})):
            wanted = next((str(index) for index, pattern in enumerate(patterns) if pattern in fitting), "never")
            found = rules.first_match(an_alert(), vm_id)

            assert found is not None
            assert found.name == wanted


class TestKindsThatARuleMustName:
    """A failed backup does not say that the VM is down, and a deletion may be wanted."""

    KINDS: ClassVar = {
        "Azure Backup": AlertKind.BACKUP,
        "Activity Log - Administrative": AlertKind.ACTIVITY_LOG,
        "ActivityLog-Administrative": AlertKind.ACTIVITY_LOG,
        "Administrative": AlertKind.ACTIVITY_LOG,
    }

    @pytest.mark.parametrize("service", sorted(KINDS))
    @pytest.mark.parametrize(
        "patterns", [None, ["*"], ["**"], ["*?*"], ["[a-z]*"], ["Platform"], ["Platform", "*"], ["a*"], ["*l*"]]
    )
    def test_are_not_matched_by_a_rule_that_does_not_name_them(self, service: str, patterns: list[str] | None) -> None:
        members = {"alertRules": ["vm-*"], **({"monitoringServices": patterns} if patterns else {})}
        alert = an_alert(monitoring_service=service, kind=self.KINDS[service])

        assert read(match(**members)).first_match(alert, VM_ID) is None

    @pytest.mark.parametrize(
        ("service", "pattern"),
        [
            ("Azure Backup", "Azure Backup"),
            ("Azure Backup", "azurebackup"),
            ("Azure Backup", "*backup*"),
            ("Activity Log - Administrative", "Activity Log - Administrative"),
            ("Activity Log - Administrative", "Activity Log*"),
            ("Activity Log - Administrative", "*administrative"),
            ("Administrative", "Administrative"),
        ],
    )
    def test_are_matched_by_a_rule_that_names_them(self, service: str, pattern: str) -> None:
        alert = an_alert(monitoring_service=service, kind=self.KINDS[service])

        assert read(match(monitoringServices=["Platform", pattern])).first_match(alert, VM_ID)

    @pytest.mark.parametrize("service", sorted(KINDS))
    def test_are_denied_even_by_a_rule_that_does_not_name_them(self, service: str) -> None:
        alert = an_alert(monitoring_service=service, kind=self.KINDS[service])
        naming = {**match(monitoringServices=[service]), "name": "restores"}

        found = read(DENY, naming).first_match(alert, VM_ID)

        assert found is not None
        assert found.restore is None

    def test_are_decided_by_the_next_rule_that_names_them(self) -> None:
        alert = an_alert(monitoring_service="Azure Backup", kind=AlertKind.BACKUP)

        found = read(a_rule(), {**match(monitoringServices=["Azure Backup"]), "name": "b"}).first_match(alert, VM_ID)

        assert found is not None
        assert found.name == "b"


def name_of_first_match(*rules: Json) -> str:
    found = read(*rules).first_match(an_alert(), VM_ID)
    assert found is not None
    return found.name
