"""``make preflight``: shows what the app's identity may not do at the scopes of the setting ``RESTORE_SCOPES``.

With APP and KEY in the environment the deployed app is called; with TOKEN instead of KEY, an app behind App Service
authentication. Without APP the same checks are made in this process,
with the identity that is signed in here. The exit code is 0 only if everything is ok, and 2 if nothing could be
checked; ``make`` itself ends with 2 in both other cases.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import requests
from azure.identity import DefaultAzureCredential
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from arm.backup import BackupClient
from domain.codec import as_json
from local_host.config import apply_settings
from local_host.functions import HostError
from queries.preflight import run_preflight
from settings import Settings, SettingsError

if TYPE_CHECKING:
    from domain.errors import Json

_ROOT: Final = Path(__file__).parents[1]
_TIMEOUT_S: Final = (10, 240)  # Azure's front end answers after 230 s at most
_LOOPBACK: Final = {"127.0.0.1", "localhost", "::1"}
_SHOWN: Final = ("feature", "scope", "status", "message")
# The statuses that are no problem; the others are red.
_STYLES: Final = {"ok": "green", "guarded": "yellow", "unknown": "yellow"}


class NotCheckedError(Exception):
    """Nothing could be checked; the message says why and what to do."""


def main() -> int:
    """Run the command; return the exit code."""
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    app = os.environ.get("APP", "").strip().rstrip("/")
    try:
        report = _check_by_app(app, _credentials()) if app else _check_here()
    except NotCheckedError as error:
        print(f"preflight: {error}", file=sys.stderr)
        return 2
    _show(report, app, console)
    is_ok = report["status"] == "ok" and all(check["status"] in {"ok", "guarded"} for check in report["checks"])
    return 0 if is_ok else 1


def _credentials() -> dict[str, str]:
    token = os.environ.get("TOKEN", "").strip()
    return {"Authorization": f"Bearer {token}"} if token else {"x-functions-key": os.environ.get("KEY", "").strip()}


def _check_by_app(app: str, credentials: dict[str, str]) -> Json:
    if not _is_address(app):  # not quoted: an address that was copied may have a key in its query
        raise NotCheckedError("APP must be the app's address and no more, such as https://NAME.azurewebsites.net")
    try:
        # A redirect is not followed: it could send the key to another host.
        answer = requests.get(f"{app}/api/preflight", headers=credentials, timeout=_TIMEOUT_S, allow_redirects=False)
    except (requests.RequestException, ValueError) as error:  # ValueError: a key that no header can have
        raise NotCheckedError(f"{app} does not answer: {type(error).__name__}") from None
    if answer.status_code == requests.codes.unauthorized:
        raise NotCheckedError(
            f"{app} does not accept the key. Set KEY to a function key: az functionapp keys list --name NAME "
            "--resource-group GROUP --query functionKeys.default --output tsv; behind App Service authentication, set "
            "TOKEN to an Entra token for the app (docs/page-access.md)"
        )
    try:
        report: Any = answer.json() if answer.ok else None
    except ValueError:
        report = None
    if not _is_report(report):
        raise NotCheckedError(
            f"{app}/api/preflight answers {answer.status_code}. Is it this app, in a version with preflight?"
        )
    return report


def _is_address(app: str) -> bool:
    try:
        parts = urlsplit(app)
    except ValueError:
        return False
    is_bare = parts.netloc != "" and not (parts.path or parts.query or parts.fragment or "@" in parts.netloc)
    return is_bare and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK))


def _is_report(value: Any) -> bool:
    try:
        texts = [value["status"], *(check[name] for check in value["checks"] for name in _SHOWN)]
        actions = [action for check in value["checks"] for action in check["missingActions"]]
    except (KeyError, TypeError):
        return False
    return all(isinstance(text, str) for text in [*texts, *actions])


def _check_here() -> Json:
    path = _ROOT / "local.settings.json"
    try:
        if path.exists():
            apply_settings(path)
        settings = Settings.from_env(os.environ)
    except (HostError, SettingsError) as error:
        raise NotCheckedError(error) from None
    credential = _signed_in(settings)
    client = BackupClient.from_settings(settings, lambda: credential)
    try:
        return as_json(run_preflight(client, settings.restore_scopes, time.monotonic))
    finally:
        client.close()


def _signed_in(settings: Settings) -> DefaultAzureCredential:
    """Return a credential that has got a token, so that not every check fails for want of one."""
    logging.getLogger("azure.identity").setLevel(logging.CRITICAL)  # else a dozen lines for each attempt
    credential = DefaultAzureCredential(managed_identity_client_id=settings.client_id)
    try:
        credential.get_token(f"{settings.resource_manager_endpoint.rstrip('/')}/.default")
    except Exception as error:  # noqa: BLE001 - azure-identity lets errors of msal, json and sockets through
        credential.close()
        raise NotCheckedError(
            f"nobody is signed in here, or there is no token for Azure ({type(error).__name__}). Run az login "
            "(az account get-access-token shows whether it works), or check the deployed app: make preflight "
            "APP=https://NAME.azurewebsites.net KEY=FUNCTION_KEY"
        ) from None
    return credential


def _show(report: Json, app: str, console: Console) -> None:
    principal = report.get("principalId")
    identity = f"object id {principal}" if principal else "its token shows no object id"
    if app:
        console.print(f"Checked by {app} as its own identity ({identity}).", markup=False)
    else:
        console.print(
            f"Checked from here as the identity that is signed in here ({identity}), with the settings of the "
            "environment and local.settings.json. The deployed app may have another identity and other settings: set "
            "APP and KEY to check that one."
        )
    checks = report["checks"]
    if checks:
        console.print(_table(checks))
    for check in checks:
        if check["status"] != "ok":
            heading = f"{check['feature']} at {check['scope']}: {check['status']}"
            console.print(heading, style="bold", soft_wrap=True, markup=False)
            for action in check["missingActions"]:
                console.print(f"  missing: {action}", soft_wrap=True, markup=False)
            console.print(f"  {check['message']}\n", soft_wrap=True, markup=False)
    if "message" in report:
        console.print(report["message"], soft_wrap=True, markup=False)
    counts = {status: sum(check["status"] == status for check in checks) for status in _STYLES}
    others = len(checks) - sum(counts.values())
    console.print(
        f"Preflight: {report['status']}. Checks: {len(checks)}; ok {counts['ok']}, problems {others}, could not be "
        f"checked {counts['unknown']}."
    )
    if counts["guarded"]:
        console.print(f"Closed Resource Guards: {counts['guarded']}. A person must open them before a restore.")


def _table(checks: list[Json]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("feature", "scope", "status", "missing actions"):
        table.add_column(heading, overflow="fold")
    for check in checks:
        status = check["status"]
        style = _STYLES.get(status, "red")
        missing = str(len(check["missingActions"]) or "")
        table.add_row(Text(check["feature"]), Text(_short(check["scope"])), Text(status, style), missing)
    return table


def _short(scope: str) -> str:
    """Return the type and name of a scope, and its resource group if it is in one."""
    segments = scope.strip("/").split("/")
    name = "/".join(segments[-2:])
    return f"{name} ({segments[3]})" if len(segments) > 4 else name  # noqa: PLR2004 - subscriptions/S/resourceGroups/G


if __name__ == "__main__":
    sys.exit(main())
