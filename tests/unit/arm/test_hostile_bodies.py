"""Every member of every answer, replaced by a wrong value: the result is a known error or fits into the history."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.restores import RestoreActivities
from domain.codec import pack
from domain.envelopes import unseal
from domain.errors import RestoreError
from domain.requests import RestoreRequest
from domain.restore import answers, calls
from domain.restore.job_result import with_result
from tests.support.arm_script import ENDPOINT, Asked, ScriptedSession, Told, scripted
from tests.support.azure import CONTAINER, ITEM, STORAGE_ID, SUBSCRIPTION, TARGET_GROUP, VAULT_ID, VM_ID, a_request
from tests.support.hub import START
from tests.unit.domain.restore.states import tracking_job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from domain.azure.jobs import Job
    from domain.azure.protected_items import ProtectedItem
    from domain.errors import Json
    from domain.restore.calls import ActivityCall

ITEM_ID = f"{VAULT_ID}/backupFabrics/Azure/protectionContainers/{CONTAINER}/protectedItems/{ITEM}"
POINT, JOB = "1103996678573089", "ca08b1d3-0000-4000-8000-000000000001"
REQUEST_ID = "0e6f3b5a-0000-4000-8000-00000000abcd"
GUARDED = "vaults/backupFabrics/protectionContainers/protectedItems/recoveryPoints/restore/action"
JOB_PROPERTIES: Json = {
    "jobType": "AzureIaaSVMJob",
    "operation": "Restore",
    "status": "CompletedWithWarnings",
    "activityId": REQUEST_ID,
    "startTime": "2026-11-20T08:00:00.1234567Z",
    "endTime": "2026-11-20T08:30:00.7Z",
    "duration": "PT30M46.6954998S",
    "errorDetails": [{"errorCode": 400158, "errorTitle": "T", "errorString": "S", "recommendations": ["Do."]}],
    "extendedInfo": {
        "progressPercentage": 100.0,
        "dynamicErrorMessage": "It was close.",
        "tasksList": [{"taskId": "Transfer", "status": "Completed", "taskExecutionDetails": "1 GBs"}],
        "propertyBag": {
            "Job Type": "Recover disks",
            "Config Blob Uri": "https://a.blob.core.windows.net/c/config.json",
            "Create VM Template Blob Uri": "https://a.blob.core.windows.net/c/deploy.json",
            "Target Storage Account Name": "stagingweu",
            "Recovery point time ": None,
            "Target resource group": "restored-rg",
            "Target VM Name": "web-01",
            "Config Blob Container Name": "c",
            "Encryption Info Blob Name": "vmencryption.json",
        },
    },
}
GOOD: dict[str, Json] = {
    "vm": {"id": VM_ID, "name": "web-01", "location": "westeurope"},
    "status": {
        "protectionStatus": "Protected",
        "vaultId": VAULT_ID,
        "containerName": CONTAINER,
        "protectedItemName": ITEM,
        "errorCode": "Success",
        "errorMessage": "",
    },
    "items": {"value": [{"id": ITEM_ID, "name": ITEM, "properties": {"virtualMachineId": VM_ID}}], "nextLink": None},
    "item": {
        "id": ITEM_ID,
        "name": ITEM,
        "properties": {
            "sourceResourceId": VM_ID,
            "virtualMachineId": VM_ID,
            "extendedProperties": {"diskExclusionProperties": {"isInclusionList": True, "diskLunList": [1]}},
        },
    },
    "vault": {
        "id": VAULT_ID,
        "location": "westeurope",
        "properties": {
            "redundancySettings": {"standardTierStorageRedundancy": "ZoneRedundant"},
            "restoreSettings": {"crossSubscriptionRestoreSettings": {"crossSubscriptionRestoreState": "Enabled"}},
        },
    },
    "account": {"id": STORAGE_ID, "location": "westeurope", "sku": {"name": "Standard_LRS"}, "kind": "StorageV2"},
    "proxies": {
        "value": [
            {
                "properties": {
                    "resourceGuardOperationDetails": [
                        {
                            "vaultCriticalOperation": f"Microsoft.RecoveryServices/{GUARDED}",
                            "defaultResourceRequest": f"{SUBSCRIPTION}/guards/g/triggerRestoreRequests/default",
                        }
                    ]
                }
            }
        ]
    },
    "points": {
        "value": [
            {
                "id": f"{ITEM_ID}/recoveryPoints/{POINT}",
                "name": POINT,
                "properties": {
                    "recoveryPointType": "AppConsistent",
                    "recoveryPointTime": "2026-01-02T08:00:00.1234567Z",
                    "recoveryPointTierDetails": [
                        {"type": "InstantRP", "status": "Valid"},
                        {"type": "HardenedRP", "status": "Valid", "extendedInfo": {}},
                    ],
                    "recoveryPointProperties": {"expiryTime": "", "isSoftDeleted": False},
                    "isSourceVMEncrypted": False,
                    "isManagedVirtualMachine": True,
                    "isInstantIlrSessionActive": False,
                    "isPrivateAccessEnabledOnAnyDisk": False,
                    "keyAndSecret": None,
                    "threatStatus": "Healthy",
                },
            }
        ],
        "nextLink": None,
    },
    "jobs": {"value": [{"id": "/j", "name": "other", "properties": {**JOB_PROPERTIES, "activityId": "another"}}]},
    "validation": {
        "status": "Succeeded",
        "error": {"code": "C", "message": "M"},
        "properties": {
            "objectType": "OperationStatusValidateOperationExtendedInfo",
            "validateOperationResponse": {"validationResults": [{"code": "C", "message": "M", "recommendations": []}]},
        },
    },
    "operation": {
        "id": "op-1",
        "name": "op-1",
        "status": "Failed",
        "properties": {"objectType": "OperationStatusJobExtendedInfo", "jobId": JOB},
        "error": {"code": "UserErrorX", "message": "It did not work."},
    },
    "job": {"id": f"{VAULT_ID}/backupJobs/{JOB}", "name": JOB, "properties": JOB_PROPERTIES},
    "disks": {
        "value": [
            {
                "id": f"{TARGET_GROUP}/providers/Microsoft.Compute/disks/web01-osdisk-1",
                "name": "web01-osdisk-1",
                "tags": {"RSVaultBackup": JOB},
                "properties": {
                    "osType": "Linux",
                    "diskSizeGB": 127,
                    "timeCreated": "2026-11-20T08:20:00.1+00:00",
                },
            }
        ]
    },
    "refusal": {
        "error": {
            "code": "UserErrorX",
            "message": "No.",
            "target": "zones",
            "recommendations": ["Do."],
            "details": [{"code": "Inner", "message": "Because.", "target": "t"}],
        }
    },
}
KINDS = (
    ("virtualMachines", "vm"),
    ("backupStatus", "status"),
    ("backupProtectedItems", "items"),
    ("backupResourceGuardProxies", "proxies"),
    ("storageAccounts", "account"),
    ("disks", "disks"),
    ("recoveryPoints", "points"),
    ("backupValidateOperationsStatuses", "validation"),
    ("backupOperations", "operation"),
    ("protectedItems", "item"),
    ("vaults", "vault"),
)
POLLED = {"validation", "operation", "job", "disks", "refusal"}
SAFE_POST = re.compile(
    re.escape(f"{VAULT_ID}/backupFabrics/Azure/protectionContainers/")
    + r"(?!\.)[^/]+/protectedItems/(?!\.)[^/]+/recoveryPoints/(?!\.{1,2}/)[^/]+/restore"
)
MAX_HISTORY = 600_000
NOW = START.astimezone(UTC)
MISSING: Any = object()


def deep(levels: int) -> Any:
    nested: Any = []
    for _ in range(levels):
        nested = [nested]
    return nested


WRONG: dict[str, Any] = {
    "missing": MISSING,
    "null": None,
    "true": True,
    "false": False,
    "zero": 0,
    "negative": -7,
    "fraction": 3.5,
    "400 digits": 10**400,
    "largest float": 1.7e308,
    "empty text": "",
    "blank": " ",
    "text": "Drifting",
    "number in text": "١٢",
    "dots": "..",
    "path": "a/../../b?x=y#z",
    "other host": "https://evil.example/subscriptions/s",
    "control characters": "a\x00\r\nX-Forged: yes",
    "half a pair": "a\ud83d",
    "last moment": "9999-12-31T23:59:59.9999999Z",
    "first moment": "0001-01-02T00:00:00+14:00",
    "endless duration": "P99999999999999D",
    "empty list": [],
    "empty object": {},
    "list": [None, 1, "x", [], {}],
    "object": {"": None, "code": {}, "value": [1], "name": 5, "properties": [], "error": "x"},
    "deep": deep(800),
    "huge text": "A" * 700_000,
    "many": ["x", {}] * 2000,
    "wide": {f"member {number}": "x" * 50 for number in range(1500)},
}


class World:
    """Answers the calls of one restore with ``bodies``; the trigger is accepted if they have an operation."""

    def __init__(self, bodies: dict[str, Json]) -> None:
        self.bodies = bodies
        self.client, self.session = scripted(self.answer)
        activities = RestoreActivities(self.client, clock=lambda: START.astimezone(UTC))
        starting = activities.start_restore_with(lambda _client_request_id, _attempt: True)
        self.activities = {**activities.by_name(), calls.StartRestore.name: starting}

    def answer(self, asked: Asked) -> Told:
        names = asked.names
        if names[-1] == "restore":
            return self.accepted("operationsStatus/op-1") if "operation" in self.bodies else self.refused()
        if names[-1] == "backupTriggerValidateOperation":
            return Told(self.bodies["validation"])
        if names[-1] == "cancel":
            return self.refused()
        if "backupJobs" in names:
            return Told(self.bodies["jobs" if names[-1] == "backupJobs" else "job"])
        return Told(self.bodies[next(kind for name, kind in KINDS if name in names)])

    def refused(self) -> Told:
        return Told(self.bodies["refusal"], status=400)

    @staticmethod
    def accepted(path: str) -> Told:
        url = f"{ENDPOINT}{VAULT_ID}/{path}?api-version=1&t=1&c=2&s=3&h=4"
        return Told(None, 202, {"Azure-AsyncOperation": url, "Retry-After": "5"})

    def run(self, kinds: Iterable[str] = GOOD) -> list[Json]:
        """Make every call that reads these answers, with the stored results of earlier calls; return the history."""
        history: list[Json] = []

        def do(call: ActivityCall) -> Any:
            """Make a call; returns what the history makes of its answer, ``None`` for a failure."""
            history.append(stored(self.activities[call.name](stored(pack(call)))))
            answer = unseal(call, history[-1])
            if isinstance(answer, RestoreError):
                return None
            assert pack(answer.value) == history[-1]["value"]
            return answer.value

        if not POLLED.issuperset(kinds):
            self.restore(do)
        if POLLED & set(kinds):
            self.poll(do)
        return history

    def restore(self, do: Callable[..., Any]) -> None:
        request = a_request(zones=["1"], restoreDiskLunList=[1], validate=True)
        by_vm = calls.ResolveItem(source_resource_id=VM_ID)
        by_name = calls.ResolveItem(vault_id=VAULT_ID, container_name=CONTAINER, protected_item_name=ITEM)
        wanted = (by_vm, replace(by_vm, vault_id=VAULT_ID), by_name, replace(by_name, source_resource_id=VM_ID))
        for item in {item for item in map(do, wanted) if item}:
            check_restore(do, item, request)

    def poll(self, do: Callable[..., Any]) -> None:
        do(calls.GetValidation(vault_id=VAULT_ID, operation_id="op-1", url=None))
        do(calls.GetOperation(vault_id=VAULT_ID, operation_id="op-1", url=None))
        job: Job | None = do(calls.GetJob(vault_id=VAULT_ID, job_id=JOB))
        if job is not None:
            found: answers.RestoredDisks | None = do(disks_made(since=job.start or NOW, until=job.end or NOW))
            check_result(stored(with_result(tracking_job(), job, None if found is None else found.disks)[1]))
        do(calls.CancelJob(vault_id=VAULT_ID, job_id=JOB))


def check_restore(do: Callable[[ActivityCall], Any], item: ProtectedItem, request: Json) -> None:
    plain = {**request, "validate": False}
    bodies = (plain, plan(plain), request, a_request(targetResourceGroupId=None, validate=True))
    requests = [RestoreRequest.from_json(body) for body in bodies]
    choices = [do(calls.PrepareRestore(item=item, request=request, now=NOW)) for request in requests]
    choice = choices[0] or choices[1]
    if not isinstance(choice, answers.Preparation):
        return  # a plan without a point has only verdicts
    body = {"properties": {"recoveryPointId": choice.point.point_id, "recoveryType": "RestoreDisks"}}
    do(calls.StartRestore(item=item, body=body, client_request_id=str(uuid4()), attempt=1, asked=NOW))
    do(calls.FindJob(vault_id=item.vault_id, client_request_id=REQUEST_ID))


def disks_made(*, since: datetime, until: datetime) -> calls.ListRestoredDisks:
    return calls.ListRestoredDisks(
        target_resource_group_id=TARGET_GROUP, source_resource_id=VM_ID, since=since, until=until, job_id=JOB
    )


def plan(request: Json) -> Json:
    return {**request, "dryRun": True}


def stored(value: Any) -> Any:
    """Return the value as the history returns it; it must be unchanged, small enough and UTF-8."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    assert len(text.encode()) < MAX_HISTORY
    assert json.loads(text) == value
    return json.loads(text)


