"""The watcher of a vault on the engine: its histories, its deaths, and what Azure is spared."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from domain.answers import Answer
from domain.azure.protected_items import ProtectedItem
from domain.codec import pack, unpack
from domain.envelopes import seal
from domain.restore.calls import JoinWatch
from domain.restore.machine import CANCEL_EVENT
from domain.restore.parts import Membership
from domain.restore.stages import Preparing
from domain.restore.state import restore_id_for
from domain.times import format_time, parse_request_time
from domain.watch.calls import ListRunningJobs, RunningJobs
from domain.watch.machine import JOIN_EVENT
from domain.watch.state import VaultWatch
from orchestrations import watch_vault
from orchestrations.names import WATCH_VAULT
from tests.support.azure import CONTAINER, ITEM, LIMITS, VAULT_ID, Lab, a_restore, vm_id, watcher_of
from tests.support.hub import START, Hub, StillWaitingError

if TYPE_CHECKING:
    from domain.errors import Json
    from domain.restore.polling import Limits
    from domain.restore.state import Restore

WATCHER = watcher_of()


def a_fleet(lab: Lab, count: int, **members: Any) -> list[str]:
    """Start so many restores of one vault, all at once; returns their ids."""
    lab.azure.has_own_operations = True
    limits = replace(LIMITS, max_per_vault=count)
    return [
        lab.start(
            a_restore(limits, key=str(number), created=lab.azure.clock.now(), sourceResourceId=vm_id(number), **members)
        )
        for number in range(count)
    ]


def documents(lab: Lab, ids: list[str]) -> list[Json]:
    lab.hub.run_until_idle()
    return [lab.hub.state(restore_id).output for restore_id in ids]


def job_reads(lab: Lab, ids: list[str], *, ended: bool) -> list[int]:
    """Return how often each restore has read its job after the job's end, or while it ran; the fewest first."""
    ends = {job.job_id: job.made + lab.azure.job_takes for job in lab.azure.jobs}
    reads = Counter(
        call.input["jobId"]
        for call in lab.hub.calls
        if call.name == "get_job" and (call.at >= ends[call.input["jobId"]]) == ended
    )
    return sorted(reads[lab.hub.state(restore_id).output["jobId"]] for restore_id in ids)


def check_reads(lab: Lab, ids: list[str]) -> None:
    """Check that all but three restores, which poll, read their job once at its end, and before in turn: one a list."""
    watched = len(ids) - 3
    assert job_reads(lab, ids, ended=True) == [1] * len(ids)
    assert sum(job_reads(lab, ids, ended=False)[:watched]) <= lab.azure.calls["list_running_jobs"]


def test_all_complete_each_with_its_own_job_and_one_read_of_it() -> None:
    lab = Lab()
    ids = a_fleet(lab, 30)

    done = documents(lab, ids)

    assert [document["status"] for document in done] == ["Completed"] * 30
    assert len({document["jobId"] for document in done}) == 30
    check_reads(lab, ids)
    assert lab.azure.calls["get_operation"] == 3
    late = [parse_request_time(document["completedTime"]) - lab.hub.clock.now() for document in done]
    assert max(late) - min(late) <= timedelta(minutes=2)


def test_the_progress_of_five_watched_restores_is_never_older_than_five_lists() -> None:
    lab = Lab()
    ids = a_fleet(lab, 8)
    lists = [timedelta(0)]
    lab.hub.run_until(timedelta(minutes=3))
    while lab.hub.clock.now() < lab.azure.jobs[0].made + timedelta(minutes=30):
        seen = lab.azure.calls["list_running_jobs"]
        lab.hub.run_until(lambda seen=seen: lab.azure.calls["list_running_jobs"] > seen)
        lab.hub.run_until(timedelta(seconds=5))
        lists.append(lab.hub.clock.now() - lab.azure.jobs[0].made)
        if len(lists) <= 6:
            continue
        shown = [lab.hub.state(restore_id).custom_status["progressPercentage"] for restore_id in ids]
        assert min(shown) >= 99 * (lists[-6] / lab.azure.job_takes) - 0.5

    check_turns(lab, ids[3:])
    assert {document["status"] for document in documents(lab, ids)} == {"Completed"}
    check_reads(lab, ids)


def check_turns(lab: Lab, ids: list[str]) -> None:
    """Check that the watcher gave each of these restores about as many turns."""
    sent = [event for history in lab.hub.generations(WATCHER) for event in history if event.HasField("eventSent")]
    turns = Counter(event.eventSent.instanceId for event in sent if "Turn" in event.eventSent.input.value)
    assert set(turns) == set(ids)
    assert max(turns.values()) - min(turns.values()) <= 1


