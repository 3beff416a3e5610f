"""Reads host.json and the settings file as the Functions host and Core Tools do, as far as the local host needs."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from .functions import HostError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2}(?:\.\d+)?)")
_SETTING = re.compile(r"%([^%]+)%")


@dataclass(frozen=True, kw_only=True)
class QueueSettings:
    """``extensions.queues`` of host.json, with the extension's defaults."""

    batch_size: int = 16
    new_batch_threshold: int = 8
    max_dequeue_count: int = 5
    visibility_timeout_s: float = 0.0
    max_polling_interval_s: float = 60.0
    base64: bool = True

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Read the section; ``HostError`` names a wrong member."""
        batch_size = _whole(body, "batchSize", 16, range(1, 33))
        encoding = str(body.get("messageEncoding", "base64")).lower()
        if encoding not in {"base64", "none"}:
            raise HostError(f"host.json: extensions.queues.messageEncoding {encoding!r} is neither base64 nor none")
        return cls(
            batch_size=batch_size,
            new_batch_threshold=_whole(body, "newBatchThreshold", batch_size // 2, range(1000)),
            max_dequeue_count=_whole(body, "maxDequeueCount", 5, range(1, 1000)),
            visibility_timeout_s=_seconds(body, "visibilityTimeout", "00:00:00"),
            max_polling_interval_s=_seconds(body, "maxPollingInterval", "00:01:00"),
            base64=encoding == "base64",
        )


@dataclass(frozen=True, kw_only=True)
class HostSettings:
    """What the local host takes from host.json."""

    route_prefix: str = "api"
    task_hub: str = "LocalHost"
    queues: QueueSettings = field(default_factory=QueueSettings)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        """Read host.json's body; ``HostError`` names a wrong member."""
        extensions = _section(body, "extensions")
        return cls(
            route_prefix=_section(extensions, "http").get("routePrefix", "api"),
            task_hub=_section(extensions, "durableTask").get("hubName", "LocalHost"),
            queues=QueueSettings.from_json(_section(extensions, "queues")),
        )


def _section(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = body.get(name, {})
    if not isinstance(section, dict):
        raise HostError(f"host.json: {name} is not a JSON object")
    return section


def _whole(body: Mapping[str, Any], member: str, default: int, allowed: range) -> int:
    value = body.get(member, default)
    if not isinstance(value, int) or value not in allowed:
        raise HostError(
            f"host.json: extensions.queues.{member} {value!r} is not a whole number from {allowed[0]} to {allowed[-1]}"
        )
    return value


def _seconds(body: Mapping[str, Any], member: str, default: str) -> float:
    text = str(body.get(member, default))
    span = _TIME_SPAN.fullmatch(text)
    if not span:
        raise HostError(f"host.json: extensions.queues.{member} {text!r} is not a time span (hh:mm:ss)")
    days, hours, minutes, seconds = span.groups(default="0")
    return ((int(days) * 24 + int(hours)) * 60 + int(minutes)) * 60 + float(seconds)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object from a file; ``HostError`` when it is missing or something else."""
    try:
        body = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise HostError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise HostError(f"{path} is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise HostError(f"{path} is not a JSON object")
    return body


def apply_settings(path: Path) -> None:
    """Put the ``Values`` of a settings file into the environment, where they are not set yet."""
    values = read_json(path).get("Values", {})
    if not isinstance(values, dict):
        raise HostError(f"{path}: Values is not a JSON object")
    for name, value in values.items():
        try:
            os.environ.setdefault(name, str(value))
        except ValueError as error:
            raise HostError(f"{path}: the setting {name!r} cannot be put into the environment: {error}") from error


def resolve(text: str) -> str:
    """Replace each ``%NAME%`` by the setting of that name; ``HostError`` when it is not set."""

    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        if name not in os.environ:
            raise HostError(f"the setting {name}, which a binding names as %{name}%, is not set")
        return os.environ[name]

    return _SETTING.sub(value, text)
