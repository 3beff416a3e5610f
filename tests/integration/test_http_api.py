"""The HTTP API of the whole app, on the simulator."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

import pytest

from tests.integration.app_stage import ENDED, SUBSCRIPTION, VAULT_ID, Stage, a_request, eventually, staged, vm_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with pytest.MonkeyPatch.context() as patch, staged(patch) as running:
        yield running


@pytest.fixture(autouse=True)
def _web_vms_are_free_again(stage: Stage) -> Iterator[None]:
    """Let the restores of a test end before the next one starts others of the same VMs: one at a time is let in."""

    def all_have_ended() -> bool:
        documents = stage.call("GET", "restores?top=1000").json()["value"]
        return all(each["status"] in ENDED for each in documents if "/web-" in (each["sourceResourceId"] or ""))

    yield
    eventually(all_have_ended)


def completed_at_once(stage: Stage, restores: list[dict[str, Any]]) -> bool:
    """Start these restores of different VMs together, and return whether all completed."""
    ids = [stage.post(a_request(**members)).json()["id"] for members in restores]
    statuses = [stage.finished(restore_id)["status"] for restore_id in ids]
    assert statuses == ["Completed"] * len(restores)
    return True


def test_a_restore_is_accepted_with_links_and_ends_with_the_disks_named(stage: Stage) -> None:
    answer = stage.post(a_request(requestedBy="ops@example.com", reason="disk corrupt"))

    assert answer.status_code == 202
    body = answer.json()
    assert body["status"] == "Pending"
    assert answer.headers["Location"] == body["links"]["self"] == f"{stage.url}/api/restores/{body['id']}"
    assert int(answer.headers["Retry-After"]) > 0
    assert set(body["links"]) == {"self", "cancel", "approve", "reject"}

    done = stage.finished(body["id"])
    assert (done["status"], done["phase"], done["startedBy"]) == ("Completed", "Finished", "http")
    assert (done["requestedBy"], done["reason"]) == ("ops@example.com", "disk corrupt")
    assert done["result"]["configBlobUri"].startswith("https://stagingweu.blob.core.windows.net/")
    assert done["result"]["targetResourceGroup"] == "restored-rg"
    [disk] = done["result"]["disks"]
    assert disk["id"].endswith(f"/disks/{disk['name']}")
    assert (disk["isOs"], disk["lun"], disk["sizeGb"]) == (True, None, 127)
    assert done["links"]["self"] == body["links"]["self"]


def test_any_casing_of_a_vm_id_is_enough(stage: Stage) -> None:
    vms = [vm_id("web-01", "WEB-RG"), vm_id("WEB-03"), vm_id("mixed-case-01", "mixed-rg"), vm_id("sql-01", "sql-rg")]

    assert completed_at_once(stage, [{"sourceResourceId": vm} for vm in vms])


def test_an_id_with_white_space_around_it_is_the_same_vm_over_http(stage: Stage) -> None:
    vm = vm_id("load-012", "load-rg")
    running = stage.post(a_request(sourceResourceId=f"\ufeff{vm}\r\n", targetResourceGroupId=None)).json()
    second = stage.post(a_request(sourceResourceId=f"{vm} "))
    params = {"sourceResourceId": f" {vm}\r"}
    listed = stage.call("GET", "restores", params=params).json()["value"]

    assert (second.status_code, second.json()["error"]["code"]) == (409, "RequestConflict")
    assert [(restore["id"], restore["sourceResourceId"]) for restore in listed] == [(running["id"], vm)]
    assert stage.call("GET", "recovery-points", params=params).json()["value"]
    assert stage.call("GET", f"restores/{running['id']}%0D").json()["id"] == running["id"]


@pytest.mark.parametrize(("char", "told"), [("\u200b", "ends in U+200B"), ("\x1b", "ends in U+001B")])
def test_a_hidden_character_is_named(stage: Stage, char: str, told: str) -> None:
    vm = f"{vm_id()}{char}"
    answers = [stage.call("GET", path, params={"sourceResourceId": vm}) for path in ("restores", "recovery-points")]

    for answer in (stage.post(a_request(sourceResourceId=vm)), *answers):
        assert (answer.status_code, answer.json()["error"]["details"][0]["target"]) == (400, "sourceResourceId")
        assert told in answer.json()["error"]["message"]


def test_the_native_names_do_too(stage: Stage) -> None:
    names = {
        "vaultId": VAULT_ID,
        "containerName": "IaasVMContainer;iaasvmcontainerv2;web-rg;web-01",
        "protectedItemName": "VM;iaasvmcontainerv2;web-rg;web-01",
    }

    done = stage.restore(sourceResourceId=None, **names)

    assert done["status"] == "Completed"
    assert done["sourceResourceId"].casefold() == vm_id().casefold()


def test_a_deleted_vm_is_restored_when_its_vault_is_named(stage: Stage) -> None:
    lost = stage.restore(sourceResourceId=vm_id("gone-01"))
    found = stage.restore(sourceResourceId=vm_id("gone-01"), vaultId=VAULT_ID)

    assert (lost["status"], lost["error"]["code"]) == ("Failed", "NotFound")
    assert "Give vaultId" in lost["error"]["message"]
    assert found["status"] == "Completed"


@pytest.mark.parametrize(
    ("vm", "code", "advice"),
    [
        ("lonely-01", "NotProtected", "Check the VM id"),
        ("empty-01", "NoMatchingRecoveryPoint", "lists no recovery points"),
        ("never-was", "NotFound", "Give vaultId"),
        ("quota-01", "ValidationFailed", "Core Count subscription quota has been reached."),
    ],
)
def test_what_cannot_be_restored_fails_with_code_and_advice(stage: Stage, vm: str, code: str, advice: str) -> None:
    done = stage.restore(sourceResourceId=vm_id(vm))

    assert (done["status"], done["error"]["code"]) == ("Failed", code)
    assert advice in done["error"]["message"]
    assert stage.jobs_of(vm) == 0


DELETED = {"soft-deleted-01": VAULT_ID, "soft-deleted-02": None, "soft-deleted-03": None}


class TestASoftDeletedItem:
    """Items of a deleted VM, without points, and of two VMs that exist, with points that look fine or are flagged."""

    @pytest.mark.parametrize(("vm", "vault"), DELETED.items())
    def test_is_reported_and_starts_nothing(self, stage: Stage, vm: str, vault: str | None) -> None:
        done = stage.restore(sourceResourceId=vm_id(vm, "deleted-rg"), vaultId=vault)

        assert done["status"] == "Failed"
        assert "is soft-deleted" in done["error"]["message"]
        assert "Undelete it first" in done["error"]["message"]
        until = "until 20" if vm == "soft-deleted-03" else "until about 20"
        assert f"soft-deleted {until}" in done["error"]["message"]
        assert done["error"]["details"][0]["code"] == "ItemSoftDeleted"
        assert stage.jobs_of(vm) == 0

    def test_is_reported_if_only_the_trigger_is_refused(self, stage: Stage) -> None:
        done = stage.restore(sourceResourceId=vm_id("soft-deleted-02", "deleted-rg"), validate=False)

        assert done["error"]["code"] == "RestoreRefused"
        assert "soft-deleted until about 20" in done["error"]["message"]
        assert [detail["code"] for detail in done["error"]["details"]] == [
            "ItemSoftDeleted",
            "BMSUserErrorInvalidInput",
        ]

    @pytest.mark.parametrize(("vm", "vault"), DELETED.items())
    def test_has_no_plan(self, stage: Stage, vm: str, vault: str | None) -> None:
        done = stage.restore(sourceResourceId=vm_id(vm, "deleted-rg"), vaultId=vault, dryRun=True)

        assert done["status"] == "Failed"
        assert "Undelete it first" in done["error"]["message"]
        assert {candidate["chosen"] for candidate in done["result"]["plan"]["candidates"]} <= {False}

    @pytest.mark.parametrize(("vm", "vault"), DELETED.items())
    def test_has_no_point_that_can_be_restored(self, stage: Stage, vm: str, vault: str | None) -> None:
        params = {"sourceResourceId": vm_id(vm, "deleted-rg")} | ({"vaultId": vault} if vault else {})

        answer = stage.call("GET", "recovery-points", params=params)

        assert answer.status_code == 200
        assert {point["restorable"] for point in answer.json()["value"]} <= {False}
        assert [warning["code"] for warning in answer.json()["warnings"]] == ["ItemSoftDeleted"]


def test_a_moved_vm_is_restored_by_its_former_id(stage: Stage) -> None:
    moved, former = vm_id("moved-01", "new-rg"), vm_id("moved-01", "old-rg")

    by_vm = stage.restore(sourceResourceId=moved)
    by_vault = stage.restore(sourceResourceId=moved, vaultId=VAULT_ID)
    found = stage.restore(sourceResourceId=former, vaultId=VAULT_ID)

    assert (by_vm["error"]["code"], by_vault["error"]["code"]) == ("NotProtected", "NotProtected")
    assert "was moved" in by_vm["error"]["message"]
    assert former in by_vault["error"]["message"]
    assert found["status"] == "Completed"


def test_a_point_without_tiers_is_restored(stage: Stage) -> None:
    points = stage.call("GET", "recovery-points", params={"sourceResourceId": vm_id("untiered-01", "rules-rg")}).json()
    done = stage.restore(sourceResourceId=vm_id("untiered-01", "rules-rg"), recoveryPoint={"tiers": ["HardenedRP"]})

    assert [point["restorable"] for point in points["value"]] == [True] * 3
    assert (done["status"], done["recoveryPoint"]["id"]) == ("Completed", points["value"][0]["id"])


class TestIdempotency:
    def test_the_same_key_and_body_is_the_same_restore(self, stage: Stage) -> None:
        first = stage.post(a_request(requestId="same"))
        turned = dict(reversed(list(a_request(requestId="same").items())))
        again = stage.post(turned)
        stage.finished(first.json()["id"])
        after_its_end = stage.post(turned)

        assert [first.status_code, again.status_code, after_its_end.status_code] == [202, 202, 200]
        assert (first.json()["status"], after_its_end.json()["status"]) == ("Pending", "Completed")
        assert again.json()["status"] in {"Pending", "Running"}
        assert first.json()["id"] == again.json()["id"] == after_its_end.json()["id"]
        log = [each for each in stage.call("GET", "restores?top=1000").json()["value"] if each["requestId"] == "same"]
        assert len(log) == 1

    def test_the_same_key_with_another_body_is_refused(self, stage: Stage) -> None:
        first = stage.post(a_request(requestId="other"))
        answer = stage.post(a_request(requestId="other", reason="something else"))

        assert answer.status_code == 409
        assert answer.json()["error"]["code"] == "RequestIdReused"
        assert first.json()["id"] in answer.json()["error"]["message"]

    def test_twenty_at_once_start_one_restore(self, stage: Stage) -> None:
        body = a_request(sourceResourceId=vm_id("load-001", "load-rg"), requestId="at-once")
        with ThreadPoolExecutor(20) as many:
            answers = list(many.map(lambda _: stage.post(body), range(20)))

        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert stage.finished(answers[0].json()["id"])["status"] == "Completed"
        assert stage.jobs_of("load-001") == 1

    def test_without_a_key_each_request_is_a_restore_of_its_own(self, stage: Stage) -> None:
        assert stage.restore(dryRun=True)["id"] != stage.restore(dryRun=True)["id"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("body", "code", "target"),
        [
            (a_request(recoveryType="Everything"), "InvalidValue", "recoveryType"),
            (a_request(recoveryTyp="x"), "UnknownField", "recoveryTyp"),
            (a_request(sourceResourceId="web-01"), "InvalidValue", "sourceResourceId"),
            (a_request(storageAccountId=None), "MissingField", "storageAccountId"),
            (a_request(recoveryPoint={"notOlderThan": "7 days"}), "InvalidValue", "recoveryPoint.notOlderThan"),
            (a_request(requestId="no spaces"), "InvalidValue", "requestId"),
            (a_request(approval={"required": "yes"}), "InvalidValue", "approval.required"),
        ],
    )
    def test_a_wrong_member_is_named(self, stage: Stage, body: dict[str, Any], code: str, target: str) -> None:
        answer = stage.post(body)

        assert answer.status_code == 400
        error = answer.json()["error"]
        assert error["code"] == "InvalidRequest"
        assert (code, target) in [(detail["code"], detail["target"]) for detail in error["details"]]

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b'"text"',
            b"\xff\xfe",
            b'{"a": NaN}',
            b'{"a": 1, "a": 2}',
            b"[" * 200_000,
            b"1" * 5000,
        ],
    )
    def test_what_is_not_a_json_object_is_a_400(self, stage: Stage, raw: bytes) -> None:
        answer = stage.call("POST", "restores", data=raw, headers={"Content-Type": "application/json"})

        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "InvalidRequest"

    def test_a_body_over_a_mebibyte_is_a_413(self, stage: Stage) -> None:
        raw = json.dumps({**a_request(), "reason": "x" * 1024 * 1024})

        answer = stage.call("POST", "restores", data=raw, headers={"Content-Type": "application/json"})

        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "RequestTooLarge")

    @pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml"])
    def test_another_content_type_is_a_415(self, stage: Stage, kind: str) -> None:
        answer = stage.call("POST", "restores", data=json.dumps(a_request()), headers={"Content-Type": kind})

        assert (answer.status_code, answer.json()["error"]["code"]) == (415, "UnsupportedMediaType")

    @pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/merge+json"])
    def test_json_by_any_of_its_names_is_read(self, stage: Stage, kind: str) -> None:
        plan = json.dumps(a_request(dryRun=True))

        answer = stage.call("POST", "restores", data=plan, headers={"Content-Type": kind})

        assert answer.status_code == 202

    def test_unknown_routes_and_methods_are_the_hosts_own(self, stage: Stage) -> None:
        assert stage.call("GET", "nothing").status_code == 404
        assert stage.call("PUT", "restores").status_code == 405


class TestReading:
    def test_an_unknown_restore_is_a_404(self, stage: Stage) -> None:
        answer = stage.call("GET", "restores/3b1d1c1e-0000-0000-0000-000000000000")

        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NotFound")

    def test_the_list_pages_newest_first_and_loses_nothing(self, stage: Stage) -> None:
        started = [stage.restore(requestId=f"page-{n}", dryRun=True)["id"] for n in range(5)]
        link = "restores?top=2&status=Planned&sourceResourceId=" + quote(vm_id("WEB-01"))
        seen: list[dict[str, Any]] = []
        while link:
            page = stage.call("GET", link).json()
            assert len(page["value"]) <= 2
            seen += page["value"]
            link = page.get("nextLink")

        times = [each["createdTime"] for each in seen]
        ids = [each["id"] for each in seen]
        assert times == sorted(times, reverse=True)
        assert len(ids) == len(set(ids))
        assert [each for each in ids if each in started] == list(reversed(started))
        assert {each["status"] for each in seen} == {"Planned"}

    def test_what_the_caller_has_is_not_sent_again_until_it_changes(self, stage: Stage) -> None:
        vm = vm_id("load-013", "load-rg")
        accepted = stage.post(a_request(sourceResourceId=vm, approval={"required": True})).json()
        document = f"restores/{accepted['id']}"
        page = f"restores?top=50&sourceResourceId={vm}"
        eventually(lambda: stage.call("GET", document).json()["status"] == "AwaitingApproval")

        def asked_twice(path: str) -> requests.Response | None:
            """Return the answer to the second of two equal calls, unless the restore changed between them."""
            etag = stage.call("GET", path).headers["ETag"]
            again = stage.call("GET", path, headers={"If-None-Match": etag})
            return again if again.headers["ETag"] == etag else None

        before = {path: eventually(partial(asked_twice, path)) for path in (document, page)}
        assert {(answer.status_code, answer.content) for answer in before.values()} == {(304, b"")}

        stage.call("POST", accepted["links"]["reject"], json={"by": "ada"})
        stage.finished(accepted["id"])
        eventually(lambda: stage.call("GET", page).json()["value"][0]["status"] == "Rejected")
        for path, answer in before.items():
            etag = answer.headers["ETag"]
            changed = stage.call("GET", path, headers={"If-None-Match": etag})
            assert (changed.status_code, changed.headers["ETag"] != etag) == (200, True)
            assert changed.json()

    @pytest.mark.parametrize(
        ("query", "target"),
        [
            ("status=Done", "status"),
            ("top=0", "top"),
            ("top=x", "top"),
            ("top=99999", "top"),
            ("sourceResourceId=web-01", "sourceResourceId"),
            ("continuationToken=xyz", "continuationToken"),
            ("stauts=Completed", "stauts"),
            ("status=completed&vaultId=x", "vaultId"),
        ],
    )
    def test_a_wrong_filter_is_named(self, stage: Stage, query: str, target: str) -> None:
        answer = stage.call("GET", f"restores?{query}")

        assert answer.status_code == 400
        assert answer.json()["error"]["details"][0]["target"] == target

    def test_recovery_points_come_newest_first_with_verdicts(self, stage: Stage) -> None:
        answer = stage.call("GET", f"recovery-points?sourceResourceId={quote(vm_id('web-02'))}")

        assert answer.status_code == 200
        points = answer.json()["value"]
        assert [point["time"] for point in points] == sorted((point["time"] for point in points), reverse=True)
        assert set(points[0]) == {"id", "time", "consistency", "tiers", "restorable", "reasons"}
        for point in points:
            assert point["restorable"] is (point["reasons"] == [])
        assert {point["restorable"] for point in points} == {True, False}

    def test_recovery_points_of_a_deleted_vm_are_in_its_vault(self, stage: Stage) -> None:
        params = {"sourceResourceId": vm_id("gone-01"), "vaultId": VAULT_ID}

        assert len(stage.call("GET", "recovery-points", params=params).json()["value"]) == 3

    def test_the_newest_restorable_point_is_the_one_that_is_restored(self, stage: Stage) -> None:
        points = stage.call("GET", f"recovery-points?sourceResourceId={quote(vm_id('web-02'))}").json()["value"]
        best = next(point["id"] for point in points if point["restorable"])

        assert stage.restore(sourceResourceId=vm_id("web-02"))["recoveryPoint"]["id"] == best

    @pytest.mark.parametrize(
        ("query", "status", "code"),
        [
            ("", 400, "InvalidRequest"),
            ("sourceResourceId=web-01", 400, "InvalidRequest"),
            (f"sourceResourceId={quote(vm_id('lonely-01'))}", 404, "NotProtected"),
            (f"sourceResourceId={quote(vm_id('never-was'))}", 404, "NotFound"),
            (f"sourceResourceId={quote(vm_id('web-01'))}&vault=v", 400, "InvalidRequest"),
            (f"sourceResourceId={quote(vm_id('never-was'))}&vaultId={quote(VAULT_ID)}", 404, "NotProtected"),
        ],
    )
    def test_recovery_points_of_nothing_are_an_error(self, stage: Stage, query: str, status: int, code: str) -> None:
        answer = stage.call("GET", f"recovery-points?{query}")

        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)

    def test_health_does_not_touch_azure(self) -> None:
        with pytest.MonkeyPatch.context() as patch, staged(patch) as idle:
            answer = idle.call("GET", "health")

            assert (answer.status_code, answer.json()["status"]) == (200, "ok")
            assert idle.simulator.requests == []


SURVIVED = (
    "lost-202",
    "error-500-after-accept",
    "error-500-before-accept",
    "errors-503",
    "throttle-429",
    "item-busy",
    "slow-operation",
    "unauthorized-once",
    "malformed-json",
    "wrong-host-url",
    "double-subscriptions-location",
    "no-async-header",
    "integer-enums",
    "unknown-enums",
    "job-not-listed",
)
REPORTED = {"job-failed": "Failed", "job-warnings": "CompletedWithWarnings", "operation-failed": "Failed"}


@pytest.fixture(scope="module")
def started(stage: Stage) -> dict[str, str]:
    """Restore every faulty VM at once, since their waits are real; returns the restores' ids."""
    bodies = {vm: a_request(sourceResourceId=vm_id(vm, "fault-rg"), validate=False) for vm in (*SURVIVED, *REPORTED)}
    return {vm: stage.post(body).json()["id"] for vm, body in bodies.items()}


