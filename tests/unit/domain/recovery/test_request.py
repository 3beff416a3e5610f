"""The call that starts a recovery: all that is wrong with it is named at once, and the same call is recognised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from domain.errors import InvalidRequestError, RestoreError
from domain.recovery.plan import LoadedPlans
from domain.recovery.plans_file import read_plans
from domain.recovery.request import RECOVERY_REQUEST, RecoveryRequest
from domain.templates import VM_PLACEHOLDERS, placeholder_definitions
from tests.support.plans import RESTORE, a_group, a_plan, vm

if TYPE_CHECKING:
    from domain.errors import Json

MISSING, UNKNOWN, INVALID, NOT_ALLOWED = "MissingField", "UnknownField", "InvalidValue", "NotAllowed"
SCHEMA = Draft202012Validator({**RECOVERY_REQUEST.schema, "$defs": placeholder_definitions(VM_PLACEHOLDERS)})
CONFIGURED = LoadedPlans(source="x", plans=read_plans({"plans": [a_plan(name="Shop"), a_plan(name="other")]}))


def problems(body: Any) -> list[tuple[str, str | None, str]]:
    with pytest.raises(InvalidRequestError) as caught:
        RecoveryRequest.from_json(body)
    assert caught.value.code == "InvalidRequest"
    return [(detail.code, detail.target, detail.message) for detail in caught.value.details]


def inline(*groups: Json, **members: Any) -> Json:
    return {"plan": a_plan(*groups, **members)}


# The call, code and target of its only problem, a part of the message, and whether a JSON Schema can say so.
TABLE: list[tuple[Any, str, str | None, str, bool]] = [
    # the call
    (None, INVALID, None, "must be a JSON object", True),
    ([], INVALID, None, "must be a JSON object", True),
    ("shop", INVALID, None, "must be a JSON object", True),
    ({}, MISSING, "plan", "is needed", True),
    ({"plan": None}, MISSING, "plan", "is needed", True),
    ({"plan": "shop", "plans": []}, UNKNOWN, "plans", "is it plan?", True),
    ({"plan": "shop", "approval": {"required": True}}, UNKNOWN, "approval", "is not a known field", True),
    ({"plan": "shop", "sourceResourceId": vm("web-01")}, UNKNOWN, "sourceResourceId", "is not a known field", True),
    ({"plan": "shop", "startedBy": "alert"}, UNKNOWN, "startedBy", "is not a known field", True),
    ({"plan": "shop", "requestId": ""}, INVALID, "requestId", "1 to 80 of", True),
    ({"plan": "shop", "requestId": "a b"}, INVALID, "requestId", "1 to 80 of", True),
    ({"plan": "shop", "requestId": "recovery:a"}, INVALID, "requestId", "1 to 80 of", True),
    ({"plan": "shop", "requestId": "a" * 81}, INVALID, "requestId", "1 to 80 of", True),
    ({"plan": "shop", "requestId": 5}, INVALID, "requestId", "1 to 80 of", True),
    ({"plan": "shop", "dryRun": "true"}, INVALID, "dryRun", "true or false", True),
    ({"plan": "shop", "dryRun": 1}, INVALID, "dryRun", "true or false", True),
    ({"plan": "shop", "requestedBy": "a\0b"}, INVALID, "requestedBy", "control characters", True),
    ({"plan": "shop", "requestedBy": ["ada"]}, INVALID, "requestedBy", "a string", True),
    ({"plan": "shop", "reason": "x" * 2049}, INVALID, "reason", "2048", True),
    # its recovery point
    ({"plan": "shop", "recoveryPoint": "latest"}, INVALID, "recoveryPoint", "JSON object", True),
    ({"plan": "shop", "recoveryPoint": {"id": "1"}}, NOT_ALLOWED, "recoveryPoint.id", "one virtual machine", True),
    ({"plan": "shop", "recoveryPoint": {"id": None}}, NOT_ALLOWED, "recoveryPoint.id", "must be left out", True),
    ({"plan": "shop", "recoveryPoint": {"before": "x"}}, UNKNOWN, "recoveryPoint.before", "known field", True),
    ({"plan": "shop", "recoveryPoint": {"notOlderThan": "2 d"}}, INVALID, "recoveryPoint.notOlderThan", "ISO", True),
    ({"plan": "shop", "recoveryPoint": {"atOrBefore": "noon"}}, INVALID, "recoveryPoint.atOrBefore", "", False),
    ({"plan": "shop", "recoveryPoint": {"tiers": []}}, INVALID, "recoveryPoint.tiers", "1 to", True),
    # the name of a plan
    ({"plan": ""}, INVALID, "plan", "1 to 80 of", True),
    ({"plan": " shop"}, INVALID, "plan", "1 to 80 of", True),
    ({"plan": "../shop"}, INVALID, "plan", "1 to 80 of", True),
    ({"plan": "shop\n"}, INVALID, "plan", "1 to 80 of", False),
    ({"plan": 5}, INVALID, "plan", "the name of a configured plan, or a plan", True),
    ({"plan": ["shop"]}, INVALID, "plan", "the name of a configured plan, or a plan", True),
    ({"plan": True}, INVALID, "plan", "the name of a configured plan, or a plan", True),
    # a plan in the call
    (inline(name=None), MISSING, "plan.name", "is needed", True),
    (inline(plans=[]), UNKNOWN, "plan.plans", "known field", True),
    (inline(maxRunning=0), INVALID, "plan.maxRunning", "from 1 to 1000", True),
    (inline(groups=[]), INVALID, "plan.groups", "1 to 50", True),
    (inline(a_group("a"), a_group("A", vm("b"))), INVALID, "plan.groups[1].name", "must differ", False),
    (inline(a_group("a", after=["b"])), INVALID, "plan.groups[0].after[0]", "names no group", False),
    (inline({"name": "a"}), MISSING, "plan.groups[0].sourceResourceIds", "or select", False),
    (inline(a_group("a", "web-01")), INVALID, "plan.groups[0].sourceResourceIds[0]", "resource id", True),
    (inline(a_group("a", gate={})), MISSING, "plan.groups[0].gate.approval", "is needed", True),
    (inline(a_group("a", vm("x"), vm("x", "other"), restore={"targetResourceGroupId": vm("x").split("/providers")[0]})),
     INVALID, "plan.groups", "under one name", False),
    (inline(restore={**RESTORE, "requestId": "a"}), NOT_ALLOWED, "plan.restore.requestId", "a key of its own", True),
    (inline(restore={**RESTORE, "dryRun": True}), NOT_ALLOWED, "plan.restore.dryRun", "planned as a whole", True),
    (inline(restore={**RESTORE, "recoveryType": "X"}), INVALID, "plan.restore.recoveryType", "RestoreDisks", True),
    (inline(restore={**RESTORE, "storageAccountId": None}), MISSING, "plan.restore.storageAccountId", "needed", False),
]  # fmt: skip


@pytest.mark.parametrize(("body", "code", "target", "part", "in_schema"), TABLE)
def test_a_wrong_call_names_its_problem(body: Any, code: str, target: str | None, part: str, in_schema: bool) -> None:
    [(found, at, message)] = problems(body)

    assert (found, at) == (code, target)
    assert part in message
    assert SCHEMA.is_valid(_without_nulls(body)) is not in_schema


def _without_nulls(body: Any) -> Any:
    """Return what the schema is for: a member that is null counts as left out."""
    if not isinstance(body, dict):
        return body
    if body.get("recoveryPoint") == {"id": None}:
        return {**body, "recoveryPoint": {"id": "1"}}
    return {name: _without_nulls(member) for name, member in body.items() if member is not None}


def test_all_problems_of_a_call_are_named_at_once() -> None:
    body = {"plan": a_plan(maxRunning=-1, groups=[]), "dryRun": 5, "recoveryPoint": {"id": "1", "tiers": [1]}, "x": 1}

    assert {target for _, target, _ in problems(body)} == {
        *("plan.maxRunning", "plan.groups", "dryRun", "recoveryPoint.id", "recoveryPoint.tiers[0]", "x"),
    }


@pytest.mark.parametrize("plan", ["shop", a_plan(), a_plan(a_group("web", select={"tags": {"env": "prod"}}))])
def test_a_good_call_is_accepted_by_reader_and_schema(plan: str | Json) -> None:
    body = {
        "plan": plan,
        "recoveryPoint": {"atOrBefore": "2026-11-26T08:00:00Z"},
        "requestId": "drill-7",
        "dryRun": True,
        "requestedBy": "ada",
        "reason": "drill",
    }
    request = RecoveryRequest.from_json({**body, "reason": "drill"})

    assert SCHEMA.is_valid(body)
    assert (request.request_id, request.dry_run, request.requested_by, request.reason) == (
        *("drill-7", True, "ada"),
        "drill",
    )
    minimal = RecoveryRequest.from_json({"plan": plan, "reason": None})
    assert (minimal.request_id, minimal.dry_run, minimal.requested_by, minimal.reason) == (None, False, None, None)


def test_a_plan_is_found_by_its_name_in_any_case_or_taken_from_the_call() -> None:
    named = RecoveryRequest.from_json({"plan": "SHOP", "dryRun": True, "requestId": "1"})
    own = RecoveryRequest.from_json({"plan": a_plan(name="drill", maxRunning=3)})

    assert named.plan_in(CONFIGURED).name == "Shop"
    assert own.plan_in(LoadedPlans(source=None, plans=None, problems=("wrong",))).max_running == 3
    assert named.record(named.plan_in(CONFIGURED)) == {
        "plan": a_plan(name="Shop"),
        "request": {"dryRun": True, "requestId": "1"},
    }


@pytest.mark.parametrize(
    ("configured", "code"),
    [
        (CONFIGURED, "NotFound"),
        (LoadedPlans(source=None, plans={}), "NotFound"),
        (LoadedPlans(source="x", plans=None, problems=("plans[0].name is needed",)), "ServiceUnavailable"),
    ],
)
def test_a_plan_that_is_not_configured_cannot_be_called(configured: LoadedPlans, code: str) -> None:
    with pytest.raises(RestoreError) as caught:
        RecoveryRequest.from_json({"plan": "shops"}).plan_in(configured)

    assert caught.value.code == code


def test_equal_calls_have_one_fingerprint() -> None:
    def fingerprint(body: Json) -> str:
        return RecoveryRequest.from_json(body).fingerprint

    turned = {"reason": "x", "plan": dict(reversed(list(a_plan().items()))), "dryRun": None}
    assert fingerprint({"plan": a_plan(), "reason": "x"}) == fingerprint(turned)
    different = [{"plan": "shop"}, {"plan": "Shop"}, {"plan": a_plan()}, {"plan": "shop", "dryRun": False}]
    assert len({fingerprint(body) for body in different}) == len(different)


def test_secrets_in_the_words_of_a_person_are_removed() -> None:
    request = RecoveryRequest.from_json({"plan": "shop", "reason": "see https://x.blob.core.windows.net/?sig=c2VjcmV0"})

    assert "c2VjcmV0" not in str(request.body)
