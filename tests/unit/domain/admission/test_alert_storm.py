"""The count of VMs that alerts want restored, as a state machine."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.admission.alert_storm import AlertStorm, note
from domain.restore.answers import Storm
from domain.restore.calls import NoteAlert
from tests.unit.domain.admission.asking import HOUR, asked

WITHIN = timedelta(minutes=10)


def noting(vm: str, distinct_vms: int = 1) -> NoteAlert:
    return NoteAlert(key="k", vm=vm, distinct_vms=distinct_vms, within=WITHIN)


@given(st.integers(1, 6), st.lists(st.tuples(st.integers(0, 12), st.floats(0, 400)), max_size=60))
def test_it_counts_the_different_vms_of_the_window_and_keeps_no_more_than_needed(
    distinct_vms: int, steps: list[tuple[int, float]]
) -> None:
    storm: AlertStorm | None = None
    at, last = timedelta(), dict[int, timedelta]()
    for vm, later_s in steps:
        at += timedelta(seconds=later_s)
        last[vm] = at
        storm, answer = note(storm, noting(f"/VM{vm}", distinct_vms), asked(str(vm), at))
        wanted = sum(at - time < WITHIN for time in last.values())
        assert answer == Storm(is_storm=wanted > distinct_vms, vms=min(wanted, distinct_vms + 1))
        assert len(storm.seen) <= distinct_vms + 1


def test_case_does_not_make_two_vms_of_one() -> None:
    storm, _ = note(None, noting("/vm1"), asked("a"))

    assert note(storm, noting("/VM1"), asked("b"))[1] == Storm(is_storm=False, vms=1)


def test_an_alert_that_comes_late_is_no_newer_one() -> None:
    storm, _ = note(None, noting("/vm1"), asked("a"))
    storm, _ = note(storm, noting("/vm2"), asked("b", HOUR))

    _, late = note(storm, noting("/vm1"), asked("a"))

    assert late == Storm(is_storm=False, vms=1)
