"""Members are chosen by the real client from the simulator's Resource Graph, and frozen with their items."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from activities.recoveries import RecoveryActivities
from arm.backup import BackupClient
from arm.session import ArmSession
from domain.codec import pack
from domain.envelopes import unseal
from domain.errors import Json, RestoreError
from domain.recovery.calls import Resolved, ResolveRecovery, StillChoosing, record_id_of_members, record_id_of_plan
from domain.recovery.roster import NO_VAULT, Roster
from simulator.clock import ManualClock
from simulator.scenario import Scenario
from simulator.server import running
from tests.conformance.caller import SUBSCRIPTION, SUBSCRIPTION_ID, TARGET_GROUP, VAULT, Caller, vm_id
from tests.support.arm_server import FakeCredential

if TYPE_CHECKING:
    from collections.abc import Iterator

    from domain.answers import Answer
    from simulator.server import Simulator

RECOVERY_ID, FINGERPRINT = "r-1", "f" * 64
SECOND_VAULT = VAULT.replace("vault-weu", "vault-neu")
POINTS = [{"ageHours": 3, "tiers": {"InstantRP": "Valid"}}]
PROD = {"Env": "Prod"}
VMS: list[dict[str, Any]] = [
    {"name": "SQL-01", "resourceGroup": "Data-RG", "tags": PROD},
    {"name": "web", "resourceGroup": "web-rg", "count": 7, "tags": {"env": "prod", "tier": "web"}},
    {"name": "web-old", "resourceGroup": "web-rg", "tags": PROD},
    {"name": "gone", "resourceGroup": "web-rg", "tags": PROD, "deleted": True},
    {"name": "test", "resourceGroup": "test-rg", "tags": {"env": "test"}},
    {"name": "north", "resourceGroup": "web-rg", "vault": "vault-neu", "tags": PROD},
    {"name": "bare", "resourceGroup": "web-rg", "vault": None, "location": "westeurope", "tags": PROD},
    {"name": "lost", "resourceGroup": "lost-rg", "softDelete": {}},
]
SCENARIO: dict[str, Any] = {
    "subscriptionId": SUBSCRIPTION_ID,
    "settings": {"pageSizes": {"resourceGraph": 4, "protectedItems": 3}},
    "vaults": [
        {"name": "vault-weu", "resourceGroup": "backup-rg", "region": "westeurope"},
        {"name": "vault-neu", "resourceGroup": "backup-rg", "region": "northeurope"},
    ],
    "vms": [{"vault": "vault-weu", "points": POINTS, **vm} for vm in VMS],
}


class Records:
    """The records of a task hub in memory."""

    def __init__(self) -> None:
        self.held: dict[str, Json] = {}

    def read(self, record_id: str) -> Json | None:
        return self.held.get(record_id)

    def write(self, record_id: str, data: Json) -> Json:
        return self.held.setdefault(record_id, data)


class Stage:
    """A simulator, the client of the app, and the activity."""

    def __init__(self, simulator: Simulator, client: BackupClient, clock: ManualClock, caller: Caller) -> None:
        self.simulator, self.clock, self.caller = simulator, clock, caller
        self.records = Records()
        self.activity = RecoveryActivities(client, clock=clock.now).resolve_recovery_with(self.records)
        self.answers: list[Answer[Any]] = []

    def ask(self, progress: Json | None = None) -> Answer[Any]:
        call = ResolveRecovery(
            recovery_id=RECOVERY_ID, fingerprint=FINGERPRINT, now=self.clock.now(), progress=progress
        )
        answer = unseal(call, self.activity(pack(call)))
        if isinstance(answer, RestoreError):
            raise answer
        self.answers.append(answer)
        return answer

    def resolve(self, *groups: Json) -> Resolved:
        """Choose the members of these groups, and wait as long as the answers say."""
        restore = {
            "recoveryType": "RestoreDisks",
            "storageAccountId": f"{SUBSCRIPTION}/resourceGroups/b/providers/Microsoft.Storage/storageAccounts/s",
            "targetResourceGroupId": TARGET_GROUP,
        }
        named = [{"name": f"g{index}", **group} for index, group in enumerate(groups)]
        plan = {"name": "shop", "restore": restore, "groups": named}
        self.records.held[record_id_of_plan(RECOVERY_ID, FINGERPRINT)] = {"plan": plan, "request": {}}
        answer = self.ask()
        while isinstance(answer.value, StillChoosing):
            self.clock.advance(answer.retry_after_s or 0)
            answer = self.ask(answer.value.progress)
        assert isinstance(answer.value, Resolved)
        return answer.value

    def members(self, *groups: Json) -> list[list[str]]:
        self.resolve(*groups)
        names: list[list[str]] = [[] for _ in groups]
        for index, member in enumerate(self.roster.members):
            names[self.roster.group_of(index)].append(member.vm_id.rpartition("/")[2])
        return names

    @property
    def roster(self) -> Roster:
        return Roster.from_json(self.records.held[record_id_of_members(RECOVERY_ID)])

    @property
    def queries(self) -> int:
        return sum(request.action == "query_resources" for request in self.simulator.world.requests)


@pytest.fixture
def stage() -> Iterator[Stage]:
    clock = ManualClock(datetime(2026, 11, 20, 12, tzinfo=UTC))
    with running(Scenario.from_dict(SCENARIO), clock=clock) as simulator:
        caller = Caller(simulator)
        token = caller.token().json()["access_token"]
        session = ArmSession(simulator.url, lambda: FakeCredential(token), clock=clock.now)
        with caller.session, closing(BackupClient(session, api_version="2025-08-01")) as client:
            yield Stage(simulator, client, clock, caller)


WEB = [f"web-{number:03d}" for number in range(1, 8)]


def test_tags_patterns_and_vaults_choose_from_one_query(stage: Stage) -> None:
    groups = stage.members(
        {"sourceResourceIds": [vm_id("sql-01", "data-rg")]},
        {"select": {"tags": {"ENV": "PROD", "tier": "web"}, "sourceResourceIds": ["*"], "except": ["*-003"]}},
        {"select": {"sourceResourceIds": ["*/resourceGroups/WEB-rg/*"], "except": ["*-old"]}},
        {"select": {"vaultIds": [VAULT]}},
    )

    web = [name for name in WEB if name != "web-003"]
    assert groups == [["sql-01"], web, ["gone", "north", "web-003"], ["lost", "test", "web-old"]]
    assert stage.queries == 4  # 13 rows, 4 on each page


def test_members_have_the_items_of_their_vaults(stage: Stage) -> None:
    resolved = stage.resolve({"select": {"sourceResourceIds": ["*"]}})

    assert {vault.rpartition("/")[2] for vault in resolved.vault_ids} == {"vault-weu", "vault-neu"}
    assert NO_VAULT not in resolved.vault_of
    by_name = {member.vm_id.rpartition("/")[2]: index for index, member in enumerate(stage.roster.members)}
    north, sql, lost = (stage.roster.item_of(by_name[name]) for name in ("north", "SQL-01", "lost"))
    assert north is not None
    assert (north.vault_id, north.region) == (SECOND_VAULT, "northeurope")
    assert sql is not None
    assert sql.source_resource_id == vm_id("SQL-01", "Data-RG")
    assert lost is None
    assert stage.roster.request_for(by_name["lost"]).body["vaultId"] == VAULT
    assert [warning.code for warning in resolved.warnings] == ["ItemSoftDeleted"]


def test_named_vms_alone_are_asked_for_by_their_ids(stage: Stage) -> None:
    resolved = stage.resolve({"sourceResourceIds": [vm_id("web-001"), vm_id("GONE"), vm_id("bare")]})

    assert resolved.vault_of == (0, 0, NO_VAULT)
    assert stage.queries == 1


def test_vaults_alone_are_asked_for_with_the_named_vms_of_other_vaults(stage: Stage) -> None:
    groups = stage.members(
        {"sourceResourceIds": [vm_id("north")]}, {"select": {"vaultIds": [VAULT.upper()], "tags": {"env": "test"}}}
    )

    assert groups == [["north"], ["test"]]
    assert len(stage.roster.resolved.vault_ids) == 2


def test_a_used_up_quota_is_waited_for_and_never_exceeded(stage: Stage) -> None:
    for _ in range(13):
        query = {"query": "resources | count"}
        assert stage.caller.post("/providers/Microsoft.ResourceGraph/resources", query).status_code == 200

    assert len(stage.members({"select": {"sourceResourceIds": ["*"]}})[0]) == 13

    assert [answer.retry_after_s for answer in stage.answers] == [5.0, None]
    assert not [request for request in stage.simulator.world.requests if request.status == 429]


def test_a_role_that_is_missing_at_a_vault_is_a_warning(stage: Stage) -> None:
    stage.simulator.world.deny(VAULT, ["Microsoft.RecoveryServices/vaults/backupProtectedItems/read"])

    resolved = stage.resolve({"select": {"vaultIds": [VAULT], "tags": {"env": "test"}}})

    assert [warning.code for warning in resolved.warnings] == ["VaultNotRead"]
    assert stage.roster.request_for(0).body["vaultId"] == VAULT


def test_many_named_vms_are_asked_for_in_several_queries(stage: Stage) -> None:
    names = [*WEB, *(f"nowhere-{number}" for number in range(260))]

    resolved = stage.resolve({"sourceResourceIds": [vm_id(name) for name in names]})

    assert stage.queries == 3  # seven rows of the first query on two pages, none of the second
    assert resolved.vault_of == (0,) * 7 + (NO_VAULT,) * 260
