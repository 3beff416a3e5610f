"""The result of a job that ended: what Azure Backup says of it, and what the request says where it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from domain.azure.jobs import JobStatus
from tests.support.azure import STORAGE_ID, TARGET_GROUP, a_point, a_restore

if TYPE_CHECKING:
    from domain.errors import Json
    from tests.support.player import Player

ACCOUNT, GROUP, VM = "Target Storage Account Name", "Target resource group", "Target VM Name"
NETWORK = f"{TARGET_GROUP}/providers/Microsoft.Network/virtualNetworks/net"
NEW_VM: Json = {
    "recoveryType": "AlternateLocation",
    "targetVirtualMachineId": f"{TARGET_GROUP}/providers/Microsoft.Compute/virtualMachines/web-01-restored",
    "virtualNetworkId": NETWORK,
    "subnetId": f"{NETWORK}/subnets/default",
}
IN_PLACE: Json = {"recoveryType": "OriginalLocation", "targetResourceGroupId": None}
VHDS: Json = {"targetResourceGroupId": None}
BY_IDENTITY: Json = {
    "storageAccountId": None,
    "identityInfo": {"isSystemAssignedIdentity": True},
    "identityBasedRestoreDetails": {"targetStorageAccountId": STORAGE_ID},
}
KINDS = [
    ({}, ("stagingweu", "restored-rg", None)),
    (BY_IDENTITY, ("stagingweu", "restored-rg", None)),
    (VHDS, ("stagingweu", None, None)),
    (NEW_VM, ("stagingweu", "restored-rg", "web-01-restored")),
    (IN_PLACE, ("stagingweu", "web-rg", "web-01")),
]


def targets(done: Json) -> tuple[Any, Any, Any]:
    result = done["result"]
    return (
        result["targetStorageAccountName"],
        result["targetResourceGroup"],
        result["targetVirtualMachineName"],
    )


def warnings(done: Json, code: str) -> list[str]:
    return [warning["message"] for warning in done["warnings"] if warning["code"] == code]


@pytest.mark.parametrize(("members", "known"), KINDS)
@pytest.mark.parametrize(
    "bag",
    [{}, {ACCOUNT: None, GROUP: None, VM: None}, {ACCOUNT: "", GROUP: " ", VM: ""}],
    ids=["empty", "null", "blank"],
)
def test_what_the_job_does_not_say_comes_from_the_request_with_a_warning(
    player: Player, members: Json, known: tuple[str | None, ...], bag: Json
) -> None:
    player.azure.property_bag = bag

    done = player.run(a_restore(**members))

    assert (done["status"], targets(done)) == ("Completed", known)
    [message] = warnings(done, "ResultIncomplete")
    assert "from the request" in message
    names = ("targetStorageAccountName", "targetResourceGroup", "targetVirtualMachineName")
    assert [name in message for name in names] == [value is not None for value in known]
    assert ("configBlobUri" in message) is ("recoveryType" not in members)


@pytest.mark.parametrize(("members", "known"), KINDS)
def test_a_job_that_says_all_comes_without_a_warning(player: Player, members: Json, known: tuple[Any, ...]) -> None:
    done = player.run(a_restore(**members))

    assert (targets(done), warnings(done, "ResultIncomplete")) == (known, [])


def test_a_single_member_is_filled_and_the_others_stay_the_services(player: Player) -> None:
    player.azure.property_bag = {ACCOUNT: "other", " target VM name ": "VM-A"}

    done = player.run(a_restore(**NEW_VM))

    assert targets(done) == ("other", "restored-rg", "VM-A")
    [message] = warnings(done, "ResultIncomplete")
    assert "targetResourceGroup" in message
    assert "targetStorageAccountName" not in message


@pytest.mark.parametrize("end", [JobStatus.FAILED, JobStatus.CANCELLED])
def test_a_job_without_success_gets_nothing_from_the_request(player: Player, end: JobStatus) -> None:
    player.azure.job_end, player.azure.property_bag = end, {}

    done = player.run()

    assert (targets(done), warnings(done, "ResultIncomplete")) == ((None, None, None), [])


CONTAINER = "web01-270156a9"
BLOBS = {
    ACCOUNT: "stagingweu",
    GROUP: "restored-rg",
    "Config Blob Container Name": CONTAINER,
    "Config Blob Uri": f"https://stagingweu.blob.core.windows.net/{CONTAINER}/config-web01-job.json",
}
KEYS = "vmencryption-job.json"


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("Encryption Info Blob Name", ("Restore-AzKeyVaultKey", "Set-AzKeyVaultSecret")),
        (" encryption info blob name ", ("Restore-AzKeyVaultKey",)),
        ("Secured Encryption Info Blob Name", ("Restore-AzKeyVaultKey", "disk encryption set")),
    ],
)
@pytest.mark.parametrize("end", [JobStatus.COMPLETED, JobStatus.FAILED])
def test_the_blob_with_the_keys_is_named_in_the_result(
    player: Player, key: str, words: tuple[str, ...], end: JobStatus
) -> None:
    player.azure.job_end, player.azure.property_bag = end, {**BLOBS, key: KEYS}

    done = player.run()

    assert done["result"]["encryptionInfoBlobName"] == KEYS
    assert done["result"]["encryptionInfoBlobUri"] == f"https://stagingweu.blob.core.windows.net/{CONTAINER}/{KEYS}"
    [message] = warnings(done, "EncryptionKeysSaved")
    assert [word for word in (*words, KEYS, CONTAINER, "stagingweu") if word not in message] == []


@pytest.mark.parametrize("config", [None, "", "config-web01-job.json", "https://stagingweu.blob.core.windows.net"])
def test_without_the_address_of_the_config_blob_only_its_name_is_known(player: Player, config: str | None) -> None:
    player.azure.property_bag = {"Encryption Info Blob Name": KEYS, "Config Blob Uri": config}

    done = player.run()

    assert (done["result"]["encryptionInfoBlobName"], done["result"]["encryptionInfoBlobUri"]) == (KEYS, None)
    assert KEYS in warnings(done, "EncryptionKeysSaved")[0]


@pytest.mark.parametrize("name", [None, "", " "])
def test_without_keys_there_is_nothing_to_name(player: Player, name: str | None) -> None:
    player.azure.property_bag = {**BLOBS, "Encryption Info Blob Name": name}

    done = player.run()

    assert (done["result"]["encryptionInfoBlobName"], done["result"]["encryptionInfoBlobUri"]) == (None, None)
    assert warnings(done, "EncryptionKeysSaved") == []


@pytest.mark.parametrize("dry_run", [False, True])
def test_an_encrypted_point_gives_a_warning_before_and_after_the_restore(player: Player, dry_run: bool) -> None:
    player.azure.points = [a_point(keyAndSecret={"bekDetails": {"secretUrl": "https://kv/s", "secretData": "s3cret"}})]

    done = player.run(a_restore(dryRun=dry_run))

    assert len(warnings(done, "EncryptedDisks")) == 1
    assert "s3cret" not in str(done)


@pytest.mark.parametrize(("name", "written"), [("a b?c.json", "a%20b%3Fc.json"), ("a\ud83d", "a%3F")])
def test_a_strange_name_stays_within_its_container(player: Player, name: str, written: str) -> None:
    player.azure.property_bag = {**BLOBS, "Encryption Info Blob Name": name}

    uri = player.run()["result"]["encryptionInfoBlobUri"]

    assert uri == f"https://stagingweu.blob.core.windows.net/{CONTAINER}/{written}"
