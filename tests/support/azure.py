"""A scripted Azure Backup behind the activities' protocol, on the hub's clock: no HTTP, no mocks."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from activities.restores import RestoreActivities
from domain import errors
from domain.answers import Accepted, Answer
from domain.azure.disks import Disk
from domain.azure.jobs import Job, JobStatus, Operation, OperationStatus
from domain.azure.machine_sizes import MachineSize
from domain.azure.permissions import Permission
from domain.azure.recovery_points import RecoveryPoint
from domain.azure.resource_graph import GraphPage
from domain.azure.resource_ids import same_id
from domain.azure.validation import Validation
from domain.azure.virtual_machines import VirtualMachine
from domain.codec import pack
from domain.errors import ErrorDetail, Json, TerminalError, TransientError, UnknownOutcomeError
from domain.requests import RestoreRequest
from domain.restore import calls
from domain.restore.answers import Claim, Done, Joined, Published, Running
from domain.restore.calls import entity_key
from domain.restore.machine import SLOT_EVENT
from domain.restore.parts import AlertStart, Source
from domain.restore.polling import Limits
from domain.restore.state import Restore, restore_id_for
from domain.restore.status_events import event_of
from domain.sealing import sealed
from domain.times import format_time, parse_request_time
from domain.watch.machine import JOIN_EVENT
from domain.watch.state import VaultWatch, is_reliable
from orchestrations import names
from orchestrations.entities import ENTITIES
from orchestrations.restore_vm import restore_vm
from orchestrations.watch_vault import watch_vault
from tests.support.hub import START, Hub

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from domain.azure.management_locks import ManagementLock
    from domain.azure.protected_items import ProtectedItem

SUBSCRIPTION = "/subscriptions/11111111-1111-1111-1111-111111111111"
VM_ID = f"{SUBSCRIPTION}/resourceGroups/web-rg/providers/Microsoft.Compute/virtualMachines/web-01"
VAULT_ID = f"{SUBSCRIPTION}/resourceGroups/backup-rg/providers/Microsoft.RecoveryServices/vaults/vault-weu"
STORAGE_ID = f"{SUBSCRIPTION}/resourceGroups/backup-rg/providers/Microsoft.Storage/storageAccounts/stagingweu"
TARGET_GROUP = f"{SUBSCRIPTION}/resourceGroups/restored-rg"
CONTAINER = "IaasVMContainer;iaasvmcontainerv2;web-rg;web-01"
ITEM = "VM;iaasvmcontainerv2;web-rg;web-01"
GUARD_REQUEST = (
    f"{SUBSCRIPTION}/resourceGroups/g/providers/Microsoft.DataProtection/resourceGuards/guard/requests/default"
)
SIZES = tuple(
    MachineSize(name=name, max_data_disks=count)
    for name, count in {
        "Standard_B2s": 4,
        "Standard_D2s_v5": 4,
        "Standard_D4s_v5": 8,
        "Standard_E4s_v5": 8,
        "Standard_E8s_v5": 16,
    }.items()
)
LIMITS = Limits(job_poll_min_s=15, job_poll_max_s=60, deadline_s=24 * 3600, adoption_window_s=120)


def a_request(**members: Any) -> Json:
    """Return a plain disk restore; members given as ``None`` are left out."""
    body = {
        "sourceResourceId": VM_ID,
        "recoveryType": "RestoreDisks",
        "storageAccountId": STORAGE_ID,
        "targetResourceGroupId": TARGET_GROUP,
        "validate": False,
        **members,
    }
    return {name: value for name, value in body.items() if value is not None}


def a_restore(
    limits: Limits = LIMITS,
    *,
    key: str = "test",
    started_by: str = "http",
    alert: AlertStart | None = None,
    created: datetime = START,
    **members: Any,
) -> Restore:
    """Return an accepted restore, its id derived from the key."""
    request = RestoreRequest.from_json(a_request(**members))
    return Restore.accept(
        request,
        restore_id=restore_id_for(key),
        source=Source(started_by),
        created=created,
        limits=limits,
        alert=alert,
    )


def an_alert_start(**members: Any) -> AlertStart:
    """Return what a rule without a budget says about starting."""
    usual: Json = {
        "alert_id": "a1",
        "rule": "web tier",
        "cool_down": timedelta(hours=1),
        "max_per_hour": None,
        "storm_vms": 10,
        "storm_within": timedelta(minutes=10),
    }
    return AlertStart(**{**usual, **members})


def vm_id(number: int) -> str:
    """Return the id of one of many VMs."""
    return f"{SUBSCRIPTION}/resourceGroups/web-rg/providers/Microsoft.Compute/virtualMachines/vm-{number}"


def a_point(point_id: str = "1103996678573089", hours_old: float = 2, **properties: Any) -> RecoveryPoint:
    """Return a recovery point as the service sends it."""
    time = (START - timedelta(hours=hours_old)).strftime("%Y-%m-%dT%H:%M:%S.1234567Z")
    base = {
        "recoveryPointType": "AppConsistent",
        "recoveryPointTime": time,
        "recoveryPointTierDetails": [{"type": "InstantRP", "status": "Valid"}],
    }
    return RecoveryPoint.from_api({"name": point_id, "properties": {**base, **properties}})


def a_machine(**properties: Any) -> Json:
    """Return a running VM with an OS disk and a data disk; ``properties`` replace its own."""
    disks = f"{SUBSCRIPTION}/resourceGroups/web-rg/providers/Microsoft.Compute/disks"
    return {
        "id": VM_ID,
        "location": "westeurope",
        "etag": '"1"',
        "properties": {
            "hardwareProfile": {"vmSize": "Standard_D2s_v5"},
            "provisioningState": "Succeeded",
            "storageProfile": {
                "osDisk": {
                    "osType": "Linux",
                    "name": "os",
                    "createOption": "FromImage",
                    "managedDisk": {"id": f"{disks}/os"},
                },
                "dataDisks": [
                    {"lun": 0, "name": "data", "createOption": "Attach", "managedDisk": {"id": f"{disks}/data"}}
                ],
            },
            "instanceView": {"statuses": [{"code": "PowerState/running"}]},
            **properties,
        },
    }


def disks_of(job_id: str, group_id: str = TARGET_GROUP) -> list[Disk]:
    """Return the disks that a job has made of a VM with one data disk."""
    names = ("web01-osdisk-20261123-080000", "web01-datadisk-000-20261123-080000")
    return [
        Disk.from_api(
            {
                "id": f"{group_id}/providers/Microsoft.Compute/disks/{name}",
                "name": name,
                "tags": {"RSVaultBackup": job_id},
                "properties": {"diskSizeGB": 127, **({"osType": "Linux"} if "osdisk" in name else {})},
            }
        )
        for name in names
    ]


class Clock(Protocol):
    """Whoever tells the time."""

    def now(self) -> datetime:
        """Return aware UTC."""
        ...


@dataclass(frozen=True, slots=True)
class MadeJob:
    """A job that Azure made, and the trigger's client request id in it."""

    job_id: str
    activity_id: str
    made: datetime


