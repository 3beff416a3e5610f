"""The app alone, for what needs neither Azure nor queues."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scripts.stack import ROOT, Child, azure_settings, clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOWHERE = "http://127.0.0.1:9"  # these views make no call to Azure


@contextmanager
def hosting(place: Path, *arguments: str, **settings: str) -> Iterator[str]:
    """Yield the address of an app without queues, started with these arguments and settings."""
    (place / "settings.json").write_text('{"Values": {}}', encoding="utf-8")
    own = ["--port", "0", "--no-queues", "--settings", str(place / "settings.json")]
    env = clean_environment() | azure_settings(NOWHERE, "UseDevelopmentStorage=true") | settings
    host = Child("local host", [sys.executable, "-m", "local_host", *own, *arguments], env, ROOT, None)
    try:
        yield host.wait_until_ready()
    finally:
        host.stop()
