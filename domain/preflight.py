"""The preflight: what the app's identity may not do at the scopes of ``RESTORE_SCOPES``, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from domain import errors
from domain.azure.permissions import READ_PERMISSIONS, missing_actions, missing_data_actions
from domain.azure.resource_ids import same_region
from domain.azure.restore_constraints import staging_violations
from domain.errors import RestoreError, TerminalError
from domain.wire import as_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from domain.azure.permissions import Feature, Permission
    from domain.errors import Json

RESTORE_FROM_VAULTS: Final = "RestoreFromVaults"
STAGE_RESTORES: Final = "StageRestores"
JOIN_NETWORKS: Final = "JoinNetworks"
USE_RESOURCE_GUARDS: Final = "UseResourceGuards"
NOTHING_TO_CHECK: Final = (
    "RESTORE_SCOPES names no scopes, so there is nothing to check. Set it to a JSON object such as "
    '{"vaultIds": ["/subscriptions/.../vaults/NAME"], "targetResourceGroupIds": ["/subscriptions/.../resourceGroups/'
    'NAME"]}; further members are stagingScopes, virtualNetworkIds, virtualMachineScopes, inPlaceScopes and '
    "readsTemplates."
)
_MAX_NAMED: Final = 5


class CheckStatus(StrEnum):
    """The outcome of one check, the least severe first."""

    OK = "ok"
    GUARDED = "guarded"
    UNKNOWN = "unknown"
    NOT_ALLOWED = "notAllowed"
    MISSING = "missing"
    NOT_FOUND = "notFound"


_BY_SEVERITY: Final = tuple(CheckStatus)


class PreflightStatus(StrEnum):
    """The outcome of all checks."""

    OK = "ok"
    PROBLEMS = "problems"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightCheck:
    """One feature at one scope.

    `guarded`: a person must open the Resource Guard before a restore; this is no problem. `notAllowed`: Azure Backup
    does not allow it, whatever the permissions are.
    """

    feature: str
    scope: str = field(metadata={"description": "A resource id."})
    status: CheckStatus
    missing_actions: tuple[str, ...]
    message: str = field(metadata={"description": "What was found, and what to do."})

    def with_finding(self, status: CheckStatus, message: str) -> PreflightCheck:
        """Return the check with a further finding; its status is the more severe of both."""
        if status is CheckStatus.OK or message in self.message:
            return self
        if self.status is CheckStatus.OK:
            return replace(self, status=status, message=message)
        worse = max(self.status, status, key=_BY_SEVERITY.index)
        return replace(self, status=worse, message=f"{self.message} {message}")


def overall_status(checks: Sequence[PreflightCheck]) -> PreflightStatus:
    """Return the outcome of all checks: a problem counts more than a check that could not be made."""
    found = {check.status for check in checks}
    if found - {CheckStatus.OK, CheckStatus.GUARDED, CheckStatus.UNKNOWN}:
        return PreflightStatus.PROBLEMS
    return PreflightStatus.INCOMPLETE if CheckStatus.UNKNOWN in found or not checks else PreflightStatus.OK


def feature_check(feature: Feature, scope: str, permissions: Sequence[Permission] | RestoreError) -> PreflightCheck:
    """Return whether the permissions at a scope are enough for a feature there."""
    role = f"the custom role of this feature (its name begins with Azure VM Restore {feature.name})"
    advice = f"{feature.purpose} This needs more permissions: assign {role}, or another role with the missing actions,"
    return permission_check(
        feature.name,
        scope,
        feature.actions,
        permissions,
        data_actions=feature.data_actions,
        purpose=feature.purpose,
        advice=advice,
    )


def permission_check(
    feature: str,
    scope: str,
    actions: Sequence[str],
    permissions: Sequence[Permission] | RestoreError,
    *,
    data_actions: Sequence[str] = (),
    purpose: str,
    advice: str,
) -> PreflightCheck:
    """Return whether the permissions at a scope have these actions; ``advice`` begins the message if not."""
    check = PreflightCheck(feature=feature, scope=scope, status=CheckStatus.OK, missing_actions=(), message=purpose)
    if isinstance(permissions, RestoreError):
        if permissions.is_forbidden:
            message = (
                f"The app's identity may not list its own permissions at {scope}: it has no role there, or a role "
                f"without {READ_PERMISSIONS}. {advice} to it at this scope. A new role takes some minutes to work."
            )
            return replace(check, status=CheckStatus.MISSING, missing_actions=(READ_PERMISSIONS,), message=message)
        return check.with_finding(*read_problem(scope, permissions))
    missing = (*missing_actions(actions, permissions), *missing_data_actions(data_actions, permissions))
    if not missing:
        return check
    message = f"{advice} to the app's identity at {scope}. A new role takes some minutes to work."
    return replace(check, status=CheckStatus.MISSING, missing_actions=missing, message=message)


def with_failed_read(check: PreflightCheck, error: RestoreError) -> PreflightCheck:
    """Return the check of a scope whose resource could not be read."""
    if check.missing_actions and error.is_forbidden:
        return check  # the missing actions are the cause
    return check.with_finding(*read_problem(check.scope, error))


def read_problem(scope: str, error: RestoreError) -> tuple[CheckStatus, str]:
    """Return what the failure to read something at a scope means."""
    if error.code == errors.NOT_FOUND and isinstance(error, TerminalError):
        return CheckStatus.NOT_FOUND, f"Azure does not find {scope}. Correct the id in RESTORE_SCOPES, or create it."
    if error.is_forbidden:
        return CheckStatus.MISSING, (
            f"Azure does not let the app's identity read {scope}, although its roles allow it: the role is only some "
            "minutes old, or a deny assignment forbids it."
        )
    return CheckStatus.UNKNOWN, f"This could not be checked: {error.message}"


@dataclass(frozen=True, slots=True)
class StagingCandidates:
    """The storage accounts of the staging scopes, and the scopes that could not be read."""

    accounts: Sequence[Json]
    unread: Sequence[str]


def vault_staging_check(vault_id: str, region: str | RestoreError, found: StagingCandidates) -> PreflightCheck:
    """Return whether a vault has a staging account that it can use."""
    check = PreflightCheck(
        feature=STAGE_RESTORES, scope=vault_id, status=CheckStatus.OK, missing_actions=(), message=""
    )
    if isinstance(region, RestoreError):
        message = "Whether the vault has a staging account that it can use is unknown: its region could not be read."
        return check.with_finding(CheckStatus.UNKNOWN, message)
    reasons: list[str] = []
    for account in found.accounts:
        name = as_text(account.get("name")) or as_text(account.get("id")) or "an account"
        violations = _staging_reasons(account, region)
        if not violations:
            return replace(check, message=f"The vault can use the staging account {name}.")
        reasons.append(f"{name}: {violations}")
    if found.unread:
        message = f"No staging account that the vault can use was found; not read: {_listed(found.unread)}."
        return check.with_finding(CheckStatus.UNKNOWN, message)
    listed = _listed(reasons) if reasons else "the staging scopes have no storage account"
    message = (
        f"The vault can use no staging account of RESTORE_SCOPES ({listed}). Create a general-purpose account that is "
        f"not zone-redundant in {region}, and name it in stagingScopes."
    )
    return check.with_finding(CheckStatus.NOT_ALLOWED, message)


def _listed(entries: Sequence[str]) -> str:
    """Return the first entries, and how many there are beyond: the answer must not grow with vaults times accounts."""
    more = [f"and {len(entries) - _MAX_NAMED} more"] if len(entries) > _MAX_NAMED else []
    return "; ".join([*entries[:_MAX_NAMED], *more])


def account_problem(account: Json, regions: Sequence[str | RestoreError]) -> tuple[CheckStatus, str]:
    """Return whether one of the vaults, in ``regions``, can use a staging account; without vaults it is not checked."""
    known = [region for region in regions if not isinstance(region, RestoreError)]
    reasons = [_staging_reasons(account, region) for region in known]
    if not regions or "" in reasons:
        return CheckStatus.OK, ""
    if len(known) < len(regions):
        return CheckStatus.UNKNOWN, "Whether a vault can use it is unknown: the region of a vault could not be read."
    return CheckStatus.NOT_ALLOWED, f"No vault of RESTORE_SCOPES can use it: {reasons[0]}."


def _staging_reasons(account: Json, region: str) -> str:
    violations = staging_violations(account, region=region, target="stagingScopes")
    return "; ".join(violation.message for violation in violations)


def network_problem(network: Json, regions: Sequence[str | RestoreError]) -> tuple[CheckStatus, str]:
    """Return whether a network is in the region of one of the vaults, where new VMs are created."""
    location = as_text(network.get("location"))
    known = [region for region in regions if not isinstance(region, RestoreError)]
    if location is None:
        return CheckStatus.UNKNOWN, "Its region could not be compared: Azure's answer has none."
    if not regions or any(same_region(location, region) for region in known):
        return CheckStatus.OK, ""
    if len(known) < len(regions):
        return CheckStatus.UNKNOWN, "Its region could not be compared: the region of a vault could not be read."
    wanted = ", ".join(sorted(set(known)))
    message = (
        f"The network is in {location}, but a VM is restored to the region of its vault ({wanted}). Name a network of "
        "that region in virtualNetworkIds."
    )
    return CheckStatus.NOT_ALLOWED, message


def guard_check(
    vault_id: str, guard_id: str, action: str, permissions: Sequence[Permission] | RestoreError
) -> PreflightCheck:
    """Return whether the Resource Guard of a vault allows restores now."""
    check = permission_check(
        USE_RESOURCE_GUARDS,
        guard_id,
        (action,),
        permissions,
        purpose=f"The Resource Guard allows restores from {vault_id} at the moment.",
        advice=(
            f"Restores from {vault_id} wait for its Resource Guard. This is as intended if its owner grants access "
            "only for a restore that waits. To let restores pass, assign the built-in role Backup MUA Operator"
        ),
    )
    return replace(check, status=CheckStatus.GUARDED) if check.status is CheckStatus.MISSING else check


def guard_unknown(vault_id: str, error: RestoreError) -> PreflightCheck:
    """Return the check of a vault whose Resource Guard proxies could not be read."""
    return PreflightCheck(
        feature=USE_RESOURCE_GUARDS,
        scope=vault_id,
        status=CheckStatus.UNKNOWN,
        missing_actions=(),
        message=f"Whether a Resource Guard protects the vault could not be checked: {error.message}",
    )
