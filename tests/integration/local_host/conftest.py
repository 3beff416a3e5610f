from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.local_host.stage import Caller, Storage, calling
from tests.support.sample_app import sample_functions

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def call() -> Iterator[Caller]:
    """The sample app without queues."""
    with calling() as caller:
        yield caller


@pytest.fixture
def let_go() -> Iterator[threading.Event]:
    """Lets the activity ``hold`` finish when set, and at the end of the test in any case."""
    sample_functions.release.clear()
    yield sample_functions.release
    sample_functions.release.set()


@pytest.fixture
def storage(azurite: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    storage = Storage(azurite, monkeypatch)
    yield storage
    storage.close()
