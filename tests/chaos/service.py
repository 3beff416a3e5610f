"""Azure in process: the project's simulator behind a ``requests`` adapter, and a network that fails as it was drawn to.

Every answer's wait is noted down, and every call that comes too early.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from io import BytesIO
from random import Random
from typing import TYPE_CHECKING, Any, Final, override
from urllib.parse import parse_qsl, unquote, urlsplit

import requests
from azure.core.credentials import AccessToken
from azure.core.exceptions import ServiceRequestError
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NameResolutionError,
    ProtocolError,
    ReadTimeoutError,
)

from arm.backup import BackupClient
from arm.blobs import BlobReader
from arm.session import ArmSession
from domain.wire import as_object
from simulator.calls import Answer, Call
from simulator.clock import SystemClock, Timeline
from simulator.errors import ArmError
from simulator.gateway import answer
from simulator.providers.backup.jobs import RUNNING
from simulator.providers.compute.bodies import DISK_TYPE, VM_TYPE
from simulator.providers.compute.machines import put_virtual_machine
from simulator.providers.compute.state import DEALLOCATED
from simulator.providers.network.interfaces import put_interface
from simulator.scenario import Scenario
from simulator.world import World
from tests.chaos.made_plans import ATTACHED, CREATED, NAME_TAKEN, network, new_vm, rescue_vm, target_group
from tests.chaos.plans import RESTORES_PER_VAULT, log_uniform
from tests.chaos.swap_plans import data_luns, is_off
from tests.support.azure import SUBSCRIPTION

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

    from domain.errors import Json
    from simulator.providers.backup.jobs import Job
    from tests.chaos.plans import Plan
    from tests.support.hub import Clock

HOST: Final = "management.azure.com"
BLOB_HOST: Final = "stagingweu.blob.core.windows.net"
SEEN_TYPES: Final = (
    VM_TYPE,
    DISK_TYPE,
    "Microsoft.Network/networkInterfaces",
    "Microsoft.Network/publicIPAddresses",
    "Microsoft.Resources/deployments",
)
_CHANCE: Final = 0.06
_LONGEST_WAIT_S: Final = 45 * 60
_TOLERANCE: Final = timedelta(milliseconds=1)
_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class EarlyCall:
    """A call that came before the last wait on its URL was over."""

    restore_id: str
    method: str
    path: str
    at: datetime
    allowed: datetime
    told_by: int
    """The status of the answer that asked for the wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """A DELETE that has reached Azure: who asked for it, and what was there, ``None`` if nothing was.

    ``other_vm`` are the ids, in lower case, of the disks that the VM has to which the restore's disks are attached.
    """

    plan: Plan
    path: str
    body: Mapping[str, Any] | None
    other_vm: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class VmSeen:
    """A VM and all disks of the store at a moment: before a restore changed the VM for the first time, or at the end.

    ``disks`` are by their ids in lower case; ``restore_id`` is the restore that is about to change the VM.
    """

    restore_id: str
    power: str
    body: Mapping[str, Any]
    disks: Mapping[str, Mapping[str, Any]]

    @property
    def places(self) -> dict[int | None, str]:
        """The ids of the VM's disks, in lower case, by LUN; ``None`` is the OS disk."""
        return _places(self.body)


