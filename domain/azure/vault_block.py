"""Which codes of Azure say that Azure Backup blocks a vault, because too many operations were asked of it.

Microsoft documents ``CloudDosAbsoluteLimitReached`` and ``CloudDosAbsoluteLimitReachedWithRetry``, with the advice to
try again after 24 hours; users report ``CloudDosTimeboudLimitReached`` (spelled so), with "a few hours". Each attempt
counts as an operation, so the app makes few.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

TRY_AGAIN_AFTER: Final = timedelta(hours=1)
"""How long a vault is left alone if Azure does not say for how long it is blocked."""

_PREFIX: Final = "clouddos"


def is_vault_block(code: str) -> bool:
    """Return whether a code says that Azure Backup blocks the vault for hours."""
    return code.casefold().startswith(_PREFIX)
