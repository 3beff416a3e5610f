"""All calls to Azure that the app makes, as one protocol: one client has one session for all."""

from __future__ import annotations

from typing import Protocol

from queries.backup_api import PreflightApi
from queries.new_machine_api import NewMachineApi


class AzureApi(PreflightApi, NewMachineApi, Protocol):
    """The client for Azure."""
