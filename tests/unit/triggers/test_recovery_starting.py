"""Starts of a recovery that were made before, or are made by several callers at one moment."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from domain.codec import unpack
from domain.errors import RestoreError, TerminalError
from domain.recovery.calls import record_id_of_plan
from domain.recovery.plan import LoadedPlans
from domain.recovery.plans_file import read_plans
from domain.recovery.request import RecoveryRequest
from domain.recovery.state import Recovery
from domain.restore.parts import Source
from domain.restore.state import restore_id_for
from orchestrations.names import HOLD_LIST_ENTRY, HOLD_RECORD, RUN_RECOVERY
from tests.support.plans import a_group, a_plan, vm
from tests.unit.triggers.recovery_hub import StartsHub
from triggers.list_entries import RECOVERIES, ListEntry
from triggers.recovery_starting import RecoverySettings, StartedRecovery, recovery_id_for, start_recovery

if TYPE_CHECKING:
    import azure.durable_functions as df

    from domain.errors import Json


def configured(*plans: Json) -> RecoverySettings:
    loaded = LoadedPlans(source="x", plans=read_plans({"plans": list(plans or (a_plan(),))}))
    return RecoverySettings(plans=loaded, max_per_vault=7)


def start(
    hub: StartsHub, settings: RecoverySettings | None = None, *, key: str | None = None, **members: Any
) -> StartedRecovery:
    request = RecoveryRequest.from_json({"plan": "shop", **members})
    client = cast("df.DurableFunctionsClient", hub)
    return asyncio.run(start_recovery(client, request, settings or configured(), source=Source.HTTP, key=key))


def recovery_in(hub: StartsHub, recovery_id: str) -> Recovery:
    return unpack(Recovery, _payload(hub, recovery_id))


def _payload(hub: StartsHub, instance_id: str) -> Json:
    return json.loads(hub.instances[instance_id].serialized_input or "null")


def test_the_plan_is_written_down_before_the_recovery_starts_and_its_list_entry_after() -> None:
    hub = StartsHub()

    started = start(hub, requestId="r1", requestedBy="ada", recoveryPoint={"notOlderThan": "P1D"}, dryRun=True)

    assert started.is_new
    assert hub.names == [HOLD_RECORD, RUN_RECOVERY, HOLD_LIST_ENTRY]
    recovery_id = started.accepted.recovery_id
    assert _payload(hub, record_id_of_plan(recovery_id, started.accepted.fingerprint)) == {
        "plan": a_plan(),
        "request": {
            "requestId": "r1",
            "requestedBy": "ada",
            "recoveryPoint": {"notOlderThan": "P1D"},
            "dryRun": True,
        },
    }
    accepted = recovery_in(hub, recovery_id).accepted
    assert (accepted.plan_name, accepted.request_id, accepted.requested_by, accepted.dry_run) == (
        *("shop", "r1", "ada"),
        True,
    )
    assert (accepted.max_per_vault, accepted.source) == (7, Source.HTTP)
    assert hub.instances.keys() >= {ListEntry.of_recovery(accepted).instance_id}


def test_the_id_of_a_recovery_comes_from_its_key_and_is_that_of_no_restore() -> None:
    assert start(StartsHub(), requestId="r1").accepted.recovery_id == recovery_id_for("r1") != restore_id_for("r1")
    assert start(StartsHub(), key="message:1").accepted.recovery_id == recovery_id_for("message:1")
    hub = StartsHub()
    assert start(hub).accepted.recovery_id != start(hub).accepted.recovery_id


@pytest.mark.parametrize("now_configured", [None, configured(), configured(a_plan(name="other"))])
def test_the_same_call_is_the_same_recovery_whatever_is_configured_now(now_configured: RecoverySettings | None) -> None:
    hub = StartsHub()
    first = start(hub, requestId="r1")
    broken = RecoverySettings(plans=LoadedPlans(source="x", plans=None, problems=("wrong",)), max_per_vault=7)

    again = start(hub, now_configured or broken, requestId="r1")

    assert (again.is_new, again.accepted) == (False, first.accepted)
    assert hub.names.count(RUN_RECOVERY) == 1


def test_the_same_key_with_another_call_is_refused() -> None:
    hub = StartsHub()
    first = start(hub, requestId="r1")

    with pytest.raises(TerminalError, match="belongs to another call") as caught:
        start(hub, requestId="r1", dryRun=True)

    assert caught.value.code == "RequestIdReused"
    assert first.accepted.recovery_id in caught.value.message


@pytest.mark.parametrize(("plans", "code"), [({}, "NotFound"), (None, "ServiceUnavailable")])
def test_a_plan_that_is_not_there_starts_nothing(plans: dict[str, Any] | None, code: str) -> None:
    hub = StartsHub()

    with pytest.raises(RestoreError) as caught:
        start(hub, RecoverySettings(plans=LoadedPlans(source=None, plans=plans), max_per_vault=7), requestId="r1")

    assert caught.value.code == code
    assert hub.names == []


class TestStartsAtOneMoment:
    def test_who_loses_against_the_same_call_finds_the_others_recovery(self) -> None:
        hub, other = StartsHub(), StartsHub()
        first = start(other, requestId="r1")
        hub.before_start = lambda: hub.instances.update(other.instances)

        second = start(hub, requestId="r1")

        assert (second.is_new, second.accepted) == (False, first.accepted)
        assert HOLD_LIST_ENTRY not in hub.names

    def test_who_loses_against_another_call_is_told_that_the_key_is_taken(self) -> None:
        hub, other = StartsHub(), StartsHub()
        start(other, requestId="r1", reason="another")
        hub.before_start = lambda: hub.instances.update(other.instances)

        with pytest.raises(TerminalError) as caught:
            start(hub, requestId="r1")
        assert caught.value.code == "RequestIdReused"

    def test_the_plan_that_was_written_first_is_the_one_that_runs(self) -> None:
        """Two instances of the app may have different plans, for example while a new version is deployed."""
        hub, other = StartsHub(), StartsHub()
        first = start(other, configured(a_plan(a_group("old"))), requestId="r1")
        record_id = record_id_of_plan(first.accepted.recovery_id, first.accepted.fingerprint)
        hub.instances[record_id] = other.instances[record_id]

        second = start(hub, configured(a_plan(a_group("new", vm("b")))), requestId="r1")

        assert second.is_new
        assert [group.name for group in second.accepted.groups] == ["old"]


@pytest.mark.parametrize("requests", [["r1"], [None]])
def test_a_hub_that_fails_is_not_taken_for_a_lost_race(requests: list[str | None]) -> None:
    hub = StartsHub()
    hub.loses_starts = True

    with pytest.raises(ConnectionError):
        start(hub, requestId=requests[0])
    hub.loses_starts = False
    assert start(hub, requestId=requests[0]).is_new


def test_a_recovery_whose_list_entry_cannot_be_written_is_started_nevertheless(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class WithoutEntries(StartsHub):
        async def schedule_new_orchestration(self, name: str, *, instance_id: str, input: Json) -> None:  # noqa: A002
            if instance_id.startswith(RECOVERIES):
                raise ConnectionError("the hub is away")
            await super().schedule_new_orchestration(name, instance_id=instance_id, input=input)

    started = start(WithoutEntries(), requestId="r1")

    assert started.is_new
    assert f"recovery {started.accepted.recovery_id} is not listed" in caplog.text
