from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.azure.recovery_points import Choice, RecoveryPoint
from domain.codec import pack
from domain.errors import Json, TerminalError
from domain.request_schema import CONSISTENCIES
from domain.requests import RecoveryPointCriteria
from tests.support.azure import a_point
from tests.support.hub import START
from tests.support.strategies import SWIFT, THOROUGH, damaged, json_values, objects_of
from tests.unit.domain.recorded import POINT_2018, POINT_2026, POINT_LINUX, POINT_REHYDRATED, point

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NOW = START if START.tzinfo else START.replace(tzinfo=UTC)
ANY = RecoveryPointCriteria()
ARCHIVED_ONLY = "it is archived and recoveryPointRehydrationInfo is not given"
NO_TIER = "no tier holds its data any more"


def read(**properties: Any) -> RecoveryPoint:
    return RecoveryPoint.from_api(point("1", **properties))


def with_tiers(*tiers: tuple[Any, Any]) -> RecoveryPoint:
    return a_point(recoveryPointTierDetails=[{"type": kind, "status": status} for kind, status in tiers])


def choose(
    points: Iterable[RecoveryPoint],
    wanted: RecoveryPointCriteria = ANY,
    *,
    rehydrates: bool = False,
    now: datetime = NOW,
) -> RecoveryPoint:
    """Return the point that is chosen in one pass over these."""
    choice = Choice(wanted, now, rehydrates)
    for candidate in points:
        choice.consider(candidate)
    return choice.result()


def refusal(
    points: Sequence[RecoveryPoint], wanted: RecoveryPointCriteria = ANY, *, rehydrates: bool = False
) -> TerminalError:
    with pytest.raises(TerminalError) as caught:
        choose(points, wanted, rehydrates=rehydrates)
    assert caught.value.code == "NoMatchingRecoveryPoint"
    return caught.value


class TestWhatTheServiceSent:
    def test_a_point_of_2026(self) -> None:
        seen = RecoveryPoint.from_api(POINT_2026)

        assert seen.to_json() == {
            "id": "1103996678573089",
            "time": "2026-07-26T13:16:55.439787Z",
            "consistency": "AppConsistent",
            "tiers": ["InstantRP", "HardenedRP"],
        }
        assert seen.unusable_because(rehydrates=False) == []

    def test_a_linux_point_whose_snapshot_is_gone(self) -> None:
        seen = RecoveryPoint.from_api(POINT_LINUX)

        assert (seen.consistency, seen.tiers) == ("FileSystemConsistent", ("HardenedRP",))
        assert seen.time == datetime(2023, 4, 16, 8, 6, 37, 338727, tzinfo=UTC)
        assert seen.unusable_because(rehydrates=False) == []

    def test_an_archived_point_brought_back(self) -> None:
        seen = RecoveryPoint.from_api(POINT_REHYDRATED)

        assert (seen.consistency, seen.tiers, seen.archived) == ("CrashConsistent", ("ArchivedRP",), False)
        assert seen.unusable_because(rehydrates=False) == []

    def test_a_point_of_2018_with_integers_for_tiers(self) -> None:
        seen = RecoveryPoint.from_api(POINT_2018)

        assert seen.tiers == ("InstantRP", "HardenedRP")
        assert seen.time == datetime(2018, 6, 4, 6, 6, 0, 512108, tzinfo=UTC)


