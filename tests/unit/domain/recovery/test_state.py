from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given

from domain.codec import pack, unpack
from domain.recovery.parts import GROUP_LETTERS, MEMBER_STATUS_OF, GroupStatus, MemberStatus, ShownProgress
from domain.recovery.plans_file import read_plans
from domain.recovery.state import Recovery
from domain.restore.parts import ENDED, Source
from tests.support.azure import STORAGE_ID, TARGET_GROUP, an_alert_start, vm_id
from tests.support.strategies import SWIFT
from tests.unit.domain.restore.states import of_type

if TYPE_CHECKING:
    from domain.errors import Json

CREATED = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def accepted(*groups: Json, **members: Any) -> Recovery:
    """Return a recovery of a plan with these groups, each of one VM, as it begins."""
    body = {
        "name": "shop",
        "restore": {"recoveryType": "RestoreDisks", "storageAccountId": STORAGE_ID},
        "groups": [
            {"name": f"g{index}", "sourceResourceIds": [vm_id(index)], **group} for index, group in enumerate(groups)
        ],
    }
    return Recovery.accept(
        read_plans({"plans": [body]})["shop"],
        **{
            "recovery_id": "r",
            "fingerprint": "f",
            "source": Source.HTTP,
            "created": CREATED,
            "max_per_vault": 40,
            **members,
        },
    )


class TestInHistory:
    @given(of_type(Recovery))
    @SWIFT
    def test_any_recovery_comes_out_of_history_as_it_went_in(self, recovery: Recovery) -> None:
        assert unpack(Recovery, json.loads(json.dumps(pack(recovery)))) == recovery

    @given(of_type(ShownProgress))
    @SWIFT
    def test_any_custom_status_comes_out_as_it_went_in(self, shown: ShownProgress) -> None:
        assert unpack(ShownProgress, json.loads(json.dumps(pack(shown)))) == shown

    def test_its_names_in_history_never_change(self) -> None:
        written = pack(accepted({}, {"after": []}, {"after": ["g0", "g1"], "optional": True}))

        assert written.keys() == {"v", "accepted", "clock", "admission"}
        assert written["accepted"].keys() == {
            *("recoveryId", "planName", "groups", "fingerprint", "source", "created", "maxPerVault"),
        }
        assert written["accepted"]["groups"] == [
            {"name": "g0"},
            {"name": "g1"},
            {"name": "g2", "after": [0, 1], "optional": True},
        ]


class TestAcceptance:
    def test_an_alert_needs_admission_and_a_person_does_not(self) -> None:
        assert accepted({}).admission.admitted
        assert not accepted({}, source=Source.ALERT, alert=an_alert_start()).admission.admitted

    @pytest.mark.parametrize(
        "replacing",
        [
            {"recoveryType": "OriginalLocation"},
            {"recoveryType": "RestoreDisks", "targetResourceGroupId": TARGET_GROUP, "thenSwapDisks": {}},
        ],
    )
    def test_an_alert_alone_replaces_no_disks(self, replacing: Json) -> None:
        groups: list[Json] = [
            {"restore": {"recoveryType": "RestoreDisks", "targetResourceGroupId": TARGET_GROUP}},
            {"restore": replacing},
        ]

        by_alert = accepted(*groups, source=Source.ALERT, alert=an_alert_start())

        assert by_alert.progress.approval is not None
        assert "(group g1)" in by_alert.progress.approval.reason
        assert not accepted(*groups).awaits_decision

    def test_the_alert_may_say_that_a_person_must_approve(self) -> None:
        alert = replace(an_alert_start(), approval_reason="The rule asks for one.")

        recovery = accepted({}, source=Source.ALERT, alert=alert)

        assert recovery.progress.approval is not None
        assert recovery.progress.approval.reason == "The rule asks for one."

    def test_the_clock_never_goes_back(self) -> None:
        later = accepted({}).at(CREATED + timedelta(minutes=5))

        assert later.at(CREATED).at(None).clock.now == CREATED + timedelta(minutes=5)


class TestLetters:
    def test_each_status_has_a_letter_of_its_own(self) -> None:
        assert all(len(status) == 1 for status in MemberStatus)
        assert len(set(GROUP_LETTERS.values())) == len(GroupStatus)

    def test_each_end_of_a_restore_has_one(self) -> None:
        assert MEMBER_STATUS_OF.keys() == ENDED

    @pytest.mark.parametrize(
        ("status", "word"), [("P", "Pending"), ("S", "Pending"), ("L", "Running"), ("W", "CompletedWithWarnings")]
    )
    def test_callers_see_words(self, status: str, word: str) -> None:
        assert MemberStatus(status).word == word
