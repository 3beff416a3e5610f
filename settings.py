"""The app's settings, read once at start. An invalid one stops the app; the error says which values are accepted.

Invalid alert rules and recovery plans do not stop it: they only switch alerts and configured plans off, so that people
can still restore by hand.
"""

from __future__ import annotations

import ipaddress
import math
import re
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import SplitResult, urlsplit

from domain.alerts.alert_rules import NO_RULES, LoadedRules
from domain.alerts.fields import single_line
from domain.alerts.rules_file import read_rules
from domain.azure.restore_scopes import RestoreScopes
from domain.errors import InvalidRequestError
from domain.reading import strict_json
from domain.recovery.plan import LoadedPlans
from domain.recovery.plans_file import read_plans
from domain.restore.polling import Limits
from domain.texts import hidden_character, trimmed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_DAY_S: Final = 86_400.0
_YEAR_H: Final = 8_784.0
_DEADLINE_H: Final = 24.0
_REHYDRATION_DEADLINE_H: Final = 48.0
_NUMBER: Final = re.compile(r"[0-9]+(\.[0-9]+)?|\.[0-9]+")
_WHOLE_NUMBER: Final = re.compile(r"[0-9]{1,6}")
_MAX_HISTORY_DAYS: Final = 3650
_APP: Final = Path(__file__).parent
# GET /api/health needs no key, so a value that may be anything else than a path, a secret for example, is not quoted.
_PATH: Final = re.compile(r"[^\x00-\x1f{}\[\]\"']{1,250}\.json")
_API_VERSION: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?")
_CLIENT_ID: Final = re.compile(r"[0-9A-Za-z-]{1,100}")
_QUEUE: Final = re.compile(r"(?=.{3,63}\Z)[a-z0-9]+(-[a-z0-9]+)*")


