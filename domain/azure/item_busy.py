"""Which codes of Azure say that another operation runs on the protected item, so that the same request works later.

Azure Backup documents ``BMSUserErrorObjectLocked`` (390026 in its first SDK), ``UserErrorBackupOperationInProgress``
and ``BMSUserErrorConflictingProtectionOperation``; users report ``UserErrorRestoreOperationInProgress``. No list of all
codes is published, so they are recognised by what their names have in common.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_BUSY: Final = re.compile(r"(?<!not)inprogress|(?:object|item)locked$|conflicting\w*operation$|^390026$", re.IGNORECASE)
_REFUSED: Final = re.compile(
    r"scopelocked|alreadyexists|disabled|disallowed|notregistered|missing\w*registration|quota|beingdeleted|notinprogress",
    re.IGNORECASE,
)


def says_busy(codes: Sequence[str]) -> bool:
    """Return whether an error says that the item is busy. ``codes`` are its own code, then those of its details.

    If the error's own code does not say so, all details must: one that says anything else is a refusal, for which
    waiting would not help.
    """
    return any(map(is_busy, codes[:1])) or (len(codes) > 1 and all(map(is_busy, codes[1:])))


def is_busy(code: str) -> bool:
    """Return whether a code says that the item is busy."""
    return _BUSY.search(code) is not None


def is_refusal(code: str) -> bool:
    """Return whether a code of a 409 is known to mean a state that waiting does not change, such as a resource lock."""
    return _REFUSED.search(code) is not None
