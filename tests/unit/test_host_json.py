"""host.json: what Microsoft's engine needs in order to run the app at all, and well. Reasons are in docs/engine.md."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from activities import preparation
from arm import backup

ROOT = Path(__file__).parents[2]
HOST: dict[str, Any] = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
SAMPLE: dict[str, str] = json.loads((ROOT / "local.settings.sample.json").read_text(encoding="utf-8"))["Values"]
DURABLE = HOST["extensions"]["durableTask"]
STORAGE = DURABLE["storageProvider"]
TIMEOUT = "functionTimeout"


def span(text: str) -> timedelta:
    hours, minutes, seconds = map(int, text.split(":"))
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def test_entity_calls_of_orchestrators_are_not_sorted_and_so_not_dropped() -> None:
    assert DURABLE["entityMessageReorderWindowInMinutes"] == 0


def test_an_idle_instance_looks_every_second() -> None:
    assert span(STORAGE["maxQueuePollingInterval"]) == timedelta(seconds=1)


@pytest.mark.parametrize("name", ["controlQueueVisibilityTimeout", "workItemQueueVisibilityTimeout"])
def test_the_work_of_a_lost_instance_is_taken_over_as_soon_as_the_extension_allows(name: str) -> None:
    assert span(STORAGE[name]) == timedelta(minutes=1)


def test_every_function_that_runs_at_once_has_a_thread() -> None:
    kinds = ("Activity", "Orchestrator", "Entity")
    at_once = sum(DURABLE[f"maxConcurrent{kind}Functions"] for kind in kinds)

    assert at_once <= int(SAMPLE["PYTHON_THREADPOOL_THREAD_COUNT"])


def test_messages_reach_the_app_as_they_are() -> None:
    # With base64 the host would move plain JSON to the poison queue, and nobody would hear of it.
    assert HOST["extensions"]["queues"]["messageEncoding"] == "none"


def test_no_log_line_is_sampled_away() -> None:
    # The alert rules and the workbook read one line for each change of a restore's status.
    sampling = HOST["logging"]["applicationInsights"]["samplingSettings"]

    assert "Trace" in sampling["excludedTypes"].split(";")


def test_no_activity_comes_near_the_time_out() -> None:
    answer, post = timedelta(minutes=2), timedelta(minutes=4)  # four read timeouts: arm.session
    a_list = timedelta(seconds=backup._MAX_LIST_S) + answer
    triggering = a_list + post
    preparing = max(preparation._SLICE + answer, preparation._PREPARING + max(a_list, answer))

    assert max(triggering, preparing) <= span(HOST[TIMEOUT]) * 0.9


def test_the_bundle_has_the_extension_that_was_tried() -> None:
    assert HOST["extensionBundle"]["version"] == "[4.37.1, 5.0.0)"


def test_the_tracing_of_the_engine_is_off() -> None:
    # It sends nothing where Application Insights refuses keys; the app has spans of its own.
    tracing = DURABLE["tracing"]

    assert (tracing["distributedTracingEnabled"], tracing["version"]) == (False, "None")
    assert tracing["traceInputsAndOutputs"] is False
