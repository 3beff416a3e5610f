"""The file of recovery plans (``RECOVERY_PLANS``), and a plan inside a call: read, checked and described alike."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from domain.alerts.patterns import Pattern, vm_id_complaint
from domain.azure import resource_ids as ids
from domain.errors import InvalidRequestError
from domain.reading import (
    INVALID_VALUE,
    MISSING_FIELD,
    NOT_ALLOWED,
    Problems,
    Reader,
    an_object,
    array,
    boolean,
    duration_up_to,
    one_of,
    pattern,
    resource_id,
    string,
    whole_number,
)
from domain.recovery.parts import APPROVAL_TIMEOUT
from domain.recovery.plan import MAX_GROUPS, MAX_MEMBERS, Group, RecoveryPlan, Selection, circle_of, taken_targets
from domain.request_schema import BEFORE_SWAP, RECOVERY_POINT, request_schema
from domain.templates import (
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
from domain.times import parse_duration
from domain.wire import as_list, as_object

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from domain.errors import Json

_MAX_TIMEOUT: Final = timedelta(days=365)
_MAX_TAG_NAME: Final = 512
_MAX_TAG_VALUE: Final = 256
_NOT_IN_A_PLAN: Final[Mapping[str, str]] = {
    "sourceResourceId": "the groups name the virtual machines",
    "containerName": "the groups name the virtual machines",
    "protectedItemName": "the groups name the virtual machines",
    "requestId": "each member has a key of its own, made from the recovery's id",
    "dryRun": "a recovery is planned as a whole, by dryRun of the call that starts it",
    "requestedBy": "the call that starts the recovery names the person",
    "reason": "the call that starts the recovery gives the reason",
}
"""Members of a restore request that a plan has elsewhere, and where."""
_SWAP_APPROVAL: Final = an_object(
    {
        "required": boolean,
        "before": one_of(BEFORE_SWAP),
        "timeout": duration_up_to(_MAX_TIMEOUT).described("How long each member waits for a person. Default PT4H."),
    },
    needed=("required", "before"),
).described(
    "With thenSwapDisks: a person approves the swap of each member when its disks are restored. Whether a group starts "
    "at all is decided by its gate."
)


def read_plans(data: object) -> Mapping[str, RecoveryPlan]:
    """Read the JSON of the file; raise ``InvalidRequestError`` that names every problem and its place.

    The plans are returned by their names in lower case.
    """
    problems = Problems()
    body: Json = _FILE(data, "", problems)
    _check_names(as_list(body.get("plans")), "plans", problems)
    if problems.found:
        raise InvalidRequestError(problems.found)
    return {plan["name"].lower(): plan_of(plan) for plan in body["plans"]}


def plans_schema() -> Json:
    """Return the JSON Schema (draft 2020-12) of the file, made from the readers that ``read_plans`` uses.

    It cannot express that names are unique, that groups wait for each other in no circle, and which members of a
    request belong together.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Recovery plans",
        "description": "RECOVERY_PLANS: which virtual machines are restored by one call, in which order, and how.",
        **_FILE.schema,
        "$defs": placeholder_definitions(VM_PLACEHOLDERS),
    }


def plan_of(body: Json) -> RecoveryPlan:
    """Return the plan of a body that passed the checks of ``PLAN``."""
    names = _after(body["groups"])
    return RecoveryPlan(
        name=body["name"],
        groups=tuple(_group_of(body, group, names[group["name"]]) for group in body["groups"]),
        max_running=body.get("maxRunning"),
        body=body,
    )


def _group_of(plan: Json, body: Json, after: tuple[str, ...]) -> Group:
    select, approval = body.get("select"), as_object(body.get("gate")).get("approval")
    timeout = as_object(approval).get("timeout")
    return Group(
        name=body["name"],
        after=after,
        approval_timeout=None if approval is None else parse_duration(timeout) if timeout else APPROVAL_TIMEOUT,
        source_resource_ids=tuple(body.get("sourceResourceIds", ())),
        selection=None if select is None else _selection_of(select),
        optional=body.get("optional", False),
        restore=_template_of(plan, body),
    )


def _selection_of(body: Json) -> Selection:
    def patterns(name: str) -> tuple[Pattern, ...] | None:
        return tuple(map(Pattern.parse, body[name])) if name in body else None

    return Selection(
        vault_ids=tuple(body["vaultIds"]) if "vaultIds" in body else None,
        source_resource_ids=patterns("sourceResourceIds"),
        tags=body.get("tags", {}),
        excluded=patterns("except") or (),
    )


def _after(groups: Sequence[Mapping[str, Any]]) -> Mapping[str, tuple[str, ...]]:
    """Return for each group the names of those it waits for, written as they are in their own groups."""
    names = {group["name"].lower(): group["name"] for group in groups}
    after: dict[str, tuple[str, ...]] = {}
    before: tuple[str, ...] = ()
    for group in groups:
        after[group["name"]] = tuple(names[name.lower()] for name in group["after"]) if "after" in group else before
        before = (group["name"],)
    return after


