"""The worker is killed with SIGKILL before and after each call that makes a VM of restored disks, or attaches them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simulator.providers.compute.state import DEALLOCATED, RUNNING
from tests.engine.made_scene import ATTACH, KILLS, OFF, TEMPLATE, Ended, Kill

if TYPE_CHECKING:
    from concurrent.futures import Future

pytestmark = pytest.mark.timeout(500)


def _kills(*, attach: bool) -> pytest.MarkDecorator:
    chosen = [kill for kill in KILLS if (kill.way == ATTACH) is attach]
    return pytest.mark.parametrize("kill", chosen, ids=lambda kill: f"{kill.way} {kill.step} {kill.fate}")


@_kills(attach=False)
def test_a_worker_killed_at_any_call_leaves_one_new_vm(uses: Future[dict[Kill, Ended]], kill: Kill) -> None:
    ended = uses.result()[kill]
    created = ended.document["result"]["createdVirtualMachine"]

    assert (ended.document["status"], created["state"]) == ("Completed", "Created"), ended.document
    assert kill.used_vm.lower() in ended.made
    assert len(ended.made) == (3 if kill.way == TEMPLATE else 2)  # the VM, its interface, and a public address
    assert {each.lower() for each in created["outputResources"]} == ended.made
    assert (ended.beside, ended.lost) == (set(), set())
    assert ended.deployments == (1 if kill.way == TEMPLATE else 0)
    assert set(ended.restored) == {-1, 0, 3}
    assert ended.disks == ended.restored
    assert ended.power == (DEALLOCATED if kill.way == OFF else RUNNING)


@_kills(attach=True)
def test_a_worker_killed_at_any_call_leaves_the_disks_attached_and_deletes_the_others(
    uses: Future[dict[Kill, Ended]], kill: Kill
) -> None:
    ended = uses.result()[kill]
    attachment = ended.document["result"]["attachment"]

    assert (ended.document["status"], attachment["state"]) == ("Completed", "Attached"), ended.document
    assert [lun for lun, disk in ended.disks.items() if disk == ended.restored[0]] == [attachment["disks"][0]["lun"]]
    assert len(ended.disks) == 2  # its OS disk, and that one
    others = {ended.restored[lun] for lun in (-1, 3)}
    assert {each.lower() for each in attachment["deleted"]} == others
    assert not others & ended.there
    assert (ended.lost, attachment["others"]) == (set(), [])
    assert ended.power == RUNNING
