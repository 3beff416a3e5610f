"""The whole app on Microsoft's engine: a hub, a simulator behind a gate, and a caller's view of both."""

from __future__ import annotations

import itertools
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import grpc
import requests
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import orchestrator_service_pb2_grpc as stubs
from google.protobuf.wrappers_pb2 import StringValue

from scripts.stack import Stack as Queues
from simulator.scenario import Scenario
from tests.integration.app_stage import ENDED, STORAGE_ID, SUBSCRIPTION, a_request, eventually, vm_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from domain.errors import Json
    from simulator.server import Simulator
    from tests.support.engine_events import EngineEvents
    from tests.support.gate import Gate
    from tests.support.real_hub import Instance, RealHub

SPEED = 60  # Azure's usual waits, 10 and 60 s, are one second: the engine has none that is shorter
VMS = 400
QUICK = {
    "RESTORE_JOB_POLL_MIN_SECONDS": "1",
    "RESTORE_JOB_POLL_MAX_SECONDS": "1",
    "RESTORE_ADOPTION_WINDOW_SECONDS": "12",
    "PYTHON_THREADPOOL_THREAD_COUNT": "32",
}
GROUP = "pool-rg"
# VMs with a vault each, whose restores the gate can hold.
HELD = tuple(f"held-{step}" for step in ("resolving", "choosing", "validating", "looking", "posting"))
soon = partial(eventually, within_s=100)  # many processes, two cores: what takes seconds may take a minute

_POINT = {"ageHours": 2, "tiers": {"InstantRP": "Valid", "HardenedRP": "Valid"}}
_UNLIMITED = {name: {"size": 100_000, "refillPerSecond": 10_000} for name in ("reads", "writes", "resourceRequests")}


def rules() -> str:
    """Return alert rules by which any VM is restored, once for each alert."""
    template = {name: value for name, value in a_request().items() if name != "sourceResourceId"}
    rule = {"name": "any", "match": {"alertRules": ["vm-down"]}, "restore": template, "coolDown": "PT1M"}
    return json.dumps({"rules": [rule], "storm": {"distinctVms": 1000, "within": "PT10M"}})


def scenario(alone: Iterable[str] = (), *, pool: int = VMS) -> Scenario:
    """Return many VMs in one vault, and VMs with these names, each in a vault of its own name: the gate knows those."""
    names = list(alone)
    place = {"resourceGroup": "backup-rg", "region": "westeurope"}
    vm = {"resourceGroup": GROUP, "points": [_POINT]}
    staging = {"name": STORAGE_ID.rpartition("/")[2], "resourceGroup": "backup-rg", "location": "westeurope"}
    return Scenario.from_dict(
        {
            "subscriptionId": SUBSCRIPTION.rpartition("/")[2],
            "vaults": [{"name": name, **place} for name in ("vault-weu", *names)],
            "storageAccounts": [staging],
            "settings": {"limits": _UNLIMITED},
            "vms": [{"name": "pool", "vault": "vault-weu", "count": pool, **vm}]
            + [{"name": name, "vault": name, **vm} for name in names],
        }
    )


def at_once[T](count: int, do: Callable[[int], T]) -> list[T]:
    """Do something so many times, all at the same moment; returns what came of each."""
    together = threading.Barrier(count)

    def wait_and_do(number: int) -> T:
        together.wait()
        return do(number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(wait_and_do, range(count)))


