"""The official SDKs, pointed at a simulator that speaks https."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests
from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import RequestsTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.clock import ManualClock
    from simulator.server import Simulator
    from simulator.world import World

worlds: list[World] = []
"""The worlds that the SDKs have met since the test began, for the table of their calls."""


class IdentityEndpoint:
    """A credential that asks the simulator's identity endpoint."""

    def __init__(self, simulator: Simulator) -> None:
        self._url = f"{simulator.url}/msi/token"
        self._certificate = str(simulator.certificate)

    def get_token(self, *scopes: str, **_options: Any) -> AccessToken:
        query = {"api-version": "2019-08-01", "resource": scopes[0].removesuffix("/.default")}
        headers = {"X-IDENTITY-HEADER": "simulator"}
        answer = requests.get(self._url, params=query, headers=headers, verify=self._certificate, timeout=10).json()
        return AccessToken(answer["access_token"], int(answer["expires_on"]))


class WaitlessTransport(RequestsTransport):
    """Lets a client's waits, as between two polls of an operation, pass on the simulator's clock."""

    def __init__(self, simulator: Simulator, clock: ManualClock) -> None:
        super().__init__(connection_verify=str(simulator.certificate))
        self._clock = clock

    def sleep(self, duration: float) -> None:
        self._clock.advance(duration)


def sdk_client[Client](client_class: Callable[..., Client], simulator: Simulator, *args: Any, **options: Any) -> Client:
    """Make a client of a management SDK, for a simulator with TLS. A failure is not tried again.

    ``args`` are those after the credential: in most SDKs the id of the subscription. With the option
    ``transport=WaitlessTransport(simulator, clock)`` pollers of operations do not sleep.
    """
    worlds.append(simulator.world)
    return client_class(
        IdentityEndpoint(simulator),
        *args,
        base_url=simulator.url,
        connection_verify=str(simulator.certificate),
        retry_total=0,
        **options,
    )
