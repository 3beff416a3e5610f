"""What the app imports at its start: whatever is only needed later must not make a cold start longer."""

from __future__ import annotations

import json
import subprocess
import sys

from scripts.stack import ROOT, clean_environment

IMPORTED = "import function_app, json, sys; print(json.dumps([*sys.modules]))"


def imported(**settings: str) -> set[str]:
    """Return the modules that the app imports at its start."""
    env = {**clean_environment(), **settings, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_what_signs_in_is_imported_with_the_first_call_to_azure() -> None:
    names = imported()

    assert "arm.session" in names
    assert [name for name in names if name.startswith(("azure.identity", "msal"))] == []


def test_without_a_receiver_nothing_of_the_telemetry_sdk_is_imported() -> None:
    assert [name for name in imported() if name.startswith(("opentelemetry.sdk", "opentelemetry.metrics"))] == []


def test_the_exporters_are_not_imported_at_the_start() -> None:
    connection = "InstrumentationKey=00000000-0000-0000-0000-000000000001;IngestionEndpoint=https://127.0.0.1:1/"
    names = imported(APPLICATIONINSIGHTS_CONNECTION_STRING=connection, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")

    assert "opentelemetry.sdk.trace" in names
    assert [name for name in names if name.startswith(("azure.monitor.opentelemetry.exporter.", "msrest"))] == []
    assert [name for name in names if name.startswith("opentelemetry.exporter.otlp.proto.http.")] == []
