"""The recovery that ``make demo`` shows: a plan of three groups over six virtual machines, with a gate."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import requests

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scripts.stack import Stack

type Json = dict[str, Any]

PLAN_VMS: Final = ("load-001", "load-002", "load-003", "load-004", "load-005", "load-006")
"""The virtual machines of the shipped scenario that the plan restores."""
GATED: Final = "app"
_SIZES: Final = {"database": 1, GATED: 2, "web": 3}
_PERSON: Final = "make demo"


def plan_of(vm_ids: Sequence[str], restore: Mapping[str, Any]) -> Json:
    """Return a plan over six virtual machines: one database, two behind a gate, three after these."""
    groups: list[Json] = []
    for name, size in _SIZES.items():
        first = sum(len(group["sourceResourceIds"]) for group in groups)
        groups.append({"name": name, "sourceResourceIds": list(vm_ids[first : first + size])})
    groups[list(_SIZES).index(GATED)]["gate"] = {"approval": {"timeout": "PT1H"}}
    return {"name": "shop", "restore": dict(restore), "groups": groups}


@dataclass(slots=True)
class Recovering:
    """One recovery: its plan, and what has become of it. ``posts`` are the restore POSTs for its virtual machines."""

    plan: Json
    vm_keys: Sequence[str]
    document: Json = field(default_factory=dict[str, Any])
    posts: int = 0
    calls: int = 0
    approved: bool = False

    @property
    def is_finished(self) -> bool:
        """Whether the app has reported its end."""
        return self.document.get("completedTime") is not None

    @property
    def groups(self) -> list[Json]:
        """Its groups as the app shows them, in the order of the plan."""
        return self.document.get("groups", [])

    @property
    def _failed_groups(self) -> list[str]:
        failed = [group for group in self.groups if group["status"] in {"Failed", "Rejected"}]
        return [f"{group['name']} {group['status']}" for group in failed]

    @property
    def problem(self) -> str | None:
        """What keeps this recovery from being proof, if anything."""
        status, error = self.document.get("status"), self.document.get("error")
        if status != "Completed":
            why = error["message"] if error else ", ".join(self._failed_groups)
            return f"it ended as {status}" + (f": {why}" if why else "")
        if not self.approved:
            return f"the group {GATED} waited for nobody"
        if any(later["started"] < earlier["ended"] for earlier, later in pairwise(self.groups)):
            return "a group started before the one that it waits for had ended"
        wanted = len(self.vm_keys)
        return None if self.posts == wanted else f"the simulator saw {self.posts} restore POSTs for its {wanted} VMs"

    def start(self, stack: Stack) -> None:
        """Ask for the recovery by one call."""
        call = {"plan": self.plan, "requestId": "demo-shop", "requestedBy": _PERSON}
        answer = requests.post(f"{stack.url}/api/recoveries", json=call, timeout=10)
        if answer.status_code != requests.codes.accepted:
            raise requests.HTTPError(f"POST /api/recoveries was answered {answer.status_code}: {answer.text}")
        self.document = answer.json()

    def look(self, stack: Stack, session: requests.Session) -> None:
        """Bring the document up to date; approve the group that waits for a person, once."""
        address = f"{stack.url}/api/recoveries/{self.document['id']}"
        answer = session.get(address, timeout=10)
        answer.raise_for_status()
        self.document = answer.json()
        waiting = [group["name"] for group in self.groups if group["status"] == "AwaitingApproval"]
        if waiting and not self.approved:
            session.post(f"{address}/approve", json={"group": waiting[0], "by": _PERSON}, timeout=10).raise_for_status()
            self.approved = True

    def count_calls(self, stack: Stack) -> None:
        """Read from the simulator's log what was called for its virtual machines."""
        for key in self.vm_keys:
            calls = requests.get(f"{stack.simulator_url}/_simulator/requests", params={"vm": key}, timeout=10)
            actions = [record["action"] for record in calls.json()["value"]]
            self.calls += len(actions)
            self.posts += actions.count("trigger_restore")


def ended_of(group: Json) -> tuple[int, int]:
    """Return how many members of a group have ended, and how many there are."""
    counts: dict[str, int] = group["counts"]
    return sum(counts.values()) - counts.get("Pending", 0) - counts.get("Running", 0), sum(counts.values())


def state_of(group: Json) -> str:
    """Return a group's state in a few words."""
    if group["status"] == "Pending":
        waits = group["waitingFor"]
        return f"waits for {', '.join(waits)}" if waits else "Pending"
    ended, all_of_them = ended_of(group)
    return f"{group['status']} {ended} of {all_of_them}"
