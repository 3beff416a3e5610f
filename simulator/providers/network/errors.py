"""The errors of Microsoft.Network. The texts are those that users of Azure have met, unless a line says otherwise."""

from __future__ import annotations

from simulator.errors import ArmError


def network_error(status: int, code: str, message: str) -> ArmError:
    """Return an error as this provider writes it: always with details, mostly empty."""
    error = ArmError(status, code, message)
    error.body["error"]["details"] = []
    return error


def not_found(resource_id: str) -> ArmError:
    """404 of the provider for a part of a resource, such as a subnet, that is not there."""
    return network_error(404, "NotFound", f"Resource {resource_id} not found.")


def invalid_request(reason: str) -> ArmError:
    """400 for a body of the wrong form (code and text are made up, but for the first sentence)."""
    return network_error(400, "InvalidRequestFormat", f"Cannot parse the request. {reason}")


def invalid_reference(referenced_id: str, resource_id: str) -> ArmError:
    """400 for a resource that names another one which is not there, or is in another region."""
    return network_error(
        400,
        "InvalidResourceReference",
        f"Resource {referenced_id} referenced by resource {resource_id} was not found. Please make sure that the "
        "referenced resource exists, and that both resources are in the same region.",
    )


def not_provisioned(referenced_id: str, state: str, resource_id: str) -> ArmError:
    """429 for a resource that names another one which is being made, changed or deleted."""
    error = network_error(429, "RetryableError", "A retryable error occurred.")
    message = (
        f"Cannot proceed with operation because resource {referenced_id} used by resource {resource_id} is not in "
        f"Succeeded state. Resource is in {state} state."
    )
    error.body["error"]["details"] = [{"code": "ReferencedResourceNotProvisioned", "message": message}]
    return error


def several_subnets(interface_id: str) -> ArmError:
    """400 for a network interface in more than one subnet (the text is made up)."""
    return network_error(
        400,
        "IpConfigurationsOnSameNicCannotUseDifferentSubnets",
        f"IP configurations of network interface {interface_id} cannot use different subnets.",
    )


def address_taken(configuration_id: str, address: str, holder_id: str) -> ArmError:
    """400 for a static address that another IP configuration holds."""
    return network_error(
        400,
        "PrivateIPAddressIsAllocated",
        f"IP configuration {configuration_id} is using the private IP address {address} which is already allocated "
        f"to resource {holder_id}.",
    )


def address_outside(address: str, prefix: str) -> ArmError:
    """400 for a static address outside the subnet."""
    return network_error(
        400,
        "PrivateIPAddressNotInSubnet",
        f"Private static IP address {address} does not belong to the range of subnet prefix {prefix}.",
    )


def address_reserved(address: str, prefix: str) -> ArmError:
    """400 for a static address that Azure reserves: the first four of a subnet, and the last."""
    return network_error(
        400,
        "PrivateIPAddressInReservedRange",
        f"Private static IP address {address} falls within reserved IP range of subnet prefix {prefix}.",
    )


def subnet_full(subnet_id: str, prefix: str) -> ArmError:
    """400 for a subnet without a free address."""
    return network_error(
        400,
        "SubnetIsFull",
        f"Subnet {subnet_id} with address prefix {prefix} does not have enough capacity for 1 IP addresses.",
    )


def public_address_taken(configuration_id: str, address_id: str, holder_id: str) -> ArmError:
    """400 for a public address that another IP configuration holds (the code is made up)."""
    return network_error(
        400,
        "PublicIPAddressInUse",
        f"IP configuration {configuration_id} is referencing public IP address {address_id} that is already allocated "
        f"to resource {holder_id}.",
    )


def interface_in_use(interface_id: str, vm_id: str) -> ArmError:
    """400 for the deletion of a network interface that a VM holds."""
    return network_error(
        400,
        "NicInUse",
        f"Network Interface {interface_id} is used by existing resource {vm_id}. In order to delete the network "
        "interface, it must be dissociated from the resource. To learn more, see aka.ms/deletenic.",
    )


def security_group_in_use(group_id: str, interface_id: str) -> ArmError:
    """400 for the deletion of a network security group that a network interface names."""
    return network_error(
        400,
        "InUseNetworkSecurityGroupCannotBeDeleted",
        f"Network security group {group_id} cannot be deleted because it is in use by the following resources: "
        f"{interface_id}. In order to delete the Network security group, remove the association with the resource(s). "
        "To learn how to do this, see aka.ms/deletensg.",
    )


def public_address_in_use(address_id: str, configuration_id: str) -> ArmError:
    """400 for the deletion of a public address that an IP configuration holds (the text is partly made up)."""
    return network_error(
        400,
        "PublicIPAddressCannotBeDeleted",
        f"Public IP address {address_id} can not be deleted since it is still allocated to resource "
        f"{configuration_id}. In order to delete the public IP, disassociate/detach the Public IP address from the "
        "resource.",
    )
