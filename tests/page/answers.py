"""Answers that a test gives in the app's place: of an app that is down, of a hostile one, of a state that is rare."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.page.operator import PATIENCE_MS, SUBSCRIPTION, Operator, vm_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from playwright.sync_api import Request, Route

type Json = dict[str, Any]

RESTORE_ID = "11111111-2222-3333-4444-555555555555"
RECOVERY_ID = "99999999-2222-3333-4444-555555555555"
VAULT = f"{SUBSCRIPTION}/resourceGroups/backup-rg/providers/Microsoft.RecoveryServices/vaults/vault-weu"
TIME = "2026-11-20T06:00:00Z"


def a_document(**members: Any) -> Json:
    """Return the status document of a restore that runs."""
    document: Json = {
        "id": RESTORE_ID,
        "status": "Running",
        "phase": "TrackingJob",
        "progressPercentage": 42.0,
        "sourceResourceId": vm_id("web-01"),
        "recoveryType": "RestoreDisks",
        "requestId": None,
        "requestedBy": "Bob",
        "reason": "incident 4711",
        "startedBy": "http",
        "request": {"recoveryType": "RestoreDisks", "target": {"replacesDisks": False}},
        "recoveryPoint": {"id": "p1", "time": TIME, "consistency": "AppConsistent", "tiers": ["InstantRP"]},
        "operationId": "op-1",
        "jobId": "job-1",
        "vaultId": VAULT,
        "createdTime": TIME,
        "lastUpdatedTime": TIME,
        "completedTime": None,
        "nextPollTime": None,
        "waiting": None,
        "result": None,
        "error": None,
        "warnings": [],
        "links": {"self": f"/api/restores/{RESTORE_ID}", "cancel": f"/api/restores/{RESTORE_ID}/cancel"},
    }
    return document | members


def that_waits(**members: Any) -> Json:
    """Return the status document of a restore that waits for a person."""
    own = f"/api/restores/{RESTORE_ID}"
    links = {"self": own, "cancel": f"{own}/cancel", "approve": f"{own}/approve", "reject": f"{own}/reject"}
    waits = {"status": "AwaitingApproval", "phase": "AwaitingApproval", "progressPercentage": None, "jobId": None}
    return a_document(**waits, waiting={"reason": "Approval", "until": None}, links=links) | members


def a_recovery(groups: int, **members: Any) -> Json:
    """Return the document of a recovery that runs: a chain of groups, each of a thousand members."""
    names = [f"group-{number:02}-of-the-payment-system" for number in range(groups)]
    counts = {"Pending": 400, "Running": 100, "Completed": 500}
    document: Json = {
        "id": RECOVERY_ID,
        "status": "Running",
        "plan": "payments",
        "startedBy": "http",
        "createdTime": TIME,
        "counts": counts,
        "groups": [
            {
                "name": name,
                "status": "Running",
                "counts": counts,
                "after": names[max(0, number - 3) : number],
                "waitingFor": names[max(0, number - 3) : number],
                "started": TIME,
            }
            for number, name in enumerate(names)
        ],
        "criticalPath": names[:3],
        "warnings": [],
        "links": {"self": "/api/recoveries/x", "pause": "/api/recoveries/x/pause"},
    }
    return document | members


@dataclass(slots=True)
class Answers:
    """What the API answers to a person's page, instead of the app; the page's own files still come from the app."""

    person: Operator
    requests: list[Request] = field(default_factory=list["Request"])

    def posts(self) -> list[Json]:
        """Return the bodies that were posted."""
        return [json.loads(request.post_data or "") for request in self.requests if request.method == "POST"]

    def give(self, path: str, body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Answer calls of this path (without its query) with this from now on: JSON, or HTML if it is a text."""
        kind = "text/html" if isinstance(body, str) else "application/json"
        text = body if isinstance(body, str) else json.dumps(body)

        def fulfil(route: Route) -> None:
            self.requests.append(route.request)
            route.fulfill(status=status, body=text, headers={"Content-Type": kind, **(headers or {})})

        self._route(path, fulfil)

    def lose(self, path: str) -> None:
        """Let the network lose the answers to calls of this path from now on."""

        def abort(route: Route) -> None:
            self.requests.append(route.request)
            route.abort()

        self._route(path, abort)

    def hold(self, path: str, held: list[Route]) -> None:
        """Leave calls of this path without an answer from now on; ``held`` gets them."""

        def keep(route: Route) -> None:
            held.append(route)

        self._route(path, keep)

    def first(self, held: list[Route]) -> Route:
        """Return the first call that is held, once the page has made one."""
        ends = time.monotonic() + PATIENCE_MS / 1000
        while not held:
            assert time.monotonic() < ends, "the page has made no such call"
            self.person.page.evaluate("true")  # calls are handed over while the page is asked something
        return held[0]

    def _route(self, path: str, handler: Any) -> None:
        self.person.page.route(re.compile(rf"/api/{re.escape(path)}(\?.*)?$"), handler)
