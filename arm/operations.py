"""The names of ARM's operations, such as ``Microsoft.RecoveryServices/vaults/backupJobs/read``, for telemetry."""

from __future__ import annotations

import re
from typing import Final

_TYPE: Final = re.compile(r"[A-Za-z]{1,60}")
_NAMESPACE: Final = re.compile(r"[A-Za-z]{1,60}(\.[A-Za-z]{1,60})*")
_RESOURCES: Final = "Microsoft.Resources"
_VERBS: Final = {"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete"}
_MAX_TYPES: Final = 8
OTHER: Final = "other"


def operation_name(method: str, path: str) -> str:
    """Return ARM's name of the operation: the types in the path without any name of a resource, and the verb.

    A path of another form, which only a link from Azure can have, is ``other``: so there are few names in all.
    """
    _, found, rest = path.rpartition("/providers/")
    namespace, *names = rest.strip("/").split("/") if found else [_RESOURCES, *path.strip("/").split("/")]
    types = names[::2]
    if not 0 < len(types) <= _MAX_TYPES or not _NAMESPACE.fullmatch(namespace) or not all(map(_TYPE.fullmatch, types)):
        return OTHER
    return "/".join([namespace, *types, _VERBS.get(method.upper(), "action")])
