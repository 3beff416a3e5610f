"""What a request may ask to be done with the restored disks."""

from __future__ import annotations

from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator

from domain.errors import InvalidRequestError
from domain.request_schema import request_schema
from domain.requests import RestoreRequest
from tests.support.azure import SUBSCRIPTION, TARGET_GROUP, VM_ID, a_request

NETWORKING: Final = f"{TARGET_GROUP}/providers/Microsoft.Network"
SUBNET: Final = f"{NETWORKING}/virtualNetworks/hub/subnets/test"
NEW_VM: Final = f"{TARGET_GROUP}/providers/Microsoft.Compute/virtualMachines/web-02"
SET: Final = f"{TARGET_GROUP}/providers/Microsoft.Compute/availabilitySets/set"
GUARD: Final = f"{NETWORKING}/networkSecurityGroups/closed"
IDENTITY: Final = f"{TARGET_GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/app"
ELSEWHERE: Final = "/subscriptions/22222222-2222-2222-2222-222222222222"
OWN: Final[dict[str, Any]] = {"name": "web-02", "subnetId": SUBNET}
SCHEMA: Final = Draft202012Validator(request_schema())


def problems(**members: Any) -> dict[str | None, str]:
    """Return the problems of a request by their targets; and check that the schema has no others."""
    body = a_request(**members)
    try:
        RestoreRequest.from_json(body)
    except InvalidRequestError as error:
        return {detail.target: detail.message for detail in error.details}
    assert SCHEMA.is_valid(body), list(SCHEMA.iter_errors(body))
    return {}


def refused_by_schema(**members: Any) -> bool:
    return not SCHEMA.is_valid(a_request(**members))


def creation(**members: Any) -> dict[str, Any]:
    return {
        "thenCreateVirtualMachine": {name: value for name, value in {**OWN, **members}.items() if value is not None}
    }


def attachment(**members: Any) -> dict[str, Any]:
    return {"thenAttachDisks": {"virtualMachineId": VM_ID, **members}}


class TestANewMachine:
    @pytest.mark.parametrize(
        "members",
        [
            {},
            {"name": None, "virtualMachineId": NEW_VM},
            {"template": True, "start": False},
            {"template": False, "size": "Standard_D2s_v5"},
            {
                "privateIpAddress": "10.0.0.9",
                "networkSecurityGroupId": GUARD,
                "availabilitySetId": SET,
                "tags": {"team": "web", "empty": ""},
                "userAssignedIdentityIds": [IDENTITY],
                "licenseType": "Windows_Server",
            },
        ],
    )
    def test_may_be_asked_for(self, members: dict[str, Any]) -> None:
        assert problems(**creation(**members)) == {}

    def test_has_the_zone_of_its_disks(self) -> None:
        assert problems(zones=["2"], **creation(zone="2")) == {}
        for zones in (None, ["1"], ["NoZone"]):
            assert "thenCreateVirtualMachine.zone" in problems(zones=zones, **creation(zone="2"))

    def test_has_its_id_from_the_target_group(self) -> None:
        request = RestoreRequest.from_json(a_request(**creation()))

        assert request.new_virtual_machine_id == NEW_VM
        named = RestoreRequest.from_json(a_request(**creation(name=None, virtualMachineId=NEW_VM.upper())))
        assert named.new_virtual_machine_id == NEW_VM.upper()
        assert RestoreRequest.from_json(a_request()).new_virtual_machine_id is None

    @pytest.mark.parametrize("members", [{"name": None}, {"virtualMachineId": NEW_VM}])
    def test_is_named_once(self, members: dict[str, Any]) -> None:
        assert "thenCreateVirtualMachine.name" in problems(**creation(**members))
        assert refused_by_schema(**creation(**members))

    @pytest.mark.parametrize(
        ("member", "value"),
        [
            ("name", "web/02"),
            ("name", "web-"),
            ("name", ""),
            ("subnetId", NEW_VM),
            ("subnetId", None),
            ("size", "Standard D2"),
            ("privateIpAddress", "10.0.0"),
            ("tags", {"a<b": "x"}),
            ("tags", {"a": 5}),
            ("tags", {"a": "x" * 257}),
            ("tags", {f"t{n}": "x" for n in range(41)}),
            ("tags", []),
            ("userAssignedIdentityIds", []),
            ("userAssignedIdentityIds", [NEW_VM]),
            ("licenseType", "Windows Server"),
            ("networkSecurityGroupId", SUBNET),
            ("availabilitySetId", NEW_VM),
            ("start", "yes"),
            ("template", 1),
        ],
    )
    def test_is_refused_by_name(self, member: str, value: Any) -> None:
        found = problems(**creation(**{member: value}))

        assert [target for target in found if str(target).startswith(f"thenCreateVirtualMachine.{member}")]
        assert refused_by_schema(**creation(**{member: value}))

    def test_has_no_tags_that_azure_takes_for_one(self) -> None:
        assert (
            "differ only in case"
            in problems(**creation(tags={"Team": "a", "team": "b"}))["thenCreateVirtualMachine.tags"]
        )

    @pytest.mark.parametrize(
        ("member", "value"),
        [
            ("size", "Standard_D2s_v5"),
            ("zone", "1"),
            ("privateIpAddress", "10.0.0.9"),
            ("networkSecurityGroupId", GUARD),
            ("availabilitySetId", SET),
            ("tags", {"a": "b"}),
            ("userAssignedIdentityIds", [IDENTITY]),
            ("licenseType", "Windows_Server"),
        ],
    )
    def test_of_the_template_takes_names_alone(self, member: str, value: Any) -> None:
        members = creation(template=True, **{member: value})

        assert f"thenCreateVirtualMachine.{member}" in problems(zones=["1"], **members)
        assert refused_by_schema(zones=["1"], **members)

    def test_is_not_in_a_zone_and_in_an_availability_set(self) -> None:
        found = problems(zones=["1"], **creation(zone="1", availabilitySetId=SET))

        assert list(found) == ["thenCreateVirtualMachine.availabilitySetId"]

    def test_is_not_the_vm_that_was_backed_up(self) -> None:
        group, _, name = VM_ID.partition("/providers/Microsoft.Compute/virtualMachines/")

        found = problems(targetResourceGroupId=group, **creation(name=name.upper()))

        assert "thenSwapDisks" in found["thenCreateVirtualMachine.name"]

    def test_is_in_the_target_group(self) -> None:
        found = problems(**creation(name=None, virtualMachineId=VM_ID.replace("web-01", "web-02")))

        assert found == {"thenCreateVirtualMachine.virtualMachineId": "must be in targetResourceGroupId"}

    @pytest.mark.parametrize("member", ["subnetId", "networkSecurityGroupId", "availabilitySetId"])
    def test_uses_resources_of_its_own_subscription(self, member: str) -> None:
        there = {"subnetId": SUBNET, "networkSecurityGroupId": GUARD, "availabilitySetId": SET}[member]

        found = problems(**creation(**{member: there.replace(SUBSCRIPTION, ELSEWHERE)}))

        assert list(found) == [f"thenCreateVirtualMachine.{member}"]


