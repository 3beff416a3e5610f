"""A restore that is a member of a recovery."""

from __future__ import annotations

from domain.codec import pack, unpack
from domain.requests import RestoreRequest
from domain.restore.document import document
from domain.restore.machine import advance, decide
from domain.restore.parts import Membership, Source
from domain.restore.stages import Preparing
from domain.restore.state import Restore, restore_id_for
from domain.restore.steps import MakeCall
from tests.support.azure import LIMITS, a_request, a_restore
from tests.unit.domain.restore.states import CREATED, ITEM, NOW

RECOVERY_ID = "0d2f5b5c-6f0e-5c0b-8d86-0a8f3f7e5a11"


def a_member() -> Restore:
    return Restore.accept(
        RestoreRequest.from_json(a_request()),
        restore_id=restore_id_for("member"),
        source=Source.RECOVERY,
        created=CREATED,
        limits=LIMITS,
        member=Membership(recovery_id=RECOVERY_ID, index=7, attempt=1, looked=True),
        item=ITEM,
    )


def test_its_document_names_the_recovery() -> None:
    shown = document(a_member(), NOW)

    assert shown["recoveryId"] == RECOVERY_ID
    assert shown["startedBy"] == "recovery"


def test_the_document_of_another_restore_names_none() -> None:
    assert "recoveryId" not in document(a_restore(), NOW)


def test_its_item_is_not_looked_up() -> None:
    member = advance(a_member(), NOW)
    step = decide(member, NOW)

    assert isinstance(member.stage, Preparing)
    assert isinstance(step, MakeCall)
    assert [call.name for call in (step.call, *step.beside)] == ["acquire_lock"]


def test_it_is_kept_in_the_history() -> None:
    member = a_member()

    assert unpack(Restore, pack(member)) == member


def test_nobody_waits_for_its_admission() -> None:
    assert [source for source in Source if source.waits_for_admission] == [Source.HTTP, Source.ALERT]
