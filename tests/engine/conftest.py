from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import pytest

from scripts import real_engine
from scripts.stack import connection_to
from simulator.server import running as simulating
from tests.engine import made_scene
from tests.engine.recovery_scene import Recovered, kill_both_then_one_of_two
from tests.engine.scenes import SCENES, Outcome, Scene, machines_can_be_made
from tests.engine.stage import HELD, QUICK, SPEED, EngineStage, rules, scenario
from tests.engine.swap_scene import Ended, Kill, kill_at_every_call_of_a_swap
from tests.support.engine_events import EngineEvents
from tests.support.gate import Gate
from tests.support.logs import DEADLOCKS
from tests.support.real_hub import RealHub, start_azurite
from tests.support.stops import Stops

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

_BEGUN_FIRST: Final = ("recovered", "long_job", "outcomes")
_BEGUN_LAST: Final = ("swaps", "uses")
"""These hold many restores at once, each for a limited time, so nothing else runs beside them."""
logging.getLogger(DEADLOCKS).setLevel(logging.INFO)


def pytest_sessionstart() -> None:
    """End at once, with the remedy, where there is no engine."""
    if not real_engine.is_there():
        pytest.exit(real_engine.MISSING, returncode=pytest.ExitCode.USAGE_ERROR)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave what mostly waits to the end, because it goes on beside the others; what must be alone comes after it."""
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    """Return when a test runs: 0 for first, 1 for those that wait for a scene, then those with a scene of their own."""
    names = _fixtures_of(item)
    own = [2 + place for place, name in enumerate(_BEGUN_LAST) if name in names]
    return own[0] if own else int(any(name in _BEGUN_FIRST for name in names))


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
def begin_what_takes_minutes(request: pytest.FixtureRequest) -> None:
    """Begin first of all what mostly waits, as far as it is asked for."""
    wanted = {name for item in request.session.items for name in _fixtures_of(item)}
    for name in _BEGUN_FIRST:
        if name in wanted:
            request.getfixturevalue(name)


@pytest.fixture(scope="session")
def outcomes(azurite: str) -> Iterator[dict[str, Future[Outcome]]]:
    """Play the scenes beside each other: most of their time they wait for what the dead have in their hands."""
    wanted = [name for name in SCENES if name != "one of two" or machines_can_be_made()]
    scenes = {name: Scene(azurite) for name in wanted}
    try:
        with ThreadPoolExecutor(len(scenes)) as threads:
            yield {name: threads.submit(SCENES[name], scene) for name, scene in scenes.items()}
    finally:
        for scene in scenes.values():
            scene.close()


@pytest.fixture(scope="session")
def recovered(azurite: str) -> Iterator[Future[Recovered]]:
    """Play the scene of a recovery beside the tests."""
    scene = Scene(azurite)
    try:
        with ThreadPoolExecutor(1) as thread:
            yield thread.submit(kill_both_then_one_of_two, scene)
    finally:
        scene.close()


@pytest.fixture(scope="session")
def swaps(azurite: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Future[dict[Kill, Ended]]]:
    """Play the scene of the swaps, when all other tests have ended."""
    with ThreadPoolExecutor(1) as thread:
        yield thread.submit(kill_at_every_call_of_a_swap, azurite, tmp_path_factory.mktemp("swaps"))


@pytest.fixture(scope="session")
def uses(
    azurite: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Future[dict[made_scene.Kill, made_scene.Ended]]]:
    """Play the scene of new VMs and of attachments, when all other tests have ended."""
    with ThreadPoolExecutor(1) as thread:
        yield thread.submit(made_scene.kill_at_every_call_that_uses_disks, azurite, tmp_path_factory.mktemp("uses"))


@pytest.fixture(scope="session")
def long_job(stage: EngineStage) -> tuple[str, str]:
    """A VM and its restore, whose job takes longer than the tests."""
    vm = stage.fresh_vm()
    stage.simulator.world.set_faults(vm, {"jobSeconds": 1e6})
    return vm, stage.start(vm, validate=False)


def _fixtures_of(item: pytest.Item) -> list[str]:
    return getattr(item, "fixturenames", [])