@dataclass(slots=True)
class ScriptedAzure:
    """Azure as far as a restore sees it. Everything goes well unless scripted otherwise."""

    clock: Clock
    job_takes: timedelta = timedelta(minutes=31)
    job_end: JobStatus = JobStatus.COMPLETED
    job_details: tuple[ErrorDetail, ...] = ()
    listed_after: timedelta = timedelta(0)
    points: list[RecoveryPoint] = field(default_factory=lambda: [a_point()])
    page_size: int = 1000
    retry_after: dict[str, float | None] = field(default_factory=lambda: {"trigger_restore": 60.0})
    fails: dict[str, list[Exception | None]] = field(default_factory=lambda: defaultdict(list))
    before: dict[str, list[Callable[[], object]]] = field(default_factory=lambda: defaultdict(list))
    posts: list[str] = field(default_factory=list)
    """What becomes of each restore POST in turn: accepted, lost (job made, no answer), unheard (no job, no answer),
    jobless (accepted, but no job is made), died (job made, then the worker dies)."""
    hides: list[Collection[str]] = field(default_factory=list)
    """The ids of running jobs that the next lists of running jobs do not have."""
    operations: list[Operation] = field(default_factory=list)
    validations: list[Validation] = field(default_factory=list)
    location: str = "westeurope"
    status: Json = field(
        default_factory=lambda: {
            "protectionStatus": "Protected",
            "vaultId": VAULT_ID,
            "containerName": CONTAINER,
            "protectedItemName": ITEM,
        }
    )
    machine: Json = field(default_factory=a_machine)
    """The VM with its instance view, as Azure Compute writes it."""
    permissions: list[Permission] = field(default_factory=lambda: [Permission(actions=("*",), not_actions=())])
    locks: list[ManagementLock] = field(default_factory=list)
    sizes: list[MachineSize] = field(default_factory=lambda: [*SIZES])
    vault: Json = field(default_factory=dict)
    staging: Json = field(default_factory=lambda: {"location": "westeurope", "sku": {"name": "Standard_LRS"}})
    item_properties: Json = field(default_factory=dict)
    more_items: list[Json] = field(default_factory=list)
    """The properties of the vault's other items."""
    more_items_first: bool = False
    guard_proxies: list[Json] = field(default_factory=list)
    jobs: list[MadeJob] = field(default_factory=list)
    bodies: list[Json] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    urls: list[str | None] = field(default_factory=list)
    operation_id: str | None = "operation-1"
    has_own_operations: bool = False
    """Whether each POST has an operation of its own, ``operation-2`` for the second; else the last one has the only."""
    validation_id: str | None = "validation-1"
    cancels: bool = True
    cancelled: dict[str, datetime] = field(default_factory=dict)
    tells_progress: bool = True
    property_bag: Json | None = None
    """The job's property bag; ``None`` for the one that Azure usually sends."""
    disks: list[Disk] | None = None
    """The managed disks of the resource group; ``None`` for two that each job has made, with its tag."""
    groups: list[str] = field(default_factory=list)
    """The resource groups whose disks were listed."""
    other_machines: dict[str, Json] = field(default_factory=dict)
    """The VMs beside the backed-up one, by their ids."""

    def _call(self, name: str) -> None:
        self.calls[name] += 1
        if self.before[name]:
            self.before[name].pop(0)()
        if self.fails[name] and (error := self.fails[name].pop(0)) is not None:
            raise error

    def get_virtual_machine_region(self, vm_id: str) -> str:
        self._call("get_virtual_machine_region")
        assert vm_id
        return self.location

    def get_backup_status(self, vm_id: str, region: str) -> Json:
        self._call("get_backup_status")
        assert vm_id.startswith(SUBSCRIPTION)
        assert region == self.location
        return self.status

    def get_virtual_machine(self, vm_id: str) -> Answer[VirtualMachine]:
        self._call("get_virtual_machine")
        body = self.machine if same_id(vm_id, VM_ID) else self.other_machines.get(vm_id)
        if body is None:
            raise TerminalError(errors.NOT_FOUND, f"Azure does not find {vm_id}.")
        return Answer(VirtualMachine.from_api(body))

    def list_permissions(self, scope: str) -> Iterable[Permission]:
        self._call("list_permissions")
        assert same_id(scope, VM_ID) or scope == STORAGE_ID
        return self.permissions

    def list_locks(self, resource_id: str) -> Iterable[ManagementLock]:
        self._call("list_locks")
        assert same_id(resource_id, VM_ID)
        return self.locks

    def list_machine_sizes(self, subscription: str, location: str) -> Iterable[MachineSize]:
        self._call("list_machine_sizes")
        assert (subscription, location) == (SUBSCRIPTION, self.location)
        return self.sizes

    def get_vault_region(self, vault_id: str) -> str:
        self._call("get_vault_region")
        assert vault_id == VAULT_ID
        return self.location

    def get_vault(self, vault_id: str) -> Json:
        self._call("get_vault")
        assert vault_id == VAULT_ID
        return self.vault

    def get_storage_account(self, account_id: str) -> Json:
        self._call("get_storage_account")
        assert account_id == STORAGE_ID
        return self.staging

    def list_resource_guard_proxies(self, vault_id: str) -> Iterable[Json]:
        self._call("list_resource_guard_proxies")
        assert vault_id == VAULT_ID
        return self.guard_proxies

    def get_protected_item(self, vault_id: str, container_name: str, protected_item_name: str) -> Json:
        self._call("get_protected_item")
        item = f"backupFabrics/Azure/protectionContainers/{container_name}/protectedItems/{protected_item_name}"
        return {"id": f"{vault_id}/{item}", "properties": {"sourceResourceId": VM_ID, **self.item_properties}}

    def list_protected_items(self, vault_id: str) -> Iterable[Json]:
        self._call("list_protected_items")
        item = f"backupFabrics/Azure/protectionContainers/{CONTAINER}/protectedItems/{ITEM}"
        others = [{"id": f"{vault_id}/{item}-{n}", "properties": more} for n, more in enumerate(self.more_items)]
        own = {"id": f"{vault_id}/{item}", "properties": {"virtualMachineId": VM_ID.upper(), **self.item_properties}}
        return [*others, own] if self.more_items_first else [own, *others]

    def list_recovery_points(self, item: ProtectedItem) -> Iterable[RecoveryPoint]:
        return [point for page, _ in self.recovery_point_pages(item, None) for point in page]

    def recovery_point_pages(
        self, item: ProtectedItem, link: str | None
    ) -> Iterable[tuple[list[RecoveryPoint], str | None]]:
        assert item.protected_item_name == ITEM
        pages = -(-len(self.points) // self.page_size) or 1
        for page in range(int(link or 0), pages):
            self._call("list_recovery_points")
            following = str(page + 1) if page + 1 < pages else None
            yield self.points[page * self.page_size : (page + 1) * self.page_size], following

    def get_recovery_point(self, item: ProtectedItem, point_id: str) -> RecoveryPoint:
        self._call("get_recovery_point")
        assert item.protected_item_name == ITEM
        found = [point for point in self.points if point.point_id == point_id]
        if not found:
            raise TerminalError(errors.NOT_FOUND, "no such point")
        return found[0]

    def trigger_validation(self, item: ProtectedItem, point_id: str, restore_request: Json) -> Accepted:
        self._call("trigger_validation")
        assert restore_request["recoveryPointId"] == point_id
        assert item.vault_id == VAULT_ID
        return Accepted(operation_id=self.validation_id, url=None, retry_after_s=10)

    def get_validation(self, vault_id: str, operation_id: str, url: str | None) -> Answer[Validation]:
        self._call("get_validation")
        assert (vault_id, operation_id, url) == (VAULT_ID, "validation-1", None)
        seen = self.validations.pop(0) if self.validations else Validation(status=OperationStatus.SUCCEEDED)
        return Answer(seen, self.retry_after.get("get_validation"))

    def trigger_restore(self, item: ProtectedItem, point_id: str, body: Json, *, client_request_id: str) -> Accepted:
        self._call("trigger_restore")
        assert item.vault_id == VAULT_ID
        assert body["properties"]["recoveryPointId"] == point_id
        self.bodies.append(body)
        fate = self.posts.pop(0) if self.posts else "accepted"
        if fate not in {"unheard", "jobless"}:
            self.jobs.append(MadeJob(f"job-{len(self.jobs) + 1}", client_request_id, self.clock.now()))
        if fate == "died":
            raise RuntimeError("python exited with code 137 (0x89)")
        if fate not in {"accepted", "jobless"}:
            raise UnknownOutcomeError(
                errors.SERVICE_UNAVAILABLE, "the connection broke", retry_after_s=self.retry_after.get("open")
            )
        own = f"operation-{len(self.jobs)}" if self.has_own_operations else self.operation_id
        return Accepted(operation_id=own, url="https://azure/op-1", retry_after_s=self.retry_after["trigger_restore"])

    def find_restore_job(self, vault_id: str, *, activity_id: str) -> Job | None:
        self._call("find_restore_job")
        assert vault_id == VAULT_ID
        now = self.clock.now()
        listed = [job for job in self.jobs if job.activity_id == activity_id and job.made + self.listed_after <= now]
        return self._job(listed[0]) if listed else None

    def list_restore_jobs(self, vault_id: str) -> Iterable[Job]:
        self._call("list_restore_jobs")
        assert vault_id == VAULT_ID
        return [self._job(job) for job in self.jobs]

    def query_resources(self, query: str, *, skip_token: str | None = None) -> Answer[GraphPage]:
        self._call("query_resources")
        assert query.startswith("recoveryservicesresources")
        assert skip_token is None
        item = f"{VAULT_ID}/backupFabrics/Azure/protectionContainers/{CONTAINER}/protectedItems/{ITEM}"
        row = {"id": item, "sourceResourceId": VM_ID}
        return Answer(GraphPage(rows=(row,), skip_token=None, total=1))

    def list_running_jobs(self, vault_id: str) -> Answer[dict[str, str | None]]:
        self._call("list_running_jobs")
        assert vault_id == VAULT_ID
        now = self.clock.now()
        listed = [job for job in self.jobs if job.made + self.listed_after <= now]
        running = {job.activity_id: job.job_id for job in listed if self._job(job).status is JobStatus.IN_PROGRESS}
        hidden = self.hides.pop(0) if self.hides else ()
        shown: dict[str, str | None] = {key: job_id for key, job_id in running.items() if job_id not in hidden}
        return Answer(shown, self.retry_after.get("list_running_jobs"))

    def get_operation(self, vault_id: str, operation_id: str, url: str | None) -> Answer[Operation]:
        self._call("get_operation")
        assert vault_id == VAULT_ID
        assert operation_id == "operation-1" or self.has_own_operations
        self.urls.append(url)
        if self.operations:
            return Answer(self.operations.pop(0), self.retry_after.get("get_operation"))
        made = self.jobs[int(operation_id.rpartition("-")[2]) - 1 if self.has_own_operations else -1]
        done = Operation(status=OperationStatus.SUCCEEDED, job_id=made.job_id)
        return Answer(done, self.retry_after.get("get_operation"))

    def get_job(self, vault_id: str, job_id: str) -> Answer[Job]:
        self._call("get_job")
        assert vault_id == VAULT_ID
        return Answer(
            self._job(next(job for job in self.jobs if job.job_id == job_id)), self.retry_after.get("get_job")
        )

    def cancel_job(self, vault_id: str, job_id: str) -> float | None:
        self._call("cancel_job")
        assert vault_id == VAULT_ID
        if self.cancels:
            self.cancelled[job_id] = self.clock.now()
        return self.retry_after.get("cancel_job")

    def list_disks(self, resource_group_id: str) -> Iterable[Disk]:
        self._call("list_disks")
        self.groups.append(resource_group_id)
        if self.disks is not None:
            return self.disks
        return [disk for job in self.jobs for disk in disks_of(job.job_id, resource_group_id)]

    def _job(self, made: MadeJob) -> Job:
        if made.job_id in self.cancelled and self.clock.now() < made.made + self.job_takes:
            return self._cancelled(made.job_id)
        end = made.made + self.job_takes
        if self.clock.now() < end:
            gone = (self.clock.now() - made.made) / self.job_takes
            progress = round(99 * gone, 1) if self.tells_progress else None
            return Job(job_id=made.job_id, status=JobStatus.IN_PROGRESS, progress_pct=progress)
        return Job(
            job_id=made.job_id,
            status=self.job_end,
            activity_id=made.activity_id,
            progress_pct=100.0,
            start=made.made,
            end=end,
            details=self.job_details,
            property_bag=self._bag() if self.property_bag is None else self.property_bag,
        )

    def _bag(self) -> Json:
        body = self.bodies[-1]["properties"] if self.bodies else {"recoveryType": "RestoreDisks"}
        bag = {"Target Storage Account Name": "stagingweu"}
        if body["recoveryType"] == "RestoreDisks":
            bag |= {"Config Blob Uri": "https://s/config.json", "Create VM Template Blob Uri": "https://s/vm.json"}
        if body["recoveryType"] == "OriginalLocation":
            return {**bag, "Target resource group": "web-rg", "Target VM Name": "web-01"}
        for member, key in (
            ("targetResourceGroupId", "Target resource group"),
            ("targetVirtualMachineId", "Target VM Name"),
        ):
            if member in body:
                bag[key] = body[member].rpartition("/")[2]
        return bag

    def _cancelled(self, job_id: str) -> Job:
        gone = self.clock.now() - self.cancelled[job_id]
        status = JobStatus.CANCELLING if gone < timedelta(seconds=30) else JobStatus.CANCELLED
        return Job(job_id=job_id, status=status, details=(ErrorDetail(code="Cancelled", message="Job is cancelled."),))


def find_running(hub: Hub, restore_id: str) -> Running:
    """Answer as ``triggers.durable.find_running`` does: one that only hands out its result runs no more."""
    if restore_id not in hub.instances():
        return Running(is_running=False)
    state = hub.state(restore_id)
    if (state.custom_status or {}).get("phase") == "Finished":
        return Running(is_running=False, ended=parse_request_time(state.custom_status["completedTime"]))
    return Running(is_running=not state.is_over, ended=state.last_updated_at if state.is_over else None)


def join_watch(hub: Hub, call: calls.JoinWatch) -> bool:
    """Register a restore at the watcher of its vault, as ``triggers.watching.join_watch`` does."""
    watcher_id, now, shown = watcher_of(call.vault_id), hub.clock.now(), None
    if watcher_id not in hub.instances() or hub.state(watcher_id).is_over:
        hub.start(names.WATCH_VAULT, pack(VaultWatch.begin(call.vault_id, call.limits, now)), instance_id=watcher_id)
    else:
        shown = hub.state(watcher_id).custom_status
    if hub.state(watcher_id).status == "Pending":
        raise TransientError(errors.SERVICE_UNAVAILABLE, f"{watcher_id} has not begun to run")
    hub.raise_event(watcher_id, JOIN_EVENT, {**pack(call), "time": format_time(now)})
    return is_reliable(shown, call, now)


def watcher_of(vault_id: str = VAULT_ID) -> str:
    """Return the instance id of a vault's watcher."""
    return f"watch-{entity_key(vault_id)}"


class PostClaims:
    """The claims of attempts to post, as ``triggers.durable.claim`` keeps them in the task hub: for all processes."""

    def __init__(self) -> None:
        self._owners: dict[tuple[str, int], str] = {}

    def take(self, client_request_id: str, attempt: int) -> bool:
        """Claim an attempt for a delivery of the trigger; each is another one."""
        return self._take(client_request_id, attempt, by="")

    def claim_post(self, call: calls.ClaimPost) -> Answer[Claim]:
        """Claim an attempt for its restore, which may claim it again."""
        return Answer(Claim(is_ours=self._take(call.client_request_id, call.attempt, by="restore")))

    def _take(self, client_request_id: str, attempt: int, *, by: str) -> bool:
        is_first = (client_request_id, attempt) not in self._owners
        owner = self._owners.setdefault((client_request_id, attempt), by)
        return owner == by and (is_first or bool(by))


class Receivers:
    """The queues of results and of events, and the webhook: what they received, and how many of the next calls fail."""

    def __init__(self) -> None:
        self.published: list[Json] = []
        self.publishing_fails = 0
        self.has_webhook = False
        self.posted: list[Json] = []
        self.posting_fails = 0
        self.events: list[Json] = []
        self.publishing_events_fails = 0
        self.posted_events: list[Json] = []
        self.posting_events_fails = 0

    def publish(self, call: calls.PublishResult) -> Answer[Published]:
        """Put the result on the queue."""
        if self.publishing_fails:
            self.publishing_fails -= 1
            raise ConnectionError("the queue is away")
        self.published.append(call.document)
        return Answer(Published(has_webhook=self.has_webhook))

    def post(self, call: calls.PostResult) -> Answer[Done]:
        """Post the result to the webhook."""
        if self.posting_fails:
            self.posting_fails -= 1
            raise ConnectionError("the webhook is away")
        self.posted.append(call.document)
        return Answer(Done())

    def publish_events(self, call: calls.PublishEvents) -> Answer[Done]:
        """Put events on the queue."""
        if self.publishing_events_fails:
            self.publishing_events_fails -= 1
            raise ConnectionError("the queue is away")
        self.events += [event_of(change) for change in call.changes]
        return Answer(Done())

    def post_event(self, call: calls.PostEvent) -> Answer[Done]:
        """Post an event to the webhook, if there is one."""
        if self.posting_events_fails:
            self.posting_events_fails -= 1
            raise ConnectionError("the webhook is away")
        if self.has_webhook:
            self.posted_events.append(event_of(call.change))
        return Answer(Done())


class Lab:
    """A hub with the real orchestrator and activities over a scripted Azure."""

    def __init__(self, *, redeliver: bool | Callable[[str], bool] = False) -> None:
        self.receivers = Receivers()
        self.loses_wakes = False
        self.claims = PostClaims()
        self.azure = ScriptedAzure(_LabClock(self))
        clock = self.azure.clock.now
        activities = RestoreActivities(self.azure, clock=clock)
        others: dict[type[calls.ActivityCall], Callable[[Any], Answer[Any]]] = {
            calls.ClaimPost: self.claims.claim_post,
            calls.PublishResult: self.receivers.publish,
            calls.PostResult: self.receivers.post,
            calls.PublishEvents: self.receivers.publish_events,
            calls.PostEvent: self.receivers.post_event,
            calls.FindRunning: self._find_running,
            calls.WakeRestore: self._wake,
            calls.JoinWatch: self._join,
        }
        self.hub = Hub(
            orchestrators={
                names.RESTORE_VM: restore_vm,
                names.WATCH_VAULT: watch_vault,
                **self.more_orchestrators(),
            },
            entities=dict(ENTITIES),
            activities={
                **activities.by_name(),
                calls.StartRestore.name: activities.start_restore_with(self.claims.take),
                **{kind.name: sealed(kind, activity, clock) for kind, activity in others.items()},
                **self.more_activities(),
            },
            redeliver_activities=redeliver,
        )

    def more_orchestrators(self) -> dict[str, Callable[..., Any]]:
        """Return what runs beside restores; ``tests.support.recovery_lab`` has recoveries."""
        return {}

    def more_activities(self) -> dict[str, Callable[..., Any]]:
        """Return the activities that these call, or that take the place of a restore's own."""
        return {}

    def _find_running(self, call: calls.FindRunning) -> Answer[Running]:
        return Answer(find_running(self.hub, call.restore_id))

    def _wake(self, call: calls.WakeRestore) -> Answer[Done]:
        if self._is_running(call.restore_id) and not self.loses_wakes:
            self.hub.raise_event(call.restore_id, SLOT_EVENT)
        return Answer(Done())

    def _join(self, call: calls.JoinWatch) -> Answer[Joined]:
        return Answer(Joined(is_watched=join_watch(self.hub, call)))

    def _is_running(self, restore_id: str) -> bool:
        return restore_id in self.hub.instances() and not self.hub.state(restore_id).is_over

    def run(self, restore: Restore | None = None) -> Json:
        """Run one restore to its end; returns the final document."""
        return self.hub.finish(self.start(restore or a_restore()))

    def start(self, restore: Restore) -> str:
        """Queue a restore; returns its id."""
        return self.hub.start(names.RESTORE_VM, pack(restore), instance_id=restore.restore_id)

    def document(self, restore_id: str) -> Json:
        """Return what a caller sees of a restore, once it says something."""
        state = self.hub.state(restore_id)
        return state.output or state.custom_status or {}

    def reach(self, restore_id: str, status: str) -> Json:
        """Run until the restore tells this status; returns its document."""
        self.hub.run_until(lambda: self.document(restore_id).get("status") == status)
        return self.document(restore_id)

    def settle(self) -> None:
        """Let everything arrive that has been sent, without moving the clock."""
        self.hub.run_until(self.hub.clock.now())

    def lock(self, vm: str = VM_ID) -> Json:
        """Return what the VM's lock remembers."""
        return self.hub.entity_state(calls.AcquireLock.entity, entity_key(vm)) or {}

    def waits_s(self) -> list[float]:
        """Return how long the restore waited with each durable timer, in seconds.

        A timer is set a second later than what is waited for, since the engine may deliver it a second early.
        """
        timers = self.hub.timers(restore_id_for("test"))
        return [(each.fire_at - each.created_at).total_seconds() - 1 for each in timers]

    @property
    def elapsed_s(self) -> float:
        """How long it took by the clock."""
        return self.hub.clock.elapsed.total_seconds()


class _LabClock:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def now(self) -> datetime:
        return self._lab.hub.clock.now().astimezone(UTC)


def throttled(retry_after_s: float | None) -> TransientError:
    """Return a 429 that asks for this wait."""
    return TransientError(errors.SERVICE_UNAVAILABLE, "too many requests", retry_after_s=retry_after_s)


def forbidden(words: str, *, status: int = 403) -> TerminalError:
    """Return a refusal in these words of the service's."""
    detail = ErrorDetail(code="AuthorizationFailed", message=words, info={"httpStatus": status})
    return TerminalError(errors.AUTHORIZATION_FAILED, "The app's identity lacks a permission.", [detail])


GUARD_CLOSED = forbidden(
    "no permission to perform 'Microsoft.DataProtection/resourceGuards/triggerRestoreRequests/read'"
)