class TestWhatTheServiceDoesWrong:
    @pytest.mark.parametrize("vm", SURVIVED)
    def test_is_survived_with_one_restore(self, stage: Stage, started: dict[str, str], vm: str) -> None:
        done = stage.finished(started[vm])

        assert done["status"] == "Completed", done
        assert stage.jobs_of(vm) == 1

    @pytest.mark.parametrize("vm", REPORTED)
    def test_is_reported_as_it_is(self, stage: Stage, started: dict[str, str], vm: str) -> None:
        done = stage.finished(started[vm])

        assert done["status"] == REPORTED[vm]
        assert (done["error"] or {}).get("details") or done["warnings"]


class TestPlan:
    def test_shows_the_body_and_the_verdicts_and_starts_nothing(self, stage: Stage) -> None:
        planned = stage.restore(sourceResourceId=vm_id("load-005", "load-rg"), dryRun=True)

        assert planned["status"] == "Planned"
        plan = planned["result"]["plan"]
        assert plan["requestBody"]["properties"]["recoveryPointId"] == planned["recoveryPoint"]["id"]
        assert [each["chosen"] for each in plan["candidates"]].count(True) == 1
        assert stage.jobs_of("load-005") == 0


class TestOtherKinds:
    GROUP = f"{SUBSCRIPTION}/resourceGroups/restored-rg"
    NETWORK = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/net"

    def test_another_vm_is_made_and_named(self, stage: Stage) -> None:
        target = f"{self.GROUP}/providers/Microsoft.Compute/virtualMachines/sql-01-restored"

        done = stage.restore(
            sourceResourceId=vm_id("sql-01", "sql-rg"),
            recoveryType="AlternateLocation",
            targetVirtualMachineId=target,
            virtualNetworkId=self.NETWORK,
            subnetId=f"{self.NETWORK}/subnets/default",
        )

        assert done["status"] == "Completed", done
        assert done["result"]["targetVirtualMachineId"] == target
        assert done["result"]["targetVirtualMachineName"] == "sql-01-restored"
        assert "Create the restored virtual machine" in [task["taskId"] for task in done["result"]["tasks"]]

    def test_disks_are_replaced_in_place_with_a_warning(self, stage: Stage) -> None:
        done = stage.restore(
            sourceResourceId=vm_id("load-006", "load-rg"), recoveryType="OriginalLocation", targetResourceGroupId=None
        )

        assert done["status"] == "Completed", done
        assert [warning["code"] for warning in done["warnings"]] == ["DiskNamesChanged"]
        assert "/resourceGroups/load-rg/" in done["result"]["disks"][0]["id"]

    def test_members_that_the_job_does_not_name_come_from_the_request(self, stage: Stage) -> None:
        done = stage.restore(sourceResourceId=vm_id("no-property-bag", "fault-rg"))

        assert (done["status"], done["result"]["propertyBag"]) == ("Completed", {})
        assert done["result"]["targetStorageAccountName"] == "stagingweu"
        assert done["result"]["targetResourceGroup"] == "restored-rg"
        assert [warning["code"] for warning in done["warnings"]] == ["ResultIncomplete"]

    def test_disks_without_a_tag_are_known_by_name_and_time(self, stage: Stage) -> None:
        done = stage.restore(sourceResourceId=vm_id("untagged-disks", "fault-rg"))

        [disk] = done["result"]["disks"]
        assert re.fullmatch(r"untaggeddisks-osdisk-\d{8}-\d{6}", disk["name"])

    def test_the_keys_of_encrypted_disks_are_named(self, stage: Stage) -> None:
        done = stage.restore(sourceResourceId=vm_id("encrypted-01", "rules-rg"))

        assert done["status"] == "Completed", done
        assert done["result"]["encryptionInfoBlobName"].endswith(f"{done['jobId']}.json")
        assert done["result"]["encryptionInfoBlobUri"].startswith("https://stagingweu.blob.core.windows.net/")
        assert [warning["code"] for warning in done["warnings"]] == ["EncryptedDisks", "EncryptionKeysSaved"]

    def test_disks_become_vhds_without_a_target_group(self, stage: Stage) -> None:
        done = stage.restore(sourceResourceId=vm_id("load-007", "load-rg"), targetResourceGroupId=None)

        assert done["status"] == "Completed", done
        assert [warning["code"] for warning in done["warnings"]] == ["UnmanagedDisks"]

    @pytest.mark.parametrize("account", ["stagingzrs", "stagingneu", "no-such"])
    def test_a_staging_account_that_cannot_serve_starts_nothing(self, stage: Stage, account: str) -> None:
        storage = f"{SUBSCRIPTION}/resourceGroups/backup-rg/providers/Microsoft.Storage/storageAccounts/{account}"

        done = stage.restore(sourceResourceId=vm_id("load-008", "load-rg"), storageAccountId=storage)

        assert (done["status"], done["error"]["code"]) == ("Failed", "ValidationFailed")
        assert done["error"]["details"][0]["target"] == "storageAccountId"
        assert stage.jobs_of("load-008") == 0


