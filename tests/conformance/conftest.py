from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from azure.mgmt.recoveryservicesbackup import RecoveryServicesBackupClient

from simulator.clock import ManualClock
from simulator.server import Simulator, running
from tests.conformance.caller import SUBSCRIPTION_ID, Caller
from tests.conformance.sdk import sdk_client

if TYPE_CHECKING:
    from collections.abc import Iterator


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
def secure(clock: ManualClock) -> Iterator[Simulator]:
    """A simulator over TLS, as the SDKs want it."""
    with running(clock=clock, tls=True) as simulator:
        yield simulator


@pytest.fixture
def client(secure: Simulator) -> Iterator[RecoveryServicesBackupClient]:
    with sdk_client(RecoveryServicesBackupClient, secure, SUBSCRIPTION_ID) as client:
        yield client
