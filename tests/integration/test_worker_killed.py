"""A worker is killed with SIGKILL at each step of the trigger; another one goes on. Azure Backup makes one job.

As on Azure's engine, the trigger fails with its worker, and only turns of the orchestrator are run again: it cannot
know whether the restore was posted, so it looks for the job before it tries once more.

Engine, simulator and gate stand in the test's process, so that it knows where the worker is: it is held there, and
killed. A job that was made is listed only after the next worker has looked for it: the worst case.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import requests

from simulator.scenario import Scenario
from simulator.server import running as simulating
from tests.integration.app_stage import ENDED, STORAGE_ID, SUBSCRIPTION, a_request, eventually, vm_id
from tests.support.engine import stopped_engine
from tests.support.gate import Gate
from tests.support.processes import Command, command
from tests.support.stops import Stops

if TYPE_CHECKING:
    from collections.abc import Iterator

    from domain.errors import Json
    from tests.support.engine import StoppedEngine
    from tests.support.stops import Stop

UNPOSTED = ("handed out", "looked up", "claimed")  # when the worker died: a second attempt, after the window
# They come last, so that no second attempt loses its worker, too: a restore ends after two posts of unknown outcome.
STEPS = ("post sent", "job made", "answered", "checkpoint", *UNPOSTED)
POSTED = {"post sent", "job made", "answered"}  # when the worker died, and the answer was not yet taken
UNLUCKY, FIVE, RESET, DRAINED = "unlucky", "five", "reset", "drained"
NEVER_S = 1e8
LONG_S = 24_000  # longer than it takes to kill all the workers
soon = partial(eventually, within_s=60)  # many processes start here, on a machine that may be busy


def named(text: str) -> str:
    """Return a restore's name, which is also its VM's and its vault's."""
    return text.replace(" ", "-")


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with ExitStack() as stack:
        stops = Stops()
        simulator = stack.enter_context(simulating(scenario(), speed=600))
        gate = stack.enter_context(Gate(simulator.url, stops))
        engine = stack.enter_context(stopped_engine(stops, lease_s=60))
        stage = Stage(simulator, gate, engine, stops)
        stack.callback(stage.close)
        yield stage


def a_worker(engine: str, arm: str, simulator: str) -> Command:
    """Start a worker, a process of its own over an engine."""
    env = {
        **os.environ,
        "AZURE_RESOURCE_MANAGER_ENDPOINT": arm,
        "IDENTITY_ENDPOINT": f"{simulator}/msi/token",
        "IDENTITY_HEADER": "simulator",
        "RESTORE_JOB_POLL_MIN_SECONDS": "0.05",
        "RESTORE_JOB_POLL_MAX_SECONDS": "0.1",
        "RESTORE_ADOPTION_WINDOW_SECONDS": "20",
    }
    return Command("local_host", "--port", "0", "--no-queues", "--engine", engine, env=env)


def start(worker: Command, **members: Any) -> str:
    body = a_request(validate=False, **members)
    answer = requests.post(f"{worker.address}/api/restores", json=body, timeout=30)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def seen(worker: Command, restore_id: str) -> Json:
    return requests.get(f"{worker.address}/api/restores/{restore_id}", timeout=30).json()


def finished(worker: Command, restore_id: str) -> Json:
    def look() -> Json | None:
        document = seen(worker, restore_id)
        return document if document["status"] in ENDED else None

    return soon(look)


