"""The errors of Azure Resource Manager about groups, resources and deployments."""

from __future__ import annotations

from datetime import datetime, timedelta

from simulator.errors import ArmError
from simulator.formats import us_time


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


def invalid_template(text: str, *, parsing: bool = False) -> ArmError:
    """400 for a template that cannot be deployed. Azure names line and column, too."""
    phase = "parse failed" if parsing else "validation failed"
    error = _refused(400, "InvalidTemplate", f"Deployment template {phase}: '{text}'.")
    place = {"lineNumber": 0, "linePosition": 0, "path": ""}
    error.body["error"]["additionalInfo"] = [{"type": "TemplateViolation", "info": place}]
    return error


def deployment_not_found(name: str) -> ArmError:
    """404 for a deployment that is not there."""
    return _refused(404, "DeploymentNotFound", f"Deployment '{name}' could not be found.")


def deployment_not_authorized(reasons: list[str]) -> ArmError:
    """403 for a template with resources that the caller may not write, as users have reported it."""
    found = ":".join(reasons)
    several = f"Deployment failed with multiple errors: '{found}'"
    one = f"The template deployment failed with error: '{found}'."
    return _refused(403, "InvalidTemplateDeployment", several if len(reasons) > 1 else one)


def deployment_name_too_long(name: str, most: int) -> ArmError:
    """400 for a deployment whose name is too long."""
    return _refused(
        400,
        "InvalidDeployment",
        f"The provided deployment name '{name}' has a length of '{len(name)}' which exceeds the maximum length of "
        f"'{most}'. Please see https://aka.ms/arm-deploy for usage details.",
    )


def invalid_deployment_name(name: str) -> ArmError:
    """400 for a deployment whose name has other characters than it may have (the text is made up)."""
    return _refused(400, "InvalidDeployment", f"The provided deployment name '{name}' has invalid characters.")


def deployment_active(deployment_id: str, started: datetime, correlation_id: str) -> ArmError:
    """409 for a deployment of the name of one that runs."""
    return _refused(
        409,
        "DeploymentActive",
        f"The deployment with resource id '{deployment_id}' cannot be saved, because this would overwrite an existing "
        "deployment which is still active. If this is an intentional re-deployment, please wait for the original "
        "deployment to complete, or cancel it before re-attempting the operation. The previous deployment was started "
        f"at '{us_time(started)}' with correlationId '{correlation_id}', and will expire at "
        f"'{us_time(started + timedelta(days=7))}' if it does not complete before then. Please see "
        "https://aka.ms/arm-deploy-resources for usage details.",
    )


def deployment_not_running(name: str, state: str) -> ArmError:
    """409 for the cancellation of a deployment that has ended (the text is made up)."""
    return _refused(
        409,
        "DeploymentCannotBeCancelled",
        f"The deployment '{name}' cannot be cancelled because it is in the state '{state}'.",
    )


def unknown_operation(path: str) -> ArmError:
    """404 for the result of an operation that nobody began (code and text are made up)."""
    return _refused(404, "OperationNotFound", f"There is no operation at '{path}'.")


def invalid_filter(text: str) -> ArmError:
    """400 for a ``$filter`` that is not understood."""
    return _refused(400, "InvalidFilterInQueryString", f"Invalid $filter '{text}' specified in the query string.")


def _refused(status: int, code: str, message: str) -> ArmError:
    return ArmError(status, code, message, cause="gateway")
