"""What the engine says to settings that host.json does not have."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from scripts.stack import StackError
from tests.support.real_hub import HOST_JSON, RealHub

if TYPE_CHECKING:
    from pathlib import Path


def test_extended_sessions_are_refused_for_an_app_in_python(azurite: str, tmp_path: Path) -> None:
    settings = json.loads(HOST_JSON.read_text(encoding="utf-8"))
    settings["extensions"]["durableTask"]["extendedSessionsEnabled"] = True
    host_json = tmp_path / "host.json"
    host_json.write_text(json.dumps(settings), encoding="utf-8")
    said: list[str] = []

    with (
        RealHub(azurite, "http://127.0.0.1:1", host_json=host_json, hear=lambda _, line: said.append(line)) as hub,
        pytest.raises(StackError, match="engine did not start"),
    ):
        hub.start()

    assert any("only supported when using the in-process or isolated .NET worker" in line for line in said), said
