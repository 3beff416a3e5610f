"""The call that starts a recovery: what a caller may ask for, checked completely before anything starts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self, cast

from domain.errors import InvalidRequestError, Json
from domain.reading import INVALID_VALUE, NOT_ALLOWED, Problems, Reader, an_object, boolean, prose
from domain.recovery.plans_file import PLAN, PLAN_NAME, plan_of
from domain.request_schema import RECOVERY_POINT, REQUEST_ID

if TYPE_CHECKING:
    from domain.recovery.plan import LoadedPlans, RecoveryPlan


@dataclass(frozen=True, slots=True)
class RecoveryRequest:
    """A call that passed every check. ``body`` is what the caller sent, without the members that were ``null``."""

    body: Json

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Check a caller's JSON; raises an ``InvalidRequestError`` that names every problem, not only the first."""
        problems = Problems()
        body: Json = RECOVERY_REQUEST(data, "", problems)
        if problems.found:
            raise InvalidRequestError(problems.found)
        return cls(body)

    def plan_in(self, configured: LoadedPlans) -> RecoveryPlan:
        """Return the plan: that of the call, or the configured one that it names.

        Raises the errors of ``LoadedPlans.named``.
        """
        plan: str | Json = self.body["plan"]
        return configured.named(plan) if isinstance(plan, str) else plan_of(plan)

    def record(self, plan: RecoveryPlan) -> Json:
        """Return what the record of the recovery's plan holds (``domain.recovery.calls``)."""
        return {"plan": plan.body, "request": {name: value for name, value in self.body.items() if name != "plan"}}

    @property
    def request_id(self) -> str | None:
        """The caller's idempotency key."""
        return self.body.get("requestId")

    @property
    def dry_run(self) -> bool:
        """Whether the caller wants only to know what the recovery would do."""
        return self.body.get("dryRun", False)

    @property
    def requested_by(self) -> str | None:
        """Who asks for the recovery."""
        return self.body.get("requestedBy")

    @property
    def reason(self) -> str | None:
        """Why the recovery is wanted."""
        return self.body.get("reason")

    @property
    def fingerprint(self) -> str:
        """SHA-256 in hex of the call as it was sent; the order of its members does not change it.

        Of a configured plan it has the name alone. So the same call is the same recovery, even if the configured plan
        has changed since: that recovery keeps the plan with which it was first called.
        """
        canonical = json.dumps(self.body, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def _read_plan(value: Any, path: str, problems: Problems) -> Any:
    if isinstance(value, str):
        return PLAN_NAME(value, path, problems)
    if isinstance(value, dict):
        return PLAN(value, path, problems)
    problems.add(INVALID_VALUE, path, "must be the name of a configured plan, or a plan")
    return value


def _read_point(value: Any, path: str, problems: Problems) -> Any:
    if not isinstance(value, dict) or "id" not in value:
        return _POINT(value, path, problems)
    problems.add(NOT_ALLOWED, f"{path}.id", "must be left out: a recovery point belongs to one virtual machine")
    return _POINT({name: member for name, member in cast("Json", value).items() if name != "id"}, path, problems)


_POINT: Final = an_object({name: reader for name, reader in RECOVERY_POINT.items() if name != "id"})
RECOVERY_REQUEST: Final = an_object(
    {
        "plan": Reader(
            _read_plan,
            {
                "description": "The name of a configured plan, in any letter case, or a plan.",
                "oneOf": [PLAN_NAME.schema, PLAN.schema],
            },
        ),
        "recoveryPoint": replace(_POINT, read=_read_point).described(
            "Which recovery points are acceptable, instead of what the plan and its groups say."
        ),
        "requestId": REQUEST_ID.described("The same call with the same requestId is the same recovery."),
        "dryRun": boolean.described("Choose and check every member, and restore none. Default false."),
        "requestedBy": prose,
        "reason": prose,
    },
    needed=("plan",),
)