class TestDisks:
    def test_of_an_item_with_selected_ones(self) -> None:
        counts = {"numberOfDisksIncludedInBackup": 3, "numberOfDisksAttachedToVm": 4}
        disks = [{"lun": lun, "name": f"disk{lun}"} for lun in (-1, 0, 1)]

        listed = a_point(recoveryPointDiskConfiguration=counts)
        single = a_point(recoveryPointDiskConfiguration={**counts, "includedDiskList": disks, "excludedDiskList": []})

        assert (listed.disk_count, listed.luns, listed.data_disk_count) == (3, None, 2)
        assert (single.disk_count, single.luns, single.data_disk_count) == (3, (-1, 0, 1), 2)

    @pytest.mark.parametrize(
        "disks",
        [
            None,
            {},
            {"numberOfDisksIncludedInBackup": None, "includedDiskList": None},
            {"numberOfDisksIncludedInBackup": "3", "includedDiskList": []},
            {"numberOfDisksIncludedInBackup": True, "includedDiskList": [{"lun": 0}, {"name": "a"}]},
            {"numberOfDisksIncludedInBackup": -5, "includedDiskList": [{"lun": 10**9}]},
        ],
    )
    def test_that_azure_does_not_say(self, disks: Any) -> None:
        point = a_point(recoveryPointDiskConfiguration=disks)

        assert (point.disk_count, point.luns, point.data_disk_count) == (None, None, None)


