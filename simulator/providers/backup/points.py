"""Recovery points: those that a scenario lists, and long lists of them, whose points are made when they are read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import overload

from simulator.reading import Node

CONSISTENCIES = ("AppConsistent", "FileSystemConsistent", "CrashConsistent")
TIERS = ("InstantRP", "HardenedRP", "ArchivedRP", "IASnapshotRP")
TIER_DETAILS = ("Listed", "Null", "Empty", "Absent")
TIER_STATES = ("Valid", "Disabled", "Deleted", "Rehydrated")
THREATS = ("Unknown", "Healthy", "UnHealthy", "Warning", "NotAvailable")
PRIVATE_ACCESS = ("Enabled", "Disabled", "Absent")
RETENTION_DAYS = 30
"""How long the daily rule of the policy keeps a point."""

_ID_DIGITS = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A recovery point, its age counted back from the simulator's start.

    ``tier_details`` is how the service lists its tiers. If it does not list them, the data is in the vault tier.
    """

    point_id: str
    age_hours: float
    consistency: str
    tiers: tuple[tuple[str, str], ...]
    tier_details: str
    encrypted: bool
    managed: bool
    soft_deleted: bool
    threat_status: str
    zones: tuple[str, ...]
    ilr_session: bool
    private_access: str

    @property
    def valid_tiers(self) -> frozenset[str]:
        """The tiers a restore can read from at once; a rehydrated archive counts as the vault tier."""
        valid = {tier for tier, state in self.tiers if state == "Valid"}
        if ("ArchivedRP", "Rehydrated") in self.tiers:
            valid.add("HardenedRP")
        return frozenset(valid)

    @property
    def is_snapshot_only(self) -> bool:
        """Whether nothing of the point is in the vault tier."""
        return self.valid_tiers <= {"InstantRP", "IASnapshotRP"}

    @property
    def needs_rehydration(self) -> bool:
        """Whether the point is in the archive tier alone."""
        return "ArchivedRP" in self.valid_tiers and self.valid_tiers.isdisjoint(
            {"InstantRP", "HardenedRP", "IASnapshotRP"}
        )


@dataclass(frozen=True, slots=True)
class GeneratedPoints(Sequence[Point]):
    """Points at equal intervals, newest first.

    A slice is of this class, too, so that the whole list is never in memory.
    """

    like: tuple[Point, ...]
    first_id: int
    age_hours: float
    every_hours: float
    numbers: range

    @overload
    def __getitem__(self, index: int) -> Point: ...
    @overload
    def __getitem__(self, index: slice) -> GeneratedPoints: ...
    def __getitem__(self, index: int | slice) -> Point | GeneratedPoints:
        """Make the point at an index, or the row of a slice."""
        if isinstance(index, slice):
            return replace(self, numbers=self.numbers[index])
        number = self.numbers[index]
        return replace(
            self.like[number % len(self.like)],
            point_id=str(self.first_id + number),
            age_hours=self.age_hours + number * self.every_hours,
        )

    def __len__(self) -> int:
        return len(self.numbers)

    def find(self, point_id: str) -> Point | None:
        """Make the point of an id, if it is in the row."""
        if len(point_id) != _ID_DIGITS or not (point_id.isascii() and point_id.isdecimal()):
            return None
        number = int(point_id) - self.first_id
        return self[self.numbers.index(number)] if number in self.numbers else None


def find_point(points: Sequence[Point], point_id: str) -> Point | None:
    """Find a point by its id."""
    if isinstance(points, GeneratedPoints):
        return points.find(point_id)
    return next((point for point in points if point.point_id == point_id), None)


def read_points(vm: Node, seed: str) -> Sequence[Point]:
    """Read the points of a VM, newest first: a list of them, or ``{"generate": {…}}``."""
    if isinstance(vm.raw("points"), Mapping):
        node = vm.node("points")
        points = _read_generated(node.node("generate"), seed)
        node.close()
        return points
    listed = [_read_point(node, f"{seed}/{i}") for i, node in enumerate(vm.nodes("points"))]
    return tuple(sorted(listed, key=lambda point: point.age_hours))


def _read_generated(node: Node, seed: str) -> GeneratedPoints:
    like: list[Point] = []
    for pattern in node.nodes("like"):
        like.append(_read_members(pattern))
        pattern.close()
    if not like and node.is_object:
        node.complain("like", "at least one point to take after is needed")
    points = GeneratedPoints(
        like=tuple(like),
        first_id=10 ** (_ID_DIGITS - 1) + _digest(seed) % (8 * 10 ** (_ID_DIGITS - 1)),
        age_hours=node.number("ageHours", 1),
        every_hours=node.number("everyHours", above=0),
        numbers=range(node.whole("count")),
    )
    node.close()
    return points


def _read_point(node: Node, seed: str) -> Point:
    point = replace(_read_members(node), point_id=node.text("id", _point_id(seed)), age_hours=node.number("ageHours"))
    if not (point.point_id.isascii() and point.point_id.isdecimal()):
        node.complain("id", "expected decimal digits in a string")
    node.close()
    return point


def _read_members(node: Node) -> Point:
    """Read all but id and age; the node stays open."""
    tier_details = node.choice("tierDetails", TIER_DETAILS, "Listed")
    in_vault = Node({"HardenedRP": "Valid"})
    tiers = node.node("tiers") if tier_details == "Listed" else in_vault
    point = Point(
        point_id="",
        age_hours=0.0,
        consistency=node.choice("consistency", CONSISTENCIES, "AppConsistent"),
        tiers=tuple((tier, tiers.choice(tier, TIER_STATES)) for tier in TIERS if tiers.has(tier)),
        tier_details=tier_details,
        encrypted=node.flag("encrypted"),
        managed=node.flag("managed", default=True),
        soft_deleted=node.flag("softDeleted"),
        threat_status=node.choice("threatStatus", THREATS) if node.has("threatStatus") else "",
        zones=node.texts("zones"),
        ilr_session=node.flag("ilrSessionActive"),
        private_access=node.choice("privateAccess", PRIVATE_ACCESS, "Disabled"),
    )
    tiers.close()
    return point


def _point_id(seed: str) -> str:
    """Return an id like the service's, 15 to 18 digits, the same one every time."""
    number = _digest(seed)
    return str(10**14 + number % (10 ** (15 + number % 4) - 10**14))


def _digest(seed: str) -> int:
    return int.from_bytes(hashlib.sha256(seed.lower().encode()).digest()[:8])
