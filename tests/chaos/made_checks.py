"""What must hold of new VMs and attachments: of what the simulator has in the end, and of what the documents say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from domain.wire import as_object
from simulator.providers.compute.bodies import DISK_TYPE, VM_TYPE
from tests.chaos.made_plans import ATTACHED, CREATED, new_vm, rescue_vm, target_group
from tests.chaos.swap_plans import data_luns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from domain.errors import Json
    from tests.chaos.service import Deletion
    from tests.chaos.stage import Outcome, Stage

CHECKS: Final = ("foreign deletion", "foreign change", "unlisted", "untrue", "not made", "not attached")
SLACK: Final = timedelta(hours=4)
"""So much later than its deadline a restore may end that uses its disks: two hours for that, and Azure's waits."""
_GOOD: Final = frozenset({"Completed", "CompletedWithWarnings"})
_BAD: Final = frozenset({"Failed", "Cancelled"})
_MADE_TYPES: Final = frozenset({VM_TYPE, "Microsoft.Network/networkInterfaces", "Microsoft.Network/publicIPAddresses"})
_FAILING: Final = frozenset({"attachment_fails_later", "attachment_fails_as_before"})
_POWER_FAULTS: Final = frozenset({"made_vm_stopped_beside", "made_vm_started_beside"})


def use_of(document: Json | None) -> Mapping[str, Any]:
    """Return what a restore's document says of its new VM or attachment; empty if that has not begun."""
    result = as_object((document or {}).get("result"))
    return as_object(result.get("createdVirtualMachine") or result.get("attachment"))


def use_state(outcome: Outcome) -> str | None:
    """Return how the new VM or the attachment of a restore has ended; ``None`` if it has none or has not begun."""
    state: str | None = use_of(outcome.document).get("state")
    return state


def use_violations(stage: Stage) -> Iterator[tuple[str, int, str]]:
    """Yield each check that found something, the restore's number, and what it found."""
    for outcome in stage.outcomes.values():
        number = outcome.plan.number
        if outcome.document is None:  # ended by an operator, or found to be stuck
            continue
        if CREATED in outcome.plan.members:
            yield from ((check, number, what) for check, what in _of_creation(_Created(stage, outcome)))
        elif ATTACHED in outcome.plan.members:
            yield from ((check, number, what) for check, what in _of_attachment(_Attached(stage, outcome)))
    for deletion in stage.service.deletions:
        if ATTACHED in deletion.plan.members and (why := _wrong_deletion(stage, deletion)):
            yield "foreign deletion", deletion.plan.number, f"{deletion.path}: {why}"
    for resource_id in sorted(stage.service.taken):
        if (why := _changed(stage.in_the_end.get(resource_id))) is not None:
            yield "foreign change", -1, f"{resource_id}: {why}"
    yield from (("foreign change", -1, what) for what in _changed_rescue_vms(stage))


@dataclass(frozen=True, slots=True)
class _Used:
    stage: Stage
    outcome: Outcome

    @property
    def document(self) -> Json:
        assert self.outcome.document is not None
        return self.outcome.document

    @property
    def said(self) -> Mapping[str, Any]:
        return use_of(self.outcome.document)

    @property
    def disks(self) -> dict[int, str]:
        """The restored disks by LUN, as the document lists them; -1 is the OS disk."""
        listed = as_object(self.document["result"]).get("disks") or []
        return {-1 if disk["isOs"] else disk["lun"]: str(disk["id"]).lower() for disk in listed}

    @property
    def message(self) -> str:
        return as_object(self.document.get("error")).get("message") or ""

    @property
    def is_cancelled(self) -> bool:
        """Whether the restore was cancelled while its job ended, so that nothing was done with its disks."""
        return any(warning["code"] == "CancelledTooLate" for warning in self.document["warnings"])

    def warns_of(self, disk_id: str) -> bool:
        return any(disk_id in str(warning["message"]).lower() for warning in self.document["warnings"])


class _Created(_Used):
    @property
    def vm_id(self) -> str:
        return new_vm(self.outcome.plan.number).lower()

    @property
    def tagged(self) -> set[str]:
        """What the restore has made, by its tag."""
        restore_id = self.outcome.restore.restore_id
        found = self.stage.in_the_end.items()
        return {
            key for key, body in found if body["type"] in _MADE_TYPES and _tags(body).get("restore-id") == restore_id
        }

    @property
    def listed(self) -> set[str]:
        return {str(each).lower() for each in self.said.get("outputResources", ())}


