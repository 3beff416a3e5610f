from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from simulator.providers.backup.points import GeneratedPoints, find_point
from simulator.scenario import Scenario

LIKE = [
    {"tiers": {"InstantRP": "Valid", "HardenedRP": "Valid"}},
    {"tiers": {"ArchivedRP": "Valid"}, "consistency": "CrashConsistent"},
]


def generated(name: str = "vm", **members: Any) -> GeneratedPoints:
    document = {
        "subscriptionId": "s",
        "vaults": [{"name": "v", "resourceGroup": "g", "region": "westeurope"}],
        "vms": [
            {
                "name": name,
                "resourceGroup": "rg",
                "vault": "v",
                "points": {"generate": {"count": 10, "everyHours": 6, "ageHours": 2, "like": LIKE, **members}},
            }
        ],
    }
    points = Scenario.from_dict(document).vms[0].points
    assert isinstance(points, GeneratedPoints)
    return points


def test_generated_points_have_even_ages_and_take_after_the_given_ones_in_turn() -> None:
    points = generated()

    assert [point.age_hours for point in points] == [2 + 6 * number for number in range(10)]
    assert [point.consistency for point in points[:3]] == ["AppConsistent", "CrashConsistent", "AppConsistent"]
    assert [point.needs_rehydration for point in points[:2]] == [False, True]


def test_generated_ids_are_decimal_unique_and_the_vms_own() -> None:
    ids = [point.point_id for point in generated()]

    assert ids == [point.point_id for point in generated()]
    assert len(set(ids)) == 10
    assert all(point_id.isdecimal() and len(point_id) == 18 for point_id in ids)
    assert set(ids).isdisjoint(point.point_id for point in generated("other"))


def test_slices_of_generated_points_are_rows_too() -> None:
    points = generated()
    row = points[2:8][1:3]

    assert isinstance(row, GeneratedPoints)
    assert list(row) == [points[3], points[4]]
    assert (points[-1], len(points[20:])) == (points[9], 0)
    with pytest.raises(IndexError):
        points[10]


def test_generated_point_is_found_by_its_id() -> None:
    points = generated()

    assert [find_point(points, point.point_id) for point in points] == list(points)
    assert find_point(points[5:], points[5].point_id) == points[5]
    assert find_point(points[5:], points[4].point_id) is None


@pytest.mark.parametrize("point_id", ["", "1", "9" * 18, "1" * 5000, "\u0661" * 18, "x" * 18])
def test_other_ids_are_not_found(point_id: str) -> None:
    assert find_point(generated(), point_id) is None


def test_a_million_points_take_next_to_no_memory() -> None:
    tracemalloc.start()
    try:
        points = generated(count=1_000_000)
        last = points[-1]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert last.age_hours == 2 + 6 * 999_999
    assert peak < 1024 * 1024
