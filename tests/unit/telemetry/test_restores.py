"""What a status document becomes: the attributes that queries read, and the seconds of phases and waits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import pytest

from domain.restore.trace import phase_span_id, root_span_id
from telemetry.restores import Figures, figures_of, phase_spans, root_span
from telemetry.spans import EndedSpan
from tests.support.azure import VAULT_ID, VM_ID

if TYPE_CHECKING:
    from domain.errors import Json
    from telemetry.spans import Attributes

ID: Final = "1a6ae6b2-669a-4262-9b25-aee9d6e71a4e"
FAILED: Final[Json] = {
    "id": ID,
    "status": "Failed",
    "recoveryType": "RestoreDisks",
    "startedBy": "http",
    "error": {"code": "RestoreFailed", "message": "secret?"},
    "sourceResourceId": VM_ID,
    "vaultId": VAULT_ID,
    "jobId": "job-1",
    "recoveryPoint": {"id": "point-1", "time": "2026-11-23T02:00:00Z"},
    "createdTime": "2026-11-23T08:00:00Z",
    "completedTime": "2026-11-23T09:30:00Z",
    "phases": [
        {
            "phase": "Validating",
            "started": "2026-11-23T08:00:00Z",
            "ended": "2026-11-23T08:10:00Z",
            "waits": [{"reason": "ItemBusy", "duration": "PT5M"}, {"reason": "Throttled", "duration": "PT1M"}],
        },
        {"phase": "Triggering", "started": "2026-11-23T08:10:00Z", "ended": "2026-11-23T08:11:00Z"},
        {
            "phase": "Validating",
            "started": "2026-11-23T08:11:00Z",
            "ended": "2026-11-23T09:30:00Z",
            "waits": [{"reason": "ItemBusy", "duration": "PT1H"}],
        },
    ],
}
OUTCOME: Final[Attributes] = {
    "restore.status": "Failed",
    "restore.recovery_type": "RestoreDisks",
    "restore.started_by": "http",
}


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, 23, hour, minute, tzinfo=UTC)


def test_the_root_has_the_downtime_of_a_swap() -> None:
    swap = {"state": "Swapped", "downtime": "PT1M4S"}

    attributes = root_span({**FAILED, "result": {"swap": swap}}).attributes

    assert (attributes["restore.swap_state"], attributes["restore.downtime_s"]) == ("Swapped", 64.0)


def test_the_root_has_all_that_queries_read_and_no_message() -> None:
    assert root_span(FAILED) == EndedSpan(
        name="restore",
        span_id=root_span_id(ID),
        started=at(8),
        ended=at(9, 30),
        attributes={
            "restore.id": ID,
            **OUTCOME,
            "restore.error_code": "RestoreFailed",
            "restore.source_resource_id": VM_ID,
            "restore.vault_id": VAULT_ID,
            "restore.job_id": "job-1",
            "restore.recovery_point_id": "point-1",
            "restore.rpo_s": 6 * 3600.0,
            "restore.rto_s": 5400.0,
        },
        error_code="RestoreFailed",
    )


def test_the_root_of_a_member_names_its_recovery() -> None:
    root = root_span({**FAILED, "recoveryId": "r-1"})

    assert root.attributes["recovery.id"] == root.recovery_id == "r-1"


def test_what_a_restore_does_not_have_is_no_attribute() -> None:
    absent = dict.fromkeys(("vaultId", "jobId", "recoveryPoint", "error", "startedBy"))
    root = root_span(FAILED | absent)

    assert root.attributes.keys() == {
        *("restore.id", "restore.status", "restore.recovery_type", "restore.source_resource_id", "restore.rto_s")
    }
    assert root.error_code == ""  # it has failed all the same


def test_each_phase_is_a_span_and_the_last_one_has_failed() -> None:
    spans = phase_spans(FAILED)

    assert [(span.name, span.started, span.ended, span.error_code) for span in spans] == [
        ("Validating", at(8), at(8, 10), None),
        ("Triggering", at(8, 10), at(8, 11), None),
        ("Validating", at(8, 11), at(9, 30), "RestoreFailed"),
    ]
    assert [span.span_id for span in spans] == [phase_span_id(ID, number) for number in range(3)]
    assert spans[1].attributes == {"restore.id": ID, "restore.phase": "Triggering"}


def test_seconds_of_a_phase_and_of_a_kind_of_wait_are_added_up() -> None:
    assert figures_of(FAILED) == Figures(
        ended=OUTCOME,
        phase_s={"Validating": 600 + 79 * 60, "Triggering": 60},
        wait_s={"ItemBusy": 65 * 60, "Throttled": 60},
    )


@pytest.mark.parametrize("phases", [{}, {"phases": []}])
def test_a_restore_without_phases_has_an_end_alone(phases: Json) -> None:
    document = {name: value for name, value in FAILED.items() if name != "phases"} | phases

    assert phase_spans(document) == []
    assert figures_of(document) == Figures(ended=OUTCOME, phase_s={}, wait_s={})
