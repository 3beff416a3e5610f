"""Messages in any order: a request may come twice, late and after newer ones, and counts once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.admission import vault_slots, vm_lock
from domain.restore.calls import AcquireLock, AcquireSlot, ReleaseLock, ReleaseSlot
from tests.unit.domain.admission.asking import HOUR, NOW, Entity

if TYPE_CHECKING:
    from domain.errors import Json

ACQUIRE_LOCK = AcquireLock(key="k", vm="/vm", source="http")
RELEASE_LOCK = ReleaseLock(key="k", ended=NOW)
ACQUIRE_SLOT = AcquireSlot(key="k", max_per_vault=1)
GRANTED: Json = {"v": 1}


def release_slot(holder_id: str = "a", max_per_vault: int = 1) -> ReleaseSlot:
    return ReleaseSlot(key="k", max_per_vault=max_per_vault, holder_id=holder_id)


@pytest.fixture
def lock() -> Entity:
    return Entity(vm_lock.VmLock, {AcquireLock: vm_lock.acquire, ReleaseLock: vm_lock.release})


def slots_entity() -> Entity:
    return Entity(vault_slots.VaultSlots, {AcquireSlot: vault_slots.acquire, ReleaseSlot: vault_slots.release})


@pytest.fixture
def slots() -> Entity:
    return slots_entity()


def test_a_late_request_for_the_lock_after_its_release_takes_nothing(lock: Entity) -> None:
    lock.ask(ACQUIRE_LOCK, "a", 1)
    lock.ask(RELEASE_LOCK, "a", 2)

    assert lock.ask(ACQUIRE_LOCK, "a", 1) == {"outdated": True}
    assert "holder" not in lock.state


def test_a_release_that_comes_before_its_request_keeps_it_out(lock: Entity) -> None:
    lock.ask(RELEASE_LOCK, "a", 2)

    assert lock.ask(ACQUIRE_LOCK, "a", 1) == {"outdated": True}
    assert "holder" not in lock.state


def test_a_refusal_stays_one_when_its_request_comes_again(lock: Entity) -> None:
    lock.ask(ACQUIRE_LOCK, "a", 1)
    refused = lock.ask(ACQUIRE_LOCK, "b", 1)
    lock.ask(RELEASE_LOCK, "a", 2)

    assert lock.ask(ACQUIRE_LOCK, "b", 1) == refused
    assert "holder" not in lock.state


def test_a_later_request_of_one_that_was_refused_is_heard(lock: Entity) -> None:
    lock.ask(ACQUIRE_LOCK, "a", 1)
    lock.ask(ACQUIRE_LOCK, "b", 1)
    lock.ask(RELEASE_LOCK, "a", 2)

    assert lock.ask(ACQUIRE_LOCK, "b", 3) == GRANTED
    assert lock.state["holder"]["restoreId"] == "b"


def test_one_started_again_under_its_id_numbers_its_requests_anew(lock: Entity) -> None:
    lock.ask(ACQUIRE_LOCK, "a", 1)
    lock.ask(RELEASE_LOCK, "a", 2)

    assert lock.ask(ACQUIRE_LOCK, "a", 1, HOUR, created=NOW + HOUR) == GRANTED


def test_a_second_release_wakes_the_same_one_and_not_another(slots: Entity) -> None:
    for number, restore_id in enumerate("abc"):
        slots.ask(ACQUIRE_SLOT, restore_id, number)
    first = slots.ask(release_slot(), "a", 9)
    known = slots.state

    second = slots.ask(release_slot(), "a", 9)

    assert first == second == {"v": 1, "nextId": "b"}
    assert slots.state == known


def test_a_late_request_for_a_slot_that_was_released_is_no_new_wish(slots: Entity) -> None:
    slots.ask(ACQUIRE_SLOT, "a", 1)
    slots.ask(release_slot(), "a", 2)

    assert slots.ask(ACQUIRE_SLOT, "a", 1) == {"outdated": True}
    assert slots.state.keys() == {"v", "answers"}


@given(st.permutations([1, 1, 2, 2, 3, 3]), st.permutations([1, 1, 2, 2, 3, 3]))
def test_whatever_the_order_the_last_request_of_each_decides(first: list[int], second: list[int]) -> None:
    """1 acquires a slot, 2 releases it, 3 acquires it again."""
    slots = slots_entity()
    for numbers in zip(first, second, strict=True):
        for number, restore_id in zip(numbers, "ab", strict=True):
            call = release_slot(restore_id, 2) if number == 2 else AcquireSlot(key="k", max_per_vault=2)
            slots.ask(call, restore_id, number)

    assert sorted(slots.state["running"]) == ["a", "b"]


def test_whoever_was_answered_last_is_remembered_longest(slots: Entity) -> None:
    slots.ask(ACQUIRE_SLOT, "a", 1)
    for number in range(499):
        slots.ask(ACQUIRE_SLOT, str(number), 1)
    slots.ask(release_slot(), "a", 2)
    slots.ask(ACQUIRE_SLOT, "one more", 1)

    assert slots.ask(ACQUIRE_SLOT, "a", 1) == {"outdated": True}


def test_what_is_remembered_has_a_bound(slots: Entity) -> None:
    for number in range(600):
        slots.ask(ACQUIRE_SLOT, str(number), 1)
    assert len(slots.state["answers"]) == 500

    slots.ask(ACQUIRE_SLOT, "later", 1, 2 * HOUR)
    assert list(slots.state["answers"]) == ["later 2026-11-23T08:00:00Z"]
