"""Calls the simulator as a plain HTTP client would."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulator.server import Simulator

SUBSCRIPTION_ID = "11111111-1111-1111-1111-111111111111"
SUBSCRIPTION = f"/subscriptions/{SUBSCRIPTION_ID}"
_VAULTS = "providers/Microsoft.RecoveryServices/vaults"
VAULT = f"{SUBSCRIPTION}/resourceGroups/backup-rg/{_VAULTS}/vault-weu"
GUARDED = f"{SUBSCRIPTION}/resourceGroups/guarded-rg/{_VAULTS}/vault-guarded"
ZRS = f"{SUBSCRIPTION}/resourceGroups/rules-rg/{_VAULTS}/vault-zrs"
LOCKED = f"{SUBSCRIPTION}/resourceGroups/rules-rg/{_VAULTS}/vault-locked"
GUARD = f"{SUBSCRIPTION}/resourceGroups/security-rg/providers/Microsoft.DataProtection/resourceGuards/guard-01"
ACCOUNTS = f"{SUBSCRIPTION}/resourceGroups/backup-rg/providers/Microsoft.Storage/storageAccounts"
STAGING = f"{ACCOUNTS}/stagingweu"
TARGET_GROUP = f"{SUBSCRIPTION}/resourceGroups/restored-rg"
NETWORK = f"{SUBSCRIPTION}/resourceGroups/net-rg/providers/Microsoft.Network/virtualNetworks/isolated"
API_VERSION = "2025-08-01"


def vm_id(name: str, group: str = "web-rg") -> str:
    return f"{SUBSCRIPTION}/resourceGroups/{group}/providers/Microsoft.Compute/virtualMachines/{name}"


def item_path(name: str, group: str = "web-rg", vault: str = VAULT) -> str:
    native = f"iaasvmcontainerv2;{group};{name}"
    return f"{vault}/backupFabrics/Azure/protectionContainers/iaasvmcontainer;{native}/protectedItems/vm;{native}"


def point_of(simulator: Simulator, name: str, index: int = 0) -> str:
    vm = simulator.world.vm_named(name)
    assert vm is not None
    return vm.points[index].point_id


def new_vm_members(name: str = "web-01-r") -> dict[str, Any]:
    return {
        "recoveryType": "AlternateLocation",
        "targetResourceGroupId": TARGET_GROUP,
        "targetVirtualMachineId": f"{TARGET_GROUP}/providers/Microsoft.Compute/virtualMachines/{name}",
        "virtualNetworkId": NETWORK,
        "subnetId": f"{NETWORK}/subnets/default",
    }


class Caller:
    """A session with a token of the simulator's identity endpoint."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = str(simulator.certificate) if simulator.certificate else True
        self.renew()

    def renew(self) -> None:
        self.session.headers["Authorization"] = f"Bearer {self.token().json()['access_token']}"

    def token(self, secret: str | None = "simulator", **query: str) -> requests.Response:
        headers = {"X-IDENTITY-HEADER": secret} if secret else {}
        query = {"api-version": "2019-08-01", "resource": "https://management.azure.com/", **query}
        return self.session.get(f"{self.simulator.url}/msi/token", params=query, headers=headers, timeout=10)

    def get(self, path: str, **query: str) -> requests.Response:
        """GET a path, or a whole address as an answer gave it."""
        if path.startswith("http"):
            return self.session.get(path, timeout=10)
        query = {"api-version": API_VERSION, **query}
        return self.session.get(f"{self.simulator.url}{path}", params=query, timeout=10)

    def post(self, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> requests.Response:
        query = {"api-version": API_VERSION}
        url = f"{self.simulator.url}{path}"
        return self.session.post(url, params=query, json=body, headers=headers, timeout=10)

    def request_body(self, name: str, group: str = "web-rg", point: int = 0, **members: Any) -> dict[str, Any]:
        """Compose a restore to blobs, other members as given; None leaves a member out."""
        properties = {
            "objectType": "IaasVMRestoreRequest",
            "recoveryPointId": point_of(self.simulator, name, point),
            "recoveryType": "RestoreDisks",
            "sourceResourceId": vm_id(name, group),
            "storageAccountId": STAGING,
            "region": "westeurope",
            "createNewCloudService": False,
            "originalStorageAccountOption": False,
            **members,
        }
        return {"properties": {key: value for key, value in properties.items() if value is not None}}

    def restore(
        self,
        name: str,
        group: str = "web-rg",
        point: int = 0,
        headers: Mapping[str, str] | None = None,
        vault: str = VAULT,
        **members: Any,
    ) -> requests.Response:
        point_id = point_of(self.simulator, name, point)
        path = f"{item_path(name, group, vault)}/recoveryPoints/{point_id}/restore"
        return self.post(path, self.request_body(name, group, point, **members), headers)

    def validate(self, name: str, group: str = "web-rg", **members: Any) -> requests.Response:
        """Trigger the validation of a restore to blobs."""
        restore = {**self.request_body(name, group, **members)["properties"]}
        body = {
            "id": f"{item_path(name, group)}/recoveryPoints/{restore['recoveryPointId']}",
            "properties": {"objectType": "ValidateIaasVMRestoreOperationRequest", "restoreRequest": restore},
        }
        return self.post(f"{VAULT}/backupTriggerValidateOperation", body)

    def restored_job(self, name: str, group: str = "web-rg", point: int = 0, **members: Any) -> str:
        """Trigger a restore that must be taken; return its job's id."""
        answer = self.restore(name, group, point, **members)
        assert answer.status_code == 202, answer.text
        return self.simulator.world.jobs_of(vm_id(name, group))[-1].job_id

    def job(self, job_id: str) -> dict[str, Any]:
        return self.get(f"{VAULT}/backupJobs/{job_id}").json()["properties"]


def error_code(answer: requests.Response) -> str:
    return answer.json()["error"]["code"]
