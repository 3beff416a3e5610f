"""The search for the point to restore: in pages, with its state stored between them, for a restore and for a plan."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from domain.azure.point_search import PointSearch, SearchProgress
from domain.azure.recovery_points import Choice, RecoveryPoint, Verdict, no_such_point
from domain.codec import pack, unpack
from domain.errors import ErrorDetail, TerminalError
from domain.requests import RecoveryPointCriteria, RestoreRequest
from tests.support.azure import START, a_point, a_request

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

GONE: dict[str, Any] = {"recoveryPointTierDetails": [{"type": "InstantRP", "status": "Deleted"}]}
NO_TIER = "no tier holds its data any more"
IN_PLACE: dict[str, Any] = {"recoveryType": "OriginalLocation", "targetResourceGroupId": None}


def searched(pages: Sequence[Sequence[RecoveryPoint]], **members: Any) -> PointSearch:
    """Search page by page; the progress goes through JSON between two pages, as between two calls."""
    request, progress = RestoreRequest.from_json(a_request(**members)), None
    search = PointSearch.begin(request, START)
    for page in pages:
        search = PointSearch.begin(request, START, progress)
        search.consider(page)
        progress = unpack(SearchProgress, json.loads(json.dumps(pack(search.progress("next", 1)))))
    return search


def chosen(pages: Sequence[Sequence[RecoveryPoint]], **members: Any) -> RecoveryPoint:
    return searched(pages, **members).choice.result()


def candidates(pages: Sequence[Sequence[RecoveryPoint]]) -> list[Verdict]:
    return searched(pages, dryRun=True).candidates


class TestARestore:
    def test_takes_the_best_point_of_all_pages_with_what_the_request_needs_of_it(self) -> None:
        archived = {"recoveryPointTierDetails": [{"type": "ArchivedRP", "status": "Valid"}]}
        pages = [[a_point("old", 9)], [a_point("new", 1, **archived), a_point("mid", 5)], [a_point("gone", 0, **GONE)]]
        rehydrates = {
            "recoveryPointRehydrationInfo": {"rehydrationPriority": "Standard", "rehydrationRetentionDuration": "P10D"}
        }

        assert chosen(pages) == a_point("mid", 5)
        assert chosen(pages, **rehydrates).point_id == "new"

    def test_remembers_the_nearest_point_and_counts_each_reason_over_all_pages(self) -> None:
        pages = [[a_point("a", 3, **GONE)], [a_point("b", 2, **GONE)], [a_point("c", 4, isManagedVirtualMachine=True)]]

        with pytest.raises(TerminalError) as caught:
            chosen(pages, recoveryPoint={"notOlderThan": "PT1H"})

        assert caught.value.code == "NoMatchingRecoveryPoint"
        assert "None of the 3 recovery points can be used. The nearest, c of " in caught.value.message
        assert {detail.message for detail in caught.value.details} == {
            "3 of 3: it is older than PT1H",
            f"2 of 3: {NO_TIER}",
        }

    def test_in_place_takes_no_point_whose_files_are_being_recovered(self) -> None:
        pages = [[a_point("open", 1, isInstantIlrSessionActive=True), a_point("closed", 2)]]

        assert chosen(pages).point_id == "open"
        assert chosen(pages, **IN_PLACE).point_id == "closed"

    def test_keeps_no_points_beyond_the_best_and_the_nearest(self) -> None:
        search = searched([[a_point("a", 2), a_point("b", 1, **GONE)], [a_point("c", 3)]])

        assert search.progress("page-3", 2) == SearchProgress(
            link="page-3",
            slices=2,
            best=a_point("a", 2),
            nearest=Verdict(a_point("b", 1, **GONE), (NO_TIER,)),
            seen=3,
            misses={NO_TIER: 1},
        )
        assert searched([[]]).progress(None, 0) == SearchProgress(link=None, slices=0)


class TestAPlan:
    def test_shows_the_verdict_on_each_point_from_the_newest_to_the_oldest(self) -> None:
        timeless = a_point("timeless", recoveryPointTime=None)
        pages = [[a_point("old", 9), timeless], [a_point("gone", 1, **GONE)], [a_point("mid", 5)]]

        assert candidates(pages) == [
            Verdict(a_point("gone", 1, **GONE), (NO_TIER,)),
            Verdict(a_point("mid", 5), ()),
            Verdict(a_point("old", 9), ("another point that can be restored is newer or more consistent",)),
            Verdict(timeless, ("its time is not known",)),
        ]

    def test_shows_a_hundred_the_chosen_one_always_among_them(self) -> None:
        newer = [a_point(f"gone-{number:03d}", number / 10, **GONE) for number in range(150)]

        shown = candidates([[a_point("good", 99)], newer[:70], newer[70:]])

        names = [verdict.point.point_id for verdict in shown]
        assert names == [*(point.point_id for point in newer[:99]), "good"]
        assert len(candidates([[a_point("good", 99), *newer[:99]]])) == 100

    def test_has_verdicts_without_a_point_too(self) -> None:
        assert [verdict.point.point_id for verdict in candidates([[a_point("a", 1, **GONE)]])] == ["a"]


def the_choice(points: Iterable[RecoveryPoint], wanted: RecoveryPointCriteria, *, in_place: bool = False) -> Choice:
    choice = Choice(wanted, START, rehydrates=False, in_place=in_place)
    for point in points:
        choice.consider(point)
    return choice


class TestWhatIsSaid:
    def choose(self, *points: RecoveryPoint, **criteria: Any) -> str:
        wanted = RecoveryPointCriteria(**criteria)
        with pytest.raises(TerminalError) as caught:
            the_choice(points, wanted).result()
        return caught.value.message

    def test_of_an_item_without_points(self) -> None:
        assert self.choose() == (
            "Azure Backup lists no recovery points of this item. Look at its backup jobs in the vault, or give "
            "another vault or item."
        )

    def test_of_points_that_are_all_soft_deleted(self) -> None:
        deleted: dict[str, Any] = {"recoveryPointProperties": {"isSoftDeleted": True}}

        message = self.choose(a_point("1", **deleted), a_point("2", **deleted, threatStatus="UnHealthy"))

        assert message == (
            "The item's recovery points are soft-deleted, all 2 of them. Undelete the backup first (az backup "
            "protection undelete; the runbook has the steps), then send the request again."
        )
        assert "misses by: it is soft-deleted" in self.choose(a_point("1", **deleted), point_id="1")

    def test_of_a_point_that_the_item_does_not_know(self) -> None:
        detail = ErrorDetail(code="UserErrorRecoveryPointNotFound", message="No such point.")

        error = no_such_point("absent", [detail])

        assert (error.code, error.details) == ("NoMatchingRecoveryPoint", (detail,))
        assert "Azure finds no recovery point absent of this item. Ask GET /api/recovery-points" in str(error)

    def test_of_all_that_the_nearest_point_misses(self) -> None:
        near = a_point("a", 2)

        message = self.choose(near, not_older_than=timedelta(hours=1), tiers=("HardenedRP", "ArchivedRP"))

        assert message == (
            f"None of the 1 recovery points can be used. The nearest, a of {near.to_json()['time']}, misses by: it is "
            "older than PT1H, it is not in HardenedRP or ArchivedRP. Relax recoveryPoint or ask GET "
            "/api/recovery-points."
        )

    def test_a_point_with_a_time_is_nearer_than_one_without(self) -> None:
        points = [a_point("timeless", recoveryPointTime=None), a_point("gone", 2, **GONE)]

        assert "The nearest, gone of " in self.choose(*points)
        assert "The nearest, gone of " in self.choose(*reversed(points))

    def test_of_files_that_are_being_recovered(self) -> None:
        reasons = a_point(isInstantIlrSessionActive=True).unusable_because(rehydrates=False, in_place=True)

        assert reasons == [
            "files are being recovered from it, which keeps the VM from being backed up and replaced",
        ]

    def test_a_restore_elsewhere_may_take_a_point_whose_files_are_being_recovered(self) -> None:
        point = a_point(isInstantIlrSessionActive=True)
        wanted = RecoveryPointCriteria()

        assert the_choice([point], wanted).result() == point
        with pytest.raises(TerminalError, match="files are being recovered"):
            the_choice([point], wanted, in_place=True).result()


def test_an_edge_zone_keeps_its_kind_and_a_missing_threat_is_none() -> None:
    point = a_point(extendedLocation={"name": "edge", "type": "OtherZone"})

    assert point.extended_location == {"name": "edge", "type": "OtherZone"}
    assert point.threat_status is None
