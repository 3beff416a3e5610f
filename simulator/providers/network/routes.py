"""The calls of Microsoft.Network."""

from __future__ import annotations

from simulator.providers.network import documents, interface_calls, operations, usages, virtual_networks
from simulator.providers.network.addresses import INTERFACES, NETWORKS
from simulator.routing import GROUP, SUBSCRIPTION, RouteTable

_NETWORKS = f"/providers/{NETWORKS}"
_INTERFACES = f"/providers/{INTERFACES}"
_LOCATION = SUBSCRIPTION + "/providers/Microsoft.Network/locations/{region}"

ROUTES: RouteTable = (
    ("GET", _LOCATION + "/usages", usages.list_usages),
    ("GET", SUBSCRIPTION + _NETWORKS, virtual_networks.list_virtual_networks),
    ("GET", GROUP + _NETWORKS, virtual_networks.list_virtual_networks),
    ("GET", GROUP + _NETWORKS + "/{network}", virtual_networks.get_virtual_network),
    ("GET", GROUP + _NETWORKS + "/{network}/subnets", virtual_networks.list_subnets),
    ("GET", GROUP + _NETWORKS + "/{network}/subnets/{subnet}", virtual_networks.get_subnet),
    ("GET", SUBSCRIPTION + _INTERFACES, interface_calls.list_network_interfaces),
    ("GET", GROUP + _INTERFACES, interface_calls.list_network_interfaces),
    ("GET", GROUP + _INTERFACES + "/{interface}", interface_calls.get_network_interface),
    ("PUT", GROUP + _INTERFACES + "/{interface}", interface_calls.put_network_interface),
    ("PATCH", GROUP + _INTERFACES + "/{interface}", interface_calls.patch_network_interface),
    ("DELETE", GROUP + _INTERFACES + "/{interface}", interface_calls.delete_network_interface),
    *(
        route
        for kind in documents.TYPES.values()
        for route in (
            ("GET", f"{SUBSCRIPTION}/providers/{kind}", documents.list_network_documents),
            ("GET", f"{GROUP}/providers/{kind}", documents.list_network_documents),
            ("GET", f"{GROUP}/providers/{kind}/{{name}}", documents.get_network_document),
            ("PUT", f"{GROUP}/providers/{kind}/{{name}}", documents.put_network_document),
            ("PATCH", f"{GROUP}/providers/{kind}/{{name}}", documents.patch_network_document),
            ("DELETE", f"{GROUP}/providers/{kind}/{{name}}", documents.delete_network_document),
        )
    ),
    ("GET", _LOCATION + "/operations/{operation}", operations.get_network_operation),
    ("GET", _LOCATION + "/operationResults/{operation}", operations.get_network_operation_result),
)
