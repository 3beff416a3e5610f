"""What a recovery's document becomes: the span that queries read."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.restore.parts import Status
from domain.restore.trace import recovery_span_id
from telemetry.recoveries import recovery_span
from telemetry.spans import EndedSpan
from tests.unit.domain.recovery.driving import CREATED, Driven, a_group, running

ID = "1a6ae6b2-669a-4262-9b25-aee9d6e71a4e"


def test_it_has_what_queries_read_from_the_request_to_the_end() -> None:
    driven = running(a_group(2), a_group(1, optional=True), recovery_id=ID).passes(minutes=40)
    driven.end(0, 1, point_time=CREATED - timedelta(hours=6)).end(2, status=Status.TIMED_OUT).step()

    assert recovery_span(driven.document, 1) == EndedSpan(
        name="recovery",
        span_id=recovery_span_id(ID),
        started=CREATED,
        ended=CREATED + timedelta(minutes=40),
        attributes={
            "recovery.id": ID,
            "recovery.plan": "shop",
            "recovery.status": "CompletedWithWarnings",
            "recovery.started_by": "http",
            "recovery.dry_run": False,
            "recovery.end": 1,
            "recovery.members.total": 3,
            "recovery.members.completed": 2,
            "recovery.members.timed_out": 1,
            "recovery.rpo_s": 6 * 3600.0,
            "recovery.rto_s": 2400.0,
        },
    )


def test_one_whose_groups_failed_is_an_error() -> None:
    driven = running(a_group(2), a_group(1, 0), recovery_id=ID).end(0).end(1, status=Status.FAILED)
    driven.step()
    span = recovery_span(driven.document, 1)

    assert span.error_code == "GroupFailed"
    assert "recovery.error_code" not in span.attributes
    assert (span.attributes["recovery.members.failed"], span.attributes["recovery.members.pending"]) == (1, 1)


def test_one_that_started_nothing_has_the_code_of_its_error_and_not_its_message() -> None:
    driven = Driven(a_group(), recovery_id=ID)
    driven.recovery = driven.recovery.with_progress(error={"code": "InvalidRequest", "message": "secret?"})
    driven.step()
    span = recovery_span(driven.document, 1)

    assert (span.error_code, span.attributes["recovery.error_code"]) == ("InvalidRequest", "InvalidRequest")
    assert span.attributes["recovery.members.total"] == 0
    assert "secret?" not in str(span)


@pytest.mark.parametrize("is_cancelled", [True, False])
def test_what_people_decided_and_what_was_only_tried_is_no_error(*, is_cancelled: bool) -> None:
    driven = running(a_group(), recovery_id=ID, dry_run=not is_cancelled)
    if is_cancelled:
        driven.command("cancel")
    driven.end(0, status=Status.CANCELLED if is_cancelled else Status.PLANNED).step()
    span = recovery_span(driven.document, 1)

    assert span.attributes["recovery.status"] == ("Cancelled" if is_cancelled else "Planned")
    assert span.error_code is None
    assert ("recovery.rto_s" in span.attributes) is is_cancelled


def test_a_later_end_has_a_span_of_its_own() -> None:
    driven = running(a_group(), recovery_id=ID).end(0)
    driven.step()

    first, second = recovery_span(driven.document, 1), recovery_span(driven.document, 2)

    assert first.span_id == recovery_span_id(ID) != second.span_id == recovery_span_id(ID, 2)
    assert second.attributes["recovery.end"] == 2
