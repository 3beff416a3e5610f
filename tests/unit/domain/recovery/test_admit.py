from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.admission.vm_lock import LastRestore, VmLock, acquire
from domain.errors import COOLING_DOWN, HOURLY_BUDGET_SPENT, SERVICE_UNAVAILABLE, TransientError
from domain.recovery import calls
from domain.recovery.state import with_outline
from domain.restore.answers import Grant, LockHolder, Refusal, Running, Storm
from domain.restore.calls import AcquireLock, FindRunning, NoteAlert, ReleaseLock, ReleaseVanishedLock, TakeBudget
from domain.restore.parts import LockState, Source, Status
from tests.support.azure import an_alert_start
from tests.unit.domain.admission.asking import asked
from tests.unit.domain.recovery.driving import CREATED, Driven, a_group

GRANTED = Grant()
CALM = Storm(is_storm=False, vms=1)
STORM = Storm(is_storm=True, vms=11)
HOLDER = LockHolder(restore_id="other", created=CREATED, source="alert", since=CREATED)
TAKEN = Grant(refusal=Refusal(code=COOLING_DOWN, message="Another one runs.", holder=HOLDER))


def by_alert(*, max_per_hour: int | None = None, storm: Storm = CALM, admit: bool = True) -> Driven:
    """Return a recovery that an alert starts; it is admitted, and its members are chosen, if wanted."""
    alert = an_alert_start(max_per_hour=max_per_hour)
    driven = Driven(a_group(2), source=Source.ALERT, alert=alert)
    if admit:
        driven.answer(GRANTED)
        driven.answer(storm)
        driven.resolve()
    return driven


class TestAdmission:
    def test_lock_storm_and_budget_come_before_anything_else(self) -> None:
        driven = by_alert(max_per_hour=2, admit=False)

        made = [driven.answer(GRANTED), driven.answer(CALM), driven.answer(GRANTED), driven.call()]

        assert [type(call) for call in made] == [AcquireLock, NoteAlert, TakeBudget, calls.ResolveRecovery]
        assert driven.progress.status == "Pending"

    def test_the_lock_is_the_plans(self) -> None:
        lock = by_alert(admit=False).call()

        assert isinstance(lock, AcquireLock)
        assert (lock.vm, lock.cool_down, lock.of_plan) == ("plan shop", timedelta(hours=1), True)
        _, held = acquire(VmLock(vm="plan shop", holder=HOLDER), lock, asked("r"))
        assert held.refusal is not None
        assert held.refusal.message.startswith("Recovery other of this plan, started by alert")
        last = LastRestore(restore_id="other", ended=CREATED)
        _, cooling = acquire(VmLock(vm="plan shop", last=last), lock, asked("r"))
        assert cooling.refusal is not None
        assert "Recovery other of this plan ended at" in cooling.refusal.message
        assert "Start a recovery by hand" in cooling.refusal.message

    @pytest.mark.parametrize("seconds", [2, 20])
    def test_a_plan_that_is_being_recovered_is_refused(self, seconds: int) -> None:
        driven = by_alert(admit=False)
        driven.answer(TAKEN)
        driven.passes(seconds=seconds)
        call = driven.answer(Running(is_running=True))

        assert call == FindRunning(restore_id="other")
        assert driven.progress.error is not None
        assert driven.progress.error["code"] == COOLING_DOWN
        assert driven.document["refused"] == ("AtOnce" if seconds == 2 else "Later")

    def test_the_lock_of_a_recovery_that_vanished_is_released_in_its_name(self) -> None:
        driven = by_alert(admit=False)
        driven.answer(TAKEN)
        driven.answer(Running(is_running=False, ended=CREATED))
        call = driven.answer()

        assert isinstance(call, ReleaseVanishedLock)
        assert (call.holder, call.ended) == (HOLDER, CREATED)
        assert isinstance(driven.answer(GRANTED), AcquireLock)
        assert isinstance(driven.call(), NoteAlert)

    def test_a_spent_budget_is_refused_and_no_cool_down_begins(self) -> None:
        driven = by_alert(max_per_hour=1, admit=False)
        driven.answer(GRANTED)
        driven.answer(CALM)
        driven.answer(Grant(refusal=Refusal(code=HOURLY_BUDGET_SPENT, message="Enough.")))

        release = driven.answer()

        assert isinstance(release, ReleaseLock)
        assert release.unused
        assert driven.is_finished()

    def test_an_entity_that_is_away_is_asked_again(self) -> None:
        driven = by_alert(admit=False)
        driven.fail(TransientError(SERVICE_UNAVAILABLE, "It is away."))

        assert driven.waits_until() == timedelta(seconds=5)


class TestApproval:
    def test_in_a_storm_a_person_must_approve_before_anything_starts(self) -> None:
        driven = by_alert(storm=STORM)

        assert driven.waits_until() == timedelta(hours=4)
        assert driven.progress.status == "AwaitingApproval"
        assert driven.document["waiting"] == {"reason": "Approval", "until": "2026-11-23T12:00:00Z"}
        driven.command("approve", group="g0")
        assert driven.start() == []
        driven.passes(seconds=1).command("approve", by="ann")
        assert driven.start() == [0, 1]
        assert driven.document["approval"]["by"] == "ann"

    @pytest.mark.parametrize(("command", "code"), [("reject", "Rejected"), (None, "ApprovalTimedOut")])
    def test_without_it_the_recovery_ends(self, command: str | None, code: str) -> None:
        driven = by_alert(storm=STORM)
        driven.step()
        if command is None:
            driven.passes(hours=4)
        else:
            driven.command(command, by="ann", comment="a drill")
        release = driven.answer()

        assert isinstance(release, ReleaseLock)
        assert release.unused
        assert driven.is_finished()
        assert (driven.progress.status, driven.document["error"]["code"]) == ("Failed", code)
        assert set(driven.progress.members) == {"P"}

    def test_the_time_for_it_begins_when_it_is_known_what_would_be_restored(self) -> None:
        driven = by_alert(storm=STORM, admit=False)
        driven.answer(GRANTED)
        driven.answer(STORM)
        driven.passes(hours=1)
        driven.resolve()

        assert driven.waits_until() == timedelta(hours=5)

    def test_it_can_be_cancelled_meanwhile(self) -> None:
        driven = by_alert(storm=STORM)
        driven.step()
        driven.command("cancel")
        driven.answer()

        assert driven.is_finished()
        assert driven.progress.status == "Cancelled"


class TestRelease:
    def test_the_lock_is_released_at_the_end(self) -> None:
        driven = by_alert()
        driven.start()
        driven.passes(hours=1).end(0, 1)
        release = driven.answer()

        assert isinstance(release, ReleaseLock)
        assert (release.ended, release.unused) == (CREATED + timedelta(hours=1), False)
        assert driven.recovery.admission.lock is LockState.RELEASED
        assert driven.is_finished()

    def test_a_failed_recovery_keeps_no_lock_while_it_is_open(self) -> None:
        driven = by_alert()
        driven.start()
        driven.end(0, 1, status=Status.FAILED)

        assert isinstance(driven.answer(), ReleaseLock)
        assert driven.waits_until() == timedelta(days=1)

    def test_a_lock_that_may_have_been_given_is_released_as_well(self) -> None:
        driven = by_alert(admit=False)
        driven.command("cancel")

        assert isinstance(driven.answer(), ReleaseLock)
        assert driven.is_finished()


def test_the_choice_of_the_members_keeps_no_progress_of_its_own() -> None:
    driven = Driven(a_group())
    recovery = replace(driven.recovery, choosing={"page": 2})

    assert with_outline(recovery, driven.resolution).choosing is None