def _template_of(plan: Json, group: Mapping[str, Any]) -> Json:
    """Return the template of a group's requests: its own members win over the plan's."""
    point = {"recoveryPoint": plan["recoveryPoint"]} if "recoveryPoint" in plan else {}
    return {**point, **plan.get("restore", {}), **group.get("restore", {})}


def _read_plan(value: Any, path: str, problems: Problems) -> Json:
    before = len(problems.found)
    plan = _PLAN_MEMBERS(value, path, problems)
    groups = [as_object(group) for group in as_list(plan.get("groups"))]
    at = f"{path}." if path else ""
    _check_names(groups, f"{at}groups", problems)
    for index, group in enumerate(groups):
        if not (group.get("sourceResourceIds") or group.get("select")):
            message = "is needed, or select: a group has virtual machines"
            problems.add(MISSING_FIELD, f"{at}groups[{index}].sourceResourceIds", message)
    if len(problems.found) > before:
        return plan  # the checks below compare what the readers have accepted
    _check_after(groups, at, problems)
    for index, group in enumerate(groups):
        _check_template(plan, group, at, index, problems)
    if len(problems.found) == before:
        _check_members(plan_of(plan), f"{at}groups", problems)
    return plan


def _check_names(entries: list[Any], path: str, problems: Problems) -> None:
    index_of: dict[str, int] = {}
    for index, name in enumerate(as_object(entry).get("name") for entry in entries):
        if isinstance(name, str):
            first = index_of.setdefault(name.lower(), index)
            if first != index:
                problems.add(INVALID_VALUE, f"{path}[{index}].name", f"must differ from the name of {path}[{first}]")


def _check_after(groups: Sequence[Mapping[str, Any]], at: str, problems: Problems) -> None:
    known = {group["name"].lower() for group in groups}
    for index, group in enumerate(groups):
        for position, name in enumerate(group.get("after", ())):
            if name.lower() not in known:
                problems.add(INVALID_VALUE, f"{at}groups[{index}].after[{position}]", "names no group of the plan")
    if not problems.exist_at(f"{at}groups") and (circle := circle_of(_after(groups))):
        message = f"wait for each other in a circle: {' waits for '.join(circle)}"
        problems.add(INVALID_VALUE, f"{at}groups", message)


def _check_template(plan: Json, group: Mapping[str, Any], at: str, index: int, problems: Problems) -> None:
    """Check the requests of a group as they will be, with sample names and with the longest names of Azure."""
    template, own = _template_of(plan, group), group.get("restore", {})

    def place(target: str | None) -> str:
        member = (target or "").partition(".")[0].partition("[")[0]
        if member == "recoveryPoint" and not {member} & {*own, *plan.get("restore", {})}:
            return f"{at}{target}"
        in_group = member in own or "restore" not in plan
        return f"{at}groups[{index}].restore.{target}" if in_group else f"{at}restore.{target}"

    for vm_id, remark in (
        (SAMPLE_VM_ID, ""),
        (VM_ID_OF_MAX_LENGTH, " (checked with the longest names that Azure allows)"),
    ):
        check_request({**fill(template, vm_values(vm_id)), "sourceResourceId": vm_id}, place, problems, remark)


def _check_members(plan: RecoveryPlan, path: str, problems: Problems) -> None:
    members = list(plan.named_members())
    if len(members) > MAX_MEMBERS:
        problems.add(INVALID_VALUE, path, f"name {len(members)} virtual machines; a recovery has at most {MAX_MEMBERS}")
        return
    with_members = {group.name for group, _ in members}
    for index, group in enumerate(plan.groups):
        if not (group.selection or group.optional or group.name in with_members):
            message = "has no virtual machine of its own: groups before it name all of them"
            problems.add(INVALID_VALUE, f"{path}[{index}].sourceResourceIds", message)
    for first, second, target in taken_targets(members):
        message = f"restore {first} and {second} under one name to {target}: give one of them another target"
        problems.add(INVALID_VALUE, path, message)


def _read_restore(value: Any, path: str, problems: Problems) -> Json:
    """Read a part of a request: its members are checked when the plan's and the group's parts are together."""
    if not isinstance(value, dict):
        problems.add(INVALID_VALUE, path, "must be a JSON object")
        return {}
    template = {name: member for name, member in cast("Json", value).items() if member is not None}
    for name, elsewhere in _NOT_IN_A_PLAN.items():
        if template.pop(name, None) is not None:
            problems.add(NOT_ALLOWED, f"{path}.{name}", f"must be left out: {elsewhere}")
    if (approval := as_object(template.get("approval"))).get("before") == BEFORE_SWAP:
        _SWAP_APPROVAL(approval, f"{path}.approval", problems)
    elif template.pop("approval", None) is not None:
        message = f"must be left out, or have before: {BEFORE_SWAP}: a group waits for a person by its gate"
        problems.add(NOT_ALLOWED, f"{path}.approval", message)
    check_placeholders(template, VM_PLACEHOLDERS, path, problems)
    return template


