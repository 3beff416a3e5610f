"""An instance of the app on Microsoft's engine whose messages and storage requests are counted."""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import requests

from scripts import real_engine
from scripts.stack import Child, clean_environment, connection_to
from tests.support.engine_events import EngineEvents, kinds_of
from tests.support.real_hub import HOST_JSON, RealHub, start_azurite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.support.engine_events import Event
    from tests.support.real_hub import Instance

IDLE_S: Final = 5.0  # several times as long as an idle instance waits between two looks
POLLS_OF_QUEUES: Final = "polls of queues"
_AT_REST_S: Final = 30.0
_TABLES: Final = re.compile(r"/[^/]+/(\$batch|Tables|\w+(Instances|History|Partitions))\b")


class Storage:
    """Counts Azurite's requests by kind, from the lines that it prints."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def hear(self, line: str) -> None:
        """Count the request that a line tells of."""
        _, quote, request = line.partition('"')
        if quote:
            method, _, path = request.partition(" ")
            polls = method == "GET" and "/messages?" in path
            self.counts[POLLS_OF_QUEUES if polls else _service(path)] += 1


def _service(path: str) -> str:
    if "/messages" in path:
        return "queue messages"
    return "tables" if _TABLES.match(path) else "blobs"


@dataclass(slots=True, kw_only=True)
class CountedInstance:
    """One instance on a hub of its own, the address of the simulator behind it, and what is counted.

    ``idle`` are the storage requests a second by kind while nothing is asked of it; ``rest`` measures them.
    """

    instance: Instance
    simulator: str
    events: EngineEvents
    storage: Storage
    idle: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def url(self) -> str:
        """Where the app answers."""
        return self.instance.url

    def rest(self) -> None:
        """Measure for half a minute what an instance requests of which nothing is asked."""
        time.sleep(IDLE_S)
        usage = self.usage()
        time.sleep(_AT_REST_S)
        self.idle = {kind: count / usage.took_s for kind, count in usage.requests.items()}

    def usage(self) -> Usage:
        """Begin to count storage requests."""
        return Usage(self.storage.counts, self.idle)


class Usage:
    """What was requested since a moment, by kind."""

    def __init__(self, counts: Counter[str], idle: Mapping[str, float]) -> None:
        self._counts, self._idle = counts, idle
        self._before, self._began = Counter(counts), time.monotonic()

    @property
    def took_s(self) -> float:
        """How long ago it began."""
        return time.monotonic() - self._began

    @property
    def requests(self) -> Counter[str]:
        """All requests."""
        return self._counts - self._before

    def beyond_rest(self) -> dict[str, int]:
        """Return the requests less those that an instance makes at rest."""
        seconds = self.took_s
        return {kind: round(count - self._idle.get(kind, 0) * seconds) for kind, count in sorted(self.requests.items())}


@contextmanager
def counted_instance(
    speed: float, settings: Mapping[str, str], *, host_json: Path = HOST_JSON
) -> Iterator[CountedInstance]:
    """Start Azurite, a simulator so many times as fast as Azure, and one instance of the app with these settings."""
    events, storage = EngineEvents(), Storage()

    def hear(name: str, line: str) -> None:
        if name == "engine":
            events.hear(line)
        elif name == "azurite":
            storage.hear(line)

    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        azurite = start_azurite(place, hear, tells=True)
        stack.callback(azurite.stop)
        simulator = start_simulator(stack, speed)
        hub = RealHub(connection_to(azurite), simulator, settings, host_json=host_json, hear=hear, events=True)
        instance = stack.enter_context(hub).start()
        yield CountedInstance(instance=instance, simulator=simulator, events=events, storage=storage)


def is_there(measure: str) -> bool:
    """Return whether Microsoft's engine is on this machine; says so for a measure if it is not."""
    if not real_engine.is_there():
        print(f"{measure}: {real_engine.MISSING}; left out", file=sys.stderr)
        return False
    return True


def start_simulator(stack: ExitStack, speed: float) -> str:
    """Start a simulator that ends with the stack; returns its address."""
    command: list[str | Path] = [sys.executable, "-m", "simulator", "--port", "0", "--speed", f"{speed:g}"]
    child = Child("simulator", command, clean_environment(), real_engine.ROOT, None)
    stack.callback(child.stop)
    return child.wait_until_ready()


def take_as_long(simulator: str, vm: str, job_s: float) -> None:
    """Let the restore jobs of a VM take so many seconds of Azure's time."""
    faults = {"vm": vm, "faults": {"jobSeconds": job_s}}
    requests.post(f"{simulator}/_simulator/faults", json=faults, timeout=30).raise_for_status()


def post(url: str, body: dict[str, Any], what: str = "restores") -> str:
    """Start a restore, or a recovery, and return its id."""
    answer = requests.post(f"{url}/api/{what}", json=body, timeout=60)
    answer.raise_for_status()
    return answer.json()["id"]


def check_completed(url: str, path: str) -> None:
    """Raise ``RuntimeError`` unless the restore or recovery at this path has ended as it should."""
    status = requests.get(f"{url}/api/{path}", timeout=30).json()["status"]
    if status != "Completed":
        raise RuntimeError(f"{path} ended as {status}")


def wait_for[T](look: Callable[[], T | None], *, within_s: float) -> T:
    """Return what ``look`` sees as soon as it is truthy."""
    deadline = time.monotonic() + within_s
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within_s:g} s")
        time.sleep(0.2)
    return seen


def listed(counts: Mapping[str, float]) -> str:
    """Return counts in words."""
    return ", ".join(f"{count:.0f} {kind}" for kind, count in counts.items())


def counted(messages: list[Event]) -> str:
    """Return how many messages of each kind there are, in words, the most frequent first."""
    return listed(dict(kinds_of(messages).most_common()))