class SettingsError(ValueError):
    """One or more settings are invalid. The message has one line per problem.

    It quotes no values except file paths, because some values are secrets.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The app's own settings. The Functions host reads ``AzureWebJobsStorage``.

    ``client_id`` is that of the managed identity. It is read here, because azure-identity would keep white space around
    it.
    """

    resource_manager_endpoint: str
    backup_api_version: str
    requests_queue: str
    results_queue: str
    events_queue: str
    job_poll_min_s: float
    job_poll_max_s: float
    deadline_hours: float | None
    adoption_window_s: float
    auto_restore_rules: LoadedRules
    recovery_plans: LoadedPlans
    max_running_per_vault: int
    history_days: int
    webhook_url: str | None = field(repr=False)
    webhook_secret: str | None = field(repr=False)
    client_id: str | None = None
    trust_easyauth: bool = False
    restore_scopes: RestoreScopes = field(default_factory=RestoreScopes)
    application_insights: str | None = field(default=None, repr=False)
    otlp_endpoint: str | None = None

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Read the settings; an empty one counts as left out. Raises ``SettingsError`` that lists every problem."""
        reader, plans = _Reader(env), _load_plans(env)
        settings = cls(
            resource_manager_endpoint=reader.read(
                "AZURE_RESOURCE_MANAGER_ENDPOINT", _endpoint, "https://management.azure.com"
            ),
            backup_api_version=reader.read("AZURE_BACKUP_API_VERSION", _api_version, "2025-08-01"),
            requests_queue=reader.read("RESTORE_REQUESTS_QUEUE", _queue, "restore-requests"),
            results_queue=reader.read("RESTORE_RESULTS_QUEUE", _queue, "restore-results"),
            events_queue=reader.read("RESTORE_EVENTS_QUEUE", _queue, "restore-events"),
            job_poll_min_s=reader.read("RESTORE_JOB_POLL_MIN_SECONDS", _poll_seconds, 15.0),
            job_poll_max_s=reader.read("RESTORE_JOB_POLL_MAX_SECONDS", _poll_seconds, 60.0),
            deadline_hours=reader.read("RESTORE_DEADLINE_HOURS", _hours, None),
            adoption_window_s=reader.read("RESTORE_ADOPTION_WINDOW_SECONDS", _window_seconds, 120.0),
            auto_restore_rules=_load_rules(env, plans),
            recovery_plans=plans,
            max_running_per_vault=reader.read("RESTORE_MAX_RUNNING_PER_VAULT", _count, 50),
            history_days=reader.read("RESTORE_HISTORY_DAYS", _days, 90),
            webhook_url=reader.read("RESTORE_WEBHOOK_URL", _webhook_url, None),
            webhook_secret=reader.read("RESTORE_WEBHOOK_SECRET", str, None),
            client_id=reader.read("AZURE_CLIENT_ID", _client_id, None),
            trust_easyauth=reader.read("RESTORE_TRUST_EASYAUTH", _switch, default=False),
            restore_scopes=reader.read_scopes("RESTORE_SCOPES"),
            # Not checked: telemetry never stops the app. An invalid value is logged when something is to be sent.
            application_insights=reader.read("APPLICATIONINSIGHTS_CONNECTION_STRING", str, None),
            otlp_endpoint=reader.read("OTEL_EXPORTER_OTLP_ENDPOINT", str, None),
        )
        problems = (*reader.problems, *_contradictions(settings))
        if problems:
            raise SettingsError(problems)
        return settings

    def deadline_s(self, rehydrates: bool) -> float:
        """Return the deadline of a restore in seconds. It is longer when an archived point is rehydrated first."""
        default_h = _REHYDRATION_DEADLINE_H if rehydrates else _DEADLINE_H
        return (default_h if self.deadline_hours is None else self.deadline_hours) * 3600

    def limits(self, rehydrates: bool) -> Limits:
        """Return the limits of one restore."""
        return Limits(
            job_poll_min_s=self.job_poll_min_s,
            job_poll_max_s=self.job_poll_max_s,
            deadline_s=self.deadline_s(rehydrates),
            adoption_window_s=self.adoption_window_s,
            max_per_vault=self.max_running_per_vault,
        )


class _Reader:
    """Reads settings one by one and collects the problems."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.problems: list[str] = []

    def read[T, D](self, name: str, parse: Callable[[str], T], default: D) -> T | D:
        """Return the parsed value, or ``default`` if it is left out or invalid."""
        text = trimmed(self._env.get(name, ""))
        if not text:
            return default
        try:
            return parse(text)
        except ValueError as error:
            hidden = hidden_character(text)
            self.problems.append(f"{name} must be {error}" + (f"; it {hidden}" if hidden else ""))
            return default

    def read_scopes(self, name: str) -> RestoreScopes:
        """Return the scopes of a setting that is JSON; each of its problems is noted with its member and index."""
        text = trimmed(self._env.get(name, "")).removeprefix("\ufeff")
        try:
            return RestoreScopes.from_json(strict_json(text or "{}"))
        except InvalidRequestError as error:
            self.problems += [f"{name}: {detail.target or 'it'} {detail.message}" for detail in error.details]
        except ValueError as error:
            self.problems.append(f'{name} must be JSON, such as {{"vaultIds": ["/subscriptions/…"]}}: {error}')
        return RestoreScopes()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Configuration[T]:
    """A setting that is the path of a JSON file in the app, or the JSON itself. Only the default file may be missing.

    ``read`` reads the parsed JSON; ``what`` is what the file has.
    """

    setting: str
    file: str
    what: str
    read: Callable[[object], T]

    def load(self, env: Mapping[str, str], nothing: T) -> tuple[str | None, T | None, tuple[str, ...]]:
        """Return the source, what was read, and the problems; ``nothing`` is what counts if there is no file."""
        text = (trimmed(env.get(self.setting, "")) or self.file).removeprefix("\ufeff")
        if text.startswith("{"):
            return self._parse(text, "setting", "the JSON")
        path = _APP / text
        if text == self.file and not path.exists():
            return None, nothing, ()
        source, named = (text, single_line(text)) if _PATH.fullmatch(text) else ("setting", "the file that it names")
        try:
            content = path.read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            return source, None, (f"{self._wanted}; {named} cannot be read: {why}",)
        return self._parse(content, single_line(text), single_line(text))

    @property
    def _wanted(self) -> str:
        return f"{self.setting} must be a JSON file of {self.what} in the app, or the JSON itself, which begins with {{"

    def _parse(self, text: str, source: str, named: str) -> tuple[str, T | None, tuple[str, ...]]:
        try:
            return source, self.read(strict_json(text)), ()
        except InvalidRequestError as error:
            problems = tuple(
                f"{self.setting}: {detail.target or 'the file'} {detail.message}" for detail in error.details
            )
        except ValueError as error:
            problems = (f"{self._wanted}; {named} is not JSON: {error}",)
        return source, None, problems


