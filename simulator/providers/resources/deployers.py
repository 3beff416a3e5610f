"""Which function creates a resource of a template: the same as for a PUT of the resource."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.providers.compute.bodies import VM_TYPE
from simulator.providers.compute.machines import put_virtual_machine
from simulator.providers.network.addresses import INTERFACES
from simulator.providers.network.documents import PUBLIC_ADDRESSES, SECURITY_GROUPS, put_document
from simulator.providers.network.interfaces import put_interface

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from simulator.world import World

DEPLOYERS: Mapping[str, Callable[[World, str, Mapping[str, Any]], object]] = {
    VM_TYPE: put_virtual_machine,
    INTERFACES: put_interface,
    SECURITY_GROUPS: put_document,
    PUBLIC_ADDRESSES: put_document,
}
"""By type, as ids have it. A deployer raises the error of a PUT that is refused."""
