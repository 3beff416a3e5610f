"""The requests queue: one restore request per message, or one call for a recovery (``{"plan": …}``)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import azure.durable_functions as df
import azure.functions as func

from domain.errors import TerminalError
from domain.messages import result_message
from domain.queue_text import read_message
from domain.recovery.document import refused_document as refused_recovery
from domain.recovery.request import RecoveryRequest
from domain.requests import RestoreRequest
from domain.restore.document import refused_document
from domain.restore.parts import Source
from domain.wire import as_object
from triggers.answers import invalid
from triggers.recovery_starting import start_recovery
from triggers.starting import now, start_restore

if TYPE_CHECKING:
    from collections.abc import Callable

    from triggers.recovery_starting import RecoverySettings
    from triggers.starting import LimitsFor

type Decorator = Callable[[Any], Any]

_LOG = logging.getLogger(__name__)
STORAGE = "AzureWebJobsStorage"


class RequestsQueue:
    """Starts one restore or recovery per message.

    ``limits_for`` returns the limits of a restore; ``recoveries`` is what every recovery needs to know of the app.
    """

    def __init__(self, *, limits_for: LimitsFor, recoveries: RecoverySettings) -> None:
        self._limits_for = limits_for
        self._recoveries = recoveries

    async def on_restore_request(
        self, message: func.QueueMessage, client: df.DurableFunctionsClient, results: func.Out[str]
    ) -> None:
        """Start the restore or recovery. A message that can never work is answered on the results queue and removed.

        Other failures are raised: the host delivers the message again, and finally moves it to the poison queue.
        """
        sent: Any = None
        try:
            sent = _read(message)
            await self._start(client, sent, key=f"message:{message.id}")
        except TerminalError as error:
            is_recovery = "plan" in as_object(sent)
            what = "call for a recovery" if is_recovery else "restore request"
            _LOG.warning("%s in message %s refused: %s", what, message.id, error)
            # The id is that of the message, which the sender knows. A valid one may have the id of the requestId.
            message_id = message.id or ""
            if is_recovery:
                refused = refused_recovery(recovery_id=message_id, created=now(), error=error, sent=sent)
            else:
                refused = refused_document(restore_id=message_id, created=now(), error=error, sent=sent)
            results.set(result_message(refused))

    async def _start(self, client: df.DurableFunctionsClient, sent: Any, *, key: str) -> None:
        if "plan" in as_object(sent):
            call = RecoveryRequest.from_json(sent)
            await start_recovery(client, call, self._recoveries, source=Source.QUEUE, key=key)
            return
        request = RestoreRequest.from_json(sent)
        limits = self._limits_for(request)
        await start_restore(client, request, source=Source.QUEUE, limits=limits, key=key)


def _read(message: func.QueueMessage) -> Any:
    try:
        return read_message(message.get_body())
    except ValueError as error:
        raise invalid(None, str(error)) from error


def blueprint(queue: RequestsQueue, *, requests_queue: str, results_queue: str) -> df.Blueprint:
    """Return the queue trigger as a function of the app."""
    bp = df.Blueprint()
    with_client = bp.durable_client_input(client_name="client")(queue.on_restore_request)
    with_results = results_output(bp, results_queue)(with_client)
    trigger: Decorator = bp.queue_trigger(arg_name="message", queue_name=requests_queue, connection=STORAGE)  # pyright: ignore[reportUnknownMemberType] - untyped in azure-functions
    trigger(with_results)
    return bp


def results_output(bp: df.Blueprint, results_queue: str) -> Decorator:
    """Return the output binding that puts a message on the results queue."""
    return _output(bp, "results", results_queue)


def events_output(bp: df.Blueprint, events_queue: str) -> Decorator:
    """Return the output binding that puts messages on the events queue."""
    return _output(bp, "events", events_queue)


def _output(bp: df.Blueprint, name: str, queue: str) -> Decorator:
    return bp.queue_output(arg_name=name, queue_name=queue, connection=STORAGE)  # pyright: ignore[reportUnknownMemberType] - as above