class TestRulesOfTheService:
    OTHER = "/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/restored-rg"
    SAME_ACCESS: ClassVar[dict[str, Any]] = {
        "targetDiskNetworkAccessSettings": {"targetDiskNetworkAccessOption": "SameAsOnSourceDisks"}
    }
    IN_PLACE: ClassVar[dict[str, Any]] = {"recoveryType": "OriginalLocation", "targetResourceGroupId": None}

    @pytest.mark.parametrize(
        ("vm", "members", "target"),
        [
            ("unmanaged-01", IN_PLACE, "recoveryType"),
            ("encrypted-01", IN_PLACE, "recoveryType"),
            ("selective-01", IN_PLACE, "recoveryType"),
            ("encrypted-01", {"zones": ["1"]}, "zones"),
            ("encrypted-01", {"targetResourceGroupId": OTHER}, "targetResourceGroupId"),
            ("locked-01", {"targetResourceGroupId": OTHER}, "targetResourceGroupId"),
            ("locked-01", {"zones": ["1"]}, "zones"),
            ("locked-01", {"restoreDiskLunList": [0]}, "restoreDiskLunList"),
            ("private-01", {}, "targetDiskNetworkAccessSettings"),
            ("locked-01", SAME_ACCESS, "targetDiskNetworkAccessSettings"),
            ("selective-01", {"restoreDiskLunList": [2], "thenSwapDisks": {}}, "restoreDiskLunList"),
        ],
    )
    def test_what_it_would_refuse_is_named_and_never_sent(
        self, stage: Stage, vm: str, members: dict[str, Any], target: str
    ) -> None:
        done = stage.restore(sourceResourceId=vm_id(vm, "rules-rg"), **members)

        assert (done["status"], done["error"]["code"]) == ("Failed", "ValidationFailed")
        assert target in [detail.get("target") for detail in done["error"]["details"]]
        assert (done["operationId"], done["jobId"]) == (None, None)

    def test_what_it_allows_is_done(self, stage: Stage) -> None:
        zonal, selective = vm_id("zonal-01", "rules-rg"), vm_id("selective-01", "rules-rg")
        in_a_zone = {"sourceResourceId": zonal, "zones": ["2"]}

        assert completed_at_once(stage, [in_a_zone, {"sourceResourceId": selective, "restoreDiskLunList": [0]}])
        assert completed_at_once(stage, [{"sourceResourceId": zonal, "targetResourceGroupId": self.OTHER}])
        private = vm_id("private-01", "rules-rg")
        assert completed_at_once(stage, [{"sourceResourceId": private, **self.SAME_ACCESS}])

    def test_the_disks_made_are_compared_with_those_asked_for(self, stage: Stage) -> None:
        vms = [vm_id("selective-01", "rules-rg"), vm_id("disk-list-ignored", "rules-rg")]
        started = [stage.post(a_request(sourceResourceId=vm, restoreDiskLunList=[1])).json()["id"] for vm in vms]

        done = [stage.finished(restore_id) for restore_id in started]

        assert [document["status"] for document in done] == ["Completed"] * 2
        codes = [[warning["code"] for warning in document["warnings"]] for document in done]
        assert ["DisksDiffer" in of_one for of_one in codes] == [False, True]
        assert not any("Disks" in code for code in codes[0])

    def test_a_resource_guard_is_named_and_waited_for(self, stage: Stage) -> None:
        # It opens after 300 simulated seconds, half a second here.
        done = stage.restore(sourceResourceId=vm_id("guarded-01", "guarded-rg"), validate=False)

        assert done["status"] == "Completed", done
        assert stage.jobs_of("guarded-01") == 1


