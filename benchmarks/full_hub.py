"""Task hubs that hold many restores.

``python -m benchmarks.full_hub COUNT`` is a local host with such a hub; it runs until SIGTERM.
"""

from __future__ import annotations

import base64
import hmac
import json
import signal
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import requests
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.testing.in_memory_backend import OrchestrationInstance

from domain.codec import pack
from domain.restore.document import document
from local_host.backend import LocalBackend
from local_host.server import running
from orchestrations.names import HOLD_LIST_ENTRY, HOLD_POST_CLAIM, RESTORE_VM
from scripts.stack import ROOT, Child, clean_environment
from tests.support.azure import a_restore
from triggers.list_entries import ListEntry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from domain.errors import Json

APART: Final = timedelta(minutes=13)
"""The time between two restores: 10,000 restores take 90 days."""
VMS: Final = 2000
FAILED_EACH: Final = 100
RUNNING: Final = 5
_VM: Final = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/load-rg/providers/{}/load-{:04d}"


_FILL_S: Final = 120.0


@contextmanager
def full_hub(restores: int) -> Iterator[str]:
    """Run a local host whose hub has so many restores while the context lasts; yields its address."""
    command = [sys.executable, "-m", "benchmarks.full_hub", f"{restores}"]
    host = Child("full hub", command, clean_environment(), ROOT, None)
    try:
        yield host.wait_until_ready(_FILL_S)
    finally:
        host.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One instance of a task hub."""

    instance_id: str
    name: str
    created: datetime
    is_running: bool = False
    input: str | None = None
    output: str | None = None


def vm_id(number: int) -> str:
    """Return the id of a VM that has restores in the hub."""
    return _VM.format("Microsoft.Compute/virtualMachines", number)


def rows(count: int) -> Iterator[Row]:
    """Return the instances of ``count`` restores: for each its own, its list entry, and the claim of its post."""
    now = datetime.now(UTC)
    for number in range(count):
        created = now - APART * number
        restore = a_restore(key=f"load-{number}", created=created, sourceResourceId=vm_id(number % VMS))
        is_running = number < RUNNING
        status = "Running" if is_running else "Failed" if number % FAILED_EACH == 0 else "Completed"
        phase = "TrackingJob" if is_running else "Finished"
        shown: Json = {**document(restore, created), "status": status, "phase": phase}
        yield Row(
            instance_id=restore.restore_id,
            name=RESTORE_VM,
            created=created,
            is_running=is_running,
            input=json.dumps(pack(restore)),
            output=json.dumps(shown),
        )
        kept = None if is_running else json.dumps(shown)
        yield Row(instance_id=ListEntry.of(restore).instance_id, name=HOLD_LIST_ENTRY, created=created, input=kept)
        yield Row(instance_id=f"post-{restore.restore_id}-1", name=HOLD_POST_CLAIM, created=created)


def fill(backend: LocalBackend, count: int) -> None:
    """Put the instances of so many restores into the hub of a local host."""
    for row in rows(count):
        status = pb.ORCHESTRATION_STATUS_RUNNING if row.is_running else pb.ORCHESTRATION_STATUS_COMPLETED
        backend._instances[row.instance_id] = OrchestrationInstance(  # noqa: SLF001 - the hub has no other way in
            instance_id=row.instance_id,
            name=row.name,
            status=status,
            input=row.input,
            output=None if row.is_running else row.output,
            custom_status=row.output,
            created_at=row.created,
            last_updated_at=row.created,
        )


def fill_tables(connection: str, hub: str, count: int) -> None:
    """Write the instances of so many restores into the table of a hub in Azurite, as Microsoft's engine writes them."""
    parts = dict(part.split("=", 1) for part in connection.strip(";").split(";"))
    url, key = f"{parts['TableEndpoint']}/{hub}Instances", base64.b64decode(parts["AccountKey"])
    path = f"/{parts['AccountName']}{urlsplit(url).path}"
    sessions = threading.local()

    def put(row: Row) -> None:
        date = formatdate(usegmt=True)
        signature = base64.b64encode(hmac.digest(key, f"{date}\n{path}".encode(), "sha256")).decode()
        headers = {
            "x-ms-date": date,
            "x-ms-version": "2019-02-02",
            "Authorization": f"SharedKeyLite {parts['AccountName']}:{signature}",
            "Accept": "application/json;odata=nometadata",
            "Prefer": "return-no-content",
        }
        if not hasattr(sessions, "session"):
            sessions.session = requests.Session()
        sessions.session.post(url, json=_entity(row, hub), headers=headers, timeout=60).raise_for_status()

    with ThreadPoolExecutor(4) as threads:
        for _ in threads.map(put, rows(count)):
            pass


def _entity(row: Row, hub: str) -> Json:
    at = row.created.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    times = ["CreatedTime", "LastUpdatedTime", *(() if row.is_running else ("CompletedTime",))]
    texts = {"Input": row.input, "Output": None if row.is_running else row.output, "CustomStatus": row.output or "null"}
    return {
        "PartitionKey": row.instance_id,
        "RowKey": "",
        "Name": row.name,
        "RuntimeStatus": "Running" if row.is_running else "Completed",
        "TaskHubName": hub,
        "ExecutionId": uuid.uuid4().hex,
        "Generation": 0,
        "Tags": "{}",
        "ParentInstanceId": "",
        **{name: text for name, text in texts.items() if text is not None},
        **dict.fromkeys(times, at),
        **{f"{name}@odata.type": "Edm.DateTime" for name in times},
    }


def main() -> int:
    """Serve until SIGTERM; returns the exit code."""
    from function_app import app  # noqa: PLC0415 - it reads the settings

    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # before there are threads
    with running(app) as host:
        assert isinstance(host.backend, LocalBackend)
        fill(host.backend, int(sys.argv[1]))
        print(f"local host listening on {host.url}", flush=True)
        signal.sigwait([signal.SIGTERM])
    return 0


if __name__ == "__main__":
    sys.exit(main())
