"""The activities over a scripted Azure: what each finds, and what it says when it finds nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.restores import RestoreActivities
from domain import errors
from domain.azure import restore_constraints
from domain.envelopes import unseal
from domain.errors import Json, RestoreError, TerminalError, UnknownOutcomeError
from domain.times import format_time
from tests.support.azure import (
    CONTAINER,
    ITEM,
    STORAGE_ID,
    VAULT_ID,
    VM_ID,
    ScriptedAzure,
    a_point,
    a_request,
    a_restore,
    throttled,
)
from tests.support.hub import START, Clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from domain.recovery_points import RecoveryPoint

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
    return RestoreActivities(azure, clock=StandingClock().now)


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


def prepare(activities: RestoreActivities, request: Json, progress: Json | None = None) -> Json:
    asked = {"item": ITEM_JSON, "request": request, "now": format_time(START), "progress": progress}
    return activities.prepare_restore(asked)


class TestChooseRecoveryPoint:
    def choose(self, activities: RestoreActivities, *, plan: bool = False, **wanted: object) -> Json:
        return prepare(activities, a_request(recoveryPoint=wanted, dryRun=plan))

    def test_hands_back_the_newest_alone(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.points = [a_point(str(hours), hours) for hours in (5, 2, 9)]

        assert unseal(self.choose(activities))["point"]["id"] == "2"

    def test_a_point_named_by_id_is_fetched_alone(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.points = [a_point("1", 1), a_point("2", 2)]

        assert unseal(self.choose(activities, id="2"))["point"]["id"] == "2"
        assert azure.calls == {"get_recovery_point": 1, "list_resource_guard_proxies": 1}

    def test_a_point_named_by_id_that_is_not_there_is_told(self, activities: RestoreActivities) -> None:
        error = _failure(self.choose(activities, id="7"))

        assert error.code == errors.NO_MATCHING_RECOVERY_POINT
        assert "no recovery point 7" in error.message

    def test_another_refusal_of_that_point_passes_as_it_is(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        azure.fails["get_recovery_point"] = [TerminalError(errors.AUTHORIZATION_FAILED, "no role")]

        assert _failure(self.choose(activities, id="7")).code == errors.AUTHORIZATION_FAILED

    def test_a_plan_gets_the_verdict_on_each_candidate(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        azure.points = [a_point("9", 9), a_point("2", 2), a_point("1", 1, recoveryPointType="CrashConsistent")]

        chosen = unseal(self.choose(activities, plan=True, consistency=["AppConsistent"]))

        assert chosen["point"]["id"] == "2"
        assert [(each["id"], each["chosen"], each["reasons"]) for each in chosen["candidates"]] == [
            ("1", False, ["it is not AppConsistent"]),
            ("2", True, []),
            ("9", False, ["another point that can be restored is newer or more consistent"]),
        ]

    def test_without_a_plan_no_candidate_enters_the_history(self, activities: RestoreActivities) -> None:
        assert unseal(self.choose(activities))["candidates"] == []

    def test_a_plan_for_a_point_named_by_id_still_judges_all(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        azure.points = [a_point("1", 1), a_point("2", 2)]

        assert len(unseal(self.choose(activities, plan=True, id="2"))["candidates"]) == 2

    def test_a_plan_without_a_point_has_its_verdicts_and_is_not_checked(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        found = unseal(self.choose(activities, plan=True, id="7"))

        assert (found["point"], found["error"]["code"]) == (None, errors.NO_MATCHING_RECOVERY_POINT)
        assert len(found["candidates"]) == 1
        assert azure.calls == {"list_recovery_points": 1}


def outcome(act: Callable[[], Json]) -> Json:
    try:
        return act()
    except TerminalError as error:
        return error.to_json()


class TestALongList:
    """A list that takes long is read in slices, each far shorter than the host lets a function run."""

    def slices(self, request: Json, points: list[RecoveryPoint]) -> tuple[Json, list[Json], ScriptedAzure]:
        """Prepare over pages of two points that take 40 s each; returns the result, the states between, Azure."""
        clock = Clock()
        azure = ScriptedAzure(clock, points=points, page_size=2)
        azure.before["list_recovery_points"] = [lambda: clock.advance(timedelta(seconds=40))] * len(points)
        activities = RestoreActivities(azure, clock=clock.now)
        between: list[Json] = []
        prepared = unseal(prepare(activities, request))
        while "progress" in prepared:
            between.append(json.loads(json.dumps(prepared["progress"])))
            prepared = unseal(prepare(activities, request, between[-1]))
        return prepared, between, azure

    @given(st.lists(st.tuples(st.integers(1, 400), st.booleans()), min_size=1, max_size=12), st.booleans())
    @settings(deadline=None)
    def test_comes_to_the_same_choice(self, ages: list[tuple[int, bool]], plan: bool) -> None:
        kinds = {True: "AppConsistent", False: "CrashConsistent"}
        points = [
            a_point(str(number), hours, recoveryPointType=kinds[app], isSourceVMEncrypted=app)
            for number, (hours, app) in enumerate(ages)
        ]
        request = a_request(dryRun=plan, recoveryPoint={"consistency": ["AppConsistent"], "notOlderThan": "P10D"})
        at_once = ScriptedAzure(Clock(), points=points)

        wanted = outcome(lambda: unseal(prepare(RestoreActivities(at_once, clock=at_once.clock.now), request)))

        assert outcome(lambda: self.slices(request, points)[0]) == wanted

    def test_no_slice_reads_for_much_longer_than_a_minute(self) -> None:
        _, between, azure = self.slices(a_request(), [a_point(str(number), number + 1) for number in range(12)])

        assert len(between) == 3
        assert azure.calls["list_recovery_points"] == 6

    def test_a_list_that_took_long_is_not_read_again_for_the_checks(self) -> None:
        _, between, azure = self.slices(a_request(), [a_point(str(number), number + 1) for number in range(4)])

        assert [each["isRead"] for each in between] == [True]
        assert azure.calls["list_recovery_points"] == 2

    def test_one_without_an_end_is_given_up(self) -> None:
        with pytest.raises(TerminalError, match="Name the point in the request"):
            self.slices(a_request(), [a_point(str(number), 2) for number in range(200)])


class TestCheckRestore:
    PLAIN: ClassVar[Json] = {"encrypted": False, "managed": True, "tiers": ["InstantRP", "HardenedRP"]}

    def check(self, activities: RestoreActivities, facts: Json | None = None, **members: Any) -> Json:
        facts = facts or self.PLAIN
        tiers = [{"type": tier, "status": "Valid"} for tier in facts["tiers"]]
        kind = {"isSourceVMEncrypted": facts["encrypted"], "isManagedVirtualMachine": facts["managed"]}
        azure = cast("ScriptedAzure", activities._api)
        azure.points = [a_point(recoveryPointTierDetails=tiers, **kind)]
        return prepare(activities, a_request(**members))

    def test_a_plain_restore_asks_for_the_guard_alone(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        checked = unseal(self.check(activities))

        assert (checked["guardRequests"], checked["warnings"], checked["validation"]) == ([], [], None)
        assert azure.calls == {"list_recovery_points": 1, "list_resource_guard_proxies": 1}

    def test_requests_to_the_guard_given_by_the_caller_are_enough(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        self.check(activities, resourceGuardOperationRequests=["/subscriptions/s/guard"])

        assert azure.calls == {"list_recovery_points": 1}

    def test_the_guard_of_the_vault_is_named(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        operation = restore_constraints.GUARDED_OPERATION.upper()
        details = [
            {"vaultCriticalOperation": "Microsoft.RecoveryServices/vaults/delete", "defaultResourceRequest": "/other"},
            {"vaultCriticalOperation": operation, "defaultResourceRequest": "/guard/request"},
        ]
        azure.guard_proxies = [{"properties": {"resourceGuardOperationDetails": details}}, {"properties": None}]

        assert unseal(self.check(activities))["guardRequests"] == ["/guard/request"]

    def test_disks_without_a_target_group_are_warned_about(self, activities: RestoreActivities) -> None:
        warnings = unseal(self.check(activities, targetResourceGroupId=None))["warnings"]

        assert [warning["code"] for warning in warnings] == ["UnmanagedDisks"]

    def test_unmanaged_disks_without_a_target_group_are_not(self, activities: RestoreActivities) -> None:
        facts = {**self.PLAIN, "managed": False}

        assert unseal(self.check(activities, facts, targetResourceGroupId=None))["warnings"] == []

    @pytest.mark.parametrize(
        ("staging", "complaint"),
        [
            ({"location": "northeurope"}, "in northeurope"),
            ({"location": "West Europe", "sku": {"name": "Standard_ZRS"}}, "zone-redundant"),
            ({"location": "westeurope", "sku": {"name": "Standard_RAGZRS"}}, "zone-redundant"),
            ({"location": "westeurope", "kind": "BlobStorage"}, "BlobStorage"),
        ],
    )
    def test_a_staging_account_that_cannot_serve_is_refused(
        self, activities: RestoreActivities, azure: ScriptedAzure, staging: Json, complaint: str
    ) -> None:
        azure.staging = staging

        error = _failure(self.check(activities, validate=True))

        assert error.code == errors.VALIDATION_FAILED
        assert complaint in error.message
        assert error.details[0].target == "storageAccountId"

    def test_one_behind_an_identity_is_checked_too(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.staging = {"location": "northeurope"}
        identity = {
            "storageAccountId": None,
            "identityInfo": {"isSystemAssignedIdentity": True},
            "identityBasedRestoreDetails": {"targetStorageAccountId": STORAGE_ID},
        }

        error = _failure(self.check(activities, validate=True, **identity))

        assert error.details[0].target == "identityBasedRestoreDetails.targetStorageAccountId"

    def test_one_that_does_not_exist_is_refused(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.fails["get_storage_account"] = [TerminalError(errors.NOT_FOUND, "no such account")]

        assert "does not exist" in _failure(self.check(activities, validate=True)).message

    def test_one_that_may_not_be_read_is_a_warning(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.fails["get_storage_account"] = [TerminalError(errors.AUTHORIZATION_FAILED, "no role")]

        warnings = unseal(self.check(activities, validate=True))["warnings"]

        assert [warning["code"] for warning in warnings] == ["StagingAccountNotChecked"]

    def test_every_broken_rule_is_named_at_once(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.vault = {"properties": {"redundancySettings": {"standardTierStorageRedundancy": "GeoRedundant"}}}
        facts = {"encrypted": True, "managed": True, "tiers": ["InstantRP"]}

        error = _failure(self.check(activities, facts, zones=["1"], restoreDiskLunList=[0]))

        assert [detail.target for detail in error.details] == ["zones", "zones", "restoreDiskLunList", "zones"]


class TestStartValidation:
    def test_the_service_is_asked_about_the_body_that_would_be_sent(self, activities: RestoreActivities) -> None:
        prepared = unseal(prepare(activities, a_request(validate=True)))

        assert prepared["validation"]["operationId"] == "validation-1"
        assert prepared["retryAfterS"] == 10

    def test_where_the_service_lacks_the_call_it_goes_on_with_a_warning(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        azure.fails["trigger_validation"] = [TerminalError(errors.NOT_FOUND, "no such call")]

        prepared = unseal(prepare(activities, a_request(validate=True)))

        assert prepared["validation"] is None
        assert [each["code"] for each in prepared["warnings"]] == ["ValidationUnavailable"]

    def test_every_other_refusal_is_one(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.fails["trigger_validation"] = [TerminalError(errors.VALIDATION_FAILED, "no")]

        assert _failure(prepare(activities, a_request(validate=True))).code == errors.VALIDATION_FAILED


class Marks:
    """What all processes of the app have in common: the posts that were begun."""

    def __init__(self) -> None:
        self.begun: list[Json] = []

    def __call__(self, data: Json) -> bool:
        self.begun.append(data)
        return self.begun.count(data) == 1


class TestStartRestore:
    def start(
        self,
        activities: RestoreActivities,
        *,
        asked: timedelta = timedelta(0),
        marks: Marks | None = None,
        attempt: int = 1,
    ) -> Json:
        return activities.start_restore(
            {
                "item": ITEM_JSON,
                "pointId": "1",
                "body": {"properties": {"recoveryPointId": "1"}},
                "vaultId": VAULT_ID,
                "clientRequestId": a_restore().client_request_id,
                "attempt": attempt,
                "askedTime": format_time(START + asked),
            },
            marks or Marks(),
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

    def test_run_again_before_its_job_is_listed_it_does_not_post(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        azure.listed_after = timedelta(hours=1)
        self.start(activities)

        assert isinstance(_failure(self.start(activities)), UnknownOutcomeError)
        assert azure.calls["trigger_restore"] == 1

    @pytest.mark.parametrize("deliveries", [2, 5])
    def test_delivered_to_one_new_process_after_another_it_posts_once(
        self, azure: ScriptedAzure, deliveries: int
    ) -> None:
        azure.listed_after = timedelta(seconds=30)
        marks = Marks()

        first, *others = [
            self.start(RestoreActivities(azure, clock=StandingClock().now), marks=marks) for _ in range(deliveries)
        ]

        assert unseal(first)["operationId"] == "operation-1"
        assert {_failure(each).code for each in others} == {errors.LATE_DELIVERY}
        assert len(azure.jobs) == 1

    def test_a_second_attempt_has_a_mark_of_its_own(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.posts = ["unheard"]
        marks = Marks()
        self.start(activities, asked=-timedelta(seconds=110), marks=marks)

        assert "operationId" in unseal(self.start(activities, marks=marks, attempt=2))

    def test_nothing_is_marked_by_a_delivery_that_finds_its_job(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        self.start(activities)
        marks = Marks()

        assert unseal(self.start(RestoreActivities(azure, clock=StandingClock().now), marks=marks)) == {
            "jobId": "job-1"
        }
        assert marks.begun == []

    @pytest.mark.parametrize(("minutes", "posts"), [(-1, 1), (-3, 0)])
    def test_delivered_minutes_late_it_does_not_post(
        self, activities: RestoreActivities, azure: ScriptedAzure, minutes: int, posts: int
    ) -> None:
        self.start(activities, asked=timedelta(minutes=minutes))

        assert azure.calls["trigger_restore"] == posts

    def test_a_look_that_fails_keeps_it_from_posting(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.fails["find_restore_job"] = [throttled(5)]

        error = _failure(self.start(activities))

        assert error.retryable
        assert azure.calls["trigger_restore"] == 0

    def test_an_open_answer_is_told_as_open(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.posts = ["lost"]

        assert isinstance(_failure(self.start(activities)), UnknownOutcomeError)


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
