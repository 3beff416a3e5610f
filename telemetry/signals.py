"""What the app reports to telemetry. These classes do nothing: telemetry is off unless a receiver is configured."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from domain.errors import Json
    from domain.restore.parts import StatusChange


class RecordedCall:
    """A call to Azure that is being made. One of its methods is called once the call's outcome is known."""

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """Record the answer; only the ids of the request are read from ``headers``."""

    def failed(self, error_type: str) -> None:
        """Record that there is no answer, or none that could be read."""


class Telemetry:
    """The traces and metrics of restores, and the traces of recoveries."""

    def call(
        self, operation: str, *, method: str, endpoint: str, client_request_id: str
    ) -> AbstractContextManager[RecordedCall]:
        """Return the record of a call to Azure, which lasts as long as its ``with`` block.

        ``operation`` is ARM's name of what is called. The call belongs to the restore whose activity runs, if any.
        """
        del operation, method, endpoint, client_request_id
        return nullcontext(RecordedCall())

    def call_not_sent(self, operation: str) -> None:
        """Count a call that is not made, because a wait that Azure asked for is not over."""

    def status_changed(self, change: StatusChange) -> None:
        """Record a change of a restore's status."""

    def restore_ended(self, document: Json) -> None:
        """Record the whole restore from its final status document."""

    def recovery_ended(self, document: Json, end: int) -> None:
        """Record a recovery from its document; ``end`` counts its ends from 1: a retry goes on after one."""

    def flush(self) -> None:
        """Send what is recorded now. Without this call it is sent after some seconds."""

    def shutdown(self) -> None:
        """Send what is left within seconds, and stop. It is called at the exit of the process, too."""


NO_TELEMETRY = Telemetry()
