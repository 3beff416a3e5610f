"""The API as `GET /api/openapi.json` describes it: the description is right, and hostile callers get what it says."""

from __future__ import annotations

import copy
import http.client
import json
import logging
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest
import schemathesis
from durabletask.client import OrchestrationState, OrchestrationStatus
from durabletask.internal.orchestrator_service_pb2 import CreateInstanceRequest
from hypothesis import given, settings, strategies
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

import function_app
from domain.errors import RestoreError
from domain.principal import Authenticator
from domain.recovery.commands import Command
from local_host.backend import IN_PROCESS
from orchestrations.names import RESTORE_VM
from tests.integration.app_stage import STORAGE_ID, SUBSCRIPTION, Stage, a_request, eventually, staged, vm_id
from tests.support.principals import person
from tests.support.receiver import Receiver
from triggers.answers import error_response
from triggers.api_description.document import description
from triggers.restore_states import document_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemathesis import Case
    from schemathesis.checks import CheckContext, CheckFunction
    from schemathesis.core.transport import Response

    from domain.errors import Json

DESCRIPTION = description("1")
BEHIND_ENTRA = description("1", Authenticator.APP_SERVICE)
NOW = datetime(2026, 11, 26, tzinfo=UTC)
GROUP = f"{SUBSCRIPTION}/resourceGroups/restored-rg"
NETWORK = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/net"
# Few of them, so that requests meet each other's restores: some protected, some not, some that are not there.
VMS = [vm_id(name) for name in ("web-01", "web-02", "empty-01", "absent-01")]
VMS += [vm_id(f"load-{number:03d}", "load-rg") for number in range(20)]
KNOWN = {
    "VirtualMachineId": VMS,
    "StorageAccountId": [STORAGE_ID],
    "ResourceGroupId": [GROUP],
    "VirtualNetworkId": [NETWORK],
    "SubnetId": [f"{NETWORK}/subnets/default"],
    "VaultId": [f"{SUBSCRIPTION}/resourceGroups/backup-rg/providers/Microsoft.RecoveryServices/vaults/vault-weu"],
}
RESTORE = {"recoveryType": "RestoreDisks", "storageAccountId": STORAGE_ID}
RULES = {
    "rules": [
        {"name": "never empty", "match": {"sourceResourceIds": ["*/empty-*"]}, "deny": True},
        {"name": "ask", "match": {"alertRules": ["ask*"]}, "restore": RESTORE, "approval": {"required": True}},
        {"name": "now", "match": {"alertRules": ["now"], "sourceResourceIds": ["*/load-*"]}, "restore": RESTORE},
        {"name": "load", "match": {"sourceResourceIds": ["*/load-*"]}, "restore": RESTORE, "maxPerHour": 5},
        {"name": "plan", "match": {"sourceResourceIds": ["*/web-*"]}, "restore": {**RESTORE, "dryRun": True}},
    ],
    "storm": {"distinctVms": 1000},
}


PLAN = {
    "name": "shop",
    "restore": RESTORE,
    "groups": [{"name": "web", "sourceResourceIds": VMS[-2:]}, {"name": "load", "sourceResourceIds": VMS[-4:-2]}],
}
SETTINGS = {"AUTO_RESTORE_RULES": json.dumps(RULES), "RECOVERY_PLANS": json.dumps({"plans": [PLAN]})}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with pytest.MonkeyPatch.context() as patch, staged(patch, **SETTINGS) as running:
        yield running


def an_alert(alert_id: str, *vms: str, **essentials: Any) -> Json:
    known = {"alertId": alert_id, "monitorCondition": "Fired", "monitoringService": "Platform"}
    data = {"essentials": {**known, "alertTargetIDs": list(vms), **essentials}}
    return {"schemaId": "azureMonitorCommonAlertSchema", "data": data}


