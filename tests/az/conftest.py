from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from simulator.clock import ManualClock
from simulator.server import Simulator, running
from tests.az.backup import Backup
from tests.az.cli import Az, Run
from tests.az.table import table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def simulator(clock: ManualClock) -> Iterator[Simulator]:
    with running(clock=clock, tls=True) as simulator:
        yield simulator


@pytest.fixture(scope="session")
def signed_in(simulator: Simulator, clock: ManualClock, tmp_path_factory: pytest.TempPathFactory) -> Az:
    """An az whose cloud is the simulator, signed in with its managed identity."""
    az = Az.of(simulator, tmp_path_factory.mktemp("az"), clock)
    az.look_up(f"cloud register --name simulator --endpoint-resource-manager {simulator.url}")
    az.look_up("cloud set --name simulator")
    az.look_up("login --identity")
    return az


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Callable[[Run], None]:
    """Keep a run for the table."""
    return lambda run: request.node.user_properties.append((run.command, run.seconds))


@pytest.fixture
def az(signed_in: Az, record: Callable[[Run], None]) -> Az:
    return replace(signed_in, record=record)


@pytest.fixture
def backup(az: Az) -> Backup:
    return Backup(az)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print which commands of az passed, as a table."""
    reports = [report for kind in ("passed", "failed", "error") for report in terminalreporter.stats.get(kind, [])]
    terminalreporter.write_line(f"\n{table(reports)}")