def scenario() -> Scenario:
    """One VM and one vault for each restore: the gate tells them apart by the vault."""
    names = [named(each) for each in (*STEPS, UNLUCKY, FIVE, RESET, DRAINED)]
    point = {"ageHours": 2, "tiers": {"InstantRP": "Valid", "HardenedRP": "Valid"}}
    faults: dict[str, Any] = {name: {"jobNotListed": {"seconds": NEVER_S}} for name in names}
    faults[UNLUCKY] = {"jobSeconds": LONG_S}
    return Scenario.from_dict(
        {
            "subscriptionId": SUBSCRIPTION.rpartition("/")[2],
            "vaults": [{"name": each, "resourceGroup": "backup-rg", "region": "westeurope"} for each in names],
            "storageAccounts": [
                {"name": STORAGE_ID.rpartition("/")[2], "resourceGroup": "backup-rg", "location": "westeurope"}
            ],
            "vms": [
                {"name": each, "resourceGroup": "web-rg", "vault": each, "points": [point], "faults": faults[each]}
                for each in names
            ],
        }
    )


@dataclass
class Stage:
    simulator: Any
    gate: Gate
    engine: StoppedEngine
    stops: Stops
    worker: Command | None = None
    another: Command | None = None

    def start_worker(self) -> None:
        self.worker = a_worker(self.engine.address, self.gate.url, self.simulator.url)

    def start_another_worker(self) -> None:
        self.another = a_worker(self.engine.address, self.gate.url, self.simulator.url)

    def kill_worker(self) -> None:
        assert self.worker
        self.worker.kill()
        self.worker = None
        soon(lambda: self.engine.is_alone)

    def close(self) -> None:
        for worker in filter(None, (self.worker, self.another)):
            worker.stop()

    def restore(self, name: str) -> None:
        self.engine.know(name)
        assert self.worker
        start(self.worker, sourceResourceId=vm_id(name), requestId=name)

    def finished(self, name: str) -> Json:
        assert self.worker
        return finished(self.worker, self.engine.know(name))

    def jobs(self, name: str) -> list[Any]:
        return self.simulator.world.jobs_of(name)

    def list_jobs_of(self, name: str) -> None:
        """Have the list of jobs show those of a VM from now on."""
        world = self.simulator.world
        with world.lock:
            for job in world.jobs_of(name):
                world.jobs[job.job_id] = replace(job, listed_from=world.now())


@pytest.fixture(scope="module")
def ended(stage: Stage) -> dict[str, Json]:
    """Kill a worker at each step, each time on another restore's way; returns how the restores ended.

    One restore more goes along all the way: the first worker posts it and dies, the next ones die while they follow its
    job. The last one meets a reset connection, gets one trigger five times at once, and has another handed on to yet
    another worker while it posts.
    """
    stage.start_worker()
    held = stage.stops.set("answered", UNLUCKY)
    stage.restore(UNLUCKY)
    held.wait()
    for step in STEPS:
        at_step = stage.stops.set(step, named(step))
        stage.restore(named(step))
        at_step.wait()
        stage.kill_worker()
        held.let_go()
        go_on_after(stage, step, at_step)
    stage.gate.resets.add(RESET)
    stage.restore(RESET)
    stage.engine.copies[FIVE] = 4
    stage.restore(FIVE)
    soon(lambda: stage.engine.deliveries[FIVE] == 5 and stage.jobs(FIVE))
    stage.list_jobs_of(FIVE)
    hand_to_another(stage, DRAINED)
    return {name: stage.finished(name) for name in (*map(named, STEPS), UNLUCKY, FIVE, RESET, DRAINED)}


def go_on_after(stage: Stage, step: str, at_step: Stop) -> None:
    """Start the next worker. A post that is on its way, and a list that shows its job, come after that one's look."""
    name = named(step)
    looks = stage.gate.looks[name]
    if step != "post sent":
        at_step.let_go()
    stage.start_worker()
    if step in POSTED:
        soon(lambda: stage.gate.looks[name] > looks)
        at_step.let_go()
        soon(lambda: stage.jobs(name))
        stage.list_jobs_of(name)


def hand_to_another(stage: Stage, name: str) -> None:
    """Hand a trigger to a second worker while the first, which lives on, is in the middle of its post."""
    sent, stream = stage.stops.set("post sent", name), stage.stops.set("stream", name)
    stage.restore(name)
    sent.wait()
    stream.wait()
    stage.start_another_worker()
    stage.engine.end_lease(name)
    soon(lambda: stage.gate.looks[name] >= 2)
    sent.let_go()
    soon(lambda: stage.jobs(name))
    stage.list_jobs_of(name)
    stream.let_go()