def _restore_schema() -> Json:
    properties: Json = request_schema(with_source=False)["properties"]
    allowed = {name: schema for name, schema in properties.items() if name not in _NOT_IN_A_PLAN}
    members = {**with_placeholders(allowed), "approval": _SWAP_APPROVAL.schema}
    return {"type": "object", "properties": members, "additionalProperties": False}


def _read_tags(value: Any, path: str, problems: Problems) -> Mapping[str, str]:
    if not isinstance(value, dict) or not value:
        problems.add(INVALID_VALUE, path, "must be an object of at least one tag and its value")
        return {}
    tags: dict[str, str] = {}
    for name, text in cast("Json", value).items():
        tags[name] = text
        if not (isinstance(text, str) and 0 < len(name) <= _MAX_TAG_NAME and len(text) <= _MAX_TAG_VALUE):
            problems.add(INVALID_VALUE, f"{path}.{name[:80]}", "must be a tag that Azure allows, and a text")
    return tags


PLAN_NAME: Final = pattern(r"[A-Za-z0-9._-]{1,80}", "1 to 80 of A-Z a-z 0-9 . _ -")
"""Reads the name of a plan, or of a group."""
_PATTERNS: Final = array(string.also(vm_id_complaint), minimum=1)
_RESTORE: Final = Reader(_read_restore, _restore_schema())
_SELECT: Final = an_object(
    {
        "vaultIds": array(resource_id(ids.VAULT), minimum=1).described("Those that these vaults protect."),
        "sourceResourceIds": _PATTERNS.described(
            "Shell patterns for the whole resource id, compared without case; * matches slashes."
        ),
        "tags": Reader(
            _read_tags,
            {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": {"type": "string", "maxLength": _MAX_TAG_VALUE},
            },
        ).described("Those that have all these tags."),
        "except": _PATTERNS.described("Shell patterns for those that are left out."),
    }
)


def _read_select(value: Any, path: str, problems: Problems) -> Json:
    select = _SELECT(value, path, problems)
    if not problems.exist_at(path) and not {"vaultIds", "sourceResourceIds", "tags"} & select.keys():
        problems.add(MISSING_FIELD, f"{path}.sourceResourceIds", "is needed, or tags, or vaultIds")
    return select


_GROUP: Final = an_object(
    {
        "name": PLAN_NAME.described("Unique in the plan."),
        "after": array(string, maximum=MAX_GROUPS).described(
            "The groups that must have succeeded first; [] starts at once. Default: the group before it in the list."
        ),
        "gate": an_object(
            {"approval": an_object({"timeout": duration_up_to(_MAX_TIMEOUT).described("Default PT4H.")})},
            needed=("approval",),
        ).described("What the group waits for before it starts: the approval of a person."),
        "sourceResourceIds": array(resource_id(ids.VIRTUAL_MACHINE), minimum=1, maximum=MAX_MEMBERS).described(
            "The virtual machines, by their ids."
        ),
        "select": Reader(_read_select, _SELECT.schema).described(
            "Virtual machines that Azure Resource Graph finds when the recovery begins."
        ),
        "optional": boolean.described("Whether the recovery goes on when a member fails. Default false."),
        "restore": _RESTORE.described("Members of the restore request that win over the plan's."),
    },
    needed=("name",),
)
_PLAN_MEMBERS: Final = an_object(
    {
        "name": PLAN_NAME.described("Unique; the call that starts a recovery names it."),
        "restore": _RESTORE.described(
            f"The restore request of each member, without its virtual machine. "
            f"Texts may have {placeholder_list(VM_PLACEHOLDERS)}, filled in from the member's id."
        ),
        "recoveryPoint": an_object(RECOVERY_POINT).described("Which recovery points are acceptable."),
        "maxRunning": whole_number(1, MAX_MEMBERS).described("How many restores of one recovery run at a time."),
        "groups": array(_GROUP, minimum=1, maximum=MAX_GROUPS).described("What is restored, in order."),
    },
    needed=("name", "groups"),
)
PLAN: Final = Reader(_read_plan, _PLAN_MEMBERS.schema)
"""Reads a plan and returns it as written."""
_FILE: Final = an_object(
    {
        "$schema": string.described("For editors: the path of this schema."),
        "plans": array(PLAN).described("The plans, each with a name of its own."),
    },
    needed=("plans",),
)