class TestAnAttachment:
    @pytest.mark.parametrize("members", [{}, {"luns": [0, 3]}, {"luns": [-1]}, {"deleteOthers": True}])
    def test_may_be_asked_for(self, members: dict[str, Any]) -> None:
        assert problems(**attachment(**members)) == {}

    def test_is_of_disks_that_are_restored(self) -> None:
        assert problems(restoreDiskLunList=[0, 1], **attachment(luns=[1, -1])) == {}
        found = problems(restoreDiskLunList=[0, 1], **attachment(luns=[1, 2, 5]))
        assert "LUN 2, 5" in found["thenAttachDisks.luns"]

    def test_is_to_a_vm_of_its_own_subscription(self) -> None:
        found = problems(**attachment(virtualMachineId=VM_ID.replace(SUBSCRIPTION, ELSEWHERE)))

        assert list(found) == ["thenAttachDisks.virtualMachineId"]

    @pytest.mark.parametrize(
        ("member", "value"), [("luns", []), ("luns", [0, 0]), ("luns", [-2]), ("virtualMachineId", None), ("lun", 1)]
    )
    def test_is_refused_by_name(self, member: str, value: Any) -> None:
        found = problems(**attachment(**{member: value}))

        assert [target for target in found if str(target).startswith(f"thenAttachDisks.{member}")]


class TestTogether:
    FOLLOW_UPS: Final = ({"thenSwapDisks": {}}, creation(), attachment())

    @pytest.mark.parametrize("first", FOLLOW_UPS, ids=lambda member: next(iter(member)))
    @pytest.mark.parametrize("second", FOLLOW_UPS, ids=lambda member: next(iter(member)))
    def test_a_restore_does_one_thing_with_its_disks(self, first: dict[str, Any], second: dict[str, Any]) -> None:
        members = {**first, **second}

        assert (problems(**members) == {}) == (len(members) == 1)
        assert refused_by_schema(**members) == (len(members) == 2)

    @pytest.mark.parametrize("follow_up", FOLLOW_UPS[1:], ids=lambda member: next(iter(member)))
    def test_needs_a_place_for_the_disks(self, follow_up: dict[str, Any]) -> None:
        assert "targetResourceGroupId" in problems(targetResourceGroupId=None, **follow_up)

    @pytest.mark.parametrize("follow_up", FOLLOW_UPS, ids=lambda member: next(iter(member)))
    @pytest.mark.parametrize("recovery_type", ["AlternateLocation", "OriginalLocation"])
    def test_is_for_disks_alone(self, follow_up: dict[str, Any], recovery_type: str) -> None:
        found = problems(recoveryType=recovery_type, **follow_up)

        assert next(iter(follow_up)) in found

    @pytest.mark.parametrize("follow_up", FOLLOW_UPS, ids=lambda member: next(iter(member)))
    def test_is_for_managed_disks(self, follow_up: dict[str, Any]) -> None:
        assert next(iter(follow_up)) in problems(restoreWithManagedDisks=False, **follow_up)

    @pytest.mark.parametrize("follow_up", [{}, *FOLLOW_UPS])
    def test_is_known_to_the_request(self, follow_up: dict[str, Any]) -> None:
        assert RestoreRequest.from_json(a_request(**follow_up)).has_follow_up == bool(follow_up)
