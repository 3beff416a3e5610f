"""What Compute knows besides the bodies in the store: power, running operations and its own limits."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from simulator.limits import Bucket

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from simulator.faults import OperationFailure
    from simulator.providers.compute.faults import ScriptOutcome

RUNNING, STARTING = "running", "starting"
STOPPED, STOPPING = "stopped", "stopping"
DEALLOCATED, DEALLOCATING = "deallocated", "deallocating"
_MOST_KEPT = 50
WITHOUT_HARDWARE = frozenset({DEALLOCATED, DEALLOCATING})


@dataclass(slots=True, kw_only=True)
class Machine:
    """Whether a VM runs, and when its agent reported.

    A report outlives the run that it came from: a stopped VM still shows an agent that is ready. Only deallocation
    clears it. ``held`` has the ids, in lower case, of disks that a failed update took out of the model and did not
    detach.
    """

    power: str = RUNNING
    changed: datetime
    failure: OperationFailure | None = None
    agent_from: datetime | None = None
    last_report: datetime | None = None
    held: frozenset[str] = frozenset()

    def set_power(self, power: str, now: datetime, agent_from: datetime | None = None) -> None:
        """Change the power state; in the new one the agent reports from ``agent_from`` on, or not at all."""
        self.last_report = None if power in WITHOUT_HARDWARE else self.report(now)
        self.power = power
        self.agent_from = agent_from

    def report(self, now: datetime) -> datetime | None:
        """Return the time of the agent's last report, None if there is none."""
        return now if self.agent_from and self.agent_from <= now else self.last_report


def _kept_states() -> defaultdict[str, deque[Former]]:
    return defaultdict(lambda: deque(maxlen=_MOST_KEPT))


def _nothing(_moment: datetime) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What an operation does, and how long it takes: ``finish`` when it succeeds, ``undo`` when it fails.

    ``collection`` is ``operations`` or ``DiskOperations``. With a ``failure`` it fails in any case. Foreign work is
    somebody else's, whom the faults of the caller do not concern.
    """

    action: str
    seconds: float
    finish: Callable[[datetime], Any]
    undo: Callable[[datetime], object] = _nothing
    collection: str = "operations"
    failure: OperationFailure | None = None
    is_foreign: bool = False


@dataclass(slots=True, kw_only=True)
class ComputeOperation:
    """One asynchronous operation. ``result`` is what its ``Location`` answers in the end."""

    operation_id: str
    work: Work
    resource_id: str
    location: str
    started: datetime
    ends: datetime
    failure: OperationFailure | None
    result: Any = None

    def status(self, now: datetime) -> str:
        """Return ``InProgress``, ``Succeeded`` or ``Failed``."""
        if now < self.ends:
            return "InProgress"
        return "Failed" if self.failure else "Succeeded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Former:
    """How a VM was until a moment; it was not there if it has no body."""

    until: datetime
    body: Mapping[str, Any] | None
    machine: Machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One run of a script in a VM; it does not run where the agent was not ready."""

    starts: datetime
    outcome: ScriptOutcome
    timeout_s: float
    runs: bool


@dataclass(slots=True)
class ComputeState:
    """The state of Compute; all but the buckets is found by the resource id in lower case."""

    machines: dict[str, Machine] = field(default_factory=dict[str, Machine])
    operations: dict[str, ComputeOperation] = field(default_factory=dict[str, ComputeOperation])
    underway: dict[str, ComputeOperation] = field(default_factory=dict[str, ComputeOperation])
    scripts: dict[str, Script] = field(default_factory=dict[str, Script])
    former: defaultdict[str, deque[Former]] = field(default_factory=_kept_states)
    buckets: dict[str, Bucket] = field(default_factory=dict[str, Bucket])
