"""The turns that the watcher of a vault gives its restores to read their jobs: one for each list, and fair."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import errors
from domain.answers import Answer
from domain.codec import pack, unpack
from domain.errors import TerminalError
from domain.restore.steps import MakeCall
from domain.times import format_time
from domain.watch.calls import ListRunningJobs, RunningJobs
from domain.watch.machine import absorb, decide
from domain.watch.state import VaultWatch
from tests.support.azure import throttled
from tests.unit.domain.watch.vault import Vault


@pytest.fixture
def vault() -> Vault:
    return Vault()


def names_of(count: int) -> list[str]:
    return [f"r{number}" for number in range(count)]


def test_each_list_gives_one_restore_a_turn_and_all_have_one_before_any_has_a_second(vault: Vault) -> None:
    vault.join(*names_of(5))
    vault.runs(*names_of(5))
    vault.list()
    assert vault.turns() == []

    given = vault.turns_of_lists(15)

    assert [len(names) for names in given] == [1] * 15
    for first in range(11):
        assert sorted(name for names in given[first : first + 5] for name in names) == names_of(5)


def test_a_turn_bears_the_time_of_the_list_and_no_job(vault: Vault) -> None:
    vault.join("r1", has_job=True)
    vault.runs("r1")
    vault.list()

    assert [news.data for news in vault.told] == [{"news": "Turn", "jobId": None, "time": format_time(vault.now)}]


def test_who_comes_later_has_its_turn_after_those_who_wait_already(vault: Vault) -> None:
    vault.join("r1", "r2", "r3", has_job=True)
    vault.runs("r1", "r2", "r3", "r4")
    assert vault.turns_of_lists(1) == [["r1"]]
    vault.join("r4", has_job=True)

    assert vault.turns_of_lists(4) == [["r2"], ["r3"], ["r1"], ["r4"]]


def test_who_registers_again_keeps_its_place_in_the_order(vault: Vault) -> None:
    vault.join("r1", "r2", "r3", has_job=True)
    vault.runs("r1", "r2", "r3")
    given: list[list[str]] = []
    for _ in range(6):
        given += vault.turns_of_lists(1)
        vault.join("r1", "r2", "r3", has_job=True)

    assert given == [["r1"], ["r2"], ["r3"]] * 2


def test_who_is_not_in_the_list_has_no_turn(vault: Vault) -> None:
    vault.join("r1", "r2")
    vault.join("r3", has_job=True)
    vault.runs("r3")

    assert vault.turns_of_lists(3) == [["r3"]] * 3


def test_a_job_that_is_missing_for_a_moment_has_no_turn_until_it_is_back(vault: Vault) -> None:
    names = names_of(12)
    vault.join(*names, has_job=True)
    vault.runs(*names)
    vault.list()
    vault.runs()
    assert vault.turns_of_lists(1) == [[]]
    vault.runs(*names)

    assert vault.turns_of_lists(1) == [["r1"]]


def test_who_registers_while_the_list_is_read_has_no_turn_by_that_list(vault: Vault) -> None:
    vault.join("r1")
    call = decide(vault.watch.at(vault.now + timedelta(minutes=1)), vault.now + timedelta(minutes=1))
    assert isinstance(call, MakeCall)
    vault.join("r2", has_job=True)
    _, told = absorb(vault.watch, cast("ListRunningJobs", call.call), Answer(RunningJobs(), None), vault.now)

    assert told == ()


def test_a_job_that_has_gone_has_no_turn(vault: Vault) -> None:
    vault.join("r1", has_job=True)
    vault.list()

    assert vault.all_news() == [("r1", "Gone")]


def test_a_list_that_cannot_be_read_gives_no_turn(vault: Vault) -> None:
    vault.join("r1", has_job=True)
    vault.runs("r1")
    vault.list(throttled(None))
    vault.list(TerminalError(errors.AUTHORIZATION_FAILED, "no role"))

    assert vault.turns() == []


def test_a_turn_makes_no_list_come_sooner(vault: Vault) -> None:
    vault.join("r1", has_job=True)
    vault.runs("r1")
    vault.for_s(1200)

    assert len(vault.turns()) == len(vault.lists)
    assert vault.gaps_s()[-8:] == [60] * 8


@pytest.mark.parametrize(("count", "first"), [(20, 1), (21, 21), (50, 50), (100, 100)])
def test_while_many_are_watched_a_job_has_a_turn_only_after_as_many_lists(vault: Vault, count: int, first: int) -> None:
    names = names_of(count)
    vault.join(*names, has_job=True)
    vault.runs(*names)

    given = vault.turns_of_lists(first + 2)

    assert given == [[]] * (first - 1) + [["r0"], ["r1"], ["r2"]]


@pytest.mark.parametrize("waves", [[50] * 20, [1000]])
def test_a_thousand_jobs_of_half_an_hour_are_hardly_read_before_their_end(vault: Vault, waves: list[int]) -> None:
    """All at once, or as many as the setting for a vault allows: 0.1 reads for each VM at most."""
    given, lists = 0, 0
    for number, size in enumerate(waves):
        names = [f"r{number}-{index}" for index in range(size)]
        vault.join(*names, triggered=vault.now)
        vault.runs(*names)
        for seconds in (600, 600, 660):
            vault.for_s(seconds)
            vault.join(*names, has_job=True)
        given, lists = given + len(vault.turns()), lists + len(vault.lists)
        vault.lists.clear()

    assert lists > 30 * len(waves)
    assert given <= 100


def test_jobs_that_take_hours_are_read_though_many_are_watched(vault: Vault) -> None:
    names = names_of(50)
    for _ in range(24):
        vault.join(*names, has_job=True)
        vault.runs(*names)
        vault.for_s(600)

    counts = Counter(vault.turns())
    assert set(counts) == set(names)
    assert sum(counts.values()) <= len(vault.lists)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_a_watcher_of_an_earlier_version_begins_to_give_turns(vault: Vault) -> None:
    vault.join("r1", "r2", has_job=True)
    old = pack(vault.watch)
    assert all("seen" not in entry for entry in old["watched"].values())
    vault.watch = unpack(VaultWatch, old)
    vault.runs("r1", "r2")

    assert vault.turns_of_lists(2) == [["r1"], ["r2"]]


@given(st.lists(st.sampled_from(["list", "list", "list", "again", "fail", "other comes", "other goes"]), max_size=80))
@settings(deadline=None, max_examples=100)
def test_turns_are_one_for_each_list_and_the_same_for_all_who_are_there_all_along(events: list[str]) -> None:
    vault, stay, others, came = Vault(), names_of(4), list[str](), 0
    vault.join(*stay, has_job=True)
    counts = Counter[str]()
    for kind in events:
        match kind:
            case "again":
                vault.join(*stay, has_job=True)
            case "fail":
                vault.list(throttled(None))
            case "other comes":
                came += 1
                others = [*others, f"other {came}"]
                vault.join(others[-1], has_job=came % 2 == 0)
            case "other goes":
                others = others[1:]
            case _:
                vault.runs(*stay, *others)
                vault.list()
        turns = vault.turns()
        assert len(turns) <= (kind == "list")
        counts.update(turns)
        assert max(counts[name] for name in stay) - min(counts[name] for name in stay) <= 1
