"""What is read and checked before a restore whose disks are to be swapped, attached, or made a new VM of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain import errors
from domain.azure import data_disk_room, new_machine_constraints, point_disks, swap_constraints
from domain.azure.machine_sizes import problem_of_size, size_named
from domain.azure.resource_ids import subscription_of
from domain.azure.restore_constraints import staging_account_id
from domain.errors import ErrorDetail, RestoreError, TerminalError
from domain.warning_codes import WarningCode
from domain.wire import as_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from domain.azure.machine_sizes import MachineSize
    from domain.azure.protected_items import ProtectedItem
    from domain.azure.recovery_points import RecoveryPoint
    from domain.azure.virtual_machines import VirtualMachine
    from domain.requests import RestoreRequest
    from queries.backup_api import BackupApi
    from queries.shared_reads import SharedReads


class FollowUpChecks:
    """The checks of one request. ``before_call`` raises ``TransientError`` when the time for the checks is over.

    After ``violations`` the VM whose disks are swapped is in ``machine``, and the size of the backed-up VM in
    ``source_size`` if a new one gets the same. ``data_disk_room`` is how many more data disks the VM can have, if that
    was read.
    """

    def __init__(
        self,
        api: BackupApi,
        reads: SharedReads,
        request: RestoreRequest,
        item: ProtectedItem,
        *,
        before_call: Callable[[], None],
        warn: Callable[[WarningCode, str], None],
    ) -> None:
        self._api, self._reads, self._request, self._item = api, reads, request, item
        self._before_call, self._warn = before_call, warn
        self.machine: VirtualMachine | None = None
        self.source_size: str | None = None
        self.data_disk_room: int | None = None

    def violations(self, point: RecoveryPoint) -> list[ErrorDetail]:
        """Return why the restored disks could not be used as the request asks; it reads only what that depends on."""
        point = self._with_luns(point)
        self._before_call()
        found = list(point_disks.disk_violations(self._request, point))
        if self._request.then_swap_disks is not None:
            return [*found, *self._swap_violations(point)]
        is_creation = self._request.then_create_virtual_machine is not None
        return [
            *found,
            *new_machine_constraints.disk_violations(self._request, point),
            *(self._creation_violations(point) if is_creation else self._target_violations(point)),
        ]

    def _with_luns(self, point: RecoveryPoint) -> RecoveryPoint:
        """Return the point with the LUNs of its disks, if Azure says them of the single point alone."""
        if not point_disks.needs_luns(self._request, point):
            return point
        try:
            return self._api.get_recovery_point(self._item, point.point_id)
        except TerminalError:
            return point  # the restored disks will show it

    def _swap_violations(self, point: RecoveryPoint) -> list[ErrorDetail]:
        """Read the VM, what the app may do with it, and its locks; return why the restored disks cannot be swapped in.

        If the permissions or the locks cannot be read, that is a warning. A VM that cannot be read raises its error.
        """
        request, vm_id = self._request, self._item.source_resource_id
        self.machine = self._find_machine(vm_id)
        if self.machine is None:
            return [swap_constraints.vm_not_found(vm_id)]
        violations = list(swap_constraints.machine_violations(request, point, self._item, self.machine))
        if (warning := swap_constraints.warning_of_scale_set(self.machine)) is not None:
            self._warn(WarningCode.SCALE_SET_MEMBER, warning)
        self._before_call()
        try:
            permissions = list(self._api.list_permissions(vm_id))
            violations += swap_constraints.permission_violations(request, vm_id, permissions)
        except TerminalError as error:
            self._warn(WarningCode.SWAP_NOT_CHECKED, f"Whether the app may change the VM is unknown: {error.message}")
        self._before_call()
        try:
            violations += swap_constraints.lock_violations(vm_id, self._api.list_locks(vm_id))
        except TerminalError as error:
            self._warn(WarningCode.SWAP_NOT_CHECKED, f"Whether a lock forbids the swap is unknown: {error.message}")
        if not violations and data_disk_room.swap_may_add(request, point, self.machine):
            violations = self._room_violations_of(point, self.machine)
        return violations

    def _creation_violations(self, point: RecoveryPoint) -> list[ErrorDetail]:
        """Look for a VM with the id of the new one, and read the backed-up VM if the new one gets its size."""
        request, source_id = self._request, self._item.source_resource_id
        violations: list[ErrorDetail] = []
        new_id = request.new_virtual_machine_id or ""
        if self._find_machine(new_id) is not None:
            violations.append(new_machine_constraints.name_taken(new_id))
        self._before_call()
        if new_machine_constraints.needs_source_size(request):
            source = self._find_machine(source_id)
            self.source_size = None if source is None else source.size or None
            if self.source_size is None:
                violations.append(new_machine_constraints.size_unknown(source_id))
        if as_object(request.then_create_virtual_machine).get("template", False):
            violations += self._template_violations()
        return violations or self._size_violations(point)

    def _template_violations(self) -> list[ErrorDetail]:
        """Read what the app may do at the staging account; return why it could not read the template there."""
        self._before_call()
        account_id = staging_account_id(self._request)
        try:
            permissions = list(self._api.list_permissions(account_id))
        except TerminalError as error:
            message = f"Whether the app may read the template of the VM there is unknown: {error.message}"
            self._warn(WarningCode.STAGING_ACCOUNT_NOT_CHECKED, message)
            return []
        return list(new_machine_constraints.template_violations(account_id, permissions))

    def _size_violations(self, point: RecoveryPoint) -> list[ErrorDetail]:
        """Return why no VM of the size of the new one can be made, or why it cannot have all data disks."""
        asked = as_object(self._request.then_create_virtual_machine)
        name: str | None = asked.get("size", self.source_size)
        if name is None:
            return []  # the template says it
        sizes = self._sizes(self._request.new_virtual_machine_id or "")
        if not sizes:
            return []
        size = size_named(name, sizes)
        problem = problem_of_size(name, size, location=self._item.region, zone=asked.get("zone"))
        if problem is not None:
            return [new_machine_constraints.size_refused(problem)]
        return self._room_violations(point, size, None)

    def _target_violations(self, point: RecoveryPoint) -> list[ErrorDetail]:
        """Read the VM that gets the disks; return why it cannot have them."""
        vm_id: str = as_object(self._request.then_attach_disks)["virtualMachineId"]
        machine = self._find_machine(vm_id)
        if machine is None:
            return [new_machine_constraints.machine_not_found(vm_id)]
        violations = list(new_machine_constraints.machine_violations(self._request, self._item, machine))
        return violations or self._room_violations_of(point, machine)

    def _room_violations_of(self, point: RecoveryPoint, machine: VirtualMachine) -> list[ErrorDetail]:
        return self._room_violations(point, size_named(machine.size, self._sizes(machine.vm_id)), machine)

    def _room_violations(
        self, point: RecoveryPoint, size: MachineSize | None, machine: VirtualMachine | None
    ) -> list[ErrorDetail]:
        """Return why a VM of this size cannot have the restored data disks; ``machine`` is one that has others."""
        if size is None or size.max_data_disks is None:
            return []
        present = 0 if machine is None else len(machine.data_disks)
        self.data_disk_room = max(size.max_data_disks - present, 0)
        added = data_disk_room.count_added(self._request, point, machine)
        violation = data_disk_room.room_violation(self._request, self.data_disk_room, added)
        return [] if violation is None else [violation]

    def _sizes(self, vm_id: str) -> list[MachineSize]:
        """Return the sizes that the subscription of a VM can have; none if they cannot be read, with a warning."""
        self._before_call()
        try:
            return self._reads.list_machine_sizes(subscription_of(vm_id), self._item.region)
        except RestoreError as error:
            message = f"Whether the size of the VM fits is unknown, because it could not be read: {error.message}"
            self._warn(WarningCode.SIZE_NOT_CHECKED, message)
            return []

    def _find_machine(self, vm_id: str) -> VirtualMachine | None:
        try:
            return self._api.get_virtual_machine(vm_id).value
        except TerminalError as error:
            if error.code != errors.NOT_FOUND:
                raise
            return None