class TestTiers:
    @pytest.mark.parametrize(
        ("tiers", "usable", "archived"),
        [
            ([("InstantRP", "Valid")], ("InstantRP",), False),
            ([("HardenedRP", "Valid")], ("HardenedRP",), False),
            ([("HardenedRP", "Valid"), ("InstantRP", "Valid")], ("InstantRP", "HardenedRP"), False),
            ([("InstantRP", "Deleted"), ("HardenedRP", "Valid")], ("HardenedRP",), False),
            ([("InstantRP", "Disabled"), ("HardenedRP", "Valid")], ("HardenedRP",), False),
            ([("InstantRP", "Valid"), ("HardenedRP", "Deleted")], ("InstantRP",), False),
            ([("InstantRP", "Valid"), ("ArchivedRP", "Valid")], ("InstantRP", "ArchivedRP"), False),
            ([("HardenedRP", "Valid"), ("ArchivedRP", "Valid")], ("HardenedRP", "ArchivedRP"), False),
            ([("InstantRP", "Deleted"), ("ArchivedRP", "Valid")], ("ArchivedRP",), True),
            ([("HardenedRP", "Disabled"), ("ArchivedRP", "Valid")], ("ArchivedRP",), True),
            ([("ArchivedRP", "Rehydrated")], ("ArchivedRP",), False),
            ([("IASnapshotRP", "Valid")], ("InstantRP",), False),
            ([("IASnapshotRP", "Valid"), ("ArchivedRP", "Valid")], ("InstantRP", "ArchivedRP"), False),
            ([("IASnapshotRP", "Deleted"), ("HardenedRP", "Valid")], ("HardenedRP",), False),
            ([("instantrp", "VALID")], ("InstantRP",), False),
            ([(1, 1)], ("InstantRP",), False),
            ([(1, 3), (2, 1)], ("HardenedRP",), False),
            ([(2, 2), (3, 1)], ("ArchivedRP",), True),
            ([(3, 4)], ("ArchivedRP",), False),
            ([(4, 1)], ("InstantRP",), False),
            ([("SomethingNew", "Valid")], ("SomethingNew",), False),
            ([("SomethingNew", "Valid"), ("InstantRP", "Valid")], ("InstantRP", "SomethingNew"), False),
            ([("ArchivedRP", "Valid"), ("SomethingNew", "Valid")], ("ArchivedRP", "SomethingNew"), True),
            ([("ArchivedRP", "Valid"), (0, 1)], ("ArchivedRP",), True),
        ],
    )
    def test_the_tiers_that_can_be_read_from(
        self, tiers: list[tuple[Any, Any]], usable: tuple[str, ...], archived: bool
    ) -> None:
        seen = with_tiers(*tiers)

        assert (seen.tiers, seen.archived) == (usable, archived)
        assert seen.unusable_because(rehydrates=True) == []
        assert seen.unusable_because(rehydrates=False) == ([ARCHIVED_ONLY] if archived else [])

    @pytest.mark.parametrize(
        "tiers",
        [
            [("InstantRP", "Deleted")],
            [("InstantRP", "Deleted"), ("HardenedRP", "Disabled")],
            [("InstantRP", "Deleted"), ("SomethingNew", "Deleted")],
            [(1, 3), (2, 2)],
        ],
    )
    def test_a_point_that_no_tier_holds_cannot_be_restored(self, tiers: list[tuple[Any, Any]]) -> None:
        seen = with_tiers(*tiers)

        assert (seen.tiers, seen.tiers_known) == ((), True)
        assert seen.unusable_because(rehydrates=True) == [NO_TIER]

    @pytest.mark.parametrize(
        "tiers",
        [
            [],
            [("InstantRP", "Deleted"), ("HardenedRP", "Disabled"), ("ArchivedRP", "Invalid")],
            [("InstantRP", "Deleted"), ("HardenedRP", None)],
            [("InstantRP", "Invented")],
            [("InstantRP", None)],
            [(None, "Valid")],
            [("", "Valid")],
            [("Invalid", "Valid")],
            [(0, 1)],
            [(5, 1)],
            [(-1, 1)],
            [(10**400, 1)],
            [(1, 0)],
            [(1, 5)],
            [(1, -4)],
            [(1, True)],
            [(True, 1)],
            [(1.0, 1)],
            [([], {})],
            [("1", "1")],
        ],
    )
    def test_a_point_whose_tiers_are_not_understood_can(self, tiers: list[tuple[Any, Any]]) -> None:
        self.assert_as_if_in_the_vault(with_tiers(*tiers))

    @pytest.mark.parametrize("details", [None, {}, "InstantRP", 1, [None], ["InstantRP"], [[]], [{}]])
    def test_a_point_whose_tiers_are_in_no_known_shape_can(self, details: Any) -> None:
        self.assert_as_if_in_the_vault(a_point(recoveryPointTierDetails=details))

    def test_a_point_without_tiers_can(self) -> None:
        self.assert_as_if_in_the_vault(
            RecoveryPoint.from_api({"name": "1", "properties": {"recoveryPointTime": "2026-11-20T10:00:00Z"}})
        )

    def assert_as_if_in_the_vault(self, seen: RecoveryPoint) -> None:
        assert (seen.tiers, seen.tiers_known, seen.archived, seen.snapshot_only) == ((), False, False, False)
        assert seen.unusable_because(rehydrates=False) == []
        assert seen.unwanted_because(RecoveryPointCriteria(tiers=("HardenedRP", "InstantRP")), now=NOW) == []
        assert seen.unwanted_because(RecoveryPointCriteria(tiers=("InstantRP",)), now=NOW) == [
            "it is not known to be in InstantRP"
        ]

    @pytest.mark.parametrize("status", [None, "Invalid", "Drifting", 0, 9])
    def test_a_snapshot_with_other_unknown_tiers_may_be_in_the_vault_too(self, status: Any) -> None:
        seen = with_tiers(("InstantRP", "Valid"), ("HardenedRP", status))

        assert (seen.tiers, seen.tiers_known, seen.snapshot_only) == (("InstantRP",), False, False)


