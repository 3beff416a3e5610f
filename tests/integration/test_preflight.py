"""The preflight, and VMs that Azure does not show to the app: the whole app on the simulator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from scripts.alerting import rules_for, vm_down
from simulator.tenant import PRINCIPAL_ID
from tests.integration.app_stage import STORAGE_ID, SUBSCRIPTION, VAULT_ID, Stage, a_request, staged, vm_id
from tests.integration.scripts.conftest import ROOT
from tests.support.arm_server import ArmServer, Recorded, Say

if TYPE_CHECKING:
    from collections.abc import Iterator

GUARDED = VAULT_ID.replace("backup-rg", "guarded-rg").replace("vault-weu", "vault-guarded")
GUARD = f"{SUBSCRIPTION}/resourceGroups/security-rg/providers/Microsoft.DataProtection/resourceGuards/guard-01"
TARGET = f"{SUBSCRIPTION}/resourceGroups/restored-rg"
A_CHECK: dict[str, Any] = {"feature": "f", "scope": "/a/b", "status": "ok", "missingActions": [], "message": "m"}
READ_JOBS = "Microsoft.RecoveryServices/vaults/backupJobs/read"
READ_VM = "Microsoft.Compute/virtualMachines/read"
LIST_ITEMS = "Microsoft.RecoveryServices/vaults/backupProtectedItems/read"
SCOPES = {
    "vaultIds": [VAULT_ID, GUARDED],
    "targetResourceGroupIds": [TARGET],
    "stagingScopes": [STORAGE_ID],
    "virtualNetworkIds": [f"{TARGET}/providers/Microsoft.Network/virtualNetworks/restored-vnet"],
    "virtualMachineScopes": [SUBSCRIPTION],
    "inPlaceScopes": [vm_id()],
}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    settings = {"RESTORE_SCOPES": json.dumps(SCOPES), "AUTO_RESTORE_RULES": rules_for(a_request())}
    with pytest.MonkeyPatch.context() as patch, staged(patch, **settings) as running:
        yield running


@pytest.fixture(autouse=True)
def _guard_is_open(stage: Stage) -> None:
    stage.simulator.world.set_guard("vault-guarded", granted=True)


@pytest.fixture
def deny(stage: Stage) -> Iterator[Any]:
    """Takes actions away at scopes until the test ends."""
    scopes: list[str] = []

    def at(scope: str, *actions: str) -> None:
        scopes.append(scope)
        stage.simulator.world.deny(scope, actions)

    yield at
    for scope in scopes:
        stage.simulator.world.deny(scope, ())


def problems(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [check for check in report["checks"] if check["status"] != "ok"]


def run_cli(**env: str) -> subprocess.CompletedProcess[str]:
    given = {name: value for name, value in os.environ.items() if name not in {"APP", "KEY", "TOKEN", "RESTORE_SCOPES"}}
    return subprocess.run(
        [sys.executable, "-m", "scripts.preflight"],
        cwd=ROOT,
        env={**given, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def local(stage: Stage, scopes: dict[str, Any]) -> dict[str, str]:
    return {"AZURE_RESOURCE_MANAGER_ENDPOINT": stage.simulator.url, "RESTORE_SCOPES": json.dumps(scopes)}


class TestTheRoute:
    def test_says_that_all_is_ok(self, stage: Stage) -> None:
        answer = stage.call("GET", "preflight")

        assert answer.status_code == 200
        report = answer.json()
        assert report["status"] == "ok", problems(report)
        assert problems(report) == []
        assert {check["feature"] for check in report["checks"]} == {
            "FindBackups",
            "ReadSizes",
            "ReadVirtualMachines",
            "RestoreFromVaults",
            "UseResourceGuards",
            "CreateDisks",
            "StageRestores",
            "CreateVirtualMachines",
            "JoinNetworks",
            "ReplaceDisks",
            "SwapDisks",
            "CreateVirtualMachinesFromDisks",
            "AttachDisks",
            "DeleteDisks",
        }

    def test_names_one_missing_action_at_one_vault(self, stage: Stage, deny: Any) -> None:
        deny(VAULT_ID, READ_JOBS)

        report = stage.call("GET", "preflight").json()

        assert report["status"] == "problems"
        (problem,) = problems(report)
        assert (problem["feature"], problem["scope"], problem["status"]) == ("RestoreFromVaults", VAULT_ID, "missing")
        assert problem["missingActions"] == [READ_JOBS]
        assert VAULT_ID in problem["message"]

    def test_shows_a_closed_guard_which_is_no_problem(self, stage: Stage) -> None:
        stage.simulator.world.set_guard("vault-guarded", granted=False)

        report = stage.call("GET", "preflight").json()

        (row,) = problems(report)
        assert (row["feature"], row["scope"], row["status"]) == ("UseResourceGuards", GUARD, "guarded")
        assert GUARDED in row["message"]
        assert report["status"] == "ok"

    def test_reports_a_scope_without_any_role(self, stage: Stage, deny: Any) -> None:
        deny(TARGET, "*")

        found = {check["feature"]: check for check in problems(stage.call("GET", "preflight").json())}

        assert set(found) == {
            "CreateDisks",
            "CreateVirtualMachines",
            "CreateVirtualMachinesFromDisks",
            "DeleteDisks",
            "JoinNetworks",
        }
        assert {check["status"] for check in found.values()} == {"missing"}
        assert found["CreateDisks"]["missingActions"] == ["Microsoft.Authorization/permissions/read"]


class TestTheCommand:
    def test_prints_the_table_of_the_app_that_runs(self, stage: Stage, deny: Any) -> None:
        good = run_cli(APP=f"{stage.url}/", KEY="none")
        deny(VAULT_ID, READ_JOBS)
        bad = run_cli(APP=stage.url, KEY="none")

        assert (good.returncode, good.stderr) == (0, "")
        assert f"Checked by {stage.url} as its own identity (object id {PRINCIPAL_ID})." in good.stdout
        assert "vaults/vault-weu (backup-rg)" in good.stdout
        assert "Preflight: ok. Checks: 17; ok 17, problems 0, could not be checked 0." in good.stdout
        assert bad.returncode == 1
        assert f"RestoreFromVaults at {VAULT_ID}: missing" in bad.stdout
        assert f"missing: {READ_JOBS}" in bad.stdout
        assert "ok 16, problems 1" in bad.stdout

    def test_shows_a_closed_guard_and_does_not_fail(self, stage: Stage) -> None:
        stage.simulator.world.set_guard("vault-guarded", granted=False)

        done = run_cli(APP=stage.url, KEY="none")

        assert (done.returncode, done.stderr) == (0, "")
        assert f"UseResourceGuards at {GUARD}: guarded" in done.stdout
        assert "Preflight: ok. Checks: 17; ok 16, problems 0, could not be checked 0." in done.stdout
        assert "Closed Resource Guards: 1. A person must open them before a restore." in done.stdout

    def test_says_in_one_line_what_to_do_when_nobody_is_signed_in(self, stage: Stage) -> None:
        nobody = {"AZURE_TOKEN_CREDENTIALS": "dev", "IDENTITY_ENDPOINT": "", "PATH": ""}

        done = run_cli(**local(stage, SCOPES), **nobody)

        assert (done.returncode, done.stdout) == (2, "")
        (line,) = done.stderr.splitlines()
        assert "az login" in line
        assert "APP=https://NAME.azurewebsites.net KEY=FUNCTION_KEY" in line

    def test_checks_in_this_process_without_an_app(self, stage: Stage) -> None:
        done = run_cli(**local(stage, SCOPES))

        assert (done.returncode, done.stderr) == (0, "")
        assert "Checked from here as the identity that is signed in here" in done.stdout
        assert "Preflight: ok." in done.stdout

    def test_a_scope_that_does_not_exist_and_no_scopes_at_all_are_not_ok(self, stage: Stage) -> None:
        missing = run_cli(**local(stage, {"targetResourceGroupIds": [f"{SUBSCRIPTION}/resourceGroups/no-rg"]}))
        empty = run_cli(**local(stage, {}))

        assert (missing.returncode, empty.returncode) == (1, 1)
        assert "notFound" in missing.stdout
        assert "RESTORE_SCOPES names no scopes" in empty.stdout

    @pytest.mark.parametrize(
        ("env", "said"),
        [
            ({"APP": "http://app.example"}, "APP must be the app's address"),
            ({"APP": "https://app.example/api/preflight?code=planted"}, "APP must be the app's address"),
            ({"APP": "https://user:planted@app.example"}, "APP must be the app's address"),
            ({"APP": "https://["}, "APP must be the app's address"),
            ({"APP": "http://127.0.0.1:9"}, "http://127.0.0.1:9 does not answer"),
            ({"APP": "http://127.0.0.1:9", "KEY": "planted\u2026"}, "http://127.0.0.1:9 does not answer"),
            ({"APP": "http://127.0.0.1:9", "KEY": "planted\nkey"}, "http://127.0.0.1:9 does not answer"),
            ({"RESTORE_SCOPES": '{"vaultIds": ["x"]}'}, "RESTORE_SCOPES: vaultIds[0] must be the resource id of a"),
        ],
    )
    def test_says_in_one_line_why_nothing_could_be_checked(self, env: dict[str, str], said: str) -> None:
        done = run_cli(**env)

        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("preflight: ")
        assert said in done.stderr
        assert "planted" not in done.stderr

    @pytest.mark.parametrize(
        ("report", "code"),
        [
            ({"status": "ok", "checks": [{**A_CHECK, "status": "missing"}]}, 1),
            ({"status": "ok", "checks": [{**A_CHECK, "scope": "/a/[/b]/c"}]}, 0),
            ({"status": "problems", "checks": [{**A_CHECK, "scope": "/a/[/b]/c", "status": "x"}]}, 1),
            ({"status": "ok", "checks": None}, 2),
            ({"status": "ok", "checks": ["ok"]}, 2),
            ({"status": "ok", "checks": [{**A_CHECK, "missingActions": None}]}, 2),
            ({"checks": []}, 2),
            (["checks"], 2),
        ],
    )
    def test_an_odd_answer_is_never_ok(self, report: Any, code: int) -> None:
        with closing(ArmServer()) as app:
            app.routes["/api/preflight"] = lambda _: Say(200, report)
            done = run_cli(APP=app.url, KEY="none")

        assert (done.returncode, "Traceback" in done.stderr) == (code, False)

    @pytest.mark.parametrize(
        ("given", "sent"),
        [
            ({"KEY": "k"}, ("k", None)),
            ({"TOKEN": " t\n", "KEY": "k"}, (None, "Bearer t")),
        ],
    )
    def test_a_token_takes_the_place_of_the_key(
        self, given: dict[str, str], sent: tuple[str | None, str | None]
    ) -> None:
        seen: list[tuple[str | None, str | None]] = []

        def answer(call: Recorded) -> Say:
            seen.append((call.headers.get("x-functions-key"), call.headers.get("authorization")))
            return Say(200, {"status": "ok", "checks": [A_CHECK]})

        with closing(ArmServer()) as app:
            app.routes["/api/preflight"] = answer
            run_cli(APP=app.url, **given)

        assert seen == [sent]

    def test_the_key_is_on_no_command_line(self) -> None:
        done = subprocess.run(
            ["make", "-n", "preflight", "KEY=planted"], cwd=ROOT, capture_output=True, text=True, check=True
        )

        assert "scripts.preflight" in done.stdout
        assert "planted" not in done.stdout

    def test_another_app_at_the_address_is_recognized(self, stage: Stage) -> None:
        done = run_cli(APP=stage.simulator.url, KEY="none")

        assert done.returncode == 2
        assert "/api/preflight answers 401" in done.stderr or "does not accept the key" in done.stderr


class TestVmsThatAzureDoesNotShow:
    def test_a_deleted_vm_is_restored_and_its_points_listed_without_its_vault(self, stage: Stage) -> None:
        listed = stage.call("GET", "recovery-points", params={"sourceResourceId": vm_id("gone-01")})
        done = stage.restore(sourceResourceId=vm_id("gone-01"))

        assert (listed.status_code, len(listed.json()["value"])) == (200, 3)
        assert (done["status"], done["vaultId"]) == ("Completed", VAULT_ID)

    def test_a_rule_without_its_vault_restores_it_too(self, stage: Stage) -> None:
        (decision,) = stage.call("POST", "alerts", json=vm_down(vm_id("moved-01", "old-rg"))).json()["decisions"]

        done = stage.finished(decision["restoreId"])

        assert (decision["decision"], done["startedBy"]) == ("Started", "alert")
        assert (done["status"], done["vaultId"]) == ("Completed", VAULT_ID)

    def test_a_vm_that_may_not_be_read_is_planned(self, stage: Stage, deny: Any) -> None:
        deny(vm_id("sql-01", "sql-rg"), READ_VM)

        done = stage.restore(sourceResourceId=vm_id("sql-01", "sql-rg"), dryRun=True)

        assert (done["status"], done["vaultId"]) == ("Planned", VAULT_ID)

    def test_a_subscription_without_backup_status_is_no_obstacle(self, stage: Stage, deny: Any) -> None:
        deny(SUBSCRIPTION, "Microsoft.RecoveryServices/locations/backupStatus/action")

        done = stage.restore(sourceResourceId=vm_id("web-02"), dryRun=True)

        assert (done["status"], done["vaultId"]) == ("Planned", VAULT_ID)

    def test_the_error_names_the_vaults_that_were_searched(self, stage: Stage, deny: Any) -> None:
        deny(GUARDED, LIST_ITEMS)

        answer = stage.call("GET", "recovery-points", params={"sourceResourceId": vm_id("absent-01")})

        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NotFound")
        message = answer.json()["error"]["message"]
        assert f"No backup of it is listed by {VAULT_ID}." in message
        assert f"{GUARDED} could not be searched" in message
