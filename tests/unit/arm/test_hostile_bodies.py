"""Every place of every answer, replaced by what must not be there: a named error or a value that history can keep."""

from __future__ import annotations

import copy
import json
import re
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.restores import RestoreActivities
from domain.azure.restore_constraints import PointFacts
from domain.jobs import Job, Operation
from domain.protected_items import ProtectedItem
from domain.times import format_time
from domain.validation import Validation
from tests.support.arm_script import ENDPOINT, Asked, ScriptedSession, Told, scripted
from tests.support.azure import CONTAINER, ITEM, STORAGE_ID, SUBSCRIPTION, TARGET_GROUP, VAULT_ID, VM_ID, a_request
from tests.support.hub import START

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from domain.errors import Json

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
            {"name": "web-01-osdisk", "properties": {"osType": "Linux", "timeCreated": "2026-11-20T08:20:00.1+00:00"}}
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
LOOKED_AT = {"validation", "operation", "job", "disks", "refusal"}
SAFE_POST = re.compile(
    re.escape(f"{VAULT_ID}/backupFabrics/Azure/protectionContainers/")
    + r"(?!\.)[^/]+/protectedItems/(?!\.)[^/]+/recoveryPoints/(?!\.{1,2}/)[^/]+/restore"
)
LARGEST_HISTORY = 600_000
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
    """The answers of one restore's calls; ``post`` decides whether the trigger is taken or refused."""

    def __init__(self, bodies: dict[str, Json]) -> None:
        self.bodies = bodies
        self.client, self.session = scripted(self.answer)
        self.activities = RestoreActivities(self.client, clock=lambda: START.astimezone(UTC))

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
        """Make every call that reads such answers, each with what history keeps of those before; returns that."""
        history: list[Json] = []

        def do(name: str, **data: Any) -> Any:
            envelope = getattr(self.activities, name)(data)
            history.append(kept(envelope))
            return history[-1].get("value")

        if not LOOKED_AT.issuperset(kinds):
            self.restore(do)
        if LOOKED_AT & set(kinds):
            self.look(do)
        return history

    def restore(self, do: Callable[..., Any]) -> None:
        asked = a_request(zones=["1"], restoreDiskLunList=[1], validate=True)
        by_vm, by_name = {"sourceResourceId": VM_ID}, {"containerName": CONTAINER, "protectedItemName": ITEM}
        items = [do("resolve_item", **by_vm, **more) for more in ({}, {"vaultId": VAULT_ID})]
        items += [do("resolve_item", vaultId=VAULT_ID, **by_name, **more) for more in ({}, by_vm)]
        for item in {json.dumps(each): each for each in items if each}.values():
            assert ProtectedItem.from_json(item).to_json() == item
            restored(do, item, asked)

    def look(self, do: Callable[..., Any]) -> None:
        look = {"vaultId": VAULT_ID, "operationId": "op-1", "url": None}
        if seen := do("get_validation", **look):
            assert Validation.from_json(seen["validation"]).to_json() == seen["validation"]
        if seen := do("get_operation", **look):
            assert Operation.from_json(seen["operation"]).to_json() == seen["operation"]
        if seen := do("get_job", vaultId=VAULT_ID, jobId=JOB):
            job = Job.from_json(seen["job"])
            assert job.to_json() == seen["job"]
            shown(kept(job.result()))
            since, until = (format_time(each or START) for each in (job.start, job.end))
            group = {"targetResourceGroupId": TARGET_GROUP, "sourceResourceId": VM_ID}
            do("list_restored_disks", **group, since=since, until=until)
        do("cancel_job", vaultId=VAULT_ID, jobId=JOB)


