"""``python -m tests.chaos.real``: restores on Microsoft's engine while worker and engine are killed at random moments.

The moments are drawn from the seed; what each of them hits is not. Callers repeat, with the same ``requestId``, what
they got no answer to. In the end each restore must have completed, with one POST and one job, and its result been told.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random, SystemRandom
from typing import TYPE_CHECKING, Any, Final

import requests
from rich.console import Console

from scripts import real_engine
from scripts.stack import Stack as Queues
from scripts.stack import StackError, connection_to, interruptible
from simulator.server import running as simulating
from tests.engine.stage import GROUP, QUICK, SPEED, scenario
from tests.integration.app_stage import ENDED, a_request, vm_id
from tests.support.real_hub import RealHub, start_azurite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.server import Simulator
    from tests.support.real_hub import Instance

CHECKS: Final = ("doubled", "stuck", "lost", "not completed", "untold")
WAYS: Final = ("worker", "engine and worker", "engine, then worker")

_CALLERS: Final = 40
_GAP_S: Final = (1.0, 12.0)  # between two kills
_RESTORES_PER_KILL: Final = 8
_PATIENCE_S: Final = 300.0  # what a dead engine had in its hands lies a minute, and some restores are hit repeatedly
_LOOK_EVERY_S: Final = 0.5


@dataclass(slots=True)
class Asked:
    """One restore as its caller saw it; ``answers`` are those that each time it was asked for brought."""

    number: int
    restore_id: str = ""
    status: str = ""
    error: str = ""
    answers: list[str] = field(default_factory=list[str])
    unknown: bool = False

    @property
    def vm(self) -> str:
        """The VM that it restores, and no other does."""
        return vm_id(f"pool-{self.number:03d}", GROUP)


@dataclass(slots=True)
class Soak:
    """A run: its restores, how often was killed, and what has been found."""

    seed: int
    asked: list[Asked]
    kills: Counter[str] = field(default_factory=Counter[str])
    found: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def count(self, check: str) -> int:
        """Return how often a check found something."""
        return sum(each == check for each, _ in self.found)


class _Killer(threading.Thread):
    """Kills and starts again until it has killed as often as it should, or nobody is left to be hit."""

    def __init__(self, hub: RealHub, instance: Instance, soak: Soak) -> None:
        super().__init__(name="killer")
        self.failure: Exception | None = None
        self.over = threading.Event()
        self._hub, self._instance, self._soak = hub, instance, soak
        self._random = Random(soak.seed)

    def run(self) -> None:
        try:
            for _ in range(max(1, len(self._soak.asked) // _RESTORES_PER_KILL)):
                if self.over.wait(self._random.uniform(*_GAP_S)):
                    return
                way = self._random.choice(WAYS)
                self._kill(way)
                self._soak.kills[way] += 1
        except StackError as error:
            self.failure = error

    def _kill(self, way: str) -> None:
        if way == "worker":
            self._instance.host.kill()
            self._hub.start_worker(self._instance)
            return
        self._instance.engine.kill()
        if way == "engine, then worker":
            self.over.wait(self._random.uniform(0, 3))
        self._instance.host.kill()
        self._hub.restart(self._instance)


class _Caller:
    """Asks until it is answered, then looks until the restore has ended."""

    def __init__(self, instance: Instance, killer: _Killer, seed: int) -> None:
        self._instance, self._killer, self._seed = instance, killer, seed

    def restore(self, asked: Asked) -> None:
        body = a_request(sourceResourceId=asked.vm, requestId=f"soak-{self._seed}-{asked.number}")
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline and self._killer.failure is None:
            document = self._look(asked) if asked.restore_id else self._ask(asked, body)
            asked.status = document.get("status", asked.status)
            asked.error = (document.get("error") or {}).get("message", "")
            if asked.restore_id and asked.status in ENDED:
                return
            time.sleep(_LOOK_EVERY_S)

    def _ask(self, asked: Asked, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._call("POST", "restores", json=body)
        asked.answers.append("none" if answer is None else str(answer.status_code))
        if answer is not None and answer.ok:
            asked.restore_id = answer.json()["id"]
        return {}

    def _look(self, asked: Asked) -> dict[str, Any]:
        answer = self._call("GET", f"restores/{asked.restore_id}")
        if answer is not None:
            asked.unknown = answer.status_code == requests.codes.not_found
        return answer.json() if answer is not None and answer.ok else {}

    def _call(self, method: str, path: str, **more: Any) -> requests.Response | None:
        """Return the answer, ``None`` where there is none: the app is dead, or dies before it has answered."""
        try:
            return requests.request(method, f"{self._instance.url}/api/{path}", timeout=30, **more)
        except (requests.RequestException, IndexError):  # IndexError: the next app has not said yet where it listens
            return None


def run(seed: int, restores: int) -> Soak:
    """Run so many restores, kill meanwhile, and check what they came to."""
    soak = Soak(seed, [Asked(number) for number in range(1, restores + 1)])
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        azurite = start_azurite(place)
        stack.callback(azurite.stop)
        simulator = stack.enter_context(simulating(scenario(pool=restores), speed=SPEED))
        hub = stack.enter_context(RealHub(connection_to(azurite), simulator.url, QUICK))
        instance = hub.start()
        killer = _Killer(hub, instance, soak)
        killer.start()
        try:
            with ThreadPoolExecutor(_CALLERS) as threads:
                list(threads.map(_Caller(instance, killer, seed).restore, soak.asked))
        finally:
            killer.over.set()
            killer.join()
        if killer.failure is not None:
            raise killer.failure
        soak.found += violations(soak, simulator, _told(hub, instance, simulator, len(soak.asked)))
    return soak


def _told(hub: RealHub, instance: Instance, simulator: Simulator, count: int) -> set[str]:
    """Return the restores whose results have come within a minute of the last one's end."""
    queues = Queues(url=instance.url, simulator_url=simulator.url, connection=hub.connection, children=())
    told: set[str] = set()
    deadline = time.monotonic() + 75
    while len(told) < count and time.monotonic() < deadline:
        told |= {json.loads(text)["id"] for text in queues.receive(hub.queues["results"])}
        time.sleep(_LOOK_EVERY_S)
    return told


