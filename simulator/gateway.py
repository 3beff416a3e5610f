"""ARM's front door: finds who answers a call, and what the call passes on its way there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from simulator import errors
from simulator.calls import Answer, Call
from simulator.control import routes as control
from simulator.providers.backup import routes as backup
from simulator.providers.backup.lookup import item_vm
from simulator.providers.compute import routes as compute
from simulator.providers.graph import routes as graph
from simulator.providers.identity import managed_identity
from simulator.providers.network import routes as network
from simulator.providers.resources import permissions
from simulator.providers.resources import routes as resources
from simulator.providers.storage import routes as storage
from simulator.routing import Route, Router

if TYPE_CHECKING:
    from simulator.scenario import Vm
    from simulator.world import World

_API_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?")

_ROUTER = Router()
for _provider in (backup, compute, graph, network, resources, storage):
    _ROUTER.add(_provider.ROUTES, arm=True)
_ROUTER.add((("GET", "/msi/token", managed_identity.get_token),), arm=False)
_ROUTER.add(control.ROUTES, arm=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer and what the request log should say about it."""

    answer: Answer
    action: str
    vm: str = ""


def answer(world: World, call: Call) -> Answered:
    """Answer one call; errors become answers here."""
    world.settle()
    answered = _answer(world, call)
    world.graph.note(world.now())
    return answered


def _answer(world: World, call: Call) -> Answered:
    found = _ROUTER.find(call.method, call.path)
    if found:
        route, params = found
        return _answer_route(world, replace(call, params=params), route)
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
    subscription = call.params.get("subscription")
    if subscription and not world.has_subscription(subscription):
        raise errors.unknown_subscription(subscription)


def _spend(world: World, call: Call, action: str) -> dict[str, str]:
    """Take the call out of its buckets; return the headers that tell what is left, or raise 429."""
    if "/microsoft.resourcegraph/" in call.path.lower():
        return {}  # it has a quota of its own
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
        return world.vm_named(call.path)
    if "item" in params:
        return item_vm(world, call)
    job = world.jobs.get((params.get("job") or _job_in(call.body)).lower())
    if job:
        return world.vm_with_key(job.vm_key)
    operation = world.operations.get(params.get("operation", "").lower())
    if operation:
        return world.vm_with_key(operation.vm_key)
    source = _source_of(call.body)
    return world.vm_named(source) if source else None


def _job_in(body: Any) -> str:
    """Return the job that the body of a question about the secondary region names."""
    return str(cast("Mapping[str, Any]", body).get("jobName", "")) if isinstance(body, Mapping) else ""


def _source_of(body: Any) -> str:
    """Return the VM's resource id that the body of backupStatus, of a validation or of a restore names."""
    if not isinstance(body, Mapping):
        return ""
    members = cast("Mapping[str, Any]", body)
    for name in ("properties", "restoreRequest"):
        inner = members.get(name)
        if isinstance(inner, Mapping):
            return _source_of(inner)
    return str(members.get("resourceId") or members.get("sourceResourceId") or "")