class TestQuirks:
    @pytest.mark.parametrize(
        ("text", "time"),
        [
            ("2026-11-20T06:00:00.1234567Z", datetime(2026, 11, 20, 6, 0, 0, 123456, tzinfo=UTC)),
            ("2026-11-20T06:00:00", datetime(2026, 11, 20, 6, tzinfo=UTC)),
            ("2026-11-20T06:00:00.07Z", datetime(2026, 11, 20, 6, 0, 0, 70000, tzinfo=UTC)),
            ("2026-11-20T08:00:00+02:00", datetime(2026, 11, 20, 6, tzinfo=UTC)),
        ],
    )
    def test_times_in_every_style(self, text: str, time: datetime) -> None:
        assert a_point(recoveryPointTime=text).time == time

    @pytest.mark.parametrize(
        "time", ["0001-01-01T00:00:00", "2001-01-01T00:00:00", None, "", 0, "7/26/2026 1:16:55 PM", ["2026-11-20"]]
    )
    def test_a_point_without_a_time_cannot_be_restored(self, time: Any) -> None:
        seen = a_point(recoveryPointTime=time)

        assert seen.to_json()["time"] is None
        assert seen.unusable_because(rehydrates=True) == ["its time is not known"]

    @pytest.mark.parametrize("kind", [None, "", 0, [], {}])
    def test_a_missing_consistency_is_unknown(self, kind: Any) -> None:
        assert a_point(recoveryPointType=kind).consistency == "Unknown"

    def test_a_consistency_that_we_do_not_know_is_kept(self) -> None:
        assert a_point(recoveryPointType="DiskConsistent").consistency == "DiskConsistent"

    def test_a_soft_deleted_point_cannot_be_restored(self) -> None:
        seen = a_point(recoveryPointProperties={"isSoftDeleted": True})

        assert seen.unusable_because(rehydrates=True) == ["it is soft-deleted and must be undeleted first"]

    @pytest.mark.parametrize("properties", [None, {}, {"isSoftDeleted": False}, {"isSoftDeleted": None}, [], "x"])
    def test_a_point_that_does_not_say_so_is_not_deleted(self, properties: Any) -> None:
        assert a_point(recoveryPointProperties=properties).unusable_because(rehydrates=False) == []

    @pytest.mark.parametrize("threat", ["UnHealthy", "Unhealthy", "unhealthy", 2])
    def test_a_point_with_a_threat_cannot_be_restored(self, threat: str) -> None:
        assert a_point(threatStatus=threat).unusable_because(rehydrates=True) == ["the service found a threat in it"]

    @pytest.mark.parametrize("threat", ["Healthy", "Unknown", "Warning", "NotAvailable", None, "", 0, 3, 99, "New"])
    def test_a_point_without_a_found_threat_can(self, threat: Any) -> None:
        assert a_point(threatStatus=threat).unusable_because(rehydrates=False) == []

    @pytest.mark.parametrize("yes", [True, "true", "True", 1])
    def test_yes_is_understood_however_it_is_written(self, yes: Any) -> None:
        point = a_point(
            isSourceVMEncrypted=yes, recoveryPointProperties={"isSoftDeleted": yes}, isInstantIlrSessionActive=yes
        )

        assert (point.encrypted, point.soft_deleted, point.session_open) == (True, True, True)

    @pytest.mark.parametrize(
        ("flag", "understood"), [(True, True), ("true", True), (1, True), (False, False), (None, None), ("maybe", None)]
    )
    def test_private_access_is_unknown_where_the_point_does_not_say_it(
        self, flag: Any, understood: bool | None
    ) -> None:
        assert a_point(isPrivateAccessEnabledOnAnyDisk=flag).private_access is understood
        assert a_point().private_access is None

    SECRET: ClassVar = {"secretUrl": "https://kv.vault.azure.net/secrets/bek/1", "secretData": "very-secret"}
    KEY: ClassVar = {"keyUrl": "https://kv.vault.azure.net/keys/kek/1", "keyBackupData": "very-secret"}

    @pytest.mark.parametrize(
        ("keys", "encrypted"),
        [
            ({"bekDetails": SECRET}, True),
            ({"bekDetails": SECRET, "kekDetails": KEY, "encryptionMechanism": "DualPass"}, True),
            ({"kekDetails": {"keyUrl": KEY["keyUrl"]}}, True),
            ({"bekDetails": None, "kekDetails": None}, False),
            ({"bekDetails": {}, "kekDetails": {"keyUrl": ""}}, False),
            ({}, False),
            (None, False),
            ("keys", False),
        ],
    )
    def test_a_point_with_keys_is_encrypted_and_its_keys_are_not_kept(self, keys: Any, encrypted: bool) -> None:
        seen = a_point(keyAndSecret=keys)

        assert seen.encrypted is encrypted
        assert "very-secret" not in json.dumps(pack(seen))

    @pytest.mark.parametrize(("managed", "understood"), [(False, False), ("false", False), (0, False), ("maybe", True)])
    def test_so_is_no(self, managed: Any, understood: bool) -> None:
        assert a_point(isManagedVirtualMachine=managed).managed is understood

    def test_a_consistency_is_known_in_any_casing(self) -> None:
        assert a_point(recoveryPointType="appconsistent").consistency == "AppConsistent"

    @pytest.mark.parametrize(
        ("place", "read"),
        [
            ({"name": "edge", "type": "EdgeZone"}, {"name": "edge", "type": "EdgeZone"}),
            ({"name": "edge"}, {"name": "edge", "type": "EdgeZone"}),
            ({}, None),
            ("edge", None),
            (None, None),
        ],
    )
    def test_an_edge_zone_is_kept(self, place: Any, read: Any) -> None:
        assert a_point(extendedLocation=place).extended_location == read

    @pytest.mark.parametrize("body", [{"name": "1"}, {"name": "1", "properties": None}, {"name": "1", "properties": 3}])
    def test_a_name_is_all_that_is_needed(self, body: Json) -> None:
        seen = RecoveryPoint.from_api(body)

        assert seen.to_json() == {"id": "1", "time": None, "consistency": "Unknown", "tiers": []}
        assert seen.unusable_because(rehydrates=True) == ["its time is not known"]

    def test_a_point_without_a_name_is_no_point(self) -> None:
        with pytest.raises(KeyError):
            RecoveryPoint.from_api({"properties": {}})

    def test_every_reason_is_told(self) -> None:
        seen = read(
            recoveryPointTierDetails=[{"type": "ArchivedRP", "status": "Valid"}],
            recoveryPointProperties={"isSoftDeleted": True},
            threatStatus="UnHealthy",
        )

        assert len(seen.unusable_because(rehydrates=False)) == 4

    @given(
        st.fixed_dictionaries(
            {"name": st.text(min_size=1)},
            optional={
                "properties": json_values
                | objects_of(
                    "recoveryPointType",
                    "recoveryPointTime",
                    "recoveryPointTierDetails",
                    "recoveryPointProperties",
                    "threatStatus",
                )
            },
        )
        | damaged(st.sampled_from([POINT_2026, POINT_LINUX, POINT_REHYDRATED, POINT_2018])).map(
            lambda body: {**body, "name": "1"}
        )
    )
    @THOROUGH
    def test_any_json_with_a_name_is_read_and_judged(self, body: Json) -> None:
        seen = RecoveryPoint.from_api(body)

        json.dumps(seen.to_json())
        assert all(seen.unusable_because(rehydrates=False)) is True
        seen.unwanted_because(
            RecoveryPointCriteria(at_or_before=NOW, not_older_than=timedelta(days=1), consistency=(), tiers=()), now=NOW
        )