class EngineStage:
    """One instance of a hub as a caller sees it, and the simulator behind it."""

    def __init__(
        self, hub: RealHub, instance: Instance, simulator: Simulator, gate: Gate, events: EngineEvents
    ) -> None:
        self.hub, self.instance, self.simulator, self.gate, self.events = hub, instance, simulator, gate, events
        self._numbers = itertools.count(1)

    def fresh_vm(self) -> str:
        """Return the id of a VM that no restore has had."""
        return vm_id(f"pool-{next(self._numbers):03d}", GROUP)

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        """Call the app; ``path`` may be a link that it gave."""
        url = path if "://" in path else f"{self.instance.url}/api/{path}"
        return requests.request(method, url, timeout=60, **more)

    def post(self, vm: str, **members: Any) -> requests.Response:
        """Ask for a restore."""
        return self.call("POST", "restores", json=a_request(**{"sourceResourceId": vm, **members}))

    def start(self, vm: str, **members: Any) -> str:
        """Start a restore and return its id."""
        answer = self.post(vm, **members)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def seen(self, restore_id: str) -> Json:
        """Return the status document."""
        answer = self.call("GET", f"restores/{restore_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def comes_to(self, restore_id: str, reached: Callable[[Json], Any]) -> Json:
        """Wait until the status document shows something, and return it."""

        def look() -> Json | None:
            document = self.seen(restore_id)
            return document if reached(document) else None

        return soon(look)

    def finished(self, restore_id: str) -> Json:
        """Wait for the end and return the final status document."""
        return self.comes_to(restore_id, lambda document: document["status"] in ENDED)

    def restore_of(self, vm: str) -> str:
        """Wait until a restore of a VM is listed and return its id."""

        def look() -> str | None:
            found = self.call("GET", "restores", params={"sourceResourceId": vm}).json()["value"]
            return found[0]["id"] if found else None

        return soon(look)

    def alert(self, vm: str, alert_id: str) -> requests.Response:
        """Tell of a VM that is down."""
        essentials = {
            "alertId": f"{SUBSCRIPTION}/providers/Microsoft.AlertsManagement/alerts/{alert_id}",
            "alertRule": "vm-down",
            "severity": "Sev1",
            "signalType": "Metric",
            "monitorCondition": "Fired",
            "monitoringService": "Platform",
            "alertTargetIDs": [vm.lower()],
            "firedDateTime": "2026-11-24T10:00:00Z",
        }
        data = {"essentials": essentials, "alertContext": {}}
        return self.call("POST", "alerts", json={"schemaId": "azureMonitorCommonAlertSchema", "data": data})

    def decision(self, vm: str, alert_id: str) -> Json:
        """Tell of a VM that is down and return what was decided."""
        answer = self.alert(vm, alert_id)
        assert answer.status_code == 202, answer.text
        [decision] = answer.json()["decisions"]
        return decision

    @property
    def queues(self) -> Queues:
        """The app's queues."""
        return Queues(
            url=self.instance.url, simulator_url=self.simulator.url, connection=self.hub.connection, children=()
        )

    def send(self, body: Json) -> None:
        """Ask for a restore by a queue message."""
        self.queues.send(self.hub.queues["requests"], json.dumps(body))

    def manage(self, restore_id: str, what: str = "", **query: str) -> requests.Response:
        """Call the durable webhooks of an instance, as the portal and the runbook do; nothing is its purge."""
        url = f"{self.instance.url}/runtime/webhooks/durabletask/instances/{restore_id}"
        if not what:
            return requests.delete(url, timeout=60)
        return requests.post(f"{url}/{what}", params=query, timeout=60)

    def engine(self, method: str, request: Any) -> Any:
        """Call the engine itself."""
        with grpc.insecure_channel(self.instance.engine.urls[0]) as channel:
            stub = cast("Any", stubs.TaskHubSidecarServiceStub(channel))
            return getattr(stub, method)(request, timeout=60)

    def start_instance(self, name: str, instance_id: str, data: Json) -> None:
        """Start an orchestration past the app's routes."""
        given = StringValue(value=json.dumps(data))
        self.engine("StartInstance", pb.CreateInstanceRequest(instanceId=instance_id, name=name, input=given))

    def custom_status(self, instance_id: str) -> Json:
        """Return the custom status of an orchestration, empty if it has none."""
        request = pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=True)
        text = self.engine("GetInstance", request).orchestrationState.customStatus.value
        return json.loads(text) if text else {}

    def posts(self, vm: str) -> int:
        """Return how many restore POSTs the simulator has seen for a VM."""
        return len(self.requests(vm, "trigger_restore"))

    def requests(self, vm: str, action: str) -> list[Any]:
        """Return the simulator's records of one kind of call for a VM."""
        name = vm.rpartition("/")[2].lower()
        return [
            each
            for each in self.simulator.requests
            if each.action == action and (each.vm or "").lower().endswith(f"/{name}")
        ]

    def jobs(self, vm: str) -> list[str]:
        """Return the ids of the jobs that the simulator has made for a VM."""
        return [job.job_id for job in self.simulator.world.jobs_of(vm)]
