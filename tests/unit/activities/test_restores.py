"""The activities over a scripted Azure: what each finds, and what it says when it finds nothing."""

from __future__ import annotations

import json
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.restores import RestoreActivities
from domain import errors
from domain.answers import Answer
from domain.azure import restore_constraints
from domain.azure.jobs import OperationStatus
from domain.azure.machine_sizes import MachineSize
from domain.azure.management_locks import ManagementLock
from domain.azure.permissions import READ_BLOBS, Permission
from domain.azure.point_search import SearchProgress
from domain.azure.protected_items import ProtectedItem
from domain.azure.validation import Validation
from domain.codec import pack, unpack
from domain.envelopes import unseal
from domain.errors import ErrorDetail, Json, RestoreError, TerminalError, TransientError, UnknownOutcomeError
from domain.requests import RestoreRequest
from domain.restore.answers import AcceptedOperation, NoPointForPlan, Preparation, Started, StillReading
from domain.restore.calls import (
    GetJob,
    GetValidation,
    ListRestoredDisks,
    PrepareRestore,
    ResolveItem,
    StartRestore,
)
from domain.watch.calls import ListRunningJobs, RunningJobs
from queries.recovery_points import list_recovery_points
from tests.support.azure import (
    CONTAINER,
    ITEM,
    STORAGE_ID,
    TARGET_GROUP,
    VAULT_ID,
    VM_ID,
    MadeJob,
    ScriptedAzure,
    a_point,
    a_request,
    a_restore,
    throttled,
)
from tests.support.hub import START, Clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from domain.azure.recovery_points import RecoveryPoint
    from domain.restore.answers import Prepared

THE_ITEM = ProtectedItem(
    vault_id=VAULT_ID,
    container_name=CONTAINER,
    protected_item_name=ITEM,
    source_resource_id=VM_ID,
    region="westeurope",
)
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


def _failure(act: Callable[[], object]) -> RestoreError:
    with pytest.raises(RestoreError) as raised:
        act()
    return raised.value


