"""Storage accounts and blobs, as azure-mgmt-storage and azure-storage-blob see them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import requests
from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.mgmt.storage import StorageManagementClient
from azure.storage.blob import BlobServiceClient

from simulator.scenario import Scenario
from simulator.server import running
from tests.conformance.caller import STAGING, SUBSCRIPTION_ID, TARGET_GROUP, Caller
from tests.conformance.sdk import IdentityEndpoint, sdk_client, worlds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azure.storage.blob import BlobClient

    from simulator.clock import ManualClock
    from simulator.server import Simulator

GROUP, ACCOUNT = "backup-rg", "stagingweu"


@pytest.fixture
def accounts(secure: Simulator) -> Iterator[Any]:
    with sdk_client(StorageManagementClient, secure, SUBSCRIPTION_ID) as client:
        yield client.storage_accounts


def blobs_of(simulator: Simulator, account: str = ACCOUNT, credential: Any = None) -> BlobServiceClient:
    """Make the SDK's client of an account, under the simulator's own address."""
    worlds.append(simulator.world)
    return BlobServiceClient(
        f"{simulator.url}/{account}",
        credential or IdentityEndpoint(simulator),
        connection_verify=str(simulator.certificate),
        retry_total=0,
    )


def restored(simulator: Simulator, clock: ManualClock, name: str = "web-01", **members: Any) -> dict[str, Any]:
    """Restore a VM to blobs, or as the members say; return the property bag of the job when it has ended."""
    caller = Caller(simulator)
    with caller.session:
        job = caller.restored_job(name, **members)
        clock.advance(7200)
        return caller.job(job)["extendedInfo"]["propertyBag"]


def blob_named(simulator: Simulator, bag: dict[str, Any], name: str, account: str = ACCOUNT) -> BlobClient:
    return blobs_of(simulator, account).get_blob_client(bag["Config Blob Container Name"], name)


def a_scenario(**account: Any) -> Scenario:
    point = {"ageHours": 3, "tiers": {"InstantRP": "Valid", "HardenedRP": "Valid"}}
    return Scenario.from_dict(
        {
            "subscriptionId": SUBSCRIPTION_ID,
            "vaults": [{"name": "vault-weu", "resourceGroup": GROUP, "region": "westeurope"}],
            "storageAccounts": [{"name": ACCOUNT, "resourceGroup": GROUP, "location": "westeurope", **account}],
            "vms": [{"name": "web-01", "resourceGroup": "web-rg", "vault": "vault-weu", "points": [point]}],
        }
    )


def refused_with(error: pytest.ExceptionInfo[HttpResponseError]) -> tuple[int | None, str]:
    """Return the status of a refusal, and the code that the SDK read."""
    caught: Any = error.value
    return caught.status_code, caught.error_code


class TestAccounts:
    def test_storage_accounts_get_properties(self, accounts: Any) -> None:
        account = accounts.get_properties(GROUP, ACCOUNT)

        assert (account.name, account.location, account.kind, account.sku.name) == (
            ACCOUNT,
            "westeurope",
            "StorageV2",
            "Standard_LRS",
        )
        assert account.primary_endpoints.blob == f"https://{ACCOUNT}.blob.core.windows.net/"
        assert account.network_rule_set.default_action == "Allow"
        assert account.allow_shared_key_access is True
        assert account.creation_time is not None

    def test_storage_accounts_list_and_list_by_resource_group(self, accounts: Any) -> None:
        here = [account.name for account in accounts.list_by_resource_group(GROUP)]

        assert ACCOUNT in here
        assert "staginghidden" not in here
        assert {*here} <= {account.name for account in accounts.list()}
        with pytest.raises(ResourceNotFoundError, match="ResourceGroupNotFound"):
            list(accounts.list_by_resource_group("nowhere-rg"))

    def test_the_version_that_az_asks_for_has_few_properties(self, secure: Simulator) -> None:
        with sdk_client(StorageManagementClient, secure, SUBSCRIPTION_ID, api_version="2016-01-01") as client:
            account = client.storage_accounts.get_properties(GROUP, ACCOUNT)

        assert account.provisioning_state == "Succeeded"
        assert (account.network_rule_set, account.allow_shared_key_access) == (None, None)


class TestBlobs:
    def test_the_config_blob_is_a_page_blob_of_utf16_text(self, secure: Simulator, clock: ManualClock) -> None:
        bag = restored(secure, clock)
        blob = blob_named(secure, bag, bag["Config Blob Name"])

        properties = blob.get_blob_properties()
        raw = blob.download_blob().readall()

        assert (properties.blob_type, properties.size) == ("PageBlob", 5120)
        assert properties.content_settings.content_type == "application/octet-stream"
        assert properties.metadata == {"configblobsize": "5120"}
        assert len(raw) == 5120
        config = json.loads(raw.decode("utf-16-le").rstrip("\0"))
        assert config["properties.hardwareProfile"]["vmSize"]
        assert config["properties.storageProfile"]["osDisk"]["osType"] == "Windows"

    def test_the_template_is_json(self, secure: Simulator, clock: ManualClock) -> None:
        bag = restored(secure, clock, targetResourceGroupId=TARGET_GROUP)
        name = bag["Create VM Template Blob Uri"].rpartition("/")[2]

        template = json.loads(blob_named(secure, bag, name).download_blob().readall())

        assert "virtualMachineName" in template["parameters"]

    def test_a_blob_that_somebody_has_overwritten(self, secure: Simulator, clock: ManualClock) -> None:
        bag = restored(secure, clock)
        name = bag["Create VM Template Blob Uri"].rpartition("/")[2]
        before = blob_named(secure, bag, name).get_blob_properties()

        secure.world.overwrite_blob(ACCOUNT.upper(), name, b"{}")

        after = blob_named(secure, bag, name).get_blob_properties()
        assert blob_named(secure, bag, name).download_blob().readall() == b"{}"
        assert (after.size, after.etag != before.etag) == (2, True)
        assert blob_named(secure, bag, bag["Config Blob Name"]).get_blob_properties().size == 5120

    def test_a_busy_account(self, secure: Simulator, clock: ManualClock) -> None:
        bag = restored(secure, clock)
        account = secure.world.scenario.storage_accounts[0].resource_id
        secure.world.set_faults(account, {"errors503": {"count": 1}})
        blob = blob_named(secure, bag, bag["Config Blob Name"])

        with pytest.raises(HttpResponseError) as busy:
            blob.get_blob_properties()

        assert refused_with(busy) == (503, "ServerBusy")
        assert blob.get_blob_properties().size == 5120

    def test_a_part_of_a_blob(self, secure: Simulator, clock: ManualClock) -> None:
        bag = restored(secure, clock)
        blob = blob_named(secure, bag, bag["Config Blob Name"])

        assert blob.download_blob(offset=0, length=2).readall() == "{".encode("utf-16-le")
        with pytest.raises(HttpResponseError) as error:
            blob.download_blob(offset=5120, length=10)
        assert refused_with(error) == (416, "InvalidRange")

    def test_the_pages_of_a_blob(self, secure: Simulator, clock: ManualClock) -> None:
        bag = restored(secure, clock)
        template = bag["Create VM Template Blob Uri"].rpartition("/")[2]

        (pages,) = blob_named(secure, bag, bag["Config Blob Name"]).list_page_ranges()
        with pytest.raises(HttpResponseError) as error:
            list(blob_named(secure, bag, template).list_page_ranges())

        assert (pages.start, pages.end) == (0, 5119)
        assert refused_with(error) == (409, "InvalidBlobType")

    def test_a_restore_to_blobs_leaves_its_disks(self, secure: Simulator, clock: ManualClock) -> None:
        bag = restored(secure, clock)
        container = blobs_of(secure).get_container_client(bag["Config Blob Container Name"])

        blobs = {blob.name: blob for blob in container.list_blobs(include=["metadata"])}

        disks = [blob for name, blob in blobs.items() if name.endswith(".vhd")]
        assert [(disk.blob_type, disk.size) for disk in disks] == [("PageBlob", 127 * 1024**3 + 512)]
        assert blobs[bag["Config Blob Name"]].metadata == {"configblobsize": "5120"}
        assert len(blobs) == 3
        assert [page.name for page in container.list_blobs(name_starts_with="azuredeploy", results_per_page=1)] == [
            bag["Create VM Template Blob Uri"].rpartition("/")[2]
        ]
        assert [each.name for each in blobs_of(secure).list_containers()] == [container.container_name]

    def test_a_restore_to_managed_disks_leaves_no_vhd(self, secure: Simulator, clock: ManualClock) -> None:
        bag = restored(secure, clock, targetResourceGroupId=TARGET_GROUP)
        container = blobs_of(secure).get_container_client(bag["Config Blob Container Name"])

        assert [name for name in container.list_blob_names() if name.endswith(".vhd")] == []

    def test_the_list_comes_in_pages(self, secure: Simulator, clock: ManualClock) -> None:
        bag = restored(secure, clock)
        container = blobs_of(secure).get_container_client(bag["Config Blob Container Name"])

        first, second = ([blob.name for blob in page] for page in container.list_blobs(results_per_page=2).by_page())

        assert (len(first), len(second)) == (2, 1)
        assert [*first, *second] == sorted([*first, *second])

    def test_the_keys_of_encrypted_disks(self, secure: Simulator, clock: ManualClock) -> None:
        bag = restored(secure, clock, "web-03", point=1)

        keys = json.loads(blob_named(secure, bag, bag["Encryption Info Blob Name"]).download_blob().readall())

        assert keys["OsDiskKeyAndSecretDetails"]["SecretUrl"].startswith("https://")

    def test_nothing_is_there_before_the_job_has_ended(self, secure: Simulator, clock: ManualClock) -> None:
        caller = Caller(secure)
        caller.restored_job("web-01")
        clock.advance(60)

        assert list(blobs_of(secure).list_containers()) == []


class TestRefusals:
    def test_what_is_not_there(self, secure: Simulator, clock: ManualClock) -> None:
        bag = restored(secure, clock)
        with pytest.raises(ResourceNotFoundError) as blob:
            blob_named(secure, bag, "config-of-another.json").download_blob()
        with pytest.raises(ResourceNotFoundError) as head:
            blob_named(secure, bag, "config-of-another.json").get_blob_properties()
        with pytest.raises(ResourceNotFoundError) as container:
            list(blobs_of(secure).get_container_client("nothing-here").list_blobs())

        assert refused_with(blob) == refused_with(head) == (404, "BlobNotFound")
        assert refused_with(container) == (404, "ContainerNotFound")

    def test_a_token_of_arm(self, secure: Simulator) -> None:
        class OfArm(IdentityEndpoint):
            def get_token(self, *_scopes: str, **options: Any) -> Any:
                return super().get_token("https://management.azure.com/.default", **options)

        with pytest.raises(ClientAuthenticationError) as error:
            list(blobs_of(secure, credential=OfArm(secure)).list_containers())

        response: Any = error.value.response
        assert refused_with(error) == (401, "InvalidAuthenticationInfo")
        assert "Audience validation failed. Audience did not match." in str(error.value)
        assert "resource_id=https://storage.azure.com" in response.headers["WWW-Authenticate"]

    def test_no_token(self, secure: Simulator) -> None:
        answer = requests.get(
            f"{secure.url}/{ACCOUNT}/container/blob",
            headers={"x-ms-version": "2021-08-06"},
            verify=str(secure.certificate),
            timeout=10,
        )

        assert answer.status_code == 401
        assert answer.headers["x-ms-error-code"] == "NoAuthenticationInformation"
        assert answer.headers["WWW-Authenticate"].startswith(
            "Bearer authorization_uri=https://login.microsoftonline.com/"
        )
        assert answer.content.startswith(b'\xef\xbb\xbf<?xml version="1.0" encoding="utf-8"?><Error><Code>')

    def test_a_version_from_before_tokens(self, secure: Simulator) -> None:
        token = IdentityEndpoint(secure).get_token("https://storage.azure.com/.default").token
        answer = requests.get(
            f"{secure.url}/{ACCOUNT}/container/blob",
            headers={"x-ms-version": "2017-07-29", "Authorization": f"Bearer {token}"},
            verify=str(secure.certificate),
            timeout=10,
        )

        assert (answer.status_code, answer.headers["x-ms-error-code"]) == (403, "AuthenticationFailed")
        assert "Authentication scheme Bearer is not supported in this version." in answer.text

    @pytest.mark.parametrize(
        ("account", "code"),
        [({"blobReader": False}, "AuthorizationPermissionMismatch"), ({"firewall": True}, "AuthorizationFailure")],
    )
    def test_an_account_that_refuses_the_identity(self, clock: ManualClock, account: dict[str, Any], code: str) -> None:
        with running(a_scenario(**account), clock=clock, tls=True) as simulator:
            bag = restored(simulator, clock)
            with pytest.raises(HttpResponseError) as error:
                blob_named(simulator, bag, bag["Config Blob Name"]).download_blob()

        assert refused_with(error) == (403, code)

    def test_a_data_action_that_is_denied(self, secure: Simulator, clock: ManualClock) -> None:
        bag = restored(secure, clock)
        secure.world.deny(STAGING, ["Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"])

        with pytest.raises(HttpResponseError) as error:
            blob_named(secure, bag, bag["Config Blob Name"]).download_blob()

        assert refused_with(error) == (403, "AuthorizationPermissionMismatch")

    def test_keys_where_they_are_switched_off(self, clock: ManualClock) -> None:
        key = AzureNamedKeyCredential(ACCOUNT, "a2V5")
        with running(a_scenario(allowSharedKeyAccess=False), clock=clock, tls=True) as simulator:
            for credential in (key, AzureSasCredential("sv=2021-08-06&sig=abc")):
                with pytest.raises(HttpResponseError) as error:
                    list(blobs_of(simulator, credential=credential).list_containers())
                assert refused_with(error) == (403, "KeyBasedAuthenticationNotPermitted")

    def test_a_wrong_key(self, secure: Simulator) -> None:
        with pytest.raises(ClientAuthenticationError) as error:
            list(blobs_of(secure, credential=AzureNamedKeyCredential(ACCOUNT, "a2V5")).list_containers())

        assert refused_with(error) == (403, "AuthenticationFailed")

    def test_the_host_of_the_account_is_storage_and_no_arm(self, simulator: Simulator, arm: Caller) -> None:
        arm.session.headers["Host"] = f"{ACCOUNT}.blob.core.windows.net"

        answer = arm.session.get(f"{simulator.url}/container/blob", headers={"x-ms-version": "2021-08-06"}, timeout=10)

        assert answer.headers["x-ms-error-code"] == "InvalidAuthenticationInfo"
