"""The preflight against a scripted Azure: findings are named, what could not be asked is unknown, time is bounded."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, override

import pytest

from domain import errors
from domain.azure.permissions import READ_BLOBS, READ_PERMISSIONS, Permission
from domain.azure.restore_scopes import RestoreScopes
from domain.errors import ErrorDetail, RestoreError, TerminalError, TransientError
from domain.preflight import CheckStatus
from queries.preflight import required_permissions, run_preflight
from tests.support.azure import STORAGE_ID, SUBSCRIPTION, TARGET_GROUP, VAULT_ID, VM_ID, ScriptedAzure
from tests.support.hub import START

if TYPE_CHECKING:
    from collections.abc import Iterable

    from domain.api_types import PreflightReport
    from domain.errors import Json
    from domain.preflight import PreflightCheck

OTHER_VAULT = f"{VAULT_ID}-neu"
NETWORK = f"{TARGET_GROUP}/providers/Microsoft.Network/virtualNetworks/net"
GUARD = f"{SUBSCRIPTION}/resourceGroups/security-rg/providers/Microsoft.DataProtection/resourceGuards/guard-01"
USE_GUARD = "Microsoft.DataProtection/resourceGuards/triggerRestoreRequests/read"
RESTORE = (
    "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems/recoveryPoints/restore/action"
)
ALL = Permission(actions=("*",), not_actions=())
BUSY = TransientError(errors.SERVICE_UNAVAILABLE, "Azure asks for fewer requests.")
GONE = TerminalError(errors.NOT_FOUND, "404")
EVERYTHING: dict[str, list[str]] = {
    "vaultIds": [VAULT_ID],
    "targetResourceGroupIds": [TARGET_GROUP],
    "stagingScopes": [STORAGE_ID],
    "virtualNetworkIds": [NETWORK],
    "virtualMachineScopes": [SUBSCRIPTION],
    "inPlaceScopes": [VM_ID],
}


def refusal(status: int) -> TerminalError:
    return TerminalError(
        errors.AUTHORIZATION_FAILED, "no", [ErrorDetail(code="x", message="y", info={"httpStatus": status})]
    )


class StandingClock:
    def now(self) -> Any:
        return START


@dataclass(slots=True)
class Azure(ScriptedAzure):
    """Everything is allowed and in westeurope unless ``allowed``, ``resources`` or ``broken`` say otherwise."""

    allowed: dict[str, list[Permission]] = field(default_factory=dict)
    resources: dict[str, Json] = field(default_factory=dict)
    accounts: list[Json] = field(default_factory=list)
    broken: dict[tuple[str, str], RestoreError] = field(default_factory=dict)
    made: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))

    def _read(self, what: str, scope: str) -> None:
        self.made[what, scope] += 1
        if (what, scope) in self.broken:
            raise self.broken[what, scope]

    def _body(self, what: str, scope: str) -> Json:
        self._read(what, scope)
        return self.resources.get(scope, {"id": scope, "name": scope.rpartition("/")[2], "location": "westeurope"})

    def list_permissions(self, scope: str) -> Iterable[Permission]:
        self._read("permissions", scope)
        return self.allowed.get(scope, [ALL])

    def get_vault(self, vault_id: str) -> Json:
        return self._body("resource", vault_id)

    def get_storage_account(self, account_id: str) -> Json:
        return self._body("resource", account_id)

    def get_virtual_network(self, network_id: str) -> Json:
        return self._body("resource", network_id)

    def get_virtual_machine_region(self, vm_id: str) -> str:
        return self._body("resource", vm_id)["location"]

    def list_storage_accounts(self, resource_group_id: str) -> Iterable[Json]:
        self._read("accounts", resource_group_id)
        return self.accounts

    def list_resource_guard_proxies(self, vault_id: str) -> Iterable[Json]:
        self._read("proxies", vault_id)
        return self.guard_proxies

    def get_principal_id(self) -> str | None:
        return "object-1"


@pytest.fixture
def azure() -> Azure:
    return Azure(StandingClock())


def report(azure: Azure, **members: list[str]) -> PreflightReport:
    """Run the preflight; all the time in the world."""
    return run_preflight(azure, RestoreScopes.from_json(members or EVERYTHING), lambda: 0.0)


def problems(found: PreflightReport) -> list[PreflightCheck]:
    return [check for check in found.checks if check.status is not CheckStatus.OK]


def the_problem(found: PreflightReport) -> PreflightCheck:
    (problem,) = problems(found)
    return problem


def test_all_is_ok_and_nothing_is_read_twice(azure: Azure) -> None:
    found = report(azure)

    assert (found.status, found.principal_id, found.message) == ("ok", "object-1", None)
    assert [(check.feature, check.scope) for check in found.checks] == [
        ("FindBackups", SUBSCRIPTION),
        ("ReadSizes", SUBSCRIPTION),
        ("ReadVirtualMachines", SUBSCRIPTION),
        ("RestoreFromVaults", VAULT_ID),
        ("CreateDisks", TARGET_GROUP),
        ("StageRestores", STORAGE_ID),
        ("CreateVirtualMachines", TARGET_GROUP),
        ("JoinNetworks", NETWORK),
        ("ReplaceDisks", VM_ID),
        ("SwapDisks", VM_ID),
        ("CreateVirtualMachinesFromDisks", TARGET_GROUP),
        ("AttachDisks", VM_ID),
        ("DeleteDisks", TARGET_GROUP),
        ("StageRestores", VAULT_ID),
    ]
    assert {check.missing_actions for check in found.checks} == {()}
    assert set(azure.made.values()) == {1}
    assert len(azure.made) == 11  # permissions of six scopes, four resources, the vault's proxies


def test_without_scopes_it_says_how_to_set_them(azure: Azure) -> None:
    found = run_preflight(azure, RestoreScopes(), lambda: 0.0)

    assert (found.status, found.checks) == ("incomplete", ())
    assert found.message is not None
    assert "RESTORE_SCOPES" in found.message
    assert '{"vaultIds": [' in found.message
    assert azure.made == {}


@pytest.mark.parametrize(
    "feature", [feature for feature in required_permissions() if feature.actions], ids=lambda feature: feature.name
)
def test_each_missing_action_of_each_feature_is_named_with_the_role(azure: Azure, feature: Any) -> None:
    scope = RestoreScopes.from_json(EVERYTHING).of_member(feature.scope)[0]
    azure.allowed[scope] = [Permission(actions=("*",), not_actions=feature.actions[-1:])]

    found = report(azure)

    check = next(check for check in found.checks if (check.feature, check.scope) == (feature.name, scope))
    assert (found.status, check.status) == ("problems", CheckStatus.MISSING)
    assert check.missing_actions == feature.actions[-1:]
    assert scope in check.message
    assert f"Azure VM Restore {feature.name}" in check.message
    assert feature.purpose in check.message


@pytest.mark.parametrize("has_role", [True, False])
def test_a_missing_data_action_is_named_like_any_other(azure: Azure, has_role: bool) -> None:
    blobs = (READ_BLOBS,) if has_role else ()
    azure.allowed[STORAGE_ID] = [Permission(actions=("*",), not_actions=(), data_actions=blobs)]
    scopes = RestoreScopes.from_json({**EVERYTHING, "readsTemplates": True})

    found = run_preflight(azure, scopes, lambda: 0.0)

    check = next(check for check in found.checks if check.feature == "ReadTemplates")
    assert (check.scope, check.status) == (STORAGE_ID, CheckStatus.OK if has_role else CheckStatus.MISSING)
    assert check.missing_actions == (() if has_role else (READ_BLOBS,))
    assert has_role or "Azure VM Restore ReadTemplates" in check.message


def test_an_identity_without_any_role_cannot_even_list_its_permissions(azure: Azure) -> None:
    azure.broken[("permissions", VAULT_ID)] = azure.broken[("resource", VAULT_ID)] = refusal(403)
    azure.broken[("proxies", VAULT_ID)] = refusal(403)

    found = report(azure, vaultIds=[VAULT_ID])

    check = the_problem(found)
    assert (found.status, check.feature, check.status) == ("problems", "RestoreFromVaults", CheckStatus.MISSING)
    assert check.missing_actions == (READ_PERMISSIONS,)
    assert "has no role there" in check.message
    assert "deny assignment" not in check.message


@pytest.mark.parametrize("error", [BUSY, refusal(401), TerminalError(errors.RESTORE_REFUSED, "400")])
@pytest.mark.parametrize("what", ["permissions", "resource"])
def test_what_could_not_be_read_is_unknown_and_never_missing(azure: Azure, error: RestoreError, what: str) -> None:
    azure.broken[what, VM_ID] = error

    found = report(azure)

    unknown = problems(found)
    assert found.status == "incomplete"
    assert [(check.feature, check.scope) for check in unknown] == [
        (feature, VM_ID) for feature in ("ReplaceDisks", "SwapDisks", "AttachDisks")
    ]
    assert {(check.status, check.missing_actions) for check in unknown} == {(CheckStatus.UNKNOWN, ())}
    assert all(error.message in check.message for check in unknown)


def test_a_problem_counts_more_than_a_check_that_could_not_be_made(azure: Azure) -> None:
    azure.broken["permissions", VM_ID] = BUSY
    azure.allowed[SUBSCRIPTION] = []

    assert report(azure).status == "problems"


@pytest.mark.parametrize("what", ["permissions", "resource"])
@pytest.mark.parametrize(("scope", "features", "rows"), [(NETWORK, 1, 1), (STORAGE_ID, 1, 2), (VM_ID, 3, 3)])
def test_a_scope_that_does_not_exist_is_not_found(
    azure: Azure, scope: str, features: int, rows: int, what: str
) -> None:
    azure.broken[what, scope] = GONE

    found = report(azure)

    first = problems(found)[0]
    assert (found.status, first.scope, first.status) == ("problems", scope, CheckStatus.NOT_FOUND)
    assert first.message.startswith(f"Azure does not find {scope}. Correct the id in RESTORE_SCOPES")
    assert len(problems(found)) == (rows if what == "resource" else features)


def test_what_two_calls_found_is_said_once(azure: Azure) -> None:
    azure.broken["permissions", NETWORK] = azure.broken["resource", NETWORK] = BUSY

    assert the_problem(report(azure)).message == f"This could not be checked: {BUSY.message}"


@pytest.mark.parametrize(
    ("resource", "status", "said"),
    [
        ({"location": "northeurope"}, CheckStatus.MISSING, "in northeurope"),
        (BUSY, CheckStatus.MISSING, BUSY.message),
        (GONE, CheckStatus.NOT_FOUND, "does not find"),
    ],
)
def test_the_worst_finding_about_a_scope_decides_and_the_message_has_every_one(
    azure: Azure, resource: Json | RestoreError, status: CheckStatus, said: str
) -> None:
    azure.allowed[NETWORK] = []
    if isinstance(resource, RestoreError):
        azure.broken["resource", NETWORK] = resource
    else:
        azure.resources[NETWORK] = resource

    check = the_problem(report(azure))

    assert check.status is status
    assert len(check.missing_actions) == 2
    assert said in check.message
    assert "assign the custom role" in check.message


def test_a_resource_that_roles_allow_to_read_but_azure_does_not_is_missing(azure: Azure) -> None:
    azure.broken["resource", NETWORK] = refusal(403)

    check = the_problem(report(azure))

    assert (check.scope, check.status, check.missing_actions) == (NETWORK, CheckStatus.MISSING, ())
    assert f"does not let the app's identity read {NETWORK}, although its roles allow it" in check.message
    assert "deny assignment" in check.message


class Counted(dict[str, Any]):
    """A resource that counts how often its region is read."""

    reads = 0

    @override
    def get(self, key: str, default: Any = None) -> Any:
        self.reads += key == "location"
        return super().get(key, default)


class TestRegions:
    def account(self, name: str, **members: Any) -> Json:
        return {"id": f"{STORAGE_ID}-{name}", "name": name, "location": "westeurope", **members}

    @pytest.mark.parametrize(
        ("members", "reason"),
        [
            ({"location": "northeurope"}, "it must be in the vault's region, westeurope"),
            ({"sku": {"name": "Standard_ZRS"}}, "zone-redundant"),
            ({"kind": "BlobStorage"}, "kind BlobStorage"),
            (
                {"location": "northeurope", "kind": "BlobStorage"},
                "westeurope; the staging account is of kind BlobStorage",
            ),
        ],
    )
    def test_a_staging_account_that_no_vault_can_use_is_not_allowed(
        self, azure: Azure, members: dict[str, Any], reason: str
    ) -> None:
        azure.resources[STORAGE_ID] = self.account("a", **members)

        found = report(azure)

        account, vault = problems(found)
        assert found.status == "problems"
        assert (account.scope, account.status) == (STORAGE_ID, CheckStatus.NOT_ALLOWED)
        assert (vault.scope, vault.status) == (VAULT_ID, CheckStatus.NOT_ALLOWED)
        assert reason in account.message
        assert reason in vault.message
        assert "in westeurope, and name it in stagingScopes" in vault.message

    def test_each_of_two_regions_needs_its_own_account(self, azure: Azure) -> None:
        azure.resources[OTHER_VAULT] = {"location": "North Europe"}
        scopes = {"vaultIds": [VAULT_ID, OTHER_VAULT], "stagingScopes": [STORAGE_ID, f"{STORAGE_ID}2"]}
        only_west = the_problem(report(azure, **scopes))
        azure.resources[f"{STORAGE_ID}2"] = self.account("b", location="northeurope")

        assert (only_west.scope, only_west.status) == (OTHER_VAULT, CheckStatus.NOT_ALLOWED)
        assert report(azure, **scopes).status == "ok"

    def test_accounts_of_a_staging_group_are_searched(self, azure: Azure) -> None:
        scopes = {"vaultIds": [VAULT_ID], "targetResourceGroupIds": [TARGET_GROUP]}
        empty = the_problem(report(azure, **scopes))
        azure.accounts = [self.account("zrs", sku={"name": "Standard_GZRS"})]
        useless = the_problem(report(azure, **scopes))
        azure.accounts.append(self.account("good"))
        found = report(azure, **scopes)

        assert (empty.scope, empty.status) == (VAULT_ID, CheckStatus.NOT_ALLOWED)
        assert "(the staging scopes have no storage account)" in empty.message
        assert "zrs: the staging account is zone-redundant (Standard_GZRS)" in useless.message
        assert found.status == "ok"
        assert found.checks[-1].message == "The vault can use the staging account good."

    def test_a_group_that_could_not_be_listed_leaves_it_unknown(self, azure: Azure) -> None:
        azure.broken["accounts", TARGET_GROUP] = BUSY

        check = the_problem(report(azure, vaultIds=[VAULT_ID], targetResourceGroupIds=[TARGET_GROUP]))

        assert (check.scope, check.status) == (VAULT_ID, CheckStatus.UNKNOWN)
        assert TARGET_GROUP in check.message

    def test_the_answer_and_the_time_do_not_grow_with_vaults_times_accounts(self, azure: Azure) -> None:
        vaults = [f"{VAULT_ID}{number}" for number in range(60)]
        groups = [f"{TARGET_GROUP}{number}" for number in range(60)]
        account = Counted(self.account("elsewhere", location="northeurope"))
        azure.accounts = [account]
        useless = report(azure, vaultIds=vaults, targetResourceGroupIds=groups)
        azure.broken |= {("accounts", group): BUSY for group in groups[1:]}
        unread = report(azure, vaultIds=vaults, targetResourceGroupIds=groups)

        last = useless.checks[-1], unread.checks[-1]
        assert [(check.scope, check.status) for check in last] == [
            (vaults[-1], CheckStatus.NOT_ALLOWED),
            (vaults[-1], CheckStatus.UNKNOWN),
        ]
        assert "and 55 more" in last[0].message
        assert "and 54 more" in last[1].message
        assert account.reads < 60 * 60

    @pytest.mark.parametrize(("more", "end"), [(0, ""), (1, "; and 1 more")])
    def test_five_useless_accounts_are_named_and_the_others_counted(self, azure: Azure, more: int, end: str) -> None:
        azure.accounts = [self.account(str(number), sku={"name": "Standard_ZRS"}) for number in range(5 + more)]

        message = the_problem(report(azure, vaultIds=[VAULT_ID], targetResourceGroupIds=[TARGET_GROUP])).message

        reason = "the staging account is zone-redundant (Standard_ZRS); choose one that is not"
        assert f"({'; '.join(f'{number}: {reason}' for number in range(5))}{end}). Create" in message

    @pytest.mark.parametrize(
        ("members", "named"),
        [({"id": STORAGE_ID, "name": None}, STORAGE_ID), ({"id": None, "name": None}, "an account")],
    )
    def test_an_account_without_a_name_is_named_by_its_id(
        self, azure: Azure, members: dict[str, Any], named: str
    ) -> None:
        azure.accounts = [self.account("a") | members]

        found = report(azure, vaultIds=[VAULT_ID], targetResourceGroupIds=[TARGET_GROUP])

        assert found.checks[-1].message == f"The vault can use the staging account {named}."

    @pytest.mark.parametrize("scopes", [EVERYTHING, {"virtualNetworkIds": [NETWORK]}])
    def test_a_network_without_a_region_is_unknown(self, azure: Azure, scopes: dict[str, list[str]]) -> None:
        azure.resources[NETWORK] = {"id": NETWORK}

        check = the_problem(report(azure, **scopes))

        assert (check.feature, check.status) == ("JoinNetworks", CheckStatus.UNKNOWN)
        assert check.message == "Its region could not be compared: Azure's answer has none."

    def test_a_network_must_be_in_the_region_of_a_vault(self, azure: Azure) -> None:
        azure.resources[NETWORK] = {"id": NETWORK, "location": "northeurope"}
        found = report(azure)
        azure.resources[NETWORK] = {"id": NETWORK, "location": "West Europe"}

        check = the_problem(found)
        assert (check.feature, check.scope, check.status) == ("JoinNetworks", NETWORK, CheckStatus.NOT_ALLOWED)
        assert "in northeurope" in check.message
        assert "(westeurope)" in check.message
        assert report(azure).status == "ok"

    def test_spaces_and_case_make_no_other_region_and_every_region_of_a_vault_is_named(self, azure: Azure) -> None:
        scopes = {"vaultIds": [VAULT_ID, OTHER_VAULT], "virtualNetworkIds": [NETWORK]}
        azure.resources[OTHER_VAULT] = {"location": "North Europe"}
        azure.resources[NETWORK] = {"location": "northeurope"}
        same = report(azure, **scopes)
        azure.resources[NETWORK] = {"location": "eastus"}
        other = the_problem(report(azure, **scopes))

        assert same.status == "ok"
        assert "the region of its vault (North Europe, westeurope)" in other.message
        assert other.message.endswith("Name a network of that region in virtualNetworkIds.")

    def test_a_vault_that_could_not_be_read_leaves_regions_unknown(self, azure: Azure) -> None:
        azure.broken["resource", VAULT_ID] = BUSY

        found = report(azure)

        assert found.status == "incomplete"
        messages = {(check.feature, check.scope): check.message for check in problems(found)}
        assert messages == {
            ("RestoreFromVaults", VAULT_ID): f"This could not be checked: {BUSY.message}",
            ("StageRestores", STORAGE_ID): (
                "Whether a vault can use it is unknown: the region of a vault could not be read."
            ),
            ("StageRestores", VAULT_ID): (
                "Whether the vault has a staging account that it can use is unknown: its region could not be read."
            ),
            ("JoinNetworks", NETWORK): "Its region could not be compared: the region of a vault could not be read.",
        }

    def test_without_vaults_there_is_nothing_to_compare(self, azure: Azure) -> None:
        azure.resources[STORAGE_ID] = self.account("a", sku={"name": "Standard_ZRS"})

        assert report(azure, stagingScopes=[STORAGE_ID], virtualNetworkIds=[NETWORK]).status == "ok"


class TestResourceGuards:
    @pytest.fixture(autouse=True)
    def _guarded(self, azure: Azure) -> None:
        operation = {
            "vaultCriticalOperation": RESTORE,
            "defaultResourceRequest": f"{GUARD}/triggerRestoreRequests/default",
        }
        azure.guard_proxies = [{"properties": {"resourceGuardOperationDetails": [operation]}}]

    def test_a_vault_whose_guard_is_closed_is_named_with_the_role(self, azure: Azure) -> None:
        azure.allowed[GUARD] = [Permission(actions=("*",), not_actions=(USE_GUARD,))]

        found = report(azure)

        check = the_problem(found)
        assert (check.feature, check.scope) == ("UseResourceGuards", GUARD)
        assert (check.status, check.missing_actions) == (CheckStatus.GUARDED, (USE_GUARD,))
        assert found.status == "ok"
        assert VAULT_ID in check.message
        assert "Backup MUA Operator" in check.message

    def test_an_open_guard_is_ok(self, azure: Azure) -> None:
        found = report(azure)

        assert found.status == "ok"
        (check,) = [check for check in found.checks if check.feature == "UseResourceGuards"]
        assert (check.scope, check.missing_actions) == (GUARD, ())
        assert check.message == f"The Resource Guard allows restores from {VAULT_ID} at the moment."

    def test_a_guard_without_any_role_is_closed(self, azure: Azure) -> None:
        azure.broken["permissions", GUARD] = refusal(403)

        found = report(azure)

        check = the_problem(found)
        assert (found.status, check.scope, check.status) == ("ok", GUARD, CheckStatus.GUARDED)
        assert "Backup MUA Operator to it at this scope" in check.message

    def test_a_guard_that_is_not_found_is_a_problem(self, azure: Azure) -> None:
        azure.broken["permissions", GUARD] = GONE

        found = report(azure)

        assert (found.status, the_problem(found).status) == ("problems", CheckStatus.NOT_FOUND)

    @pytest.mark.parametrize(("what", "scope"), [("proxies", VAULT_ID), ("permissions", GUARD)])
    def test_a_guard_that_could_not_be_checked_is_unknown(self, azure: Azure, what: str, scope: str) -> None:
        azure.broken[what, scope] = BUSY

        found = report(azure)

        check = the_problem(found)
        assert (check.feature, check.scope) == ("UseResourceGuards", scope)
        assert (found.status, check.status, check.missing_actions) == ("incomplete", CheckStatus.UNKNOWN, ())
        assert check.message.endswith(f"could not be checked: {BUSY.message}")

    def test_a_closed_guard_does_not_hide_a_problem(self, azure: Azure) -> None:
        azure.allowed[GUARD] = []
        azure.allowed[VAULT_ID] = []

        assert report(azure).status == "problems"


def test_when_time_is_over_the_rest_is_unknown_and_says_so(azure: Azure) -> None:
    seconds = itertools.count(step=40.0)

    found = run_preflight(azure, RestoreScopes.from_json(EVERYTHING), lambda: next(seconds))

    assert found.status == "incomplete"
    assert {check.status for check in found.checks[:3]} == {CheckStatus.OK}  # they need the same list
    assert {check.status for check in found.checks[3:]} == {CheckStatus.UNKNOWN}
    assert "The preflight ends after 90 s" in found.checks[-2].message
    assert len(azure.made) < 4
