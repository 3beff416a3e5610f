"""One VM as Azure Compute keeps it, on a clock that skips: its changes take time, fail, get lost, or are made twice.

It refuses what Azure refuses, and keeps the disks that the VM had after each change.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from domain import errors
from domain.answers import Answer
from domain.azure.disks import Disk
from domain.azure.virtual_machines import AttachedDisk, VirtualMachine
from domain.errors import ErrorDetail, TerminalError, TransientError
from domain.follow_up import calls
from domain.follow_up.calls import ChangeAccepted, ChangeStatus, FoundDisks
from domain.restore.answers import AcceptedOperation, Done
from tests.support.azure import VM_ID

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tests.support.azure import Clock

DISKS: Final = VM_ID.partition("/virtualMachines/")[0] + "/disks"
TAKES: Final = {
    "deallocate": timedelta(seconds=8),
    "update": timedelta(seconds=5),
    "start": timedelta(seconds=20),
}
_NOT_ALLOWED: Final = "Changing property 'dataDisk.managedDisk.id' is not allowed."
AGENT_AFTER: Final = timedelta(seconds=30)


def disk_id(name: str) -> str:
    """Return the id of a disk beside the VM."""
    return f"{DISKS}/{name}"


def attached(name: str, lun: int | None = None, **options: Any) -> AttachedDisk:
    """Return a disk of the VM; the OS disk has no LUN."""
    return AttachedDisk(lun=lun, disk_id=disk_id(name), name=name, options=options or {"caching": "ReadOnly"})


@dataclass(slots=True, kw_only=True)
class _Operation:
    number: int
    what: str
    ends: datetime
    finish: Callable[[], None]
    error: TerminalError | None = None
    shows: bool = False


@dataclass(slots=True, kw_only=True)
class ScriptedCompute:
    """A VM with an OS disk and two data disks, which runs.

    ``fails`` has, by the name of a call, what becomes of each such call in turn: an error that refuses it, ``"lost"``
    (it happens, but its answer does not arrive), ``"died"`` (it happens, and the worker dies), an error wrapped in
    ``Later`` (it is accepted, and its operation fails), or ``None``. ``lags_s``: so long a reading shows what was.
    """

    clock: Clock
    vm: VirtualMachine = field(
        default_factory=lambda: VirtualMachine(
            vm_id=VM_ID,
            location="westeurope",
            size="Standard_D2s_v5",
            zone=None,
            os_disk=attached("old-os"),
            data_disks=(attached("old-0", 0), attached("old-1", 1, caching="None", deleteOption="Delete")),
            os_create_option="FromImage",
            os_type="Linux",
            etag='"1"',
            power="running",
            is_agent_ready=True,
        )
    )
    fails: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    before: dict[str, list[Callable[[], object]]] = field(default_factory=dict[str, "list[Callable[[], object]]"])
    gone: set[str] = field(default_factory=set[str])
    owners: dict[str, str] = field(default_factory=dict[str, str])
    """The VMs that have other disks, by the disks' ids."""
    tags: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    made: list[tuple[datetime, str]] = field(default_factory=list[tuple["datetime", str]])
    retry_after_s: float | None = None
    lags_s: float = 0.0
    has_agent: bool = True
    extensions_take: timedelta = timedelta()
    """How long a VM that runs again is shown as changing, until its extensions have reported."""
    replaces_at_once: bool = True
    """Whether an update may name another disk at a LUN that is taken."""
    profiles: list[tuple[AttachedDisk, ...]] = field(default_factory=list[tuple[AttachedDisk, ...]])
    """The disks of the VM after each change."""
    _operation: _Operation | None = None
    _ended: dict[int, _Operation] = field(default_factory=dict[int, _Operation])
    _running_since: datetime | None = None
    _shown: tuple[datetime, VirtualMachine] | None = None

    # The calls

    def activities(self) -> dict[type[Any], Callable[[Any], Answer[Any]]]:
        """Return the activities of the follow-up by their calls."""
        return {
            calls.GetVirtualMachine: self._wrapped(self.get),
            calls.DeallocateVirtualMachine: self._wrapped(self.deallocate),
            calls.UpdateDisks: self._wrapped(self.update),
            calls.StartVirtualMachine: self._wrapped(self.start),
            calls.GetComputeOperation: self._wrapped(self.operation),
            calls.GetDisks: self._wrapped(self.get_disks),
            calls.TagDisk: self._wrapped(self.tag),
        }

    @property
    def counts(self) -> Counter[str]:
        """How often each call arrived."""
        return Counter(name for _, name in self.made)

    def _wrapped(self, act: Callable[[Any, Any], Any]) -> Callable[[Any], Answer[Any]]:
        def answer(call: Any) -> Answer[Any]:
            self.settle()
            self.made.append((self.clock.now(), call.name))
            for fault in (self.before.get(call.name) or [])[:1]:
                self.before[call.name].pop(0)
                fault()
            script = self.fails.get(call.name) or [None]
            fate = script.pop(0)
            if isinstance(fate, Exception):
                raise fate
            later = fate.error if isinstance(fate, Later) else None
            value = act(call, later)
            if self._operation is not None and isinstance(fate, Later):
                self._operation.shows = fate.shows
            if fate == "lost":
                raise TransientError(errors.SERVICE_UNAVAILABLE, "no answer")
            if fate == "died":
                raise RuntimeError("the worker died")
            return Answer(value, self.retry_after_s if isinstance(value, ChangeAccepted) else None)

        return answer

    def get(self, _call: calls.GetVirtualMachine, _later: object) -> VirtualMachine:
        """Return the VM as it is, or a little older."""
        now = self.clock.now()
        if self._shown is not None and (now - self._shown[0]).total_seconds() < self.lags_s:
            return self._shown[1]
        since = self._running_since
        is_reporting = self.has_agent and (since is None or now - since >= AGENT_AFTER)
        agent = None if self.vm.power != "running" else is_reporting
        is_starting = since is not None and now - since < self.extensions_take
        seen = replace(self.vm, is_changing=self._operation is not None or is_starting, is_agent_ready=agent)
        self._shown = now, seen
        return seen

    def deallocate(self, _call: calls.DeallocateVirtualMachine, later: TerminalError | None) -> ChangeAccepted:
        """Stop the VM and release its hardware."""
        self._check_free()
        former = self.vm.power
        self.vm = replace(self.vm, power="deallocating" if later is None else former)
        return self._begin("deallocate", lambda: self._set_power("deallocated"), later)

    def start(self, _call: calls.StartVirtualMachine, later: TerminalError | None) -> ChangeAccepted:
        """Start the VM."""
        self._check_free()
        former = self.vm.power
        if former != "running":
            self.vm = replace(self.vm, power="starting" if later is None else former)
        return self._begin("start", lambda: self._set_power("running"), later)

    def update(self, call: calls.UpdateDisks, later: TerminalError | None) -> ChangeAccepted:
        """Replace the disks of the VM."""
        self._check_free()
        if call.etag is not None and call.etag != self.vm.etag:
            raise TransientError(errors.MACHINE_BUSY, "412: the VM has changed")
        os_disk = call.os_disk or self.vm.os_disk
        if not os_disk.is_same_disk(self.vm.os_disk) and self.vm.power != "deallocated":
            raise TerminalError(errors.RESTORE_REFUSED, "Swapping OS Disk is not allowed since the VM is running.")
        if call.os_disk is not None and call.os_create_option != self.vm.os_create_option:
            raise TerminalError(errors.RESTORE_REFUSED, "Changing property 'osDisk.createOption' is not allowed.")
        if not self.replaces_at_once and self._replaces(call.data_disks):
            detail = ErrorDetail(
                code="PropertyChangeNotAllowed", message=_NOT_ALLOWED, target="dataDisk.managedDisk.id"
            )
            raise TerminalError(errors.RESTORE_REFUSED, "Azure refused the request (see details).", [detail])
        wanted = (os_disk, *call.data_disks)
        ids = [disk.disk_id.lower() for disk in wanted]
        if missing := [disk.name for disk in wanted if disk.disk_id in self.gone]:
            raise TerminalError(errors.NOT_FOUND, f"Disk {missing[0]} is not found.")
        if len(set(ids)) < len(ids):
            raise TerminalError(errors.RESTORE_REFUSED, "A disk is named twice.")
        return self._begin("update", lambda: self._set_disks(os_disk, call.data_disks), later)

    def _replaces(self, disks: tuple[AttachedDisk, ...]) -> bool:
        present = {disk.lun: disk for disk in (*self.vm.data_disks, *self.vm.detaching)}
        return any(disk.lun in present and not disk.is_same_disk(present[disk.lun]) for disk in disks)

    def operation(self, call: calls.GetComputeOperation, _later: object) -> ChangeStatus:
        """Return how an operation stands."""
        number = int(call.url.rpartition("/")[2])
        known = self._ended.get(number)
        if known is None:
            return ChangeStatus(is_running=True)
        return ChangeStatus(is_running=False, error=None if known.error is None else known.error.to_json())

    def get_disks(self, call: calls.GetDisks, _later: object) -> FoundDisks:
        """Return the disks that exist."""
        there = [each for each in call.disk_ids if each not in self.gone]
        return FoundDisks(
            disks=tuple(
                Disk(name=each.rpartition("/")[2], is_os_disk=False, disk_id=each, attached_to=self.owners.get(each))
                for each in there
            )
        )

    def tag(self, call: calls.TagDisk, _later: object) -> Done:
        """Add tags to a disk."""
        self.tags[call.disk_id] = {**self.tags.get(call.disk_id, {}), **call.tags}
        return Done()

    # What happens beside the calls

    def attach_foreign(self, name: str = "foreign", lun: int = 9) -> None:
        """Let somebody attach a disk, if no change runs."""
        if self._operation is None and all(disk.lun != lun for disk in self.vm.disks):
            self._set_disks(self.vm.os_disk, (*self.vm.data_disks, attached(name, lun)))

    def rest(self) -> None:
        """Let the operation that runs end, and the next reading show the VM as it is, as some time later."""
        self._shown = None
        if self._operation is not None:
            self._operation.ends = self.clock.now()
        self.settle()

    def begin_foreign_change(self, takes: timedelta = timedelta(seconds=40)) -> None:
        """Let somebody change the VM for some time."""
        if self._operation is None:
            self._begin("other", lambda: None, None, takes=takes)

    def settle(self) -> None:
        """End the operation whose time is over."""
        running = self._operation
        if running is not None and running.ends <= self.clock.now():
            self._operation = None
            self._ended[running.number] = running
            before = self.vm
            if running.error is None or running.shows:
                running.finish()
            left = () if running.error is None else _left(before, self.vm)
            self.vm = replace(self.vm, has_failed=running.error is not None, detaching=left)

    def _check_free(self) -> None:
        if self._operation is not None:
            raise TransientError(errors.MACHINE_BUSY, "409: another operation runs")

    def _begin(
        self, what: str, finish: Callable[[], None], later: TerminalError | None, *, takes: timedelta | None = None
    ) -> ChangeAccepted:
        number = len(self._ended) + 1
        ends = self.clock.now() + (TAKES[what] if takes is None else takes)
        self._operation = _Operation(number=number, what=what, ends=ends, finish=finish, error=later)
        url = f"https://management.azure.com/operations/{number}"
        return ChangeAccepted(operation=AcceptedOperation(operation_id=str(number), url=url))

    def _set_power(self, power: str) -> None:
        self.vm = replace(self.vm, power=power)
        self._running_since = self.clock.now() if power == "running" else None

    def _set_disks(self, os_disk: AttachedDisk, data_disks: tuple[AttachedDisk, ...]) -> None:
        etag = f'"{int((self.vm.etag or "0").strip(chr(34))) + 1}"'
        self.vm = replace(self.vm, os_disk=os_disk, data_disks=data_disks, etag=etag)
        self.profiles.append(self.vm.disks)


def _left(before: VirtualMachine, after: VirtualMachine) -> tuple[AttachedDisk, ...]:
    """Return the data disks that an update which failed has left half detached, at LUNs that nothing else has."""
    taken = {disk.lun for disk in after.data_disks}
    return tuple(disk for disk in (*before.data_disks, *before.detaching) if disk.lun not in taken)


@dataclass(frozen=True, slots=True)
class Later:
    """The error with which an accepted operation ends. ``shows``: the VM has what was asked for nevertheless.

    ``is_lost``: the answer that accepts the operation does not arrive, as far as ``MemoryCloud`` is concerned.
    """

    error: TerminalError
    shows: bool = False
    is_lost: bool = False
