from __future__ import annotations

import time
from datetime import timedelta

import pytest

from domain.recovery.prediction import forecast_of, planned_s, predict
from domain.restore.parts import Status
from tests.unit.domain.recovery.driving import CREATED, Driven, a_group, running

ROUND = timedelta(minutes=31)


def left(driven: Driven) -> timedelta:
    forecast = predict(driven.recovery, driven.now)
    assert forecast is not None
    return timedelta(seconds=forecast.left_s)


class TestDuration:
    def test_before_anything_is_known_a_restore_takes_31_minutes(self) -> None:
        assert left(running(a_group(4), max_running=2)) == 2 * ROUND

    def test_what_past_restores_took_is_better(self) -> None:
        assert left(running(a_group(4), max_running=2, typical_s=600.0)) == timedelta(minutes=20)

    def test_a_restore_takes_at_least_as_long_as_one_that_still_runs(self) -> None:
        driven = running(a_group(4), max_running=2).passes(minutes=50)

        assert left(driven) == timedelta(minutes=51)

    def test_those_of_this_recovery_count_most_each_in_turn(self) -> None:
        driven = running(a_group(20), max_running=1, typical_s=5.0).passes(minutes=10).end(0)
        driven.start()
        driven.passes(minutes=30).end(1)

        assert abs(left(driven) - 18 * timedelta(minutes=20)) <= timedelta(minutes=20)

    def test_the_slowest_of_a_group_is_not_forgotten(self) -> None:
        driven = running(a_group(20), a_group(20, 0), a_group(20, 1)).passes(minutes=20).end(*range(18))
        driven.passes(minutes=40).end(18, 19)

        assert left(driven) == timedelta(hours=2)

    def test_one_that_runs_takes_as_long_as_one_that_ran_longer(self) -> None:
        driven = running(a_group(3)).passes(minutes=10).end(0).passes(minutes=20).end(1)

        driven.passes(minutes=-10)

        assert left(driven) == timedelta(minutes=10)

    def test_restores_that_failed_tell_nothing(self) -> None:
        driven = running(a_group(3), max_running=1).passes(minutes=1).end(0, status=Status.FAILED)
        driven.start()

        assert left(driven) == 2 * ROUND

    def test_one_that_is_late_is_expected_soon(self) -> None:
        driven = running(a_group(2)).passes(minutes=10).end(0).passes(minutes=30)

        assert left(driven) == timedelta(minutes=1)


class TestSwaps:
    def test_each_takes_three_minutes_more_than_a_restore_alone(self) -> None:
        driven = running(a_group(2, swaps=True), a_group(1, 0), max_running=1, typical_s=600.0)

        assert left(driven) == 3 * timedelta(minutes=10) + 2 * timedelta(minutes=3)
        assert planned_s(driven.recovery) == 36 * 60

    def test_those_of_this_recovery_have_it_in_them(self) -> None:
        driven = running(a_group(2, swaps=True), max_running=1).passes(minutes=10).end(0)
        driven.start()

        assert left(driven) == timedelta(minutes=10)

    def test_the_wait_for_a_person_does_not_count(self) -> None:
        driven = running(a_group(2, swaps=True), max_running=1).passes(minutes=70).check_that_waits(0)

        assert left(driven) == timedelta(minutes=1) + ROUND + timedelta(minutes=3)
        driven.end(0, waited_s=3600)
        driven.start()
        assert left(driven) == timedelta(minutes=10)


class TestSchedule:
    def test_groups_come_after_each_other(self) -> None:
        assert left(running(a_group(), a_group(1, 0), a_group(1, 0), a_group(1, 1, 2))) == 3 * ROUND

    def test_caps_of_the_recovery_and_of_vaults_count(self) -> None:
        assert left(running(a_group(10), max_running=4)) == 3 * ROUND
        assert left(running(a_group(6), max_per_vault=2, vault_of=(0, 0, 0, 0, 0, 1))) == 3 * ROUND

    def test_what_has_run_counts(self) -> None:
        driven = running(a_group(2), a_group(1, 0)).passes(minutes=11)

        assert left(driven) == 2 * ROUND - timedelta(minutes=11)

    def test_what_comes_after_a_failed_group_is_left_out(self) -> None:
        driven = running(a_group(), a_group(1, 0), a_group()).end(0, status=Status.FAILED)

        assert left(driven) == ROUND

    def test_approvals_are_taken_as_given_and_a_pause_as_ended(self) -> None:
        gate = {"approval_timeout": timedelta(hours=2)}
        driven = running(a_group(1, **gate), a_group(1, 0)).command("pause")

        assert left(driven) == 2 * ROUND

    def test_groups_without_members_and_skipped_ones_take_no_time(self) -> None:
        driven = running(a_group(), a_group(0, 0), a_group(1, 1), a_group(1, 2)).command("skip", group="g2")

        assert left(driven) == 2 * ROUND


