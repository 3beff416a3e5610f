"""Random recoveries in a made-up world; ``python -m tests.chaos.recoveries`` plays 10,000."""

from __future__ import annotations

import pytest

from tests.support.recovery_world import play


@pytest.mark.parametrize("seed", range(40))
def test_what_must_hold_holds_in_small_recoveries(seed: int) -> None:
    play(seed, max_groups=8, max_members=40)


@pytest.mark.parametrize("seed", range(4))
def test_what_must_hold_holds_in_large_recoveries(seed: int) -> None:
    play(seed)