def violations(soak: Soak, simulator: Simulator, told: set[str]) -> list[tuple[str, str]]:
    """Return what does not hold, each as the check that found it and the restore; ``told`` are those with a result."""
    posts = Counter(each.vm.lower() for each in simulator.requests if each.action == "trigger_restore")
    found: list[tuple[str, str]] = []
    for asked in soak.asked:
        posted, jobs = posts[f"{GROUP}/pool-{asked.number:03d}"], len(simulator.world.jobs_of(asked.vm))
        what = f"restore {asked.number} ({asked.restore_id}): {asked.status}, {posted} POSTs, {jobs} jobs"
        if posted > 1 or jobs > 1:
            found.append(("doubled", what))
        if asked.status not in ENDED and not asked.unknown:
            found.append(("stuck", what))
        if asked.unknown or (asked.status == "Completed" and jobs == 0):
            found.append(("lost", what))
        if asked.status in ENDED - {"Completed"}:
            found.append(("not completed", f"{what}: {asked.error}"))
        if asked.status in ENDED and asked.restore_id not in told:
            found.append(("untold", what))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run and print the summary; returns the exit code, 1 when something did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.real", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="what the kills are drawn from; random when left out")
    parser.add_argument("--restores", type=int, default=200)
    options = parser.parse_args(argv)
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    errors = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    if not real_engine.is_there():
        errors.print(f"chaos: {real_engine.MISSING}")
        return 2
    seed = SystemRandom().randrange(1_000_000) if options.seed is None else options.seed
    console.print(f"seed {seed}")
    began = time.monotonic()
    try:
        with interruptible():
            soak = run(seed, options.restores)
    except StackError as error:
        errors.print(f"chaos: {error}", *(f"  | {line}" for line in error.tail), sep="\n")
        return 2
    for check, what in soak.found:
        console.print(f"{check}: {what}", markup=False, soft_wrap=True)
    answers = Counter(answer for one in soak.asked for answer in one.answers)
    console.print(
        f"seed {seed}: {len(soak.asked)} restores on Microsoft's engine in {time.monotonic() - began:.0f} s, "
        f"{soak.kills.total()} kills ({_listed(soak.kills)}), answers to POSTs: {_listed(answers)}; "
        f"{_listed(Counter(one.status for one in soak.asked))}\n"
        + ", ".join(f"{soak.count(check)} {check}" for check in CHECKS),
        soft_wrap=True,
    )
    return 1 if soak.found else 0


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