def a_member(number: int, limits: Limits, **members: Any) -> Restore:
    """Return the restore of a recovery's member: its item is known, and all jobs were looked through before."""
    restore = a_restore(limits, key=str(number), sourceResourceId=vm_id(number), **members)
    item = ProtectedItem(
        vault_id=VAULT_ID,
        container_name=CONTAINER,
        protected_item_name=ITEM,
        source_resource_id=vm_id(number),
        region="westeurope",
    )
    member = Membership(recovery_id="plan", index=number, attempt=1, looked=True)
    return replace(restore, accepted=replace(restore.accepted, member=member), stage=Preparing(item=item))


@pytest.mark.parametrize(("validate", "most"), [(False, 5.0), (True, 7.0)])
def test_the_calls_for_each_member_of_a_recovery_do_not_grow_with_its_job(validate: bool, most: float) -> None:
    lab = Lab()
    lab.azure.has_own_operations = True
    limits = replace(LIMITS, max_per_vault=60)
    ids = [lab.start(a_member(number, limits, validate=validate)) for number in range(60)]

    assert {document["status"] for document in documents(lab, ids)} == {"Completed"}

    # The first three poll for themselves. The lists are those of 31 minutes, however many restores there are.
    of_three = 3 * (most + 45)
    lists = lab.azure.calls.pop("list_running_jobs")
    assert (lab.azure.calls.total() - of_three) / 57 <= most
    assert lists <= 50
    assert lab.azure.calls["find_restore_job"] == 0


def test_no_history_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_vault, "_MAX_EVENTS", 100)
    lab = Lab()
    a_fleet(lab, 12)
    lab.hub.run_until_idle()

    lengths = [len(history) for history in lab.hub.generations(WATCHER)]
    assert len(lengths) > 3
    assert max(lengths) <= 100 + 20


def test_a_thousand_registrations_and_a_thousand_news_leave_no_history_above_five_hundred_events() -> None:
    calls = [
        JoinWatch(vault_id=VAULT_ID, restore_id=f"r{n}", client_request_id=f"c{n}", triggered=START, limits=LIMITS)
        for n in range(1000)
    ]

    def lists(data: Json) -> Json:
        call: ListRunningJobs = unpack(ListRunningJobs, data)
        return seal(
            Answer(RunningJobs(found={key: key for key in call.unknown})), activity=call.name, at=hub.clock.now()
        )

    hub = Hub(orchestrators={WATCH_VAULT: watch_vault.watch_vault}, activities={ListRunningJobs.name: lists})
    hub.start(WATCH_VAULT, pack(VaultWatch.begin(VAULT_ID, LIMITS, START)), instance_id=WATCHER)
    hub.run_until(timedelta(seconds=5))
    for number, call in enumerate(calls):
        hub.raise_event(WATCHER, JOIN_EVENT, {**pack(call), "time": format_time(hub.clock.now())})
        if number % 20 == 0:
            hub.run_until(timedelta(seconds=1))
    hub.run_until(timedelta(minutes=6))

    assert hub.state(WATCHER).custom_status["watched"] == 1000
    told = [event for history in hub.generations(WATCHER) for event in history if event.HasField("eventSent")]
    assert {event.eventSent.instanceId for event in told} == {call.restore_id for call in calls}
    assert len(told) == 1000
    assert max(len(history) for history in hub.generations(WATCHER)) <= 500


def test_it_ends_and_begins_anew_with_the_next_restores() -> None:
    lab = Lab()
    documents(lab, a_fleet(lab, 6))
    assert lab.hub.state(WATCHER).status == "Completed"

    lab.hub.run_until(timedelta(hours=3))
    ids = [
        lab.start(
            a_restore(
                replace(LIMITS, max_per_vault=9),
                key=f"later {number}",
                created=lab.azure.clock.now(),
                sourceResourceId=vm_id(number),
            )
        )
        for number in range(6)
    ]

    assert {document["status"] for document in documents(lab, ids)} == {"Completed"}
    check_reads(lab, ids)


