"""The members of a recovery are chosen, checked, and frozen once."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from activities.recoveries import RecoveryActivities
from domain import errors
from domain.azure.jobs import Job, JobStatus
from domain.codec import pack
from domain.envelopes import unseal
from domain.errors import ErrorDetail, Json, RestoreError, TerminalError, TransientError
from domain.recovery.calls import (
    Resolved,
    ResolveRecovery,
    StillChoosing,
    record_id_of_members,
    record_id_of_plan,
)
from domain.recovery.roster import NO_VAULT, Roster, member_restore_id
from domain.restore.state import client_request_id_for
from domain.warning_codes import WarningCode
from tests.support.azure import STORAGE_ID, SUBSCRIPTION
from tests.support.fleet import FLEET_VAULT, SECOND_VAULT, ScriptedFleet, fleet_vm, item_of
from tests.support.hub import START, Clock

if TYPE_CHECKING:
    from domain.answers import Answer
    from domain.requests import RestoreRequest

RECOVERY_ID = "6d1f9a52-0000-4000-8000-000000000001"
FINGERPRINT = "f" * 64
RESTORE: Json = {
    "recoveryType": "RestoreDisks",
    "storageAccountId": STORAGE_ID,
    "targetResourceGroupId": f"{SUBSCRIPTION}/resourceGroups/restored-{{resourceGroup}}",
}
ALL: Json = {"select": {"sourceResourceIds": ["*"]}}
BUSY = TransientError(errors.SERVICE_UNAVAILABLE, "429", retry_after_s=17)
DOWN = TransientError(errors.SERVICE_UNAVAILABLE, "503")
FORBIDDEN = TerminalError(
    errors.AUTHORIZATION_FAILED, "no role", [ErrorDetail(code="x", message="y", info={"httpStatus": 403})]
)


class Records:
    """The records of a task hub in memory."""

    def __init__(self) -> None:
        self.held: dict[str, Json] = {}

    def read(self, record_id: str) -> Json | None:
        return self.held.get(record_id)

    def write(self, record_id: str, data: Json) -> Json:
        return self.held.setdefault(record_id, data)


class Lab:
    """A fleet, the records of one recovery, and its activity."""

    def __init__(self, *groups: Json, request: Json | None = None, **plan: Any) -> None:
        self.clock = Clock(START)
        self.azure = ScriptedFleet(self.clock)
        self.records = Records()
        self.answers: list[Answer[Any]] = []
        named = [{"name": f"g{index}", **group} for index, group in enumerate(groups)]
        body = {"name": "shop", "restore": RESTORE, "groups": named, **plan}
        self.records.held[record_id_of_plan(RECOVERY_ID, FINGERPRINT)] = {"plan": body, "request": request or {}}

    def ask(self, progress: Json | None = None) -> Answer[Any]:
        """Call the activity once, as Durable Functions does."""
        call = ResolveRecovery(recovery_id=RECOVERY_ID, fingerprint=FINGERPRINT, now=START, progress=progress)
        activity = RecoveryActivities(self.azure, clock=self.clock.now).resolve_recovery_with(self.records)
        answer = unseal(call, activity(pack(call)))
        if isinstance(answer, RestoreError):
            raise answer
        self.answers.append(answer)
        return answer

    def resolve(self) -> Resolved:
        """Call the activity until the members are chosen."""
        answer = self.ask()
        while isinstance(answer.value, StillChoosing):
            answer = self.ask(answer.value.progress)
        assert isinstance(answer.value, Resolved)
        return answer.value

    def problems(self) -> list[tuple[str | None, str]]:
        with pytest.raises(TerminalError) as caught:
            self.resolve()
        assert caught.value.code == errors.INVALID_REQUEST
        assert record_id_of_members(RECOVERY_ID) not in self.records.held
        return [(detail.target, detail.message) for detail in caught.value.details]

    @property
    def roster(self) -> Roster:
        return Roster.from_json(self.records.held[record_id_of_members(RECOVERY_ID)])

    def members(self) -> list[list[str]]:
        """Return the names of the members by group."""
        self.resolve()
        roster = self.roster
        names: list[list[str]] = [[] for _ in roster.resolved.groups]
        for index, member in enumerate(roster.members):
            names[roster.group_of(index)].append(member.vm_id.rpartition("/")[2])
        return names


def named(*names: str) -> Json:
    return {"sourceResourceIds": [fleet_vm(name) for name in names]}


def a_job(status: JobStatus = JobStatus.COMPLETED, minutes: float = 30, activity_id: str | None = None) -> Job:
    return Job(job_id="j", status=status, activity_id=activity_id, start=START, end=START + timedelta(minutes=minutes))


def codes(resolved: Resolved) -> list[str]:
    return [warning.code for warning in resolved.warnings]


def test_the_members_of_each_group_stand_in_a_row() -> None:
    lab = Lab(
        named("db-2", "db-1"),
        {"select": {"sourceResourceIds": ["*/virtualMachines/web-*"]}, "gate": {"approval": {"timeout": "PT2H"}}},
        {"select": {"sourceResourceIds": ["*"]}, "optional": True, "after": ["G0"], "restore": {"thenSwapDisks": {}}},
        maxRunning=7,
    )
    lab.azure.protect(*map(fleet_vm, ("web-2", "db-1", "x", "db-2", "web-1")))

    resolved = lab.resolve()

    assert lab.members() == [["db-2", "db-1"], ["web-1", "web-2"], ["x"]]
    assert [(group.first, group.count) for group in resolved.groups] == [(0, 2), (2, 2), (4, 1)]
    assert [group.after for group in resolved.groups] == [(), (0,), (0,)]
    assert [group.optional for group in resolved.groups] == [False, False, True]
    assert resolved.groups[1].approval_timeout == timedelta(hours=2)
    assert [group.swaps for group in resolved.groups] == [False, False, True]
    assert (resolved.max_running, resolved.vault_ids, resolved.vault_of) == (7, (FLEET_VAULT,), (0,) * 5)


def test_an_item_is_that_of_the_vaults_own_list() -> None:
    lab = Lab(ALL)
    lab.azure.protect(fleet_vm("a"))
    lab.azure.protect(fleet_vm("b"), vault_id=SECOND_VAULT)

    lab.resolve()

    item = lab.roster.item_of(1)
    assert item is not None
    assert (item.vault_id, item.region, item.source_resource_id) == (SECOND_VAULT, "region-of-vault-2", fleet_vm("b"))
    assert item.container_name == "IaasVMContainer;iaasvmcontainerv2;fleet-rg;b"
    assert item.protected_item_name == "VM;iaasvmcontainerv2;fleet-rg;b"
    assert lab.azure.calls == Counter(
        query_resources=1, get_vault_region=2, list_protected_items=2, list_restore_jobs=2
    )


def test_the_first_list_is_frozen() -> None:
    lab = Lab(ALL)
    lab.azure.protect(fleet_vm("a"))
    first = lab.resolve()
    lab.azure.protect(fleet_vm("b"))
    before = lab.azure.calls.copy()

    assert lab.resolve() == first
    assert lab.azure.calls == before


def test_of_two_runs_at_once_the_first_to_write_counts() -> None:
    lab = Lab(ALL)
    lab.azure.protect(fleet_vm("a"))
    other = Lab(ALL)
    other.azure.protect(fleet_vm("a"), fleet_vm("b"))
    won = other.resolve()
    frozen = other.records.held[record_id_of_members(RECOVERY_ID)]
    lab.azure.before["list_restore_jobs"].append(lambda: lab.records.write(record_id_of_members(RECOVERY_ID), frozen))

    assert lab.resolve() == won


def test_what_resource_graph_shows_too_late_has_no_item_and_finds_it_by_itself() -> None:
    lab = Lab(ALL)
    lab.azure.protect(fleet_vm("a"))
    lab.azure.listed = [{"id": item_of(fleet_vm(name))["id"], "sourceResourceId": fleet_vm(name)} for name in "ab"]

    resolved = lab.resolve()

    assert resolved.vault_of == (0, NO_VAULT)
    assert lab.roster.item_of(1) is None
    assert "vaultId" not in lab.roster.request_for(1).body


def test_a_named_vm_that_resource_graph_does_not_show_yet_has_its_item_if_its_vault_is_read() -> None:
    lab = Lab(named("new", "a"))
    lab.azure.protect(fleet_vm("new"), fleet_vm("a"))
    lab.azure.listed = [{"id": item_of(fleet_vm("a"))["id"], "sourceResourceId": fleet_vm("a")}]

    assert lab.resolve().vault_of == (0, 0)


def test_a_vault_that_a_template_names_is_read_without_resource_graph() -> None:
    lab = Lab({**named("a", "b"), "restore": {"vaultId": SECOND_VAULT}})
    lab.azure.protect(fleet_vm("a"), vault_id=SECOND_VAULT)
    lab.azure.protect(fleet_vm("b"))

    resolved = lab.resolve()

    assert (resolved.vault_ids, resolved.vault_of) == ((SECOND_VAULT,), (0, 0))
    assert [lab.roster.item_of(index) is None for index in (0, 1)] == [False, True]
    assert lab.azure.calls["query_resources"] == 0


def test_a_soft_deleted_item_is_taken_only_if_there_is_no_other_and_said() -> None:
    lab = Lab(ALL)
    deleted: dict[str, Any] = {"isScheduledForDeferredDelete": True}
    lab.azure.protect(fleet_vm("a"), fleet_vm("b"), **deleted)
    lab.azure.protect(fleet_vm("a"), vault_id=SECOND_VAULT)

    resolved = lab.resolve()

    assert resolved.vault_of == (1, 0)
    item = lab.roster.item_of(0)
    assert item is not None
    assert (item.vault_id, item.soft_deletion) == (SECOND_VAULT, None)
    (warning,) = resolved.warnings
    assert warning.code == WarningCode.ITEM_SOFT_DELETED
    assert fleet_vm("b") in warning.message
    assert fleet_vm("a") not in warning.message


def test_the_restore_of_a_soft_deleted_item_reads_it_anew_because_it_may_be_undeleted_by_then() -> None:
    lab = Lab(ALL)
    lab.azure.protect(fleet_vm("a"), isScheduledForDeferredDelete=True)

    lab.resolve()

    assert lab.roster.item_of(0) is None
    assert lab.roster.request_for(0).body["vaultId"] == FLEET_VAULT


def test_an_item_whose_protection_is_stopped_is_taken() -> None:
    lab = Lab(ALL)
    lab.azure.protect(fleet_vm("a"), protectionState="ProtectionStopped")

    assert lab.resolve().vault_of == (0,)
    assert lab.roster.item_of(0) is not None


# The requests of the members


def request_of(lab: Lab, index: int = 0) -> RestoreRequest:
    lab.azure.protect(fleet_vm("a"))
    lab.resolve()
    return lab.roster.request_for(index)


def test_a_request_is_the_plans_with_the_groups_members_before_it() -> None:
    group = {**named("a"), "restore": {"validate": False, "targetResourceGroupId": f"{SUBSCRIPTION}/resourceGroups/x"}}

    assert request_of(Lab(group, recoveryPoint={"notOlderThan": "P2D"})).body == {
        **RESTORE,
        "sourceResourceId": fleet_vm("a"),
        "targetResourceGroupId": f"{SUBSCRIPTION}/resourceGroups/x",
        "validate": False,
        "recoveryPoint": {"notOlderThan": "P2D"},
    }


def test_placeholders_are_filled_in_from_the_members_id() -> None:
    assert request_of(Lab(named("a"))).target_group == f"{SUBSCRIPTION}/resourceGroups/restored-fleet-rg"


def test_the_call_replaces_the_recovery_point_and_says_who_and_why() -> None:
    call = {
        "recoveryPoint": {"atOrBefore": "2026-11-20T00:00:00Z"},
        "requestedBy": "mara",
        "reason": "flood",
        "dryRun": True,
        "requestId": "r-1",
    }

    body = request_of(Lab(named("a"), request=call, recoveryPoint={"notOlderThan": "P2D"})).body

    assert {name: body[name] for name in ("recoveryPoint", "requestedBy", "reason", "dryRun")} == {
        name: call[name] for name in ("recoveryPoint", "requestedBy", "reason", "dryRun")
    }
    assert "requestId" not in body


def test_each_attempt_at_a_member_has_an_id_of_its_own() -> None:
    ids = {member_restore_id(RECOVERY_ID, index, attempt) for index in range(3) for attempt in range(1, 4)}

    assert len(ids) == 9
    assert member_restore_id(RECOVERY_ID, 2, 1) in ids


# What speaks against a start


def test_a_group_without_members_stops_the_recovery_before_anything_starts() -> None:
    lab = Lab(named("a"), {"select": {"tags": {"env": "prod"}}}, named("a"), {"select": {"sourceResourceIds": ["*/z"]}})
    lab.azure.protect(fleet_vm("a"))

    problems = lab.problems()

    assert [target for target, _ in problems] == ["groups[1]", "groups[2]", "groups[3]"]
    assert problems[0][1].startswith("g1 has no virtual machine.")
    assert lab.azure.calls["list_protected_items"] == 0


def test_an_optional_group_may_be_empty_with_a_warning() -> None:
    lab = Lab(named("a"), {"select": {"tags": {"env": "prod"}}, "optional": True})
    lab.azure.protect(fleet_vm("a"))

    resolved = lab.resolve()

    assert [group.count for group in resolved.groups] == [1, 0]
    assert codes(resolved) == [WarningCode.GROUP_EMPTY]
    assert lab.roster.group_of(0) == 0


def test_a_plan_of_which_all_groups_are_empty_is_an_error() -> None:
    assert [target for target, _ in Lab({**ALL, "optional": True}).problems()] == ["groups"]


def test_all_names_that_collide_in_a_target_group_are_named() -> None:
    target = {"restore": {"targetResourceGroupId": f"{SUBSCRIPTION}/resourceGroups/one"}}
    lab = Lab({**ALL, **target})
    lab.azure.protect(*(fleet_vm(name, group) for group in ("rg1", "rg2") for name in ("a", "b", group)))

    problems = lab.problems()

    assert [target for target, _ in problems] == ["groups[0]", "groups[0]"]
    assert fleet_vm("a", "rg1") in problems[0][1]
    assert fleet_vm("a", "rg2") in problems[0][1]


def test_members_whose_names_do_not_fit_are_named_with_the_others() -> None:
    group = {
        **ALL,
        "restore": {"targetResourceGroupId": f"{SUBSCRIPTION}/resourceGroups/{{resourceGroup}}.", "vaultId": None},
    }
    lab = Lab(group, {"select": {"tags": {"a": "b"}}})
    lab.azure.protect(fleet_vm("a"), fleet_vm("b"))

    assert [target for target, _ in lab.problems()] == ["groups[1]", "groups[0]", "groups[0]"]


def test_more_than_a_thousand_members_are_refused() -> None:
    lab = Lab(ALL)
    lab.azure.protect(*(fleet_vm(f"vm-{number}") for number in range(1001)))

    ((target, message),) = lab.problems()

    assert target == "groups"
    assert "more than 1000" in message


def test_a_thousand_members_are_taken() -> None:
    lab = Lab(ALL)
    lab.azure.protect(*(fleet_vm(f"vm-{number}") for number in range(1000)))

    assert lab.resolve().groups[0].count == 1000


def test_a_plan_whose_record_is_gone_ends_the_recovery() -> None:
    lab = Lab(ALL)
    lab.records.held.clear()

    with pytest.raises(TerminalError) as caught:
        lab.ask()

    assert caught.value.code == errors.INTERNAL_ERROR


# Waits, failures, and long readings


def test_a_used_up_quota_is_waited_for_by_the_caller_and_nothing_is_asked_twice() -> None:
    lab = Lab(ALL)
    lab.azure.protect(*map(fleet_vm, "abcde"))
    lab.azure.rows_of_page, lab.azure.quota = 2, [None, 4.0, None]

    assert lab.members() == [list("abcde")]

    assert [(type(answer.value), answer.retry_after_s) for answer in lab.answers[:2]] == [
        (StillChoosing, 4.0),
        (Resolved, None),
    ]
    assert [token for _, token in lab.azure.queries] == [None, "2", "4"]


def test_the_wait_of_the_last_page_keeps_nobody_waiting() -> None:
    lab = Lab(ALL)
    lab.azure.protect(fleet_vm("a"))
    lab.azure.quota = [4.0]

    lab.resolve()

    assert len(lab.answers) == 1


def test_a_list_that_takes_long_is_read_in_slices() -> None:
    lab = Lab(ALL)
    lab.azure.protect(*map(fleet_vm, "abc"))
    lab.azure.protect(fleet_vm("d"), vault_id=SECOND_VAULT)
    lab.azure.rows_of_page = 2
    for name in ("query_resources", "list_protected_items"):
        lab.azure.before[name] = [lambda: lab.clock.advance(timedelta(seconds=61))] * 9

    assert lab.members() == [list("abcd")]
    assert len(lab.answers) > 2
    assert lab.azure.calls["query_resources"] == lab.azure.calls["list_protected_items"] == 2


def test_the_list_is_begun_again_if_rows_have_come_or_gone() -> None:
    lab = Lab(ALL)
    lab.azure.protect(*map(fleet_vm, "bcde"))
    lab.azure.rows_of_page = 2
    items = lab.azure.items[FLEET_VAULT]
    lab.azure.before["query_resources"] = [lambda: None, lambda: items.insert(0, item_of(fleet_vm("a")))]

    assert lab.members() == [list("abcde")]
    assert [token for _, token in lab.azure.queries] == [None, "2", None, "2", "4"]


def test_a_list_that_changes_again_and_again_is_read_to_its_end() -> None:
    lab = Lab(ALL)
    lab.azure.protect(*map(fleet_vm, "bcde"))
    lab.azure.rows_of_page = 2
    items = lab.azure.items[FLEET_VAULT]
    lab.azure.before["query_resources"] = [
        lambda number=number: items.append(item_of(fleet_vm(f"new-{number:02}"))) for number in range(10)
    ]

    assert lab.resolve().groups[0].count >= 4
    assert len(lab.azure.queries) < 15


def test_throttling_is_waited_for_and_what_was_read_is_kept() -> None:
    lab = Lab(ALL)
    lab.azure.protect(*map(fleet_vm, "abc"))
    lab.azure.rows_of_page = 2
    lab.azure.fails["query_resources"] = [None, BUSY, DOWN]

    assert lab.members() == [list("abc")]

    assert [answer.retry_after_s for answer in lab.answers[:3]] == [17, 10, None]
    assert [token for _, token in lab.azure.queries] == [None, "2"]


def test_a_resource_graph_that_does_not_answer_is_an_error_for_a_plan_that_selects() -> None:
    lab = Lab(ALL)
    lab.azure.fails["query_resources"] = [DOWN] * 6

    with pytest.raises(TransientError):
        lab.resolve()


@pytest.mark.parametrize("failures", [[FORBIDDEN], [DOWN] * 6])
def test_a_plan_that_names_all_its_vms_needs_no_resource_graph(failures: list[Exception | None]) -> None:
    lab = Lab(named("a", "b"))
    lab.azure.protect(fleet_vm("a"))
    lab.azure.fails["query_resources"] = failures

    resolved = lab.resolve()

    assert codes(resolved) == [WarningCode.GRAPH_NOT_READ]
    assert resolved.vault_of == (NO_VAULT, NO_VAULT)


@pytest.mark.parametrize(
    ("failures", "name"),
    [([FORBIDDEN], "get_vault_region"), ([FORBIDDEN], "list_protected_items"), ([BUSY] * 6, "list_protected_items")],
)
def test_a_vault_that_cannot_be_read_stops_no_other(failures: list[Exception | None], name: str) -> None:
    lab = Lab(ALL)
    lab.azure.protect(fleet_vm("a"))
    lab.azure.protect(fleet_vm("b"), vault_id=SECOND_VAULT)
    lab.azure.fails[name] = failures

    resolved = lab.resolve()

    assert codes(resolved) == [WarningCode.VAULT_NOT_READ]
    assert resolved.vault_of == (0, 1)
    assert [lab.roster.item_of(index) is None for index in (0, 1)] == [True, False]
    assert [lab.roster.request_for(index).body.get("vaultId") for index in (0, 1)] == [FLEET_VAULT, None]


def test_a_busy_vault_is_read_again_after_its_wait_and_the_others_are_not() -> None:
    lab = Lab(ALL)
    lab.azure.protect(fleet_vm("a"))
    lab.azure.protect(fleet_vm("b"), vault_id=SECOND_VAULT)
    lab.azure.fails["list_protected_items"] = [None, BUSY]

    assert lab.resolve().warnings == ()
    assert [answer.retry_after_s for answer in lab.answers] == [17, None]
    assert lab.azure.calls["list_protected_items"] == 3
    assert lab.azure.calls["query_resources"] == 1


# What the vaults' past restores say


def test_the_typical_duration_is_the_median_of_good_restores_of_all_vaults() -> None:
    lab = Lab(ALL)
    lab.azure.protect(fleet_vm("a"))
    lab.azure.protect(fleet_vm("b"), vault_id=SECOND_VAULT)
    lab.azure.past_jobs = {
        FLEET_VAULT: [a_job(minutes=10), a_job(JobStatus.FAILED, 1), a_job(JobStatus.IN_PROGRESS, 999)],
        SECOND_VAULT: [a_job(minutes=30), a_job(JobStatus.COMPLETED_WITH_WARNINGS, 20)],
    }

    assert lab.resolve().typical_s == 20 * 60


def test_without_past_restores_there_is_no_typical_duration() -> None:
    lab = Lab(ALL)
    lab.azure.protect(fleet_vm("a"))

    assert lab.resolve().typical_s is None


def test_a_member_whose_first_attempt_has_a_job_is_not_looked_through() -> None:
    lab = Lab(ALL)
    lab.azure.protect(*map(fleet_vm, "abc"))
    activity_id = client_request_id_for(member_restore_id(RECOVERY_ID, 1, 1)).upper()
    lab.azure.past_jobs = {FLEET_VAULT: [a_job(), a_job(JobStatus.FAILED, activity_id=activity_id)]}

    lab.resolve()

    assert [member.looked for member in lab.roster.members] == [True, False, True]


def test_where_the_jobs_cannot_be_read_each_restore_looks_for_its_own() -> None:
    lab = Lab(ALL)
    lab.azure.protect(fleet_vm("a"))
    lab.azure.fails["list_restore_jobs"] = [FORBIDDEN]

    assert lab.resolve().warnings == ()
    assert [member.looked for member in lab.roster.members] == [False]
