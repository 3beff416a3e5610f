"""Orchestrations as a task hub tells of them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from durabletask.client import OrchestrationState, OrchestrationStatus

from domain.codec import pack
from domain.restore.answers import Refusal
from domain.restore.document import document
from domain.restore.outcome import refused
from orchestrations.names import RESTORE_VM
from tests.support.azure import a_restore
from tests.support.hub import START


def a_state(status: OrchestrationStatus, **members: Any) -> OrchestrationState:
    """Return the orchestration of ``a_restore``; payloads are given as what they hold."""
    texts = {
        "serialized_input": pack(a_restore()),
        "serialized_output": None,
        "serialized_custom_status": None,
        **members,
    }
    failure = texts.pop("failure_details", None)
    written: dict[str, Any] = {
        name: text if text is None or isinstance(text, str) else json.dumps(text) for name, text in texts.items()
    }
    return OrchestrationState(
        instance_id=a_restore().restore_id,
        name=RESTORE_VM,
        runtime_status=status,
        created_at=START,
        last_updated_at=START + timedelta(minutes=5),
        failure_details=failure,
        **written,
    )


def shown(**members: Any) -> dict[str, Any]:
    """Return what a restore shows whose job runs."""
    return {**document(a_restore(), START), "status": "Running", "phase": "TrackingJob", "jobId": "job-1", **members}


def a_refused_start() -> OrchestrationState:
    """Return a start that admission control refused while its caller waited."""
    ended = refused(a_restore(), Refusal(code="RequestConflict", message="busy"), START)
    return a_state(OrchestrationStatus.COMPLETED, serialized_output=document(ended, START))
