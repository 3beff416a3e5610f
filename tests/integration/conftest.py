from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from scripts.stack import Child, Ports, azurite_command, clean_environment, connection_to
from tests.support.logs import DEADLOCKS

if TYPE_CHECKING:
    from collections.abc import Iterator

logging.getLogger(DEADLOCKS).setLevel(logging.INFO)


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A queue service of its own; yields its connection string."""
    child = Child(
        "azurite", azurite_command(Ports(), whole=False), clean_environment(), tmp_path_factory.mktemp("q"), None
    )
    try:
        yield connection_to(child)
    finally:
        child.stop()
