"""The watcher of a vault: what it lists and when, what it tells, and when it ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import errors
from domain.codec import pack
from domain.errors import TerminalError
from domain.restore.steps import Finish, MakeCall, Wait
from domain.times import format_time
from domain.watch.machine import decide, hear
from domain.watch.state import is_reliable
from tests.support.azure import throttled
from tests.support.hub import START
from tests.unit.domain.watch.vault import Vault, a_registration


@pytest.fixture
def vault() -> Vault:
    return Vault()


def test_a_restore_is_told_its_job_once_and_that_it_has_gone_once(vault: Vault) -> None:
    vault.join("r1")
    vault.runs("r1")
    vault.for_s(300)

    assert [news.data["jobId"] for news in vault.told if news.data["news"] != "Turn"] == ["job of r1"]
    assert vault.news() == [("r1", "Found")]

    vault.runs()
    vault.for_s(120)

    assert vault.news() == [("r1", "Gone")]
    assert vault.watch.watched == {}


def test_what_it_tells_bears_the_time_of_the_list(vault: Vault) -> None:
    vault.join("r1")
    vault.runs("r1")
    vault.for_s(16)

    assert vault.told[0].data["time"] == format_time(vault.lists[0])


def test_a_job_that_was_never_listed_has_not_gone(vault: Vault) -> None:
    vault.join("r1")
    vault.for_s(600)

    assert vault.news() == []


def test_a_job_that_its_restore_knows_is_not_told_again(vault: Vault) -> None:
    vault.join("r1", has_job=True)
    vault.runs("r1")
    vault.for_s(300)

    assert vault.news() == []


def test_a_restore_that_registers_again_without_its_job_is_told_again(vault: Vault) -> None:
    vault.join("r1")
    vault.runs("r1")
    vault.for_s(60)
    vault.join("r1")
    vault.for_s(60)

    assert vault.news() == [("r1", "Found"), ("r1", "Found")]


def test_it_lists_as_often_as_the_restore_that_is_triggered_first_would_poll(vault: Vault) -> None:
    vault.join("r1")
    vault.runs("r1", "r2")
    vault.for_s(500)
    vault.join("r2", triggered=vault.now)
    vault.for_s(300)

    assert vault.gaps_s()[:4] == [15, 15, 15, 15]
    assert vault.gaps_s()[-1] == 60
    assert max(vault.gaps_s()) == 60


def test_the_first_restore_is_looked_for_soon_after_it_has_registered(vault: Vault) -> None:
    vault.for_s(100)
    vault.join("r1", triggered=vault.now)

    assert decide(vault.watch, vault.now) == Wait(until=vault.now + timedelta(seconds=15))


def test_the_next_wave_of_restores_is_looked_for_soon_and_then_as_seldom_as_the_first(vault: Vault) -> None:
    vault.join("r1")
    vault.runs("r1")
    vault.for_s(1800)
    vault.runs()
    vault.for_s(60)
    vault.join("r2", triggered=vault.now)
    vault.runs("r2")
    vault.lists.clear()
    joined = vault.now
    vault.for_s(200)

    assert vault.lists[0] == joined + timedelta(seconds=15)
    assert vault.gaps_s() == [60, 60, 60]


def test_azures_wait_is_kept(vault: Vault) -> None:
    vault.join("r1")
    vault.list(asked_s=700)

    assert decide(vault.watch, vault.now) == Wait(until=vault.now + timedelta(seconds=700))


def test_a_list_that_fails_is_read_again_later_each_time(vault: Vault) -> None:
    vault.join("r1")
    vault.runs("r1")
    vault.list()
    waits: list[float] = []
    for _ in range(4):
        vault.list(throttled(None))
        step = decide(vault.watch, vault.now)
        assert isinstance(step, Wait)
        waits.append((step.until - vault.now).total_seconds())
    vault.list(throttled(90))
    step = decide(vault.watch, vault.now)

    assert waits == [5, 10, 20, 40]
    assert step == Wait(until=vault.now + timedelta(seconds=90))
    assert vault.news() == [("r1", "Found")]


def test_a_list_that_cannot_be_read_is_told_to_all_and_ends_it(vault: Vault) -> None:
    vault.join("r1", "r2")
    vault.list(TerminalError(errors.AUTHORIZATION_FAILED, "no role"))

    assert vault.news() == [("r1", "Unwatched"), ("r2", "Unwatched")]
    assert decide(vault.watch, vault.now) == Finish()


def test_it_ends_minutes_after_nothing_is_watched_any_more(vault: Vault) -> None:
    vault.join("r1", has_job=True)
    vault.list()

    assert decide(vault.watch, vault.now) == Wait(until=vault.now + timedelta(minutes=3))
    vault.for_s(180)
    assert decide(vault.watch, vault.now) == Finish()


def test_who_has_not_registered_again_for_long_is_forgotten(vault: Vault) -> None:
    vault.join("r1", "r2")
    vault.runs("r1", "r2")
    for _ in range(6):
        vault.for_s(600)
        vault.join("r2", has_job=True)

    assert [entry.restore_id for entry in vault.watch.watched.values()] == ["r2"]


def test_many_jobs_that_have_gone_at_once_are_told_after_a_second_list(vault: Vault) -> None:
    names = [f"r{number}" for number in range(30)]
    vault.join(*names, has_job=True)
    vault.runs(*names)
    vault.for_s(60)
    vault.runs()
    vault.list()

    assert vault.news() == []
    assert decide(vault.watch, vault.now) == Wait(until=vault.now + timedelta(seconds=15))

    vault.for_s(15)
    vault.list()

    assert vault.news() == [(name, "Gone") for name in names]


def test_a_list_that_was_empty_for_a_moment_tells_nobody_anything(vault: Vault) -> None:
    names = [f"r{number}" for number in range(30)]
    vault.join(*names, has_job=True)
    vault.runs()
    vault.list()
    vault.runs(*names)
    vault.list()
    vault.runs()
    vault.list()

    assert vault.news() == []


def test_only_so_many_are_told_at_once_and_the_others_after_the_next_list(vault: Vault) -> None:
    names = [f"r{number}" for number in range(250)]
    vault.join(*names)
    vault.runs(*names)
    counts: list[int] = []
    for _ in range(4):
        vault.list()
        counts.append(len(vault.news()))

    assert counts == [100, 100, 50, 0]


@pytest.mark.parametrize("data", [None, "junk", {}, {"restoreId": 1}, {**pack(a_registration()), "triggered": "soon"}])
def test_an_invalid_registration_changes_nothing(vault: Vault, data: object) -> None:
    assert hear(vault.watch, data, vault.now) is vault.watch


def test_it_can_be_relied_on_while_it_reads_its_list(vault: Vault) -> None:
    first, again = a_registration(), a_registration(is_again=True)
    late = START + timedelta(minutes=7, seconds=1)

    assert is_reliable(None, first, START)
    assert is_reliable(vault.watch.shown(), first, late)
    assert not is_reliable(vault.watch.shown(), again, late)

    vault.join("r1")
    for call in (first, again):
        assert is_reliable(vault.watch.shown(), call, late - timedelta(seconds=1))
        assert not is_reliable(vault.watch.shown(), call, late)


# Whatever happens


_EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("join"), st.integers(0, 14), st.booleans()),
        st.tuples(st.just("start"), st.integers(0, 14)),
        st.tuples(st.just("end"), st.integers(0, 14)),
        st.tuples(st.just("glitch")),
        st.tuples(st.just("fail"), st.sampled_from([None, 0.5, 40.0, 2000.0])),
        st.tuples(st.just("time"), st.integers(1, 900)),
    ),
    max_size=60,
)


@given(_EVENTS)
@settings(deadline=None, max_examples=150)
def test_who_is_watched_learns_of_the_end_of_its_job_and_nobody_of_one_that_was_listed(events: list[Any]) -> None:
    vault, running = Vault(), set[str]()
    knows: dict[str, bool] = {}
    for kind, *data in events:
        name = f"r{data[0]}" if data else ""
        match kind:
            case "join":
                vault.join(name, has_job=data[1], triggered=vault.now)
                knows[name] = data[1]
            case "start":
                running.add(name)
            case "end":
                running.discard(name)
            case "glitch":
                vault.runs()
                vault.list()
            case "fail":
                vault.list(throttled(data[0]))
            case _:
                vault.runs(*running)
                vault.for_s(data[0])
        vault.runs(*running)
        for restore_id, news in vault.all_news():
            assert news != "Turn" or (knows[restore_id] and restore_id in running and kind != "glitch")
            assert news != "Found" or restore_id in running
            assert news != "Gone" or restore_id not in running or kind == "glitch"
            assert news != "Gone" or knows[restore_id]
            knows[restore_id] = True

    watched = {entry.restore_id for entry in vault.watch.watched.values() if knows[entry.restore_id]}
    vault.runs()
    vault.for_s(3600)

    assert watched <= {restore_id for restore_id, _ in vault.news()}
    assert decide(vault.watch, vault.now) == Finish()


@given(_EVENTS)
@settings(deadline=None, max_examples=50)
def test_no_wait_lies_in_the_past_and_no_list_comes_before_azure_allows(events: list[Any]) -> None:
    vault, allowed = Vault(), START
    for kind, *data in events:
        if kind == "join":
            vault.join(f"r{data[0]}")
        if kind == "fail" and vault.watch.watched:
            step = decide(vault.watch, vault.now)
            if isinstance(step, MakeCall):
                assert vault.now >= allowed
                vault.list(throttled(data[0]))
                allowed = vault.now + timedelta(seconds=data[0] or 0)
        step = decide(vault.watch, vault.now)
        if isinstance(step, Wait):
            assert step.until > vault.now
            vault.watch = vault.watch.at(step.until)
