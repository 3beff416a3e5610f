"""The routes of restores and recovery points, and the event of a restore, as OpenAPI describes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from domain import api_types
from domain.restore.parts import Status
from triggers.api_description.operations import (
    STRING,
    answer_of_type,
    in_query,
    list_parameters,
    operation,
    polled_get,
    posted_event,
    schema_ref,
)
from triggers.list_filters import ID_PATTERN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from domain.errors import Json

_COMMANDS: Final[Mapping[str, str]] = {
    "cancel": "Cancel a restore, and its job in Azure where that is still possible",
    "approve": "Approve a restore that waits for a person",
    "reject": "Reject a restore that waits for a person",
}


def restore_paths() -> Json:
    """Describe the routes of restores, and of the recovery points for them."""
    restore_id = {"$ref": "#/components/parameters/RestoreId"}
    recovery_id = in_query("recoveryId", {**STRING, "pattern": f"^{ID_PATTERN}$", "description": "Of its members."})
    filters = [in_query("sourceResourceId", schema_ref("VirtualMachineId")), recovery_id, *list_parameters(Status)]
    again = "The same request started this restore before, and it has ended."
    ended = answer_of_type(200, again, api_types.RestoreAccepted, "Location")
    started = [ended, _accepted(), 400, 409, 413, 415, 503]
    page = "Restores, newest first. A page may be short or empty; the last one has no nextLink."
    document = "The restore as it stands."
    return {
        "/restores": {
            "post": operation("post_restore", "Start a restore, or plan one", started, body="RestoreRequest"),
            "get": polled_get(
                "list_restores", "List restores", page, api_types.RestoreList, 400, 503, parameters=filters
            ),
        },
        "/restores/{id}": {
            "parameters": [restore_id],
            "get": polled_get("get_restore", "Show a restore", document, api_types.StatusDocument, 404, 503),
        },
        **{
            f"/restores/{{id}}/{verb}": {"parameters": [restore_id], "post": _command(f"{verb}_restore", summary)}
            for verb, summary in _COMMANDS.items()
        },
        "/restores/{id}/undo": {"parameters": [restore_id], "post": _undo(ended)},
        "/recovery-points": {"get": _list_recovery_points()},
    }


def _list_recovery_points() -> Json:
    vm = {**in_query("sourceResourceId", schema_ref("VirtualMachineId")), "required": True}
    needed = "Needed for a virtual machine that is deleted, unless the setting RESTORE_SCOPES names its vault."
    vault = {**in_query("vaultId", schema_ref("VaultId")), "description": needed}
    points = [answer_of_type(200, "Recovery points, newest first.", api_types.RecoveryPointList), 400, 404, 502, 503]
    summary = "List a virtual machine's recovery points, each with a verdict"
    return operation("list_recovery_points", summary, points, parameters=[vm, vault])


def _command(name: str, summary: str) -> Json:
    answer = answer_of_type(202, "The restore as it stands.", api_types.StatusDocument, "Retry-After")
    is_decision = name != "cancel_restore"
    body = "DecisionRequest" if is_decision else "CancellationRequest"
    return operation(name, summary, [answer, 400, 404, 409, 413, 415, 503], body=body, needed=is_decision)


def _undo(ended: Json) -> Json:
    again = {"200": {**ended["200"], "description": "It has been undone before."}}
    summary = "Put the former disks back into the virtual machine, by a restore of its own"
    answers = [again, _accepted(), 400, 404, 409, 413, 415, 503]
    return operation("undo_restore", summary, answers, body="CancellationRequest", needed=False)


def _accepted() -> Json:
    def link(operation: str) -> Json:
        return {"operationId": operation, "parameters": {"id": "$response.body#/id"}}

    answer = answer_of_type(202, "The restore is accepted.", api_types.RestoreAccepted, "Location", "Retry-After")
    followed = ("get_restore", "cancel_restore", "approve_restore", "reject_restore", "undo_restore")
    answer["202"]["links"] = {name: link(name) for name in followed}
    return answer


def restore_event() -> Json:
    """Describe what is posted to the webhook about a restore."""
    bodies = [schema_ref(kind.__name__) for kind in (api_types.StatusDocument, api_types.RestoreEvent)]
    return {
        "operationId": "restore_event",
        "summary": "A restore waits for a person, or has ended",
        "description": "A restore that has ended is sent as its status document, one that waits as an event.",
        **posted_event("X-Restore-Id", Status, {"oneOf": bodies}),
    }
