"""Recovery points: reading them from the service, the verdict on each, and the choice of the best one."""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, TypeIs

from domain.codec import as_json
from domain.errors import NO_MATCHING_RECOVERY_POINT, ErrorDetail, Json, TerminalError
from domain.request_schema import CONSISTENCIES
from domain.times import as_utc, format_duration, format_time, parse_api_time
from domain.wire import as_flag, as_label, as_list, as_name, as_object, as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from domain.requests import RecoveryPointCriteria

# Old api-versions send the enums as integers, in this order.
_TIER_TYPES: Final = ("Invalid", "InstantRP", "HardenedRP", "ArchivedRP", "IASnapshotRP")
_TIER_STATUSES: Final = ("Invalid", "Valid", "Disabled", "Deleted", "Rehydrated")
_THREATS: Final = ("Unknown", "Healthy", "UnHealthy", "Warning", "NotAvailable")
# The instant-access snapshot of api-version 2026-10-01 is treated like any other snapshot.
_AS_TIER: Final = {"IASnapshotRP": "InstantRP"}
_READABLE: Final = frozenset({"Valid", "Rehydrated"})
_GONE: Final = frozenset({"Disabled", "Deleted"})
_MAX_TIERS: Final = 20
_MAX_DISKS: Final = 100  # a VM has 65 at most; histories store their LUNs
_UNKNOWN: Final = "Unknown"
_SOFT_DELETED: Final = "it is soft-deleted and must be undeleted first"
UNDELETE: Final = "(az backup protection undelete; the runbook has the steps), then send the request again."
"""How to undelete a backup: the rest of a sentence that begins with "Undelete"."""


def _enum(value: object, names: tuple[str, ...]) -> str:
    if isinstance(value, str) and value in names:
        return value  # the usual case first: a list may have ten thousand points
    if isinstance(value, int) and not isinstance(value, bool):
        return names[value] if 0 <= value < len(names) else "Invalid"
    text = (as_label(value) if isinstance(value, str) else None) or "Invalid"
    return next((name for name in names if name.casefold() == text.casefold()), text)


class _Tiers(NamedTuple):
    """The tiers that can be read, whether only the archive has the data, and whether the app knows all tiers sent."""

    usable: tuple[str, ...]
    archived: bool
    known: bool


@functools.lru_cache(maxsize=256)  # of ten thousand points, most have the same tiers
def _tiers_of(states: tuple[tuple[str, str], ...]) -> _Tiers:
    """Read the type and status of each tier; the result has the tiers in Azure's order."""
    status_of = {_AS_TIER.get(tier, tier): status for tier, status in states if tier != "Invalid"}
    usable = {tier for tier, status in status_of.items() if status in _READABLE}
    # An unknown tier does not count: the data may still have to be rehydrated.
    archived = status_of.get("ArchivedRP") == "Valid" and not usable & {"InstantRP", "HardenedRP"}
    known = [tier for tier in _TIER_TYPES if tier in usable]
    return _Tiers(
        usable=(*known, *sorted(usable.difference(known))),
        archived=archived,
        known=bool(states) and all(_is_understood(tier, status) for tier, status in states),
    )


def _is_understood(tier: str, status: str) -> bool:
    # "Invalid" is the first value of the service's enums, for "not set": it says nothing.
    return status in _GONE or (status in _READABLE and tier in _TIER_TYPES[1:])


def _consistency(value: object) -> str:
    if value in CONSISTENCIES:
        return str(value)  # the usual case first, as above
    text = as_label(value or None) or _UNKNOWN
    return next((known for known in CONSISTENCIES if known.casefold() == text.casefold()), text)


def _has_keys(properties: Mapping[str, Any]) -> bool:
    """Return whether the point names the secret (BEK) or the key (KEK) of Azure Disk Encryption."""
    keys = properties.get("keyAndSecret")
    if keys is None:
        return False  # nearly always
    secret, key = (as_object(as_object(keys).get(name)) for name in ("bekDetails", "kekDetails"))
    return as_text(secret.get("secretUrl")) is not None or as_text(key.get("keyUrl")) is not None


