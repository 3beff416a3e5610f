"""Which calls the official SDKs have made in a run of the tests, and how they were answered, in Markdown."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simulator.world import RequestRecord

type Key = tuple[str, str, str]

_SDK = re.compile(r"azsdk-python-(\S+)")
_PROVIDER = re.compile(r".*/providers/", re.IGNORECASE)
_LONG = "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers"


class SdkCalls:
    """The calls so far: for each SDK, method and type of resource, how often which status was answered."""

    def __init__(self) -> None:
        self._statuses: defaultdict[Key, defaultdict[int, int]] = defaultdict(lambda: defaultdict(int))

    def add(self, records: Iterable[RequestRecord]) -> None:
        """Count the records of requests that an SDK has sent."""
        for record in records:
            sdk = _SDK.match(record.headers.get("user-agent", ""))
            if sdk:
                call = _storage_call(record.path) if sdk[1].startswith("storage-blob") else _types(record.path)
                self._statuses[sdk[1], call, record.method][record.status] += 1

    def table(self) -> str:
        """Return one row for each SDK and resource type: how often which method was answered with which status."""
        rows: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for (sdk, call, method), statuses in sorted(self._statuses.items()):
            answers = ", ".join(f"{status} x {times}" for status, times in sorted(statuses.items()))
            rows[sdk, call].append(f"{method} {answers}")
        lines = (f"| {sdk} | `{call}` | {'; '.join(answers)} |" for (sdk, call), answers in rows.items())
        return "\n".join(("| SDK | call | answers |", "| --- | --- | --- |", *lines))


def _types(path: str) -> str:
    """Return the types of an address without its names, such as ``Microsoft.Compute/disks``."""
    plain = path.partition("?")[0]
    names = _PROVIDER.sub("", plain).strip("/").split("/")
    if "/providers/" not in plain.lower():
        return "/".join(names[::2])
    return "/".join([names[0], *names[1::2]]).replace(_LONG, "…/protectionContainers")


def _storage_call(path: str) -> str:
    """Return what is read of a storage account: a blob, or a list."""
    plain, _, query = path.partition("?")
    parts = ["{account}", "{container}", "{blob}"][: plain.strip("/").count("/") + 1]
    return "/".join(parts) + ("?comp=list" if "comp=list" in query else "")
