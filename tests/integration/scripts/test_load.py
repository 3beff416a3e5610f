"""Many restores asked for at once, by queue and by HTTP: ``make bench`` asks for a thousand and two hundred."""

from __future__ import annotations

from benchmarks import fleet


def test_a_flood_is_worked_off_whole_and_never_more_at_once_than_the_vault_may_have() -> None:
    seen = fleet.flood(messages=24, calls=8, env={"RESTORE_MAX_RUNNING_PER_VAULT": "8"})

    assert seen.is_whole, seen
    assert 1 < seen.most_running <= 8
    assert seen.waited >= 32 - 8 - 8  # the last ones may come when places are free
    assert seen.peak_mib < 400
