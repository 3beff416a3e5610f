"""What a restore costs on Microsoft's engine: messages, turns, storage requests, and how soon idle instances act."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import requests

from benchmarks import calls_of_a_job, engine_stage
from benchmarks.asking import load_vm, request_for
from benchmarks.engine_stage import IDLE_S, POLLS_OF_QUEUES, counted, listed, post, wait_for
from benchmarks.rows import Row, median_of
from domain.restore.calls import PublishResult, StartRestore
from scripts.stack import connection_to
from tests.support.real_hub import RealHub, start_azurite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.support.engine_events import EngineEvents, Event

_SPEED: Final = 10
_POLLS: Final = {"RESTORE_JOB_POLL_MIN_SECONDS": "2", "RESTORE_JOB_POLL_MAX_SECONDS": "6"}  # 20 to 60 s of Azure's time
_JOB_S: Final = 31 * 60
_SAMPLES: Final = 20
_LEASES_S: Final = 40.0
_MOST_BEFORE: Final = 13
_MOST_HOPS: Final = 10
_MOST_AFTER: Final = 2
_MACHINES: Final = ("bench-a", "bench-b")


@dataclass(frozen=True, slots=True)
class Restored:
    """One restore that has ended, and what the engine said of it.

    ``storage`` are Azurite's requests by kind beyond those at rest, ``idle`` those that it has a second at rest.
    """

    restore_id: str
    events: EngineEvents
    calls: list[dict[str, Any]]
    storage: Mapping[str, int]
    idle: Mapping[str, float]

    @property
    def sent(self) -> int:
        """How many messages were sent since the restore was asked for."""
        return sum(each.at >= self.first.at for each in self.events.sent())

    @property
    def first(self) -> Event:
        """The message that started it."""
        return next(each for each in self.events.sent() if each.data.get("TargetInstanceId") == self.restore_id)

    @property
    def looks(self) -> int:
        """How often the job was asked for."""
        return len(self.called("get_job"))

    @property
    def looks_wanted(self) -> int:
        """How often it is asked for where nothing runs faster than Azure."""
        return calls_of_a_job.count(validate=True)["get_job"]

    def for_a_look(self, events: Sequence[Event]) -> float:
        """Return how many of these events fall to one look at the job, on average."""
        first, *_, last = self.called("get_job")
        return sum(first < event.at <= last for event in events) / (self.looks - 1)

    def called(self, action: str) -> list[datetime]:
        """Return when the simulator was called so."""
        return [datetime.fromisoformat(call["realTime"]) for call in self.calls if call["action"] == action]


def measure() -> list[Row]:
    """Run one restore of a 31-minute job alone, then start twenty on two instances that idle."""
    if not engine_stage.is_there("engine"):
        return []
    return [*_one_restore(), *_two_idle_instances()]


def _one_restore() -> list[Row]:
    restored = _restore_alone()
    return [*_message_rows(restored), _storage_row(restored)]


def _restore_alone() -> Restored:
    with engine_stage.counted_instance(_SPEED, _POLLS) as counts:
        counts.rest()
        usage = counts.usage()
        engine_stage.take_as_long(counts.simulator, load_vm(1), _JOB_S)
        restore_id = post(counts.url, {**request_for(load_vm(1)), "validate": True})
        # Nobody asks the app meanwhile: that would be counted.
        wait_for(lambda: counts.events.started(PublishResult.name), within_s=600)
        time.sleep(IDLE_S)
        storage = usage.beyond_rest()
        engine_stage.check_completed(counts.url, f"restores/{restore_id}")
        calls = requests.get(f"{counts.simulator}/_simulator/requests", timeout=30).json()["value"][::-1]
        return Restored(restore_id, counts.events, calls, storage, counts.idle)


def _message_rows(restored: Restored) -> list[Row]:
    events, restore_id = restored.events, restored.restore_id
    [posted] = restored.called("trigger_restore")
    job_ended = restored.called("get_job")[-1]
    until_post = events.sent(restored.first.at, posted)
    before = [each for each in until_post if each.names(restore_id)]
    row_of_hops = events.chain_to(events.scheduled(events.started(StartRestore.name)[0]))
    [published] = events.started(PublishResult.name)
    after = [each for each in events.chain_to(events.scheduled(published)) if each.at >= job_ended]
    aside = len(events.sent(job_ended, published.at)) - len(after)
    looks, turns = len(restored.called("validate_status")), events.turns(restore_id)
    most, history = _MOST_BEFORE + 3 * (looks - 1), events.history_kinds(restore_id)
    more, a_look = restored.looks_wanted - restored.looks, restored.for_a_look(turns)
    return [
        Row(
            measure="messages before the restore POST",
            target=f"<= {most}, {_MOST_HOPS} in a row",
            median=str(len(before)),
            worst=f"{len(row_of_hops)} in a row",
            met=len(before) <= most and len(row_of_hops) <= _MOST_HOPS,
            how=f"SendingMessage events to and from the restore up to the POST at the simulator: {counted(before)}; "
            f"{looks} look(s) at the validation, each beyond the first may add 3. In a row: each was sent by what the "
            f"one before it woke ({counted(row_of_hops)}). {len(until_post) - len(before)} more between others (the "
            "note that a post begins)",
        ),
        Row(
            measure="messages from the job's end to the result",
            target=f"<= {_MOST_AFTER}",
            median=str(len(after)),
            worst=f"{(published.at - job_ended).total_seconds():.2f} s",
            met=len(after) <= _MOST_AFTER,
            how=f"in a row, from the last GET of the job at the simulator to the start of {PublishResult.name}: "
            f"{counted(after)}; {aside} more that it does not wait for",
        ),
        Row(
            measure="turns of a 31-minute job",
            target="-",
            median=f"{len(turns) + more * a_look:.0f}",
            worst=f"{history['TimerCreated'] / len(turns):.0%} timers",
            met=None,
            how=f"the restore's own AppendedInstanceHistory events: {len(turns)}, of which {history['TimerCreated']} "
            f"set a timer, with {restored.looks} looks at the job. Azure's times make {restored.looks_wanted} looks "
            f"(counted on the skipping clock), each {a_look:.1f} turns; simulator at {_SPEED}x, own polls at 2 to 6 s "
            f"for the real 20 to 60. {restored.sent} messages in all",
        ),
    ]


def _storage_row(restored: Restored) -> Row:
    own = {kind: count for kind, count in restored.storage.items() if kind != POLLS_OF_QUEUES}
    looks, wanted = restored.looks, restored.looks_wanted
    messages = restored.for_a_look(restored.events.sent())
    each = sum(own.values()) / restored.sent
    at_rest = {kind: 60 * rate for kind, rate in sorted(restored.idle.items())}
    return Row(
        measure="storage requests of a 31-minute job",
        target="-",
        median=f"{sum(own.values()) + (wanted - looks) * messages * each:.0f}",
        worst=f"+{sum(at_rest.values()):.0f} a minute at rest",
        met=None,
        how=f"Azurite's own log from the request to {IDLE_S:g} s after the result, less reads of queues and what the "
        f"instance asks for at rest: {sum(own.values())} ({listed(own)}) with {looks} looks at the job. Azure's times "
        f"make {wanted} looks; a look costs {messages:.1f} messages, a message "
        f"{each:.1f} requests. At rest an instance asks, in a minute, for {listed(at_rest)}",
    )


def _two_idle_instances() -> list[Row]:
    if subprocess.run(["unshare", "--uts", "true"], capture_output=True, check=False).returncode:
        print("engine: two instances need `unshare --uts`, which is not allowed here; left out", file=sys.stderr)
        return []
    waits = _waits_of_idle_instances()
    return [
        Row(
            measure="request -> restore POST, two idle instances",
            target="-",
            median=f"{median_of(waits):.1f} s",
            worst=f"max {max(waits):.1f} s",
            met=None,
            how=f"{len(waits)} requests, validation included (its wait is 1 s at {_SPEED}x), each after {IDLE_S:g} s "
            f"and a bit more of idleness, to either instance in turn; sorted: "
            f"{', '.join(f'{wait:.1f}' for wait in sorted(waits))} s",
        )
    ]


def _waits_of_idle_instances() -> list[float]:
    waits: list[float] = []
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        azurite = start_azurite(place)
        stack.callback(azurite.stop)
        simulator = engine_stage.start_simulator(stack, _SPEED)
        # Nothing of the restores before is left to do while the next one waits: their jobs are not asked for again.
        calm = {"RESTORE_JOB_POLL_MIN_SECONDS": "3600", "RESTORE_JOB_POLL_MAX_SECONDS": "3600"}
        hub = stack.enter_context(RealHub(connection_to(azurite), simulator, calm))
        instances = [hub.start(machine) for machine in _MACHINES]
        time.sleep(_LEASES_S)
        for number in range(1, _SAMPLES + 1):
            time.sleep(IDLE_S + number * 0.37 % 1 + (8 if number > 1 else 0))  # the 202 asks for 6 s
            body = {**request_for(load_vm(number), managed_disks=False), "validate": True}
            sent = datetime.now(UTC)
            post(instances[number % 2].url, body)
            waits.append((_posted(simulator, number) - sent).total_seconds())
    return waits


def _posted(simulator: str, number: int) -> datetime:
    def look() -> datetime | None:
        log = requests.get(f"{simulator}/_simulator/requests", params={"action": "trigger_restore"}, timeout=30)
        posts = log.json()["value"]
        return datetime.fromisoformat(posts[0]["realTime"]) if len(posts) == number else None

    return wait_for(look, within_s=300)
