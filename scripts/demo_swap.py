"""The swap that ``make demo`` shows: disks restored beside a running VM, swapped in, and the former ones put back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import requests

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.stack import Stack

type Json = dict[str, Any]

SWAP_VM: Final = "load-007"
"""The virtual machine of the shipped scenario whose disks are swapped."""
_PERSON: Final = "make demo"
_CHANGES: Final = ("deallocate_vm", "patch_vm", "start_vm")


@dataclass(slots=True, kw_only=True)
class Swapping:
    """A restore with ``thenSwapDisks``, and its undo. ``actions`` are the simulator's of the VM, the oldest first."""

    vm_id: str
    vm_key: str
    document: Json = field(default_factory=lambda: {"status": "Pending", "phase": "Sent"})
    undo: Json = field(default_factory=dict[str, Any])
    actions: list[str] = field(default_factory=list[str])

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to follow: the undo has ended, or the swap was none that can be undone."""
        has_ended = self.document.get("completedTime") is not None
        return has_ended and (self.undo.get("completedTime") is not None or not _is_swapped(self.document))

    @property
    def posts(self) -> int:
        """How many restore POSTs the simulator saw."""
        return self.actions.count("trigger_restore")

    @property
    def downtime(self) -> str:
        """How long the VM was down, in seconds of this machine."""
        return f"{_seconds(_swap_of(self.document).get('downtime')):.1f} s"

    @property
    def problem(self) -> str | None:
        """What keeps this from being proof, if anything."""
        for what, document in (("swap", self.document), ("undo", self.undo)):
            status, error = document.get("status"), document.get("error")
            if status != "Completed" or not _is_swapped(document):
                return f"the {what} ended as {status}" + (f": {error['message']}" if error else "")
        # The host may run an activity twice, and each change may be made twice.
        made = [action for action, _ in groupby(action for action in self.actions if action in _CHANGES)]
        if made != [*_CHANGES, *_CHANGES]:
            return f"the simulator saw {', '.join(made)} instead of one swap and its undo"
        if _places(self.document, "formerDiskId") != _places(self.undo, "diskId"):
            return "the undo did not put the former disks back"
        return None if self.posts == 1 else f"the simulator saw {self.posts} restore POSTs for it instead of 1"

    def start(self, stack: Stack, restore: Mapping[str, Any]) -> None:
        """Ask for the restore and the swap by one call."""
        beside = {name: value for name, value in restore.items() if name != "targetResourceGroupId"}
        request = {"sourceResourceId": self.vm_id, **beside, "thenSwapDisks": {}, "requestedBy": _PERSON}
        self.document = {**self.document, **_accepted(f"{stack.url}/api/restores", request)}

    def look(self, stack: Stack, session: requests.Session) -> None:
        """Bring the documents up to date; ask for the undo, once, when the disks are swapped."""
        self.document = _read(stack, session, self.document)
        if self.undo:
            self.undo = _read(stack, session, self.undo)
        elif _is_swapped(self.document):
            self.undo = _accepted(f"{stack.url}/api/restores/{self.document['id']}/undo", {"by": _PERSON})

    def count_calls(self, stack: Stack) -> None:
        """Read from the simulator's log what was called for the VM."""
        calls = requests.get(f"{stack.simulator_url}/_simulator/requests", params={"vm": self.vm_key}, timeout=10)
        self.actions = [record["action"] for record in calls.json()["value"]][::-1]


def _accepted(address: str, body: Json) -> Json:
    answer = requests.post(address, json=body, timeout=10)
    if answer.status_code != requests.codes.accepted:
        raise requests.HTTPError(f"POST {address} was answered {answer.status_code}: {answer.text}")
    return answer.json()


def _read(stack: Stack, session: requests.Session, known: Json) -> Json:
    answer = session.get(f"{stack.url}/api/restores/{known['id']}", timeout=10)
    answer.raise_for_status()
    return answer.json()


def _swap_of(document: Json) -> Json:
    return (document.get("result") or {}).get("swap") or {}


def _is_swapped(document: Json) -> bool:
    return _swap_of(document).get("state") == "Swapped"


def _places(document: Json, member: str) -> set[tuple[int | None, str]]:
    return {(place["lun"], place[member].lower()) for place in _swap_of(document)["disks"]}


def _seconds(duration: str | None) -> float:
    """Return an ISO 8601 duration of minutes and seconds, as the app writes a downtime."""
    minutes, _, seconds = (duration or "PT0S").removeprefix("PT").rpartition("M")
    return timedelta(minutes=int(minutes or 0), seconds=float(seconds.removesuffix("S") or 0)).total_seconds()