class TestCancel:
    def test_a_running_restore_is_cancelled_with_its_job(self, stage: Stage) -> None:
        # 31 simulated minutes are three seconds here
        vm = vm_id("load-004", "load-rg")
        link = stage.post(a_request(sourceResourceId=vm, targetResourceGroupId=None)).json()["links"]
        eventually(lambda: stage.call("GET", link["self"]).json()["phase"] == "TrackingJob" or None)

        answer = stage.call("POST", link["cancel"], json={"by": "ops", "comment": "wrong VM"})

        assert answer.status_code == 202
        done = stage.finished(answer.json()["id"])
        assert (done["status"], done["error"]["code"]) == ("Cancelled", "RestoreCancelled")
        assert stage.call("POST", link["cancel"]).status_code == 409

    def test_it_is_visible_at_once_and_a_second_one_gets_the_same_answer(self, stage: Stage) -> None:
        link = stage.post(a_request(sourceResourceId=vm_id("load-009", "load-rg"))).json()["links"]
        before = stage.call("GET", link["self"]).json()["links"]

        first = stage.call("POST", link["cancel"], json={"by": "ops", "comment": "wrong VM"})
        then = stage.call("GET", link["self"]).json()

        assert (before["cancel"], first.status_code) == (link["cancel"], 202)
        taken = first.json()["cancellation"]
        assert (taken["by"], taken["comment"]) == ("ops", "wrong VM")
        assert then["cancellation"] == taken
        assert first.json()["links"] == then["links"] == {"self": link["self"]}
        second = stage.call("POST", link["cancel"], json={"by": "somebody else"})
        assert second.status_code == 409 or second.json()["cancellation"] == taken
        assert stage.finished(first.json()["id"])["status"] == "Cancelled"

    def test_an_unknown_restore_is_a_404(self, stage: Stage) -> None:
        answer = stage.call("POST", "restores/nothing/cancel")

        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NotFound")

    def test_a_wrong_body_is_named(self, stage: Stage) -> None:
        restore_id = stage.post(a_request()).json()["id"]

        for body in ({"who": "me"}, {"by": 5}, []):
            answer = stage.call("POST", f"restores/{restore_id}/cancel", json=body)

            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidRequest"), body


