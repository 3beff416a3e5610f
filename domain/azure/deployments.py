"""Deployments of templates, and network interfaces, as Azure Resource Manager reports them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from domain.errors import ErrorDetail, Json, TerminalError
from domain.wire import as_label, as_list, as_name, as_object, as_text

DEPLOYMENT_FAILED: Final = "DeploymentFailed"
RESTORE_TAG: Final = "restore-id"
"""The tag of what a restore makes; its value is the restore's id. What has no such tag is never changed."""

_CHANGING: Final = frozenset({"accepted", "creating", "updating", "deleting"})
_FAILED: Final = frozenset({"failed", "canceled", "cancelled"})
_SUCCEEDED: Final = "succeeded"
_MAX_DETAILS: Final = 20
_MAX_DEPTH: Final = 6
_MAX_RESOURCES: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One deployment to a resource group.

    ``made`` are the ids of what a deployment that has succeeded made (``outputResources``); of any other, those of what
    it may have made: the resources that depend on each other (``dependencies``), because Azure lists no others then.
    ``error`` is ARM's inner error object of one that failed or was cancelled.
    """

    is_running: bool
    made: tuple[str, ...] = ()
    error: Json | None = None

    @classmethod
    def from_api(cls, body: Mapping[str, Any]) -> Self:
        """Read a ``DeploymentExtended``; a state that is not known counts as running, as the deadline caps it."""
        properties = as_object(body.get("properties"))
        state = (as_text(properties.get("provisioningState")) or "running").lower()
        listed = as_list(properties.get("outputResources")) or ([] if state == _SUCCEEDED else _needed(properties))
        names = [as_name(as_object(entry).get("id")) for entry in listed]
        made = tuple(dict.fromkeys(name for name in names if name is not None))[:_MAX_RESOURCES]
        if state in _FAILED:
            return cls(is_running=False, made=made, error=_error(properties, state))
        return cls(is_running=state != _SUCCEEDED, made=made)


def _needed(properties: Mapping[str, Any]) -> list[object]:
    """Return the resources of the template that need others, and those that they need."""
    dependencies = [as_object(entry) for entry in as_list(properties.get("dependencies"))]
    return [each for entry in dependencies for each in (entry, *as_list(entry.get("dependsOn")))]


def _error(properties: Mapping[str, Any], state: str) -> Json:
    """Return the error with all that is inside of it: the outer texts only say that something failed."""
    found = list(_details(properties.get("error"), 0))[:_MAX_DETAILS]
    inner = [detail for detail in found if detail.code != DEPLOYMENT_FAILED] or found
    if not inner:
        inner = [ErrorDetail(code=DEPLOYMENT_FAILED, message=f"The deployment is {state}, and Azure does not say why.")]
    return TerminalError(inner[0].code, inner[0].message, inner).to_json()


def _details(value: object, depth: int) -> Iterator[ErrorDetail]:
    """Yield an error, then what is inside of it. A message may itself be the JSON of an error."""
    error = as_object(value)
    if not error or depth > _MAX_DEPTH:
        return
    message, nested = as_text(error.get("message")) or "The service gave no message.", None
    if message.lstrip().startswith("{"):
        nested = _parsed(message)
    if nested:
        yield from _details(as_object(nested).get("error") or nested, depth + 1)
    else:
        target = as_text(error.get("target"))
        yield ErrorDetail(code=as_label(error.get("code")) or "Unknown", message=message, target=target)
    for entry in as_list(error.get("details")):
        yield from _details(entry, depth + 1)


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        return as_object(json.loads(text))
    except (ValueError, RecursionError):
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeResource:
    """A resource as far as its making goes. ``restore_id`` is its tag ``restore-id``: the restore that made it."""

    is_changing: bool
    has_failed: bool
    restore_id: str | None

    @classmethod
    def from_api(cls, body: Mapping[str, Any]) -> Self:
        """Read any resource of ARM that has a ``provisioningState``."""
        state = (as_text(as_object(body.get("properties")).get("provisioningState")) or _SUCCEEDED).lower()
        return cls(
            is_changing=state in _CHANGING,
            has_failed=state in _FAILED,
            restore_id=restore_tag(body),
        )


def restore_tag(body: Mapping[str, Any]) -> str | None:
    """Return the tag ``restore-id`` of a resource; Azure compares names of tags without case."""
    tags = as_object(body.get("tags"))
    return next((as_name(value) for name, value in tags.items() if name.lower() == RESTORE_TAG), None)