def _load_rules(env: Mapping[str, str], plans: LoadedPlans) -> LoadedRules:
    configuration = _Configuration(
        setting="AUTO_RESTORE_RULES",
        file="auto_restore_rules.json",
        what="rules",
        read=lambda data: read_rules(data, plans.plans),
    )
    source, rules, problems = configuration.load(env, NO_RULES)
    return LoadedRules(source=source, rules=rules, problems=problems)


def _load_plans(env: Mapping[str, str]) -> LoadedPlans:
    configuration = _Configuration(
        setting="RECOVERY_PLANS", file="recovery_plans.json", what="recovery plans", read=read_plans
    )
    source, plans, problems = configuration.load(env, {})
    return LoadedPlans(source=source, plans=plans, problems=problems)


def _contradictions(settings: Settings) -> list[str]:
    problems: list[str] = []
    queues = {
        "RESTORE_REQUESTS_QUEUE": settings.requests_queue,
        "RESTORE_RESULTS_QUEUE": settings.results_queue,
        "RESTORE_EVENTS_QUEUE": settings.events_queue,
    }
    for earlier, later in combinations(queues, 2):
        if queues[earlier] == queues[later]:
            problems.append(f"{later} must not be the same queue as {earlier}")
    if settings.job_poll_min_s > settings.job_poll_max_s:
        problems.append("RESTORE_JOB_POLL_MIN_SECONDS must not be more than RESTORE_JOB_POLL_MAX_SECONDS")
    if settings.webhook_url is not None and settings.webhook_secret is None:
        problems.append("RESTORE_WEBHOOK_SECRET must be set when RESTORE_WEBHOOK_URL is")
    return problems


def _endpoint(text: str) -> str:
    wanted = "an https URL without path or query, such as https://management.azure.com (http for loopback only)"
    url = _safe_url(text, wanted)
    if url.path not in {"", "/"} or "?" in text or "#" in text:
        raise ValueError(wanted)
    return f"{url.scheme}://{url.netloc}".lower()


def _webhook_url(text: str) -> str:
    _safe_url(text, "an https URL (http for loopback only)")
    return text


def _safe_url(text: str, wanted: str) -> SplitResult:
    try:
        url = urlsplit(text)
        port_is_fine = url.port != 0  # an invalid port raises ValueError
    except ValueError:
        raise ValueError(wanted) from None
    plain = re.fullmatch(r"[\x21-\x7e]+", text) is not None and "\\" not in text and "@" not in url.netloc
    secure = url.scheme == "https" or (url.scheme == "http" and _is_loopback(url.hostname or ""))
    if not (plain and secure and port_is_fine and url.hostname):
        raise ValueError(wanted)
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _api_version(text: str) -> str:
    if not _API_VERSION.fullmatch(text):
        raise ValueError("a date such as 2025-08-01, with or without -preview")
    return text


def _queue(text: str) -> str:
    if not _QUEUE.fullmatch(text):
        raise ValueError(
            "a queue name: 3 to 63 lower-case letters, digits and single dashes, a letter or digit at each end"
        )
    return text


def _client_id(text: str) -> str:
    if not _CLIENT_ID.fullmatch(text):
        raise ValueError("the client id of a managed identity, such as 00000000-0000-0000-0000-000000000000")
    return text


def _switch(text: str) -> bool:
    if text.casefold() not in {"true", "false"}:
        raise ValueError("true or false")
    return text.casefold() == "true"


def _number(text: str, wanted: str, *, maximum: float, zero: bool = False) -> float:
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not ((number > 0 or (zero and number == 0)) and number <= maximum):
        raise ValueError(wanted)
    return number


def _poll_seconds(text: str) -> float:
    return _number(text, "a number of seconds above 0, at most a day (86400)", maximum=_DAY_S)


def _window_seconds(text: str) -> float:
    return _number(text, "a number of seconds from 0 to a day (86400)", maximum=_DAY_S, zero=True)


def _hours(text: str) -> float:
    return _number(text, "a number of hours above 0, at most a year (8784)", maximum=_YEAR_H)


def _count(text: str) -> int:
    if not _WHOLE_NUMBER.fullmatch(text) or int(text) == 0:
        raise ValueError("a whole number from 1 to 999999")
    return int(text)


def _days(text: str) -> int:
    if not _WHOLE_NUMBER.fullmatch(text) or not 1 <= int(text) <= _MAX_HISTORY_DAYS:
        raise ValueError(f"a whole number of days from 1 to {_MAX_HISTORY_DAYS}")
    return int(text)
