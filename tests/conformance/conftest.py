from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from simulator.clock import ManualClock
from simulator.server import Simulator, running
from tests.conformance.caller import Caller
from tests.conformance.sdk import a_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azure.mgmt.recoveryservicesbackup import RecoveryServicesBackupClient


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC))


@pytest.fixture
def simulator(clock: ManualClock) -> Iterator[Simulator]:
    with running(clock=clock) as simulator:
        yield simulator


@pytest.fixture
def arm(simulator: Simulator) -> Iterator[Caller]:
    caller = Caller(simulator)
    with caller.session:
        yield caller


@pytest.fixture
def client(simulator: Simulator) -> Iterator[RecoveryServicesBackupClient]:
    with a_client(simulator) as client:
        yield client
