"""ARM's front door: finds the handler of a call, after the checks that all calls have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from simulator import errors
from simulator.addresses import Address, resource_of
from simulator.call_checks import check_address, check_body, check_group, check_token
from simulator.calls import Answer, Call
from simulator.control import routes as control
from simulator.limits import spend
from simulator.providers.backup import routes as backup
from simulator.providers.backup.lookup import item_vm
from simulator.providers.compute import routes as compute
from simulator.providers.compute.limits import throttled
from simulator.providers.compute.strangers import interfere
from simulator.providers.graph import routes as graph
from simulator.providers.identity import routes as identity
from simulator.providers.network import routes as network
from simulator.providers.resources import routes as resources
from simulator.providers.resources.linked import check_links
from simulator.providers.resources.permissions import check_permission
from simulator.providers.storage import routes as storage
from simulator.providers.storage.blobs import READ_STORAGE, answer_storage
from simulator.providers.storage.host import storage_call
from simulator.reading import object_or_empty
from simulator.routing import Router

if TYPE_CHECKING:
    from simulator.faults import FaultState, RefusedWrites
    from simulator.routing import Route
    from simulator.scenario import Vm
    from simulator.world import World

_LIMIT, _INTERVAL_S = 250, 300  # the limit that the text of a 429 made by a fault names

_ROUTER = Router()
for _provider in (backup, compute, graph, network, resources, storage):
    _ROUTER.add(_provider.ROUTES, arm=True)
_ROUTER.add(identity.ROUTES, arm=False)
_ROUTER.add(control.ROUTES, arm=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer and what the request log should say about it."""

    answer: Answer
    action: str
    vm: str = ""


def answer(world: World, call: Call) -> Answered:
    """Answer one call; an ``ArmError`` becomes its answer here."""
    world.settle()
    stored = storage_call(world, call)
    if stored:
        return Answered(answer=answer_storage(world, call, stored), action=READ_STORAGE)
    found = _ROUTER.find(call.method, call.path)
    route, params = found or (None, {})
    if route and not route.arm:
        return Answered(answer=route.handler(world, replace(call, params=params)), action=route.action)
    call, address = replace(call, params=params), Address.of(call.path)
    vm = _vm_concerned(world, call)
    headers: dict[str, str] = {}
    try:
        check_token(world, call)
        check_address(world, call, address)
        check_permission(world, call, address)
        headers = spend(world, address, call.method)
        check_body(call)
        check_group(world, address)
        kind = f"{address.provider}/{'/'.join(address.types)}"
        check_links(world, kind, address.action(call.method), resource_of(call.path), call.body)
        world.locks.check(resource_of(call.path), call.method)
        if route is None:
            raise errors.unknown_type(address.provider, call.api_version)
        given = _carry_out(world, call, address, route, vm)
    except errors.ArmError as error:
        given = _error_answer(error)
    given = replace(given, headers={**headers, **given.headers})
    return Answered(answer=given, action=route.action if route else "unknown", vm=vm.key if vm else "")


def _carry_out(world: World, call: Call, address: Address, route: Route, vm: Vm | None) -> Answer:
    """Let the provider answer, unless the faults of what the call is about make another answer of it."""
    state, name = world.faults_at(call.path), route.action
    if vm and (world.faults(vm.key).faults.given or not state.faults.given):
        state = world.faults(vm.key)
    _apply_faults(world, call, address, state, name)
    interfere(world, call.path, state, name, before=True)
    refused = state.faults.refused_writes
    if refused and refused.hits(call.method, name) and state.strikes("refusedWrites", refused.count):
        return _broken_answer(world, address, refused)
    given = route.handler(world, call)
    interfere(world, call.path, state, name, before=False)
    lost = state.faults.lost_answers
    if lost and lost.hits(call.method, name) and state.strikes("lostAnswers", lost.count):
        return _broken_answer(world, address, lost)
    return given


def _broken_answer(world: World, address: Address, writes: RefusedWrites) -> Answer:
    if writes.status == 0:
        return Answer(status=0, dropped=True)
    wait = world.timeline.wait_headers(writes.retry_after_s, writes.form)
    return _error_answer(errors.broken_call(writes.status, writes.code, writes.message, address.provider, wait))


def _error_answer(error: errors.ArmError) -> Answer:
    return Answer(status=error.status, body=error.body, headers=error.headers)


def _apply_faults(world: World, call: Call, address: Address, state: FaultState, name: str) -> None:
    """Raise the errors of those faults that concern all calls; ``name`` is the call's in the request log."""
    faults, timeline = state.faults, world.timeline
    if state.strikes("unauthorizedOnce", faults.unauthorized_once):
        now = timeline.wall.now()
        raise errors.token_expired(now, now)
    burst = faults.throttle429
    if burst and burst.hits(name) and state.strikes("throttle429", burst.count):
        wait, wait_s = timeline.wait_headers(burst.retry_after_s, burst.form), burst.retry_after_s or _INTERVAL_S
        if address.provider == "Microsoft.Compute":
            raise throttled(world, wait, wait_s)
        raise errors.resource_throttled(
            address.action(call.method), _LIMIT, _INTERVAL_S, int(timeline.retry_after(wait_s)), wait
        )
    burst = faults.errors503
    if burst and call.method == "GET" and burst.hits(name) and state.strikes("errors503", burst.count):
        raise errors.unavailable(timeline.wait_headers(burst.retry_after_s, burst.form))


def _vm_concerned(world: World, call: Call) -> Vm | None:
    """Return the VM that a call concerns, whose faults apply and which the request log names; None if there is none."""
    params = call.params
    if "vm" in params:
        return world.vm_named("/".join(call.path.split("/")[:9]))
    if "item" in params:
        return item_vm(world, call)
    job = world.jobs.get((params.get("job") or _job_in(call.body)).lower())
    if job:
        return world.vm_with_key(job.vm_key)
    operation = world.operations.get(params.get("operation", "").lower())
    if operation:
        return world.vm_with_key(operation.vm_key)
    compute = world.compute.operations.get(params.get("operation", "").lower())
    if compute:
        return world.vm_named("/".join(compute.resource_id.split("/")[:9]))
    source = _source_of(call.body)
    return world.vm_named(source) if source else None


def _job_in(body: Any) -> str:
    """Return the id of the job that the body of a call to the secondary region names, empty if none."""
    return str(object_or_empty(body).get("jobName", ""))


def _source_of(body: Any) -> str:
    """Return the VM's resource id that the body of backupStatus, of a validation or of a restore names."""
    members = object_or_empty(body)
    for name in ("properties", "restoreRequest"):
        inner = members.get(name)
        if isinstance(inner, Mapping):
            return _source_of(inner)
    return str(members.get("resourceId") or members.get("sourceResourceId") or "")
