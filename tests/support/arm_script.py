"""A session of the REST client without a network: answers by what is asked for, and keeps what was."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from requests.structures import CaseInsensitiveDict

from arm.backup import BackupClient
from arm.errors import service_error
from arm.reply import Reply
from arm.retry_after import read_retry_after
from tests.support.hub import START

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ENDPOINT = "https://management.azure.com"


@dataclass(frozen=True, slots=True)
class Asked:
    """One call of the client's."""

    method: str
    url: str
    body: Any
    if_match: str | None = None
    only_new: bool = False

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def names(self) -> list[str]:
        """The path's segments, decoded."""
        return [unquote(name) for name in self.path.split("/")[1:]]


@dataclass(frozen=True, slots=True)
class Told:
    """One answer; ``body`` as JSON unless it is bytes."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(slots=True)
class ScriptedSession:
    """Stands for ``ArmSession``; what it raises is what that raises."""

    answer: Callable[[Asked], Told]
    endpoint: str = ENDPOINT
    asked: list[Asked] = field(default_factory=list[Asked])

    def call(
        self,
        method: str,
        url: str,
        *,
        body: Any = None,
        client_request_id: str | None = None,
        if_match: str | None = None,
        only_new: bool = False,
        once: bool = False,
    ) -> Reply:
        asked = Asked(method, f"{self.endpoint}{url}" if url.startswith("/") else url, body, if_match, only_new)
        self.asked.append(asked)
        told = self.answer(asked)
        headers = CaseInsensitiveDict(told.headers)
        reply = Reply(
            method=method,
            path=asked.path,
            client_request_id=client_request_id or "r-1",
            status=told.status,
            headers=headers,
            content=told.body if isinstance(told.body, bytes) else json.dumps(told.body).encode(),
            retry_after_s=read_retry_after(headers, START),
        )
        if told.status // 100 != 2:
            raise service_error(reply, once=once)
        return reply

    def close(self) -> None:
        """Nothing is open."""


def scripted(answer: Callable[[Asked], Told], **options: Any) -> tuple[BackupClient, ScriptedSession]:
    """Return a client over such a session, and the session."""
    session = ScriptedSession(answer)
    return BackupClient(session, api_version="2025-08-01", **options), session  # type: ignore[arg-type]