class Service(HTTPAdapter):
    """The whole of Azure for one run. ``caller`` is whose activity runs at the moment."""

    def __init__(self, clock: Clock, seed: int, plans: Iterable[Plan]) -> None:
        super().__init__()
        self.clock = clock
        plans = list(plans)
        self.world = World(_scenario(plans), _timeline(clock))
        self.world.random = Random(seed)
        self.early: list[EarlyCall] = []
        self.strangers: list[str] = []
        self.calls: Counter[str] = Counter()
        self.natural_429s = 0
        self._caller: Plan | None = None
        self._counts = True
        self.trace: Callable[[str], None] | None = None
        self._waits: dict[str, dict[str, tuple[datetime, int]]] = {}
        self._deleted: dict[str, datetime] = {}
        self._outside: list[tuple[datetime, str]] = []
        self.audiences: set[str] = set()
        self.touched: dict[str, list[VmSeen]] = {}
        """What the VMs were when a restore began to change them, by their ids in lower case."""
        self.foreign: dict[str, set[str]] = {}
        """The disks that somebody else has attached, by the ids of their VMs in lower case."""
        self.on_touch: Callable[[Plan], object] = lambda _plan: None
        self.deletions: list[Deletion] = []
        self.deployed: Counter[str] = Counter()
        """How often a deployment was accepted, by its path in lower case."""
        self.taken: set[str] = set()
        """What somebody else has made under the names of restores, by ids in lower case."""
        self.used: set[str] = set()
        """The restores that have begun to use their disks for a new VM or an attachment."""
        self._stop_some({plan.vm_id for plan in plans if is_off(plan.vm)})
        self.first_disks = set(self.seen_disks())
        self.first_resources = self.see_resources()

    def _stop_some(self, vms: Iterable[str]) -> None:
        for vm in vms:
            self.world.compute.machines[vm.lower()].set_power(DEALLOCATED, self.world.now())

    def seen_disks(self) -> dict[str, Mapping[str, Any]]:
        """Return all disks by their ids in lower case."""
        return {str(disk["id"]).lower(): disk for disk in self.world.store.of_type(DISK_TYPE)}

    def see_vm(self, vm_id: str, restore_id: str = "") -> VmSeen:
        """Return a VM as it is now."""
        self.world.settle()
        body = self.world.store.get(vm_id)
        assert body is not None, f"{vm_id} is gone"
        power = self.world.compute.machines[vm_id.lower()].power
        return VmSeen(restore_id=restore_id, power=power, body=body, disks=self.seen_disks())

    def client(self) -> BackupClient:
        """Return the app's own client, whose every request comes here."""
        session = ArmSession(f"https://{HOST}", lambda: _Credential(self), clock=self.clock.now)
        blobs = BlobReader(f"https://{HOST}", lambda: _Credential(self), clock=self.clock.now)
        for scheme in ("https://", "http://"):
            session._http.mount(scheme, self)  # pyright: ignore[reportPrivateUsage]
            blobs._http.mount(scheme, self)  # pyright: ignore[reportPrivateUsage]
        return BackupClient(session, api_version="2025-08-01", blobs=blobs)

    @contextmanager
    def calling(self, plan: Plan, *, counts: bool) -> Generator[None]:
        """Let a restore's activity call. An activity whose answer is lost (not ``counts``) cannot hand on any wait."""
        known = dict(self._waits.get(plan.restore_id, {}))
        self._caller, self._counts = plan, counts
        try:
            yield
        finally:
            self._caller, self._counts = None, True
            if not counts:
                self._waits[plan.restore_id] = known

    def jobs_of(self, activity_id: str) -> list[Job]:
        """Return the jobs that the service made for a client request id."""
        return [job for job in self.world.jobs.values() if job.activity_id == activity_id]

    def delete_vault(self, plan: Plan) -> None:
        """Let everything in the vault be gone for this restore from now on."""
        plan.struck["vault_deleted"] += 1
        self._deleted[plan.restore_id] = self.clock.now()

    def cancel_outside(self, plan: Plan, activity_id: str) -> None:
        """Cancel a restore's job as a person in the portal would."""
        for job in self.jobs_of(activity_id):
            if job.status(self.world.now()) in RUNNING and job.cancelled_at is None:
                plan.struck["job_cancelled_outside"] += 1
                self.world.cancel(job)

    def ask_identity(self) -> None:
        """Raise what a credential does when the identity endpoint is away."""
        if self._caller is not None and self._caller.strikes("identity_away", _CHANCE):
            raise ServiceRequestError("Failed to establish a new connection")

    def token(self, scope: str) -> str:
        """Give out a token."""
        return self.world.tokens.issue(scope.removesuffix("/.default")).text

    def see_resources(self) -> dict[str, Mapping[str, Any]]:
        """Return all VMs, interfaces, addresses, disks and deployments by their ids in lower case."""
        self.world.settle()
        return {str(body["id"]).lower(): body for kind in SEEN_TYPES for body in self.world.store.of_type(kind)}

    def take_name(self, plan: Plan) -> None:
        """Let somebody else make the interface or the VM that a restore is about to make, unless it is there."""
        vm = new_vm(plan.number)
        suffix = f"-nic-new-{plan.number}" if plan.members[CREATED].get("template") else "-nic"
        names = vm.rpartition("/")[2], plan.random.random() < 0.5
        interface = network(plan.number).rpartition("/virtualNetworks/")[0] + f"/networkInterfaces/{names[0]}{suffix}"
        takes_vm = names[1]
        wanted = vm if takes_vm else interface
        if self.world.store.get(wanted) is not None:
            return
        nic = f"{interface}-of-others" if takes_vm else interface
        put_interface(self.world, nic, _interface_of_others(plan.number))
        self.taken.add(nic.lower())
        plan.struck[NAME_TAKEN] += 1
        if takes_vm:
            disk = f"{target_group(plan.number)}/providers/{DISK_TYPE}/of-others"
            model = next(
                iter(self.world.store.of_type(DISK_TYPE, below=rescue_vm(plan.number).partition("/providers/")[0]))
            )
            free = {**model["properties"], "diskState": "Unattached"}
            copied = {name: value for name, value in model.items() if name != "managedBy"}
            self.world.store.put({**copied, "id": disk, "name": "of-others", "properties": free})
            with suppress(ArmError):  # the faults of the group may refuse it
                put_virtual_machine(self.world, vm, _vm_of_others(disk, nic))
                self.taken.add(vm.lower())

    @override
    def send(self, request: requests.PreparedRequest, *_args: Any, **_options: Any) -> requests.Response:
        """Answer one request of the app, or fail as the network does."""
        assert self._caller is not None, "somebody calls outside of an activity"
        url = urlsplit(request.url or "")
        if url.hostname not in {HOST, BLOB_HOST} or url.scheme != "https":
            self.strangers.append(f"{url.scheme}://{url.hostname}")
            raise _no_such_name(request)
        place = _place(request)
        self._check(place)
        try:
            given = self._answer(self._caller, request, _call(request))
            if given.dropped:
                raise _dropped(request)
        except requests.RequestException as error:
            self._tell(f"{place}: {type(error).__name__}")
            raise
        self._tell(f"{place}: {given.status} {_waits_of(given.headers)}")
        self._note(place, given)
        body = given.raw if given.raw is not None else b"" if given.body is None else json.dumps(given.body).encode()
        headers = {"Content-Type": given.content_type, **given.headers}
        raw = HTTPResponse(body=BytesIO(body), headers=headers, status=given.status, preload_content=False)
        return self.build_response(request, raw)

    def _tell(self, what: str) -> None:
        if self.trace is not None and self._caller is not None:
            self.trace(f"{self.clock.now():%d %H:%M:%S} {self._caller.number} {what}")

    # Waits

    def _check(self, place: str) -> None:
        assert self._caller is not None
        self.calls[place.partition(" ")[0]] += 1
        known = self._waits.setdefault(self._caller.restore_id, {}).get(place)
        if not self._counts or known is None or self.clock.now() >= known[0] - _TOLERANCE:
            return
        method, _, path = place.partition(" ")
        early = EarlyCall(self._caller.restore_id, method, path, self.clock.now(), *known)
        self.early.append(early)
        self._tell(f"TOO EARLY, allowed from {known[0]:%H:%M:%S} on")

    def _note(self, place: str, given: Answer) -> None:
        assert self._caller is not None
        allowed = _allowed_from(given.headers, self.clock.now())
        if allowed is not None:
            self._waits[self._caller.restore_id][place] = (allowed, given.status)

    # Answers

    def _answer(self, plan: Plan, request: requests.PreparedRequest, call: Call) -> Answer:
        fault = self._drawn(plan, call)
        if fault is not None and (given := self._before(plan, fault, request)) is not None:
            return given
        is_trigger = call.method == "POST" and call.path.endswith("/restore")
        trigger = self._trigger_fault(plan) if is_trigger else None
        if trigger is not None and (given := _instead_of_trigger(trigger, request)) is not None:
            return given
        self._see_touch(plan, call)
        self._see_use(plan, call)
        given = self._broken(plan, call) or answer(self.world, call).answer
        self._see_foreign(plan)
        if call.method == "PUT" and "/deployments/" in call.path and given.status < 300:
            self.deployed[call.path.lower()] += 1
        self.natural_429s += given.status == 429
        if fault in _LOST_WRITES and not is_trigger and given.status < 300:
            return _lost_write(fault, request)
        if trigger is not None and given.status == 202:
            return _after_trigger(plan, trigger, request)
        return self._after(plan, fault, call, given)

    def _see_touch(self, plan: Plan, call: Call) -> None:
        """Note what a VM is before a restore changes it for the first time, or before Azure Backup does."""
        is_change = f"{call.path}/".lower().startswith(f"{plan.vm_id}/".lower()) and call.method != "GET"
        in_place = plan.members.get("recoveryType") == "OriginalLocation" and call.path.endswith("/restore")
        known = self.touched.setdefault(plan.vm_id.lower(), []) if is_change or in_place else []
        if (is_change or in_place) and (not known or known[-1].restore_id != plan.restore_id):
            known.append(self.see_vm(plan.vm_id, plan.restore_id))
            self.on_touch(plan)

    def _see_use(self, plan: Plan, call: Call) -> None:
        """Note that a restore begins to use its disks, and what it deletes."""
        if call.method == "DELETE":
            other = self.world.store.get(rescue_vm(plan.number)) if ATTACHED in plan.members else None
            held = frozenset() if other is None else frozenset(_places(other).values())
            seen = self.world.store.get(call.path)
            self.deletions.append(Deletion(plan=plan, path=call.path, body=seen, other_vm=held))
        is_change = call.method == "PUT" or call.path.endswith("/attachDetachDataDisks")
        if plan.uses_disks and is_change and plan.restore_id not in self.used:
            self.used.add(plan.restore_id)
            self.on_touch(plan)

    def _see_foreign(self, plan: Plan) -> None:
        key = plan.vm_id.lower()
        if key in self.touched:
            disks = _places(self.world.store.get(key) or {}).values()
            self.foreign.setdefault(key, set()).update(disk for disk in disks if "/foreign-" in disk)

    def _drawn(self, plan: Plan, call: Call) -> str | None:
        """Draw what strikes this call: what struck its address before goes on for a while."""
        place = f"{call.method} {call.path}"
        fault, left = plan.bursts.get(place, ("", 0))
        if left:
            plan.bursts[place] = (fault, left - 1)
            plan.struck[fault] += 1
            return fault
        kinds = _BEFORE | _AFTER - (_LOST_WRITES if call.method in _READS else set())
        for fault in sorted(plan.faults & kinds):
            if plan.strikes(fault, _CHANCE):
                plan.bursts[place] = (fault, plan.random.choice(_BURSTS.get(fault, (0,))))
                return fault
        return None

    def _before(self, plan: Plan, fault: str, request: requests.PreparedRequest) -> Answer | None:
        """Let a fault strike ahead of the service: an answer of its own, an exception, or nothing after all."""
        if fault in _NO_ANSWER:
            self._let_pass(plan, fault)
            raise _NO_ANSWER[fault](request)
        if fault.startswith("throttled"):
            return _error(429, "ResourceRequestsThrottled", self._wait(plan, fault))
        if fault == "unavailable_503":
            headers = self._wait(plan, "throttled_seconds") if plan.random.random() < 0.3 else {}
            return _error(503, "ServerTimeout", headers)
        if fault == "token_expired":
            self.world.expire_tokens()
        statuses = {
            "token_refused": (401, "InvalidAuthenticationToken"),
            "forbidden_for_a_while": (403, "Forbidden"),
            "error_500": (500, "InternalServerError"),
            "gateway_timeout_504": (504, "GatewayTimeout"),
        }
        if fault == "proxy_page":
            return Answer(status=200, raw=b"<html>Please sign in</html>", content_type="text/html")
        return _error(*statuses[fault]) if fault in statuses else None

    def _let_pass(self, plan: Plan, fault: str) -> None:
        if fault in {"read_timeout", "connect_timeout"}:
            self.clock.advance(timedelta(seconds=plan.random.choice((1, 5))))

    def _wait(self, plan: Plan, fault: str) -> dict[str, str]:
        """Return the header of a wait from a second to 45 minutes."""
        wait_s = log_uniform(plan.random, 1, _LONGEST_WAIT_S)
        if fault == "throttled_milliseconds":
            return {"x-ms-retry-after-ms": str(round(wait_s * 1000))}
        if fault == "throttled_http_date":
            moment = self.clock.now().astimezone(UTC) + timedelta(seconds=wait_s)
            dated = {"Date": format_datetime(self.clock.now().astimezone(UTC).replace(microsecond=0), usegmt=True)}
            return {"Retry-After": format_datetime(moment, usegmt=True)} | (dated if plan.random.random() < 0.5 else {})
        return {"Retry-After": str(round(wait_s))}

    def _trigger_fault(self, plan: Plan) -> str | None:
        fault = next((each for each in plan.faults if each.startswith("trigger_")), None)
        if fault is None or plan.struck[fault] >= plan.trigger_strikes:
            return None
        plan.struck[fault] += 1
        return fault

    def _broken(self, plan: Plan, call: Call) -> Answer | None:
        """Return what a vault that is gone answers, or one that has forgotten an operation, or does not know a job."""
        if plan.restore_id in self._deleted and "/vaults/" in call.path:
            return _error(404, "ResourceNotFound")
        if plan.has("operation_404") and any(
            each in call.path for each in ("/operationsStatus/", "/backupOperations/")
        ):
            plan.struck["operation_404"] += 1
            return _error(404, "BMSUserErrorOperationNotFound")
        job = self.world.jobs.get(call.path.rpartition("/")[2].lower())
        if plan.has("job_404_first_minute") and job is not None and self.world.now() < job.started + _MINUTE:
            plan.struck["job_404_first_minute"] += 1
            return _error(404, "BMSUserErrorJobNotFound")
        return None

    def _after(self, plan: Plan, fault: str | None, call: Call, given: Answer) -> Answer:
        """Let a fault strike the service's own answer."""
        if fault == "truncated_json" and given.body is not None and call.method == "GET":
            text = json.dumps(given.body).encode()
            return replace(given, raw=text[: len(text) // 2])
        wanted = "asked_to_wait_by_a_success" if _is_followed(call.path) else "asked_to_wait_by_a_read"
        if fault == wanted and given.status < 300 and "Retry-After" not in given.headers:
            return replace(given, headers={**given.headers, **self._wait(plan, "throttled_seconds")})
        if fault == "slow_answer":
            self.clock.advance(timedelta(seconds=plan.random.choice((1, 10))))
        if plan.has("progress_backwards") and "/backupJobs/" in call.path and given.status == 200:
            plan.struck["progress_backwards"] += 1
            as_object(given.body)["properties"]["extendedInfo"]["progressPercentage"] = float(
                plan.random.randint(0, 99)
            )
        return given


class _Credential:
    """A managed identity's credential, as far as the session uses it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._token: str | None = None

    def get_token(self, *scopes: str, **_options: Any) -> AccessToken:
        """Return the cached token, or a new one at first, unless the identity endpoint is away."""
        self._service.audiences.update(scopes)
        self._service.ask_identity()
        self._token = self._token or self._service.token(scopes[0])
        return AccessToken(self._token, int(time.time()) + 86_400)


def _places(vm: Mapping[str, Any]) -> dict[int | None, str]:
    profile = vm["properties"]["storageProfile"]
    data = {disk["lun"]: disk for disk in profile["dataDisks"] if not disk.get("toBeDetached")}
    return {lun: str(disk["managedDisk"]["id"]).lower() for lun, disk in {None: profile["osDisk"], **data}.items()}


def _timeline(clock: Clock) -> Timeline:
    return Timeline(simulated=clock, real=clock, wall=SystemClock(), speed=1.0)


def _interface_of_others(number: int) -> Json:
    subnet = {"id": f"{network(number)}/subnets/default"}
    return {
        "location": "westeurope",
        "properties": {"ipConfigurations": [{"name": "of-others", "properties": {"subnet": subnet}}]},
    }


def _vm_of_others(disk: str, nic: str) -> Json:
    return {
        "location": "westeurope",
        "properties": {
            "hardwareProfile": {"vmSize": "Standard_D2s_v5"},
            "storageProfile": {"osDisk": {"createOption": "Attach", "managedDisk": {"id": disk}}},
            "networkProfile": {"networkInterfaces": [{"id": nic}]},
        },
    }


def _scenario(plans: list[Plan]) -> Scenario:
    vms = {plan.vm for plan in plans}
    using = sorted({plan.number for plan in plans if plan.uses_disks})
    rescuing = sorted({rescue_vm(number).rpartition("/")[2] for number in using})
    place = {"location": "westeurope"}
    vaults = sorted({vm // RESTORES_PER_VAULT for vm in vms})
    points = [{"ageHours": age, "tiers": {"InstantRP": "Valid", "HardenedRP": "Valid"}} for age in (2, 26)]
    return Scenario.from_dict(
        {
            "subscriptionId": SUBSCRIPTION.rpartition("/")[2],
            "vaults": [{"name": f"vault-{n}", "resourceGroup": "backup-rg", "region": "westeurope"} for n in vaults],
            "storageAccounts": [{"name": "stagingweu", "resourceGroup": "backup-rg", "location": "westeurope"}],
            "virtualNetworks": [{"name": "vnet", "resourceGroup": f"made-{number}", **place} for number in using],
            "vms": [
                *({"name": name, "resourceGroup": "rescue-rg", **place} for name in rescuing),
                *(
                    {
                        "name": f"vm-{vm}",
                        "resourceGroup": "web-rg",
                        "vault": f"vault-{vm // RESTORES_PER_VAULT}",
                        "points": points,
                        "dataDisks": [{"lun": lun, "sizeGb": 32} for lun in data_luns(vm)],
                    }
                    for vm in sorted(vms)
                ),
            ],
            "settings": {"pageSizes": {"jobs": 15}},
        }
    )


def _call(request: requests.PreparedRequest) -> Call:
    url = urlsplit(request.url or "")
    headers = {name.lower(): str(value) for name, value in request.headers.items()} | {"host": url.hostname or ""}
    body = json.loads(request.body) if request.body else None
    query = {name.lower(): value for name, value in parse_qsl(url.query, keep_blank_values=True)}
    return Call(
        method=request.method or "GET",
        path=unquote(url.path),
        query=query,
        headers=headers,
        body=body,
        base_url=f"https://{HOST}",
    )


def _place(request: requests.PreparedRequest) -> str:
    """Return what counts as one URL: signatures and versions in the query do not, the page of a list does."""
    url = urlsplit(request.url or "")
    page = dict(parse_qsl(url.query)).get("$skipToken", "")
    return f"{request.method} {unquote(url.path).lower()} {page}".rstrip()


def _allowed_from(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """Read the wait as the contract has it, apart from the app's own reader."""
    text = headers.get("Retry-After", "")
    if text.replace(".", "", 1).isdecimal():
        return now + timedelta(seconds=float(text))
    if text:
        sent = headers.get("Date")
        due = parsedate_to_datetime(text)
        return due if sent is None else now + (due - parsedate_to_datetime(sent))
    wait_ms = headers.get("x-ms-retry-after-ms")
    return None if wait_ms is None else now + timedelta(milliseconds=float(wait_ms))


def _waits_of(headers: Mapping[str, str]) -> str:
    names = ("Retry-After", "x-ms-retry-after-ms")
    return ", ".join(f"{name} {headers[name]}" for name in names if name in headers)


def _is_followed(path: str) -> bool:
    """Whether the address is of one that is asked again and again until something has ended."""
    followed = ("/operationsStatus/", "/operationResults/", "/backupOperations/", "/backupJobs/", "/backupValidate")
    return any(each in path for each in followed)


def _error(status: int, code: str, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status=status, body={"error": {"code": code, "message": "Chaos."}}, headers=headers or {})


def _instead_of_trigger(fault: str, request: requests.PreparedRequest) -> Answer | None:
    if fault == "trigger_timeout_before":
        raise _read_timed_out(request)
    if fault == "trigger_dns_failure":
        raise _no_such_name(request)
    statuses = {"trigger_500_before": (500, "CloudInternalError"), "trigger_refused": (400, "UserErrorSimulated")}
    return _error(*statuses[fault]) if fault in statuses else None


def _after_trigger(plan: Plan, fault: str, request: requests.PreparedRequest) -> Answer:
    if fault == "trigger_timeout_after":
        raise _read_timed_out(request)
    if fault in {"trigger_reset_after", "trigger_lost_202"}:
        raise (_reset if fault == "trigger_reset_after" else _dropped)(request)
    if fault == "trigger_503_after_with_wait":
        wait_s = round(log_uniform(plan.random, 1, 600))
        return _error(503, "ServerTimeout", {"Retry-After": str(wait_s)})
    statuses = {"trigger_500_after": 500, "trigger_408_after": 408, "trigger_200_for_202": 200}
    return _error(statuses[fault], "CloudInternalError")


def _lost_write(fault: str, request: requests.PreparedRequest) -> Answer:
    if fault == "write_answer_reset":
        raise _reset(request)
    return _error(int(fault.rpartition("_")[2]), "InternalServerError")


def _pool() -> HTTPSConnectionPool:
    return HTTPSConnectionPool(HOST)


def _no_such_name(request: requests.PreparedRequest) -> requests.ConnectionError:
    reason = NameResolutionError(HOST, HTTPSConnection(HOST), socket.gaierror(-3, "Temporary failure"))
    return requests.ConnectionError(MaxRetryError(_pool(), request.url or "", reason), request=request)


def _connect_timed_out(request: requests.PreparedRequest) -> requests.ConnectTimeout:
    reason = ConnectTimeoutError(HTTPSConnection(HOST), "Connection timed out.")
    return requests.ConnectTimeout(MaxRetryError(_pool(), request.url or "", reason), request=request)


def _read_timed_out(request: requests.PreparedRequest) -> requests.ReadTimeout:
    return requests.ReadTimeout(ReadTimeoutError(_pool(), request.url or "", "Read timed out."), request=request)


def _reset(request: requests.PreparedRequest) -> requests.ConnectionError:
    error = ProtocolError("Connection aborted.", ConnectionResetError(104, "Connection reset by peer"))
    return requests.ConnectionError(error, request=request)


def _dropped(request: requests.PreparedRequest) -> requests.ConnectionError:
    gone = http.client.RemoteDisconnected("Remote end closed connection without response")
    return requests.ConnectionError(ProtocolError("Connection aborted.", gone), request=request)


_NO_ANSWER: Final = {
    "dns_failure": _no_such_name,
    "connect_timeout": _connect_timed_out,
    "read_timeout": _read_timed_out,
    "connection_reset": _reset,
}
_READS: Final = frozenset({"GET", "HEAD"})
_LOST_WRITES: Final = frozenset({"write_answer_reset", "write_answer_500", "write_answer_504"})
_AFTER: Final = _LOST_WRITES | {
    "truncated_json",
    "asked_to_wait_by_a_success",
    "asked_to_wait_by_a_read",
    "slow_answer",
}
_BEFORE: Final = frozenset(
    {
        *_NO_ANSWER,
        "throttled_seconds",
        "throttled_http_date",
        "throttled_milliseconds",
        "unavailable_503",
        "token_expired",
        "token_refused",
        "forbidden_for_a_while",
        "proxy_page",
        "error_500",
        "gateway_timeout_504",
    }
)
_BURSTS: Final = {
    "throttled_seconds": (0, 0, 1, 3),
    "throttled_http_date": (0, 0, 1, 3),
    "throttled_milliseconds": (0, 0, 1, 3),
    "unavailable_503": (0, 2, 5),
    "dns_failure": (0, 1, 4),
    "read_timeout": (0, 1),
    "connection_reset": (0, 1, 2),
    "token_refused": (1, 3),
    "forbidden_for_a_while": (0, 1, 3),
    "truncated_json": (0, 1),
    "proxy_page": (0, 2),
    "error_500": (0, 0, 2),
    "gateway_timeout_504": (0, 1),
    "write_answer_reset": (0, 1),
    "write_answer_500": (0, 1),
    "write_answer_504": (0, 1),
}
"""How many more calls of the same address a fault strikes, once it did."""
