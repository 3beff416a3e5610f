"""Timer functions: nothing runs them by itself, the admin endpoint of the Functions host does."""

from __future__ import annotations

import pytest

from tests.integration.local_host.stage import Caller, eventually
from tests.support.sample_app import sample_functions


def test_a_timer_function_runs_when_it_is_asked_for(call: Caller) -> None:
    sample_functions.ticks.clear()

    answer = call("POST", "/admin/functions/TICK", json={})

    assert (answer.status_code, answer.content) == (202, b"")
    assert eventually(lambda: sample_functions.ticks) == [False]


@pytest.mark.parametrize("name", ["nothing", "answer"])
def test_a_function_without_a_timer_is_not_found(call: Caller, name: str) -> None:
    assert call("POST", f"/admin/functions/{name}", json={}).status_code == 404


@pytest.mark.parametrize(("content_type", "status"), [("application/json", 400), ("text/plain", 415)])
def test_a_body_that_is_not_json_is_refused(call: Caller, content_type: str, status: int) -> None:
    sample_functions.ticks.clear()

    answer = call("POST", "/admin/functions/tick", data=b"input", headers={"Content-Type": content_type})

    assert answer.status_code == status
    assert sample_functions.ticks == []
