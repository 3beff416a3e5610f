"""What must hold of the VMs whose disks a run has swapped: of what the simulator has, and of what the documents say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from domain.wire import as_object
from tests.chaos.made_plans import ATTACHED
from tests.chaos.swap_plans import data_luns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from domain.errors import Json
    from tests.chaos.service import VmSeen
    from tests.chaos.stage import Outcome, Stage

CHECKS: Final = ("disk gone", "half swapped", "unsaid", "not running", "untagged", "deleted")
SLACK: Final = timedelta(hours=5)
"""So much later than its deadline a restore may end that swaps disks: two hours there, two back, and Azure's waits."""
_ARM: Final = "https://management.azure.com/.default"
_STORAGE: Final = "https://storage.azure.com/.default"
_CALLS: Final = ("GET", "POST deallocate", "PATCH storageProfile", "POST start", "within two hours")
_ADVICE: Final = ("az vm start", "look at its extensions", "Attach the disks by hand", "attach them by hand")
_GOOD: Final = frozenset({"Completed", "CompletedWithWarnings"})
_BACK: Final = frozenset({"Failed", "Cancelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Swapped:
    """One swap or undo that changed its VM: what the VM was before, and after, and what the restore says of it."""

    outcome: Outcome
    before: VmSeen
    after: VmSeen
    wanted: frozenset[int | None]
    """The places whose disks were to be replaced."""
    new: Mapping[int | None, str]
    """The disks that were to be put in, by their places, in lower case; empty for a place that was to become empty."""

    @property
    def swap(self) -> Mapping[str, Any]:
        return swap_of(self.outcome.document)

    @property
    def former(self) -> dict[int | None, str]:
        return {lun: disk for lun, disk in self.before.places.items() if lun in self.wanted}


def swap_of(document: Json | None) -> Mapping[str, Any]:
    """Return what a restore's document says of its swap; empty if it has not begun."""
    return as_object(as_object((document or {}).get("result")).get("swap"))


def swap_state(outcome: Outcome) -> str | None:
    """Return how the swap of a restore, or its undo, has ended; ``None`` if it wants none or has not begun."""
    state: str | None = swap_of(outcome.document).get("state")
    return state and (f"undo: {state}" if outcome.restore.accepted.undo_of else state)


def swap_violations(stage: Stage) -> Iterator[tuple[str, int, str]]:
    """Yield each check that found something, the restore's number, and what it found."""
    for outcome in stage.outcomes.values():
        touched = _of(stage, outcome)
        if touched is not None:
            yield from ((check, outcome.plan.number, what) for check, what in _of_one(stage, touched))
        elif swap_of(outcome.document).get("state") == "Swapped" and swap_of(outcome.document)["disks"]:
            yield "unsaid", outcome.plan.number, "Swapped, but the VM was never changed"
    yield from (("deleted", -1, disk) for disk in sorted(_deleted(stage)))
    yield from (
        ("another host", -1, f"a token for {each}") for each in sorted(stage.service.audiences - {_ARM, _STORAGE})
    )


def _of(stage: Stage, outcome: Outcome) -> _Swapped | None:
    vm, restore_id = outcome.plan.vm_id.lower(), outcome.restore.restore_id
    states = [*stage.service.touched.get(vm, ()), *([stage.final[vm]] if vm in stage.final else ())]
    number = next((n for n, seen in enumerate(states) if seen.restore_id == restore_id), None)
    if number is None or outcome.restore.request.then_swap_disks is None:
        return None
    before, after, undone = states[number], states[number + 1], stage.undone.get(restore_id)
    if undone is not None:
        places = swap_of(stage.outcomes[undone].document)["disks"]
        new = {place["lun"]: (place["formerDiskId"] or "").lower() for place in places}
        return _Swapped(outcome=outcome, before=before, after=after, wanted=frozenset(new), new=new)
    only_data = outcome.restore.request.then_swap_disks.get("dataDisksOnly", False)
    wanted = frozenset({*data_luns(outcome.plan.vm), *(() if only_data else (None,))})
    made = {lun: disk for lun, disk in _restored(outcome, after).items() if lun in wanted}
    return _Swapped(outcome=outcome, before=before, after=after, wanted=wanted, new=made)


def _of_one(stage: Stage, swapped: _Swapped) -> Iterator[tuple[str, str]]:
    before, after = swapped.before.places, swapped.after.places
    kept = {disk for lun, disk in before.items() if lun not in swapped.wanted}
    vm = swapped.outcome.plan.vm_id.lower()
    kept |= stage.service.foreign.get(vm, set()) if swapped.after is stage.final[vm] else set()
    for disk in sorted(kept - set(after.values())):
        yield "disk gone", f"{disk} is not at the VM any more"
    if after[None] not in swapped.after.disks:
        yield "disk gone", f"the VM's OS disk {after[None]} does not exist"
    document = swapped.outcome.document
    if document is None:
        return  # ended by an operator, or found to be stuck
    match swapped.swap.get("state"):
        case "Swapped":
            yield from _when_swapped(swapped, document)
        case "AsBefore":
            yield from _when_as_before(swapped, document)
        case "Unfinished":
            yield from _when_unfinished(document)
        case state:
            yield "unsaid", f"the VM was changed, but the swap is {state}: {document.get('error')}"


def _when_swapped(swapped: _Swapped, document: Json) -> Iterator[tuple[str, str]]:
    has = {lun: disk for lun, disk in swapped.after.places.items() if lun in swapped.wanted}
    wrong = {lun: disk for lun, disk in swapped.new.items() if has.get(lun, "") != disk}
    if wrong:
        yield "half swapped", f"Swapped, but the VM has {has} instead of {wrong}"
    if document["status"] not in _GOOD:
        yield "unsaid", f"{document['status']}, though the disks are swapped"
    starts = (swapped.outcome.restore.request.then_swap_disks or {}).get("start", True)
    ran_before = swapped.outcome.restore.accepted.undo_of is None or swapped.before.power == "running"
    if starts and ran_before and swapped.after.power != "running":
        yield "not running", f"Swapped, but the VM is {swapped.after.power}"
    untagged = " ".join(each["message"] for each in document["warnings"] if each["code"] == "DiskNotTagged").lower()
    for disk_id in sorted(set(swapped.former.values()) - set(swapped.new.values())):
        yield from _of_former_disk(swapped, disk_id, has_warning=disk_id in untagged)


def _restored(outcome: Outcome, after: VmSeen) -> dict[int | None, str]:
    """Return the disks that the job made, as the store has them, by the places that their names tell."""
    job = ((outcome.document or {}).get("jobId") or "").lower()
    made = [each for each, body in after.disks.items() if _tags(body).get("RSVaultBackup", "").lower() == job]
    return {None if "-osdisk-" in disk_id else int(disk_id.partition("-datadisk-")[2][:3]): disk_id for disk_id in made}


def _of_former_disk(swapped: _Swapped, disk_id: str, *, has_warning: bool) -> Iterator[tuple[str, str]]:
    disk = swapped.after.disks.get(disk_id)
    if disk is None:
        return  # it is named as deleted
    if disk.get("managedBy") or disk["properties"]["diskState"] != "Unattached":
        yield "half swapped", f"the former disk {disk_id} is {disk['properties']['diskState']}"
    tags = _tags(disk)
    if not has_warning and (tags.get("restore-id") != swapped.outcome.restore.restore_id or "replaced-on" not in tags):
        yield "untagged", f"{disk_id}: {tags}"


def _tags(disk: object) -> Mapping[str, str]:
    return as_object(as_object(disk).get("tags"))


def _when_as_before(swapped: _Swapped, document: Json) -> Iterator[tuple[str, str]]:
    after = swapped.after.places
    wrong = {lun: disk for lun, disk in swapped.former.items() if after.get(lun) != disk}
    more = {lun: disk for lun, disk in after.items() if lun in swapped.wanted - swapped.former.keys()}
    if wrong or more:
        yield "half swapped", f"AsBefore, but the VM has {after}, and had {swapped.former}"
    if swapped.before.power == "running" and swapped.after.power != "running":
        yield "not running", f"AsBefore, but the VM is {swapped.after.power}"
    if document["status"] not in _BACK:
        yield "unsaid", f"{document['status']}, though the VM has its former disks"


def _when_unfinished(document: Json) -> Iterator[tuple[str, str]]:
    message = as_object(document.get("error")).get("message") or ""
    if document["status"] != "Failed":
        yield "unsaid", f"{document['status']}, though the swap is not finished"
    if not any(call in message for call in _CALLS) or not any(advice in message for advice in _ADVICE):
        yield "unsaid", f"the message names no call or no way on: {message}"


def _deleted(stage: Stage) -> set[str]:
    """Return the disks that there were and are not, and what was asked to be deleted."""
    known = set(stage.service.first_disks)
    for seen in (seen for states in stage.service.touched.values() for seen in states):
        known |= seen.disks.keys()
    for outcome in stage.outcomes.values():
        places = swap_of(outcome.document).get("disks", ())
        known |= {disk.lower() for place in places for disk in (place["diskId"], place["formerDiskId"]) if disk}
    gone = known - stage.service.seen_disks().keys()
    allowed = {each.path.lower() for each in stage.service.deletions if ATTACHED in each.plan.members}
    others = any(ATTACHED not in each.plan.members for each in stage.service.deletions)
    return gone - allowed | ({"a DELETE"} if others else set())
