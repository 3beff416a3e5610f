"""The restore request in a rule: a template with placeholders, filled in from an alert and its VM.

A template is checked when the rules are loaded, so that its author learns that a rule can never start its restore, and
not the operator during an incident.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast

from domain.azure import resource_ids as ids
from domain.azure.resource_ids import ResourceId
from domain.errors import InvalidRequestError, Json
from domain.people import is_named
from domain.reading import INVALID_VALUE, NOT_ALLOWED, Problems, Reader
from domain.request_schema import request_schema
from domain.requests import RestoreRequest
from domain.times import as_utc

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REQUESTER: Final = "Azure Monitor"
"""The requester of a restore whose template names no person."""
PLACEHOLDERS: Final = ("subscriptionId", "resourceGroup", "vmName", "alertId", "firedDate")
PLACEHOLDER_LIST: Final = " ".join(f"{{{name}}}" for name in PLACEHOLDERS)

_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_MAX_DEPTH: Final = 10  # no restore request has more levels
_MAX_ALERT_NAME: Final = 80
_MAX_KEY: Final = 80
_KEPT_OF_KEY: Final = 63  # characters of a key that does not fit; a digest follows them
_KEY: Final = re.compile(rf"[A-Za-z0-9._-]{{1,{_MAX_KEY}}}")
_NIL_UUID: Final = "00000000-0000-0000-0000-000000000000"
_SAMPLE_DATE: Final = datetime(2026, 1, 1, tzinfo=UTC)
_SAMPLE_VM_ID: Final = (
    f"/subscriptions/{_NIL_UUID}/resourceGroups/sample-rg/providers/Microsoft.Compute/virtualMachines/sample-vm"
)
# With the longest names that Azure allows, and a character that only resource groups may have.
_VM_ID_OF_MAX_LENGTH: Final = _SAMPLE_VM_ID.replace("sample-rg", f"{'g' * 84}(west)").replace("sample-vm", "v" * 64)
_ALERT_ID_OF_MAX_LENGTH: Final = f"/subscriptions/{_NIL_UUID}/providers/Microsoft.AlertsManagement/alerts/{_NIL_UUID}"


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
    vm = ResourceId.parse(vm_id, ids.VIRTUAL_MACHINE)
    values: Mapping[str, str] = {
        "subscriptionId": vm.subscription_id,
        "resourceGroup": vm.resource_group,
        "vmName": vm.name,
        "alertId": alert_name(alert_id),
        "firedDate": as_utc(fired).date().isoformat(),
    }

    def fill(text: str, _path: str) -> str:
        return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), text)

    return _map_texts(template, "", fill)


def _fitting_key(text: str) -> str:
    """Return a ``requestId`` as it is when it can be one, else one made from its beginning and its digest."""
    if _KEY.fullmatch(text):
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[: _MAX_KEY - _KEPT_OF_KEY - 1]
    return f"{re.sub(r'[^A-Za-z0-9._-]', '-', text)[:_KEPT_OF_KEY]}-{digest}"


def _map_texts(value: Any, path: str, change: Callable[[str, str], str], depth: int = 0) -> Any:
    """Return a copy of a JSON value with ``change(text, its path)`` in place of each text; leave what is too deep."""
    if isinstance(value, str):
        return change(value, path)
    if depth < _MAX_DEPTH and isinstance(value, dict):
        members = cast("Json", value).items()
        return {name: _map_texts(member, f"{path}.{name}", change, depth + 1) for name, member in members}
    if depth < _MAX_DEPTH and isinstance(value, list):
        entries = enumerate(cast("list[Any]", value))
        return [_map_texts(entry, f"{path}[{index}]", change, depth + 1) for index, entry in entries]
    return value


def _read_template(value: Any, path: str, problems: Problems) -> Json:
    """Read a template; check the whole request with sample names, and again with the longest names of Azure."""
    if not isinstance(value, dict):
        problems.add(INVALID_VALUE, path, "must be a JSON object")
        return {}
    template = {name: member for name, member in cast("Json", value).items() if member is not None}
    if template.pop("sourceResourceId", None) is not None:
        problems.add(NOT_ALLOWED, f"{path}.sourceResourceId", "must be left out: the alert names the virtual machine")
    _check_placeholders(template, path, problems)
    if isinstance(key := template.get("requestId"), str) and not ("{alertId}" in key and "{vmName}" in key):
        message = (
            "must contain {alertId} and {vmName}, because it identifies one restore; "
            "better leave it out, the app has a key of its own"
        )
        problems.add(INVALID_VALUE, f"{path}.requestId", message)
    # Here the requestId stays as it is written, so that the reader finds what is wrong with it.
    usual = _fill_placeholders(template, _SAMPLE_VM_ID, "sample-alert", _SAMPLE_DATE)
    _check_request(_with_vm_and_requester(usual, _SAMPLE_VM_ID), path, problems, "")
    longest = fill_template(template, vm_id=_VM_ID_OF_MAX_LENGTH, alert_id=_ALERT_ID_OF_MAX_LENGTH, fired=_SAMPLE_DATE)
    _check_request(longest, path, problems, " (checked with the longest names that Azure allows)")
    return template


def _check_request(body: Json, path: str, problems: Problems, remark: str) -> None:
    try:
        RestoreRequest.from_json(body)
    except InvalidRequestError as error:
        for detail in error.details:
            target = f"{path}.{detail.target}"
            if not problems.exist_at(target):
                problems.add(detail.code, target, f"{detail.message}{remark}")


def _check_placeholders(template: Json, path: str, problems: Problems) -> None:
    def check(text: str, text_path: str) -> str:
        names: list[str] = _PLACEHOLDER.findall(text)
        for name in dict.fromkeys(names):
            if name not in PLACEHOLDERS:
                # The text in the braces is not quoted, because GET /api/health shows this message without a key.
                similar = difflib.get_close_matches(name, PLACEHOLDERS, n=1)
                hint = f"is it {{{similar[0]}}}?" if similar else f"known are {PLACEHOLDER_LIST}"
                problems.add(INVALID_VALUE, text_path, f"has an unknown placeholder; {hint}")
        return text

    _map_texts(template, path, check)


def _with_placeholders(schema: Any) -> Any:
    """Return a schema in which each text may have placeholders, also instead of its own pattern or format."""
    if isinstance(schema, list):
        return [_with_placeholders(entry) for entry in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    members = cast("Json", schema)
    if members.get("type") != "string" or "enum" in members:
        return {name: _with_placeholders(member) for name, member in members.items()}
    form = {name: member for name, member in members.items() if name in {"pattern", "format"}}
    others = {name: member for name, member in members.items() if name not in {"type", *form}}
    alternatives = {"anyOf": [form, {"$ref": "#/$defs/placeholders"}]} if form else {}
    return {**others, "$ref": "#/$defs/template", **alternatives}


TEMPLATE: Final = Reader(_read_template, _with_placeholders(request_schema(with_source=False)))
"""Reads a template and returns it as written; its schema refers to ``TEMPLATE_DEFINITIONS``."""
TEMPLATE_DEFINITIONS: Final[Json] = {
    "template": {
        "type": "string",
        "pattern": rf"^(?![\s\S]*\{{(?!({'|'.join(PLACEHOLDERS)})\}})[^{{}}]*\}})",
    },
    "placeholders": {
        "pattern": rf"^(?![\s\S]*[\u0000-\u001f\u007f-\u009f])[\s\S]*\{{({'|'.join(PLACEHOLDERS)})\}}",
    },
}
