"""The worker is killed with SIGKILL before and after each call of a swap, which ends swapped, or as the VM was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simulator.providers.compute.state import RUNNING
from tests.engine.swap_scene import KILLS, Ended, Kill

if TYPE_CHECKING:
    from concurrent.futures import Future

pytestmark = pytest.mark.timeout(500)


@pytest.mark.parametrize(
    "kill", [kill for kill in KILLS if kill.way != "back"], ids=lambda kill: f"{kill.way} {kill.step} {kill.fate}"
)
def test_a_worker_killed_at_any_call_leaves_the_vm_with_its_new_disks(
    swaps: Future[dict[Kill, Ended]], kill: Kill
) -> None:
    ended = swaps.result()[kill]

    assert ended.document["status"] == "Completed", ended.document
    assert ended.document["result"]["swap"]["state"] == "Swapped"
    assert set(ended.restored) == {-1, 0, 3}
    assert (ended.after, ended.machine.power) == (ended.restored, RUNNING)
    for disk in ended.former:
        assert disk["properties"]["diskState"] == "Unattached"
        assert disk["tags"]["restore-id"] == ended.document["id"]


@pytest.mark.parametrize(
    "kill", [kill for kill in KILLS if kill.way == "back"], ids=lambda kill: f"{kill.way} {kill.step} {kill.fate}"
)
def test_a_worker_killed_on_the_way_back_leaves_the_vm_as_it_was(swaps: Future[dict[Kill, Ended]], kill: Kill) -> None:
    ended = swaps.result()[kill]

    assert (ended.document["status"], ended.document["error"]["code"]) == ("Failed", "SwapFailed"), ended.document
    assert ended.document["result"]["swap"]["state"] == "AsBefore"
    assert (ended.after, ended.machine.power) == (ended.before, RUNNING)
