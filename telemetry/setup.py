"""Makes the telemetry that the settings ask for."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from telemetry.signals import NO_TELEMETRY, Telemetry

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.core.credentials import TokenCredential

    from settings import Settings

_LOG: Final = logging.getLogger(__name__)
_APPLICATION_INSIGHTS: Final = ("APPLICATIONINSIGHTS_CONNECTION_STRING", "azure.monitor.opentelemetry.exporter")
_OTLP: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "opentelemetry.exporter.otlp.proto.http")


def telemetry_from(settings: Settings, credential_factory: Callable[[], TokenCredential], *, version: str) -> Telemetry:
    """Return what sends telemetry to the receivers in the settings, or what does nothing if there is none.

    A receiver whose exporter is not deployed is reported in the log: telemetry never stops the app. Nothing of the SDK
    is imported without a receiver.
    """
    connection, endpoint = settings.application_insights, settings.otlp_endpoint
    connection = connection if connection is None or _is_deployed(*_APPLICATION_INSIGHTS) else None
    endpoint = endpoint if endpoint is None or _is_deployed(*_OTLP) else None
    if connection is None and endpoint is None:
        return NO_TELEMETRY
    from telemetry.exporters import ApplicationInsights, Otlp  # noqa: PLC0415 - imports the SDK
    from telemetry.sdk import SdkTelemetry  # noqa: PLC0415

    insights = [] if connection is None else [ApplicationInsights(connection, credential_factory)]
    return SdkTelemetry([*insights, *([] if endpoint is None else [Otlp(endpoint)])], version=version)


def _is_deployed(setting: str, package: str) -> bool:
    try:
        if find_spec(package) is not None:
            return True
    except ModuleNotFoundError:  # of a package around it
        pass
    _LOG.error(
        "TELEMETRY IS OFF for %s: its exporter, %s, is not deployed. Add it to requirements.txt as docs/telemetry.md "
        "says, or remove the setting.",
        setting,
        package,
    )
    return False
