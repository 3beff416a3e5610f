"""The activities over a scripted Azure: what each finds, and what it says when it finds nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from activities.restores import RestoreActivities
from domain import errors
from domain.envelopes import unseal
from domain.errors import Json, OpenOutcomeError, RestoreError, TerminalError
from domain.times import format_time
from tests.support.azure import CONTAINER, ITEM, VAULT_ID, VM_ID, ScriptedAzure, a_point, a_restore, throttled
from tests.support.hub import START

ITEM_JSON = {
    "vaultId": VAULT_ID,
    "containerName": CONTAINER,
    "protectedItemName": ITEM,
    "sourceResourceId": VM_ID,
    "region": "westeurope",
}
OTHER_VM = VM_ID.replace("web-01", "web-02")


class StandingClock:
    def now(self) -> datetime:
        return START.astimezone(UTC)


@pytest.fixture
def azure() -> ScriptedAzure:
    return ScriptedAzure(StandingClock())


@pytest.fixture
def activities(azure: ScriptedAzure) -> RestoreActivities:
    return RestoreActivities(azure)


def _failure(envelope: Json) -> RestoreError:
    with pytest.raises(RestoreError) as raised:
        unseal(envelope)
    return raised.value


class TestResolveItem:
    @pytest.mark.parametrize(
        "wanted",
        [
            {"sourceResourceId": VM_ID},
            {"sourceResourceId": VM_ID, "vaultId": VAULT_ID},
            {"vaultId": VAULT_ID, "containerName": CONTAINER, "protectedItemName": ITEM},
            {
                "sourceResourceId": VM_ID.upper(),
                "vaultId": VAULT_ID,
                "containerName": CONTAINER,
                "protectedItemName": ITEM,
            },
        ],
    )
    def test_finds_the_same_item_by_any_of_its_names(self, activities: RestoreActivities, wanted: Json) -> None:
        found = unseal(activities.resolve_item(wanted))

        assert {**found, "sourceResourceId": found["sourceResourceId"].casefold()} == {
            **ITEM_JSON,
            "sourceResourceId": VM_ID.casefold(),
        }

    def test_two_calls_are_enough_for_a_vm(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        activities.resolve_item({"sourceResourceId": VM_ID})

        assert azure.calls == {"get_virtual_machine_region": 1, "get_backup_status": 1}

    def test_an_item_of_another_vm_is_refused(self, activities: RestoreActivities) -> None:
        names = {"vaultId": VAULT_ID, "containerName": CONTAINER, "protectedItemName": ITEM}

        error = _failure(activities.resolve_item({"sourceResourceId": OTHER_VM, **names}))

        assert error.code == errors.NOT_PROTECTED
        assert OTHER_VM in error.message

    def test_a_vm_that_the_vault_does_not_hold_is_refused(self, activities: RestoreActivities) -> None:
        error = _failure(activities.resolve_item({"sourceResourceId": OTHER_VM, "vaultId": VAULT_ID}))

        assert error.code == errors.NOT_PROTECTED
        assert "leave vaultId out" in error.message

    @pytest.mark.parametrize("call", ["get_virtual_machine_region", "get_backup_status"])
    def test_other_failures_pass_as_they_are(
        self, activities: RestoreActivities, azure: ScriptedAzure, call: str
    ) -> None:
        azure.fails[call] = [TerminalError(errors.AUTHORIZATION_FAILED, "no role")]

        assert _failure(activities.resolve_item({"sourceResourceId": VM_ID})).code == errors.AUTHORIZATION_FAILED


class TestChooseRecoveryPoint:
    def choose(self, activities: RestoreActivities, **wanted: object) -> Json:
        return activities.choose_recovery_point(
            {"item": ITEM_JSON, "recoveryPoint": wanted, "rehydrates": False, "now": format_time(START)}
        )

    def test_hands_back_the_newest_alone(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.points = [a_point(str(hours), hours) for hours in (5, 2, 9)]

        assert unseal(self.choose(activities))["point"]["id"] == "2"

    def test_a_point_named_by_id_is_fetched_alone(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.points = [a_point("1", 1), a_point("2", 2)]

        assert unseal(self.choose(activities, id="2"))["point"]["id"] == "2"
        assert azure.calls == {"get_recovery_point": 1}

    def test_a_point_named_by_id_that_is_not_there_is_told(self, activities: RestoreActivities) -> None:
        error = _failure(self.choose(activities, id="7"))

        assert error.code == errors.NO_MATCHING_RECOVERY_POINT
        assert "no recovery point 7" in error.message

    def test_another_refusal_of_that_point_passes_as_it_is(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        azure.fails["get_recovery_point"] = [TerminalError(errors.AUTHORIZATION_FAILED, "no role")]

        assert _failure(self.choose(activities, id="7")).code == errors.AUTHORIZATION_FAILED


class TestStartRestore:
    def start(self, activities: RestoreActivities) -> Json:
        return activities.start_restore(
            {
                "item": ITEM_JSON,
                "pointId": "1",
                "body": {"properties": {"recoveryPointId": "1"}},
                "vaultId": VAULT_ID,
                "clientRequestId": a_restore().client_request_id,
                "since": format_time(START),
            }
        )

    def test_posts_and_says_where_to_follow(self, activities: RestoreActivities) -> None:
        assert unseal(self.start(activities)) == {
            "operationId": "operation-1",
            "url": "https://azure/op-1",
            "retryAfterS": 60.0,
        }

    def test_run_again_it_adopts_what_it_started(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        self.start(activities)

        assert unseal(self.start(activities)) == {"jobId": "job-1"}
        assert azure.calls["trigger_restore"] == 1

    def test_a_look_that_fails_keeps_it_from_posting(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.fails["find_restore_job"] = [throttled(5)]

        error = _failure(self.start(activities))

        assert error.retryable
        assert azure.calls["trigger_restore"] == 0

    def test_an_open_answer_is_told_as_open(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.posts = ["lost"]

        assert isinstance(_failure(self.start(activities)), OpenOutcomeError)


def test_recovery_points_come_newest_first_each_with_its_verdict(
    activities: RestoreActivities, azure: ScriptedAzure
) -> None:
    azure.points = [
        a_point("old", 30),
        a_point("no-time", recoveryPointTime=None),
        a_point("new", 1, recoveryPointProperties={"isSoftDeleted": True}),
    ]

    listed = activities.recovery_points(VM_ID)

    assert [point["id"] for point in listed] == ["new", "old", "no-time"]
    assert [point["restorable"] for point in listed] == [False, True, False]
    assert listed[0]["reasons"] == ["it is soft-deleted"]


def test_a_failure_that_nobody_named_stays_an_exception(activities: RestoreActivities, azure: ScriptedAzure) -> None:
    azure.fails["get_job"] = [ZeroDivisionError("a bug")]

    with pytest.raises(ZeroDivisionError):
        activities.get_job({"vaultId": VAULT_ID, "jobId": "job-1"})