def _of_creation(made: _Created) -> Iterator[tuple[str, str]]:
    for resource_id in sorted(made.tagged - made.listed):
        yield "unlisted", f"{resource_id} was made, and the document lists {sorted(made.listed)}"
    there = made.stage.in_the_end.keys()
    says_how_to_tell = f"Only what has the tag restore-id {made.outcome.restore.restore_id} was made" in made.message
    for resource_id in () if says_how_to_tell else sorted((made.listed & there) - made.tagged):
        yield "untrue", f"{resource_id} is listed, and somebody else has made it"
    status, state = made.document["status"], made.said.get("state")
    if state == "Created":
        yield from _when_created(made)
    elif state is not None and (status not in _BAD or not made.message):
        yield "untrue", f"{status}, though the VM is {state}: {made.message}"
    elif state is None and status in _GOOD and not made.is_cancelled:
        yield "not made", f"{status} without a word of the VM"
    if state == "NotCreated" and made.listed:
        yield "untrue", f"NotCreated, and it lists {sorted(made.listed)}"
    deployed = made.stage.service.deployed
    group = f"{target_group(made.outcome.plan.number)}/".lower()
    if sum(count for path, count in deployed.items() if path.startswith(group)) > 1:
        yield "not made", "the template was deployed more than once"


def _when_created(made: _Created) -> Iterator[tuple[str, str]]:
    if made.document["status"] not in _GOOD:
        yield "untrue", f"{made.document['status']}, though the VM is there"
    if made.listed != made.tagged:
        yield "untrue", f"Created, but {sorted(made.listed ^ made.tagged)} are listed or made alone"
    vm = made.stage.in_the_end.get(made.vm_id)
    if vm is None:
        yield "not made", "Created, but there is no VM"
        return
    wanted = {-1, *data_luns(made.outcome.plan.vm)}
    if _places(vm) != made.disks or made.disks.keys() != wanted:
        yield "not made", f"the VM has {_places(vm)}, and {made.disks} are restored"
    power, plan = made.stage.power_in_the_end[made.vm_id], made.outcome.plan
    if not plan.faults & _POWER_FAULTS and power != (
        "running" if plan.members[CREATED].get("start", True) else "deallocated"
    ):
        yield "not made", f"Created, but the VM is {power}"
    interfaces = {str(each["id"]).lower() for each in vm["properties"]["networkProfile"]["networkInterfaces"]}
    if len(interfaces) != 1 or interfaces - made.tagged:
        yield "not made", f"the VM has the interfaces {sorted(interfaces)}"


class _Attached(_Used):
    @property
    def wanted(self) -> set[str]:
        luns = self.outcome.plan.members[ATTACHED].get("luns")
        return {disk for lun, disk in self.disks.items() if (lun >= 0 if luns is None else lun in luns)}

    @property
    def held(self) -> dict[str, int]:
        """The LUNs of the restored disks that the other VM has."""
        body = self.stage.in_the_end[rescue_vm(self.outcome.plan.number).lower()]
        return {disk: lun for lun, disk in _places(body).items() if disk in self.disks.values()}

    @property
    def has_all(self) -> bool:
        """Whether the other VM certainly has the disks; after an attachment that failed Azure may only list them."""
        vm = rescue_vm(self.outcome.plan.number)
        users = [each.plan for each in self.stage.outcomes.values() if rescue_vm(each.plan.number) == vm]
        may_list = any(plan.faults & _FAILING for plan in users)
        return bool(self.wanted) and self.held.keys() == self.wanted and not may_list

    @property
    def gone(self) -> set[str]:
        return set(self.disks.values()) - self.stage.in_the_end.keys()


def _of_attachment(used: _Attached) -> Iterator[tuple[str, str]]:
    state, status = used.said.get("state"), used.document["status"]
    if used.held.keys() - used.wanted:
        yield "not attached", f"{sorted(used.held.keys() - used.wanted)} were attached, and nobody wanted them"
    if state == "Attached":
        yield from _when_attached(used)
    elif used.gone:
        yield "untrue", f"{sorted(used.gone)} are gone, though the disks are {state}"
    elif state is None and (used.held or (status in _GOOD and not used.is_cancelled)):
        yield "untrue", f"{status}, and {sorted(used.held)} were attached without a word"
    elif state is not None and (status not in _BAD or not used.message):
        yield "untrue", f"{status}, though the disks are {state}: {used.message}"
    elif used.has_all and "not known" not in used.message:
        yield "untrue", f"{state}, but the VM has all disks: {used.message}"


