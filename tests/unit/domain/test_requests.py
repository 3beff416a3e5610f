from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from domain.errors import InvalidRequestError, Json
from domain.request_schema import PASSED_ON, request_schema
from domain.requests import RestoreRequest
from domain.times import parse_duration
from tests.support.azure import STORAGE_ID, TARGET_GROUP, VAULT_ID, VM_ID, a_request
from tests.support.strategies import (
    BASES,
    ENCRYPTION_SET,
    GOOD_MEMBERS,
    IDENTITY,
    NAMES,
    SWIFT,
    TARGET_MEMBERS,
    THOROUGH,
    damaged,
    good_requests,
    json_values,
    shuffled,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = tuple(BASES)
SCHEMA = Draft202012Validator(request_schema())


def table() -> Iterator[Any]:
    """Yield a request for each good value; the recovery types take turns, because no value depends on them."""
    for kinds, members in ((KINDS, GOOD_MEMBERS), (KINDS[:2], TARGET_MEMBERS)):
        values = [(name, value) for name, values in members.items() for value in values]
        for index, (kind, (name, value)) in enumerate(zip(cycle(kinds), values, strict=False)):
            yield pytest.param({**BASES[kind], name: value}, id=f"{kind}-{name}-{index}")


def verdict(body: Json) -> RestoreRequest | InvalidRequestError:
    try:
        return RestoreRequest.from_json(body)
    except InvalidRequestError as error:
        return error


class TestWhatIsAccepted:
    @pytest.mark.parametrize("body", list(table()))
    def test_every_member_in_good_form_is_kept_as_it_came(self, body: Json) -> None:
        assert RestoreRequest.from_json(body).to_json() == body

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_least_that_a_recovery_type_takes(self, kind: str) -> None:
        request = RestoreRequest.from_json(BASES[kind])

        assert request.recovery_type == kind
        assert request.source_resource_id == VM_ID

    @pytest.mark.parametrize("kind", KINDS)
    def test_vault_container_and_item_stand_in_for_the_vm(self, kind: str) -> None:
        body = {**BASES[kind], **NAMES}
        del body["sourceResourceId"]

        assert RestoreRequest.from_json(body).source_resource_id is None

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize(
        "identity",
        [
            {"isSystemAssignedIdentity": True},
            {"isSystemAssignedIdentity": False, "managedIdentityResourceId": IDENTITY},
            {"managedIdentityResourceId": IDENTITY},
        ],
    )
    def test_an_identity_stands_in_for_the_staging_account(self, kind: str, identity: Json) -> None:
        body = {
            **BASES[kind],
            "identityInfo": identity,
            "identityBasedRestoreDetails": {"objectType": "x", "targetStorageAccountId": STORAGE_ID},
        }
        del body["storageAccountId"]

        assert RestoreRequest.from_json(body).to_json() == body

    @pytest.mark.parametrize("kind", ["RestoreDisks", "AlternateLocation"])
    def test_managed_disks_with_a_group_to_put_them_into(self, kind: str) -> None:
        body = {**BASES[kind], "targetResourceGroupId": TARGET_GROUP, "restoreWithManagedDisks": True}

        assert RestoreRequest.from_json(body).to_json() == body

    @pytest.mark.parametrize("kind", KINDS)
    def test_restore_with_managed_disks_may_be_false_without_a_group(self, kind: str) -> None:
        RestoreRequest.from_json({**BASES[kind], "restoreWithManagedDisks": False})

    @pytest.mark.parametrize(
        "change",
        [str.upper, str.lower, lambda text: text.replace("resourceGroups", "resourcegroups"), lambda text: text + "/"],
    )
    def test_ids_in_any_casing_and_with_a_trailing_slash(self, change: Any) -> None:
        body = BASES["AlternateLocation"]
        changed = {name: change(value) if name.endswith("Id") else value for name, value in body.items()}
        kept = {name: value.rstrip("/") for name, value in changed.items()}

        assert RestoreRequest.from_json(changed).to_json() == kept

    def test_ids_with_what_azure_allows_in_names(self) -> None:
        group = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/Büro_(west).1-東京"
        vm_id = f"{group}/providers/Microsoft.Compute/virtualMachines/vm_1.x-y"

        assert RestoreRequest.from_json(a_request(sourceResourceId=vm_id)).source_resource_id == vm_id

    def test_native_names_of_groups_in_any_script(self) -> None:
        names = {"containerName": "IaasVMContainer;iaasvmcontainerv2;Büro_(west).1-東京;vm_1.x"}
        body = a_request(**{**NAMES, **names})

        assert RestoreRequest.from_json(body).to_json()["containerName"] == names["containerName"]

    def test_null_is_the_same_as_left_out(self) -> None:
        body = {**a_request(), "recoveryPoint": {"id": None}, "zones": None, "requestId": None, "validate": None}

        request = RestoreRequest.from_json(body)

        assert request == RestoreRequest.from_json(a_request(recoveryPoint={}, validate=None))
        assert request.validate_first is True
        assert request.request_id is None

    @given(good_requests())
    @SWIFT
    def test_what_was_accepted_is_accepted_again_and_stays_the_same(self, body: Json) -> None:
        request = RestoreRequest.from_json(body)

        assert RestoreRequest.from_json(json.loads(json.dumps(request.to_json()))) == request

    @pytest.mark.parametrize("timeout", [{}, {"timeout": "PT1M"}, {"timeout": "P365D"}])
    @pytest.mark.parametrize("kind", KINDS)
    def test_an_approval_may_be_asked_for(self, kind: str, timeout: Json) -> None:
        body = {**BASES[kind], "approval": {"required": True, **timeout}}

        request = RestoreRequest.from_json(body)
        assert request.needs_approval is True
        assert request.approval_timeout == parse_duration(timeout.get("timeout", "PT4H"))
        assert RestoreRequest.from_json(body).to_json() == body

    def test_no_approval_is_needed_unless_asked_for(self) -> None:
        asked: list[Json | None] = [None, {}, {"required": False}, {"required": None}, {"timeout": "PT1H"}]

        assert [RestoreRequest.from_json(a_request(approval=approval)).needs_approval for approval in asked] == [
            False
        ] * 5

    @pytest.mark.parametrize("name", ["ada", " Ada ", "ADA\t", "\uff41\uff44\uff41", None, "", " \n", "\u200b"])
    def test_with_a_distinct_approval_the_requester_and_nobody_without_a_name_may_approve(
        self, name: str | None
    ) -> None:
        asked = a_request(requestedBy="Ada", approval={"required": True, "distinct": True})
        plain = a_request(requestedBy="Ada", approval={"required": True})

        assert RestoreRequest.from_json(asked).may_be_approved_by(name) is False
        assert RestoreRequest.from_json(asked).may_be_approved_by("ada2") is True
        assert RestoreRequest.from_json(plain).may_be_approved_by(name) is True

    def test_a_distinct_approval_without_a_requester_says_what_is_needed(self) -> None:
        asked: list[Json | None] = [None, {}, {"required": True}, {"distinct": None}, {"distinct": False}]

        requests = [RestoreRequest.from_json(a_request(approval=approval)) for approval in asked]
        assert [request.needs_other_approver for request in requests] == [False] * 5

    def test_ids_within_arrays_lose_their_trailing_slash_too(self) -> None:
        entry = {"lun": 0, "diskEncryptionSetId": f"{ENCRYPTION_SET}/"}
        settings = {"dataDiskEncryptionSettings": {"perDiskEncryptionSetIds": [entry]}}

        body = RestoreRequest.from_json(a_request(securedVMDetails=settings)).to_json()

        kept = body["securedVMDetails"]["dataDiskEncryptionSettings"]["perDiskEncryptionSetIds"]
        assert kept == [{"lun": 0, "diskEncryptionSetId": ENCRYPTION_SET}]

    @given(good_requests())
    @SWIFT
    def test_the_callers_body_is_left_alone(self, body: Json) -> None:
        before = copy.deepcopy(body)

        RestoreRequest.from_json(body)

        assert body == before


class TestNothingElseGetsThrough:
    @given(damaged(good_requests()))
    @THOROUGH
    def test_a_damaged_request_is_accepted_or_refused_by_name(self, body: Json) -> None:
        seen = verdict(body)

        if isinstance(seen, InvalidRequestError):
            assert seen.details
            assert all(detail.code and detail.message for detail in seen.details)
            json.dumps(seen.to_json())
        else:
            assert RestoreRequest.from_json(seen.to_json()) == seen
            _ = seen.criteria, seen.passed_on, seen.fingerprint, seen.rehydrates, seen.validate_first

    @given(json_values.filter(lambda value: not isinstance(value, dict)))
    @SWIFT
    def test_what_is_no_object_is_refused(self, value: Any) -> None:
        with pytest.raises(InvalidRequestError, match="must be a JSON object") as caught:
            RestoreRequest.from_json(value)

        assert [detail.target for detail in caught.value.details] == [None]


class TestItsSchema:
    def test_is_one(self) -> None:
        Draft202012Validator.check_schema(SCHEMA.schema)

    @pytest.mark.parametrize("body", list(table()))
    def test_takes_every_member_in_good_form(self, body: Json) -> None:
        SCHEMA.validate(body)

    @given(damaged(good_requests()))
    @THOROUGH
    def test_never_refuses_what_is_accepted(self, body: Json) -> None:
        seen = verdict(body)

        if isinstance(seen, RestoreRequest):
            SCHEMA.validate(seen.to_json())

    @given(
        st.from_regex(r"P(\d\d?(\.\d)?W)?(\d\d?(\.\d)?D)?(T(\d\d?H)?(\d\d?M)?(\d\d?(\.\d)?S)?)?[ -Z]?", fullmatch=True)
    )
    @THOROUGH
    def test_knows_the_same_durations(self, text: str) -> None:
        body = a_request(recoveryPoint={"notOlderThan": text})

        assert SCHEMA.is_valid(body) == isinstance(verdict(body), RestoreRequest)

    def test_without_its_source_is_that_of_a_template(self) -> None:
        template = {name: value for name, value in BASES["RestoreDisks"].items() if name != "sourceResourceId"}
        schema = Draft202012Validator(request_schema(with_source=False))

        assert schema.is_valid(template)
        assert not schema.is_valid(BASES["RestoreDisks"])
        assert not SCHEMA.is_valid(template)


class TestWhatARequestSays:
    def test_what_it_wants_of_a_recovery_point(self) -> None:
        criteria = RestoreRequest.from_json(
            a_request(
                recoveryPoint={
                    "id": "1103996678573089",
                    "atOrBefore": "2026-11-20T08:00:00+02:00",
                    "notOlderThan": "P1DT12H",
                    "consistency": ["AppConsistent", "CrashConsistent"],
                    "tiers": ["HardenedRP"],
                }
            )
        ).criteria

        assert criteria.point_id == "1103996678573089"
        assert criteria.at_or_before == datetime(2026, 11, 20, 6, tzinfo=UTC)
        assert criteria.not_older_than == timedelta(hours=36)
        assert criteria.consistency == ("AppConsistent", "CrashConsistent")
        assert criteria.tiers == ("HardenedRP",)

    def test_it_wants_any_point_by_default(self) -> None:
        criteria = RestoreRequest.from_json(a_request()).criteria

        assert criteria == RestoreRequest.from_json(a_request(recoveryPoint={})).criteria
        assert {getattr(criteria, name) for name in criteria.__slots__} == {None}

    def test_it_validates_unless_told_not_to(self) -> None:
        assert RestoreRequest.from_json(a_request(validate=None)).validate_first is True
        assert RestoreRequest.from_json(a_request(validate=True)).validate_first is True
        assert RestoreRequest.from_json(a_request(validate=False)).validate_first is False

    def test_it_rehydrates_only_when_it_says_how(self) -> None:
        info = {"rehydrationPriority": "High"}

        assert RestoreRequest.from_json(a_request(recoveryPointRehydrationInfo=info)).rehydrates is True
        assert RestoreRequest.from_json(a_request()).rehydrates is False

    def test_only_azures_own_members_are_passed_on(self) -> None:
        ours = {
            "recoveryPoint": {"id": "1"},
            "requestId": "r",
            "validate": False,
            "dryRun": False,
            "approval": {},
            "requestedBy": "me",
            "reason": "why",
            **NAMES,
        }
        azures = {
            "storageAccountId": STORAGE_ID,
            "targetResourceGroupId": TARGET_GROUP,
            "zones": ["1"],
            "restoreDiskLunList": [],
        }

        request = RestoreRequest.from_json({**BASES["RestoreDisks"], **ours, **azures})

        assert request.passed_on == azures

    def test_the_members_passed_on_are_those_of_the_contract(self) -> None:
        assert set(PASSED_ON) == {
            *("storageAccountId", "targetResourceGroupId", "targetVirtualMachineId", "virtualNetworkId", "subnetId"),
            *("zones", "diskEncryptionSetId", "restoreDiskLunList", "restoreWithManagedDisks", "identityInfo"),
            *("identityBasedRestoreDetails", "encryptionDetails", "securedVMDetails"),
            *("targetDiskNetworkAccessSettings", "extendedLocation", "recoveryPointRehydrationInfo"),
            "resourceGuardOperationRequests",
        }


class TestFingerprint:
    def test_it_is_what_histories_hold(self) -> None:
        # In production histories: a change would turn every repeated request into a conflict.
        request = RestoreRequest.from_json(a_request(requestId="order-66", zones=["1"], reason="é"))

        assert request.fingerprint == "49bd43d99677873b6e2e2a65aa8bed62d90f0b9754507ca68643e12360ccec5e"

    @given(st.data())
    @SWIFT
    def test_the_order_of_members_does_not_count(self, data: st.DataObject) -> None:
        body = data.draw(good_requests())
        other = data.draw(shuffled(body))

        assert RestoreRequest.from_json(other).fingerprint == RestoreRequest.from_json(body).fingerprint

    @given(good_requests(), good_requests())
    @THOROUGH
    def test_two_requests_share_one_only_if_they_are_equal(self, left: Json, right: Json) -> None:
        one, other = RestoreRequest.from_json(left), RestoreRequest.from_json(right)

        assert (one.fingerprint == other.fingerprint) == (one == other)

    @pytest.mark.parametrize(
        "change",
        [
            {"reason": "another"},
            {"requestId": "order-67"},
            {"validate": True},
            {"restoreDiskLunList": [1, 0]},
            {"restoreDiskLunList": []},
            {"recoveryPoint": {"id": "1"}},
            {"targetResourceGroupId": None},
            {"vaultId": VAULT_ID},
            {"sourceResourceId": VM_ID.upper()},
        ],
    )
    def test_everything_else_counts(self, change: Json) -> None:
        body = a_request(requestId="order-66", restoreDiskLunList=[0, 1])
        changed = {name: value for name, value in {**body, **change}.items() if value is not None}

        assert RestoreRequest.from_json(changed).fingerprint != RestoreRequest.from_json(body).fingerprint


@pytest.mark.parametrize("words", ["", "line one\nline two", "a\ttab", "a\u00a0b", "👩\u200d💻", "日本語"])
@pytest.mark.parametrize("member", ["reason", "requestedBy"])
def test_people_may_write_as_people_write(member: str, words: str) -> None:
    assert RestoreRequest.from_json(a_request(**{member: words})).body[member] == words


@pytest.mark.parametrize(("text", "hours"), [("PT0.5H", 0.5), ("P0.5D", 12), ("PT90M", 1.5), ("P1W", 168)])
def test_durations_may_have_fractions(text: str, hours: float) -> None:
    request = RestoreRequest.from_json(a_request(recoveryPoint={"notOlderThan": text}))

    assert request.criteria.not_older_than == timedelta(hours=hours)