def restored(do: Callable[..., Any], item: Json, asked: Json) -> None:
    now = format_time(START)
    plain = {**asked, "validate": False}
    requests = (plain, plan(plain), asked, a_request(targetResourceGroupId=None, validate=True))
    choices = [do("prepare_restore", item=item, request=each, now=now, progress=None) for each in requests]
    choice = choices[0] or choices[1]
    if choice is None or choice["point"] is None:
        return  # a plan without a point has its verdicts alone
    facts = choice["facts"]
    assert PointFacts.from_json(facts).to_json() == facts
    body = {"properties": {"recoveryPointId": choice["point"]["id"], "recoveryType": "RestoreDisks"}}
    sent = {"clientRequestId": str(uuid4()), "attempt": 1, "askedTime": now}
    do("start_restore", item=item, pointId=choice["point"]["id"], body=body, **sent)
    do("find_job", vaultId=item["vaultId"], clientRequestId=REQUEST_ID)


def plan(asked: Json) -> Json:
    return {**asked, "dryRun": True}


def kept(value: Any) -> Any:
    """Return what history gives back, which must be what it was given; it has bounds and is UTF-8."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    assert len(text.encode()) < LARGEST_HISTORY
    assert json.loads(text) == value
    return json.loads(text)


def shown(result: Json) -> None:
    """Fail unless a job's result is what the API's description says."""
    for name, value in result.items():
        if name not in {"tasks", "propertyBag"}:
            assert value is None or isinstance(value, str), name
    for value in (*result["propertyBag"].values(), *(each for task in result["tasks"] for each in task.values())):
        assert value is None or isinstance(value, str)


def safe(session: ScriptedSession) -> None:
    """Fail unless every call went to our endpoint, and every restore to an item of our vault."""
    for asked in session.asked:
        url = urlsplit(asked.url)
        assert f"{url.scheme}://{url.netloc}" == ENDPOINT
        assert not {".", "..", ""} & set(asked.names)
        assert set(re.findall(r"(\S+?)=[^&]*&?", url.query)) <= {"api-version", "%24filter"}
        if asked.names[-1] == "restore":
            assert SAFE_POST.fullmatch(asked.path.replace("%3B", ";")), asked.path


def paths(value: Any, so_far: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield so_far
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in members:
        yield from paths(inner, (*so_far, key))


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


def test_the_good_answers_make_a_restore() -> None:
    world = World(GOOD)

    history = world.run()

    posts = [asked for asked in world.session.asked if asked.names[-1] == "restore"]
    assert len(posts) == 1
    assert (
        sum("error" in envelope for envelope in history) == 3
    )  # findings come at once, twice, and the cancel is refused
    safe(world.session)


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_value_at_any_place_is_survived_or_named(wrong: str) -> None:
    for kind, path in PLACES:
        world = World({**GOOD, kind: replaced(GOOD[kind], path, WRONG[wrong])})
        try:
            world.run([kind])
            safe(world.session)
        except Exception as error:
            error.add_note(f"{wrong} at {kind} {path}")
            raise


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, max_examples=300)
@given(places=st.lists(st.tuples(st.sampled_from(PLACES), ANY), min_size=1, max_size=3, unique_by=lambda each: each[0]))
def test_any_json_at_several_places_is_survived_or_named(places: list[tuple[Any, Any]]) -> None:
    bodies = dict(GOOD)
    for (kind, path), wrong in places:
        try:
            bodies[kind] = replaced(bodies[kind], path, wrong)
        except (KeyError, IndexError, TypeError):  # the place went with one above it
            continue
    world = World(bodies)

    world.run()

    safe(world.session)


@pytest.mark.parametrize("minutes", [-1, 1])
def test_disks_made_at_the_end_of_time_are_told_apart(minutes: int) -> None:
    end = "9999-12-31T23:59:30Z"
    disks = {"value": [{"name": "web-01-a", "properties": {"timeCreated": "9999-12-31T23:59:59Z"}}]}
    since = format_time(START - timedelta(minutes=minutes))

    group = {"targetResourceGroupId": TARGET_GROUP, "sourceResourceId": VM_ID}
    found = World({**GOOD, "disks": disks}).activities.list_restored_disks({**group, "since": since, "until": end})

    assert [disk["name"] for disk in found["value"]["disks"]] == ["web-01-a"]