class TestWhatIsWanted:
    POINT = a_point("7", hours_old=2)  # taken at START less two hours, and a fraction of a second

    @pytest.mark.parametrize(
        ("wanted", "reasons"),
        [
            (ANY, []),
            (RecoveryPointCriteria(point_id="7"), []),
            (RecoveryPointCriteria(point_id="8"), ["the request names another point"]),
            (RecoveryPointCriteria(at_or_before=POINT.time), []),
            (RecoveryPointCriteria(consistency=("AppConsistent", "CrashConsistent")), []),
            (RecoveryPointCriteria(consistency=("CrashConsistent",)), ["it is not CrashConsistent"]),
            (
                RecoveryPointCriteria(consistency=("CrashConsistent", "FileSystemConsistent")),
                ["it is not CrashConsistent or FileSystemConsistent"],
            ),
            (RecoveryPointCriteria(tiers=("InstantRP",)), []),
            (RecoveryPointCriteria(tiers=("HardenedRP", "InstantRP")), []),
            (RecoveryPointCriteria(tiers=("HardenedRP",)), ["it is not in HardenedRP"]),
            (RecoveryPointCriteria(not_older_than=timedelta(hours=2)), []),
            (RecoveryPointCriteria(not_older_than=timedelta(hours=1)), ["it is older than PT1H"]),
            (
                RecoveryPointCriteria(at_or_before=NOW - timedelta(hours=3)),
                [f"it is newer than {(NOW - timedelta(hours=3)).isoformat().replace('+00:00', 'Z')}"],
            ),
        ],
    )
    def test_each_criterion_is_judged_by_itself(self, wanted: RecoveryPointCriteria, reasons: list[str]) -> None:
        assert self.POINT.unwanted_because(wanted, now=NOW) == reasons

    def test_a_consistency_that_the_service_does_not_name_is_not_known(self) -> None:
        wanted = RecoveryPointCriteria(consistency=("AppConsistent",))

        assert a_point(recoveryPointType=None).unwanted_because(wanted, now=NOW) == [
            "it is not known to be AppConsistent"
        ]

    def test_the_age_may_be_just_what_is_allowed(self) -> None:
        assert self.POINT.time is not None
        age = NOW - self.POINT.time

        within = RecoveryPointCriteria(not_older_than=age)
        beyond = RecoveryPointCriteria(not_older_than=age - timedelta(microseconds=1))

        assert self.POINT.unwanted_because(within, now=NOW) == []
        assert len(self.POINT.unwanted_because(beyond, now=NOW)) == 1

    def test_a_moment_before_the_point_is_too_early(self) -> None:
        assert self.POINT.time is not None
        wanted = RecoveryPointCriteria(at_or_before=self.POINT.time - timedelta(microseconds=1))

        assert len(self.POINT.unwanted_because(wanted, now=NOW)) == 1

    def test_a_naive_clock_is_utc(self) -> None:
        wanted = RecoveryPointCriteria(not_older_than=timedelta(hours=2))

        assert self.POINT.unwanted_because(wanted, now=NOW.replace(tzinfo=None)) == []


