"""A recovery on Microsoft's engine: its members are started, and their ends and waits reach it as events."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from domain.codec import pack
from domain.recovery.calls import record_id_of_members
from domain.recovery.roster import RosterMember, member_restore_id
from domain.times import parse_request_time
from orchestrations.names import HOLD_RECORD, RUN_RECOVERY
from tests.engine.stage import soon
from tests.integration.app_stage import a_request
from tests.support.recovery_lab import RECOVERY, Group, a_recovery, a_roster

if TYPE_CHECKING:
    from domain.errors import Json
    from tests.engine.stage import EngineStage


def test_members_tell_their_ends_and_groups_follow_in_order(stage: EngineStage) -> None:
    groups = (Group(count=2), Group(count=1, after=(0,)))
    roster = a_roster(groups)
    vms = [stage.fresh_vm() for _ in range(3)]
    unknown = replace(roster.resolved, vault_ids=(), vault_of=(-1, -1, -1))
    roster = replace(roster, resolved=unknown, members=tuple(RosterMember(vm_id=vm) for vm in vms))
    recovery = a_recovery(roster)

    stage.start_instance(HOLD_RECORD, record_id_of_members(RECOVERY), roster.to_json())
    stage.start_instance(RUN_RECOVERY, RECOVERY, pack(recovery))

    soon(lambda: stage.custom_status(RECOVERY).get("status") == "Completed")
    documents = [stage.seen(member_restore_id(RECOVERY, index, 1)) for index in range(3)]
    assert [document["status"] for document in documents] == ["Completed"] * 3
    ended = [parse_request_time(document["completedTime"]) for document in documents]
    assert parse_request_time(documents[2]["createdTime"]) >= max(ended[:2])
    assert [stage.posts(vm) for vm in vms] == [1, 1, 1]


def test_a_member_that_waits_before_its_swap_tells_so_and_that_it_goes_on(stage: EngineStage) -> None:
    approval = {"required": True, "before": "Swap"}
    asked = a_request(targetResourceGroupId=None, validate=False, thenSwapDisks={}, approval=approval)
    del asked["sourceResourceId"]
    group = {"name": "app", "sourceResourceIds": [stage.fresh_vm()], "restore": asked}
    recovery_id = stage.call("POST", "recoveries", json={"plan": {"name": "shop", "groups": [group]}}).json()["id"]

    def in_status(status: str) -> Json | None:
        document = stage.call("GET", f"recoveries/{recovery_id}").json()
        return document if document["status"] == status else None

    assert soon(lambda: in_status("AwaitingApproval"))["counts"] == {"AwaitingApproval": 1}
    restore_id = member_restore_id(recovery_id, 0, 1)
    answer = stage.call("POST", f"restores/{restore_id}/approve", json={"by": "ada", "before": "Swap"})
    assert answer.status_code == 202, answer.text
    assert soon(lambda: in_status("Completed"))["counts"] == {"Completed": 1}
    assert stage.seen(restore_id)["result"]["swap"]["state"] == "Swapped"
