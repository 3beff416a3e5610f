"""The watcher of a vault: what it lists and when, what it tells, and when it ends."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import errors
from domain.answers import Answer
from domain.codec import pack, unpack
from domain.errors import TerminalError
from domain.restore.calls import JoinWatch
from domain.restore.state import client_request_id_for
from domain.restore.steps import Finish, MakeCall, Wait
from domain.times import format_time
from domain.watch.calls import ListRunningJobs, RunningJobs
from domain.watch.machine import News, absorb, decide, hear
from domain.watch.state import VaultWatch, is_reliable
from tests.support.azure import LIMITS, VAULT_ID, throttled
from tests.support.hub import START

if TYPE_CHECKING:
    from datetime import datetime

    from domain.errors import RestoreError


def a_registration(name: str = "r1", **members: Any) -> JoinWatch:
    usual = {"triggered": START, "limits": LIMITS, **members}
    return JoinWatch(vault_id=VAULT_ID, restore_id=name, client_request_id=client_request_id_for(name), **usual)


class Vault:
    """A watcher, and the vault whose list it reads."""

    def __init__(self) -> None:
        self.watch = VaultWatch.begin(VAULT_ID, LIMITS, START)
        self.running: dict[str, str] = {}
        self.told: list[News] = []
        self.lists: list[datetime] = []

    @property
    def now(self) -> datetime:
        return self.watch.now

    def join(self, *names: str, **members: Any) -> None:
        for name in names:
            self.watch = hear(self.watch, pack(a_registration(name, **members)), self.now)

    def runs(self, *names: str) -> None:
        self.running = {client_request_id_for(name): f"job of {name}" for name in names}

    def pass_until(self, until: datetime) -> None:
        """Let the watcher work until this time, or its end."""
        while self.watch.now < until:
            step = decide(self.watch, self.now)
            if isinstance(step, Finish):
                return
            if isinstance(step, Wait):
                self.watch = self.watch.at(min(step.until, until))
            else:
                self.list()

    def for_s(self, seconds: float) -> None:
        self.pass_until(self.now + timedelta(seconds=seconds))

    def list(self, answer: Answer[Any] | RestoreError | None = None, asked_s: float | None = None) -> None:
        """Let it list now, whenever that is due, and take the vault's answer, or this one."""
        call = ListRunningJobs(
            vault_id=VAULT_ID,
            unknown=tuple(key for key, entry in self.watch.watched.items() if not entry.is_found),
            known=tuple(key for key, entry in self.watch.watched.items() if entry.is_found),
        )
        found = {key: self.running[key] for key in call.unknown if key in self.running}
        missing = tuple(key for key in call.known if key not in self.running)
        listed = Answer(RunningJobs(found=found, missing=missing), asked_s)
        self.lists.append(self.now)
        watch, told = absorb(self.watch, call, answer or listed, self.now)
        assert unpack(VaultWatch, pack(watch)) == watch
        self.watch, self.told = watch, [*self.told, *told]

    def all_news(self) -> list[tuple[str, str]]:
        """Take what it has told since: the restores, and the word."""
        told, self.told = self.told, []
        return [(news.restore_id, news.data["news"]) for news in told]

    def news(self) -> list[tuple[str, str]]:
        """Take what it has told since, turns aside."""
        return [(name, word) for name, word in self.all_news() if word != "Turn"]

    def turns(self) -> list[str]:
        """Take what it has told since; returns the restores that it gave a turn."""
        return [name for name, word in self.all_news() if word == "Turn"]

    def turns_of_lists(self, count: int) -> list[list[str]]:
        """Read so many lists; returns the restores that each gave a turn."""
        self.told.clear()
        given: list[list[str]] = []
        for _ in range(count):
            self.list()
            given.append(self.turns())
        return given

    def gaps_s(self) -> list[float]:
        return [(later - earlier).total_seconds() for earlier, later in zip(self.lists, self.lists[1:], strict=False)]


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


# Turns


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
