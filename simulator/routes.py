"""Which call goes where, and what every ARM call passes on its way."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from simulator import errors
from simulator.calls import Answer, Call
from simulator.handlers import control, identity, jobs, permissions, resources, restores
from simulator.handlers.lookup import item_vm
from simulator.world import World

if TYPE_CHECKING:
    from simulator.scenario import Vm

Handler = Callable[[World, Call], Answer]

_GROUP = "/subscriptions/{subscription}/resourceGroups/{group}/providers"
_VAULT = _GROUP + "/Microsoft.RecoveryServices/vaults/{vault}"
_ITEM = _VAULT + "/backupFabrics/{fabric}/protectionContainers/{container}/protectedItems/{item}"
_PERMISSIONS = "/providers/Microsoft.Authorization/permissions"
_API_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?")

_ARM_CALLS: tuple[tuple[str, str, Handler], ...] = (
    ("GET", _GROUP + "/Microsoft.Compute/virtualMachines/{vm}", resources.get_vm),
    ("GET", _GROUP + "/Microsoft.Compute/disks", resources.list_disks),
    ("GET", _GROUP + "/Microsoft.Storage/storageAccounts", resources.list_storage_accounts),
    ("GET", _GROUP + "/Microsoft.Storage/storageAccounts/{account}", resources.get_storage_account),
    ("GET", _GROUP + "/Microsoft.Network/virtualNetworks/{network}", resources.get_virtual_network),
    ("GET", "/subscriptions/{subscription}" + _PERMISSIONS, permissions.list_permissions),
    ("GET", "/subscriptions/{subscription}/resourceGroups/{group}" + _PERMISSIONS, permissions.list_permissions),
    ("GET", _GROUP + "/{namespace}/{kind}/{name}" + _PERMISSIONS, permissions.list_permissions),
    (
        "POST",
        "/subscriptions/{subscription}/providers/Microsoft.RecoveryServices/locations/{region}/backupStatus",
        resources.backup_status,
    ),
    ("GET", _VAULT, resources.get_vault),
    ("GET", _VAULT + "/backupstorageconfig/vaultstorageconfig", resources.get_storage_config),
    ("GET", _VAULT + "/backupResourceGuardProxies", resources.list_resource_guard_proxies),
    ("GET", _VAULT + "/backupProtectedItems", resources.list_protected_items),
    ("GET", _ITEM, resources.get_protected_item),
    ("GET", _ITEM + "/recoveryPoints", resources.list_recovery_points),
    ("GET", _ITEM + "/recoveryPoints/{point}", resources.get_recovery_point),
    ("POST", _ITEM + "/recoveryPoints/{point}/restore", restores.trigger_restore),
    ("GET", _ITEM + "/operationsStatus/{operation}", restores.item_operation_status),
    ("GET", _ITEM + "/operationResults/{operation}", restores.item_operation_result),
    ("GET", _VAULT + "/backupOperations/{operation}", restores.vault_operation_status),
    ("GET", _VAULT + "/backupOperationResults/{operation}", restores.vault_operation_result),
    ("POST", _VAULT + "/backupValidateOperation", restores.validate),
    ("POST", _VAULT + "/backupTriggerValidateOperation", restores.trigger_validate),
    ("GET", _VAULT + "/backupValidateOperationsStatuses/{operation}", restores.validate_status),
    ("GET", _VAULT + "/backupValidateOperationResults/{operation}", restores.validate_result),
    ("GET", _VAULT + "/backupJobs", jobs.list_jobs),
    ("GET", _VAULT + "/backupJobs/{job}", jobs.get_job),
    ("POST", _VAULT + "/backupJobs/{job}/cancel", jobs.cancel_job),
    ("GET", _VAULT + "/backupJobs/{job}/operationsStatus/{operation}", jobs.job_operation_status),
    ("GET", _VAULT + "/backupJobs/{job}/operationResults/{operation}", jobs.job_operation_result),
)
_OWN_CALLS: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/msi/token", identity.get_token),
    ("GET", "/_simulator", control.get_page),
    ("GET", "/_simulator/health", control.get_health),
    ("GET", "/_simulator/requests", control.get_requests),
    ("GET", "/_simulator/counters", control.get_counters),
    ("GET", "/_simulator/jobs", control.get_jobs),
    ("POST", "/_simulator/faults", control.post_faults),
    ("POST", "/_simulator/vaults/{vault}/resource-guard", control.post_guard),
    ("POST", "/_simulator/denied-actions", control.post_denied_actions),
    ("POST", "/_simulator/expire-tokens", control.post_expire_tokens),
)


@dataclass(frozen=True, slots=True)
class Route:
    """One call the simulator knows; ``arm`` tells whether ARM's rules (token, api-version, limits) hold for it."""

    method: str
    pattern: re.Pattern[str]
    handler: Handler
    arm: bool

    @property
    def action(self) -> str:
        """The name of the call in the request log."""
        return self.handler.__name__


def _compile(template: str) -> re.Pattern[str]:
    literal = re.escape(template).replace(r"\{", "{").replace(r"\}", "}")
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", literal) + "/?", re.IGNORECASE)