class TestResolveItem:
    @pytest.mark.parametrize(
        "wanted",
        [
            ResolveItem(source_resource_id=VM_ID),
            ResolveItem(source_resource_id=VM_ID, vault_id=VAULT_ID),
            ResolveItem(vault_id=VAULT_ID, container_name=CONTAINER, protected_item_name=ITEM),
            ResolveItem(
                source_resource_id=VM_ID.upper(),
                vault_id=VAULT_ID,
                container_name=CONTAINER,
                protected_item_name=ITEM,
            ),
        ],
    )
    def test_finds_the_same_item_by_any_of_its_names(self, activities: RestoreActivities, wanted: ResolveItem) -> None:
        found = activities.resolve_item(wanted).value

        assert found.source_resource_id.casefold() == VM_ID.casefold()
        assert replace(found, source_resource_id=VM_ID) == THE_ITEM

    def test_two_calls_are_enough_for_a_vm(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        activities.resolve_item(ResolveItem(source_resource_id=VM_ID))

        assert azure.calls == {"get_virtual_machine_region": 1, "get_backup_status": 1}

    def test_an_item_of_another_vm_is_refused(self, activities: RestoreActivities) -> None:
        wanted = ResolveItem(
            source_resource_id=OTHER_VM, vault_id=VAULT_ID, container_name=CONTAINER, protected_item_name=ITEM
        )

        error = _failure(lambda: activities.resolve_item(wanted))

        assert error.code == errors.NOT_PROTECTED
        assert OTHER_VM in error.message

    def test_a_vm_that_the_vault_does_not_hold_is_refused(self, activities: RestoreActivities) -> None:
        wanted = ResolveItem(source_resource_id=OTHER_VM, vault_id=VAULT_ID)

        error = _failure(lambda: activities.resolve_item(wanted))

        assert error.code == errors.NOT_PROTECTED
        assert "leave vaultId out" in error.message

    @pytest.mark.parametrize("call", ["get_virtual_machine_region", "get_backup_status"])
    def test_other_failures_pass_as_they_are(
        self, activities: RestoreActivities, azure: ScriptedAzure, call: str
    ) -> None:
        azure.fails[call] = [TerminalError(errors.AUTHORIZATION_FAILED, "no role")]

        error = _failure(lambda: activities.resolve_item(ResolveItem(source_resource_id=VM_ID)))

        assert error.code == errors.AUTHORIZATION_FAILED


def prepare(
    activities: RestoreActivities,
    request: Json,
    progress: SearchProgress | None = None,
    *,
    item: ProtectedItem = THE_ITEM,
) -> Answer[Prepared]:
    wanted = RestoreRequest.from_json(request)
    return activities.prepare_restore(PrepareRestore(item=item, request=wanted, now=START, progress=progress))


def prepared(activities: RestoreActivities, request: Json) -> Preparation:
    """Return what was prepared of a request that has a point."""
    found = prepare(activities, request).value
    assert isinstance(found, Preparation)
    return found


class TestChooseRecoveryPoint:
    def choose(self, activities: RestoreActivities, *, plan: bool = False, **wanted: object) -> Preparation:
        return prepared(activities, a_request(recoveryPoint=wanted, dryRun=plan))

    def test_hands_back_the_newest_alone(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.points = [a_point(str(hours), hours) for hours in (5, 2, 9)]

        assert self.choose(activities).point.point_id == "2"

    def test_a_point_named_by_id_is_fetched_alone(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.points = [a_point("1", 1), a_point("2", 2)]

        assert self.choose(activities, id="2").point.point_id == "2"
        assert azure.calls == {"get_recovery_point": 1, "list_resource_guard_proxies": 1}

    def test_a_point_named_by_id_that_is_not_there_is_told(self, activities: RestoreActivities) -> None:
        error = _failure(lambda: self.choose(activities, id="7"))

        assert error.code == errors.NO_MATCHING_RECOVERY_POINT
        assert "no recovery point 7" in error.message

    def test_another_refusal_of_that_point_passes_as_it_is(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        azure.fails["get_recovery_point"] = [TerminalError(errors.AUTHORIZATION_FAILED, "no role")]

        assert _failure(lambda: self.choose(activities, id="7")).code == errors.AUTHORIZATION_FAILED

    def test_a_plan_gets_the_verdict_on_each_candidate(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        azure.points = [a_point("9", 9), a_point("2", 2), a_point("1", 1, recoveryPointType="CrashConsistent")]

        chosen = self.choose(activities, plan=True, consistency=["AppConsistent"])

        assert chosen.point.point_id == "2"
        assert [(verdict["id"], verdict["chosen"], verdict["reasons"]) for verdict in chosen.candidates] == [
            ("1", False, ["it is not AppConsistent"]),
            ("2", True, []),
            ("9", False, ["another point that can be restored is newer or more consistent"]),
        ]

    def test_without_a_plan_no_candidate_enters_the_history(self, activities: RestoreActivities) -> None:
        assert self.choose(activities).candidates == ()

    def test_a_plan_for_a_point_named_by_id_still_judges_all(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        azure.points = [a_point("1", 1), a_point("2", 2)]

        assert len(self.choose(activities, plan=True, id="2").candidates) == 2

    def test_a_plan_without_a_point_has_its_verdicts_and_is_not_checked(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        found = prepare(activities, a_request(recoveryPoint={"id": "7"}, dryRun=True)).value

        assert isinstance(found, NoPointForPlan)
        assert found.error["code"] == errors.NO_MATCHING_RECOVERY_POINT
        assert len(found.candidates) == 1
        assert azure.calls == {"list_recovery_points": 1, "get_protected_item": 1}


def outcome(act: Callable[[], Prepared]) -> Json:
    try:
        return pack(act())
    except TerminalError as error:
        return error.to_json()


class TestALongList:
    """A list that takes long is read in slices, each far shorter than the host lets a function run."""

    def slices(
        self, request: Json, points: list[RecoveryPoint]
    ) -> tuple[Prepared, list[SearchProgress], ScriptedAzure]:
        """Prepare over pages of two points that take 40 s each; returns the result, the states between, Azure."""
        clock = Clock()
        azure = ScriptedAzure(clock, points=points, page_size=2)
        azure.before["list_recovery_points"] = [lambda: clock.advance(timedelta(seconds=40))] * len(points)
        activities = RestoreActivities(azure, clock=clock.now)
        between: list[SearchProgress] = []
        found = prepare(activities, request).value
        while isinstance(found, StillReading):
            between.append(unpack(SearchProgress, json.loads(json.dumps(pack(found.progress)))))
            found = prepare(activities, request, between[-1]).value
        return found, between, azure

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

        wanted = outcome(lambda: prepare(RestoreActivities(at_once, clock=at_once.clock.now), request).value)

        assert outcome(lambda: self.slices(request, points)[0]) == wanted

    def test_no_slice_reads_for_much_longer_than_a_minute(self) -> None:
        _, between, azure = self.slices(a_request(), [a_point(str(number), number + 1) for number in range(12)])

        assert len(between) == 3
        assert azure.calls["list_recovery_points"] == 6

    def test_a_list_that_took_long_is_not_read_again_for_the_checks(self) -> None:
        _, between, azure = self.slices(a_request(), [a_point(str(number), number + 1) for number in range(4)])

        assert [progress.link for progress in between] == [None]
        assert azure.calls["list_recovery_points"] == 2

    def test_one_without_an_end_is_given_up(self) -> None:
        with pytest.raises(TerminalError, match="Name the point in the request"):
            self.slices(a_request(), [a_point(str(number), 2) for number in range(200)])


class TestBeforeASwap:
    """A restore whose disks are swapped afterwards: the VM, the app's permissions and the locks are read before it."""

    READS: ClassVar[dict[str, int]] = {"get_virtual_machine": 1, "list_permissions": 1, "list_locks": 1}

    def check(self, activities: RestoreActivities, **members: Any) -> Preparation:
        return prepared(activities, a_request(thenSwapDisks={}, **members))

    def test_the_vm_is_part_of_the_answer(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        found = self.check(activities)

        assert found.machine is not None
        assert (found.machine.power, found.machine.etag, found.warnings) == ("running", '"1"', ())
        assert unpack(Preparation, json.loads(json.dumps(pack(found)))) == found
        assert azure.calls == {"list_recovery_points": 1, "list_resource_guard_proxies": 1, **self.READS}

    def test_other_restores_read_none_of_it(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        assert prepared(activities, a_request()).machine is None
        assert azure.calls.keys().isdisjoint(self.READS)

    def test_a_vm_of_a_scale_set_is_a_warning(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.machine["properties"]["virtualMachineScaleSet"] = {"id": "/scale-set"}

        (warning,) = self.check(activities).warnings

        assert (warning.code, "/scale-set" in warning.message) == ("ScaleSetMember", True)

    def test_all_that_forbids_the_swap_is_named(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.machine = {**azure.machine, "location": "northeurope"}
        azure.permissions = []
        azure.locks = [ManagementLock(name="l", scope=VM_ID, level="ReadOnly")]

        error = _failure(lambda: self.check(activities))

        assert error.code == errors.VALIDATION_FAILED
        assert error.message.startswith("The disks cannot be swapped afterwards: thenSwapDisks: the VM is in northeu")
        words = ["northeurope", "SwapDisks", "ReadOnly lock"]
        assert all(word in detail.message for word, detail in zip(words, error.details, strict=True))

    def test_what_azure_backup_forbids_is_named_first(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        azure.permissions = []

        error = _failure(lambda: self.check(activities, zones=["1"]))

        assert error.message.startswith("Azure Backup does not allow this restore: zones")
        assert error.details[-1].code == errors.AUTHORIZATION_FAILED

    @pytest.mark.parametrize(("fails", "is_refused"), [([], True), ([TerminalError(errors.NOT_FOUND, "gone")], False)])
    def test_a_point_that_only_counts_its_disks_is_read_by_itself(
        self, activities: RestoreActivities, azure: ScriptedAzure, fails: list[Exception | None], is_refused: bool
    ) -> None:
        counts = {"numberOfDisksIncludedInBackup": 2}
        azure.item_properties = {"extendedProperties": {"diskExclusionProperties": {"diskLunList": [0]}}}
        azure.points = [a_point(recoveryPointDiskConfiguration=counts)]
        named = a_point(recoveryPointDiskConfiguration={**counts, "includedDiskList": [{"lun": -1}, {"lun": 0}]})
        azure.before["get_recovery_point"] = [lambda: azure.points.__setitem__(0, named)]
        azure.fails["get_recovery_point"] = fails

        with nullcontext() if not is_refused else pytest.raises(TerminalError, match="names LUN 1, but the recovery"):
            self.check(activities, restoreDiskLunList=[0, 1])

        assert azure.calls["get_recovery_point"] == 1

    def test_a_vm_that_is_gone_is_refused(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.fails["get_virtual_machine"] = [TerminalError(errors.NOT_FOUND, "no")]

        error = _failure(lambda: self.check(activities))

        assert (error.code, error.details[0].target) == (errors.VALIDATION_FAILED, "thenSwapDisks")
        assert azure.calls.keys().isdisjoint({"list_permissions", "list_locks"})

    def test_a_vm_that_the_app_may_not_read_is_refused(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        azure.fails["get_virtual_machine"] = [TerminalError(errors.AUTHORIZATION_FAILED, "no role")]

        assert _failure(lambda: self.check(activities)).code == errors.AUTHORIZATION_FAILED

    @pytest.mark.parametrize("call", ["list_permissions", "list_locks"])
    def test_what_else_cannot_be_read_is_a_warning(
        self, activities: RestoreActivities, azure: ScriptedAzure, call: str
    ) -> None:
        azure.fails[call] = [TerminalError(errors.AUTHORIZATION_FAILED, "no role")]

        (warning,) = self.check(activities).warnings

        assert warning.code == "SwapNotChecked"
        assert "no role" in warning.message

    @pytest.mark.parametrize("call", READS)
    def test_a_read_that_may_succeed_later_is_made_again(
        self, activities: RestoreActivities, azure: ScriptedAzure, call: str
    ) -> None:
        azure.fails[call] = [TransientError(errors.SERVICE_UNAVAILABLE, "throttled")]

        assert isinstance(_failure(lambda: self.check(activities)), TransientError)


class TestRoomForDisks:
    """How many data disks the VM can have is read only where the restore may add some."""

    FULL: ClassVar[list[MachineSize]] = [MachineSize(name="standard_d2S_v5", max_data_disks=2)]
    OTHER_VM: ClassVar[str] = f"{VM_ID}-other"
    NEW: ClassVar[Json] = {
        "name": "web-02",
        "subnetId": f"{TARGET_GROUP}/providers/Microsoft.Network/virtualNetworks/n/subnets/s",
    }

    def holding(self, azure: ScriptedAzure, *luns: int) -> None:
        tiers = [{"type": "HardenedRP", "status": "Valid"}]
        disks = {"includedDiskList": [{"lun": lun} for lun in luns]}
        azure.points = [a_point(recoveryPointTierDetails=tiers, recoveryPointDiskConfiguration=disks)]

    def swap(self, activities: RestoreActivities) -> Preparation:
        return prepared(activities, a_request(thenSwapDisks={}))

    def attach(self, activities: RestoreActivities, azure: ScriptedAzure) -> Preparation:
        azure.other_machines[self.OTHER_VM] = {**azure.machine, "id": self.OTHER_VM}
        return prepared(activities, a_request(thenAttachDisks={"virtualMachineId": self.OTHER_VM}))

    def create(self, activities: RestoreActivities, request: Json | None = None, **members: Any) -> Preparation:
        return prepared(activities, a_request(thenCreateVirtualMachine={**self.NEW, **members}, **(request or {})))

    def test_a_swap_by_a_point_of_another_size_of_the_vm(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        azure.points = [a_point(virtualMachineSize="Standard_D4s_v5")]

        found = self.swap(activities)

        assert (found.data_disk_room, azure.calls["list_machine_sizes"]) == (3, 1)
        assert unpack(Preparation, json.loads(json.dumps(pack(found)))) == found

    def test_a_hibernated_vm_gets_no_disks(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        states = ["PowerState/deallocated", "HibernationState/Hibernated"]
        azure.machine["properties"]["instanceView"] = {"statuses": [{"code": code} for code in states]}

        errors_found = [_failure(lambda: self.attach(activities, azure)), _failure(lambda: self.swap(activities))]

        assert ["the VM is hibernated" in error.message for error in errors_found] == [True, True]
        assert azure.calls["list_machine_sizes"] == 0

    def test_a_swap_that_would_add_too_many_is_refused(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        azure.sizes = self.FULL
        self.holding(azure, -1, 0, 1, 2)

        error = _failure(lambda: self.swap(activities))

        assert (error.details[0].target, "room for 1 more" in error.message) == ("thenSwapDisks", True)

    def test_disks_for_another_vm(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.sizes = self.FULL
        assert self.attach(activities, azure).data_disk_room == 1

        self.holding(azure, -1, 0, 1)

        assert _failure(lambda: self.attach(activities, azure)).details[0].target == "thenAttachDisks"

    @pytest.mark.parametrize(
        ("sizes", "words"),
        [
            (FULL, "room for 2 more data disks, and it would get 3"),
            ([MachineSize(name="Standard_D4s_v5")], "Azure has no VM size Standard_D2s_v5 in westeurope"),
            ([replace(FULL[0], refused_zones=("1",))], "in zone 1"),
        ],
    )
    @pytest.mark.parametrize("given", [{"size": "Standard_D2s_v5"}, {}])
    def test_a_new_vm_whose_size_does_not_fit_is_refused(
        self, activities: RestoreActivities, azure: ScriptedAzure, given: Json, sizes: list[MachineSize], words: str
    ) -> None:
        azure.sizes = sizes
        self.holding(azure, -1, 0, 1, 2)

        error = _failure(lambda: self.create(activities, {"zones": ["1"]}, zone="1", **given))

        assert error.details[0].target == "thenCreateVirtualMachine.size"
        assert words in error.message

    def test_a_new_vm_by_the_template_has_a_size_already(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        assert self.create(activities, template=True).data_disk_room is None
        assert azure.calls["list_machine_sizes"] == 0

    @pytest.mark.parametrize(("data_actions", "is_refused"), [((), True), ((READ_BLOBS,), False), (None, False)])
    def test_a_template_that_the_app_could_not_read_is_refused(
        self,
        activities: RestoreActivities,
        azure: ScriptedAzure,
        data_actions: tuple[str, ...] | None,
        is_refused: bool,
    ) -> None:
        azure.permissions = [Permission(actions=("*",), not_actions=(), data_actions=data_actions)]

        self.create(activities)  # without the template no blob is read
        assert azure.calls["list_permissions"] == 0
        if not is_refused:
            assert self.create(activities, template=True).warnings == ()
            return
        error = _failure(lambda: self.create(activities, template=True))

        assert (error.details[0].code, error.details[0].target) == (
            errors.AUTHORIZATION_FAILED,
            "thenCreateVirtualMachine.template",
        )
        assert f"{STORAGE_ID}, where the template will be: give it the role Storage Blob Data Reader" in error.message

    def test_permissions_at_the_staging_account_that_cannot_be_read_are_a_warning(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        azure.fails["list_permissions"] = [TerminalError(errors.AUTHORIZATION_FAILED, "no role")]

        (warning,) = self.create(activities, template=True).warnings

        assert (warning.code, "no role" in warning.message) == ("StagingAccountNotChecked", True)

    def test_the_sizes_are_read_once_for_many_restores(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        assert [self.create(activities).data_disk_room for _ in range(2)] == [4, 4]
        assert azure.calls["list_machine_sizes"] == 1

    @pytest.mark.parametrize(
        "error", [TerminalError(errors.AUTHORIZATION_FAILED, "no role"), throttled(None)], ids=["no role", "throttled"]
    )
    def test_sizes_that_cannot_be_read_are_a_warning(
        self, activities: RestoreActivities, azure: ScriptedAzure, error: RestoreError
    ) -> None:
        azure.fails["list_machine_sizes"] = [error, error]

        found = [self.create(activities), self.attach(activities, azure)]

        assert [warning.code for each in found for warning in each.warnings] == ["SizeNotChecked"] * 2
        assert [each.data_disk_room for each in found] == [None, None]

    @pytest.mark.parametrize("sizes", [[], [MachineSize(name="other")], [MachineSize(name="Standard_D2s_v5")]])
    def test_a_vm_of_a_size_of_which_azure_says_nothing_is_not_refused(
        self, activities: RestoreActivities, azure: ScriptedAzure, sizes: list[MachineSize]
    ) -> None:
        azure.sizes = sizes
        self.holding(azure, -1, 0, 1, 2)

        assert self.attach(activities, azure).data_disk_room is None


class TestCheckRestore:
    PLAIN: ClassVar[Json] = {"encrypted": False, "managed": True, "tiers": ["InstantRP", "HardenedRP"]}

    def check(self, activities: RestoreActivities, facts: Json | None = None, **members: Any) -> Preparation:
        facts = facts or self.PLAIN
        tiers = [{"type": tier, "status": "Valid"} for tier in facts["tiers"]]
        kind = {"isSourceVMEncrypted": facts["encrypted"], "isManagedVirtualMachine": facts["managed"]}
        azure = cast("ScriptedAzure", activities._api)
        azure.points = [a_point(recoveryPointTierDetails=tiers, **kind)]
        return prepared(activities, a_request(**members))

    def test_a_plain_restore_asks_for_the_guard_alone(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        checked = self.check(activities)

        assert (checked.guard_requests, checked.warnings, checked.validation) == ((), (), None)
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

        assert self.check(activities).guard_requests == ("/guard/request",)

    def test_disks_without_a_target_group_are_warned_about(self, activities: RestoreActivities) -> None:
        warnings = self.check(activities, targetResourceGroupId=None).warnings

        assert [warning.code for warning in warnings] == ["UnmanagedDisks"]

    def test_unmanaged_disks_without_a_target_group_are_not(self, activities: RestoreActivities) -> None:
        facts = {**self.PLAIN, "managed": False}

        assert self.check(activities, facts, targetResourceGroupId=None).warnings == ()

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

        error = _failure(lambda: self.check(activities, validate=True))

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

        error = _failure(lambda: self.check(activities, validate=True, **identity))

        assert error.details[0].target == "identityBasedRestoreDetails.targetStorageAccountId"

    def test_one_that_does_not_exist_is_refused(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.fails["get_storage_account"] = [TerminalError(errors.NOT_FOUND, "no such account")]

        assert f"Azure does not find {STORAGE_ID}" in _failure(lambda: self.check(activities, validate=True)).message

    def test_one_that_may_not_be_read_is_a_warning(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.fails["get_storage_account"] = [TerminalError(errors.AUTHORIZATION_FAILED, "no role")]

        warnings = self.check(activities, validate=True).warnings

        assert [warning.code for warning in warnings] == ["StagingAccountNotChecked"]

    def test_every_broken_rule_is_named_at_once(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.vault = {"properties": {"redundancySettings": {"standardTierStorageRedundancy": "GeoRedundant"}}}
        facts = {"encrypted": True, "managed": True, "tiers": ["InstantRP"]}

        error = _failure(lambda: self.check(activities, facts, zones=["1"], restoreDiskLunList=[0]))

        assert [detail.target for detail in error.details] == ["zones", "zones", "restoreDiskLunList", "zones"]


class TestStartValidation:
    def test_the_service_is_asked_about_the_body_that_would_be_sent(self, activities: RestoreActivities) -> None:
        answer = prepare(activities, a_request(validate=True))

        assert isinstance(answer.value, Preparation)
        assert answer.value.validation == AcceptedOperation(operation_id="validation-1")
        assert answer.retry_after_s == 10

    def test_where_the_service_lacks_the_call_it_goes_on_with_a_warning(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        azure.fails["trigger_validation"] = [TerminalError(errors.NOT_FOUND, "no such call")]

        found = prepared(activities, a_request(validate=True))

        assert found.validation is None
        assert [warning.code for warning in found.warnings] == ["ValidationUnavailable"]

    def test_every_other_refusal_is_one(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.fails["trigger_validation"] = [TerminalError(errors.VALIDATION_FAILED, "no")]

        assert _failure(lambda: prepare(activities, a_request(validate=True))).code == errors.VALIDATION_FAILED


class Claims:
    """What all processes of the app have in common: the attempts to post that were claimed."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, int]] = []

    def take(self, client_request_id: str, attempt: int) -> bool:
        self.taken.append((client_request_id, attempt))
        return self.taken.count((client_request_id, attempt)) == 1


class TestStartRestore:
    def start(
        self,
        activities: RestoreActivities,
        *,
        asked: timedelta = timedelta(0),
        claims: Claims | None = None,
        attempt: int = 1,
    ) -> Answer[Started]:
        call = StartRestore(
            item=THE_ITEM,
            body={"properties": {"recoveryPointId": "1"}},
            client_request_id=a_restore().client_request_id,
            attempt=attempt,
            asked=START + asked,
        )
        return activities.start_restore(call, (claims or Claims()).take)

    def test_posts_and_says_where_to_follow(self, activities: RestoreActivities) -> None:
        operation = AcceptedOperation(operation_id="operation-1", url="https://azure/op-1")

        assert self.start(activities) == Answer(Started(operation=operation), 60.0)

    def test_run_again_it_adopts_what_it_started(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        self.start(activities)

        assert self.start(activities).value == Started(job_id="job-1")
        assert azure.calls["trigger_restore"] == 1

    def test_run_again_before_its_job_is_listed_it_does_not_post(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        azure.listed_after = timedelta(hours=1)
        claims = Claims()
        self.start(activities, claims=claims)

        assert isinstance(_failure(lambda: self.start(activities, claims=claims)), UnknownOutcomeError)
        assert azure.calls["trigger_restore"] == 1

    @pytest.mark.parametrize("deliveries", [2, 5])
    def test_delivered_to_one_new_process_after_another_it_posts_once(
        self, azure: ScriptedAzure, deliveries: int
    ) -> None:
        azure.listed_after = timedelta(seconds=30)
        claims = Claims()

        def deliver() -> Started:
            return self.start(RestoreActivities(azure, clock=StandingClock().now), claims=claims).value

        assert deliver().operation is not None
        assert {_failure(deliver).code for _ in range(deliveries - 1)} == {errors.LATE_DELIVERY}
        assert len(azure.jobs) == 1

    def test_a_second_attempt_has_a_claim_of_its_own(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.posts = ["unheard"]
        claims = Claims()
        _failure(lambda: self.start(activities, asked=-timedelta(seconds=110), claims=claims))

        assert self.start(activities, claims=claims, attempt=2).value.operation is not None

    def test_nothing_is_claimed_by_a_delivery_that_finds_its_job(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        self.start(activities)
        claims = Claims()
        again = self.start(RestoreActivities(azure, clock=StandingClock().now), claims=claims)

        assert again.value == Started(job_id="job-1")
        assert claims.taken == []

    @pytest.mark.parametrize(("minutes", "posts"), [(-1, 1), (-3, 0)])
    def test_delivered_minutes_late_it_does_not_post(
        self, activities: RestoreActivities, azure: ScriptedAzure, minutes: int, posts: int
    ) -> None:
        with suppress(UnknownOutcomeError):
            self.start(activities, asked=timedelta(minutes=minutes))

        assert azure.calls["trigger_restore"] == posts

    def test_a_failed_search_keeps_it_from_posting(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.fails["find_restore_job"] = [throttled(5)]

        error = _failure(lambda: self.start(activities))

        assert isinstance(error, TransientError)
        assert azure.calls["trigger_restore"] == 0

    def test_a_later_delivery_whose_search_fails_leaves_the_outcome_unknown(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        azure.fails["find_restore_job"] = [None, throttled(5)]
        claims = Claims()
        self.start(activities, claims=claims)

        error = _failure(lambda: self.start(activities, claims=claims))

        assert isinstance(error, UnknownOutcomeError)
        assert (error.code, error.retry_after_s) == (errors.LATE_DELIVERY, 5)

    def test_an_unknown_outcome_is_reported_as_one(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.posts = ["lost"]

        assert isinstance(_failure(lambda: self.start(activities)), UnknownOutcomeError)


UNTIL = "2026-12-01T10:00:00Z"
SOFT_DELETED: Json = {"isScheduledForDeferredDelete": True, "deferredDeleteTimeInUTC": UNTIL}
DELETED_POINT: Json = {"recoveryPointProperties": {"isSoftDeleted": True}}


def says_soft_deleted(error: RestoreError) -> bool:
    """Return whether an error says that the item is soft-deleted, what to do, and until when."""
    assert error.details[0].code == "ItemSoftDeleted"
    return all(words in error.message for words in ("soft-deleted", "Undelete it first", UNTIL))


class TestTheLookOfAMember:
    """All jobs were looked through when its recovery began: before its first post, the running ones are enough."""

    CALL: ClassVar = StartRestore(
        item=THE_ITEM,
        body={"properties": {"recoveryPointId": "1103996678573089"}},
        client_request_id="C0FFEE",
        attempt=1,
        looked=True,
    )

    @staticmethod
    def _claims(_client_request_id: str, _attempt: int) -> bool:
        return True

    def test_reads_the_running_jobs_and_not_all(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        activities.start_restore(self.CALL, self._claims)

        assert azure.calls == {"list_running_jobs": 1, "trigger_restore": 1}

    def test_is_shared_by_the_members_of_a_vault(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        for number in range(5):
            activities.start_restore(replace(self.CALL, client_request_id=f"c{number}"), self._claims)

        assert azure.calls == {"list_running_jobs": 1, "trigger_restore": 5}

    def test_is_spared_by_the_watchers_list(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        activities.list_running_jobs(ListRunningJobs(vault_id=VAULT_ID, unknown=("a",)))
        activities.start_restore(self.CALL, self._claims)

        assert azure.calls["list_running_jobs"] == 1

    def test_finds_a_job_that_runs(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.jobs = [MadeJob("job-1", "c0ffee", START.astimezone(UTC))]
        found = activities.start_restore(replace(self.CALL, client_request_id="c0ffee"), self._claims).value

        assert found == Started(job_id="job-1")
        assert azure.calls["trigger_restore"] == 0

    def test_that_fails_keeps_it_from_posting(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.fails["list_running_jobs"] = [throttled(5)]

        assert _failure(lambda: activities.start_restore(self.CALL, self._claims)).retry_after_s == 5
        assert azure.calls["trigger_restore"] == 0

    def test_does_not_replace_the_claim(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        error = _failure(lambda: activities.start_restore(self.CALL, lambda _id, _attempt: False))

        assert isinstance(error, UnknownOutcomeError)
        assert azure.calls["trigger_restore"] == 0

    def test_of_any_other_restore_reads_all_jobs(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        activities.start_restore(replace(self.CALL, looked=False), self._claims)

        assert azure.calls == {"find_restore_job": 1, "trigger_restore": 1}


class TestListRunningJobs:
    def test_says_what_was_found_and_what_is_missing_and_no_more(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        azure.jobs = [MadeJob(f"job-{key}", key, START.astimezone(UTC)) for key in ("a", "b", "stranger")]
        azure.retry_after["list_running_jobs"] = 33.0
        call = ListRunningJobs(vault_id=VAULT_ID, unknown=("A", "new"), known=("B", "gone"))

        answer = activities.list_running_jobs(call)

        assert answer.value == RunningJobs(found={"A": "job-a"}, missing=("gone",))
        assert answer.retry_after_s == 33.0


class TestListRestoredDisks:
    """One list of a resource group serves all restores to it that have ended before it was read."""

    def stage(self) -> tuple[RestoreActivities, ScriptedAzure, Clock]:
        clock = Clock()
        azure = ScriptedAzure(clock)
        azure.jobs = [MadeJob(f"job-{number}", f"c{number}", START) for number in (1, 2)]
        return RestoreActivities(azure, clock=clock.now), azure, clock

    def list(self, activities: RestoreActivities, job: int, *, until_s: int) -> list[str | None]:
        call = ListRestoredDisks(
            target_resource_group_id=TARGET_GROUP,
            source_resource_id=VM_ID,
            since=START,
            until=START + timedelta(seconds=until_s),
            job_id=f"job-{job}",
        )
        return [disk.made_by_job for disk in activities.list_restored_disks(call).value.disks]

    def test_is_read_once_for_restores_that_have_ended_before(self) -> None:
        activities, azure, clock = self.stage()
        clock.advance(timedelta(seconds=60))

        assert self.list(activities, 1, until_s=40) == ["job-1", "job-1"]
        clock.advance(timedelta(seconds=30))
        assert self.list(activities, 2, until_s=45) == ["job-2", "job-2"]
        assert azure.calls["list_disks"] == 1

    @pytest.mark.parametrize("until_s", [55, 60, 85])
    def test_is_read_again_for_a_restore_that_ended_later_or_shortly_before(self, until_s: int) -> None:
        activities, azure, clock = self.stage()
        clock.advance(timedelta(seconds=60))
        self.list(activities, 1, until_s=40)
        clock.advance(timedelta(seconds=30))

        assert self.list(activities, 2, until_s=until_s) == ["job-2", "job-2"]
        assert azure.calls["list_disks"] == 2

    def test_is_read_again_after_a_minute(self) -> None:
        activities, azure, clock = self.stage()
        clock.advance(timedelta(seconds=60))
        self.list(activities, 1, until_s=40)
        clock.advance(timedelta(seconds=60))

        self.list(activities, 2, until_s=45)

        assert azure.calls["list_disks"] == 2

    def test_is_read_again_for_a_job_whose_disks_it_does_not_have(self) -> None:
        activities, azure, clock = self.stage()
        clock.advance(timedelta(seconds=60))
        self.list(activities, 1, until_s=40)
        azure.jobs.append(MadeJob("job-3", "c3", START))

        assert self.list(activities, 3, until_s=45) == ["job-3", "job-3"]
        assert azure.calls["list_disks"] == 2


class TestASoftDeletedItem:
    """Azure restores nothing from it, and only the item itself says that it is soft-deleted."""

    def test_of_a_deleted_vm_is_found_in_its_vault(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.item_properties = SOFT_DELETED
        azure.points = []

        item = activities.resolve_item(ResolveItem(source_resource_id=VM_ID, vault_id=VAULT_ID)).value

        assert item.soft_deletion is not None
        assert says_soft_deleted(_failure(lambda: prepare(activities, a_request(), item=item)))

    def test_is_chosen_only_if_the_vault_has_no_other_item_of_the_vm(
        self, azure: ScriptedAzure, activities: RestoreActivities
    ) -> None:
        azure.more_items = [{"sourceResourceId": VM_ID, "isScheduledForDeferredDelete": True}]

        for azure.more_items_first in (False, True):
            item = activities.resolve_item(ResolveItem(source_resource_id=VM_ID, vault_id=VAULT_ID)).value

            assert item == replace(THE_ITEM, source_resource_id=item.source_resource_id)

    @pytest.mark.parametrize(
        "wanted",
        [
            ResolveItem(source_resource_id=VM_ID, vault_id=VAULT_ID),
            ResolveItem(vault_id=VAULT_ID, container_name=CONTAINER, protected_item_name=ITEM),
            ResolveItem(source_resource_id=VM_ID),
        ],
    )
    @pytest.mark.parametrize("points", [[], [a_point("1")], [a_point("1", **DELETED_POINT)]])
    @pytest.mark.parametrize("plan", [False, True])
    def test_is_reported_however_it_was_found_and_whatever_its_points_are(
        self,
        activities: RestoreActivities,
        azure: ScriptedAzure,
        wanted: ResolveItem,
        points: list[RecoveryPoint],
        plan: bool,
    ) -> None:
        azure.item_properties, azure.points = SOFT_DELETED, points
        azure.fails["trigger_validation"] = [TerminalError(errors.RESTORE_REFUSED, "Input provided is invalid")]
        item = activities.resolve_item(wanted).value

        def act() -> object:
            found = prepare(activities, a_request(dryRun=plan, validate=True), item=item).value
            if isinstance(found, NoPointForPlan):
                assert [verdict["chosen"] for verdict in found.candidates] == [False] * len(points)
                raise RestoreError.from_json(found.error)
            return found

        assert says_soft_deleted(_failure(act))

    @pytest.mark.parametrize("call", ["list_recovery_points", "get_recovery_point"])
    @pytest.mark.parametrize("code", [errors.RESTORE_REFUSED, errors.NOT_FOUND])
    def test_is_reported_if_its_points_cannot_be_read(
        self, activities: RestoreActivities, azure: ScriptedAzure, call: str, code: str
    ) -> None:
        azure.item_properties = SOFT_DELETED
        azure.fails[call] = [
            TerminalError(code, "Item not found.", [ErrorDetail(code="BMS", message="Item not found")])
        ]
        named = {"recoveryPoint": {"id": "7"}} if call == "get_recovery_point" else {}

        error = _failure(lambda: prepare(activities, a_request(**named)))

        assert says_soft_deleted(error)
        assert error.details[-1].code == "BMS"

    def test_makes_a_plan_fail_even_if_no_answer_of_azure_shows_it(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        azure.item_properties = SOFT_DELETED

        found = prepare(activities, a_request(dryRun=True)).value

        assert isinstance(found, NoPointForPlan)
        assert says_soft_deleted(RestoreError.from_json(found.error))
        assert [verdict["reasons"] for verdict in found.candidates] == [
            [f"its item is soft-deleted until {UNTIL} and must be undeleted first"]
        ]

    def test_is_reported_if_the_trigger_is_refused(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        azure.item_properties = SOFT_DELETED
        azure.fails["trigger_restore"] = [TerminalError(errors.RESTORE_REFUSED, "Input provided is invalid")]

        error = _failure(lambda: TestStartRestore().start(activities))

        assert says_soft_deleted(error)
        assert error.code == errors.RESTORE_REFUSED

    @pytest.mark.parametrize("status", [OperationStatus.SUCCEEDED, OperationStatus.FAILED])
    def test_is_reported_if_the_validation_has_findings(
        self, activities: RestoreActivities, azure: ScriptedAzure, status: OperationStatus
    ) -> None:
        azure.item_properties = SOFT_DELETED
        finding = ErrorDetail(code="BMSUserErrorInvalidInput", message="Input provided is invalid")
        azure.validations = [Validation(status=status, findings=(finding,))]
        call = GetValidation(vault_id=VAULT_ID, operation_id="validation-1", url=None, item=THE_ITEM)

        findings = activities.get_validation(call).value.findings

        assert [detail.code for detail in findings] == ["ItemSoftDeleted", "BMSUserErrorInvalidInput"]
        assert UNTIL in findings[0].message

    @pytest.mark.parametrize("failure", [TransientError(errors.SERVICE_UNAVAILABLE, "503"), None])
    def test_leaves_the_error_unchanged_if_it_cannot_be_read_or_is_not_soft_deleted(
        self, activities: RestoreActivities, azure: ScriptedAzure, failure: Exception | None
    ) -> None:
        azure.points = []
        azure.fails["get_protected_item"] = [failure]

        error = _failure(lambda: prepare(activities, a_request()))

        assert (error.code, error.details) == (errors.NO_MATCHING_RECOVERY_POINT, ())
        assert "no recovery points" in error.message

    def test_is_not_read_if_nothing_fails(self, activities: RestoreActivities, azure: ScriptedAzure) -> None:
        prepare(activities, a_request(validate=True))

        assert azure.calls["get_protected_item"] == 0


class TestAMovedVm:
    OLD = VM_ID.replace("/web-rg/", "/old-rg/")

    def test_is_found_by_its_name_which_its_former_id_has_too(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        azure.more_items = [{"sourceResourceId": self.OLD}, {"sourceResourceId": OTHER_VM}]
        moved = VM_ID.replace("/web-rg/", "/new-rg/")

        error = _failure(lambda: activities.resolve_item(ResolveItem(source_resource_id=moved, vault_id=VAULT_ID)))

        assert error.code == errors.NOT_PROTECTED
        assert self.OLD in error.message
        assert OTHER_VM not in error.message
        assert "former id as sourceResourceId" in error.message

    def test_is_mentioned_if_no_vault_protects_the_vm(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        azure.status = {"protectionStatus": "NotProtected", "errorCode": "Success"}

        error = _failure(lambda: activities.resolve_item(ResolveItem(source_resource_id=VM_ID)))

        assert "was moved" in error.message

    def test_is_mentioned_if_azure_does_not_find_the_vm(
        self, activities: RestoreActivities, azure: ScriptedAzure
    ) -> None:
        azure.fails["get_virtual_machine_region"] = [TerminalError(errors.NOT_FOUND, "404")]

        error = _failure(lambda: activities.resolve_item(ResolveItem(source_resource_id=VM_ID)))

        assert error.code == errors.NOT_FOUND
        assert "does not exist" not in error.message
        assert "deleted or moved" in error.message
        assert "Give vaultId" in error.message


BY_VM = ResolveItem(source_resource_id=VM_ID)
BY_VAULT = ResolveItem(source_resource_id=VM_ID, vault_id=VAULT_ID)


class TestListRecoveryPoints:
    def test_come_newest_first_each_with_its_verdict(self, azure: ScriptedAzure) -> None:
        azure.points = [
            a_point("old", 30),
            a_point("no-time", recoveryPointTime=None),
            a_point("new", 1, recoveryPointProperties={"isSoftDeleted": True}),
        ]

        listed = list_recovery_points(azure, BY_VM, START)

        assert [point.id for point in listed.value] == ["new", "old", "no-time"]
        assert [point.restorable for point in listed.value] == [False, True, False]
        assert listed.value[0].reasons == ("it is soft-deleted and must be undeleted first",)
        assert listed.warnings == ()

    @pytest.mark.parametrize("wanted", [BY_VM, BY_VAULT])
    @pytest.mark.parametrize("points", [[], [a_point("1")], [a_point("1", **DELETED_POINT)]])
    def test_of_a_soft_deleted_item_cannot_be_restored(
        self, azure: ScriptedAzure, wanted: ResolveItem, points: list[RecoveryPoint]
    ) -> None:
        azure.item_properties, azure.points = SOFT_DELETED, points

        listed = list_recovery_points(azure, wanted, START)

        assert [point.restorable for point in listed.value] == [False] * len(points)
        assert all(UNTIL in point.reasons[0] for point in listed.value)
        (warning,) = listed.warnings
        assert warning.code == "ItemSoftDeleted"
        assert UNTIL in warning.message
        assert "Undelete it first" in warning.message

    @pytest.mark.parametrize("code", [errors.RESTORE_REFUSED, errors.NOT_FOUND])
    def test_that_azure_does_not_list_are_explained_by_a_warning(self, azure: ScriptedAzure, code: str) -> None:
        azure.item_properties = SOFT_DELETED
        azure.fails["list_recovery_points"] = [TerminalError(code, "Input provided is invalid")]

        listed = list_recovery_points(azure, BY_VM, START)

        assert listed.value == ()
        assert [warning.code for warning in listed.warnings] == ["ItemSoftDeleted"]

    @pytest.mark.parametrize("code", [errors.RESTORE_REFUSED, errors.NOT_FOUND, errors.AUTHORIZATION_FAILED])
    def test_that_cannot_be_listed_for_another_reason_are_an_error(self, azure: ScriptedAzure, code: str) -> None:
        azure.fails["list_recovery_points"] = [TerminalError(code, "no")]

        assert _failure(lambda: list_recovery_points(azure, BY_VAULT, START)).code == code


def test_a_failure_that_nobody_named_stays_an_exception(activities: RestoreActivities, azure: ScriptedAzure) -> None:
    azure.fails["get_job"] = [ZeroDivisionError("a bug")]

    with pytest.raises(ZeroDivisionError):
        activities.by_name()[GetJob.name](pack(GetJob(vault_id=VAULT_ID, job_id="job-1")))


def test_an_activity_takes_and_answers_json(activities: RestoreActivities) -> None:
    call = ResolveItem(source_resource_id=VM_ID)

    envelope = json.loads(json.dumps(activities.by_name()[call.name](json.loads(json.dumps(pack(call))))))

    assert unseal(call, envelope) == Answer(THE_ITEM)
    assert (envelope["activity"], envelope["at"]) == ("resolve_item", "2026-11-23T08:00:00Z")


def test_a_failure_that_has_a_name_is_sealed(activities: RestoreActivities, azure: ScriptedAzure) -> None:
    azure.fails["get_job"] = [throttled(7)]
    call = GetJob(vault_id=VAULT_ID, job_id="job-1")

    error = unseal(call, activities.by_name()[call.name](pack(call)))

    assert isinstance(error, TransientError)
    assert error.retry_after_s == 7
