"""Deployments and made resources are read as Azure sends them, and from anything else without a surprise."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.azure.deployments import Deployment, MadeResource

DISK_MISSING = {"code": "NotFound", "message": "Disk os is not found.", "target": "/disks/os"}


def a_deployment(state: Any, **properties: Any) -> Deployment:
    return Deployment.from_api({"properties": {"provisioningState": state, **properties}})


def error_of(error: Any) -> list[tuple[str, str]]:
    found = a_deployment("Failed", error=error).error
    assert found is not None
    return [(detail["code"], detail["message"]) for detail in found["details"]]


class TestDeployments:
    @pytest.mark.parametrize("state", ["Accepted", "Running", "Creating", "Ready", "SomethingNew", None, 5, "RUNNING"])
    def test_those_without_an_end_run(self, state: Any) -> None:
        assert a_deployment(state) == Deployment(is_running=True)

    def test_one_that_succeeded_says_what_it_made(self) -> None:
        made = a_deployment("Succeeded", outputResources=[{"id": "/a"}, {}, 5, {"id": "/b"}])

        assert made == Deployment(is_running=False, made=("/a", "/b"))

    @pytest.mark.parametrize("state", ["Running", "Failed", "Canceled"])
    def test_one_that_did_not_succeed_says_what_it_may_have_made(self, state: str) -> None:
        needs = [
            {"id": "/vm", "dependsOn": [{"id": "/nic"}, 5, {}]},
            {"id": "/nic", "dependsOn": [{"id": "/address"}]},
            "odd",
        ]

        assert a_deployment(state, dependencies=needs).made == ("/vm", "/nic", "/address")

    def test_one_that_succeeded_made_nothing_but_what_it_says(self) -> None:
        needs = [{"id": "/vm", "dependsOn": [{"id": "/was/there/before"}]}]

        assert a_deployment("Succeeded", outputResources=[{"id": "/vm"}], dependencies=needs).made == ("/vm",)

    @pytest.mark.parametrize("state", ["Failed", "Canceled", "failed"])
    def test_one_that_failed_has_an_error_even_if_azure_names_none(self, state: str) -> None:
        found = a_deployment(state)

        assert not found.is_running
        assert found.error is not None
        assert found.error["code"] == "DeploymentFailed"
        assert state.lower() in found.error["message"]

    def test_the_reason_is_what_is_inside_of_the_error(self) -> None:
        outer = {"code": "DeploymentFailed", "message": "See the operations.", "details": [DISK_MISSING]}

        assert error_of(outer) == [("NotFound", "Disk os is not found.")]

    def test_the_reason_may_be_json_in_a_message(self) -> None:
        inner = {"code": "Conflict", "message": json.dumps({"error": {"code": "QuotaExceeded", "message": "0 cores."}})}

        assert error_of({"code": "DeploymentFailed", "message": "x", "details": [inner]}) == [
            ("QuotaExceeded", "0 cores.")
        ]

    def test_several_reasons_are_kept_in_their_order(self) -> None:
        outer = {
            "code": "DeploymentFailed",
            "message": "x",
            "details": [DISK_MISSING, {"code": "Other", "message": "y", "details": [{"code": "Deep", "message": "z"}]}],
        }

        assert [code for code, _ in error_of(outer)] == ["NotFound", "Other", "Deep"]

    def test_a_message_that_only_looks_like_json_stays(self) -> None:
        assert error_of({"code": "Odd", "message": "{0} is missing"}) == [("Odd", "{0} is missing")]

    def test_errors_without_end_are_cut(self) -> None:
        error: Any = {"code": "E", "message": "m", "details": [{"code": f"E{n}", "message": "m"} for n in range(100)]}
        deep: Any = {"code": "E", "message": "m"}
        for _ in range(100):
            deep = {"code": "E", "message": "m", "details": [deep]}

        assert len(error_of(error)) == 20
        assert len(error_of(deep)) < 10

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=10),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["properties", "provisioningState", "error", "code", "message", "details", "id", "tags"]
                    ),
                    inner,
                    max_size=4,
                )
            ),
        )
    )
    def test_whatever_azure_sends(self, value: Any) -> None:
        body = value if isinstance(value, dict) else {"properties": value}

        Deployment.from_api(body)
        MadeResource.from_api(body)


class TestMadeResources:
    @pytest.mark.parametrize(
        ("state", "is_changing", "has_failed"),
        [
            ("Succeeded", False, False),
            ("Creating", True, False),
            ("updating", True, False),
            ("Deleting", True, False),
            ("Failed", False, True),
            ("Canceled", False, True),
            (None, False, False),
        ],
    )
    def test_their_state(self, state: Any, is_changing: bool, has_failed: bool) -> None:
        found = MadeResource.from_api({"properties": {"provisioningState": state}})

        assert (found.is_changing, found.has_failed, found.restore_id) == (is_changing, has_failed, None)

    @pytest.mark.parametrize("name", ["restore-id", "Restore-Id"])
    def test_the_restore_that_made_them(self, name: str) -> None:
        assert MadeResource.from_api({"tags": {"team": "web", name: "r-1"}}).restore_id == "r-1"

    @pytest.mark.parametrize("tags", [None, [], {"restore-id": 5}, {"restore": "r-1"}])
    def test_that_no_restore_made(self, tags: Any) -> None:
        assert MadeResource.from_api({"tags": tags}).restore_id is None
