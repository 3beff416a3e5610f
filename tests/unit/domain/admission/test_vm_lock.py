"""The lock of a VM: whatever is asked in whatever order, one restore at most has it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.admission.vm_lock import LastRestore, VmLock, acquire, release
from domain.restore.answers import Done, Grant, LockHolder
from domain.restore.calls import AcquireLock, ReleaseLock, ReleaseVanishedLock
from tests.unit.domain.admission.asking import HOUR, NOW, asked


def acquiring(source: str = "http", cool_down: timedelta | None = None) -> AcquireLock:
    return AcquireLock(key="k", vm="/vm", source=source, cool_down=cool_down)


def releasing(at: timedelta = timedelta(), *, unused: bool = False) -> ReleaseLock:
    return ReleaseLock(key="k", ended=NOW + at, unused=unused)


def held_by(restore_id: str, source: str = "http") -> VmLock:
    lock, grant = acquire(None, acquiring(source), asked(restore_id))
    assert grant == Grant()
    return lock


def test_the_holder_may_acquire_it_again() -> None:
    lock = held_by("a")

    assert acquire(lock, acquiring(), asked("a", HOUR)) == (lock, Grant())


def test_who_does_not_hold_it_cannot_release_it() -> None:
    lock = held_by("a")

    assert release(lock, releasing(), asked("b")) == (lock, Done())
    assert release(None, releasing(), asked("b")) == (None, Done())


def test_releasing_twice_leaves_the_first_time() -> None:
    once, _ = release(held_by("a"), releasing(), asked("a"))

    assert once == VmLock(vm="/vm", last=LastRestore(restore_id="a", ended=NOW))
    assert release(once, releasing(HOUR), asked("a", HOUR)) == (once, Done())


def test_one_started_again_under_its_id_keeps_the_lock_when_the_first_releases_it() -> None:
    first = held_by("a")
    again, grant = acquire(first, acquiring(), asked("a", HOUR, created=NOW + HOUR))
    assert first.holder is not None

    vanished = ReleaseVanishedLock(key="k", holder=first.holder, ended=NOW)

    assert grant == Grant()
    assert release(again, releasing(), asked("a")) == (again, Done())
    assert release(again, vanished, asked("b")) == (again, Done())


def test_anybody_may_release_it_in_the_name_of_a_holder_that_vanished() -> None:
    lock = held_by("a")
    assert lock.holder is not None

    freed, _ = release(lock, ReleaseVanishedLock(key="k", holder=lock.holder, ended=NOW + HOUR), asked("b"))

    assert freed == VmLock(vm="/vm", last=LastRestore(restore_id="a", ended=NOW + HOUR))


def test_a_lock_that_was_not_used_begins_no_cool_down() -> None:
    ended, _ = release(held_by("a"), releasing(), asked("a"))
    again, _ = acquire(ended, acquiring(), asked("b", HOUR))

    freed, _ = release(again, releasing(HOUR, unused=True), asked("b", HOUR))

    assert freed == ended


@pytest.mark.parametrize(
    ("holder", "asker", "code"),
    [
        ("http", "http", "RequestConflict"),
        ("queue", "alert", "RequestConflict"),
        ("alert", "queue", "RequestConflict"),
        ("alert", "alert", "CoolingDown"),
    ],
)
def test_a_held_one_says_who_holds_it(holder: str, asker: str, code: str) -> None:
    lock = held_by("a", source=holder)

    after, grant = acquire(lock, acquiring(asker), asked("b", HOUR))

    assert after == lock
    assert grant.refusal is not None
    assert (grant.refusal.code, grant.refusal.holder) == (
        code,
        LockHolder(restore_id="a", created=NOW, source=holder, since=NOW),
    )
    assert all(word in grant.refusal.message for word in ("Restore a", holder, "2026-11-23T08:00:00Z"))


def test_the_cool_down_begins_at_the_end_of_the_last_restore() -> None:
    lock, _ = release(held_by("a"), releasing(2 * HOUR), asked("a", 2 * HOUR))
    second = timedelta(seconds=1)

    _, early = acquire(lock, acquiring(cool_down=HOUR), asked("b", 3 * HOUR - second))
    _, late = acquire(lock, acquiring(cool_down=HOUR), asked("b", 3 * HOUR))

    assert early.refusal is not None
    assert (early.refusal.code, early.refusal.holder, late) == ("CoolingDown", None, Grant())
    assert "2026-11-23T11:00:00Z" in early.refusal.message


def test_a_start_without_a_cool_down_is_bound_by_none() -> None:
    lock, _ = release(held_by("a"), releasing(), asked("a"))

    assert acquire(lock, acquiring(), asked("b"))[1] == Grant()


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from(["acquire", "release"]), st.floats(0, 7200), st.booleans())
    )
)
def test_never_two_holders(steps: list[tuple[str, str, float, bool]]) -> None:
    lock: VmLock | None = None
    holder: str | None = None
    at = timedelta()
    for restore_id, verb, later_s, unused in steps:
        at += timedelta(seconds=later_s)
        if verb == "acquire":
            lock, grant = acquire(lock, acquiring(), asked(restore_id, at))
            assert (grant.refusal is None) == (holder in {None, restore_id})
            holder = restore_id if grant.refusal is None else holder
        else:
            lock, _ = release(lock, releasing(at, unused=unused), asked(restore_id, at))
            holder = None if holder == restore_id else holder
        held = None if lock is None or lock.holder is None else lock.holder.restore_id
        assert held == holder