def _when_attached(used: _Attached) -> Iterator[tuple[str, str]]:
    if used.document["status"] not in _GOOD:
        yield "untrue", f"{used.document['status']}, though the disks are attached"
    if used.held.keys() != used.wanted:
        yield "not attached", f"Attached, but of {sorted(used.wanted)} the VM has {sorted(used.held)}"
    luns = {str(each["diskId"]).lower(): each["lun"] for each in used.said["disks"]}
    if luns != used.held:
        yield "untrue", f"the document says {luns}, and the VM has {used.held}"
    deleted = {str(each).lower() for each in used.said["deleted"]}
    others = {str(each).lower() for each in used.said["others"]}
    if deleted - used.gone:
        yield "untrue", f"{sorted(deleted - used.gone)} are there, and the document says deleted"
    if deleted | others != set(used.disks.values()) - used.wanted or deleted & others:
        yield "untrue", f"deleted {sorted(deleted)} and others {sorted(others)} of {used.disks}"
    asked = used.outcome.plan.members[ATTACHED]["deleteOthers"]
    for disk_id in sorted(others):
        if asked and not used.warns_of(disk_id):
            yield "untrue", f"{disk_id} was not deleted, and no warning says why"
        elif disk_id in used.gone and not (asked and used.warns_of(disk_id)):
            yield "untrue", f"{disk_id} is gone, and the document says that it is there"


def _wrong_deletion(stage: Stage, deletion: Deletion) -> str | None:
    """Return why a restore must not delete this, ``None`` if it may."""
    plan, body = deletion.plan, deletion.body
    if not plan.members[ATTACHED]["deleteOthers"]:
        return "nobody asked for deletions"
    if body is None:
        return None  # it is gone already
    jobs = stage.service.jobs_of(stage.outcomes[plan.restore_id].restore.client_request_id)
    if body["type"] != DISK_TYPE or _tags(body).get("RSVaultBackup") not in {job.job_id for job in jobs}:
        return "it is no disk of this restore's job"
    if body.get("managedBy"):
        return f"{body['managedBy']} has it"
    return _too_early(stage, deletion, body)


def _too_early(stage: Stage, deletion: Deletion, body: Mapping[str, Any]) -> str | None:
    plan = deletion.plan
    luns, is_os = plan.members[ATTACHED].get("luns"), "-osdisk-" in str(body["id"]).lower()
    if is_os is (luns is not None):
        return "it was to be attached"
    wanted = len(data_luns(plan.vm)) if luns is None else 1
    own = {key for key, other in stage.in_the_end.items() if _tags(other) == _tags(body)}
    return None if len(own & deletion.other_vm) >= wanted else "the others are not attached yet"


def _changed(body: Mapping[str, Any] | None) -> str | None:
    """Return what was done to somebody else's VM or interface, ``None`` if nothing was."""
    if body is None:
        return "it is gone"
    if _tags(body):
        return f"it has the tags {_tags(body)}"
    if body["type"] == VM_TYPE:
        disks = _places(body)
        return None if [disk.rpartition("/")[2] for disk in disks.values()] == ["of-others"] else f"it has {disks}"
    names = [each["name"] for each in body["properties"]["ipConfigurations"]]
    return None if names == ["of-others"] else f"it has the configurations {names}"


def _changed_rescue_vms(stage: Stage) -> Iterator[str]:
    """Yield what was done to VMs that get disks, besides that."""
    plans = [outcome.plan for outcome in stage.outcomes.values() if ATTACHED in outcome.plan.members]
    for vm_id in sorted({rescue_vm(plan.number).lower() for plan in plans}):
        faults = {fault for plan in plans if rescue_vm(plan.number).lower() == vm_id for fault in plan.faults}
        power = stage.power_in_the_end[vm_id]
        if power != "running" and not faults & _POWER_FAULTS:
            yield f"{vm_id} is {power}"
        before, after = stage.service.first_resources[vm_id], stage.in_the_end[vm_id]
        missing = set(_places(before).values()) - set(_places(after).values())
        if missing:
            yield f"{vm_id} has lost {sorted(missing)}"


def _places(vm: Mapping[str, Any]) -> dict[int, str]:
    profile = vm["properties"]["storageProfile"]
    data = {disk["lun"]: str(disk["managedDisk"]["id"]).lower() for disk in profile["dataDisks"]}
    return {-1: str(profile["osDisk"]["managedDisk"]["id"]).lower(), **data}


def _tags(body: Mapping[str, Any]) -> Mapping[str, str]:
    return as_object(body.get("tags"))
