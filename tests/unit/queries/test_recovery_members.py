"""The queries of a recovery plan ask Resource Graph for no more than its members are chosen from."""

from __future__ import annotations

import re
from typing import Any

from domain.recovery.plans_file import read_plans
from queries.recovery_members import member_queries
from tests.support.azure import STORAGE_ID, TARGET_GROUP
from tests.support.fleet import FLEET_VAULT, SECOND_VAULT, fleet_vm

RESTORE = {"recoveryType": "RestoreDisks", "storageAccountId": STORAGE_ID, "targetResourceGroupId": TARGET_GROUP}


def queries_of(*groups: dict[str, Any]) -> list[str]:
    named = [{"name": f"g{index}", **group} for index, group in enumerate(groups)]
    return member_queries(read_plans({"plans": [{"name": "p", "restore": RESTORE, "groups": named}]})["p"])


def named(*names: str, **restore: Any) -> dict[str, Any]:
    return {"sourceResourceIds": list(map(fleet_vm, names)), "restore": restore}


def ids_in(query: str) -> list[str]:
    """Return the ids that a query compares with."""
    return re.findall(r"'(/subscriptions/[^']*)'", query)


def test_one_query_serves_all_groups() -> None:
    (query,) = queries_of(
        named("a"),
        {"select": {"vaultIds": [FLEET_VAULT]}},
        {"select": {"tags": {"env": "prod"}}},
        {"select": {"sourceResourceIds": ["*-web-*"]}},
    )

    assert ids_in(query) == []
    assert query.endswith("| order by id asc")


def test_tags_are_joined_only_if_a_group_selects_by_them() -> None:
    with_tags = queries_of({"select": {"tags": {"env": "prod"}, "vaultIds": [FLEET_VAULT]}})
    without = queries_of({"select": {"sourceResourceIds": ["*"]}})

    assert ["join" in query for query in (*with_tags, *without)] == [True, False]


def test_if_each_selection_names_its_vaults_only_these_are_asked_for_and_the_named_vms() -> None:
    vaults, vms = queries_of(
        named("a"),
        {"select": {"vaultIds": [FLEET_VAULT, SECOND_VAULT]}},
        {"select": {"vaultIds": [FLEET_VAULT.upper()], "sourceResourceIds": ["*"]}},
    )

    assert ids_in(vaults) == [FLEET_VAULT.lower(), SECOND_VAULT.lower()]
    assert ids_in(vms) == [fleet_vm("a").lower()]


def test_named_vms_whose_vault_is_known_are_not_asked_for() -> None:
    assert queries_of(named("a", vaultId=FLEET_VAULT)) == []

    (query,) = queries_of(named("a", vaultId=FLEET_VAULT), named("b"))

    assert ids_in(query) == [fleet_vm("b").lower()]


def test_a_query_has_fewer_than_300_ids() -> None:
    names = [f"vm-{number}" for number in range(1000)]

    queries = queries_of({**named(*names), "restore": {"targetResourceGroupId": TARGET_GROUP}})

    found = [ids_in(query) for query in queries]
    assert len(found) == 4
    assert all(len(ids) < 300 for ids in found)
    assert [vm_id for ids in found for vm_id in ids] == [fleet_vm(name).lower() for name in names]
