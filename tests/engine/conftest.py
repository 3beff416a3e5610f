from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from scripts import real_engine
from scripts.stack import connection_to
from simulator.server import running as simulating
from tests.engine.stage import HELD, QUICK, SPEED, EngineStage, rules, scenario
from tests.support.engine_events import EngineEvents
from tests.support.gate import Gate
from tests.support.logs import DEADLOCKS
from tests.support.real_hub import RealHub, start_azurite
from tests.support.stops import Stops

if TYPE_CHECKING:
    from collections.abc import Iterator

logging.getLogger(DEADLOCKS).setLevel(logging.INFO)


def pytest_sessionstart() -> None:
    """End at once, with the remedy, where there is no engine."""
    if not real_engine.is_there():
        pytest.exit(real_engine.MISSING, returncode=pytest.ExitCode.USAGE_ERROR)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave what takes minutes by itself to the end: it goes on beside all the others."""
    items.sort(key=lambda item: "long_job" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Azurite with blobs, queues and tables; yields its connection string."""
    child = start_azurite(tmp_path_factory.mktemp("azurite"))
    try:
        yield connection_to(child)
    finally:
        child.stop()


@pytest.fixture(scope="session")
def stage(azurite: str) -> Iterator[EngineStage]:
    """One instance of the app on a hub that all tests share, each with VMs of its own."""
    events, stops = EngineEvents(), Stops()

    def hear(name: str, line: str) -> None:
        if name == "engine":
            events.hear(line)

    with ExitStack() as stack:
        simulator = stack.enter_context(simulating(scenario(HELD), speed=SPEED))
        gate = stack.enter_context(Gate(simulator.url, stops))
        settings = {**QUICK, "AUTO_RESTORE_RULES": rules()}
        hub = stack.enter_context(RealHub(azurite, gate.url, settings, hear=hear, events=True))
        yield EngineStage(hub, hub.start(), simulator, gate, events)


@pytest.fixture(scope="session", autouse=True)
def long_job_begins(request: pytest.FixtureRequest) -> None:
    """Start the job of many polls first of all, if it is asked for."""
    if any("long_job" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue("long_job")


@pytest.fixture(scope="session")
def long_job(stage: EngineStage) -> tuple[str, str]:
    """A VM and its restore, whose job takes longer than the tests."""
    vm = stage.fresh_vm()
    stage.simulator.world.set_faults(vm, {"jobSeconds": 1e6})
    return vm, stage.start(vm, validate=False)
