"""The preflight: checks the permissions of the app's identity at each scope of ``RESTORE_SCOPES``, and the regions."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from domain import errors
from domain.api_types import PreflightReport
from domain.azure.permissions import Feature, guard_permission, needed_features
from domain.azure.resource_ids import RESOURCE_GROUP, is_id_of
from domain.azure.restore_constraints import resource_guard_requests
from domain.errors import RestoreError, TransientError
from domain.preflight import (
    JOIN_NETWORKS,
    NOTHING_TO_CHECK,
    RESTORE_FROM_VAULTS,
    STAGE_RESTORES,
    StagingCandidates,
    account_problem,
    feature_check,
    guard_check,
    guard_unknown,
    network_problem,
    overall_status,
    vault_staging_check,
    with_failed_read,
)
from domain.wire import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from domain.azure.permissions import Permission
    from domain.azure.restore_scopes import RestoreScopes
    from domain.errors import Json
    from domain.preflight import PreflightCheck
    from queries.backup_api import PreflightApi

_FEATURES: Final = Path(__file__).with_name("required_permissions.json")
_MAX_S: Final = 90.0
"""No call begins later. A call may take two minutes, and Azure's front end ends an HTTP request after 230 s."""


@cache
def required_permissions() -> tuple[Feature, ...]:
    """Return the features and the actions that they need."""
    return tuple(map(Feature.from_json, json.loads(_FEATURES.read_text(encoding="utf-8"))))


def run_preflight(api: PreflightApi, scopes: RestoreScopes, timer: Callable[[], float]) -> PreflightReport:
    """Return the outcome of all checks; it raises nothing. ``timer`` returns seconds.

    The calls are made one after the other. What was not checked because time was over is reported as unknown.
    """
    checks = tuple(_Preflight(api, scopes, timer).checks())
    return PreflightReport(
        status=overall_status(checks),
        principal_id=api.get_principal_id(),
        message=None if checks else NOTHING_TO_CHECK,
        checks=checks,
    )


class _Preflight:
    """One run. Each resource and each list is read once; if that fails, the error is stored in its place."""

    def __init__(self, api: PreflightApi, scopes: RestoreScopes, timer: Callable[[], float]) -> None:
        self._api = api
        self._scopes = scopes
        self._timer = timer
        self._until = timer() + _MAX_S
        self._read: dict[tuple[str, str], Any] = {}

    def checks(self) -> Iterator[PreflightCheck]:
        """Yield every check, feature by feature."""
        for feature, scope in needed_features(required_permissions(), self._scopes):
            check = feature_check(feature, scope, self._permissions(scope))
            resource = self._resource(scope)
            if isinstance(resource, RestoreError):
                check = with_failed_read(check, resource)
            elif resource is not None and feature.name == STAGE_RESTORES:
                check = check.with_finding(*account_problem(resource, self._regions()))
            elif resource is not None and feature.name == JOIN_NETWORKS:
                check = check.with_finding(*network_problem(resource, self._regions()))
            yield check
            if feature.name == RESTORE_FROM_VAULTS:
                yield from self._guard_checks(scope)
        if self._scopes.staging_scopes:
            found = self._staging_candidates()
            checked: dict[str | RestoreError, PreflightCheck] = {}
            for vault_id in self._scopes.vault_ids:
                region = self._region(vault_id)
                if region not in checked:  # once for each region: there may be many vaults and thousands of accounts
                    checked[region] = vault_staging_check(vault_id, region, found)
                yield replace(checked[region], scope=vault_id)

    def _guard_checks(self, vault_id: str) -> Iterator[PreflightCheck]:
        proxies = self._list("proxies", vault_id, self._api.list_resource_guard_proxies)
        if isinstance(proxies, RestoreError):
            # The check of the vault itself says that it is not found or that the action is missing.
            if proxies.code != errors.NOT_FOUND and not proxies.is_forbidden:
                yield guard_unknown(vault_id, proxies)
            return
        for needed in map(guard_permission, resource_guard_requests(proxies)):
            if needed is not None:
                guard_id, action = needed
                yield guard_check(vault_id, guard_id, action, self._permissions(guard_id))

    def _staging_candidates(self) -> StagingCandidates:
        accounts: list[Json] = []
        unread: list[str] = []
        for scope in self._scopes.staging_scopes:
            found = (
                self._list("accounts", scope, self._api.list_storage_accounts)
                if is_id_of(scope, RESOURCE_GROUP)
                else self._resource(scope)
            )
            if isinstance(found, RestoreError):
                unread.append(scope)
            elif found is not None:
                accounts += found if isinstance(found, list) else [found]
        return StagingCandidates(accounts, unread)

    def _regions(self) -> list[str | RestoreError]:
        """Return each region of the vaults once."""
        return list(dict.fromkeys(map(self._region, self._scopes.vault_ids)))

    def _region(self, vault_id: str) -> str | RestoreError:
        vault = self._resource(vault_id)
        if vault is None or isinstance(vault, RestoreError):
            return vault or _unread_error(vault_id)
        return as_text(vault.get("location")) or _unread_error(vault_id)

    def _permissions(self, scope: str) -> Sequence[Permission] | RestoreError:
        return self._list("permissions", scope, self._api.list_permissions)

    def _resource(self, scope: str) -> Json | RestoreError | None:
        """Return the resource; ``None`` for a subscription or a group.

        Whether these exist is shown by the list of their permissions.
        """
        readers: dict[str, Callable[[str], Json]] = {
            "microsoft.recoveryservices/vaults": self._api.get_vault,
            "microsoft.storage/storageaccounts": self._api.get_storage_account,
            "microsoft.network/virtualnetworks": self._api.get_virtual_network,
            "microsoft.compute/virtualmachines": self._virtual_machine,
        }
        kind = "/".join(scope.lower().split("/")[6:8])
        return None if kind not in readers else self._once("resource", scope, readers[kind])

    def _virtual_machine(self, vm_id: str) -> Json:
        return {"location": self._api.get_virtual_machine_region(vm_id)}

    def _list[T](self, what: str, scope: str, read: Callable[[str], Iterable[T]]) -> list[T] | RestoreError:
        return self._once(what, scope, lambda scope: list(self._in_time(read(scope))))

    def _once[T](self, what: str, scope: str, read: Callable[[str], T]) -> T | RestoreError:
        """Return what ``read`` returns, or the error that it raises; it is called once."""
        key = (what, scope.lower())
        if key not in self._read:
            try:
                self._check_time()
                self._read[key] = read(scope)
            except RestoreError as error:
                self._read[key] = error
        return cast("T | RestoreError", self._read[key])

    def _in_time[T](self, entries: Iterable[T]) -> Iterator[T]:
        """Yield the entries of a list; the next page is not read when time is over."""
        for entry in entries:
            self._check_time()
            yield entry

    def _check_time(self) -> None:
        if self._timer() > self._until:
            message = f"The preflight ends after {_MAX_S:.0f} s. Send the request again, or name fewer scopes."
            raise TransientError(errors.SERVICE_UNAVAILABLE, message)


def _unread_error(scope: str) -> RestoreError:
    return TransientError(errors.SERVICE_UNAVAILABLE, f"Azure's answer for {scope} has no region.")