TIER_SETS = [
    [],
    [{"type": "InstantRP", "status": "Valid"}],
    [{"type": "InstantRP", "status": "Valid"}, {"type": "HardenedRP", "status": "Valid"}],
    [{"type": "InstantRP", "status": "Deleted"}, {"type": "HardenedRP", "status": "Valid"}],
    [{"type": "ArchivedRP", "status": "Valid"}],
    [{"type": "ArchivedRP", "status": "Rehydrated"}],
    [{"type": "InstantRP", "status": "Deleted"}],
]
points = st.builds(
    lambda hours, properties: a_point("?", hours_old=hours, **properties),
    st.integers(0, 12),
    st.fixed_dictionaries(
        {"recoveryPointTierDetails": st.sampled_from(TIER_SETS)},
        optional={
            "recoveryPointType": st.sampled_from([*CONSISTENCIES, "SomethingNew"]),
            "recoveryPointTime": st.none(),
            "recoveryPointProperties": st.sampled_from([{"isSoftDeleted": True}, {"isSoftDeleted": False}]),
            "threatStatus": st.sampled_from(["UnHealthy", "Healthy"]),
        },
    ),
)
lists_of_points = st.lists(points, max_size=8).map(
    lambda found: [replace(each, point_id=str(index)) for index, each in enumerate(found)]
)
criteria = st.builds(
    RecoveryPointCriteria,
    at_or_before=st.none() | st.integers(0, 12).map(lambda hours: NOW - timedelta(hours=hours)),
    not_older_than=st.none() | st.integers(0, 12).map(lambda hours: timedelta(hours=hours)),
    consistency=st.none() | st.lists(st.sampled_from(CONSISTENCIES), min_size=1).map(tuple),
    tiers=st.none() | st.lists(st.sampled_from(["InstantRP", "HardenedRP", "ArchivedRP"]), min_size=1).map(tuple),
)


