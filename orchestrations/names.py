"""Names that stand in every history: add names, never rename one."""

from __future__ import annotations

from typing import Final

RESTORE_VM: Final = "restore_vm"
MARK_POST: Final = "mark_post"

RESOLVE_ITEM: Final = "resolve_item"
PREPARE_RESTORE: Final = "prepare_restore"
GET_VALIDATION: Final = "get_validation"
START_RESTORE: Final = "start_restore"
CLAIM_POST: Final = "claim_post"
FIND_JOB: Final = "find_job"
GET_OPERATION: Final = "get_operation"
GET_JOB: Final = "get_job"
CANCEL_JOB: Final = "cancel_job"
PUBLISH_RESULT: Final = "publish_result"

LIST_RESTORED_DISKS: Final = "list_restored_disks"
FIND_RUNNING: Final = "find_running"
WAKE_RESTORE: Final = "wake_restore"
POST_RESULT: Final = "post_result"

VM_GUARD: Final = "vm_guard"
RULE_BUDGET: Final = "rule_budget"
STORM_GUARD: Final = "storm_guard"
VAULT_TURNS: Final = "vault_turns"

CANCEL_EVENT: Final = "cancel"
DECISION_EVENT: Final = "decision"
TURN_EVENT: Final = "turn"
