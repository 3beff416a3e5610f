"""The composition root: settings, client, registration. No logic."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import azure.durable_functions as df
from azure.identity import DefaultAzureCredential

from activities.restores import RestoreActivities
from activities.results import ResultActivities
from arm.backup import BackupClient
from arm.session import VERSION
from orchestrations import names
from outbound.webhook import ResultWebhook
from settings import Settings
from triggers import alerts, durable, http, openapi, queue

if TYPE_CHECKING:
    from activities.restores import BackupApi
    from activities.results import Webhook
    from domain.restore.polling import Limits
    from domain.requests import RestoreRequest


def build_app(settings: Settings, api: BackupApi, webhook: Webhook | None = None) -> df.DFApp:
    """Return the app over these settings, this client, and the webhook that is told of results."""
    restores = RestoreActivities(api)
    results = ResultActivities(webhook)
    activities = {
        names.RESOLVE_ITEM: restores.resolve_item,
        names.PREPARE_RESTORE: restores.prepare_restore,
        names.GET_VALIDATION: restores.get_validation,
        names.FIND_JOB: restores.find_job,
        names.GET_OPERATION: restores.get_operation,
        names.GET_JOB: restores.get_job,
        names.CANCEL_JOB: restores.cancel_job,
        names.LIST_RESTORED_DISKS: restores.list_restored_disks,
        names.POST_RESULT: results.post_result,
    }

    def limits_for(request: RestoreRequest) -> Limits:
        return settings.limits(request.rehydrates)

    routes = http.RestoresApi(limits_for=limits_for, recovery_points=restores.recovery_points, version=VERSION)
    requests = queue.RequestsQueue(limits_for=limits_for)
    monitor = alerts.AlertsApi(rules=settings.auto_restore_rules, limits_for=limits_for)
    in_queue, out_queue = settings.requests_queue, settings.results_queue
    new = df.DFApp()
    new.register_functions(http.blueprint(routes))
    new.register_functions(alerts.blueprint(monitor))
    new.register_functions(openapi.blueprint(openapi.DescriptionApi(version=VERSION)))
    new.register_functions(queue.blueprint(requests, requests_queue=in_queue, results_queue=out_queue))
    new.register_functions(
        durable.blueprint(activities, restores.start_restore, results_queue=out_queue, has_webhook=webhook is not None)
    )
    return new


_settings = Settings.from_env(os.environ)
app = build_app(
    _settings,
    BackupClient.from_settings(_settings, DefaultAzureCredential),
    ResultWebhook.from_settings(_settings),
)
