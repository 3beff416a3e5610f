"""The calls to Azure that make VMs of restored disks, or attach disks to a VM, as a protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from queries.compute_api import ComputeApi

if TYPE_CHECKING:
    from collections.abc import Iterable

    from domain.answers import Accepted, Answer
    from domain.azure.deployments import Deployment, MadeResource
    from domain.errors import Json
    from domain.follow_up.creation_calls import PutNetworkInterface, PutVirtualMachine


class NewMachineApi(ComputeApi, Protocol):  # arm.new_machines documents what each call does
    """The client. Its methods raise :class:`domain.errors.RestoreError` and nothing else."""

    def read_blob(self, account: str, uri: str) -> bytes: ...
    def get_deployment(self, group_id: str, name: str) -> Answer[Deployment | None]: ...
    def put_deployment(self, group_id: str, name: str, template: Json) -> Accepted: ...
    def get_made_resource(self, resource_id: str) -> Answer[MadeResource | None]: ...
    def put_network_interface(self, call: PutNetworkInterface) -> Accepted: ...
    def put_virtual_machine(self, call: PutVirtualMachine) -> Accepted: ...
    def attach_disks(self, vm_id: str, disk_ids: Iterable[str]) -> Accepted: ...
    def delete_disk(self, disk_id: str) -> Accepted: ...
