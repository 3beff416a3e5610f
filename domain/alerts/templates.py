"""The restore request in a rule: a template with placeholders, filled in from an alert and its VM.

A template is checked when the rules are loaded, so that its author learns that a rule can never start its restore, and
not the operator during an incident.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast

from domain.people import is_named
from domain.reading import INVALID_VALUE, NOT_ALLOWED, Problems, Reader
from domain.request_schema import request_schema
from domain.templates import (
    NIL_UUID,
    SAMPLE_VM_ID,
    VM_ID_OF_MAX_LENGTH,
    VM_PLACEHOLDERS,
    check_placeholders,
    check_request,
    fill,
    placeholder_definitions,
    placeholder_list,
    vm_values,
    with_placeholders,
)
from domain.times import as_utc

if TYPE_CHECKING:
    from domain.errors import Json

REQUESTER: Final = "Azure Monitor"
"""The requester of a restore whose template names no person."""
PLACEHOLDERS: Final = (*VM_PLACEHOLDERS, "alertId", "firedDate")
PLACEHOLDER_LIST: Final = placeholder_list(PLACEHOLDERS)

_MAX_ALERT_NAME: Final = 80
_MAX_KEY: Final = 80
_KEPT_OF_KEY: Final = 63  # characters of a key that does not fit; a digest follows them
_KEY: Final = re.compile(rf"[A-Za-z0-9._-]{{1,{_MAX_KEY}}}")
_SAMPLE_DATE: Final = datetime(2026, 1, 1, tzinfo=UTC)
_ALERT_ID_OF_MAX_LENGTH: Final = f"/subscriptions/{NIL_UUID}/providers/Microsoft.AlertsManagement/alerts/{NIL_UUID}"


def fill_template(template: Json, *, vm_id: str, alert_id: str, fired: datetime) -> Json:
    """Return the restore request of one VM: the template with its placeholders filled in."""
    body = _fill_placeholders(template, vm_id, alert_id, fired)
    if isinstance(body.get("requestId"), str):
        body["requestId"] = _fitting_key(body["requestId"])
    return _with_vm_and_requester(body, vm_id)


def _with_vm_and_requester(body: Json, vm_id: str) -> Json:
    """Return the request with its VM, and with ``REQUESTER`` if no person is named."""
    requester = body.get("requestedBy")
    is_unnamed = requester is None or (isinstance(requester, str) and not is_named(requester))
    return {**body, "sourceResourceId": vm_id, **({"requestedBy": REQUESTER} if is_unnamed else {})}


def alert_name(alert_id: str) -> str:
    """Return the last segment of an alert's id, with only characters that any name may have."""
    last = alert_id.rstrip("/").rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9._-]", "-", last)[:_MAX_ALERT_NAME]


def _fill_placeholders(template: Json, vm_id: str, alert_id: str, fired: datetime) -> Json:
    alert = {"alertId": alert_name(alert_id), "firedDate": as_utc(fired).date().isoformat()}
    return fill(template, {**vm_values(vm_id), **alert})


def _fitting_key(text: str) -> str:
    """Return a ``requestId`` as it is when it can be one, else one made from its beginning and its digest."""
    if _KEY.fullmatch(text):
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[: _MAX_KEY - _KEPT_OF_KEY - 1]
    return f"{re.sub(r'[^A-Za-z0-9._-]', '-', text)[:_KEPT_OF_KEY]}-{digest}"


def _read_template(value: Any, path: str, problems: Problems) -> Json:
    """Read a template; check the whole request with sample names, and again with the longest names of Azure."""
    if not isinstance(value, dict):
        problems.add(INVALID_VALUE, path, "must be a JSON object")
        return {}
    template = {name: member for name, member in cast("Json", value).items() if member is not None}
    if template.pop("sourceResourceId", None) is not None:
        problems.add(NOT_ALLOWED, f"{path}.sourceResourceId", "must be left out: the alert names the virtual machine")
    check_placeholders(template, PLACEHOLDERS, path, problems)
    if isinstance(key := template.get("requestId"), str) and not ("{alertId}" in key and "{vmName}" in key):
        message = (
            "must contain {alertId} and {vmName}, because it identifies one restore; "
            "better leave it out, the app has a key of its own"
        )
        problems.add(INVALID_VALUE, f"{path}.requestId", message)
    # Here the requestId stays as it is written, so that the reader finds what is wrong with it.
    usual = _fill_placeholders(template, SAMPLE_VM_ID, "sample-alert", _SAMPLE_DATE)

    def place(target: str | None) -> str:
        return f"{path}.{target}"

    check_request(_with_vm_and_requester(usual, SAMPLE_VM_ID), place, problems)
    longest = fill_template(template, vm_id=VM_ID_OF_MAX_LENGTH, alert_id=_ALERT_ID_OF_MAX_LENGTH, fired=_SAMPLE_DATE)
    check_request(longest, place, problems, " (checked with the longest names that Azure allows)")
    return template


TEMPLATE: Final = Reader(_read_template, with_placeholders(request_schema(with_source=False)))
"""Reads a template and returns it as written; its schema refers to ``TEMPLATE_DEFINITIONS``."""
TEMPLATE_DEFINITIONS: Final = placeholder_definitions(PLACEHOLDERS)
