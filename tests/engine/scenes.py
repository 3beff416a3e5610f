"""Scenes in which what runs restores ends in the middle of them, and something else finishes them.

Workers, engines and machines are killed with SIGKILL, or another version of the app is deployed.
"""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING

from simulator.server import running as simulating
from tests.engine.stage import GROUP, QUICK, SPEED, EngineStage, scenario, soon
from tests.integration.app_stage import vm_id
from tests.support.engine_events import EngineEvents
from tests.support.gate import Gate
from tests.support.real_hub import HOST_JSON, RealHub
from tests.support.stops import Stops

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from domain.errors import Json
    from simulator.scenario import Scenario

STEPS = ("resolving", "choosing", "validating", "looking", "post sent", "job made", "following", "tracking")
MANY = 10
IN_THE_MIDDLE = 4  # so many have posted when the kill comes
APPROVED = "approved"


class Scene:
    """A hub and a simulator of its own; its restores by name."""

    def __init__(self, azurite: str, azure: Scenario | None = None, *, host_json: Path = HOST_JSON) -> None:
        self._stack = ExitStack()
        self.stops, self.events = Stops(), EngineEvents()
        azure = azure or scenario(map(held, (*STEPS, APPROVED)))
        simulator = self._stack.enter_context(simulating(azure, speed=SPEED))
        self.gate = self._stack.enter_context(Gate(simulator.url, self.stops))
        hub = RealHub(azurite, self.gate.url, QUICK, host_json=host_json, hear=self._hear, events=True)
        self.hub = self._stack.enter_context(hub)
        self.simulator = simulator
        self.restores: dict[str, str] = {}

    def _hear(self, name: str, line: str) -> None:
        if name == "engine":
            self.events.hear(line)

    def close(self) -> None:
        self._stack.close()

    @property
    def stage(self) -> EngineStage:
        return EngineStage(self.hub, self.hub.instances[-1], self.simulator, self.gate, self.events)

    def start_many(self) -> None:
        stage = self.stage
        vms = [stage.fresh_vm() for _ in range(MANY)]
        self.restores = {vm: stage.start(vm, validate=False) for vm in vms}
        soon(lambda: sum(map(stage.posts, vms)) >= IN_THE_MIDDLE)

    def outcome(self) -> dict[str, tuple[Json, int, list[str]]]:
        """Wait for the end of all; returns the document, the POSTs and the jobs of each."""
        stage = self.stage
        ended = {vm: stage.finished(restore_id) for vm, restore_id in self.restores.items()}
        return {vm: (document, stage.posts(vm), stage.jobs(vm)) for vm, document in ended.items()}


type Outcome = dict[str, tuple[Json, int, list[str]]]


def held(step: str) -> str:
    """Return the name of the VM, and of its vault, whose restore is held at a step."""
    return f"held-{step.replace(' ', '-')}"


def kill_a_worker_at_every_step(scene: Scene) -> Outcome:
    """Hold a restore at each step, kill the worker that runs them all, and give the engine another."""
    instance = scene.hub.start()
    change_at_every_step(scene, instance.host.kill, lambda: scene.hub.start_worker(instance))
    return scene.outcome()


def change_at_every_step(scene: Scene, end: Callable[[], None], go_on: Callable[[], None]) -> None:
    """Start a restore for each step and hold it there, end what runs them all, and start what goes on with them."""
    stops = {step: scene.stops.set(step, held(step)) for step in STEPS}
    vms = {step: vm_id(held(step), GROUP) for step in STEPS}
    scene.restores |= {vm: scene.stage.start(vm) for vm in vms.values()}
    for stop in stops.values():
        stop.wait()
    end()
    late = held("post sent")
    looks = scene.gate.looks[late]
    for step in STEPS:
        if step != "post sent":
            stops[step].let_go()
    go_on()
    soon(lambda: scene.gate.looks[late] > looks)  # what goes on has looked for the job
    stops["post sent"].let_go()  # and only now the POST of the worker that has ended arrives


def deploy(scene: Scene, before: Path, after: Path) -> Outcome:
    """Start restores with the code of one folder, and finish them with that of another; a person approves one then."""
    instance = scene.hub.start(code=before)
    approved = vm_id(held(APPROVED), GROUP)
    scene.restores[approved] = scene.stage.start(approved, approval={"required": True})
    scene.stage.comes_to(scene.restores[approved], lambda document: document["status"] == "AwaitingApproval")

    def end() -> None:
        instance.host.kill()
        instance.engine.stop()

    change_at_every_step(scene, end, lambda: scene.hub.restart(instance, after))
    answer = scene.stage.call("POST", f"restores/{scene.restores[approved]}/approve", json={"by": "ada"})
    assert answer.status_code == 202, answer.text
    return scene.outcome()


def deploy_beside(scene: Scene, before: Path, after: Path) -> Outcome:
    """Run both versions on one hub at once: each takes the steps whose messages it gets."""
    scene.hub.start("machine-a", before)
    scene.hub.start("machine-b", after)
    soon(lambda: {"machine-a", "machine-b"} <= lease_holders(scene.events))
    scene.start_many()
    return scene.outcome()


def kill_engine_and_worker(scene: Scene) -> Outcome:
    """Kill both in the middle of many restores, and start both again."""
    instance = scene.hub.start()
    scene.start_many()
    instance.kill()
    scene.hub.restart(instance)
    return scene.outcome()


def kill_one_of_two_instances(scene: Scene) -> Outcome:
    """Kill the machine that has half of the hub in the middle of many restores; the other one goes on alone."""
    doomed = scene.hub.start("machine-a")
    scene.hub.start("machine-b")
    soon(lambda: {"machine-a", "machine-b"} <= lease_holders(scene.events))
    scene.start_many()
    doomed.kill()
    return scene.outcome()


def lease_holders(events: EngineEvents) -> set[str]:
    return {event.data["WorkerName"] for event in events.all("LeaseAcquisitionSucceeded")}


def machines_can_be_made() -> bool:
    return subprocess.run(["unshare", "--uts", "true"], capture_output=True, check=False).returncode == 0


SCENES: dict[str, Callable[[Scene], Outcome]] = {
    "worker": kill_a_worker_at_every_step,
    "both": kill_engine_and_worker,
    "one of two": kill_one_of_two_instances,
}
