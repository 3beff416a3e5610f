"""The handlers of ``/_simulator``: they show the state, set faults, and expire tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call
from simulator.control.page import render
from simulator.formats import iso_time
from simulator.locks import LEVELS
from simulator.providers.backup.jobs import Job, job_details
from simulator.reading import InvalidDocument, Node, object_or_empty

if TYPE_CHECKING:
    from simulator.world import RequestRecord, World


def get_health(world: World, _call: Call) -> Answer:
    """Answer that the simulator runs, its time, and how fast that passes."""
    return Answer(body={"status": "ok", "simulatedTime": iso_time(world.now()), "speed": world.timeline.speed})


def get_page(world: World, _call: Call) -> Answer:
    """Answer the HTML page."""
    return Answer(raw=render(world).encode(), content_type="text/html; charset=utf-8")


def get_counters(world: World, _call: Call) -> Answer:
    """Answer how many requests, jobs and tokens there were."""
    return Answer(body=world.counters())


def get_requests(world: World, call: Call) -> Answer:
    """Answer the request log, newest first; ``action``, ``vm`` and ``top`` narrow it."""
    records = [
        record
        for record in reversed(world.requests)
        if record.action == call.query.get("action", record.action) and record.vm == call.query.get("vm", record.vm)
    ]
    top = call.query.get("top", "")
    return Answer(body={"value": [_request(record) for record in records[: int(top) if top.isdecimal() else None]]})


def _request(record: RequestRecord) -> dict[str, Any]:
    return {
        "method": record.method,
        "path": record.path,
        "action": record.action,
        "vm": record.vm,
        "status": record.status,
        "time": iso_time(record.time),
        "realTime": iso_time(record.real_time),
        "headers": dict(record.headers),
        "body": record.body,
    }


def get_jobs(world: World, _call: Call) -> Answer:
    """Answer all jobs with their details, newest first."""
    return Answer(body={"value": [_job(world, job) for job in reversed(world.jobs.values())]})


def _job(world: World, job: Job) -> dict[str, Any]:
    return {"name": job.job_id, "vm": job.vm_key, "vault": job.vault, "properties": job_details(job, world.now())}


def post_faults(world: World, call: Call) -> Answer:
    """Replace the switches of one VM: ``{"vm": name or id, "faults": {…}}``; an empty object clears them."""
    body = object_or_empty(call.body)
    name, switches = body.get("vm"), body.get("faults", {})
    if not isinstance(name, str):
        return _problems(400, ["$.vm: expected the name or the resource id of a VM"])
    try:
        world.set_faults(name, switches)
    except InvalidDocument as error:
        return _problems(400, error.problems)
    except KeyError:
        return _problems(404, [f"$.vm: there is no VM {name!r}"])
    return Answer(body={"vm": name, "faults": switches})


def post_guard(world: World, call: Call) -> Answer:
    """Allow or forbid the restores of a guarded vault: ``{"granted": true}``."""
    body = object_or_empty(call.body)
    vault, granted = call.params["vault"], body.get("granted")
    if not isinstance(granted, bool):
        return _problems(400, ["$.granted: expected true or false"])
    try:
        world.set_guard(vault, granted=granted)
    except KeyError:
        return _problems(404, [f"there is no guarded vault {vault!r}"])
    return Answer(body={"vault": vault, "granted": granted})


def post_denied_actions(world: World, call: Call) -> Answer:
    """Replace the actions that are denied at a scope: ``{"scope": id, "actions": […]}``; an empty list allows all."""
    node = Node(call.body)
    scope, actions = node.text("scope"), node.texts("actions")
    node.close()
    if node.problems:
        return _problems(400, node.problems)
    world.deny(scope, actions)
    return Answer(body={"scope": scope, "actions": list(actions)})


def post_lock(world: World, call: Call) -> Answer:
    """Replace the locks at a scope by one: ``{"scope": id, "level": "ReadOnly"}``; without a level none is left."""
    node = Node(call.body)
    scope = node.text("scope")
    level = node.choice("level", LEVELS) if node.has("level") else ""
    node.close()
    if node.problems:
        return _problems(400, node.problems)
    world.set_lock(scope, level)
    return Answer(body={"scope": scope, "level": level})


def _problems(status: int, problems: list[str] | tuple[str, ...]) -> Answer:
    return Answer(status=status, body={"problems": list(problems)})


def post_expire_tokens(world: World, _call: Call) -> Answer:
    """Expire every token given out so far."""
    return Answer(body={"expired": world.expire_tokens()})
