"""Who may do what: each route of the app against each role, and a decision under the name of who signed in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from azure.identity import DefaultAzureCredential

import function_app
from arm.backup import BackupClient
from domain.recovery.commands import Command
from settings import Settings
from tests.integration.app_stage import Stage, a_request, eventually, staged, vm_id
from tests.support.principals import person

if TYPE_CHECKING:
    from collections.abc import Iterator

    from domain.errors import Json

READ, OPERATE, APPROVE = "Restore.Read", "Restore.Operate", "Restore.Approve"
KEY, OPEN = "a function key", "open to everybody"
NEEDS = {
    ("POST", "restores"): OPERATE,
    ("GET", "restores"): READ,
    ("GET", "restores/{id}"): READ,
    ("POST", "restores/{id}/cancel"): OPERATE,
    ("POST", "restores/{id}/approve"): APPROVE,
    ("POST", "restores/{id}/reject"): APPROVE,
    ("POST", "restores/{id}/undo"): OPERATE,
    ("POST", "recoveries"): OPERATE,
    ("GET", "recoveries"): READ,
    ("GET", "recoveries/{id}"): READ,
    ("GET", "recoveries/{id}/members"): READ,
    ("POST", "recoveries/{id}/pause"): OPERATE,
    ("POST", "recoveries/{id}/resume"): OPERATE,
    ("POST", "recoveries/{id}/cancel"): OPERATE,
    ("POST", "recoveries/{id}/retry"): OPERATE,
    ("POST", "recoveries/{id}/skip"): OPERATE,
    ("POST", "recoveries/{id}/approve"): APPROVE,
    ("POST", "recoveries/{id}/reject"): APPROVE,
    ("GET", "recovery-plans"): READ,
    ("GET", "recovery-plans/{name}"): READ,
    ("GET", "recovery-points"): READ,
    ("GET", "preflight"): READ,
    ("GET", "openapi.json"): READ,
    ("GET", "alert-decisions"): READ,
    ("GET", "alert-rules"): READ,
    ("POST", "alerts"): KEY,
    ("GET", "health"): OPEN,
    ("GET", "ui"): OPEN,
    ("GET", "ui/session"): OPEN,
    ("GET", "ui/{file}"): OPEN,
}
"""What a caller of each route needs, with App Service authentication in front. A new route needs a line here."""
GUARDED = {route: role for route, role in NEEDS.items() if role not in {KEY, OPEN}}
TRUST = {"RESTORE_TRUST_EASYAUTH": "true"}
NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """The app as it runs behind App Service authentication."""
    with pytest.MonkeyPatch.context() as patch, staged(patch, **TRUST) as running:
        yield running


def principal(name: str, *roles: str) -> dict[str, str]:
    """Return the header that the platform adds for a caller."""
    return {"X-MS-CLIENT-PRINCIPAL": person(name, *roles)}


def levels(**settings: str) -> dict[tuple[str, str], str]:
    """Return what the host demands of the callers of each route."""
    read = Settings.from_env(settings)
    client = BackupClient.from_settings(read, DefaultAzureCredential)
    functions = function_app.build_app(read, client).get_functions()
    client.close()
    triggers: list[Any] = [each.get_trigger() for each in functions if "builtin" not in str(each.get_function_name())]
    return {
        (str(getattr(method, "value", method)), trigger.route): trigger.auth_level.value
        for trigger in triggers
        if trigger.type == "httpTrigger"
        for method in trigger.methods
    }


def test_every_route_of_the_app_is_in_the_table() -> None:
    assert levels().keys() == NEEDS.keys()
    assert {f"recoveries/{{id}}/{command}" for command in Command} <= {route for _, route in NEEDS}


def test_the_host_leaves_to_the_app_what_people_call_and_nothing_else() -> None:
    assert levels(**TRUST) == {route: "function" if need == KEY else "anonymous" for route, need in NEEDS.items()}
    assert levels() == {route: "anonymous" if need == OPEN else "function" for route, need in NEEDS.items()}


def test_in_azure_without_its_authentication_the_host_goes_on_to_demand_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBSITE_SITE_NAME", "restore")
    assert levels(**TRUST) == levels()

    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "True")
    assert levels(**TRUST) != levels()


def asked(stage: Stage, route: tuple[str, str], headers: dict[str, str]) -> tuple[int, Json]:
    method, path = route
    kind = {"Content-Type": "application/json"} if method == "POST" else {}
    answer = stage.call(method, path.format(id=NOBODY, name="none", file="none"), headers={**kind, **headers})
    return answer.status_code, answer.json()


@pytest.mark.parametrize("route", GUARDED, ids=" ".join)
class TestARouteOfPeople:
    def test_is_closed_to_nobody(self, stage: Stage, route: tuple[str, str]) -> None:
        status, body = asked(stage, route, {})

        assert (status, body["error"]["code"]) == (401, "AuthenticationRequired")

    @pytest.mark.parametrize("role", [READ, OPERATE, APPROVE, "Another.Role"])
    def test_is_open_to_its_role(self, stage: Stage, route: tuple[str, str], role: str) -> None:
        status, body = asked(stage, route, principal("ada", role))

        if role == GUARDED[route] or (GUARDED[route] == READ and role != "Another.Role"):
            assert status in {200, 400, 404}
        else:
            assert (status, body["error"]["code"]) == (403, "AuthorizationFailed")
            assert GUARDED[route] in body["error"]["message"]

    def test_is_open_to_whom_entra_lets_in_without_roles(self, stage: Stage, route: tuple[str, str]) -> None:
        assert asked(stage, route, principal("ada"))[0] in {200, 400, 404}


def test_alerts_and_health_ask_for_no_principal(stage: Stage) -> None:
    assert stage.call("POST", "alerts", json={}).status_code == 400
    assert stage.call("GET", "health").json()["authentication"] == "appService"


def test_a_person_decides_under_the_name_that_entra_gives(stage: Stage) -> None:
    vm = vm_id("load-010", "load-rg")
    request = a_request(sourceResourceId=vm, approval={"required": True, "distinct": True})
    ada, bob = principal("ada@example.com", OPERATE, APPROVE), principal("bob@example.com", APPROVE)

    assert stage.call("POST", "restores", json={**request, "requestedBy": "bob"}, headers=ada).status_code == 400
    accepted = stage.call("POST", "restores", json=request, headers=ada)
    assert accepted.status_code == 202, accepted.text
    links = accepted.json()["links"]

    def waiting() -> Json | None:
        document = stage.call("GET", links["self"], headers=bob).json()
        return document if document["status"] == "AwaitingApproval" else None

    document = eventually(waiting)
    assert document["request"]["requestedBy"] == "ada@example.com"
    assert stage.call("POST", links["approve"], json={}, headers=ada).status_code == 409  # distinct
    assert stage.call("POST", links["approve"], json={"by": "carol"}, headers=bob).status_code == 400
    assert stage.call("POST", links["approve"], data=b"", headers=bob).status_code == 415
    empty = {**bob, "Content-Type": "application/json"}
    approved = stage.call("POST", links["approve"], data=b"", headers=empty)
    assert approved.status_code == 202, approved.text
    assert approved.json()["approval"]["by"] == "bob@example.com"
    again = stage.call("POST", links["approve"], json={"by": "Bob@Example.com"}, headers=bob)
    assert (again.status_code, again.json()["approval"]["by"]) == (202, "bob@example.com")
    cancelled = stage.call("POST", links["cancel"], json={"comment": "enough"}, headers=ada)
    assert (cancelled.status_code, cancelled.json()["cancellation"]["by"]) == (202, "ada@example.com")


class TestAForgedHeader:
    def test_has_no_effect_in_azure_without_its_authentication(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setenv("WEBSITE_SITE_NAME", "restore")
        with staged(monkeypatch, **TRUST) as stage:
            self.has_no_effect(stage)
            health = stage.call("GET", "health").json()

        assert "RESTORE_TRUST_EASYAUTH" in health["authenticationProblem"]
        assert [record.levelname for record in caplog.records if "NOT TRUSTED" in record.message] == ["ERROR"]

    def test_has_no_effect_by_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with staged(monkeypatch) as stage:
            self.has_no_effect(stage)
            assert "authenticationProblem" not in stage.call("GET", "health").json()

    def has_no_effect(self, stage: Stage) -> None:
        forged = principal("mallory@example.com", READ)
        vm = vm_id("load-011", "load-rg")
        body = a_request(sourceResourceId=vm, requestedBy="ada", dryRun=True)
        accepted = stage.call("POST", "restores", json=body, headers=forged).json()

        shown = stage.call("GET", accepted["links"]["self"], headers=forged).json()
        assert shown["request"]["requestedBy"] == "ada"
        assert stage.call("GET", "health").json()["authentication"] == "functionKey"
        session = stage.call("GET", "ui/session", headers=forged).json()
        assert (session["authentication"], session["name"]) == ("functionKey", None)
