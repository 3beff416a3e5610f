"""The calls to Azure that make a VM of restored disks, as activities. Histories store the names: add, never rename.

Each call that makes something first reads whether it exists already. What another restore, or somebody else, has made
is never changed: the call fails instead.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Final

from domain.azure.deployments import Deployment, MadeResource
from domain.follow_up.calls import ChangeAccepted
from domain.restore.calls import ActivityCall

EXISTS_ALREADY: Final = "ExistsAlready"
"""The code of an error's detail whose target exists, and was not made by this restore."""

NOTHING_SENT: Final = "NothingSent"
"""The code of an error's detail: the call failed before it asked Azure to make anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDeployment:
    """A deployment, ``None`` if none has its name."""

    deployment: Deployment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundResource:
    """A resource, ``None`` if it does not exist."""

    resource: MadeResource | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A deployment was accepted; ``resource_ids`` are what it makes."""

    resource_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GetDeployment(ActivityCall):
    """Read a deployment to a resource group."""

    name: ClassVar = "get_deployment"
    answer: ClassVar = FoundDeployment
    group_id: str
    deployment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployTemplate(ActivityCall):
    """Read the template that the job wrote, check it, and deploy the checked one under the name ``deployment``.

    ``account`` is the name of the staging account of the request; ``template_uri`` is the address that the job gives.
    """

    name: ClassVar = "deploy_template"
    answer: ClassVar = Deployed
    restore_id: str
    deployment: str
    account: str
    template_uri: str
    vm_id: str
    subnet_id: str
    os_disk_id: str
    disk_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GetNetworkInterface(ActivityCall):
    """Read a network interface."""

    name: ClassVar = "get_network_interface"
    answer: ClassVar = FoundResource
    interface_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PutNetworkInterface(ActivityCall):
    """Make a network interface with one address: ``private_ip_address``, or any free one of the subnet."""

    name: ClassVar = "put_network_interface"
    answer: ClassVar = ChangeAccepted
    restore_id: str
    interface_id: str
    location: str
    subnet_id: str
    private_ip_address: str | None = None
    network_security_group_id: str | None = None
    tags: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskPlace:
    """A restored disk, and the LUN at which the new VM gets it."""

    lun: int
    disk_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PutVirtualMachine(ActivityCall):
    """Make a VM of disks, which are attached as they are; Azure starts it.

    ``security_type`` is that of the OS disk, ``None`` for a disk without any. ``zone`` is ``None`` for no zone.
    """

    name: ClassVar = "put_virtual_machine"
    answer: ClassVar = ChangeAccepted
    restore_id: str
    vm_id: str
    location: str
    size: str
    os_disk_id: str
    os_type: str
    interface_id: str
    data_disks: tuple[DiskPlace, ...] = ()
    zone: str | None = None
    security_type: str | None = None
    license_type: str | None = None
    availability_set_id: str | None = None
    user_assigned_identity_ids: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict[str, str])


CREATION_CALLS: Final[tuple[type[ActivityCall], ...]] = (
    GetDeployment,
    DeployTemplate,
    GetNetworkInterface,
    PutNetworkInterface,
    PutVirtualMachine,
)
"""All calls of this module."""
