"""What a recovery costs on Microsoft's engine: messages, storage requests, and the largest history."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import requests

from benchmarks import calls_of_a_job, engine_stage
from benchmarks.asking import load_vm, request_for
from benchmarks.engine_stage import IDLE_S, POLLS_OF_QUEUES, listed, post, wait_for
from benchmarks.rows import Row
from domain.restore.calls import PublishResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.engine_events import EngineEvents

_SPEED: Final = 30
_POLLS: Final = {"RESTORE_JOB_POLL_MIN_SECONDS": "1", "RESTORE_JOB_POLL_MAX_SECONDS": "2"}  # 30 to 60 s of Azure's time
_JOB_S: Final = 31 * 60
_AFTER: Final = {"data": [], "cache": [], "app": ["data"], "jobs": ["data", "cache"], "web": ["app", "jobs"]}
_PER_GROUP: Final = 6
_MEMBERS: Final = len(_AFTER) * _PER_GROUP
_MAX_HISTORY: Final = 500
_WITHIN_S: Final = 900
_MIN_SHOWN: Final = 0.05  # messages per VM: rarer senders are left out


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What a recovery cost.

    ``storage`` are Azurite's requests by kind beyond those at rest, in ``took_s``; ``calls`` the simulator's by action.
    """

    events: EngineEvents
    storage: Mapping[str, int]
    calls: Mapping[str, int]
    took_s: float

    @property
    def sent(self) -> int:
        """How many messages were sent."""
        return len(self.events.sent())

    def senders(self) -> Mapping[str, int]:
        """Return how many messages came from each orchestrator and entity; a start, and an event, from a client."""
        names = self._names()
        return Counter(names.get(event.instance_id, "clients") for event in self.events.sent())

    def largest_histories(self) -> dict[str, int]:
        """Return how many events the largest history of each orchestrator and entity had, the largest first."""
        names, sizes = self._names(), dict[str, int]()
        for turn in self.events.all("AppendedInstanceHistory"):
            name = names[turn.instance_id]
            sizes[name] = max(sizes.get(name, 0), turn.data["TotalEventCount"])
        return dict(sorted(sizes.items(), key=lambda size: -size[1]))

    def _names(self) -> dict[str, str]:
        """Return the name of the orchestrator or entity of each instance; an entity's id is ``@name@key``."""
        names = {event.instance_id: event.data["Name"] for event in self.events.all("OrchestrationExecuting")}
        entities = {event.instance_id for event in self.events.all("EntityBatchExecuting")}
        return names | {entity: entity.split("@")[1] for entity in entities}


def measure() -> list[Row]:
    """Restore thirty VMs in five groups by one recovery, on one instance."""
    if not engine_stage.is_there("engine-recovery"):
        return []
    seen = _recover()
    return [_messages_row(seen), _storage_row(seen), _history_row(seen)]


def _recover() -> Recovered:
    with engine_stage.counted_instance(_SPEED, _POLLS) as counts:
        counts.rest()
        for number in range(1, _MEMBERS + 1):
            engine_stage.take_as_long(counts.simulator, load_vm(number), _JOB_S)
        usage = counts.usage()
        recovery_id = post(counts.url, {"plan": _plan()}, "recoveries")
        # Nobody asks the app meanwhile: that would be counted.
        wait_for(lambda: len(counts.events.started(PublishResult.name)) == _MEMBERS, within_s=_WITHIN_S)
        time.sleep(IDLE_S)
        storage, took_s = usage.beyond_rest(), usage.took_s
        engine_stage.check_completed(counts.url, f"recoveries/{recovery_id}")
        calls = requests.get(f"{counts.simulator}/_simulator/counters", timeout=30).json()["byAction"]
        return Recovered(events=counts.events, storage=storage, calls=calls, took_s=took_s)


def _plan() -> dict[str, Any]:
    restore = {name: value for name, value in request_for(load_vm(1)).items() if name != "sourceResourceId"}
    vms = [load_vm(number) for number in range(1, _MEMBERS + 1)]
    groups = [
        {"name": name, "after": after, "sourceResourceIds": vms[place * _PER_GROUP : (place + 1) * _PER_GROUP]}
        for place, (name, after) in enumerate(_AFTER.items())
    ]
    return {"name": "benchmark", "restore": {**restore, "validate": True}, "groups": groups}


def _messages_row(seen: Recovered) -> Row:
    each = {name: count / _MEMBERS for name, count in Counter(seen.senders()).most_common()}
    looks = calls_of_a_job.count(validate=True)["get_job"]
    return Row(
        measure=f"messages per VM, recovery of {_MEMBERS} VMs",
        target="-",
        median=f"{seen.sent / _MEMBERS:.0f}",
        worst=f"{seen.sent} in all",
        met=None,
        how=f"SendingMessage events of one recovery in {len(_AFTER)} groups, three one after another, one vault, "
        f"validation included, jobs of 31 minutes, simulator at {_SPEED}x, own polls at 1 to 2 s: "
        f"{', '.join(f'{count:.1f} {name}' for name, count in each.items() if count >= _MIN_SHOWN)}. "
        f"{seen.calls['get_job']} GETs of jobs (a restore alone makes {looks}), "
        f"{seen.calls['list_jobs']} lists of jobs; {seen.took_s:.0f} s",
    )


def _storage_row(seen: Recovered) -> Row:
    own = {kind: count / _MEMBERS for kind, count in seen.storage.items() if kind != POLLS_OF_QUEUES}
    polls = seen.storage[POLLS_OF_QUEUES] / _MEMBERS
    return Row(
        measure="  storage requests per VM",
        target="-",
        median=f"{sum(own.values()):.0f}",
        worst=f"{sum(own.values()) * _MEMBERS / seen.sent:.1f} a message",
        met=None,
        how=f"Azurite's own log from the call to {IDLE_S:g} s after the last result, less what the instance asks for "
        f"at rest: {listed(own)}. Not counted, as for a restore alone: {polls:.0f} more reads of queues",
    )


def _history_row(seen: Recovered) -> Row:
    sizes = seen.largest_histories()
    return Row(
        measure="  largest history",
        target=f"<= {_MAX_HISTORY}",
        median=f"{max(sizes.values())}",
        worst=f"{max(sizes.values())}",
        met=max(sizes.values()) <= _MAX_HISTORY,
        how=f"events in the largest history of each orchestrator and entity: {listed(sizes)}",
    )
