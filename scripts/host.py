"""``make host``: the simulator, Azurite and the app, left running until Ctrl-C, with lines to copy."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from scripts.alerting import rules_for, vm_down
from scripts.stack import (
    QUICK_POLLS,
    ROOT,
    Ports,
    Stack,
    StackError,
    add_engine_option,
    add_setting_option,
    interruptible,
    running_stack,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_SUBSCRIPTION: Final = "/subscriptions/11111111-1111-1111-1111-111111111111"
_VM: Final = f"{_SUBSCRIPTION}/resourceGroups/web-rg/providers/Microsoft.Compute/virtualMachines"
_CHECK_EVERY_S: Final = 0.5


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stack until Ctrl-C or SIGTERM; returns the exit code."""
    options = _parse(argv)
    settings = ROOT / "local.settings.json"
    settings_of_scenario = alert_rules(ROOT) | restore_scopes(ROOT)
    ports = Ports() if options.any_ports else Ports.usual_or_free()
    try:
        with (
            interruptible(),
            running_stack(
                speed=options.speed,
                ports=ports,
                scenario=options.scenario,
                env=QUICK_POLLS | settings_of_scenario | dict(options.setting),
                settings=settings if settings.exists() else None,
                hear=_relay,
                engine=options.engine,
            ) as stack,
        ):
            for queue in ("restore-requests", "restore-results", "restore-events"):
                stack.create_queue(queue)
            print(_guide(stack, options.speed), flush=True)
            while True:
                stack.check()
                time.sleep(_CHECK_EVERY_S)
    except KeyboardInterrupt:
        print("\nhost: stopped", flush=True)
        return 0
    except StackError as error:
        print(f"host: {error}", *(f"  | {line}" for line in error.tail), sep="\n", file=sys.stderr)
        return 1


def alert_rules(folder: Path) -> dict[str, str]:
    """Return a setting with rules for the printed alert; empty if the folder has settings or rules of its own."""
    if (folder / "local.settings.json").exists() or (folder / "auto_restore_rules.json").exists():
        return {}
    return {"AUTO_RESTORE_RULES": rules_for(_request("web-03"))}


def restore_scopes(folder: Path) -> dict[str, str]:
    """Return a setting with scopes of the shipped scenario; empty if the folder has settings of its own."""
    if (folder / "local.settings.json").exists():
        return {}
    request, target = _request("web-01"), f"{_SUBSCRIPTION}/resourceGroups/restored-rg"
    scopes = {
        "vaultIds": [f"{_SUBSCRIPTION}/resourceGroups/backup-rg/providers/Microsoft.RecoveryServices/vaults/vault-weu"],
        "targetResourceGroupIds": [target],
        "stagingScopes": [request["storageAccountId"]],
        "virtualNetworkIds": [f"{target}/providers/Microsoft.Network/virtualNetworks/restored-vnet"],
        "virtualMachineScopes": [_SUBSCRIPTION],
    }
    return {"RESTORE_SCOPES": json.dumps(scopes)}


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.host", description="The app on this machine, by hand.")
    parser.add_argument("--speed", type=float, default=10, help="simulated seconds per second (default 10)")
    parser.add_argument("--scenario", type=Path, help="the simulator's scenario file (default: the shipped one)")
    parser.add_argument("--any-ports", action="store_true", help="take any free ports, not 8080, 10001 and 7071")
    add_engine_option(parser)
    add_setting_option(parser)
    return parser.parse_args(argv)


def _relay(name: str, line: str) -> None:
    if name == "local host":
        print(f"  | {line}", flush=True)


def _guide(stack: Stack, speed: float) -> str:
    vm, api = f"{_VM}/web-01", f"{stack.url}/api"
    body = json.dumps(_request("web-01"))
    message = json.dumps(_request("web-02"))
    alert = json.dumps(vm_down(f"{_VM}/web-03"))
    return f"""
The app                 {api}
Azure Backup simulator  {stack.simulator_url}/_simulator   ({speed:g} times as fast; job polls 1 to 2 s)
Queues (Azurite)        {stack.connection.partition("QueueEndpoint=")[2].partition(";")[0]}

# start a restore; then see it, by the id in the answer
curl -si -X POST {api}/restores -H 'content-type: application/json' -d '{body}'
curl -s {api}/restores/ID

# all restores, a VM's recovery points, health
curl -s '{api}/restores?top=10'
curl -s '{api}/recovery-points?sourceResourceId={vm}'
curl -s {api}/health

# what the app may do at the scopes of RESTORE_SCOPES
make preflight APP={stack.url} KEY=none

# tell of a VM that is down, as Azure Monitor does: a rule restores it
curl -si -X POST {api}/alerts -H 'content-type: application/json' -d '{alert}'

# start a restore by a queue message; read the results, and every change of a status
.venv/bin/python -c {_sending(stack.connection, message)}
.venv/bin/python -c {_reading(stack.connection, "restore-results")}
.venv/bin/python -c {_reading(stack.connection, "restore-events")}

Ctrl-C stops everything.
"""


def _request(vm: str) -> dict[str, Any]:
    return {
        "sourceResourceId": f"{_VM}/{vm}",
        "recoveryType": "RestoreDisks",
        "storageAccountId": f"{_SUBSCRIPTION}/resourceGroups/backup-rg"
        "/providers/Microsoft.Storage/storageAccounts/stagingweu",
        "targetResourceGroupId": f"{_SUBSCRIPTION}/resourceGroups/restored-rg",
    }


def _sending(connection: str, message: str) -> str:
    code = (
        "import base64, sys; from azure.storage.queue import QueueClient; "
        "QueueClient.from_connection_string(sys.argv[1], 'restore-requests')"
        ".send_message(base64.b64encode(sys.argv[2].encode()).decode())"
    )
    return f"\"{code}\" \\\n  '{connection}' \\\n  '{message}'"


def _reading(connection: str, queue: str) -> str:
    code = (
        "import base64, json, sys; from azure.storage.queue import QueueClient; "
        "[print(json.dumps(json.loads(base64.b64decode(each.content)))) for each in "
        f"QueueClient.from_connection_string(sys.argv[1], '{queue}').peek_messages(32)]"
    )
    return f"\"{code}\" \\\n  '{connection}'"


if __name__ == "__main__":
    sys.exit(main())
