"""The access tokens with which a restore in the secondary region names its vault, item and point."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call
from simulator.errors import invalid_input
from simulator.formats import us_time
from simulator.providers.backup.crossregion.metadata import metadata_text
from simulator.providers.backup.crossregion.reads import secondary_point
from simulator.providers.backup.crossregion.regions import region_of, secondary_region
from simulator.providers.backup.ids import data_id
from simulator.providers.backup.lookup import vault_of
from simulator.providers.backup.request_form import object_member
from simulator.regions import REGIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulator.providers.backup.points import Point
    from simulator.scenario import Vault, Vm
    from simulator.world import World

LIFETIME = timedelta(days=1)
_SKEW = timedelta(minutes=5)
_TENANT = "33333333-0000-4000-8000-333333333333"
_SERVICE = "http://microsoft.dataprotection"
_CLAIMS = "http://schemas.windowscloudbackup.com/2010/10/identity/claims"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreToken:
    """What an access token stands for, until it expires."""

    vm_key: str
    point_id: str
    expires: datetime


def get_aad_properties(_world: World, call: Call) -> Answer:
    """Answer the tenant, audience and service principal for which the tokens of a region are issued."""
    return Answer(body={"properties": _aad_properties(region_of(call))})


def _aad_properties(region: str) -> dict[str, str]:
    return {
        "tenantId": _TENANT,
        "audience": f"https://RecoveryServices/IaasCoord/aadmgmt/{REGIONS[region].code}",
        "servicePrincipalObjectId": _guid(f"service principal of {region}"),
    }


def make_access_token(world: World, call: Call) -> Answer:
    """Issue a token for one point; the body must be what ``backupAadProperties`` of the secondary region says."""
    vault = vault_of(world, call)
    vm, point = secondary_point(world, call)
    given, asked = object_member(call.body, "properties"), _aad_properties(secondary_region(vault))
    if any(given.get(name) != value for name, value in asked.items()):
        raise invalid_input("properties must be the AAD properties of the secondary region")
    now = world.now()
    token = _sign(_claims(vault, vm, point, asked, now), world)
    world.restore_tokens[token] = RestoreToken(vm_key=vm.key, point_id=point.point_id, expires=now + LIFETIME)
    return Answer(body={"properties": _token_body(world, vault, vm, point, token)})


def redeem(world: World, details: Mapping[str, Any]) -> RestoreToken:
    """Return what a token in the body of a restore stands for; raise 400 for one unknown or expired."""
    if details.get("objectType") != "CrrAccessToken":
        raise invalid_input("objectType of the access details must be CrrAccessToken")
    token = world.restore_tokens.get(str(details.get("accessTokenString")))
    if token is None:
        raise invalid_input("the access token was not given out here")
    if world.now() >= token.expires:
        raise invalid_input("the access token has expired")
    return token


def vault_number(vault: Vault) -> str:
    """Return the number by which the service knows a vault."""
    return _number(vault.resource_id, 19)


def _token_body(world: World, vault: Vault, vm: Vm, point: Point, token: str) -> dict[str, Any]:
    home = REGIONS[vault.region.lower()]
    return {
        "objectType": "CrrAccessToken",
        "accessTokenString": token,
        "subscriptionId": vault.subscription_id,
        "resourceGroupName": vault.resource_group,
        "resourceName": vault.name,
        "resourceId": vault_number(vault),
        "protectionContainerId": int(_number(vm.key, 7)),
        "recoveryPointId": point.point_id,
        "recoveryPointTime": us_time(world.point_time(point)),
        "containerName": vm.native_name,
        "containerType": "IaasVMContainer",
        "backupManagementType": "AzureIaasVM",
        "datasourceType": "VM",
        "datasourceName": vm.name,
        "datasourceId": data_id(vm),
        "datasourceContainerName": vm.native_name,
        "coordinatorServiceStampUri": f"https://pod01-coord1.{home.code}.backup.windowsazure.com",
        "protectionServiceStampId": _guid(f"stamp of {vault.region}"),
        "protectionServiceStampUri": f"https://pod01-prot1-int.{home.code}.backup.windowsazure.com",
        "tokenExtendedInformation": metadata_text(vm, point),
        "rpTierInformation": dict(point.tiers),
        "rpOriginalSAOption": False,
        "rpIsManagedVirtualMachine": point.managed,
        "rpVMSizeDescription": vm.hardware.size,
        "bMSActiveRegion": home.display_name.replace(" ", ""),
    }


def _claims(vault: Vault, vm: Vm, point: Point, aad: Mapping[str, str], now: datetime) -> dict[str, Any]:
    vault_id, container_id, issuer = vault_number(vault), _number(vm.key, 7), _guid("issuer of tokens")
    return {
        "UserIdentityType": "AAD",
        "AadTenantId": aad["tenantId"],
        "AadSPObjectId": aad["servicePrincipalObjectId"],
        "PitPermissions": "Read",
        "BackupVaultID": vault_id,
        "ContainerID": container_id,
        "DatasourceID": data_id(vm),
        "PitID": point.point_id,
        "issid": issuer,
        f"{_CLAIMS}/resourceid": vault_id,
        f"{_CLAIMS}/containerid": container_id,
        "nbf": int(now.timestamp()),
        "exp": int((now + LIFETIME).timestamp()),
        "iat": int((now - _SKEW).timestamp()),
        "iss": f"{_SERVICE}/issuers/{issuer}",
        "aud": f"{_SERVICE}/ProtectionService",
    }


def _sign(claims: Mapping[str, Any], world: World) -> str:
    """Write a token in the form of a JWT; nobody can check its signature."""
    header = {"alg": "RS256", "kid": hashlib.sha1(b"kid").hexdigest().upper(), "typ": "JWT"}  # noqa: S324 - a thumbprint
    parts = [json.dumps(part, separators=(",", ":")).encode() for part in (header, claims)]
    return ".".join(
        base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (*parts, world.random.randbytes(256))
    )


def _number(seed: str, digits: int) -> str:
    """Return a number of so many digits, the same one for the same seed."""
    low = 10 ** (digits - 1)
    return str(low + int.from_bytes(hashlib.sha256(seed.lower().encode()).digest()[:8]) % (9 * low))


def _guid(seed: str) -> str:
    text = hashlib.sha256(seed.encode()).hexdigest()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:32]}"
