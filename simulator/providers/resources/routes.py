"""The calls of Azure Resource Manager itself, and of Microsoft.Authorization."""

from __future__ import annotations

from simulator.providers.resources import (
    deletions,
    deployments,
    group_calls,
    listing,
    lock_calls,
    permissions,
    providers,
    subscriptions,
    tags,
)
from simulator.routing import GROUP, SUBSCRIPTION, RouteTable

_PERMISSIONS = "/providers/Microsoft.Authorization/permissions"
_LOCKS = "/providers/Microsoft.Authorization/locks"
_TAGS = "/providers/Microsoft.Resources/tags/default"
_DEPLOYMENT = GROUP + "/providers/Microsoft.Resources/deployments/{deployment}"
_OPERATIONS = GROUP + "/deployments/{deployment}/operations"
_RESOURCE = GROUP + "/providers/{namespace}/{kind}/{name}"

ROUTES: RouteTable = (
    ("GET", "/tenants", subscriptions.list_tenants),
    ("GET", "/subscriptions", subscriptions.list_subscriptions),
    ("GET", SUBSCRIPTION, subscriptions.get_subscription),
    ("GET", SUBSCRIPTION + "/locations", subscriptions.list_locations),
    ("GET", SUBSCRIPTION + "/providers", providers.list_providers),
    ("GET", SUBSCRIPTION + "/providers/{namespace}", providers.get_provider),
    ("GET", SUBSCRIPTION + _PERMISSIONS, permissions.list_permissions),
    ("GET", GROUP + _PERMISSIONS, permissions.list_permissions),
    ("GET", _RESOURCE + _PERMISSIONS, permissions.list_permissions),
    ("GET", SUBSCRIPTION + _LOCKS, lock_calls.list_locks),
    ("GET", GROUP + _LOCKS, lock_calls.list_locks),
    ("GET", _RESOURCE + _LOCKS, lock_calls.list_locks),
    ("GET", SUBSCRIPTION + _LOCKS + "/{lock}", lock_calls.get_lock),
    ("GET", GROUP + _LOCKS + "/{lock}", lock_calls.get_lock),
    ("GET", _RESOURCE + _LOCKS + "/{lock}", lock_calls.get_lock),
    ("GET", SUBSCRIPTION + "/resourceGroups", group_calls.list_resource_groups),
    ("GET", GROUP, group_calls.get_resource_group),
    ("HEAD", GROUP, group_calls.head_resource_group),
    ("PUT", GROUP, group_calls.put_resource_group),
    ("PATCH", GROUP, group_calls.patch_resource_group),
    ("DELETE", GROUP, group_calls.delete_resource_group),
    ("GET", SUBSCRIPTION + "/operationresults/{operation}", deletions.get_deletion_result),
    ("GET", SUBSCRIPTION + "/resources", listing.list_resources),
    ("GET", GROUP + "/resources", listing.list_resources),
    ("GET", GROUP + _TAGS, tags.get_tags),
    ("PUT", GROUP + _TAGS, tags.put_tags),
    ("PATCH", GROUP + _TAGS, tags.patch_tags),
    ("GET", _RESOURCE + _TAGS, tags.get_tags),
    ("PUT", _RESOURCE + _TAGS, tags.put_tags),
    ("PATCH", _RESOURCE + _TAGS, tags.patch_tags),
    ("GET", GROUP + "/providers/Microsoft.Resources/deployments", deployments.list_deployments),
    ("GET", _DEPLOYMENT, deployments.get_deployment),
    ("HEAD", _DEPLOYMENT, deployments.head_deployment),
    ("PUT", _DEPLOYMENT, deployments.put_deployment),
    ("DELETE", _DEPLOYMENT, deployments.delete_deployment),
    ("POST", _DEPLOYMENT + "/validate", deployments.validate_deployment),
    ("POST", _DEPLOYMENT + "/cancel", deployments.cancel_deployment),
    ("GET", _DEPLOYMENT + "/operationStatuses/{operation}", deployments.get_deployment_status),
    ("GET", _OPERATIONS, deployments.list_deployment_operations),
    ("GET", _OPERATIONS + "/{operation}", deployments.get_deployment_operation),
)
