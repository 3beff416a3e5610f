"""The guards as state machines: whatever is asked in whatever order, their promises hold."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from domain.guards import (
    AlertStart,
    answer_once,
    guard_key,
    leave_turn,
    note_alert,
    release_vm,
    take_budget,
    take_turn,
    take_vm,
)
from hypothesis import given
from hypothesis import strategies as st

from domain.times import format_time

if TYPE_CHECKING:
    from domain.guards import State

    from domain.errors import Json

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


def take(
    restore_id: str, at: timedelta = timedelta(), *, started_by: str = "http", cool_down: float | None = None
) -> Json:
    asked = {
        "restoreId": restore_id,
        "created": "c",
        "vm": "/vm",
        "startedBy": started_by,
        "now": format_time(NOW + at),
    }
    return asked if cool_down is None else {**asked, "coolDownS": cool_down}


def release(restore_id: str, at: timedelta = timedelta(), *, unused: bool = False) -> Json:
    return {"holder": {"restoreId": restore_id, "created": "c"}, "ended": format_time(NOW + at), "unused": unused}


class TestKey:
    def test_case_and_a_trailing_slash_do_not_count(self) -> None:
        assert guard_key("/Subscriptions/A/vm/") == guard_key("/subscriptions/a/VM")

    def test_groups_that_azure_tells_apart_are_apart(self) -> None:
        assert guard_key("/straße") != guard_key("/strasse")

    @given(st.text())
    def test_it_fits_into_azure_storage(self, name: str) -> None:
        assert not set(guard_key(name)) & set("/\\#?@")


class TestVm:
    def test_the_holder_may_take_it_again(self) -> None:
        state, _ = take_vm(None, take("a"))
        again, answer = take_vm(state, take("a", HOUR))

        assert answer == {"granted": True}
        assert again == state

    def test_who_does_not_hold_it_cannot_let_go_of_it(self) -> None:
        state, _ = take_vm(None, take("a"))

        assert release_vm(state, release("b")) == (state, {"released": False})
        assert release_vm(None, release("b")) == (None, {"released": False})

    def test_letting_go_twice_leaves_the_first_time(self) -> None:
        state, _ = take_vm(None, take("a"))
        state, _ = release_vm(state, release("a"))

        assert release_vm(state, release("a", HOUR)) == (state, {"released": False})

    def test_one_started_again_under_its_id_is_not_let_go_of_in_the_name_of_the_first(self) -> None:
        first, _ = take_vm(None, take("a"))
        again, answer = take_vm(first, {**take("a", HOUR), "created": "later"})

        assert answer == {"granted": True}
        assert release_vm(again, release("a")) == (again, {"released": False})

    @pytest.mark.parametrize(
        ("holder", "asker", "code"),
        [
            ("http", "http", "RequestConflict"),
            ("queue", "alert", "RequestConflict"),
            ("alert", "queue", "RequestConflict"),
            ("alert", "alert", "CoolingDown"),
        ],
    )
    def test_a_held_one_says_who_holds_it(self, holder: str, asker: str, code: str) -> None:
        state, _ = take_vm(None, take("a", started_by=holder))
        _, answer = take_vm(state, take("b", HOUR, started_by=asker))

        assert (answer["granted"], answer["code"], answer["holder"]["restoreId"]) == (False, code, "a")
        assert all(each in answer["message"] for each in ("Restore a", holder, "2026-11-23T08:00:00Z"))

    def test_the_cool_down_begins_at_the_end_of_the_last_restore(self) -> None:
        state, _ = take_vm(None, take("a"))
        state, _ = release_vm(state, release("a", 2 * HOUR))
        second = timedelta(seconds=1)

        _, early = take_vm(state, take("b", 3 * HOUR - second, cool_down=3600.0))
        _, late = take_vm(state, take("b", 3 * HOUR, cool_down=3600.0))

        assert (early["code"], early["holder"], late["granted"]) == ("CoolingDown", None, True)
        assert "2026-11-23T11:00:00Z" in early["message"]

    @given(
        st.lists(
            st.tuples(st.sampled_from("abcd"), st.sampled_from(["take", "release"]), st.floats(0, 7200), st.booleans())
        )
    )
    def test_never_two_holders(self, steps: list[tuple[str, str, float, bool]]) -> None:
        state: State = None
        holder: str | None = None
        at = timedelta()
        for who, verb, later_s, unused in steps:
            at += timedelta(seconds=later_s)
            if verb == "take":
                state, answer = take_vm(state, take(who, at))
                assert answer["granted"] == (holder in {None, who})
                holder = who if answer["granted"] else holder
            else:
                state, answer = release_vm(state, release(who, at, unused=unused))
                assert answer["released"] == (holder == who)
                holder = None if answer["released"] else holder
            assert state is None or (state["running"] and state["running"]["restoreId"]) == holder
            json.dumps(state)


class TestBudget:
    @given(st.integers(1, 5), st.lists(st.tuples(st.integers(0, 30), st.floats(0, 3000)), max_size=40))
    def test_never_more_in_any_hour(self, most: int, steps: list[tuple[int, float]]) -> None:
        state: State = None
        at = NOW
        granted: dict[int, datetime] = {}
        for who, later_s in steps:
            at += timedelta(seconds=later_s)
            asked = {"restoreId": str(who), "rule": "r", "maxPerHour": most, "now": format_time(at)}
            fresh = {each for each, when in granted.items() if at - when < HOUR}
            state, answer = take_budget(state, asked)
            assert answer["granted"] == (who in fresh or len(fresh) < most)
            if answer["granted"] and who not in fresh:
                granted[who] = at
            assert len(state["starts"]) <= most

    def test_a_refusal_says_when_to_come_back(self) -> None:
        asked = {"restoreId": "a", "rule": "web", "maxPerHour": 1, "now": format_time(NOW)}
        state, _ = take_budget(None, asked)
        _, answer = take_budget(state, {**asked, "restoreId": "b", "now": format_time(NOW + HOUR / 2)})

        assert answer["code"] == "HourlyBudgetSpent"
        assert "2026-11-23T09:00:00Z" in answer["message"]
        assert "'web'" in answer["message"]


class TestTurns:
    @given(
        st.integers(1, 4),
        st.lists(
            st.tuples(st.sampled_from("abcdef"), st.sampled_from(["take", "leave"]), st.floats(0, 400)), max_size=60
        ),
    )
    def test_never_more_than_so_many_and_the_longest_waiting_is_next(
        self, most: int, steps: list[tuple[str, str, float]]
    ) -> None:
        state: State = None
        at, line, running = NOW, list[tuple[str, datetime]](), set[str]()
        for who, verb, later_s in steps:
            at += timedelta(seconds=later_s)
            line = [(each, asked) for each, asked in line if at - asked < timedelta(minutes=15)]
            asked = {"restoreId": who, "holder": who, "most": most, "now": format_time(at)}
            if verb == "take":
                state, answer = take_turn(state, asked)
                if who not in running:
                    names = [each for each, _ in line]
                    place = names.index(who) if who in names else len(names)
                    line[place : place + 1] = [(who, at)]
                    assert answer["granted"] == (place < most - len(running))
                    if answer["granted"]:
                        line.pop(place)
                        running.add(who)
                    else:
                        assert answer["ahead"] == place
                        assert answer["holder"] in running
            else:
                state, answer = leave_turn(state, asked)
                line = [each for each in line if each[0] != who]
                running.discard(who)
                free = len(running) < most and line
                assert answer["next"] == (line[0][0] if free else None)
                if free:
                    running.add(line.pop(0)[0])
            assert len(running) <= most
            assert set(state["running"]) == running
            assert list(state["waiting"]) == [each for each, _ in line]
            json.dumps(state)


class TestStorm:
    @given(st.integers(1, 6), st.lists(st.tuples(st.integers(0, 12), st.floats(0, 400)), max_size=60))
    def test_it_counts_the_different_vms_of_the_window_and_keeps_no_more_than_needed(
        self, most: int, steps: list[tuple[int, float]]
    ) -> None:
        state: State = None
        at, last = NOW, dict[int, datetime]()
        for vm, later_s in steps:
            at += timedelta(seconds=later_s)
            last[vm] = at
            asked = {"vm": f"/VM{vm}", "now": format_time(at), "distinctVms": most, "withinS": 600}
            state, answer = note_alert(state, asked)
            wanted = sum(at - when < timedelta(minutes=10) for when in last.values())
            assert answer == {"storm": wanted > most, "vms": min(wanted, most + 1)}
            assert len(state["seen"]) <= most + 1


class TestMessagesInAnyOrder:
    """Every request may come twice, late and after newer ones: each counts once, in the order of its number."""

    def asks(self, number: int, who: str = "a", at: timedelta = timedelta(), **members: Any) -> Json:
        return {"restoreId": who, "created": "c", "number": number, "now": format_time(NOW + at), **members}

    def test_a_late_take_after_the_release_takes_nothing(self) -> None:
        vm: Json = {"vm": "/vm", "startedBy": "http"}
        state, _ = answer_once("take", take_vm, None, self.asks(1, **vm))
        state, _ = answer_once("release", release_vm, state, self.asks(2, **release("a")))

        state, answer = answer_once("take", take_vm, state, self.asks(1, **vm))

        assert state is not None
        assert state["running"] is None
        assert answer == {"outdated": True}

    def test_a_release_that_comes_before_its_take_keeps_it_out(self) -> None:
        state, _ = answer_once("release", release_vm, None, self.asks(2, **release("a")))

        state, _ = answer_once("take", take_vm, state, self.asks(1, vm="/vm", startedBy="http"))

        assert state is not None
        assert state.get("running") is None

    def test_a_second_leave_wakes_the_same_one_and_not_another(self) -> None:
        state: State = None
        for number, who in enumerate("abc"):
            state, _ = answer_once("take", take_turn, state, self.asks(number, who, most=1))
        first = answer_once("leave", leave_turn, state, self.asks(9, holder="a", most=1))

        second = answer_once("leave", leave_turn, first[0], self.asks(9, holder="a", most=1))

        assert first[1] == second[1] == {"next": "b"}
        assert second[0] == first[0]

    def test_a_late_take_of_a_turn_that_was_left_is_no_new_wish(self) -> None:
        state, _ = answer_once("take", take_turn, None, self.asks(1, most=1))
        state, _ = answer_once("leave", leave_turn, state, self.asks(2, holder="a", most=1))

        state, _ = answer_once("take", take_turn, state, self.asks(1, most=1))

        assert state is not None
        assert (state["running"], state["waiting"]) == ([], {})

    def test_a_refusal_stays_one_when_its_request_comes_again(self) -> None:
        vm: Json = {"vm": "/vm", "startedBy": "http"}
        state, _ = answer_once("take", take_vm, None, self.asks(1, "a", **vm))
        state, refused = answer_once("take", take_vm, state, self.asks(1, "b", **vm))
        state, _ = answer_once("release", release_vm, state, self.asks(2, "a", **release("a")))

        state, again = answer_once("take", take_vm, state, self.asks(1, "b", **vm))

        assert again == refused
        assert state is not None
        assert state["running"] is None

    def test_a_later_request_of_one_that_was_refused_is_heard(self) -> None:
        vm: Json = {"vm": "/vm", "startedBy": "http"}
        state, _ = answer_once("take", take_vm, None, self.asks(1, "a", **vm))
        state, _ = answer_once("take", take_vm, state, self.asks(1, "b", **vm))
        state, _ = answer_once("release", release_vm, state, self.asks(2, "b", **release("a")))

        _, answer = answer_once("take", take_vm, state, self.asks(3, "b", **vm))

        assert answer["granted"]

    def test_an_alert_that_comes_late_is_no_newer_one(self) -> None:
        storm: Json = {"distinctVms": 1, "withinS": 600}
        state, _ = note_alert(None, self.asks(1, vm="/vm1", **storm))
        state, _ = note_alert(state, self.asks(1, "b", HOUR, vm="/vm2", **storm))

        _, late = note_alert(state, self.asks(1, vm="/vm1", **storm))

        assert late == {"storm": False, "vms": 1}

    @given(st.permutations([1, 1, 2, 2, 3, 3]), st.permutations([1, 1, 2, 2, 3, 3]))
    def test_whatever_the_order_the_last_request_of_each_decides(self, first: list[int], second: list[int]) -> None:
        """1 takes a turn, 2 leaves it, 3 takes it again."""
        state: State = None
        for number, who in [
            (n, w) for pair in zip(first, second, strict=True) for n, w in zip(pair, "ab", strict=True)
        ]:
            asked = self.asks(number, who, holder=who, most=2)
            name, operation = ("leave", leave_turn) if number == 2 else ("take", take_turn)
            state, _ = answer_once(name, operation, state, asked)

        assert state is not None
        assert sorted(state["running"]) == ["a", "b"]

    def test_whoever_was_answered_last_is_remembered_longest(self) -> None:
        state, _ = answer_once("take", take_turn, None, self.asks(1, most=1))
        for number in range(499):
            state, _ = answer_once("take", take_turn, state, self.asks(1, str(number), most=1))
        state, _ = answer_once("leave", leave_turn, state, self.asks(2, holder="a", most=1))
        state, _ = answer_once("take", take_turn, state, self.asks(1, "one more", most=1))

        _, late = answer_once("take", take_turn, state, self.asks(1, most=1))

        assert late == {"outdated": True}

    def test_what_is_remembered_has_a_bound(self) -> None:
        state: State = None
        for number in range(1500):
            state, _ = answer_once("take", take_turn, state, self.asks(1, str(number), most=1))
        assert state is not None
        assert len(state["answers"]) <= 500

        state, _ = answer_once("take", take_turn, state, self.asks(1, "later", 2 * HOUR, most=1))
        assert state is not None
        assert list(state["answers"]) == ["later c"]


def test_what_an_alert_brings_along_survives_the_journey() -> None:
    start = AlertStart(
        alert_id="/a", rule="r", cool_down=HOUR / 7, max_per_hour=None, storm_vms=10, storm_within=HOUR / 3
    )

    assert AlertStart.from_json(json.loads(json.dumps(start.to_json()))) == start
