"""Today's orchestrator takes every turn that recorded histories took: a deployment breaks no running restore."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from orchestrations.names import RESTORE_VM
from orchestrations.restore_vm import restore_vm
from tests.replay.scenes import HISTORIES, SCENES
from tests.support.replay import replay

if TYPE_CHECKING:
    from pathlib import Path

RECORDED = sorted(HISTORIES.glob("*.json"))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_goes_the_way_it_went(path: Path) -> None:
    replay(restore_vm, RESTORE_VM, json.loads(path.read_text(encoding="utf-8")), inputs=True)


def test_every_scene_has_its_history() -> None:
    assert set(SCENES) <= {path.stem for path in RECORDED}