def is_good(point: RecoveryPoint, wanted: RecoveryPointCriteria, *, rehydrates: bool) -> bool:
    """Tell by the contract's words whether this point may be restored."""
    if point.time is None or point.soft_deleted or point.threat_status == "UnHealthy":
        return False
    if point.tiers_known and not point.tiers:
        return False
    if point.archived and not rehydrates:
        return False
    return (
        (wanted.at_or_before is None or point.time <= wanted.at_or_before)
        and (wanted.not_older_than is None or point.time >= NOW - wanted.not_older_than)
        and (wanted.consistency is None or point.consistency in wanted.consistency)
        and (wanted.tiers is None or any(tier in wanted.tiers for tier in point.tiers or ["HardenedRP"]))
    )


class TestChoice:
    @given(lists_of_points, criteria, st.booleans())
    @THOROUGH
    def test_it_is_the_newest_good_one_and_the_most_consistent_of_those(
        self, found: list[RecoveryPoint], wanted: RecoveryPointCriteria, rehydrates: bool
    ) -> None:
        good = [each for each in found if is_good(each, wanted, rehydrates=rehydrates)]
        if not good:
            refusal(found, wanted, rehydrates=rehydrates)
            return

        chosen = choose(found, wanted, rehydrates=rehydrates)

        assert chosen in good
        newest = [each for each in good if each.time == max(one.time for one in good if one.time)]
        assert chosen in newest
        order = [*CONSISTENCIES, "SomethingNew"]
        assert order.index(chosen.consistency) == min(order.index(each.consistency) for each in newest)

    @given(st.data(), lists_of_points, criteria)
    @SWIFT
    def test_the_order_of_the_list_does_not_matter(
        self, data: st.DataObject, found: list[RecoveryPoint], wanted: RecoveryPointCriteria
    ) -> None:
        other = data.draw(st.permutations(found))
        if any(is_good(each, wanted, rehydrates=True) for each in found):
            assert choose(other, wanted, rehydrates=True) == choose(found, wanted, rehydrates=True)
        else:
            left, right = (refusal(each, wanted, rehydrates=True) for each in (other, found))
            assert left.message == right.message
            assert set(left.details) == set(right.details)

    @pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
    def test_ties_go_to_the_more_consistent(self, order: tuple[int, ...]) -> None:
        kinds = ("CrashConsistent", "AppConsistent", "SomethingNew", "FileSystemConsistent")
        found = [a_point(kinds[index], recoveryPointType=kinds[index]) for index in order]

        assert choose(found).consistency == "AppConsistent"
        assert choose([each for each in found if each.point_id != "AppConsistent"]).point_id == "FileSystemConsistent"

    def test_newer_beats_more_consistent(self) -> None:
        newer = a_point("newer", hours_old=1, recoveryPointType="CrashConsistent")

        assert choose([a_point("older", hours_old=2), newer]) is newer

    def test_a_point_asked_for_by_id_is_taken_though_others_are_newer(self) -> None:
        found = [a_point("1", hours_old=1), a_point("2", hours_old=2), a_point("3", hours_old=3)]

        assert choose(found, RecoveryPointCriteria(point_id="2")).point_id == "2"

    def test_an_archived_point_is_taken_when_it_may_be_rehydrated(self) -> None:
        archived = a_point("archived", 1, recoveryPointTierDetails=[{"type": "ArchivedRP", "status": "Valid"}])
        hardened = a_point("hardened", 2)

        assert choose([archived, hardened], rehydrates=True) is archived
        assert choose([archived, hardened], rehydrates=False) is hardened

    def test_a_list_that_can_be_read_only_once_is_enough(self) -> None:
        found = (a_point(str(index), hours_old=abs(index - 123)) for index in range(500))

        assert choose(found).point_id == "123"
        assert next(found, None) is None


