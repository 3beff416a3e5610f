"""The engine crashes after it has sent a step's messages and before it has written the history: the step is run again.

The second run comes much later, after a restart or the queue's visibility timeout, and sees what has been sent to the
restore meanwhile. Its messages bear the numbers of those of the first run, which arrive as well.
"""

from __future__ import annotations

import heapq
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, override

import durabletask.internal.helpers as ph
import pytest

from domain.errors import TransientError
from domain.restore.calls import ActivityCall
from domain.restore.machine import CANCEL_EVENT, DECISION_EVENT
from domain.restore.state import restore_id_for
from tests.support import hub as hubs
from tests.support.azure import LIMITS, Lab, a_restore, throttled, vm_id
from tests.support.hub import Hub

if TYPE_CHECKING:
    from collections.abc import Callable

    from domain.errors import Json
    from domain.restore.state import Restore

RESTORE = restore_id_for("test")
STEPS = 40
DELIVERIES = {kind.name for kind in ActivityCall.__subclasses__() if kind.is_delivery}


class _Crashing:
    """Has the step of this number run again over a minute later; messages that are overdue by then come first."""

    def __init__(self, lab: Lab, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps, self._number = 0, number
        lab.hub.second_run = timedelta(seconds=70)
        monkeypatch.setattr(Hub, "_activity", overdue_first(Hub._activity))
        lab.hub._backend.faults = hubs._Faults(starts=False, turns=self._repeats, operations=False)

    def _repeats(self, instance_id: str) -> bool:
        self.steps += instance_id == RESTORE
        return instance_id == RESTORE and self.steps == self._number


def overdue_first(act: Callable[[Hub], bool]) -> Callable[[Hub], bool]:
    def acts(hub: Hub) -> bool:
        due = hub._backend.next_due()
        if due is None or due.at > hub.clock.now():
            return act(hub)
        heapq.heappop(hub._backend.due)
        due.happen()
        return True

    return acts


def _plain(lab: Lab) -> Restore:
    lab.azure.job_takes = timedelta(minutes=3)
    return a_restore(validate=True)


def _posted_without_an_answer(lab: Lab) -> Restore:
    lab.azure.posts = ["lost"]
    lab.azure.listed_after = timedelta(seconds=40)
    return a_restore()


def _posted_in_vain(lab: Lab) -> Restore:
    lab.azure.posts = ["unheard"]
    return a_restore()


def _throttled(lab: Lab) -> Restore:
    lab.azure.fails["list_recovery_points"] = [throttled(40)]
    lab.azure.fails["get_job"] = [throttled(30), None, throttled(20)]
    return a_restore(replace(LIMITS, max_per_vault=1))


def _item_busy(lab: Lab) -> Restore:
    lab.azure.posts = ["unheard"]
    lab.azure.fails["trigger_restore"] = [a_wait("ItemBusy"), None, a_wait("ItemBusy"), a_wait("ItemBusy")]
    return a_restore()


def _vault_blocked(lab: Lab) -> Restore:
    lab.azure.fails["list_recovery_points"] = [a_wait("VaultBlocked")]
    lab.azure.fails["trigger_restore"] = [a_wait("VaultBlocked")]
    return a_restore(replace(LIMITS, max_per_vault=1))


def a_wait(code: str) -> TransientError:
    return TransientError(code, "not now")


def _approved(lab: Lab) -> Restore:
    restore = a_restore(approval={"required": True, "timeout": "PT1H"})
    lab.start(restore)
    lab.reach(RESTORE, "AwaitingApproval")
    lab.hub.raise_event(RESTORE, DECISION_EVENT, {"decision": "Approved", "by": "ada"})
    return restore


def _nobody_approves(_lab: Lab) -> Restore:
    return a_restore(approval={"required": True, "timeout": "PT2M"})


def _events_queue_away(lab: Lab) -> Restore:
    lab.receivers.has_webhook = True
    lab.receivers.publishing_events_fails, lab.receivers.posting_events_fails = 4, 2
    return _approved(lab)


def _cancelled(lab: Lab) -> Restore:
    restore = a_restore()
    lab.start(restore)
    lab.hub.run_until(timedelta(seconds=100))
    lab.azure.fails["cancel_job"] = [throttled(50)]
    lab.hub.raise_event(RESTORE, CANCEL_EVENT, {"by": "ada"})
    return restore


def _past_its_deadline(lab: Lab) -> Restore:
    lab.azure.job_takes = timedelta(hours=3)
    return a_restore(replace(LIMITS, deadline_s=90))


def _watched(lab: Lab) -> Restore:
    lab.azure.has_own_operations = True
    lab.azure.job_takes = timedelta(minutes=5)
    limits = replace(LIMITS, max_per_vault=50)
    for number in range(1, 5):
        lab.start(a_restore(limits, key=f"number {number}", sourceResourceId=vm_id(number)))
    return a_restore(limits)


SCENES: dict[str, tuple[Callable[[Lab], Restore], str, int]] = {
    "plain": (_plain, "Completed", 1),
    "lost answer": (_posted_without_an_answer, "Completed", 1),
    "posted in vain": (_posted_in_vain, "Completed", 1),
    "throttled": (_throttled, "Completed", 1),
    "item busy": (_item_busy, "Completed", 1),
    "vault blocked": (_vault_blocked, "Completed", 1),
    "approved": (_approved, "Completed", 1),
    "events queue away": (_events_queue_away, "Completed", 1),
    "nobody approves": (_nobody_approves, "Rejected", 0),
    "cancelled": (_cancelled, "Cancelled", 1),
    "watched": (_watched, "Completed", 5),
    "deadline": (_past_its_deadline, "TimedOut", 1),
}


@pytest.mark.parametrize("scene", SCENES)
def test_whichever_step_is_run_twice_the_restore_ends_as_ever_with_one_job(
    scene: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    play, status, jobs = SCENES[scene]
    ends: dict[int, tuple[str, int]] = {}
    for number in range(1, STEPS):
        lab = Lab()
        crashing = _Crashing(lab, number, monkeypatch)
        restore = play(lab)
        if RESTORE not in lab.hub.instances():
            lab.start(restore)
        done = lab.hub.finish(RESTORE)
        ends[number] = (done["status"], len(lab.azure.jobs))
        monkeypatch.undo()
        if crashing.steps < number:
            break

    assert set(ends.values()) == {(status, jobs)}, ends
    assert len(ends) > 3


class _Interfering(Hub):
    """Has a person heard in the second run of a step, of whom the first run did not know."""

    number, steps, event = 0, 0, ("", "{}")

    @override
    def _run_turn(self, function: Any, instance: Any, generation: int) -> Any:
        if instance.instance_id == RESTORE and self.steps == self.number and self.number:
            self.number = 0
            instance.dispatched_events.insert(1, ph.new_event_raised_event(*self.event))
        return super()._run_turn(function, instance, generation)

    def repeats(self, instance_id: str) -> bool:
        self.steps += instance_id == RESTORE
        return instance_id == RESTORE and self.steps == self.number


@pytest.mark.parametrize("number", range(1, 9))
def test_a_cancel_that_comes_between_the_runs_never_hides_a_restore_that_was_posted(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, jobs = interfered(number, (CANCEL_EVENT, '{"by": "ada"}'), monkeypatch)

    says_nothing = "Nothing was started." in (done["error"] or {}).get("message", "")
    assert done["status"] == "Cancelled"
    assert says_nothing == (jobs == 0)


def interfered(number: int, event: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> tuple[Json, int]:
    """Run a restore; ``event`` is heard first in the second run of this step. Returns its end and its jobs' number."""
    monkeypatch.setattr("tests.support.azure.Hub", _Interfering)
    lab = Lab()
    hub = lab.hub
    assert isinstance(hub, _Interfering)
    hub.number, hub.event = number, event
    hub._backend.faults = hubs._Faults(starts=False, turns=hub.repeats, operations=False)
    lab.start(a_restore())
    done = hub.finish(RESTORE)
    return done, len(lab.azure.jobs)


class _Late(Hub):
    """Keeps deliveries in flight until a step is run twice; then their answers come first in its second run."""

    number, steps = 0, 0

    @override
    def _activity(self) -> bool:
        queue = self._backend.activities
        for _ in range(len(queue)):
            if queue[0].item.name not in DELIVERIES or self.steps >= self.number or self._backend.next_due() is None:
                return super()._activity()
            queue.rotate(-1)
        return False

    @override
    def _run_turn(self, function: Any, instance: Any, generation: int) -> Any:
        if instance.instance_id == RESTORE and self.steps == self.number:
            known = {event.eventId for event in instance.history if event.HasField("taskScheduled")}
            for work in tuple(self._backend.activities):
                if work.item.name in DELIVERIES and work.item.task_id in known:
                    self._backend.activities.remove(work)
                    instance.dispatched_events.insert(1, _answer(work.item.task_id, self._call(work.item)))
        return super()._run_turn(function, instance, generation)

    def repeats(self, instance_id: str) -> bool:
        self.steps += instance_id == RESTORE
        return instance_id == RESTORE and self.steps == self.number


def _answer(task_id: int, outcome: str | Exception) -> Any:
    if isinstance(outcome, Exception):
        return ph.new_task_failed_event(task_id, outcome)
    return ph.new_task_completed_event(task_id, outcome)


@pytest.mark.parametrize("scene", ["plain", "approved", "events queue away"])
def test_an_answer_to_a_delivery_between_two_runs_of_a_step_changes_nothing(
    scene: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    play, status, jobs = SCENES[scene]
    monkeypatch.setattr("tests.support.azure.Hub", _Late)
    ends: dict[int, Any] = {}
    for number in range(1, STEPS):
        lab = Lab()
        hub = lab.hub
        assert isinstance(hub, _Late)
        hub.number = number
        hub._backend.faults = hubs._Faults(starts=False, turns=hub.repeats, operations=False)
        restore = play(lab)
        if RESTORE not in hub.instances():
            lab.start(restore)
        done = hub.finish(RESTORE)
        sent = dict.fromkeys(event["event"] for event in lab.receivers.events)
        ends[number] = done["status"], len(lab.azure.jobs), sorted(sent)
        if hub.steps < number:
            break

    expected = {"Pending", "Running", status} | (set() if scene == "plain" else {"AwaitingApproval"})
    assert all(end == (status, jobs, sorted(expected)) for end in ends.values()), ends
