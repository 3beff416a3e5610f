"""What a write of a virtual machine is held to before its disks are looked at, and what is not shown afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import ResourceModifiedError
from azure.mgmt.compute import ComputeManagementClient, models

from tests.conformance.caller import SUBSCRIPTION, SUBSCRIPTION_ID, Caller, vm_id
from tests.conformance.sdk import WaitlessTransport, sdk_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.clock import ManualClock
    from simulator.server import Simulator

GROUP, VM = "swap-rg", "swap-01"
IDENTITY = f"{SUBSCRIPTION}/resourceGroups/backup-rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/one"


@pytest.fixture
def compute(secure: Simulator, clock: ManualClock) -> Iterator[ComputeManagementClient]:
    transport = WaitlessTransport(secure, clock)
    with sdk_client(ComputeManagementClient, secure, SUBSCRIPTION_ID, transport=transport) as client:
        yield client


@pytest.fixture
def azure(secure: Simulator) -> Iterator[Caller]:
    caller = Caller(secure)
    with caller.session:
        yield caller


def patch(azure: Caller, body: dict[str, Any]) -> tuple[int, Any]:
    url = f"{azure.simulator.url}{vm_id(VM, GROUP)}?api-version=2025-04-01"
    answer = azure.session.patch(url, json=body, timeout=10)
    return answer.status_code, answer.json()


def tags(value: str) -> models.VirtualMachineUpdate:
    return models.VirtualMachineUpdate(tags={"owner": value})


def test_a_vm_that_has_changed_meanwhile_is_not_overwritten(compute: ComputeManagementClient) -> None:
    """virtual_machines.begin_update with an ETag: the way to notice that somebody else has changed the VM."""
    etag = compute.virtual_machines.get(GROUP, VM).etag
    compute.virtual_machines.begin_update(
        GROUP, VM, tags("first"), etag=etag, match_condition=MatchConditions.IfNotModified
    ).result()

    with pytest.raises(ResourceModifiedError, match="PreconditionFailed"):
        compute.virtual_machines.begin_update(
            GROUP, VM, tags("second"), etag=etag, match_condition=MatchConditions.IfNotModified
        )

    assert compute.virtual_machines.get(GROUP, VM).tags == {"owner": "first"}


def etag_of(azure: Caller) -> str:
    return azure.get(vm_id(VM, GROUP), **{"api-version": "2024-07-01"}).json()["etag"]


def write(azure: Caller, method: str, action: str, body: Any = None) -> None:
    """Make a write to the VM, and let what it begins end."""
    url = f"{azure.simulator.url}{vm_id(VM, GROUP)}{action}?api-version=2024-07-01"
    answer = azure.session.request(method, url, json=body, timeout=10)
    assert answer.status_code in {200, 202}, answer.text


@pytest.mark.parametrize(
    ("method", "action", "body"),
    [
        ("PATCH", "", {"tags": {"owner": "x"}}),
        ("POST", "/deallocate", None),
        ("POST", "/start", None),
        ("POST", "/attachDetachDataDisks", {"dataDisksToDetach": []}),
        ("PATCH", "/providers/Microsoft.Resources/tags/default", {"operation": "Merge", "properties": {"tags": {}}}),
    ],
)
def test_every_write_changes_the_etag(
    azure: Caller, clock: ManualClock, method: str, action: str, body: dict[str, Any] | None
) -> None:
    before = etag_of(azure)
    write(azure, method, action, body)
    assert etag_of(azure) != before
    clock.advance(60)
    after = etag_of(azure)

    stale = azure.session.patch(
        f"{azure.simulator.url}{vm_id(VM, GROUP)}?api-version=2024-07-01",
        json={"tags": {"owner": "y"}},
        headers={"If-Match": before},
        timeout=10,
    )

    assert (stale.status_code, stale.json()) == (
        412,
        {
            "error": {
                "code": "PreconditionFailed",
                "message": f"Etag provided in if-match header {before} does not match etag {after} of resource.",
            }
        },
    )


def test_so_does_the_end_of_an_operation(azure: Caller, clock: ManualClock) -> None:
    write(azure, "POST", "/deallocate")
    meanwhile = etag_of(azure)
    clock.advance(60)

    assert etag_of(azure) != meanwhile


def test_so_does_a_restore_in_place(azure: Caller, clock: ManualClock) -> None:
    etags = [etag_of(azure)]
    azure.restored_job(VM, GROUP, recoveryType="OriginalLocation")
    for seconds in (90, 900):
        clock.advance(seconds)
        etags.append(etag_of(azure))

    assert len(set(etags)) == 3


def test_versions_without_etags_overwrite_whatever_the_condition_is(azure: Caller) -> None:
    """A VM has an etag, and a write of it conditions, from 2023-09-01 on."""
    url = f"{azure.simulator.url}{vm_id(VM, GROUP)}?api-version=2023-07-01"

    assert "etag" not in azure.session.get(url, timeout=10).json()
    assert "etag" not in azure.session.get(url, timeout=10).headers
    answer = azure.session.patch(url, json={"tags": {}}, headers={"If-Match": '"77"'}, timeout=10)
    assert (answer.status_code, "etag" in answer.json()) == (200, False)


def test_tags_of_their_own_wait_for_what_runs(azure: Caller) -> None:
    """The tags of a resource are written by its provider, which refuses them while another write runs."""
    write(azure, "POST", "/deallocate")
    url = f"{azure.simulator.url}{vm_id(VM, GROUP)}/providers/Microsoft.Resources/tags/default?api-version=2021-04-01"
    answer = azure.session.patch(url, json={"operation": "Merge", "properties": {"tags": {"a": "b"}}}, timeout=10)

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "Conflict")


@pytest.mark.parametrize(
    ("body", "target"),
    [
        ({"properties": []}, "properties"),
        ({"properties": {"storageProfile": {"dataDisks": {}}}}, "properties.storageProfile.dataDisks"),
        ({"properties": {"storageProfile": {"dataDisks": [None]}}}, "properties.storageProfile.dataDisks"),
        ({"properties": {"storageProfile": {"osDisk": {"managedDisk": "x"}}}}, None),
        ({"properties": {"storageProfile": {"osDisk": {"diskSizeGB": "127"}}}}, None),
        ({"tags": "x"}, "tags"),
    ],
)
def test_members_of_the_wrong_type_are_refused(azure: Caller, body: dict[str, Any], target: str | None) -> None:
    status, answer = patch(azure, body)

    assert (status, answer["error"]["code"]) == (400, "InvalidParameter")
    assert target is None or answer["error"]["target"] == target


@pytest.mark.parametrize(
    ("method", "place", "body"),
    [
        ("PATCH", f"disks/{VM}_DataDisk_0", {"tags": "x"}),
        ("PATCH", f"disks/{VM}_DataDisk_0", {"tags": {"restore-id": 5}}),
        ("PUT", f"virtualMachines/{VM}/runCommands/c", {"properties": {"source": "hostname"}}),
        ("PUT", f"virtualMachines/{VM}/runCommands/c", {"properties": {"source": {}, "timeoutInSeconds": "60"}}),
        ("POST", f"virtualMachines/{VM}/attachDetachDataDisks", {"dataDisksToAttach": [{"diskId": 5}]}),
    ],
)
def test_so_are_those_of_disks_run_commands_and_attachments(
    azure: Caller, method: str, place: str, body: dict[str, Any]
) -> None:
    url = f"{azure.simulator.url}{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Compute/{place}"
    answer = azure.session.request(method, f"{url}?api-version=2025-04-01", json=body, timeout=10)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidParameter")


def test_a_null_member_is_as_good_as_none(azure: Caller) -> None:
    assert patch(azure, {"properties": {"storageProfile": {"osDisk": None, "dataDisks": None}}})[0] == 200


@pytest.mark.parametrize(
    ("body", "target"),
    [
        ({"zones": ["1"]}, "zones"),
        ({"properties": {"availabilitySet": {"id": "/subscriptions/s"}}}, "availabilitySet.id"),
        ({"properties": {"osProfile": {"computerName": "other"}}}, "osProfile.computerName"),
    ],
)
def test_what_a_vm_keeps_for_its_life(azure: Caller, body: dict[str, Any], target: str) -> None:
    status, answer = patch(azure, body)

    assert (status, answer["error"]["code"], answer["error"]["target"]) == (409, "PropertyChangeNotAllowed", target)


def test_a_disk_is_not_resized_by_the_way(azure: Caller) -> None:
    assert patch(azure, {"properties": {"storageProfile": {"osDisk": {"diskSizeGB": 512}}}})[0] == 400


def test_identities_are_given_and_taken(compute: ComputeManagementClient) -> None:
    """virtual_machines.begin_update, identity: null takes a user-assigned one away."""

    def change(kind: str, identities: dict[str, Any]) -> models.VirtualMachineIdentity | None:
        wanted: Any = {"identity": {"type": kind, "userAssignedIdentities": identities}}
        return compute.virtual_machines.begin_update(GROUP, VM, wanted).result().identity

    both = change("SystemAssigned, UserAssigned", {IDENTITY: {}})
    assert both is not None
    assert both.principal_id
    assert both.user_assigned_identities
    assert both.user_assigned_identities[IDENTITY].client_id

    one = change("SystemAssigned", {IDENTITY: None})
    assert one is not None
    assert not one.user_assigned_identities


def test_a_deallocated_vm_does_not_say_how_large_its_disks_are(compute: ComputeManagementClient) -> None:
    """virtual_machines.get: sizes and kinds of disks may change then, so they are read again at the next start."""

    def said() -> list[tuple[int | None, str | None]]:
        profile = compute.virtual_machines.get(GROUP, VM).storage_profile
        assert profile is not None
        assert profile.os_disk is not None
        entries = [profile.os_disk, *(profile.data_disks or [])]
        return [(each.disk_size_gb, each.managed_disk and each.managed_disk.storage_account_type) for each in entries]

    assert said() == [(127, "Premium_LRS"), (64, "Premium_LRS"), (32, "Premium_LRS")]
    compute.virtual_machines.begin_deallocate(GROUP, VM).result()
    assert said() == [(None, None)] * 3
    compute.virtual_machines.begin_start(GROUP, VM).result()
    assert said() == [(127, "Premium_LRS"), (64, "Premium_LRS"), (32, "Premium_LRS")]


def test_a_network_interface_of_another_region_is_not_found(azure: Caller) -> None:
    group = f"{SUBSCRIPTION}/resourceGroups/{GROUP}/providers"
    north = f"{group}/Microsoft.Network/networkInterfaces/swap-north-01-nic"
    status, answer = patch(azure, {"properties": {"networkProfile": {"networkInterfaces": [{"id": north}]}}})

    assert (status, answer["error"]["code"]) == (400, "InvalidResourceReference")
