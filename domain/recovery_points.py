"""Recovery points: read as the service sends them, judged one by one, the best one chosen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from domain.errors import NO_MATCHING_RECOVERY_POINT, ErrorDetail, Json, TerminalError
from domain.requests import CONSISTENCIES, RecoveryPointCriteria
from domain.times import as_utc, format_duration, format_time, parse_api_time
from domain.wire import as_list, as_object, as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

# Old api-versions send the enums as integers, in this order.
_TIER_TYPES: Final = ("Invalid", "InstantRP", "HardenedRP", "ArchivedRP", "IASnapshotRP")
_TIER_STATUSES: Final = ("Invalid", "Valid", "Disabled", "Deleted", "Rehydrated")
# The instant-access snapshot of 2026-10-01 is a snapshot like the other.
_AS_TIER: Final = {"IASnapshotRP": "InstantRP"}


def _enum(value: object, names: tuple[str, ...]) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return names[value] if 0 <= value < len(names) else "Invalid"
    text = as_text(value) or "Invalid"
    return next((name for name in names if name.casefold() == text.casefold()), text)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPoint:
    """One recovery point of a VM. ``tiers`` are those its data can be read from; ``time`` is the snapshot's, UTC."""

    point_id: str
    time: datetime | None
    consistency: str
    tiers: tuple[str, ...]
    archived: bool
    soft_deleted: bool
    threat_status: str | None

    @classmethod
    def from_api(cls, body: Mapping[str, Any]) -> Self:
        """Read an ``IaasVMRecoveryPoint``; only its name is needed, unknown values and missing members are survived.

        Tiers follow the service's states: ``Valid`` can be restored, ``Rehydrated`` is an archived point brought back.
        """
        properties = as_object(body.get("properties"))
        details = map(as_object, as_list(properties.get("recoveryPointTierDetails")))
        states = {
            _enum(detail.get("type"), _TIER_TYPES): _enum(detail.get("status"), _TIER_STATUSES) for detail in details
        }
        usable = {
            _AS_TIER.get(tier, tier)
            for tier, status in states.items()
            if status in {"Valid", "Rehydrated"} and tier != "Invalid"
        }
        # A tier that we do not know is no reason to leave the rehydrating request out.
        archived_only = states.get("ArchivedRP") == "Valid" and not usable & {"InstantRP", "HardenedRP"}
        return cls(
            point_id=body["name"],
            time=parse_api_time(properties.get("recoveryPointTime")),
            consistency=str(properties.get("recoveryPointType") or "Unknown"),
            tiers=tuple(
                sorted(usable, key=lambda tier: (_TIER_TYPES.index(tier) if tier in _TIER_TYPES else 99, tier))
            ),
            archived=archived_only,
            soft_deleted=as_object(properties.get("recoveryPointProperties")).get("isSoftDeleted") is True,
            threat_status=as_text(properties.get("threatStatus")),
        )

    def to_json(self) -> Json:
        """Return the status document's ``recoveryPoint``."""
        return {
            "id": self.point_id,
            "time": format_time(self.time) if self.time else None,
            "consistency": self.consistency,
            "tiers": list(self.tiers),
        }

    def unusable_because(self, *, rehydrates: bool) -> list[str]:
        """Say why nobody could restore this point now; empty when it can be restored."""
        reasons: list[str] = []
        if self.time is None:
            reasons.append("its time is not known")
        if not self.tiers:
            reasons.append("no tier holds its data any more")
        if self.soft_deleted:
            reasons.append("it is soft-deleted")
        if (self.threat_status or "").casefold() == "unhealthy":
            reasons.append("the service found a threat in it")
        if self.archived and not rehydrates:
            reasons.append("it is archived and recoveryPointRehydrationInfo is not given")
        return reasons

    def unwanted_because(self, wanted: RecoveryPointCriteria, *, now: datetime) -> list[str]:
        """Say which of the caller's criteria this point misses; empty when it meets them all."""
        reasons: list[str] = []
        if wanted.point_id is not None and self.point_id != wanted.point_id:
            reasons.append("another point was asked for by id")
        if self.time is not None and wanted.at_or_before is not None and self.time > wanted.at_or_before:
            reasons.append(f"it is newer than {format_time(wanted.at_or_before)}")
        if (
            self.time is not None
            and wanted.not_older_than is not None
            and as_utc(now) - self.time > wanted.not_older_than
        ):
            reasons.append(f"it is older than {format_duration(wanted.not_older_than)}")
        if wanted.consistency is not None and self.consistency not in wanted.consistency:
            reasons.append(f"it is not {' or '.join(wanted.consistency)}")
        if wanted.tiers is not None and not set(self.tiers) & set(wanted.tiers):
            reasons.append(f"it is not in {' or '.join(wanted.tiers)}")
        return reasons


def _rank(point: RecoveryPoint) -> tuple[datetime, int, str]:
    assert point.time is not None  # noqa: S101 - a point without a time never gets here
    consistency = CONSISTENCIES.index(point.consistency) if point.consistency in CONSISTENCIES else len(CONSISTENCIES)
    return point.time, -consistency, point.point_id  # the id makes the choice the same in any order


def choose_recovery_point(
    points: Iterable[RecoveryPoint], wanted: RecoveryPointCriteria, *, rehydrates: bool, now: datetime
) -> RecoveryPoint:
    """Return the newest point that can be restored and is wanted; among equals in time the more consistent one.

    Reads ``points`` once and keeps only the best, so that a list of any length costs no memory.
    Raises ``TerminalError`` ``NoMatchingRecoveryPoint`` with a count per reason.
    """
    best: RecoveryPoint | None = None
    misses: Counter[str] = Counter()
    seen = 0
    for point in points:
        seen += 1
        reasons = point.unusable_because(rehydrates=rehydrates) + point.unwanted_because(wanted, now=now)
        misses.update(reasons)
        if not reasons and (best is None or _rank(point) > _rank(best)):
            best = point
    if best is not None:
        return best
    if not seen:
        message = "The item has no recovery points. Check that its backups ran, or give another vault or item."
        raise TerminalError(NO_MATCHING_RECOVERY_POINT, message)
    raise TerminalError(
        NO_MATCHING_RECOVERY_POINT,
        f"None of the {seen} recovery points can be used. Relax recoveryPoint or ask GET /api/recovery-points.",
        [
            ErrorDetail(code=NO_MATCHING_RECOVERY_POINT, message=f"{count} of {seen}: {reason}", target="recoveryPoint")
            for reason, count in misses.most_common()
        ],
    )
