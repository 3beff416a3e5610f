"""Who may read blobs: tokens for storage, the firewall, roles for data; no key is valid here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from simulator.providers.resources.permissions import READ_BLOBS, is_denied
from simulator.providers.storage import errors

if TYPE_CHECKING:
    from simulator.calls import Call
    from simulator.scenario import StorageAccount
    from simulator.world import World

_VERSION = re.compile(r"20\d\d-[01]\d-[0-3]\d")
_FIRST_WITH_TOKENS = "2017-11-09"
_LIST_CONTAINERS = "Microsoft.Storage/storageAccounts/blobServices/containers/read"


def check_access(world: World, call: Call, account: StorageAccount, container: str) -> None:
    """Raise unless the caller may read the blobs of an account."""
    version = call.headers.get("x-ms-version", "")
    if version and not _VERSION.fullmatch(version):
        raise errors.invalid_header()
    _check_authentication(world, call, account, version)
    if account.firewall:
        raise errors.network_not_allowed()
    action = READ_BLOBS if container else _LIST_CONTAINERS
    scope = f"{account.resource_id}/blobServices/default/containers/{container}"
    if not account.blob_reader or is_denied(world, action, scope):
        raise errors.no_permission()


def _check_authentication(world: World, call: Call, account: StorageAccount, version: str) -> None:
    kind, _, token = call.headers.get("authorization", "").partition(" ")
    if kind.lower() in {"sharedkey", "sharedkeylite"} or "sig" in call.query:
        if not account.shared_keys:
            raise errors.keys_not_permitted()
        raise errors.authentication_failed(
            "The MAC signature found in the HTTP request is not the same as any computed."
        )
    if not token:
        raise errors.no_authentication()
    if kind.lower() != "bearer" or version < _FIRST_WITH_TOKENS:
        raise errors.authentication_failed(f"Authentication scheme {kind} is not supported in this version.")
    if not world.tokens.is_known(token):
        raise errors.wrong_token("Signature validation failed. Signature verification failed.")
    if not world.tokens.is_valid(token):
        raise errors.wrong_token("Lifetime validation failed. The token is expired.")
    own = f"https://{account.name.lower()}.blob.core.windows.net"
    if world.tokens.audience_of(token).lower().rstrip("/") not in {"https://storage.azure.com", own}:
        raise errors.wrong_token("Audience validation failed. Audience did not match.")