def _disks_of(properties: Mapping[str, Any]) -> tuple[int | None, tuple[int, ...] | None]:
    """Read how many disks the point holds, and their LUNs; both are ``None`` for a point that holds all disks."""
    if properties.get("recoveryPointDiskConfiguration") is None:
        return None, None  # nearly always
    disks = as_object(properties["recoveryPointDiskConfiguration"])
    listed = [as_object(disk).get("lun") for disk in as_list(disks.get("includedDiskList"))[:_MAX_DISKS]]
    luns = tuple(lun for lun in listed if _is_number(lun))
    count = disks.get("numberOfDisksIncludedInBackup")
    return count if _is_number(count) else None, luns if luns and len(luns) == len(listed) else None


def _is_number(value: object) -> TypeIs[int]:
    return isinstance(value, int) and not isinstance(value, bool) and -1 <= value <= _MAX_DISKS


def _edge_zone(value: object) -> Json | None:
    if value is None:
        return None  # nearly always
    place = as_object(value)
    name = as_name(place.get("name"))
    return None if name is None else {"name": name, "type": as_label(place.get("type")) or "EdgeZone"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPoint:
    """One recovery point of a VM. Its data can be read from ``tiers``; ``time`` is that of the snapshot, in UTC.

    ``encrypted``: with Azure Disk Encryption; the keys are secrets, and are not kept. ``private_access``: whether any
    disk has private network access, ``None`` if the point does not say. ``extended_location`` is the VM's edge zone,
    ``{"name", "type"}``. ``tiers_known``: the service said of each tier whether it has the data. If it did not, a tier
    that is not in ``tiers`` may have it nevertheless. ``disk_count`` is the number of its disks with the OS disk, and
    ``luns`` are their LUNs, -1 for the OS disk; ``None`` if Azure does not say it (``domain.azure.point_disks``).
    ``vm_size`` is that of the VM when it was backed up.
    """

    point_id: str
    time: datetime | None
    consistency: str
    tiers: tuple[str, ...]
    archived: bool
    soft_deleted: bool
    threat_status: str | None
    encrypted: bool = False
    managed: bool = True
    session_open: bool = False
    extended_location: Json | None = None
    private_access: bool | None = None
    tiers_known: bool = True
    os_type: str | None = None
    security_type: str | None = None
    disk_count: int | None = None
    luns: tuple[int, ...] | None = None
    vm_size: str | None = None

    @classmethod
    def from_api(cls, body: Mapping[str, Any]) -> Self:
        """Read an ``IaasVMRecoveryPoint``. Only ``name`` is required; other members may be missing or unknown.

        A tier can be read in the states ``Valid`` and ``Rehydrated`` (copied back from the archive).
        """
        properties = as_object(body.get("properties"))
        details = map(as_object, as_list(properties.get("recoveryPointTierDetails"))[:_MAX_TIERS])
        tiers = _tiers_of(
            tuple(
                (_enum(detail.get("type"), _TIER_TYPES), _enum(detail.get("status"), _TIER_STATUSES))
                for detail in details
            )
        )
        threat = properties.get("threatStatus")
        disk_count, luns = _disks_of(properties)
        return cls(
            point_id=body["name"],
            time=parse_api_time(properties.get("recoveryPointTime")),
            consistency=_consistency(properties.get("recoveryPointType")),
            tiers=tiers.usable,
            archived=tiers.archived,
            tiers_known=tiers.known,
            soft_deleted=as_flag(as_object(properties.get("recoveryPointProperties")).get("isSoftDeleted")) is True,
            threat_status=_enum(threat, _THREATS) if threat else None,
            encrypted=as_flag(properties.get("isSourceVMEncrypted")) is True or _has_keys(properties),
            managed=as_flag(properties.get("isManagedVirtualMachine")) is not False,
            session_open=as_flag(properties.get("isInstantIlrSessionActive")) is True,
            extended_location=_edge_zone(properties.get("extendedLocation")),
            private_access=as_flag(properties.get("isPrivateAccessEnabledOnAnyDisk")),
            os_type=as_label(properties.get("osType")),
            security_type=as_label(properties.get("securityType")),
            disk_count=disk_count,
            luns=luns,
            vm_size=as_label(properties.get("virtualMachineSize")),
        )

    def to_json(self) -> Json:
        """Return the status document's ``recoveryPoint``."""
        return as_json(RecoveryPointSummary.of(self))

    @property
    def data_disk_count(self) -> int | None:
        """The number of its data disks, ``None`` if Azure does not say it. The OS disk is in every point."""
        if self.luns is not None:
            return sum(lun >= 0 for lun in self.luns)
        return None if self.disk_count is None else max(self.disk_count - 1, 0)

    @property
    def snapshot_only(self) -> bool:
        """Whether the point is known to be only a snapshot; most snapshots are copied to the vault soon."""
        return self.tiers_known and self.tiers == ("InstantRP",)

    @property
    def managed_and_unencrypted(self) -> bool:
        """Whether the point has managed disks without encryption, which have the fewest constraints."""
        return self.managed and not self.encrypted

    def unusable_because(self, *, rehydrates: bool, in_place: bool = False) -> list[str]:
        """Return why this point cannot be restored now; empty when it can.

        ``in_place``: its disks are to replace those of the original VM, and Azure backs the VM up first.
        """
        reasons: list[str] = []
        if self.time is None:
            reasons.append("its time is not known")
        if self.tiers_known and not self.tiers:
            reasons.append("no tier holds its data any more")
        if self.soft_deleted:
            reasons.append(_SOFT_DELETED)
        if (self.threat_status or "").casefold() == "unhealthy":
            reasons.append("the service found a threat in it")
        if self.archived and not rehydrates:
            reasons.append("it is archived and recoveryPointRehydrationInfo is not given")
        if self.session_open and in_place:
            reasons.append("files are being recovered from it, which keeps the VM from being backed up and replaced")
        return reasons

    def unwanted_because(self, wanted: RecoveryPointCriteria, *, now: datetime) -> list[str]:
        """Return which of the caller's criteria this point does not meet; empty when it meets all of them."""
        reasons: list[str] = []
        if wanted.point_id is not None and self.point_id != wanted.point_id:
            reasons.append("the request names another point")
        if self.time is not None and wanted.at_or_before is not None and self.time > wanted.at_or_before:
            reasons.append(f"it is newer than {format_time(wanted.at_or_before)}")
        if (
            self.time is not None
            and wanted.not_older_than is not None
            and as_utc(now) - self.time > wanted.not_older_than
        ):
            reasons.append(f"it is older than {format_duration(wanted.not_older_than)}")
        if wanted.consistency is not None and self.consistency not in wanted.consistency:
            is_not = "is not known to be" if self.consistency == _UNKNOWN else "is not"
            reasons.append(f"it {is_not} {' or '.join(wanted.consistency)}")
        if wanted.tiers is not None and not set(self._assumed_tiers) & set(wanted.tiers):
            is_not = "is not" if self.tiers_known else "is not known to be"
            reasons.append(f"it {is_not} in {' or '.join(wanted.tiers)}")
        return reasons

    @property
    def _assumed_tiers(self) -> tuple[str, ...]:
        # Most points are copied to the vault within a day, so a point without known tiers is treated as being there.
        return self.tiers or (() if self.tiers_known else ("HardenedRP",))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPointSummary:
    """A recovery point."""

    # No enums: the service may send names of consistencies and tiers that are not known today.
    id: str
    time: datetime | None
    consistency: str
    tiers: tuple[str, ...]

    @classmethod
    def of(cls, point: RecoveryPoint, **judgement: Any) -> Self:
        """Return a point as callers see it; ``judgement`` has the members that a subclass adds."""
        return cls(id=point.point_id, time=point.time, consistency=point.consistency, tiers=point.tiers, **judgement)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedPoint(RecoveryPointSummary):
    """A point and whether it can be restored."""

    restorable: bool
    reasons: tuple[str, ...] = field(metadata={"description": "Why not; empty where it is."})


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate(RecoveryPointSummary):
    """A point and why it was not chosen."""

    chosen: bool
    reasons: tuple[str, ...] = field(metadata={"description": "Why not; empty where it is."})


def _rank(point: RecoveryPoint) -> tuple[datetime, int, str]:
    assert point.time is not None  # noqa: S101 - a point without a time never gets here
    consistency = CONSISTENCIES.index(point.consistency) if point.consistency in CONSISTENCIES else len(CONSISTENCIES)
    return point.time, -consistency, point.point_id  # with the id, the choice does not depend on the order


@dataclass(frozen=True, slots=True)
class Verdict:
    """A point and the reasons why it was not chosen; the chosen one has no reasons."""

    point: RecoveryPoint
    reasons: tuple[str, ...]

    def to_json(self) -> Json:
        """Return a plan's ``candidates`` entry."""
        return as_json(Candidate.of(self.point, chosen=not self.reasons, reasons=self.reasons))


@dataclass(slots=True)
class Choice:
    """The choice among a VM's points. It keeps only the best one, so that a list of any length needs little memory.

    It chooses the newest point that can be restored and meets the criteria; of equally old ones the more consistent.
    ``item_reason`` is why no point of the item can be restored.
    """

    wanted: RecoveryPointCriteria
    now: datetime
    rehydrates: bool
    in_place: bool = False
    item_reason: str | None = None
    best: RecoveryPoint | None = None
    nearest: Verdict | None = None
    seen: int = 0
    misses: Counter[str] = field(default_factory=Counter[str])

    def reasons_against(self, point: RecoveryPoint) -> tuple[str, ...]:
        """Return why this point cannot be chosen, independently of the other points."""
        unusable = point.unusable_because(rehydrates=self.rehydrates, in_place=self.in_place)
        of_item = () if self.item_reason is None else (self.item_reason,)
        return (*of_item, *unusable, *point.unwanted_because(self.wanted, now=self.now))

    def consider(self, point: RecoveryPoint) -> None:
        """Add one more point to the choice."""
        self.seen += 1
        reasons = self.reasons_against(point)
        self.misses.update(reasons)
        if not reasons:
            if self.best is None or _rank(point) > _rank(self.best):
                self.best = point
            return
        missed = Verdict(point, reasons)
        if self.nearest is None or self._nearness(missed) > self._nearness(self.nearest):
            self.nearest = missed

    def _nearness(self, missed: Verdict) -> tuple[bool, int, bool, datetime | None, str]:
        point = missed.point
        asked_for = point.point_id == self.wanted.point_id
        return asked_for, -len(missed.reasons), point.time is not None, point.time, point.point_id

    def verdict(self, point: RecoveryPoint) -> Verdict:
        """Return why a point was or was not chosen, once all have been considered."""
        reasons = self.reasons_against(point)
        if not reasons and point != self.best:
            reasons = ("another point that can be restored is newer or more consistent",)
        return Verdict(point, reasons)

    def result(self) -> RecoveryPoint:
        """Return the chosen point; raises ``TerminalError`` ``NoMatchingRecoveryPoint`` with a count per reason."""
        if self.best is not None:
            return self.best
        if self.nearest is None:
            message = (
                "Azure Backup lists no recovery points of this item. Look at its backup jobs in the vault, or give "
                "another vault or item."
            )
            raise TerminalError(NO_MATCHING_RECOVERY_POINT, message)
        if self.wanted.point_id is None and self.misses[_SOFT_DELETED] == self.seen:
            message = (
                f"The item's recovery points are soft-deleted, all {self.seen} of them. Undelete the backup first "
                f"{UNDELETE}"
            )
            raise TerminalError(NO_MATCHING_RECOVERY_POINT, message)
        near = self.nearest.point
        if self.wanted.point_id is not None and near.point_id != self.wanted.point_id:
            raise no_such_point(self.wanted.point_id)
        when = f" of {format_time(near.time)}" if near.time else ""
        raise TerminalError(
            NO_MATCHING_RECOVERY_POINT,
            f"None of the {self.seen} recovery points can be used. The nearest, {near.point_id}{when}, misses by: "
            f"{', '.join(self.nearest.reasons)}. Relax recoveryPoint or ask GET /api/recovery-points.",
            [_miss(f"{count} of {self.seen}: {reason}") for reason, count in self.misses.most_common()],
        )


def no_such_point(point_id: str, details: Iterable[ErrorDetail] = ()) -> TerminalError:
    """Return the error for a request that names a point which the item does not have."""
    message = f"Azure finds no recovery point {point_id} of this item. Ask GET /api/recovery-points for those it has."
    return TerminalError(NO_MATCHING_RECOVERY_POINT, message, details)


def _miss(message: str) -> ErrorDetail:
    return ErrorDetail(code=NO_MATCHING_RECOVERY_POINT, message=message, target="recoveryPoint")
