"""Names of orchestrators. They are stored in every history: add names, never rename one.

The names of activities and entities are in the modules ``calls`` of ``domain.restore``, ``domain.recovery`` and
``domain.watch``, those of events in the modules ``machine``.
"""

from __future__ import annotations

from typing import Final

RESTORE_VM: Final = "restore_vm"
WATCH_VAULT: Final = "watch_vault"
HOLD_POST_CLAIM: Final = "hold_post_claim"
HOLD_LIST_ENTRY: Final = "hold_list_entry"
"""The entry of one restore in the list, kept in the task hub under an id that sorts by the restore's age."""
HOLD_RECORD: Final = "hold_record"
"""The data of a recovery that is written once (``triggers.records``)."""
RUN_RECOVERY: Final = "run_recovery"
