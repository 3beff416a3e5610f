"""The custom role in ``infra/`` grants what the client calls and what Azure Backup requires of its caller, no more."""

from __future__ import annotations

import inspect
import json
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from arm.backup import BackupClient
from domain.azure.protected_items import ProtectedItem
from domain.errors import RestoreError
from tests.support.arm_server import ArmServer, Say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from arm.session import ArmSession

GROUP = "/subscriptions/s/resourceGroups/g"
VM = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/vm1"
VAULT = f"{GROUP}/providers/Microsoft.RecoveryServices/vaults/v1"
ITEM = ProtectedItem(
    vault_id=VAULT, container_name="c", protected_item_name="i", source_resource_id=VM, region="westeurope"
)
ITEM_PATH = f"{VAULT}/backupFabrics/Azure/protectionContainers/c/protectedItems/i"
ROLE = json.loads((Path(__file__).parents[3] / "infra" / "azure-vm-restore.role.json").read_text(encoding="utf-8"))
# Azure Backup restores with the rights of its caller: see Azure's documentation of roles for restores.
REQUIRED_OF_THE_CALLER = {
    "Microsoft.Compute/disks/write",
    "Microsoft.Compute/virtualMachines/write",
    "Microsoft.Network/networkInterfaces/join/action",
    "Microsoft.Network/networkInterfaces/read",
    "Microsoft.Network/networkInterfaces/write",
    "Microsoft.Network/virtualNetworks/read",
    "Microsoft.Network/virtualNetworks/subnets/join/action",
    "Microsoft.Resources/subscriptions/resourceGroups/read",
    "Microsoft.Resources/subscriptions/resourceGroups/write",
    "Microsoft.Storage/storageAccounts/listkeys/action",
    "Microsoft.Storage/storageAccounts/write",
}


def calls(url: str) -> Iterable[tuple[str, Callable[[BackupClient], object]]]:
    """Yield a call of every public method; methods that poll a URL are called with every kind of URL."""
    yield "get_virtual_machine_region", lambda api: api.get_virtual_machine_region(VM)
    yield "get_vault_region", lambda api: api.get_vault_region(VAULT)
    yield "get_vault", lambda api: api.get_vault(VAULT)
    account = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/a"
    yield "get_storage_account", lambda api: api.get_storage_account(account)
    yield "list_disks", lambda api: list(api.list_disks(GROUP))
    yield "list_resource_guard_proxies", lambda api: list(api.list_resource_guard_proxies(VAULT))
    yield "get_backup_status", lambda api: api.get_backup_status(VM, "westeurope")
    yield "get_protected_item", lambda api: api.get_protected_item(VAULT, "c", "i")
    yield "list_protected_items", lambda api: list(api.list_protected_items(VAULT))
    yield "list_recovery_points", lambda api: list(api.list_recovery_points(ITEM))
    yield "recovery_point_pages", lambda api: list(api.recovery_point_pages(ITEM, None))
    yield "get_recovery_point", lambda api: api.get_recovery_point(ITEM, "p")
    yield "trigger_restore", lambda api: api.trigger_restore(ITEM, "p", {}, client_request_id="r")
    for address in (None, f"{url}{ITEM_PATH}/operationsStatus/o", f"{url}{ITEM_PATH}/operationResults/o"):
        yield "get_operation", lambda api, address=address: api.get_operation(VAULT, "o", address)
    yield "find_restore_job", lambda api: api.find_restore_job(VAULT, activity_id="r")
    yield "get_job", lambda api: api.get_job(VAULT, "j")
    yield "cancel_job", lambda api: api.cancel_job(VAULT, "j")
    yield "trigger_validation", lambda api: api.trigger_validation(ITEM, "p", {})
    for kind in ("backupValidateOperationsStatuses", "backupValidateOperationResults"):
        yield "get_validation", lambda api, kind=kind: api.get_validation(VAULT, "o", f"{url}{VAULT}/{kind}/o")
    yield "get_validation", lambda api: api.get_validation(VAULT, "o", None)


def action_of(method: str, path: str) -> str:
    """Return ARM's name of an operation: the types in the path, then ``read``, or the last segment and ``action``."""
    names = unquote(path).rpartition("/providers/")[2].split("/")
    types = names[1::2]
    return "/".join([names[0], *types, "read" if method == "GET" else "action"])


def test_the_role_grants_exactly_what_is_needed(open_session: Callable[[str], ArmSession]) -> None:
    with (
        closing(ArmServer()) as server,
        closing(BackupClient(open_session(server.url), api_version="2025-08-01")) as api,
    ):
        made = list(calls(server.url))
        server.answers(
            *[Say(404, {"error": {"code": "NotFound", "message": "no"}})] * 2 * len(made)
        )  # after a 404 a second URL is polled
        for _, call in made:
            with suppress(RestoreError):
                call(api)
        actions = {action_of(request.method, request.path) for request in server.requests}

    assert len(server.requests) >= len(made)
    assert set(ROLE["Actions"]) == actions | REQUIRED_OF_THE_CALLER


def test_every_public_method_of_the_client_is_called_above() -> None:
    public = {name for name, _ in inspect.getmembers(BackupClient, inspect.isfunction) if not name.startswith("_")}

    assert {name for name, _ in calls("")} == public - {"close", "from_settings"}


def test_the_role_has_no_wildcards() -> None:
    assert not [action for action in ROLE["Actions"] if "*" in action]
    assert ROLE["Actions"] == sorted(set(ROLE["Actions"]))
    assert ROLE["DataActions"] == []


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("GET", VM, "Microsoft.Compute/virtualMachines/read"),
        ("GET", f"{VAULT}/backupJobs", "Microsoft.RecoveryServices/vaults/backupJobs/read"),
        ("POST", f"{VAULT}/backupJobs/j/cancel", "Microsoft.RecoveryServices/vaults/backupJobs/cancel/action"),
    ],
)
def test_actions_have_the_names_that_arm_gives_them(method: str, path: str, action: str) -> None:
    assert action_of(method, path) == action