def jobs_made(stage: Stage, name: str) -> list[str]:
    return [job.job_id for job in stage.jobs(name)]


def completed(document: Json) -> str:
    """Return the job of a restore that ended well."""
    assert document["status"] == "Completed", document
    return document["jobId"]


@pytest.mark.parametrize("step", STEPS)
def test_a_worker_killed_at_any_step_leaves_one_restore(stage: Stage, ended: dict[str, Json], step: str) -> None:
    name = named(step)

    assert jobs_made(stage, name) == [completed(ended[name])]
    assert stage.gate.posts[name] == 1
    assert stage.engine.deliveries[name] == (2 if step in UNPOSTED else 1)


def test_a_restore_that_loses_seven_workers_in_a_row_is_posted_once(stage: Stage, ended: dict[str, Json]) -> None:
    assert stage.engine.deliveries[UNLUCKY] == 1
    assert jobs_made(stage, UNLUCKY) == [completed(ended[UNLUCKY])]
    assert stage.gate.posts[UNLUCKY] == 1


def test_a_trigger_that_is_delivered_five_times_at_once_posts_once(stage: Stage, ended: dict[str, Json]) -> None:
    assert jobs_made(stage, FIVE) == [completed(ended[FIVE])]
    assert stage.gate.posts[FIVE] == 1


def test_a_trigger_that_another_worker_is_handed_during_the_post_posts_once(
    stage: Stage, ended: dict[str, Json]
) -> None:
    assert jobs_made(stage, DRAINED) == [completed(ended[DRAINED])]
    assert (stage.engine.deliveries[DRAINED], stage.gate.posts[DRAINED]) == (2, 1)


def test_a_connection_that_is_reset_within_the_request_is_followed_by_looks(
    stage: Stage, ended: dict[str, Json]
) -> None:
    assert jobs_made(stage, RESET) == [completed(ended[RESET])]
    assert [warning["code"] for warning in ended[RESET]["warnings"]] == ["TriggerOutcomeOpen"]
    assert stage.gate.looks[RESET] >= 4  # before each post, and within the window


def test_restores_that_are_followed_or_wait_for_a_person_go_on_with_the_next_worker_each_part_a_process() -> None:
    with (
        command("local_host.engine") as engine,
        command("simulator", "--port", "0", "--speed", "600") as simulator,
        ExitStack() as stack,
    ):
        faults = {"vm": "web-01", "faults": {"jobSeconds": 1500}}
        requests.post(f"{simulator.address}/_simulator/faults", json=faults, timeout=30)
        killed = a_worker(engine.address, simulator.address, simulator.address)
        stack.callback(killed.stop)
        waiting = start(killed, sourceResourceId=vm_id("web-02"), approval={"required": True})
        soon(lambda: seen(killed, waiting)["status"] == "AwaitingApproval")
        followed = start(killed)
        job_id = soon(lambda: seen(killed, followed)["jobId"])
        killed.kill()
        worker = a_worker(engine.address, simulator.address, simulator.address)
        stack.callback(worker.stop)

        assert completed(finished(worker, followed)) == job_id
        made = requests.get(f"{simulator.address}/_simulator/jobs", timeout=30).json()
        assert [job["name"] for job in made["value"]] == [job_id]

        assert seen(worker, waiting)["status"] == "AwaitingApproval"
        said = {"by": "ada", "comment": "go"}
        answer = requests.post(f"{worker.address}/api/restores/{waiting}/approve", json=said, timeout=30)
        approved = finished(worker, waiting)

    assert (answer.status_code, approved["status"]) == (202, "Completed")
    assert (approved["approval"]["decision"], approved["approval"]["by"]) == ("Approved", "ada")