class TestApproval:
    """The person who approves sees what is approved; the person who requested it may be kept from approving it."""

    def waiting(self, stage: Stage, vm: str, **members: Any) -> dict[str, Any]:
        """Return the document of a restore that waits for a person."""
        approval = {"required": True, **members.pop("approval", {})}
        body = a_request(sourceResourceId=vm_id(vm, "load-rg"), validate=False, approval=approval, **members)
        link = stage.post(body).json()["links"]["self"]
        eventually(lambda: stage.call("GET", link).json()["status"] == "AwaitingApproval")
        return stage.call("GET", link).json()

    def test_the_approver_sees_what_is_approved_and_how(self, stage: Stage) -> None:
        shown = self.waiting(
            stage, "load-023", recoveryType="OriginalLocation", targetResourceGroupId=None, requestedBy="ada"
        )

        assert (shown["request"]["recoveryType"], shown["request"]["requestedBy"]) == ("OriginalLocation", "ada")
        target = shown["request"]["target"]
        assert (target["virtualMachineId"], target["replacesDisks"]) == (vm_id("load-023", "load-rg"), True)
        itself = shown["links"]["self"]
        assert shown["links"] == {"self": itself} | {
            name: f"{itself}/{name}" for name in ("cancel", "approve", "reject")
        }
        approved = stage.call("POST", shown["links"]["approve"], json={"by": "bo"})
        assert approved.status_code == 202
        assert not {"approve", "reject"} & approved.json()["links"].keys()
        done = stage.finished(shown["id"])
        assert (done["status"], done["links"]) == ("Completed", {"self": itself})
        again = stage.call("POST", shown["links"]["approve"], json={"by": " Bo "})
        assert (again.status_code, again.json()["status"]) == (202, "Completed")
        assert stage.call("POST", shown["links"]["approve"], json={"by": "eve"}).status_code == 409
        assert stage.call("POST", shown["links"]["reject"], json={"by": "bo"}).status_code == 409

    def test_a_decision_without_a_name_is_refused_and_has_no_effect(self, stage: Stage) -> None:
        links = self.waiting(stage, "load-024")["links"]

        for verb in ("approve", "reject"):
            for body in (None, {}, {"by": None}, {"by": ""}, {"by": "  "}, {"comment": "go"}):
                answer = stage.call("POST", links[verb], json=body)
                assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidRequest"), body
                assert [detail["target"] for detail in answer.json()["error"]["details"]] == ["by"]
        assert stage.call("GET", links["self"]).json()["approval"]["decision"] is None
        assert stage.call("POST", links["reject"], json={"by": "bo"}).status_code == 202

    def test_the_requester_may_be_kept_from_approving(self, stage: Stage) -> None:
        asked = {"requestedBy": "ada", "approval": {"distinct": True}}
        links = self.waiting(stage, "load-025", **asked)["links"]

        refused = stage.call("POST", links["approve"], json={"by": " ADA"})

        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "RequestConflict")
        assert "another person must approve" in refused.json()["error"]["message"]
        assert stage.call("GET", links["self"]).json()["approval"]["decision"] is None
        assert stage.jobs_of("load-025") == 0
        assert stage.call("POST", links["reject"], json={"by": "ada"}).status_code == 202

    def test_a_distinct_approval_needs_a_requester(self, stage: Stage) -> None:
        answer = stage.post(a_request(approval={"required": True, "distinct": True}))

        assert (answer.status_code, answer.json()["error"]["details"][0]["target"]) == (400, "requestedBy")


