"""The orchestrators and activities as functions of the app."""

from __future__ import annotations

from typing import TYPE_CHECKING

import azure.durable_functions as df
import azure.functions as func

from domain.messages import result_message
from orchestrations.names import PUBLISH_RESULT, RESTORE_VM
from orchestrations.restore_vm import restore_vm
from triggers.queue import results_output

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from domain.errors import Json


def publish_result(data: Json, results: func.Out[str]) -> Json:
    """Put the final status document on the results queue."""
    results.set(result_message(data))
    return {}


# The worker's indexer takes bare classes as annotations of an activity, nothing subscripted.
publish_result.__annotations__.update({"data": dict, "return": dict})


def _as_function(name: str, activity: Callable[[Json], Json]) -> Callable[[Json], Json]:
    def call(data: Json) -> Json:
        return activity(data)

    call.__name__ = name
    call.__annotations__.update({"data": dict, "return": dict})
    return call


def blueprint(activities: Mapping[str, Callable[[Json], Json]], *, results_queue: str) -> df.Blueprint:
    """Return the orchestrator and its activities, each under the name that histories know."""
    bp = df.Blueprint()
    bp.orchestration_trigger(context_name="context", orchestration=RESTORE_VM)(restore_vm)
    for name, activity in activities.items():
        bp.activity_trigger(input_name="data", activity=name)(_as_function(name, activity))
    publish = results_output(bp, results_queue)(publish_result)
    bp.activity_trigger(input_name="data", activity=PUBLISH_RESULT)(publish)
    return bp
