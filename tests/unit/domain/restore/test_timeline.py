"""The phases of a restore without holes, and what it waited for in them; the ids of its trace."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from domain.codec import pack, unpack
from domain.restore import trace
from domain.restore.answers import AcceptedOperation
from domain.restore.document import custom_status, document
from domain.restore.machine import advance
from domain.restore.parts import Outcome, Phase, PhaseStart, PhaseWait, Status, Timeline, WaitReason
from domain.restore.stages import Validating
from domain.restore.state import Restore
from domain.times import parse_duration
from tests.support.azure import LIMITS, a_restore, throttled, vm_id
from tests.unit.domain.restore.states import CREATED, NOW, PREPARED, preparing, tracking_job

if TYPE_CHECKING:
    from domain.errors import Json
    from tests.support.player import Player

OLD = replace(tracking_job(), timeline=None)


def phases_of(player: Player, restore: Restore) -> list[Json]:
    return player.run(restore)["phases"]


def waits_of(phases: list[Json]) -> dict[str, timedelta]:
    return {wait["reason"]: parse_duration(wait["duration"]) for phase in phases for wait in phase.get("waits", [])}


def test_the_phases_are_all_of_the_restores_time(player: Player) -> None:
    done = player.run(a_restore(validate=True))
    phases = done["phases"]

    assert [phase["phase"] for phase in phases] == [
        *("Resolving", "SelectingRecoveryPoint", "Validating", "Triggering", "TrackingOperation", "TrackingJob")
    ]
    assert (phases[0]["started"], phases[-1]["ended"]) == (done["createdTime"], done["completedTime"])
    assert all(before["ended"] == after["started"] for before, after in pairwise(phases))


def test_the_phase_that_it_is_in_has_no_end() -> None:
    first = advance(tracking_job(), NOW)
    (phase,) = document(first, NOW)["phases"]

    assert phase == {"phase": "TrackingJob", "started": "2026-11-23T08:00:00Z"}


def test_a_wait_for_a_person_is_noted_when_it_is_over(player: Player) -> None:
    restore_id = player.start(a_restore(approval={"required": True, "timeout": "PT1H"}))
    player.reach(restore_id, "AwaitingApproval")
    player.clock.advance(timedelta(minutes=20))
    player.say("decision", {"decision": "Approved", "by": "ada"}, restore_id)
    phases = player.finish(restore_id)["phases"]

    (approval,) = [phase for phase in phases if phase["phase"] == "AwaitingApproval"]
    assert waits_of([approval]).keys() == {"Approval"}
    assert waits_of([approval])["Approval"] >= timedelta(minutes=20)


def test_throttling_is_noted_where_it_was(player: Player) -> None:
    player.azure.fails["get_backup_status"] = [throttled(90.0), throttled(30.0)]
    phases = phases_of(player, a_restore())

    assert waits_of(phases[:1]) == {"Throttled": timedelta(seconds=120)}
    assert "Throttled" not in waits_of(phases[1:])


def test_a_wait_in_line_is_noted(player: Player) -> None:
    limits = replace(LIMITS, max_per_vault=1)
    player.start(a_restore(limits))
    second = player.start(a_restore(limits, key="second", sourceResourceId=vm_id(2)))
    waits = waits_of(player.finish(second)["phases"])

    assert waits["VaultBusy"] > timedelta(minutes=10)


def test_a_wait_that_ends_with_the_restore_counts_up_to_the_end(player: Player) -> None:
    done = player.run(a_restore(approval={"required": True, "timeout": "PT30M"}))

    assert done["phases"][-1]["ended"] == done["completedTime"]
    assert waits_of(done["phases"][-1:]) == {"Approval": timedelta(minutes=30)}


def test_a_restore_that_goes_back_and_forth_for_a_day_keeps_a_short_timeline() -> None:
    restore, now = preparing(), CREATED
    validating = Validating(prepared=PREPARED, operation=AcceptedOperation(operation_id="o"), since=CREATED)
    for number in range(200):
        now += timedelta(minutes=5)
        stage = preparing().stage if number % 2 else replace(validating, since=now)
        restore = advance(replace(restore, stage=stage), now)
    restore = advance(replace(restore, stage=tracking_job().stage), now + timedelta(minutes=5))

    assert restore.timeline is not None
    phases = restore.timeline.phases
    assert [phases[0].started, *(phase.phase for phase in phases[-1:])] == [CREATED, Phase.TRACKING_JOB]
    assert len(phases) <= 13
    assert all(before.started < after.started for before, after in pairwise(phases))


def back_and_forth() -> tuple[PhaseStart, ...]:
    """Return as many phases as are noted without joining them; each waited longer than the one before."""
    names = (Phase.SELECTING_RECOVERY_POINT, Phase.VALIDATING) * 6
    return tuple(
        PhaseStart(phase=name, started=CREATED + timedelta(minutes=number), waits=(busy(number + 1),))
        for number, name in enumerate(names)
    )


def busy(minutes: int) -> PhaseWait:
    return PhaseWait(reason=WaitReason.ITEM_BUSY, duration=timedelta(minutes=minutes))


def test_a_phase_that_it_comes_back_to_is_one_more() -> None:
    before = back_and_forth()[:2]
    after = advance(replace(preparing(), timeline=Timeline(phases=before)), NOW)

    assert after.timeline is not None
    assert after.timeline.phases == (*before, PhaseStart(phase=Phase.SELECTING_RECOVERY_POINT, started=NOW))
    parent = trace.with_traceparent({}, after)["traceparent"].split("-")[2]
    assert parent == f"{trace.phase_span_id(after.restore_id, 2):016x}"


def test_what_was_waited_for_is_not_lost_where_phases_are_joined() -> None:
    *first, back, left = back_and_forth()
    throttled_once = PhaseWait(reason=WaitReason.THROTTLED, duration=timedelta(minutes=1))
    left = replace(left, waits=(*left.waits, throttled_once))
    after = advance(replace(preparing(), timeline=Timeline(phases=(*first, back, left))), NOW).timeline

    assert after is not None
    assert after.phases == (*first, replace(back, waits=(busy(11 + 12), throttled_once)))


def test_a_wait_that_took_no_time_is_not_noted() -> None:
    start = PhaseStart(phase=Phase.TRACKING_JOB, started=CREATED)
    waiting = Timeline(phases=(start,), waiting=WaitReason.THROTTLED, waiting_since=NOW)
    after = advance(replace(tracking_job(), timeline=waiting), NOW).timeline

    assert after is not None
    assert after.waiting is not WaitReason.THROTTLED
    assert after.phases == (start,)


def test_a_restore_of_an_earlier_version_goes_on_without_a_timeline() -> None:
    read = unpack(Restore, {name: value for name, value in pack(tracking_job()).items() if name != "timeline"})
    after = advance(read, NOW)

    assert after.timeline is None
    assert "timeline" not in pack(after)
    assert "phases" not in document(after, NOW)


def test_the_longest_timeline_fits_into_a_custom_status() -> None:
    waits = tuple(PhaseWait(reason=reason, duration=timedelta(hours=20, seconds=1.123456)) for reason in WaitReason)
    phases = tuple(PhaseStart(phase=Phase.SELECTING_RECOVERY_POINT, started=NOW, waits=waits) for _ in range(18))
    shown = custom_status(replace(tracking_job(), timeline=Timeline(phases=phases)), NOW)

    assert len(json.dumps(shown)) <= 7500
    assert "phases" not in shown
    assert shown["jobId"] == "job-1"


class TestTrace:
    def test_a_calls_parent_is_the_current_phase(self) -> None:
        restore = advance(tracking_job(), NOW)
        data = trace.with_traceparent({"a": 1}, restore)
        trace_id = restore.restore_id.replace("-", "")

        assert data == {
            "a": 1,
            "traceparent": f"00-{trace_id}-{trace.phase_span_id(restore.restore_id, 0):016x}-01",
        }

    def test_after_the_end_it_is_the_restore(self) -> None:
        restore = replace(advance(tracking_job(), NOW), outcome=Outcome(status=Status.FAILED, completed=NOW))
        data = trace.with_traceparent({}, restore)

        assert data["traceparent"].split("-")[2] == f"{trace.root_span_id(restore.restore_id):016x}"

    @pytest.mark.parametrize(
        "restore", [OLD, replace(tracking_job(), accepted=replace(tracking_job().accepted, restore_id="x"))]
    )
    def test_without_timeline_or_uuid_there_is_none(self, restore: Restore) -> None:
        assert trace.with_traceparent({"a": 1}, restore) == {"a": 1}

    def test_the_next_version_gives_a_running_restore_the_same_ids(self) -> None:
        restore_id = "1a6ae6b2-669a-4262-9b25-aee9d6e71a4e"

        assert trace.root_span_id(restore_id) == 0x7D553AA5604C6F54
        assert trace.phase_span_id(restore_id, 1) == 0xAAB2E7486810755E

    def test_every_span_of_a_restore_has_its_own_id_and_always_the_same(self) -> None:
        ids = [str(uuid.UUID(int=number)) for number in range(20)]

        def spans() -> list[int]:
            return [
                span
                for key in ids
                for span in (trace.root_span_id(key), *(trace.phase_span_id(key, n) for n in range(20)))
            ]

        assert len(set(spans())) == len(spans())
        assert spans() == spans()
        assert all(0 < span < 2**64 for span in spans())