class TestNoMatch:
    def test_no_points_at_all(self) -> None:
        error = refusal([])

        assert "no recovery points" in error.message
        assert "ran" not in error.message
        assert error.details == ()

    def test_the_reasons_are_counted_and_the_commonest_comes_first(self) -> None:
        archived: Json = {"recoveryPointTierDetails": [{"type": "ArchivedRP", "status": "Valid"}]}
        error = refusal(
            [
                a_point("1", **archived),
                a_point("2", **archived, threatStatus="UnHealthy"),
                a_point("3", **archived),
                a_point("4", recoveryPointProperties={"isSoftDeleted": True}, threatStatus="UnHealthy"),
            ]
        )

        assert "None of the 4 recovery points" in error.message
        assert [detail.message for detail in error.details] == [
            f"3 of 4: {ARCHIVED_ONLY}",
            "2 of 4: the service found a threat in it",
            "1 of 4: it is soft-deleted and must be undeleted first",
        ]
        assert {(detail.code, detail.target) for detail in error.details} == {
            ("NoMatchingRecoveryPoint", "recoveryPoint")
        }

    def test_what_the_caller_asked_for_counts_among_the_reasons(self) -> None:
        wanted = RecoveryPointCriteria(consistency=("CrashConsistent",), tiers=("HardenedRP",))
        error = refusal([a_point("1"), a_point("2")], wanted)

        assert {detail.message for detail in error.details} == {
            "2 of 2: it is not CrashConsistent",
            "2 of 2: it is not in HardenedRP",
        }

    def test_a_point_asked_for_by_id_is_the_nearest_whatever_else_there_is(self) -> None:
        wanted = RecoveryPointCriteria(point_id="old")
        archived: Json = {"recoveryPointTierDetails": [{"type": "ArchivedRP", "status": "Valid"}]}

        error = refusal([a_point("new", 1), a_point("old", 900, **archived, threatStatus="UnHealthy")], wanted)

        assert "The nearest, old" in error.message
        assert ARCHIVED_ONLY in error.message

    def test_an_id_that_no_point_has_is_said_to_be_unknown(self) -> None:
        error = refusal([a_point("1"), a_point("2")], RecoveryPointCriteria(point_id="3"))

        assert error.message.startswith("Azure finds no recovery point 3 of this item.")


class TestOpenSessions:
    """Files being recovered from a point keep the VM from being backed up, which a replacement in place does first."""

    OPEN = RecoveryPoint.from_api(
        {
            "name": "1",
            "properties": {
                "recoveryPointTime": "2026-11-20T06:00:00Z",
                "recoveryPointTierDetails": [{"type": "InstantRP", "status": "Valid"}],
                "isInstantIlrSessionActive": True,
            },
        }
    )

    def test_matter_where_disks_are_replaced_in_place(self) -> None:
        (reason,) = self.OPEN.unusable_because(rehydrates=False, in_place=True)

        assert "files are being recovered" in reason

    def test_matter_nowhere_else(self) -> None:
        assert self.OPEN.unusable_because(rehydrates=False) == []


class TestNearestMiss:
    def test_the_point_that_misses_by_least_is_named(self) -> None:
        points = [a_point("far", 1, recoveryPointType="CrashConsistent"), a_point("near", 5), a_point("older", 9)]
        wanted = RecoveryPointCriteria(not_older_than=timedelta(minutes=1), consistency=("AppConsistent",))

        with pytest.raises(TerminalError) as caught:
            choose(points, wanted, now=START)

        assert "The nearest, near of 2026-11-23T03:00:00" in caught.value.message
        assert "it is older than PT1M" in caught.value.message

    def test_one_without_a_time_is_named_too(self) -> None:
        with pytest.raises(TerminalError) as caught:
            choose([a_point("1", recoveryPointTime=None)], now=START)

        assert "The nearest, 1, misses by: its time is not known" in caught.value.message