def check_result(result: Json) -> None:
    """Fail unless a job's result is as the OpenAPI description says."""
    for name, value in result.items():
        if name not in {"tasks", "propertyBag", "disks"}:
            assert value is None or isinstance(value, str), name
    for value in (*result["propertyBag"].values(), *(text for task in result["tasks"] for text in task.values())):
        assert value is None or isinstance(value, str)
    for disk in result["disks"] or ():
        assert [type(disk[name]) for name in ("name", "isOs")] == [str, bool]
        assert all(disk[name] is None or type(disk[name]) is int for name in ("lun", "sizeGb"))


def check_calls(session: ScriptedSession) -> None:
    """Fail unless every call went to our endpoint, and every restore to an item of our vault."""
    for asked in session.asked:
        url = urlsplit(asked.url)
        assert f"{url.scheme}://{url.netloc}" == ENDPOINT
        assert not {".", "..", ""} & set(asked.names)
        assert set(re.findall(r"(\S+?)=[^&]*&?", url.query)) <= {"api-version", "%24filter"}
        if asked.names[-1] == "restore":
            assert SAFE_POST.fullmatch(asked.path.replace("%3B", ";")), asked.path


def paths(value: Any, prefix: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield prefix
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in members:
        yield from paths(inner, (*prefix, key))


def replaced(body: Any, path: tuple[str | int, ...], wrong: Any) -> Any:
    if not path:
        return {} if wrong is MISSING else wrong
    changed = copy.deepcopy(body)
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    if wrong is MISSING:
        del holder[path[-1]]
    else:
        holder[path[-1]] = wrong
    return changed


PLACES = [(kind, path) for kind, body in GOOD.items() for path in paths(body)]


def test_good_answers_make_one_restore() -> None:
    world = World(GOOD)

    history = world.run()

    posts = [asked for asked in world.session.asked if asked.names[-1] == "restore"]
    assert len(posts) == 1
    assert sum("error" in envelope for envelope in history) == 3  # two validations with findings, and a refused cancel
    check_calls(world.session)


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_value_at_any_place_breaks_nothing(wrong: str) -> None:
    for kind, path in PLACES:
        world = World({**GOOD, kind: replaced(GOOD[kind], path, WRONG[wrong])})
        try:
            world.run([kind])
            check_calls(world.session)
        except Exception as error:
            error.add_note(f"{wrong} at {kind} {path}")
            raise


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, max_examples=300)
@given(
    places=st.lists(st.tuples(st.sampled_from(PLACES), ANY), min_size=1, max_size=3, unique_by=lambda place: place[0])
)
def test_any_json_at_several_places_breaks_nothing(places: list[tuple[Any, Any]]) -> None:
    bodies = dict(GOOD)
    for (kind, path), wrong in places:
        try:
            bodies[kind] = replaced(bodies[kind], path, wrong)
        except (KeyError, IndexError, TypeError):  # an earlier replacement removed the place
            continue
    world = World(bodies)

    world.run()

    check_calls(world.session)


@pytest.mark.parametrize("minutes", [-1, 1])
def test_disks_of_the_year_9999_are_compared(minutes: int) -> None:
    until = datetime(9999, 12, 31, 23, 59, 30, tzinfo=UTC)
    disks = {"value": [{"name": "web-01-a", "properties": {"timeCreated": "9999-12-31T23:59:59Z"}}]}
    call = disks_made(since=NOW - timedelta(minutes=minutes), until=until)

    found = World({**GOOD, "disks": disks}).activities[call.name](pack(call))

    assert [disk["name"] for disk in found["value"]["disks"]] == ["web-01-a"]
