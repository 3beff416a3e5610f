"""The trace of a restore on Microsoft's engine is whole."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import pairwise
from typing import TYPE_CHECKING

import requests

from simulator.server import running as simulating
from tests.engine.stage import GROUP, QUICK, SPEED, scenario, soon
from tests.integration.app_stage import ENDED, a_request, vm_id
from tests.support.otlp import OtlpReceiver
from tests.support.real_hub import RealHub

if TYPE_CHECKING:
    from domain.errors import Json
    from tests.support.otlp import SeenSpan


def test_a_restore_is_one_trace_with_every_call(azurite: str) -> None:
    with ExitStack() as stack:
        receiver = stack.enter_context(OtlpReceiver())
        simulator = stack.enter_context(simulating(scenario(pool=1), speed=SPEED))
        settings = {**QUICK, **receiver.settings, "OTEL_BSP_SCHEDULE_DELAY": "500"}
        instance = stack.enter_context(RealHub(azurite, simulator.url, settings)).start()
        request = a_request(sourceResourceId=vm_id("pool-001", GROUP))
        started = requests.post(f"{instance.url}/api/restores", json=request, timeout=60).json()

        def ended() -> Json | None:
            document = requests.get(f"{instance.url}/api/restores/{started['id']}", timeout=60).json()
            return document if document["status"] in ENDED else None

        def spans_with_root() -> list[SeenSpan] | None:
            trace = receiver.trace(started["id"])
            return trace if any(span.name == "restore" for span in trace) else None

        document, spans = soon(ended), soon(spans_with_root)
        sent = {call.request_id for call in simulator.requests if call.path.startswith("/subscriptions")}

    phases = [span for span in spans if span.kind == "INTERNAL"]
    by_id = {span.span_id: span for span in spans}
    (root,) = [span for span in spans if not span.parent_id]
    assert document["status"] == root.attributes["restore.status"] == "Completed"
    assert {span.attributes["azure.service_request_id"] for span in spans if span.kind == "CLIENT"} == sent
    assert [span.name for span in phases] == [phase["phase"] for phase in document["phases"]]
    assert (phases[0].started, phases[-1].ended) == (root.started, root.ended)
    assert all(before.ended == after.started for before, after in pairwise(phases))
    assert all(by_id[span.parent_id].kind == "INTERNAL" for span in spans if span.kind == "CLIENT")
    assert {span.trace_id for span in receiver.spans} == {started["id"].replace("-", "")}