class TestTheDescription:
    @pytest.mark.parametrize("told", [DESCRIPTION, BEHIND_ENTRA], ids=["keys", "Entra"])
    def test_is_valid_openapi(self, told: Json) -> None:
        OpenAPIV31SpecValidator(told).validate()

    def test_is_served_as_json(self, stage: Stage) -> None:
        answer = stage.call("GET", "openapi.json")

        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
        version = stage.call("GET", "health").json()["version"]
        assert answer.json() == {**DESCRIPTION, "info": {**DESCRIPTION["info"], "version": version}}

    def test_has_every_route_of_the_app_and_no_other(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(function_app.app, "functions_bindings", None)  # the SDK lists functions only once
        triggers: dict[str, Any] = {
            str(each.get_function_name()): each.get_trigger() for each in function_app.app.get_functions()
        }
        routes = {
            (name, str(getattr(method, "value", method)), f"/{trigger.route}")
            for name, trigger in triggers.items()
            if trigger.type == "httpTrigger" and "builtin" not in name
            for method in trigger.methods
        }

        described = {
            (operation["operationId"], method.upper(), path)
            for path, item in DESCRIPTION["paths"].items()
            for method, operation in item.items()
            if method != "parameters"
        }
        assert described == routes

    @pytest.mark.parametrize("told", [DESCRIPTION, BEHIND_ENTRA], ids=["keys", "Entra"])
    def test_refers_to_what_it_has_and_has_what_it_refers_to(self, told: Json) -> None:
        refs = {value for name, value in every_member(told) if name == "$ref"}
        homes = {f"#/components/{kind}/{name}" for kind, of in told["components"].items() for name in of}

        assert {home for home in homes if "securitySchemes" not in home} == refs

    def test_names_the_codes_of_each_error_as_they_are_answered(self) -> None:
        for path in DESCRIPTION["paths"].values():
            for operation in (each for name, each in path.items() if name != "parameters"):
                for status, answer in operation["responses"].items():
                    for code in codes_of(answer):
                        assert error_response(RestoreError(code, "x")).status_code == int(status)

    def test_gives_examples_that_are_right(self) -> None:
        examples = [
            (schema, example)
            for schema in DESCRIPTION["components"]["schemas"].values()
            for example in schema.get("examples", [])
        ]

        assert len(examples) > 5
        for schema, example in examples:
            Draft202012Validator(schema).validate(example)


class TestTheDescriptionBehindEntra:
    """It differs in who may call, and in nothing else."""

    OPEN = ("/health", "/ui", "/ui/session", "/ui/{file}")

    def test_says_which_routes_need_a_principal_and_how_they_refuse(self) -> None:
        assert BEHIND_ENTRA["security"] == [{"entra": []}]
        for path, item in BEHIND_ENTRA["paths"].items():
            for operation in (each for name, each in item.items() if name != "parameters"):
                refusals = operation["responses"].keys() & {"401", "403"}
                if path in self.OPEN or path == "/alerts":
                    needed = [] if path in self.OPEN else DESCRIPTION["security"]
                    assert (operation["security"], refusals) == (needed, set())
                else:
                    assert "security" not in operation
                    assert refusals == {"401", "403"}

    def test_lets_the_person_be_left_out(self) -> None:
        schemas = BEHIND_ENTRA["components"]["schemas"]

        for name in ("DecisionRequest", "GroupDecisionRequest", "CancellationRequest", "GroupRequest"):
            assert "by" not in schemas[name].get("required", [])
            assert "another name is refused" in schemas[name]["properties"]["by"]["description"]
        for name in ("RestoreRequest", "RecoveryRequest"):
            assert schemas[name]["required"] == DESCRIPTION["components"]["schemas"][name]["required"]
            assert "another name is refused" in schemas[name]["properties"]["requestedBy"]["description"]
        approve = BEHIND_ENTRA["paths"]["/restores/{id}/approve"]["post"]
        assert approve["requestBody"]["required"] is False
        assert BEHIND_ENTRA["paths"]["/restores"]["post"]["requestBody"]["required"] is True

    def test_is_what_the_app_serves_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with staged(monkeypatch, RESTORE_TRUST_EASYAUTH="true") as stage:
            answer = stage.call("GET", "openapi.json", headers={"X-MS-CLIENT-PRINCIPAL": person("ada")})
            refused = stage.call("GET", "restores")

        assert {**answer.json(), "info": None} == {**BEHIND_ENTRA, "info": None}
        fits("ErrorAnswer", refused.json())

    def test_changes_nothing_with_keys(self) -> None:
        assert description("1") == DESCRIPTION
        assert "entra" not in json.dumps(DESCRIPTION)


def every_member(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    if isinstance(value, (dict, list)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from every_member(each)


def codes_of(answer: Json) -> list[str]:
    home = DESCRIPTION["components"]["responses"].get(answer.get("$ref", "").rpartition("/")[2], {})
    return next((value for name, value in every_member(home) if name == "enum"), [])


def closed(schema: Any) -> Any:
    """Return the schema of an answer with no room for members that it does not name."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    told = {name: closed(each) for name, each in schema.items()}
    return {**told, "additionalProperties": False} if {"properties", "required"} <= told.keys() else told


def at_this_stage() -> Json:
    """Return the description as it is for the simulator's machines, and closed: nothing undescribed is answered."""
    told = copy.deepcopy(DESCRIPTION)
    schemas = told["components"]["schemas"]
    for name in schemas.keys() - {"RestoreRequest", "RecoveryRequest", "DecisionRequest", "Alert"}:
        schemas[name] = closed(schemas[name])
    for name, values in KNOWN.items():
        schemas[name] = {"type": "string", "enum": values}
    # Patterns over the whole of Unicode are right, but generators take long for them.
    for name in schemas.keys() - KNOWN.keys():
        if "examples" in schemas[name]:
            schemas[name] = {"type": "string", "enum": schemas[name]["examples"]}
    for request in (schemas["RestoreRequest"]["properties"], schemas["RequestDocument"]["properties"]):
        request["containerName"] = request["protectedItemName"] = {"type": "string", "minLength": 1, "maxLength": 500}
        request["targetVirtualMachineId"] = {"const": f"{GROUP}/providers/Microsoft.Compute/virtualMachines/new"}
    schemas["RequestDocument"]["properties"]["sourceResourceId"] = {"type": "string"}  # tests restore others, too
    # A whole plan has too many parts to be made up well; ``tests/unit/domain/recovery`` has the wrong ones.
    schemas["RecoveryRequest"]["properties"]["plan"] = {"enum": ["shop", "SHOP", "absent", PLAN]}
    essentials = schemas["Alert"]["properties"]["data"]["properties"]["essentials"]["properties"]
    essentials["alertTargetIDs"]["items"] = {"enum": VMS}
    essentials["monitorCondition"] = {"enum": ["Fired", "Resolved"]}
    return told


def _says_nothing(value: Any) -> bool:
    return value is None or any(each is None for _, each in every_member(value))


@schemathesis.check
def refuses_what_it_should(ctx: CheckContext, response: Response, case: Case) -> bool | None:
    """A member that is null, or an empty parameter, counts as left out, which no schema here says."""
    if case.path == "/alerts" or _says_nothing(case.body) or "" in case.query.values():
        return None
    return negative_data_rejection(ctx, response, case)


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    refuses_what_it_should,
    unsupported_method,
]


def checks_for(case: Case) -> list[CheckFunction]:
    """Return what must hold of the answer; the local host finds no route for a line feed, unlike the Functions host."""
    return [not_a_server_error] if "\n" in unquote(str(case.path_parameters.get("id"))) else CHECKS


CLOSED = at_this_stage()
API = schemathesis.openapi.from_dict(CLOSED)
API.config.generation.update(with_security_parameters=False, max_examples=15, deterministic=True, database="none")


@API.parametrize()
def test_hostile_calls_are_answered_as_described(case: Case, stage: Stage) -> None:
    case.validate_response(case.call(base_url=f"{stage.url}/api"), checks_for(case))


@pytest.mark.parametrize("verb", ["approve", "cancel", "reject"])
def test_hostile_words_about_a_restore_are_answered_as_described(stage: Stage, verb: str) -> None:
    load = {"approve": 60, "cancel": 62, "reject": 64}[verb]
    vms = [vm_id(f"load-{number:03d}", "load-rg") for number in (load, load + 1)]
    waiting = stage.post(a_request(sourceResourceId=vms[0], approval={"required": True})).json()["id"]
    ended = stage.restore(sourceResourceId=vms[1])["id"]
    operation, answered = API[f"/restores/{{id}}/{verb}"]["POST"], Counter[int]()
    cases = [operation.as_strategy(path_parameters={"id": each}) for each in (waiting, ended)]

    @settings(max_examples=40, deadline=None, derandomize=True, database=None)
    @given(case=strategies.one_of(cases))
    def drive(case: Case) -> None:
        answer = case.call(base_url=f"{stage.url}/api")
        answered[answer.status_code] += 1
        case.validate_response(answer, CHECKS)

    assert stage.call("POST", f"restores/{waiting}/{verb}", json={"by": "a\0"}).status_code == 400
    drive()
    assert answered.keys() >= {202, 409}


class TestRealAnswers:
    """What one sees of real restores is what the description says, with no member more."""

    def test_a_restore_from_its_start_to_its_end(self, stage: Stage) -> None:
        vm = vm_id("load-050", "load-rg")
        accepted = stage.post(a_request(sourceResourceId=vm, requestedBy="ada", approval={"required": True}))
        fits("RestoreAccepted", accepted.json())
        link = accepted.json()["links"]

        waiting = eventually(lambda: is_(stage.call("GET", link["self"]).json(), "AwaitingApproval"))
        fits("StatusDocument", waiting)
        fits("StatusDocument", stage.call("POST", link["approve"], json={"by": "bob"}).json())
        fits("ErrorAnswer", stage.call("POST", link["reject"]).json())
        done = stage.finished(accepted.json()["id"])
        assert (done["status"], done["result"]["jobStatus"]) == ("Completed", "Completed")
        fits("StatusDocument", done)
        fits("RestoreList", stage.call("GET", "restores?top=1").json())

    def test_a_plan(self, stage: Stage) -> None:
        planned = stage.restore(sourceResourceId=vm_id("load-051", "load-rg"), dryRun=True)

        assert planned["status"] == "Planned"
        fits("StatusDocument", planned)

    def test_a_plan_that_no_point_fits(self, stage: Stage) -> None:
        wanted = {"atOrBefore": "2001-01-01T00:00:00Z"}
        vm = vm_id("load-056", "load-rg")
        failed = stage.restore(sourceResourceId=vm, dryRun=True, recoveryPoint=wanted)

        assert (failed["status"], failed["result"]["plan"]["requestBody"]) == ("Failed", None)
        fits("StatusDocument", failed)

    def test_one_whose_input_cannot_be_read(self) -> None:
        state = OrchestrationState("a", RESTORE_VM, OrchestrationStatus.RUNNING, NOW, NOW, "{}", None, None, None)

        document = document_of(state)

        assert document["recoveryType"] is None
        fits("StatusDocument", {**document, "links": {"self": "https://example.org"}})

    @pytest.mark.parametrize("vm", ["lonely-01", "quota-01", "never-was"])
    def test_one_that_fails(self, stage: Stage, vm: str) -> None:
        failed = stage.restore(sourceResourceId=vm_id(vm))

        assert failed["status"] == "Failed"
        fits("StatusDocument", failed)

    def test_a_recovery_from_its_start_to_its_end(self, stage: Stage) -> None:
        groups = [
            {"name": "first", "sourceResourceIds": [vm_id("load-070", "load-rg"), vm_id("lonely-01")]},
            {"name": "second", "sourceResourceIds": [vm_id("load-071", "load-rg")], "gate": {"approval": {}}},
        ]
        accepted = stage.call("POST", "recoveries", json={"plan": {**PLAN, "groups": groups}, "requestedBy": "ada"})
        fits("RecoveryAccepted", accepted.json())
        link = accepted.json()["links"]["self"]

        fits("RecoveryDocument", stage.call("GET", link).json())
        failed = eventually(lambda: is_(stage.call("GET", link).json(), "Failed"))
        fits("RecoveryDocument", failed)
        assert {"retry", "skip", "cancel"} <= failed["links"].keys()
        fits("ErrorAnswer", stage.call("POST", f"{link}/approve", json={"by": "bo"}).json())
        fits("RecoveryDocument", stage.call("POST", f"{link}/skip", json={"group": "first"}).json())
        waiting = eventually(lambda: is_(stage.call("GET", link).json(), "AwaitingApproval"))
        fits("RecoveryDocument", waiting)
        fits("RecoveryDocument", stage.call("POST", f"{link}/approve", json={"by": "bo", "comment": "go"}).json())
        eventually(lambda: is_(stage.call("GET", link).json(), "CompletedWithWarnings"))
        fits("RecoveryMemberList", stage.call("GET", f"{link}/members?top=2").json())
        fits("RecoveryList", stage.call("GET", "recoveries?top=1").json())

    def test_a_recovery_that_is_only_planned(self, stage: Stage) -> None:
        accepted = stage.call("POST", "recoveries", json={"plan": PLAN, "dryRun": True}).json()
        planned = eventually(lambda: is_(stage.call("GET", accepted["links"]["self"]).json(), "Planned"))

        fits("RecoveryDocument", planned)
        fits("RecoveryPlanList", stage.call("GET", "recovery-plans").json())
        fits("RecoveryPlanDocument", stage.call("GET", "recovery-plans/shop").json())

    def test_one_that_is_refused(self, stage: Stage) -> None:
        refused = stage.post(a_request(recoveryType="Everything", storageAccountId=None))

        assert (refused.status_code, len(refused.json()["error"]["details"])) == (400, 2)
        fits("ErrorAnswer", refused.json())

    def test_the_alert_rules(self, stage: Stage) -> None:
        shown = stage.call("GET", "alert-rules").json()

        fits("AlertRuleList", shown)
        assert (shown["source"], shown["rules"]) == ("setting", RULES["rules"])
        assert shown["storm"] == {"distinctVms": 1000, "within": "PT10M"}

    def test_the_decisions_about_alerts(self, stage: Stage) -> None:
        alert = an_alert(
            "told later", vm_id("sql-01", "sql-rg"), vm_id("empty-01"), firedDateTime="2026-11-24T10:00:00Z"
        )
        answered = stage.call("POST", "alerts", json=alert).json()

        listed = stage.call("GET", "alert-decisions?top=200").json()
        fits("AlertRecordList", listed)
        [shown] = [each for each in listed["value"] if each["alertId"] == "told later"]
        assert (shown["decisions"], shown["firedTime"]) == (answered["decisions"], "2026-11-24T10:00:00Z")
        first = stage.call("GET", "alert-decisions?top=1")
        again = stage.call("GET", "alert-decisions?top=1", headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")

    def test_an_alert(self, stage: Stage) -> None:
        def posted(alert_id: str, *vms: str, **essentials: Any) -> list[str]:
            answer = stage.call("POST", "alerts", json=an_alert(alert_id, *vms, **essentials))
            assert answer.status_code == 202
            fits("AlertDecisionList", answer.json())
            return [each["decision"] for each in answer.json()["decisions"]]

        vm, other, unknown = vm_id("load-052", "load-rg"), vm_id("load-053", "load-rg"), vm_id("sql-01", "sql-rg")
        assert posted("a1", vm, unknown, alertRule="now") == ["Started", "Ignored"]
        assert posted("a1", vm, alertRule="now") == ["Duplicate"]
        assert posted("a2", vm, alertRule="now") == ["CoolingDown"]
        assert posted("a3", other, alertRule="ask") == ["AwaitingApproval"]
        assert posted("a4") == ["Refused"]

    def test_an_outage_of_azure(self, stage: Stage) -> None:
        stage.simulator.world.set_faults("load-054", {"errors503": {"count": 100, "retryAfterSeconds": 5}})

        answer = stage.call("GET", "recovery-points", params={"sourceResourceId": vm_id("load-054", "load-rg")})

        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "ServiceUnavailable")
        assert int(answer.headers["Retry-After"]) > 0
        fits("ErrorAnswer", answer.json())


def fits(schema: str, answer: Json) -> None:
    """Fail unless the answer is of this schema, with nothing undescribed in it."""
    told = {"$ref": f"#/components/schemas/{schema}", "components": CLOSED["components"]}
    Draft202012Validator(told, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(answer)


def is_(document: Json, status: str) -> Json | None:
    return document if document["status"] == status else None


POSTS = ("restores", "restores/{}/cancel", "restores/{}/approve", "restores/{}/reject", "alerts", "recoveries")
POSTS += tuple(f"recoveries/{{}}/{command}" for command in Command)


class TestBodies:
    @pytest.mark.parametrize("route", POSTS)
    def test_one_byte_over_a_mebibyte_is_a_413(self, stage: Stage, route: str) -> None:
        def sent(size: int) -> tuple[int, str]:
            kind = {"Content-Type": "application/json"}
            answer = stage.call("POST", route.format("none"), data=b"x" * size, headers=kind)
            fits("ErrorAnswer", answer.json())
            return answer.status_code, answer.json()["error"]["code"]

        assert sent(1024 * 1024) == (400, "InvalidRequest")
        assert sent(1024 * 1024 + 1) == (413, "RequestTooLarge")

    @pytest.mark.parametrize("route", POSTS)
    @pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "jsonx/application", "*/*"])
    def test_what_is_not_called_json_is_a_415(self, stage: Stage, route: str, kind: str) -> None:
        answer = stage.call("POST", route.format("none"), data=b"{}", headers={"Content-Type": kind})

        assert (answer.status_code, answer.json()["error"]["code"]) == (415, "UnsupportedMediaType")
        fits("ErrorAnswer", answer.json())


def test_what_the_webhook_is_sent_of_a_recovery_is_as_described() -> None:
    group = {"name": "one", "sourceResourceIds": VMS[-1:], "gate": {"approval": {}}}
    with Receiver() as receiver, pytest.MonkeyPatch.context() as patch:
        hook = {"RESTORE_WEBHOOK_URL": receiver.url, "RESTORE_WEBHOOK_SECRET": "s3cret"}
        with staged(patch, **hook) as stage:
            accepted = stage.call("POST", "recoveries", json={"plan": {**PLAN, "groups": [group]}}).json()
            link = accepted["links"]["self"]
            eventually(lambda: is_(stage.call("GET", link).json(), "AwaitingApproval"))
            stage.call("POST", f"{link}/approve", json={"by": FORGED, "comment": FORGED})

            def posted() -> list[Any]:
                return [each for each in receiver.got if each.headers.get("X-Recovery-Id") == accepted["id"]]

            # An event may be posted twice, so their number says nothing.
            eventually(lambda: any(each.headers["X-Restore-Event"] == "Completed" for each in posted()))

    [parameters] = [operation["parameters"] for operation in DESCRIPTION["webhooks"]["recoveryEvent"].values()]
    for sent in posted():
        event = json.loads(sent.body)
        fits("RecoveryEvent", {**event, "recovery": with_whole_links(event["recovery"])})
        assert sent.headers["X-Restore-Event"] == event["event"]
        assert {parameter["name"] for parameter in parameters} <= set(sent.headers)
    assert {json.loads(sent.body)["event"] for sent in posted()} == {"AwaitingApproval", "Completed"}


def with_whole_links(document: Json) -> Json:
    """Return the document as the API shows it: its links begin with the host."""
    return {**document, "links": {name: f"https://app{link}" for name, link in document["links"].items()}}


FORGED = "ada\r\nX-Forged: yes\r\n\r\n2026-11-24 CRITICAL forged\n\tby eve"
OURS = {"activities", "arm", "domain", "function_app", "orchestrations", "outbound", "triggers"}


def test_words_of_a_caller_forge_no_header_and_no_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Receiver() as receiver, pytest.MonkeyPatch.context() as patch:
        hook = {"RESTORE_WEBHOOK_URL": receiver.url, "RESTORE_WEBHOOK_SECRET": "s3cret"}
        with staged(patch, AUTO_RESTORE_RULES=json.dumps(RULES), **hook) as stage:
            body = a_request(requestedBy=FORGED, reason=FORGED, approval={"required": True})
            answers = [stage.post(body)]
            link = answers[0].json()["links"]
            said = {"by": FORGED, "comment": FORGED}
            answers += [stage.call("POST", link[verb], json=said) for verb in ("reject", "approve")]
            done = stage.finished(answers[0].json()["id"])
            answers += [stage.call("GET", link["self"]), stage.post({**body, "requestId": FORGED})]
            answers += [stage.call("GET", "restores", params={"status": FORGED, FORGED: FORGED})]
            alert = an_alert("a1", vm_id(), alertRule=FORGED, severity=FORGED)
            answers += [stage.call("POST", "alerts", json=alert), stage.call("POST", "alerts", json=an_alert(FORGED))]
            eventually(lambda: receiver.got)

    assert [each.status_code for each in answers] == [202, 202, 409, 200, 400, 400, 202, 400]
    assert (done["requestedBy"], done["approval"]["by"]) == (FORGED, FORGED)
    assert not any("forged" in str(each.headers).casefold() for each in (*answers, *receiver.got))
    told = [each.getMessage() for each in caplog.records if each.name.partition(".")[0] in OURS]
    assert any("forged" in line for line in told)  # it is told, on one line
    assert [line for line in told if "\n" in line or "\r" in line] == []


TRICKS = (
    *(
        "..%2f..%2fhealth",
        "%2e%2e%2fhealth",
        "%2e%2e",
        "..",
        "%2f",
        "a%5c..%5cb",
        "%252e%252e%252f",
        "..;",
        "%3f",
        "%23",
    ),
    *(
        "@vm_lock@key",
        "%40vm_lock%40key",
        "@",
        "@@",
        "@rule_budget@",
        "%00",
        "a%00b",
        "%0d",
        "%ff",
        "%ed%a0%80",
        "%20",
    ),
    *("*", "'", "%22", "%3Cscript%3E", "%F0%9F%98%80", "{id}", "null", "x" * 7000, "%C3%A4" * 1000),
)


def call_as_written(stage: Stage, method: str, path: str) -> tuple[int, Json]:
    """Call a path that no client library has tidied."""
    connection = http.client.HTTPConnection(urlsplit(stage.url).netloc, timeout=30)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


class TestIds:
    def refused(self, stage: Stage, restore_id: str) -> None:
        verbs = (("GET", ""), ("POST", "/cancel"), ("POST", "/approve"), ("POST", "/reject"))
        for method, verb in verbs:
            self.not_found(stage, method, f"/api/restores/{restore_id}{verb}")
        for method, verb in (*verbs, ("GET", "/members"), ("POST", "/retry"), ("POST", "/pause")):
            self.not_found(stage, method, f"/api/recoveries/{restore_id}{verb}")
        self.not_found(stage, "GET", f"/api/recovery-plans/{restore_id}")

    def not_found(self, stage: Stage, method: str, path: str) -> None:
        status, body = call_as_written(stage, method, path)
        assert (status, body["error"]["code"]) == (404, "NotFound")
        fits("ErrorAnswer", body)

    @pytest.mark.parametrize("restore_id", TRICKS, ids=lambda text: text[:20])
    def test_a_trick_is_no_restore_recovery_or_plan(self, stage: Stage, restore_id: str) -> None:
        self.refused(stage, restore_id)

    def test_nor_are_the_locks_and_whatever_else_is_in_the_task_hub(self, stage: Stage) -> None:
        stage.restore(sourceResourceId=vm_id("load-055", "load-rg"))
        stage.backend.StartInstance(CreateInstanceRequest(name="another", instanceId="another-1"), IN_PROCESS)
        locks = [entity for entity in stage.backend._entities if entity.startswith("@vm_lock@")]

        assert locks
        for instance_id in ("another-1", *locks):
            self.refused(stage, instance_id)