_ROUTES = tuple(
    Route(method, _compile(template), handler, arm)
    for arm, calls in ((True, _ARM_CALLS), (False, _OWN_CALLS))
    for method, template, handler in calls
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer and what the request log should say about it."""

    answer: Answer
    action: str
    vm: str = ""


def answer(world: World, call: Call) -> Answered:
    """Answer one call; errors become answers here."""
    for route in _ROUTES:
        match = route.pattern.fullmatch(call.path) if route.method == call.method else None
        if match:
            return _answer_route(world, replace(call, params=match.groupdict()), route)
    try:
        _check_token(world, call)
    except errors.ArmError as error:
        return Answered(answer=_error_answer(error), action="unknown")
    return Answered(answer=_error_answer(errors.unknown_call(call.method, call.path)), action="unknown")


def _answer_route(world: World, call: Call, route: Route) -> Answered:
    if not route.arm:
        return Answered(answer=route.handler(world, call), action=route.action)
    vm = _vm_concerned(world, call)
    headers: dict[str, str] = {}
    try:
        _check_token(world, call)
        _check_address(world, call)
        permissions.check_permission(world, call)
        headers = _spend(world, call, route.action)
        if vm:
            _apply_faults(world, call, vm, route.action)
        given = route.handler(world, call)
    except errors.ArmError as error:
        given = _error_answer(error)
    given = replace(given, headers={**headers, **given.headers})
    return Answered(answer=given, action=route.action, vm=vm.key if vm else "")


def _error_answer(error: errors.ArmError) -> Answer:
    return Answer(status=error.status, body=error.body, headers=error.headers)


def _check_token(world: World, call: Call) -> None:
    kind, _, token = call.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise errors.not_authenticated("Authentication failed. The 'Authorization' header is missing.")
    if not world.tokens.is_known(token):
        raise errors.not_authenticated("The access token is invalid.")
    if not world.tokens.is_valid(token):
        raise errors.token_expired()


def _check_address(world: World, call: Call) -> None:
    if not call.api_version:
        raise errors.missing_api_version()
    if not _API_VERSION.fullmatch(call.api_version):
        raise errors.invalid_api_version(call.api_version)
    if call.params["subscription"].lower() != world.scenario.subscription_id.lower():
        raise errors.unknown_subscription(call.params["subscription"])


def _spend(world: World, call: Call, action: str) -> dict[str, str]:
    """Take the call out of its buckets; return the headers that tell what is left, or raise 429."""
    now = world.timeline.real.now()
    reading = call.method == "GET"
    bucket = world.reads if reading else world.writes
    if not bucket.take(now):
        kind = "read" if reading else "write"
        raise errors.subscription_throttled(kind, world.scenario.subscription_id, bucket.wait_s)
    headers = {f"x-ms-ratelimit-remaining-subscription-{'reads' if reading else 'writes'}": str(bucket.remaining)}
    if "/microsoft.recoveryservices/" in call.path.lower():
        own = world.resource_requests(action)
        if not own.take(now):
            raise errors.resource_throttled(action, {"Retry-After": str(own.wait_s)})
        headers["x-ms-ratelimit-remaining-subscription-resource-requests"] = str(own.remaining)
    return headers


def _apply_faults(world: World, call: Call, vm: Vm, action: str) -> None:
    """Let the VM's faults that concern every kind of call strike."""
    state = world.faults(vm.key)
    faults, timeline = state.faults, world.timeline
    if state.strikes("unauthorizedOnce", faults.unauthorized_once):
        raise errors.token_expired()
    burst = faults.throttle429
    if burst and burst.hits(action) and state.strikes("throttle429", burst.count):
        raise errors.resource_throttled(action, timeline.wait_headers(burst.retry_after_s, burst.form))
    burst = faults.errors503
    if burst and call.method == "GET" and burst.hits(action) and state.strikes("errors503", burst.count):
        raise errors.unavailable(timeline.wait_headers(burst.retry_after_s, burst.form))


def _vm_concerned(world: World, call: Call) -> Vm | None:
    """Find the VM a call is about, for the faults and the log."""
    params = call.params
    if "vm" in params:
        return world.vm(f"{params['group']}/{params['vm']}")
    if "item" in params:
        return item_vm(world, call)
    job = world.jobs.get(params.get("job", "").lower())
    if job:
        return world.vm_with_key(job.vm_key)
    operation = world.operations.get(params.get("operation", "").lower())
    if operation:
        return world.vm_with_key(operation.vm_key)
    source = _source_of(call.body)
    return world.vm_named(source) if source else None


def _source_of(body: Any) -> str:
    """Return the VM's resource id that the body of backupStatus or of a validation names."""
    if not isinstance(body, Mapping):
        return ""
    members = cast("Mapping[str, Any]", body)
    inner = members.get("properties")
    if isinstance(inner, Mapping):
        return _source_of(cast("Mapping[str, Any]", inner).get("restoreRequest"))
    return str(members.get("resourceId") or members.get("sourceResourceId") or "")
