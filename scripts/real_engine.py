"""Microsoft's Durable engine as a process: where it is, what it must know of the app, how it is started.

``python -m scripts.real_engine`` prints the app's durable functions as the engine reads them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from azure.durable_functions import DFApp

ROOT: Final = Path(__file__).parents[1]
BINARY: Final = ROOT / ".tools/real-engine"
MISSING: Final = "Microsoft's engine is missing (.tools/real-engine); run `make engine`"

_KINDS: Final = {"orchestrationTrigger": "orchestrator", "activityTrigger": "activity", "entityTrigger": "entity"}
_RENAMED: Final = 'hostname "$1" && shift && exec "$@"'


def is_there() -> bool:
    """Return whether the engine's binary is on this machine."""
    return BINARY.is_file()


def functions_command() -> list[str | Path]:
    """Return the command that prints the app's durable functions; the app is read with that process's environment."""
    return [sys.executable, "-m", "scripts.real_engine"]


def engine_command(
    functions: Path, *, connection: str, hub: str, host_json: Path, machine: str | None = None, events: bool = False
) -> list[str | Path]:
    """Return the command of an engine on any free port.

    ``functions`` is a file of what ``functions_command`` prints; ``connection`` leads to blobs, queues and tables.
    ``machine`` is the machine's name as this engine sees it (needs root): instances of one hub must differ in it.
    ``events`` has it print the extension's events, a line of JSON each.
    """
    options: list[str | Path] = ["--functions", functions, "--host-json", host_json, "--hub", hub]
    command: list[str | Path] = [BINARY, *options, "--storage", connection, "--port", "0"]
    if events:
        command.append("--events")
    return command if machine is None else ["unshare", "--uts", "bash", "-c", _RENAMED, "machine", machine, *command]


def durable_functions(app: DFApp) -> list[dict[str, str]]:
    """Return the kind and name of each of an app's durable functions."""
    from local_host.functions import index  # noqa: PLC0415 - costs a second, and the other commands do not need it

    kinds = ((_KINDS.get(str(function.trigger.type)), function.name) for function in index(app))
    return [{"kind": kind, "name": name} for kind, name in kinds if kind]


def main() -> int:
    """Print the app's durable functions; returns the exit code."""
    from function_app import app  # noqa: PLC0415 - likewise

    print(json.dumps(durable_functions(app), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
