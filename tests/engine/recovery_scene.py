"""A scene in which a recovery outlives the death of its engine and worker, and then of one of two instances."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Final

from tests.engine.scenes import lease_holders, machines_can_be_made
from tests.engine.stage import soon
from tests.integration.app_stage import a_request

if TYPE_CHECKING:
    from datetime import datetime

    from domain.errors import Json
    from simulator.providers.backup.jobs import Job
    from tests.engine.scenes import Scene

AFTER: Final = {"data": [], "cache": [], "app": ["data"], "jobs": ["data", "cache"], "web": ["app", "jobs"]}
MEMBERS: Final = 6
MAX_RUNNING: Final = 8
_JOB_S: Final = 300
_POSTED: Final = 3  # so many of a group have posted when the kill comes
_WITHIN_S: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What became of a recovery. ``posts`` and ``jobs`` are by group, ``documents`` by the member's index."""

    status: str
    groups: dict[str, list[str]]
    posts: dict[str, list[datetime]]
    jobs: dict[str, list[Job]]
    documents: list[Json]

    def too_early(self) -> list[str]:
        """Return the groups of which a restore was posted before all jobs of the groups before it had ended."""
        return [
            group
            for group, before in AFTER.items()
            if any(min(self.posts[group]) < job.ends_at() for each in before for job in self.jobs[each])
        ]

    def most_at_once(self) -> int:
        """Return how many jobs ran at the same time at most."""
        jobs = [job for each in self.jobs.values() for job in each]
        changes = sorted([(job.ends_at(), -1) for job in jobs] + [(job.started, 1) for job in jobs])
        return max(accumulate(change for _, change in changes))


def kill_both_then_one_of_two(scene: Scene) -> Recovered:
    """Kill engine and worker in the first groups; then, with a second instance, the first one in later groups."""
    doomed = scene.hub.start("machine-a" if machines_can_be_made() else None)
    stage = scene.stage
    groups = {name: [stage.fresh_vm() for _ in range(MEMBERS)] for name in AFTER}
    for vm in chain.from_iterable(groups.values()):
        stage.simulator.world.set_faults(vm, {"jobSeconds": _JOB_S})
    recovery_id = _start(scene, groups)

    def posted(*names: str) -> bool:
        return sum(stage.posts(vm) for name in names for vm in groups[name]) >= _POSTED

    soon(lambda: posted("data", "cache"))
    doomed.kill()
    scene.hub.restart(doomed)
    if machines_can_be_made():
        scene.hub.start("machine-b")
        soon(lambda: {"machine-a", "machine-b"} <= lease_holders(scene.events))
        soon(lambda: posted("app", "jobs"), within_s=_WITHIN_S)
        doomed.kill()
    return _outcome(scene, recovery_id, groups)


def _start(scene: Scene, groups: dict[str, list[str]]) -> str:
    """Start the recovery; returns its id."""
    restore = {name: value for name, value in a_request(validate=False).items() if name != "sourceResourceId"}
    named = [{"name": name, "after": AFTER[name], "sourceResourceIds": vms} for name, vms in groups.items()]
    plan = {"name": "shop", "restore": restore, "maxRunning": MAX_RUNNING, "groups": named}
    answer = scene.stage.call("POST", "recoveries", json={"plan": plan})
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def _outcome(scene: Scene, recovery_id: str, groups: dict[str, list[str]]) -> Recovered:
    stage = scene.stage

    def ended() -> str | None:
        document = stage.call("GET", f"recoveries/{recovery_id}").json()
        return document["status"] if document["completedTime"] else None

    status = soon(ended, within_s=_WITHIN_S)
    members = stage.call("GET", f"recoveries/{recovery_id}/members", params={"top": "100"}).json()["value"]
    world = stage.simulator.world
    return Recovered(
        status=status,
        groups=groups,
        posts={
            name: [each.time for vm in vms for each in stage.requests(vm, "trigger_restore")]
            for name, vms in groups.items()
        },
        jobs={name: [job for vm in vms for job in world.jobs_of(vm)] for name, vms in groups.items()},
        documents=[stage.seen(member["restoreId"]) for member in members],
    )
