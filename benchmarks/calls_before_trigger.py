"""How many ARM calls it takes to get to the restore POST."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import requests

from benchmarks.asking import SUBSCRIPTION, TOKEN, load_vm, log, request_for
from benchmarks.rows import Row
from scripts.stack import running_stack

if TYPE_CHECKING:
    from scripts.stack import Stack

_MOST: Final = 5
_TWO_PAGES: Final = f"{SUBSCRIPTION}/resourceGroups/web-rg/providers/Microsoft.Compute/virtualMachines/web-01"


def measure() -> list[Row]:
    """Count at the simulator, one restore alone at a time, up to and without the restore POST."""
    with running_stack(speed=1) as stack:
        one_page = _calls(stack, load_vm(1))
        two_pages = _calls(stack, _TWO_PAGES)
    return [
        Row(
            measure="ARM calls before the restore POST",
            target=f"<= {_MOST}",
            median=str(len(one_page)),
            worst=f"max {max(len(one_page), len(two_pages))}",
            met=max(len(one_page), len(two_pages)) <= _MOST,
            how=f"VM id only, validate false, counted at the simulator: {', '.join(one_page)}; the maximum is a VM "
            "whose points fill two pages (the scenario's pages hold 4)",
        )
    ]


def _calls(stack: Stack, vm_id: str) -> list[str]:
    before = len(log(stack))
    requests.post(f"{stack.url}/api/restores", json=request_for(vm_id), timeout=30).raise_for_status()
    deadline = time.monotonic() + 30
    while "trigger_restore" not in (actions := [each["action"] for each in log(stack)[before:]]):
        if time.monotonic() > deadline:
            raise TimeoutError(f"no restore POST for {vm_id}")
        time.sleep(0.05)
    return [action for action in actions[: actions.index("trigger_restore")] if action != TOKEN]
