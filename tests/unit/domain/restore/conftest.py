from __future__ import annotations

import pytest

from domain.azure.restore_constraints import GUARDED_OPERATION
from tests.support.azure import GUARD_REQUEST
from tests.support.player import Player


@pytest.fixture
def player() -> Player:
    return Player()


@pytest.fixture
def guarded() -> Player:
    """Return a player whose vault has a Resource Guard that covers restores."""
    player = Player()
    detail = {"vaultCriticalOperation": GUARDED_OPERATION, "defaultResourceRequest": GUARD_REQUEST}
    player.azure.guard_proxies = [{"properties": {"resourceGuardOperationDetails": [detail]}}]
    return player
