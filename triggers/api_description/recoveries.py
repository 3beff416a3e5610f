"""The routes of recovery plans and recoveries, and the event of a recovery, as OpenAPI describes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from domain import api_types
from domain.recovery.commands import Command
from domain.recovery.parts import MemberStatus, RecoveryStatus
from triggers.answers import CANCELLATION
from triggers.api_description.operations import (
    STRING,
    answer_of_type,
    in_query,
    list_parameters,
    operation,
    page_parameters,
    polled_get,
    posted_event,
    schema_ref,
)
from triggers.recoveries import GROUP_COMMAND, GROUP_DECISION, INSTRUCTIONS
from triggers.recovery_members import MAX_MEMBERS_SHOWN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from domain.errors import Json
    from domain.reading import Reader

_COMMANDS: Final[Mapping[Command, str]] = {
    Command.PAUSE: "Start nothing new; what runs goes on",
    Command.RESUME: "Go on after a pause",
    Command.CANCEL: "Cancel what has not started, and the restores that run",
    Command.RETRY: "Start the members of failed groups again that have not succeeded",
    Command.SKIP: "Let the next groups start as if failed groups, or one that has not started, had succeeded",
    Command.APPROVE: "Approve a recovery, or groups of it, that wait for a person",
    Command.REJECT: "Reject a recovery, or groups of it, that wait for a person",
}
_BODIES: Final[Mapping[str, Reader]] = {
    "CancellationRequest": CANCELLATION,
    "GroupRequest": GROUP_COMMAND,
    "GroupDecisionRequest": GROUP_DECISION,
}
_MEMBER_STATUSES: Final = tuple(dict.fromkeys(status.word for status in MemberStatus))


def plan_paths() -> Json:
    """Describe the routes of the configured recovery plans."""
    name = {"name": "name", "in": "path", "required": True, "schema": STRING}
    listing = answer_of_type(200, "The configured plans, in the order of the file.", api_types.RecoveryPlanList)
    plan = answer_of_type(200, "The plan, with what its author wrote.", api_types.RecoveryPlanDocument)
    return {
        "/recovery-plans": {"get": operation("list_plans", "List the configured recovery plans", [listing, 503])},
        "/recovery-plans/{name}": {
            "parameters": [name],
            "get": operation("get_plan", "Show a configured recovery plan", [plan, 404, 503]),
        },
    }


def recovery_paths() -> Json:
    """Describe the routes of recoveries and their members."""
    recovery_id = {"$ref": "#/components/parameters/RecoveryId"}
    started = "The recovery is accepted."
    again = "The same call started this recovery before, and it has ended."
    starts = [
        answer_of_type(200, again, api_types.RecoveryAccepted, "Location"),
        answer_of_type(202, started, api_types.RecoveryAccepted, "Location", "Retry-After"),
    ]
    page = "Recoveries, newest first. A page may be short or empty; the last one has no nextLink."
    members = "The members in the order of the plan; none before they are chosen. The last page has no nextLink."
    document = "The recovery as it stands."
    status = {"type": "string", "enum": list(_MEMBER_STATUSES), "description": "Upper and lower case are the same."}
    member_filters = [in_query("group", STRING), in_query("status", status), *page_parameters(MAX_MEMBERS_SHOWN)]
    filters = list_parameters(RecoveryStatus)
    return {
        "/recoveries": {
            "post": operation(
                "post_recovery", "Start a recovery", [*starts, 400, 404, 409, 413, 415, 503], body="RecoveryRequest"
            ),
            "get": polled_get(
                "list_recoveries", "List recoveries", page, api_types.RecoveryList, 400, 503, parameters=filters
            ),
        },
        "/recoveries/{id}": {
            "parameters": [recovery_id],
            "get": polled_get("get_recovery", "Show a recovery", document, api_types.RecoveryDocument, 404, 503),
        },
        "/recoveries/{id}/members": {
            "parameters": [recovery_id],
            "get": polled_get(
                "list_recovery_members",
                "List the members of a recovery",
                members,
                api_types.RecoveryMemberList,
                *(400, 404, 503),
                parameters=member_filters,
            ),
        },
        **{
            f"/recoveries/{{id}}/{command}": {"parameters": [recovery_id], "post": _command(command, summary)}
            for command, summary in _COMMANDS.items()
        },
    }


def _command(command: Command, summary: str) -> Json:
    answer = answer_of_type(202, "The recovery as it stands.", api_types.RecoveryDocument, "Retry-After")
    reader = INSTRUCTIONS[command]
    body = next(name for name, known in _BODIES.items() if known is reader)
    answers = [answer, 400, 404, 409, 413, 415, 503]
    return operation(f"{command}_recovery", summary, answers, body=body, needed=reader is GROUP_DECISION)


def recovery_event() -> Json:
    """Describe what is posted to the webhook about a recovery."""
    return {
        "operationId": "recovery_event",
        "summary": "A recovery, or a group of it, waits for a person, or the recovery has ended",
        "description": "The same signature and the same receiver as for restores; the other id says which it is.",
        **posted_event("X-Recovery-Id", RecoveryStatus, schema_ref(api_types.RecoveryEvent.__name__)),
    }
