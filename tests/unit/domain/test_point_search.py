"""The search for the point to restore: in pages, with its state stored between them, for a restore and for a plan."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from domain.errors import ErrorDetail, TerminalError
from domain.point_search import PointSearch
from domain.recovery_points import RecoveryPoint, choose_recovery_point, no_such_point
from domain.requests import RecoveryPointCriteria, RestoreRequest
from tests.support.azure import START, a_point, a_request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from domain.errors import Json

GONE: dict[str, Any] = {"recoveryPointTierDetails": []}
NO_TIER = "no tier holds its data any more"
IN_PLACE: dict[str, Any] = {"recoveryType": "OriginalLocation", "targetResourceGroupId": None}


def searched(pages: Sequence[Sequence[RecoveryPoint]], **members: Any) -> PointSearch:
    """Search page by page; the state goes through JSON between two pages, as between two generations."""
    request, state = RestoreRequest.from_json(a_request(**members)), None
    search = PointSearch.begin(request, START)
    for page in pages:
        search = PointSearch.begin(request, START)
        if state is not None:
            search.resume_from(json.loads(json.dumps(state)))
        search.consider(page)
        state = search.to_json()
    return search


def plan(pages: Sequence[Sequence[RecoveryPoint]], **members: Any) -> Json:
    return searched(pages, dryRun=True, **members).outcome()


class TestARestore:
    def test_takes_the_best_point_of_all_pages_with_what_the_request_needs_of_it(self) -> None:
        archived = {"recoveryPointTierDetails": [{"type": "ArchivedRP", "status": "Valid"}]}
        pages = [[a_point("old", 9)], [a_point("new", 1, **archived), a_point("mid", 5)], [a_point("gone", 0, **GONE)]]
        rehydrates = {
            "recoveryPointRehydrationInfo": {"rehydrationPriority": "Standard", "rehydrationRetentionDuration": "P10D"}
        }

        plain, rehydrated = searched(pages).outcome(), searched(pages, **rehydrates).outcome()

        assert plain == {
            "point": a_point("mid", 5).to_json(),
            "archived": False,
            "facts": a_point("mid", 5).facts.to_json(),
            "candidates": [],
            "candidatesCut": 0,
        }
        assert (rehydrated["point"]["id"], rehydrated["archived"]) == ("new", True)

    def test_remembers_the_nearest_point_and_counts_each_reason_over_all_pages(self) -> None:
        pages = [[a_point("a", 3, **GONE)], [a_point("b", 2, **GONE)], [a_point("c", 4, isManagedVirtualMachine=True)]]

        with pytest.raises(TerminalError) as caught:
            searched(pages, recoveryPoint={"notOlderThan": "PT1H"}).outcome()

        assert caught.value.code == "NoMatchingRecoveryPoint"
        assert "None of the 3 recovery points can be used. The nearest, c of " in caught.value.message
        assert {detail.message for detail in caught.value.details} == {
            "3 of 3: it is older than PT1H",
            f"2 of 3: {NO_TIER}",
        }

    def test_in_place_takes_no_point_whose_files_are_being_recovered(self) -> None:
        pages = [[a_point("open", 1, isInstantIlrSessionActive=True), a_point("closed", 2)]]

        assert searched(pages).outcome()["point"]["id"] == "open"
        assert searched(pages, **IN_PLACE).outcome()["point"]["id"] == "closed"

    def test_stores_its_state_as_json_and_no_points_beyond_the_best_and_the_nearest(self) -> None:
        state = searched([[a_point("a", 2), a_point("b", 1, **GONE)], [a_point("c", 3)]]).to_json()

        assert state == {
            "best": a_point("a", 2).to_state(),
            "nearest": {"point": a_point("b", 1, **GONE).to_state(), "reasons": [NO_TIER]},
            "seen": 3,
            "misses": {NO_TIER: 1},
            "newest": [],
        }
        assert searched([[]]).to_json() == {"best": None, "nearest": None, "seen": 0, "misses": {}, "newest": []}


class TestAPlan:
    def test_shows_the_verdict_on_each_point_from_the_newest_to_the_oldest(self) -> None:
        timeless = a_point("timeless", recoveryPointTime=None)
        pages = [[a_point("old", 9), timeless], [a_point("gone", 1, **GONE)], [a_point("mid", 5)]]

        found = plan(pages)

        verdicts = {verdict["id"]: (verdict["chosen"], verdict["reasons"]) for verdict in found["candidates"]}
        assert found["point"] == a_point("mid", 5).to_json()
        assert list(verdicts) == ["gone", "mid", "old", "timeless"]
        assert verdicts == {
            "gone": (False, [NO_TIER]),
            "mid": (True, []),
            "old": (False, ["another point that can be restored is newer or more consistent"]),
            "timeless": (False, ["its time is not known"]),
        }
        assert found["candidates"][0]["time"] == a_point("gone", 1).to_json()["time"]
        assert found["candidatesCut"] == 0

    def test_shows_a_hundred_the_chosen_one_always_among_them(self) -> None:
        newer = [a_point(f"gone-{number:03d}", number / 10, **GONE) for number in range(150)]

        found = plan([[a_point("good", 99)], newer[:70], newer[70:]])

        names = [verdict["id"] for verdict in found["candidates"]]
        assert names == [*(point.point_id for point in newer[:99]), "good"]
        assert found["candidatesCut"] == 51
        exact = plan([[a_point("good", 99), *newer[:99]]])
        assert (len(exact["candidates"]), exact["candidatesCut"]) == (100, 0)

    def test_without_a_point_has_the_error_beside_the_verdicts(self) -> None:
        found = plan([[a_point("a", 1, **GONE)]])

        assert (found["point"], found["archived"], found["facts"]) == (None, False, None)
        assert [verdict["id"] for verdict in found["candidates"]] == ["a"]
        assert found["error"]["code"] == "NoMatchingRecoveryPoint"


class TestWhatIsSaid:
    def choose(self, *points: RecoveryPoint, **criteria: Any) -> str:
        wanted = RecoveryPointCriteria(**criteria)
        with pytest.raises(TerminalError) as caught:
            choose_recovery_point(points, wanted, rehydrates=False, now=START)
        return caught.value.message

    def test_of_an_item_without_points(self) -> None:
        assert self.choose() == (
            "The item has no recovery points. Check that its backups ran, or give another vault or item."
        )

    def test_of_a_point_that_the_item_does_not_know(self) -> None:
        detail = ErrorDetail(code="UserErrorRecoveryPointNotFound", message="No such point.")

        error = no_such_point("absent", [detail])

        assert (error.code, error.details) == ("NoMatchingRecoveryPoint", (detail,))
        assert "The item has no recovery point absent. Ask GET /api/recovery-points" in str(error)

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

        assert choose_recovery_point([point], wanted, rehydrates=False, now=START) == point
        with pytest.raises(TerminalError, match="files are being recovered"):
            choose_recovery_point([point], wanted, rehydrates=False, now=START, in_place=True)


@pytest.mark.parametrize("hours_old", [2, None])
def test_a_point_comes_out_of_the_state_as_it_went_in(hours_old: float | None) -> None:
    place = {"extendedLocation": {"name": "edge", "type": "OtherZone"}, "threatStatus": "Healthy"}
    point = a_point("a", 2, isSourceVMEncrypted=True, **place)
    if hours_old is None:
        point = a_point("a", recoveryPointTime=None)

    assert RecoveryPoint.from_state(json.loads(json.dumps(point.to_state()))) == point


def test_an_edge_zone_keeps_its_kind_and_a_missing_threat_is_none() -> None:
    point = a_point(extendedLocation={"name": "edge", "type": "OtherZone"})

    assert point.facts.to_json()["extendedLocation"] == {"name": "edge", "type": "OtherZone"}
    assert point.threat_status is None
    assert a_point(threatStatus=2).unusable_because(rehydrates=False) == ["the service found a threat in it"]
