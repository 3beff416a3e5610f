"""The simulator's page for people."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING

from simulator.formats import iso_time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simulator.world import World

_SHOWN = 200
_STYLE = (
    "body{font:14px system-ui;margin:2em;color:#222}table{border-collapse:collapse;margin:0 0 2em}"
    "th,td{border-bottom:1px solid #ddd;padding:.2em .8em;text-align:left;vertical-align:top}"
    "td{font-family:ui-monospace,monospace;font-size:12px;max-width:70em;overflow-wrap:anywhere}"
)


def render(world: World) -> str:
    """Return the page: counters, jobs, VMs with their faults, and the request log, newest first."""
    now = world.now()
    counters = [(name, json.dumps(value)) for name, value in world.counters().items()]
    jobs = [
        (
            job.job_id,
            job.vm_key,
            job.recovery_type,
            job.status(now),
            f"{job.progress(now)[0]:g} %",
            iso_time(job.started),
        )
        for job in reversed(world.jobs.values())
    ]
    vms = [
        (
            vm.key,
            vm.vault.name if vm.vault else "-",
            len(vm.points),
            json.dumps(dict(world.faults(vm.key).faults.given)),
        )
        for vm in world.scenario.vms
    ]
    requests = [
        (iso_time(record.time), record.method, record.status or "dropped", record.action, record.vm, record.path[:300])
        for record in list(reversed(world.requests))[:_SHOWN]
    ]
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Azure Backup simulator</title>"
        f"<style>{_STYLE}</style><h1>Azure Backup simulator</h1>"
        f"<p>Simulated time {iso_time(now)}, {world.timeline.speed:g} times as fast as the clock on the wall.</p>"
        + _table("Counters", ("what", "how many"), counters)
        + _table("Jobs", ("job", "VM", "recovery type", "status", "progress", "started"), jobs)
        + _table("VMs", ("VM", "vault", "points", "faults"), vms)
        + _table("Requests", ("time", "method", "status", "action", "VM", "path"), requests)
        + "</html>"
    )


def _table(title: str, heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = "".join(f"<th>{escape(text)}" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}" for cell in row) for row in rows)
    return f"<h2>{escape(title)}</h2><table><tr>{head}{body}</table>"