class TestWhen:
    def test_it_is_predicted_once_a_minute_and_when_a_group_changes(self) -> None:
        driven = running(a_group(2), a_group(1, 0))
        assert driven.progress.predicted_end == CREATED + 2 * ROUND

        driven.passes(minutes=30).step()
        driven.passes(seconds=59).end(0).step()
        assert driven.recovery.timing.predicted == CREATED + timedelta(minutes=30)
        driven.end(1).step()
        assert driven.recovery.timing.predicted == CREATED + timedelta(minutes=30, seconds=59)
        assert driven.progress.predicted_end == CREATED + 2 * timedelta(minutes=30, seconds=59)
        driven.start()
        driven.passes(minutes=1).step()
        assert driven.recovery.timing.predicted == CREATED + timedelta(minutes=31, seconds=59)

    def test_it_goes_with_the_end(self) -> None:
        driven = running(a_group()).end(0)
        driven.step()

        assert driven.document["predictedEnd"] is None

    def test_it_is_not_known_before_the_choice(self) -> None:
        driven = Driven(a_group())

        assert predict(driven.recovery, driven.now) is None

    @pytest.mark.parametrize("vaults", [1, 50])
    def test_it_is_fast(self, vaults: int) -> None:
        groups = [a_group(20, *range(index)) for index in range(50)]
        vault_of = tuple(index % vaults for index in range(1000))
        driven = running(*groups, max_running=40, max_per_vault=20, vault_of=vault_of)
        took: list[float] = []
        for _ in range(5):
            forecast_of.cache_clear()
            began = time.process_time()
            predict(driven.recovery, driven.now)
            took.append(time.process_time() - began)

        assert min(took) < 0.02


class TestCriticalPath:
    """The groups of ``a_group`` are called g0, g1, …"""

    def test_it_leads_to_the_group_that_ends_last(self) -> None:
        driven = running(a_group(1), a_group(1), a_group(1, 1))
        driven.step()

        assert driven.document["criticalPath"] == ["g1", "g2"]

    def test_groups_that_have_ended_are_no_longer_on_it(self) -> None:
        driven = running(a_group(1), a_group(1, 0), a_group(1, 1)).end(0)
        driven.step()

        assert driven.document["criticalPath"] == ["g1", "g2"]

    def test_a_group_that_waits_for_two_has_the_slower_one_before_it(self) -> None:
        driven = running(a_group(1), a_group(1), a_group(1, 1), a_group(1, 0, 2))
        driven.step()

        assert driven.document["criticalPath"] == ["g1", "g2", "g3"]

    def test_what_waits_for_a_failed_group_is_not_on_it(self) -> None:
        driven = running(a_group(1), a_group(1, 0), a_group(2), max_running=1).end(0, status=Status.FAILED)
        driven.step()

        assert driven.document["criticalPath"] == ["g2"]

    def test_it_goes_with_the_end(self) -> None:
        driven = running(a_group()).end(0)
        driven.step()

        assert driven.document["criticalPath"] == []


class TestDryRun:
    def test_it_predicts_the_recovery_and_not_itself(self) -> None:
        driven = Driven(a_group(4), a_group(1, 0), max_running=2, dry_run=True).resolve()
        driven.start()

        assert planned_s(driven.recovery) == (3 * ROUND).total_seconds()
        assert driven.progress.predicted_end is None


class TestAgainstThePlay:
    """The prediction is what the machine then does."""

    @pytest.mark.parametrize("max_running", [3, 7, None])
    def test_restores_of_equal_length_end_when_predicted(self, max_running: int | None) -> None:
        groups = [a_group(5), a_group(9, 0), a_group(2), a_group(4, 1, 2), a_group(7)]
        vault_of = tuple(index % 3 for index in range(27))
        driven = running(*groups, max_running=max_running, max_per_vault=2, vault_of=vault_of)
        predicted = driven.progress.predicted_end
        while not driven.is_finished():
            running_now = [index for index, letter in enumerate(driven.progress.members) if letter == "R"]
            driven.now = CREATED + timedelta(
                seconds=min(driven.recovery.timing.started[str(index)] for index in running_now)
            )
            driven.now += ROUND
            due = [index for index in running_now if self._age(driven, index) >= ROUND.total_seconds()]
            driven.end(*due)
            driven.start()

        assert driven.progress.completed == predicted

    @staticmethod
    def _age(driven: Driven, index: int) -> float:
        return (driven.now - CREATED).total_seconds() - driven.recovery.timing.started[str(index)]
