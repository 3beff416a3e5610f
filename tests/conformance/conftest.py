from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from azure.mgmt.recoveryservicesbackup import RecoveryServicesBackupClient

from simulator.clock import ManualClock
from simulator.server import Simulator, running
from tests.conformance import sdk
from tests.conformance.caller import SUBSCRIPTION_ID, Caller
from tests.conformance.calls_table import SdkCalls

if TYPE_CHECKING:
    from collections.abc import Iterator

CALLS = SdkCalls()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """With ``--sdk-calls`` show what the SDKs have called."""
    if config.getoption("--sdk-calls"):
        terminalreporter.write_line(CALLS.table())


@pytest.fixture(autouse=True)
def count_sdk_calls() -> Iterator[None]:
    """Count the calls of the test's SDK clients, whichever simulators they were for."""
    yield
    for world in {id(world): world for world in sdk.worlds}.values():
        CALLS.add(world.requests)
    sdk.worlds.clear()


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
    with sdk.sdk_client(RecoveryServicesBackupClient, secure, SUBSCRIPTION_ID) as client:
        yield client
