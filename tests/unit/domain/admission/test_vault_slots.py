"""The slots of a vault, as a state machine: never too many, and whoever has waited longest is next."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.admission.vault_slots import VaultSlots, acquire, release
from domain.restore.answers import SlotGrant, SlotReleased
from domain.restore.calls import AcquireSlot, ReleaseSlot
from tests.unit.domain.admission.asking import NOW, asked

ACQUIRE = AcquireSlot(key="k", max_per_vault=1)


def releasing(holder_id: str, max_per_vault: int = 1) -> ReleaseSlot:
    return ReleaseSlot(key="k", max_per_vault=max_per_vault, holder_id=holder_id)


@given(
    st.integers(1, 4),
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.sampled_from(["acquire", "release"]), st.floats(0, 400)), max_size=60
    ),
)
def test_never_more_than_so_many_and_the_longest_waiting_is_next(
    max_per_vault: int, steps: list[tuple[str, str, float]]
) -> None:
    slots: VaultSlots | None = None
    at, line, running = timedelta(), list[tuple[str, datetime]](), set[str]()
    for restore_id, verb, later_s in steps:
        at += timedelta(seconds=later_s)
        now = NOW + at
        line = [(waiting, time) for waiting, time in line if now - time < timedelta(minutes=15)]
        if verb == "acquire":
            slots, grant = acquire(slots, AcquireSlot(key="k", max_per_vault=max_per_vault), asked(restore_id, at))
            if restore_id not in running:
                names = [waiting for waiting, _ in line]
                place = names.index(restore_id) if restore_id in names else len(names)
                line[place : place + 1] = [(restore_id, now)]
                assert (grant.holder is None) == (place < max_per_vault - len(running))
                if grant.holder is None:
                    line.pop(place)
                    running.add(restore_id)
                else:
                    assert grant.ahead == place
                    assert grant.holder in running
        else:
            slots, released = release(slots, releasing(restore_id, max_per_vault), asked(restore_id, at))
            line = [entry for entry in line if entry[0] != restore_id]
            running.discard(restore_id)
            is_free = len(running) < max_per_vault and bool(line)
            assert released.next_id == (line[0][0] if is_free else None)
            if is_free:
                running.add(line.pop(0)[0])
        assert len(running) <= max_per_vault
        assert set(slots.running) == running
        assert list(slots.waiting) == [waiting for waiting, _ in line]


def test_whoever_has_a_slot_keeps_it_when_it_asks_again() -> None:
    slots, _ = acquire(None, ACQUIRE, asked("a"))

    assert acquire(slots, ACQUIRE, asked("a")) == (slots, SlotGrant(running=1))


def test_each_who_waits_is_told_another_holder() -> None:
    two = AcquireSlot(key="k", max_per_vault=2)
    slots: VaultSlots | None = None
    for restore_id in "ab":
        slots, _ = acquire(slots, two, asked(restore_id))

    told: list[str | None] = []
    for _ in range(4):
        slots, grant = acquire(slots, two, asked("c"))
        told.append(grant.holder)

    assert told == ["a", "b", "a", "b"]


def test_one_that_vanished_is_released_in_its_name() -> None:
    slots, _ = acquire(None, ACQUIRE, asked("a"))
    slots, _ = acquire(slots, ACQUIRE, asked("b"))

    slots, released = release(slots, releasing("a"), asked("b"))

    assert (slots, released) == (VaultSlots(running=("b",)), SlotReleased(next_id="b"))


@given(
    st.integers(1, 3),
    st.lists(
        st.tuples(
            st.sampled_from("abcdef"),
            st.sampled_from(["acquire", "acquire", "release", "taken", "blocked"]),
            st.sampled_from([0, 100, 400, 4000, 90_000]),
        ),
        max_size=40,
    ),
)
def test_whatever_was_blocked_every_request_is_answered_and_never_too_many_run(
    max_per_vault: int, steps: list[tuple[str, str, int]]
) -> None:
    slots: VaultSlots | None = None
    at = timedelta()
    for restore_id, verb, later_s in steps:
        at += timedelta(seconds=later_s)
        if verb == "acquire":
            slots, grant = acquire(slots, AcquireSlot(key="k", max_per_vault=max_per_vault), asked(restore_id, at))
            assert grant.is_granted == (restore_id in slots.running)
            assert grant.holder != restore_id
        else:
            until = NOW + at + timedelta(hours=1) if verb == "blocked" else None
            call = replace(releasing(restore_id, max_per_vault), blocked_until=until, is_taken=verb == "taken")
            slots, released = release(slots, call, asked(restore_id, at))
            assert released.next_id is None or released.next_id in slots.running
        assert len(slots.running) <= max_per_vault
        assert not set(slots.running) & set(slots.waiting)


class TestABlockedVault:
    """``a`` has found at ``NOW`` that Azure Backup blocks the vault for an hour."""

    UNTIL = NOW + timedelta(hours=1)
    FIVE = AcquireSlot(key="k", max_per_vault=5)

    @pytest.fixture
    def slots(self) -> VaultSlots:
        slots, _ = acquire(None, self.FIVE, asked("a"))
        blocked = replace(releasing("a", 5), blocked_until=self.UNTIL)
        return release(slots, blocked, asked("a"))[0]

    def test_has_no_slot(self, slots: VaultSlots) -> None:
        _, grant = acquire(slots, self.FIVE, asked("b", timedelta(minutes=59)))

        assert (grant.is_granted, grant.blocked_until) == (False, self.UNTIL + timedelta(minutes=4))

    def test_gives_one_slot_every_five_minutes_after_the_block(self, slots: VaultSlots) -> None:
        granted: list[str] = []
        for minute in range(60, 72):
            for restore_id in "bcde":
                if restore_id not in granted:
                    slots, grant = acquire(slots, self.FIVE, asked(restore_id, timedelta(minutes=minute)))
                    granted += [restore_id] * grant.is_granted

        assert granted == ["b", "c", "d"]

    def test_is_open_again_once_a_restore_was_taken(self, slots: VaultSlots) -> None:
        later = timedelta(minutes=61)
        slots, _ = acquire(slots, self.FIVE, asked("b", later))
        waiting, refused = acquire(slots, self.FIVE, asked("c", later))

        slots, released = release(waiting, replace(releasing("b", 5), is_taken=True), asked("b", later))

        assert not refused.is_granted
        assert released.next_id == "c"
        assert acquire(slots, self.FIVE, asked("d", later))[1].is_granted

    def test_stays_blocked_as_long_as_the_longest_block_that_was_found(self, slots: VaultSlots) -> None:
        shorter = replace(releasing("z", 5), blocked_until=NOW + timedelta(minutes=1))

        slots, _ = release(slots, shorter, asked("z"))

        assert slots.blocked_until == self.UNTIL

    def test_answers_a_line_that_is_longer_than_the_vault_has_slots(self, slots: VaultSlots) -> None:
        grants: list[SlotGrant] = []
        for restore_id in "bcde":
            slots, grant = acquire(slots, ACQUIRE, asked(restore_id))
            grants.append(grant)

        assert [grant.blocked_until for grant in grants] == [self.UNTIL] * 4

    def test_names_the_first_in_line_where_the_block_is_over_and_nobody_has_a_slot(self, slots: VaultSlots) -> None:
        open_again = replace(slots, waiting={"b": NOW, "c": NOW}, blocked_until=None)

        after, grant = acquire(open_again, ACQUIRE, asked("c"))

        assert (after, grant) == (open_again, SlotGrant(holder="b", ahead=1))

    def test_is_forgotten_after_a_day_without_a_restore(self, slots: VaultSlots) -> None:
        for restore_id in "bcd":
            slots, grant = acquire(slots, self.FIVE, asked(restore_id, timedelta(hours=25)))
            assert grant.is_granted

    def test_a_full_vault_names_a_holder_nevertheless(self, slots: VaultSlots) -> None:
        one = replace(slots, running=("b",))

        assert acquire(one, ACQUIRE, asked("c", timedelta(hours=2)))[1].holder == "b"