@pytest.mark.parametrize("minutes", [0.1, 1, 4, 9.9, 20])
@pytest.mark.parametrize("how", ["terminated", "replaced worker", "suspended"])
def test_whatever_becomes_of_the_watcher_every_restore_ends_in_time(minutes: float, how: str) -> None:
    lab = Lab()
    ids = a_fleet(lab, 8)
    lab.hub.run_until(timedelta(minutes=minutes))
    if how == "terminated" and WATCHER in lab.hub.instances():
        lab.hub.terminate(WATCHER)
    if how == "suspended" and WATCHER in lab.hub.instances():
        lab.hub.suspend(WATCHER)
    if how == "replaced worker":
        lab.hub.restart_worker()

    ends = [parse_request_time(lab.hub.finish(restore_id)["completedTime"]) for restore_id in ids]

    assert max(ends) - lab.azure.jobs[0].made <= lab.azure.job_takes + timedelta(minutes=12)
    assert {lab.hub.state(restore_id).output["status"] for restore_id in ids} == {"Completed"}
    assert len(lab.azure.jobs) == 8


@pytest.mark.parametrize("number", range(1, 30))
def test_whichever_of_its_steps_is_run_twice_every_restore_ends_with_one_job(number: int) -> None:
    lab = Lab()
    lab.azure.job_takes = timedelta(minutes=6)
    lab.hub.second_run = timedelta(seconds=70)
    steps = Counter[str]()

    def repeats(instance_id: str) -> bool:
        steps[instance_id] += 1
        return instance_id == WATCHER and steps[instance_id] == number

    lab.hub._backend.faults = _faults(repeats)
    ids = a_fleet(lab, 6)

    assert [document["status"] for document in documents(lab, ids)] == ["Completed"] * 6
    assert len(lab.azure.jobs) == 6
    assert job_reads(lab, ids[3:], ended=True) == [1] * 3
    assert sum(job_reads(lab, ids[3:], ended=False)) <= lab.azure.calls["list_running_jobs"]


def _faults(repeats: Any) -> Any:
    from tests.support import hub as hubs  # noqa: PLC0415 - its faults are private

    return hubs._Faults(starts=False, turns=repeats, operations=False)


def test_a_worker_that_dies_in_every_second_activity_of_the_watcher_ends_nothing() -> None:
    lab = Lab()
    lab.azure.fails["list_running_jobs"] = [RuntimeError("python exited with code 137 (0x89)"), None] * 40
    ids = a_fleet(lab, 6)

    assert [document["status"] for document in documents(lab, ids)] == ["Completed"] * 6
    check_reads(lab, ids)


def test_each_activity_may_be_delivered_twice() -> None:
    lab = Lab(redeliver=lambda name: name in {"join_watch", "list_running_jobs"})
    ids = a_fleet(lab, 6)

    assert [document["status"] for document in documents(lab, ids)] == ["Completed"] * 6
    check_reads(lab, ids)


def test_a_cancellation_of_a_watched_restore_is_heard_at_once() -> None:
    lab = Lab()
    ids = a_fleet(lab, 6)
    lab.hub.run_until(timedelta(minutes=10))
    at = lab.hub.clock.now()
    lab.hub.raise_event(ids[5], CANCEL_EVENT, {"by": "ada"})
    lab.hub.run_until(lambda: lab.azure.calls["cancel_job"] == 1)

    assert lab.hub.clock.now() == at
    assert lab.hub.finish(ids[5])["status"] == "Cancelled"


def test_the_watcher_shows_what_it_watches_and_since_when_it_waits_for_a_list() -> None:
    lab = Lab()
    a_fleet(lab, 6)
    lab.hub.run_until(timedelta(minutes=2))

    shown = lab.hub.state(WATCHER).custom_status
    assert (shown["vaultId"], shown["watched"]) == (VAULT_ID, 3)
    assert lab.hub.clock.now() - parse_request_time(shown["waitsSince"]) <= timedelta(seconds=30)


def test_nothing_of_the_fleet_is_left_running() -> None:
    lab = Lab()
    documents(lab, a_fleet(lab, 12))

    assert all(lab.hub.state(instance_id).is_over for instance_id in lab.hub.instances())
    with pytest.raises(StillWaitingError):
        lab.hub.run_until(lambda: False)


def test_shared_reads_are_made_once() -> None:
    lab = Lab()
    documents(lab, a_fleet(lab, 6, validate=True))

    assert lab.azure.calls["get_storage_account"] == 1
    assert lab.azure.calls["list_resource_guard_proxies"] == 1


def test_restores_that_are_alone_cost_no_more_than_before() -> None:
    lab = Lab()
    lab.run(a_restore(replace(LIMITS, max_per_vault=50), key="alone"))

    assert WATCHER not in lab.hub.instances()
    assert lab.hub.state(restore_id_for("alone")).output["status"] == "Completed"
