"""Restore requests with placeholders such as ``{vmName}``: in alert rules and in recovery plans.

A template is checked when its file is loaded, so that its author learns that it can never make a valid request, and not
the operator during an incident.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, Final, cast

from domain.azure import resource_ids as ids
from domain.azure.resource_ids import ResourceId
from domain.errors import InvalidRequestError, Json
from domain.reading import INVALID_VALUE, Problems
from domain.requests import RestoreRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

VM_PLACEHOLDERS: Final = ("subscriptionId", "resourceGroup", "vmName")
"""What the id of a virtual machine fills in."""

_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_MAX_DEPTH: Final = 10  # no restore request has more levels
NIL_UUID: Final = "00000000-0000-0000-0000-000000000000"
SAMPLE_VM_ID: Final = (
    f"/subscriptions/{NIL_UUID}/resourceGroups/sample-rg/providers/Microsoft.Compute/virtualMachines/sample-vm"
)
# With the longest names that Azure allows, and a character that only resource groups may have.
VM_ID_OF_MAX_LENGTH: Final = SAMPLE_VM_ID.replace("sample-rg", f"{'g' * 84}(west)").replace("sample-vm", "v" * 64)


def vm_values(vm_id: str) -> Mapping[str, str]:
    """Return the values of ``VM_PLACEHOLDERS`` for the id of a virtual machine."""
    vm = ResourceId.parse(vm_id, ids.VIRTUAL_MACHINE)
    return {"subscriptionId": vm.subscription_id, "resourceGroup": vm.resource_group, "vmName": vm.name}


def fill(template: Json, values: Mapping[str, str]) -> Json:
    """Return a copy of a template with its placeholders filled in; unknown ones stay."""

    def fill_text(text: str, _path: str) -> str:
        return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), text)

    return _map_texts(template, "", fill_text)


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


def check_placeholders(template: Json, known: Sequence[str], path: str, problems: Problems) -> None:
    """Add a problem for each placeholder that is not ``known``."""

    def check(text: str, text_path: str) -> str:
        names: list[str] = _PLACEHOLDER.findall(text)
        for name in dict.fromkeys(names):
            if name not in known:
                # The text in the braces is not quoted, because GET /api/health shows this message without a key.
                similar = difflib.get_close_matches(name, known, n=1)
                hint = f"is it {{{similar[0]}}}?" if similar else f"known are {placeholder_list(known)}"
                problems.add(INVALID_VALUE, text_path, f"has an unknown placeholder; {hint}")
        return text

    _map_texts(template, path, check)


def check_request(body: Json, place: Callable[[str | None], str], problems: Problems, remark: str = "") -> None:
    """Add the problems of a filled template; ``place`` returns the path in the file for a path in the request."""
    try:
        RestoreRequest.from_json(body)
    except InvalidRequestError as error:
        for detail in error.details:
            target = place(detail.target)
            if not problems.exist_at(target):
                problems.add(detail.code, target, f"{detail.message}{remark}")


def placeholder_list(known: Sequence[str]) -> str:
    """Return the placeholders as they are written."""
    return " ".join(f"{{{name}}}" for name in known)


def with_placeholders(schema: Any) -> Any:
    """Return a schema in which each text may have placeholders, also instead of its own pattern or format.

    It refers to ``placeholder_definitions``.
    """
    if isinstance(schema, list):
        return [with_placeholders(entry) for entry in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    members = cast("Json", schema)
    if members.get("type") != "string" or "enum" in members:
        return {name: with_placeholders(member) for name, member in members.items()}
    form = {name: member for name, member in members.items() if name in {"pattern", "format"}}
    others = {name: member for name, member in members.items() if name not in {"type", *form}}
    alternatives = {"anyOf": [form, {"$ref": "#/$defs/placeholders"}]} if form else {}
    return {**others, "$ref": "#/$defs/template", **alternatives}


def placeholder_definitions(known: Sequence[str]) -> Json:
    """Return the definitions of the schema of a file whose templates have these placeholders."""
    names = "|".join(known)
    return {
        "template": {
            "type": "string",
            "pattern": rf"^(?![\s\S]*\{{(?!({names})\}})[^{{}}]*\}})",
        },
        "placeholders": {
            "pattern": rf"^(?![\s\S]*[\u0000-\u001f\u007f-\u009f])[\s\S]*\{{({names})\}}",
        },
    }
