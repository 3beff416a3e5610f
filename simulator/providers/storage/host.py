"""Which calls are for storage: those to an account's own host, and those with its name in front of the path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.calls import Call
    from simulator.scenario import StorageAccount
    from simulator.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageCall:
    """A call for a storage account; an account that is not there is None, a container or blob not named is empty."""

    account: StorageAccount | None
    endpoint: str
    container: str
    blob: str


def storage_call(world: World, call: Call) -> StorageCall | None:
    """Return what a call for storage is about; None for a call that is not for storage.

    On the simulator's own address the account's name begins the path, as with the official emulator, and the call must
    have the header ``x-ms-version``.
    """
    accounts = {account.name.lower(): account for account in world.scenario.storage_accounts}
    host = call.headers.get("host", "").partition(":")[0].lower()
    path, endpoint = call.path.lstrip("/"), f"{call.base_url}/"
    if ".blob." in host:
        account = accounts.get(host.partition(".")[0])
    elif "x-ms-version" in call.headers:
        name, _, path = path.partition("/")
        account, endpoint = accounts.get(name), f"{endpoint}{name}/"
        if account is None:
            return None
    else:
        return None
    container, _, blob = path.partition("/")
    return StorageCall(account=account, endpoint=endpoint, container=container, blob=blob)
