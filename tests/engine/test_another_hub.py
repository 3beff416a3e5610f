"""The app is given another task hub, as with another engine: it knows no restore, and yet posts none twice."""

from __future__ import annotations

from tests.engine.stage import QUICK, EngineStage
from tests.support.real_hub import RealHub


def test_the_same_request_follows_the_same_job_on_another_hub(stage: EngineStage, azurite: str) -> None:
    vm = stage.fresh_vm()
    stage.simulator.world.set_faults(vm, {"jobSeconds": 900})
    restore_id = stage.start(vm, requestId="moved", validate=False)
    job_id = stage.comes_to(restore_id, lambda document: document["jobId"])["jobId"]

    with RealHub(azurite, stage.gate.url, QUICK) as hub:
        other = EngineStage(hub, hub.start(), stage.simulator, stage.gate, stage.events)
        before = other.call("GET", f"restores/{restore_id}"), other.call("GET", "restores")
        again = other.start(vm, requestId="moved", validate=False)
        ended = other.finished(again)

    assert (before[0].status_code, before[1].json()["value"]) == (404, [])
    assert (again, ended["status"], ended["jobId"]) == (restore_id, "Completed", job_id)
    assert stage.posts(vm) == 1
