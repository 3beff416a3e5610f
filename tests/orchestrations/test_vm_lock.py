"""One restore of a VM at a time, also where restores start at once, are terminated, or break."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from domain.errors import Json, TerminalError
from tests.support.azure import VM_ID, Lab, a_restore, an_alert_start
from tests.support.hub import OrchestrationFailed

if TYPE_CHECKING:
    from collections.abc import Callable

BY_HAND: Json = {"key": "second", "sourceResourceId": VM_ID.upper().replace("/SUBSCRIPTIONS", "/subscriptions")}


def by_alert(lab: Lab, key: str, **rule: Any) -> str:
    """Start a restore as an alert does; returns its id."""
    vm = rule.pop("vm", VM_ID)
    approval = rule.pop("approval", None)
    alert = an_alert_start(alert_id=key, **rule)
    now = lab.azure.clock.now()
    restore = a_restore(key=key, started_by="alert", alert=alert, created=now, sourceResourceId=vm, approval=approval)
    return lab.start(restore)


class TestOneAtATime:
    def test_both_at_the_same_moment_one_is_let_in(self) -> None:
        lab = Lab()
        ids = [lab.start(a_restore()), lab.start(a_restore(**BY_HAND))]

        ended = sorted(lab.hub.finish(restore_id)["status"] for restore_id in ids)

        assert ended == ["Completed", "Failed"]
        assert len(lab.azure.bodies) == 1


class TestReleased:
    """The VM's next restore can start once the last one does not run any more."""

    def check(self, lab: Lab) -> None:
        again = lab.run(a_restore(key="again", created=lab.azure.clock.now()))
        assert again["status"] == "Completed", again["error"]
        lab.settle()
        assert lab.lock().get("holder") is None

    @pytest.mark.parametrize("phase", ["Resolving", "TrackingJob"])
    def test_after_somebody_terminated_it(self, phase: str) -> None:
        lab = Lab()
        first = lab.start(a_restore())
        lab.hub.run_until(lambda: lab.document(first).get("phase") == phase and "holder" in lab.lock())
        lab.hub.terminate(first, "enough")
        lab.hub.run_until(lambda: lab.hub.state(first).is_over)
        assert lab.lock()["holder"]["restoreId"] == first
        self.check(lab)

    def test_after_the_orchestration_broke(self) -> None:
        lab = Lab()
        lab.azure.retry_after["get_job"] = "soon"  # type: ignore[assignment] - a bug, as far as the orchestrator goes
        first = lab.start(a_restore())
        with pytest.raises(OrchestrationFailed):
            lab.hub.finish(first)
        assert lab.lock()["holder"]["restoreId"] == first
        del lab.azure.retry_after["get_job"]
        self.check(lab)


def test_a_restore_that_an_operator_restarts_with_its_old_input_goes_on() -> None:
    lab = Lab()
    lab.azure.fails["get_virtual_machine_region"] = [TerminalError("NotFound", "gone")]
    assert lab.run()["status"] == "Failed"
    lab.settle()

    assert lab.run()["status"] == "Completed"


def test_a_lock_that_breaks_lets_nothing_in(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab()
    entities: dict[str, Callable[..., Any]] = lab.hub._worker._registry.entities

    def broken(_ctx: object, _data: object) -> None:
        raise RuntimeError("the state is away")

    monkeypatch.setitem(entities, "vm_lock", broken)
    done = lab.run()

    assert done["status"] == "Failed"
    assert done["error"]["code"] == "InternalError"
    assert "Nothing was started." in done["error"]["message"]
    assert lab.azure.calls.keys() <= {"get_virtual_machine_region", "get_backup_status"}


def test_one_that_was_never_let_in_leaves_the_vm_free(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab()
    entities: dict[str, Callable[..., Any]] = lab.hub._worker._registry.entities

    def broken(_ctx: object, _data: object) -> None:
        raise RuntimeError("the state is away")

    with monkeypatch.context() as patch:
        patch.setitem(entities, "rule_budget", broken)
        assert lab.hub.finish(by_alert(lab, "a1", max_per_hour=1))["error"]["code"] == "InternalError"

    lab.settle()
    assert lab.lock().get("holder") is None
    assert lab.hub.finish(by_alert(lab, "a2", max_per_hour=1))["status"] == "Completed"
