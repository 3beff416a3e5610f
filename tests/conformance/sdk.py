"""The official SDK, pointed at the simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests
from azure.core.credentials import AccessToken
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.mgmt.recoveryservicesbackup import RecoveryServicesBackupClient

if TYPE_CHECKING:
    from azure.core.pipeline import PipelineRequest

    from simulator.server import Simulator


class IdentityEndpoint:
    """A credential that asks the simulator's identity endpoint."""

    def __init__(self, url: str) -> None:
        self._url = url

    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        query = {"api-version": "2019-08-01", "resource": "https://management.azure.com"}
        answer = requests.get(
            f"{self._url}/msi/token", params=query, headers={"X-IDENTITY-HEADER": "simulator"}, timeout=10
        ).json()
        return AccessToken(answer["access_token"], int(answer["expires_on"]))


class AllowHttp(SansIOHTTPPolicy[Any, Any]):
    """The SDK refuses to send tokens over http unless each call says otherwise."""

    def on_request(self, request: PipelineRequest[Any]) -> None:
        request.context.options.setdefault("enforce_https", False)


def a_client(simulator: Simulator) -> RecoveryServicesBackupClient:
    return RecoveryServicesBackupClient(
        IdentityEndpoint(simulator.url),
        "11111111-1111-1111-1111-111111111111",
        base_url=simulator.url,
        per_call_policies=[AllowHttp()],
        retry_total=0,
    )
