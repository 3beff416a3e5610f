"""The calls of Microsoft.Storage."""

from __future__ import annotations

from simulator.providers.storage import accounts
from simulator.routing import GROUP, SUBSCRIPTION, RouteTable

_ACCOUNTS = GROUP + "/providers/Microsoft.Storage/storageAccounts"

ROUTES: RouteTable = (
    ("GET", SUBSCRIPTION + "/providers/Microsoft.Storage/storageAccounts", accounts.list_storage_accounts),
    ("GET", _ACCOUNTS, accounts.list_storage_accounts),
    ("GET", _ACCOUNTS + "/{account}", accounts.get_storage_account),
)
