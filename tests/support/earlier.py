"""The app's code of an earlier commit, and the replay of one version's histories by another version."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING, Final

from scripts.stack import ROOT, clean_environment

if TYPE_CHECKING:
    from pathlib import Path

COMMIT: Final = "cac86797"
"""The version from which deployments are tried, and to which they are rolled back: the last one before 1.0."""

_REPLAY: Final = """
import json, pathlib, sys
import durabletask.internal.orchestrator_service_pb2 as pb
from azure.durable_functions.worker import DurableFunctionsWorker
from google.protobuf.json_format import ParseDict
from orchestrations import names, post_claim, restore_vm
from tests.support.replay import read_turns, settle_codec, step_of_action

orchestrators = {names.RESTORE_VM: restore_vm.restore_vm, names.HOLD_POST_CLAIM: post_claim.hold_post_claim}
settle_codec()
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.json")):
    recorded = json.loads(path.read_text(encoding="utf-8"))
    if recorded["orchestrator"] not in orchestrators:
        print(f"{path.stem}, turn 1: the earlier version does not have {recorded['orchestrator']}")
        continue
    for turn in read_turns([ParseDict(event, pb.HistoryEvent()) for event in recorded["events"]]):
        request = pb.OrchestratorRequest(instanceId=recorded["instance_id"], pastEvents=turn.past, newEvents=turn.new)
        answer = DurableFunctionsWorker()._run_orchestration(orchestrators[recorded["orchestrator"]], request)
        then = [(step.what, step.name) for step in turn.decided]
        now = [(step.what, step.name) for step in map(step_of_action, answer.actions)]
        if then != now:
            print(f"{path.stem}, turn {turn.number}: the history has {then}, this version does {now}")
            break
"""


def is_known() -> bool:
    """Return whether this checkout is a repository that has the commit."""
    command = ["git", "cat-file", "-e", f"{COMMIT}^{{commit}}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 0


def unpack_earlier_code(place: Path) -> Path:
    """Write the files of the commit into a folder, and return it."""
    archive = subprocess.run(["git", "archive", COMMIT], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(place, filter="data")
    return place


def differences(code: Path, histories: Path) -> list[str]:
    """Return where the code of one folder does other calls, or other waits, than recorded histories of another.

    What calls are given, and what restores return, may differ: a worker does not compare it when it replays a history.
    """
    command = [sys.executable, "-c", _REPLAY, histories]
    done = subprocess.run(command, cwd=code, env=clean_environment(), capture_output=True, text=True, check=True)
    return done.stdout.splitlines()
