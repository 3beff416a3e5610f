"""What the real service sent, shortened where nothing reads it; names are replaced, shapes are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from domain.errors import Json

GROUP: Final = "/subscriptions/SUB/resourceGroups/VMRG"
VM: Final = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/VM"
VAULT: Final = "/subscriptions/SUB/resourceGroups/RG/providers/Microsoft.RecoveryServices/vaults/VAULT"
STAGING: Final = "/subscriptions/SUB/resourceGroups/RG/providers/Microsoft.Storage/storageAccounts/SA"
ITEM: Final = (
    f"{VAULT}/backupFabrics/Azure/protectionContainers/IaasVMContainer;iaasvmcontainerv2;rg;vm"
    "/protectedItems/VM;iaasvmcontainerv2;rg;vm"
)


def point(name: str, **properties: Any) -> Json:
    return {
        "id": f"{ITEM}/recoveryPoints/{name}",
        "name": name,
        "type": "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems/recoveryPoints",
        "properties": {"objectType": "IaasVMRecoveryPoint", **properties},
    }


POINT_2026: Final = point(
    "1103996678573089",
    recoveryPointType="AppConsistent",
    recoveryPointTime="2026-07-26T13:16:55.4397873Z",
    recoveryPointAdditionalInfo="",
    sourceVMStorageType="PremiumVMOnPartialPremiumStorage",
    isSourceVMEncrypted=False,
    isInstantIlrSessionActive=False,
    recoveryPointTierDetails=[{"type": "InstantRP", "status": "Valid"}, {"type": "HardenedRP", "status": "Valid"}],
    isManagedVirtualMachine=True,
    virtualMachineSize="Standard_D2s_v5",
    originalStorageAccountOption=False,
    osType="Windows",
    recoveryPointMoveReadinessInfo={"ArchivedRP": {"isReadyForMove": False, "additionalInfo": "Still determining"}},
    securityType="None",
    isPrivateAccessEnabledOnAnyDisk=False,
    createdWithPolicyType="V1",
)
POINT_LINUX: Final = point(
    "170406712483820",
    recoveryPointType="FileSystemConsistent",
    recoveryPointTime="2023-04-16T08:06:37.3387273Z",
    recoveryPointTierDetails=[{"type": "InstantRP", "status": "Deleted"}, {"type": "HardenedRP", "status": "Valid"}],
    osType="Linux",
    recoveryPointProperties={"expiryTime": "2023-05-16T08:06:37.3387273", "ruleName": "Daily", "isSoftDeleted": False},
)
POINT_REHYDRATED: Final = point(
    "22244821112382",
    recoveryPointType="CrashConsistent",
    recoveryPointTime="2020-12-09T10:00:00.07Z",
    recoveryPointTierDetails=[
        {"type": "InstantRP", "status": "Deleted"},
        {"type": "HardenedRP", "status": "Deleted"},
        {
            "type": "ArchivedRP",
            "status": "Rehydrated",
            "extendedInfo": {"RehydratedRPExpiryTime": "2020-12-21T22:48:25.4353958Z"},
        },
    ],
    zones=["1"],
)
POINT_2018: Final = point(
    "20982486783671",
    recoveryPointType="AppConsistent",
    recoveryPointTime="2018-06-04T06:06:00.5121087Z",
    recoveryPointTierDetails=[{"type": 1, "status": 1}, {"type": 2, "status": 1}],
    originalStorageAccountOption=False,
)


def job(extended: Json | None, **properties: Any) -> Json:
    base = {
        "jobType": "AzureIaaSVMJob",
        "actionsInfo": ["Cancellable"],
        "containerName": "iaasvmcontainerv2;rg;vm",
        "virtualMachineVersion": "Compute",
        "entityFriendlyName": "VM",
        "backupManagementType": "AzureIaasVM",
        "operation": "Restore",
        "startTime": "2026-07-26T14:17:41.444222Z",
        "activityId": "bd09c6ea-88fc-11f1-89c4-44f79fb7a4d0",
    }
    return {
        "id": f"{VAULT}/backupJobs/1c661a13-0000",
        "name": "1c661a13-0000",
        "type": "Microsoft.RecoveryServices/vaults/backupJobs",
        "properties": {**base, **properties, **({} if extended is None else {"extendedInfo": extended})},
    }


def task(status: str, **members: Any) -> Json:
    return {
        "taskId": "Transfer data from vault",
        "duration": "PT0S",
        "status": status,
        "taskType": "Normal",
        **members,
    }


JOB_FIRST_SECOND: Final = job(
    {
        "tasksList": [task("InProgress")],
        "propertyBag": {
            "Job Type": "Recover disks",
            "Target Storage Account Name": "SA",
            "Recovery point time ": None,
            "VM Subscription ID": "SUB",
        },
        "internalPropertyBag": {"restoreLocationType": "RestoreDisks"},
        "progressPercentage": 1.0,
        "dynamicErrorMessage": "",
    },
    duration="PT1.5565564S",
    status="InProgress",
)
JOB_HALF_WAY: Final = job(
    {
        "tasksList": [task("InProgress", taskExecutionDetails="119.61 GBs / 127 GBs Transferred")],
        "propertyBag": {"Job Type": "Recover disks", "Recovery point time ": "7/26/2026 1:16:55 PM"},
        "progressPercentage": 93.0,
        "estimatedRemainingDuration": "PT1M16.9049302S",
        "dynamicErrorMessage": "",
    },
    duration="PT24M29.6448917S",
    status="InProgress",
)
CONFIG_BLOB: Final = "https://SA.blob.core.windows.net/clitestvm-270156a9/config-clitestvm-1c661a13-0000.json"
TEMPLATE_BLOB: Final = "https://SA.blob.core.windows.net/clitestvm-270156a9/azuredeploy1c661a13-0000.json"
JOB_COMPLETED: Final = job(
    {
        "tasksList": [task("Completed", taskExecutionDetails="127 GBs / 127 GBs Transferred")],
        "propertyBag": {
            "Job Type": "Recover disks",
            "Target Storage Account Name": "SA",
            "Recovery point time ": "7/26/2026 1:16:55 PM",
            "Config Blob Name": "config-clitestvm-1c661a13-0000.json",
            "Config Blob Container Name": "clitestvm-270156a9",
            "Config Blob Uri": CONFIG_BLOB,
            "Create VM Template Blob Uri": TEMPLATE_BLOB,
            "VM Subscription ID": "SUB",
        },
        "internalPropertyBag": {"restoreLocationType": "RestoreDisks"},
        "progressPercentage": 100.0,
        "estimatedRemainingDuration": "PT0S",
    },
    duration="PT30M46.6954998S",
    status="Completed",
    endTime="2026-07-26T14:48:28.1397218Z",
)
JOB_NEW_VM: Final = job(
    {
        "tasksList": [task("Completed"), task("Completed", taskId="Create the restored virtual machine")],
        "propertyBag": {
            "Job Type": "Recover VM to an alternate location",
            "Original VM Name": "VM",
            "Target VM Name": "TVM",
            "Target VNet Name": "Group TRG VNET",
            "Target Storage Account Name": "SA",
            "Recovery point time ": "7/26/2026 1:16:55 PM",
            "Target resource group": "TRG",
            "VM Subscription ID": "SUB",
        },
        "internalPropertyBag": {"restoreLocationType": "AlternateLocation"},
        "progressPercentage": 100.0,
    },
    duration="PT2M9.9S",
    status="Completed",
    endTime="2026-07-26T14:19:51.344222Z",
    actionsInfo=[1],
)
JOB_REPLACING: Final = job(
    {
        "tasksList": [task("Completed"), task("InProgress", taskId="Update the virtual machine")],
        "propertyBag": {"Job Type": "Replace disks", "Target VM Name": None, "Target resource group": "vmrg"},
        "internalPropertyBag": {"restoreLocationType": "OriginalLocation"},
        "progressPercentage": 99.0,
        "estimatedRemainingDuration": "PT2M",
    },
    duration="PT13M0.640337S",
    status="InProgress",
)
JOB_LISTED: Final = job(None, duration="PT3.07S", status="InProgress")

OPERATION_SUCCEEDED: Final[Json] = {
    "id": "1c661a13-0000",
    "name": "1c661a13-0000",
    "status": "Succeeded",
    "startTime": "2026-07-26T14:17:41.444222Z",
    "endTime": "2026-07-26T14:17:41.444222Z",
    "properties": {"objectType": "OperationStatusJobExtendedInfo", "jobId": "1c661a13-0000"},
}
OPERATION_2018: Final[Json] = {
    "id": "781a0f18-e250-4d73-b059-5e9ffed4069e",
    "name": "781a0f18-e250-4d73-b059-5e9ffed4069e",
    "status": "Succeeded",
    "startTime": "2018-06-04T13:00:03.8068176Z",
    "endTime": "2018-06-04T13:00:03.8068176Z",
    "properties": {
        "objectType": "OperationStatusJobExtendedInfo",
        "jobId": "3021262a-fb3a-4538-9b37-e3e97a386093",
    },
}
OPERATION_RUNNING: Final[Json] = {
    "id": "d875a799-0000",
    "name": "d875a799-0000",
    "status": "InProgress",
    "startTime": "2021-06-14T16:00:22.7037897Z",
    "endTime": "0001-01-01T00:00:00",
}
OPERATION_FAILED: Final[Json] = {
    "id": "d875a799-0000",
    "name": "d875a799-0000",
    "status": "Failed",
    "startTime": "2026-07-26T14:17:41.444222Z",
    "endTime": "2026-07-26T14:17:43.1Z",
    "error": {"code": "UserErrorInstantRpNotFound", "message": "The snapshot is gone."},
}

VALIDATION_WITH_FINDINGS: Final[Json] = {
    "id": "v-1",
    "name": "v-1",
    "status": "Succeeded",
    "startTime": "2026-07-26T14:17:41.444222Z",
    "endTime": "2026-07-26T14:17:51.444222Z",
    "properties": {
        "objectType": "OperationStatusValidateOperationExtendedInfo",
        "validateOperationResponse": {
            "validationResults": [
                {
                    "code": "UserErrorCoreCountSubscriptionQuotaReached",
                    "message": "Core Count subscription quota has been reached.",
                    "recommendations": ["Contact Azure support to increase the limits."],
                }
            ]
        },
    },
}

PROTECTED_ITEM: Final[Json] = {
    "id": ITEM,
    "name": "VM;iaasvmcontainerv2;rg;vm",
    "type": "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems",
    "properties": {
        "friendlyName": "vm",
        "virtualMachineId": VM,
        "protectionState": "Protected",
        "protectedItemType": "Microsoft.Compute/virtualMachines",
        "containerName": "iaasvmcontainerv2;rg;vm",
        "sourceResourceId": VM,
        "vaultId": f"https://management.azure.com{VAULT}",
    },
}
BACKUP_STATUS: Final[Json] = {
    "protectionStatus": "Protected",
    "vaultId": VAULT,
    "fabricName": "Azure",
    "containerName": "IaasVMContainer;iaasvmcontainerv2;SOMERG;someVM",
    "protectedItemName": "VM;iaasvmcontainerv2;SOMERG;someVM",
    "errorCode": "Success",
    "errorMessage": "",
    "policyName": "DefaultPolicy",
    "registrationStatus": "Registered",
}
