from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.logs import DEADLOCKS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
logging.getLogger(DEADLOCKS).setLevel(logging.INFO)
# The emulator's published key.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A queue service of its own; yields its connection string."""
    command = [ROOT / ".tools/node_modules/.bin/azurite-queue", "--queuePort", "0", "--inMemoryPersistence"]
    command += ["--disableTelemetry", "--skipApiVersionCheck", "--silent", "--loose"]
    place = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    process = subprocess.Popen(
        command, cwd=tmp_path_factory.mktemp("azurite"), env={**os.environ, **place}, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    with process, process.stdout:
        listens = next(line for line in process.stdout if "successfully listens on" in line)
        endpoint = f"{listens.split()[-1]}/devstoreaccount1"
        yield f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={KEY};QueueEndpoint={endpoint}"
        process.terminate()
        process.stdout.read()  # it says goodbye, and breaks where nobody listens