def test_terminating_the_orchestration_is_told_as_cancelled(stage: Stage) -> None:
    restore_id = stage.post(
        a_request(sourceResourceId=vm_id("load-002", "load-rg"), targetResourceGroupId=None)
    ).json()["id"]

    hub = f"{stage.url}/runtime/webhooks/durabletask/instances/{restore_id}"
    assert stage.call("POST", f"{hub}/terminate?reason=wrong+vm").status_code in {200, 202}

    done = stage.finished(restore_id)
    assert done["status"] == "Cancelled"
    assert "terminated: wrong vm" in done["error"]["message"]


def test_so_many_restores_of_a_vault_run_at_once_and_all_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    with staged(monkeypatch, RESTORE_MAX_RUNNING_PER_VAULT="1") as stage:
        ids = [
            stage.post(a_request(sourceResourceId=vm_id(f"load-01{number}", "load-rg"))).json()["id"]
            for number in range(3)
        ]
        done = [stage.finished(each) for each in ids]

    assert [each["status"] for each in done] == ["Completed"] * 3
    spans = sorted((each["result"]["startTime"], each["result"]["endTime"]) for each in done)
    assert all(first[1] <= second[0] for first, second in pairwise(spans))
    assert sum(warning["code"] == "VaultBusy" for each in done for warning in each["warnings"]) == 2


def test_a_restore_waits_for_an_identity_endpoint_that_warms_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with staged(monkeypatch) as stage:
        stage.simulator.world.identity_failures_left = 6

        done = stage.restore()

        assert stage.simulator.world.identity_failures_left == 0
        assert (done["status"], stage.jobs_of("web-01")) == ("Completed", 1)
