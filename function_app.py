"""The composition root: settings, client, registration. No logic."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import azure.durable_functions as df

from activities.new_machines import NewMachineActivities
from activities.recoveries import RecoveryActivities
from activities.restores import RestoreActivities, utc_now
from activities.results import WebhookActivities
from activities.virtual_machines import VirtualMachineActivities
from arm.backup import BackupClient
from arm.connections import VERSION
from domain.recovery.calls import PostRecoveryEvent
from domain.restore.calls import PostEvent, PostResult
from domain.sealing import sealed
from outbound.webhook import SignedWebhook
from queries.preflight import run_preflight
from queries.recovery_points import list_recovery_points
from settings import Settings
from telemetry.context import name_restores_in_logs
from telemetry.setup import telemetry_from
from telemetry.signals import NO_TELEMETRY
from triggers import (
    alert_decisions,
    alert_rules,
    alerts,
    durable,
    health,
    history,
    http,
    openapi,
    page,
    preflight,
    queue,
    recoveries,
    recovery_plans,
)
from triggers.member_activities import MemberActivities
from triggers.people import Authentication
from triggers.recovery_starting import RecoverySettings

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from activities.results import Webhook
    from domain.api_types import PreflightReport, RecoveryPointList
    from domain.requests import RestoreRequest
    from domain.restore.calls import ResolveItem
    from domain.restore.polling import Limits
    from queries.azure_api import AzureApi
    from telemetry.signals import Telemetry


def build_app(
    settings: Settings, api: AzureApi, webhook: Webhook | None = None, telemetry: Telemetry = NO_TELEMETRY
) -> df.DFApp:
    """Return the app with these settings, this client for Azure, and the webhook and the telemetry, if any."""
    name_restores_in_logs()
    vault_ids = settings.restore_scopes.vault_ids
    restores = RestoreActivities(api, vault_ids=vault_ids)
    posting = WebhookActivities(webhook)
    activities = {
        **restores.by_name(),
        **VirtualMachineActivities(api, clock=utc_now).by_name(),
        **NewMachineActivities(api, clock=utc_now).by_name(),
        PostResult.name: sealed(PostResult, posting.post_result, utc_now),
        PostEvent.name: sealed(PostEvent, posting.post_event, utc_now),
        PostRecoveryEvent.name: sealed(PostRecoveryEvent, posting.post_recovery_event, utc_now),
    }

    def limits_for(request: RestoreRequest) -> Limits:
        return settings.limits(request.rehydrates)

    def recovery_points(wanted: ResolveItem) -> RecoveryPointList:
        return list_recovery_points(api, wanted, utc_now(), vault_ids)

    def check_scopes() -> PreflightReport:
        return run_preflight(api, settings.restore_scopes, time.monotonic)

    rules, plans = settings.auto_restore_rules, settings.recovery_plans
    recovery_plans.log_plans(plans)
    alerts.log_rules(rules, plans)
    callers = Authentication.of(os.environ, is_wanted=settings.trust_easyauth)
    callers.log()
    routes = http.RestoresApi(limits_for=limits_for, recovery_points=recovery_points)
    for_recoveries = RecoverySettings(plans=plans, max_per_vault=settings.max_running_per_vault)
    requests = queue.RequestsQueue(limits_for=limits_for, recoveries=for_recoveries)
    monitor = alerts.AlertsApi(rules=rules, limits_for=limits_for, recoveries=for_recoveries)
    in_queue, out_queue = settings.requests_queue, settings.results_queue
    new = df.DFApp()
    new.register_functions(http.blueprint(routes, callers))
    new.register_functions(alerts.blueprint(monitor))
    new.register_functions(alert_decisions.blueprint(callers))
    new.register_functions(alert_rules.blueprint(alert_rules.AlertRulesApi(rules), callers))
    new.register_functions(
        health.blueprint(health.HealthApi(version=VERSION, rules=rules, plans=plans, authentication=callers))
    )
    new.register_functions(recovery_plans.blueprint(recovery_plans.PlansApi(plans), callers))
    new.register_functions(recoveries.blueprint(recoveries.RecoveriesApi(for_recoveries), callers))
    new.register_functions(preflight.blueprint(preflight.PreflightRoute(check_scopes), callers))
    new.register_functions(openapi.blueprint(openapi.DescriptionApi(version=VERSION, authentication=callers), callers))
    new.register_functions(page.blueprint(page.PageApi(version=VERSION, authentication=callers)))
    new.register_functions(queue.blueprint(requests, requests_queue=in_queue, results_queue=out_queue))
    new.register_functions(history.blueprint(timedelta(days=settings.history_days)))
    new.register_functions(
        durable.blueprint(
            activities,
            restores.start_restore_with,
            RecoveryActivities(api, clock=utc_now).resolve_recovery_with,
            MemberActivities(limits_for=limits_for, clock=utc_now),
            results_queue=out_queue,
            events_queue=settings.events_queue,
            has_webhook=webhook is not None,
            telemetry=telemetry,
        )
    )
    return new


def _credential() -> TokenCredential:
    # Its import is a fifth of the app's start, and nothing before the first call to Azure needs a token.
    from azure.identity import DefaultAzureCredential  # noqa: PLC0415

    return DefaultAzureCredential(managed_identity_client_id=_settings.client_id)


_settings = Settings.from_env(os.environ)
_telemetry = telemetry_from(_settings, _credential, version=VERSION)
app = build_app(
    _settings,
    BackupClient.from_settings(_settings, _credential, _telemetry),
    SignedWebhook.from_settings(_settings),
    _telemetry,
)
