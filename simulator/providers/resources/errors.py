"""The errors of Azure Resource Manager about groups, resources and deployments."""

from __future__ import annotations

from simulator.errors import ArmError


def location_required() -> ArmError:
    """400 for a resource without a location."""
    return _refused(400, "LocationRequired", "The location property is required for this definition.")


def invalid_content(reason: str) -> ArmError:
    """400 for a body of the wrong form (what follows the first sentence is made up)."""
    message = f"The request content was invalid and could not be deserialized: '{reason}'."
    return _refused(400, "InvalidRequestContent", message)


def resource_in_other_region(name: str, group: str, there: str, asked: str) -> ArmError:
    """409 for a resource that exists in another region."""
    return _refused(
        409,
        "InvalidResourceLocation",
        f"The resource '{name}' already exists in location '{there}' in resource group '{group}'. A resource with the "
        f"same name cannot be created in location '{asked}'. Please select a new resource name.",
    )


def invalid_group_name(name: str) -> ArmError:
    """400 for a resource group whose name has other characters than it may have (the text is partly made up)."""
    message = (
        f"The provided resource group name '{name}' has invalid characters. The name can only be a letter, digit, "
        "'-', '.', '(', ')' or '_', and cannot end with '.'."
    )
    return _refused(400, "InvalidResourceGroup", message)


def group_in_other_region(there: str, asked: str) -> ArmError:
    """409 for a resource group that exists in another region."""
    return _refused(
        409,
        "InvalidResourceGroupLocation",
        f"Invalid resource group location '{asked}'. The Resource group already exists in location '{there}'.",
    )


def group_being_deleted(name: str) -> ArmError:
    """409 for a change in a resource group that is being deleted."""
    return _refused(
        409,
        "ResourceGroupBeingDeleted",
        f"The resource group '{name}' is in deprovisioning state and cannot perform this operation.",
    )


def group_deletion_blocked(name: str, resource_ids: list[str]) -> ArmError:
    """409 for the end of a deletion of which some resources are left (the text is partly made up)."""
    return _refused(
        409,
        "ResourceGroupDeletionBlocked",
        f"Deletion of resource group '{name}' did not finish as some of the resources with identifiers "
        f"'{', '.join(resource_ids)}' could not be deleted. The provisioning state of the resource group will be "
        "rolled back. Please check audit logs for more details.",
    )


def unknown_operation(path: str) -> ArmError:
    """404 for the result of an operation that nobody began (code and text are made up)."""
    return _refused(404, "OperationNotFound", f"There is no operation at '{path}'.")


def invalid_filter(text: str) -> ArmError:
    """400 for a ``$filter`` that is not understood."""
    return _refused(400, "InvalidFilterInQueryString", f"Invalid $filter '{text}' specified in the query string.")


def _refused(status: int, code: str, message: str) -> ArmError:
    return ArmError(status, code, message, cause="gateway")
