"""The composition root: settings, client, registration. No logic."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import azure.durable_functions as df
from azure.identity import DefaultAzureCredential

from activities.restores import RestoreActivities
from arm.backup import BackupClient
from orchestrations import names
from settings import Settings
from triggers import durable, http, queue

if TYPE_CHECKING:
    from domain.polling import Limits
    from domain.requests import RestoreRequest

VERSION = "0.1.0"

settings = Settings.from_env(os.environ)
api = BackupClient.from_settings(settings, DefaultAzureCredential)
restores = RestoreActivities(api)
activities = {
    names.RESOLVE_ITEM: restores.resolve_item,
    names.CHOOSE_RECOVERY_POINT: restores.choose_recovery_point,
    names.START_VALIDATION: restores.start_validation,
    names.GET_VALIDATION: restores.get_validation,
    names.START_RESTORE: restores.start_restore,
    names.FIND_JOB: restores.find_job,
    names.GET_OPERATION: restores.get_operation,
    names.GET_JOB: restores.get_job,
}


def limits_for(request: RestoreRequest) -> Limits:
    """Return the bounds of a request; a point that must be rehydrated first takes longer."""
    return settings.limits(request.rehydrates)


app = df.DFApp()
app.register_functions(
    http.blueprint(http.RestoresApi(limits_for=limits_for, recovery_points=restores.recovery_points, version=VERSION))
)
app.register_functions(
    queue.blueprint(
        queue.RequestsQueue(limits_for=limits_for),
        requests_queue=settings.requests_queue,
        results_queue=settings.results_queue,
    )
)
app.register_functions(durable.blueprint(activities, results_queue=settings.results_queue))
