"""A task hub on Microsoft's engine: instances of the app on it that may be killed, and started again."""

from __future__ import annotations

import tempfile
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from scripts import real_engine
from scripts.stack import (
    ROOT,
    Child,
    Ports,
    azure_settings,
    azurite_command,
    clean_environment,
    host_command,
    no_settings,
    write_functions,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

HOST_JSON = ROOT / "host.json"


def start_azurite(place: Path, hear: Callable[[str, str], None] | None = None, *, tells: bool = False) -> Child:
    """Start Azurite with blobs, queues and tables; one that ``tells`` prints a line for each request."""
    command = azurite_command(Ports(), whole=True)
    if tells:
        command.remove("--silent")
    return Child("azurite", command, clean_environment(), place, hear, listens=3)


@dataclass(slots=True)
class Instance:
    """An engine and the app that has joined it; ``machine`` is its machine's name, ``None`` for this one's own."""

    machine: str | None
    engine: Child
    host: Child

    @property
    def url(self) -> str:
        """Where the app answers."""
        return self.host.urls[0]

    def kill(self) -> None:
        """Kill engine and app at once."""
        self.engine.kill()
        self.host.kill()


class RealHub:
    """A context manager: a task hub in Azurite and the instances on it, all of which are ended in the end.

    ``arm`` is the address of what stands for Azure, ``settings`` are the app's. The hub and the queues have names of
    their own, so that many hubs share an Azurite.
    """

    def __init__(
        self,
        connection: str,
        arm: str,
        settings: Mapping[str, str] | None = None,
        *,
        host_json: Path = HOST_JSON,
        hear: Callable[[str, str], None] | None = None,
        events: bool = False,
    ) -> None:
        mark = uuid.uuid4().hex[:12]
        self.connection, self.name = connection, f"Hub{mark}"
        self.queues = {what: f"{what}-{mark}" for what in ("requests", "results", "events")}
        named = {f"RESTORE_{what.upper()}_QUEUE": name for what, name in self.queues.items()}
        self.env = {**clean_environment(), **azure_settings(arm, connection), **named, **(settings or {})}
        self.instances: list[Instance] = []
        self._host_json, self._hear, self._events = host_json, hear, events
        self._cleanup = ExitStack()
        self._place = Path(self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix="real-hub-")))
        self._functions: dict[Path, Path] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        for instance in self.instances:
            self._cleanup.callback(instance.engine.stop)
            self._cleanup.callback(instance.host.stop)
        self._cleanup.close()

    def start(self, machine: str | None = None, code: Path = ROOT) -> Instance:
        """Start an engine and the app on it, and wait until both answer; ``code`` is the folder of the app."""
        engine = self._start_engine(machine, code)
        instance = Instance(machine, engine, self._start_host(engine, code))
        self.instances.append(instance)
        return instance

    def start_worker(self, instance: Instance) -> None:
        """Give an instance whose app was killed another one."""
        instance.host = self._start_host(instance.engine, ROOT)

    def restart(self, instance: Instance, code: Path = ROOT) -> None:
        """Start an instance that has ended again, on the same machine; ``code`` is the folder of the app."""
        instance.engine = self._start_engine(instance.machine, code)
        instance.host = self._start_host(instance.engine, code)

    def tails(self) -> Iterator[str]:
        """Return the last lines of what the instances have said."""
        for instance in self.instances:
            for child in (instance.engine, instance.host):
                yield from (f"{child.name}: {line}" for line in child.tail(20))

    def _start_engine(self, machine: str | None, code: Path) -> Child:
        if code not in self._functions:
            place = Path(tempfile.mkdtemp(dir=self._place))
            self._functions[code] = write_functions(place, self.env, code)
        command = real_engine.engine_command(
            self._functions[code],
            connection=self.connection,
            hub=self.name,
            host_json=self._host_json,
            machine=machine,
            events=self._events,
        )
        return _ready("engine", command, clean_environment(), self._place, self._hear)

    def _start_host(self, engine: Child, code: Path) -> Child:
        command = host_command(0, no_settings(self._place), engine.urls[0])
        return _ready("local host", command, self.env, code, self._hear)


def _ready(
    name: str, command: list[str | Path], env: Mapping[str, str], cwd: Path, hear: Callable[[str, str], None] | None
) -> Child:
    child = Child(name, command, env, cwd, hear)
    try:
        child.wait_until_ready()
    except BaseException:
        child.stop()
        raise
    return child
