"""The codes of the app's own warnings; ``docs/runbook.md`` says of each what to do. Callers rely on them: add only."""

from __future__ import annotations

from enum import StrEnum


class WarningCode(StrEnum):
    """The code of a warning in a status document. A job's own warnings have the service's codes."""

    CANCEL_REFUSED = "CancelRefused"
    CANCELLED_TOO_LATE = "CancelledTooLate"
    CANDIDATES_CUT = "CandidatesCut"
    COMPLETED_WITH_WARNINGS = "CompletedWithWarnings"
    DISK_NAMES_CHANGED = "DiskNamesChanged"
    DISKS_DIFFER = "DisksDiffer"
    DISKS_NOT_COMPARED = "DisksNotCompared"
    DISKS_NOT_LISTED = "DisksNotListed"
    ENCRYPTED_DISKS = "EncryptedDisks"
    ENCRYPTION_KEYS_SAVED = "EncryptionKeysSaved"
    EVENT_NOT_POSTED = "EventNotPosted"
    EVENTS_NOT_PUBLISHED = "EventsNotPublished"
    GRAPH_INCOMPLETE = "GraphIncomplete"
    GRAPH_NOT_READ = "GraphNotRead"
    GROUP_EMPTY = "GroupEmpty"
    ITEM_BUSY = "ItemBusy"
    ITEM_SOFT_DELETED = "ItemSoftDeleted"
    REFUSED_LATE = "RefusedLate"
    RESOURCE_GUARD_CLOSED = "ResourceGuardClosed"
    RESOURCE_GUARD_NOT_READ = "ResourceGuardNotRead"
    RESULT_CUT = "ResultCut"
    RESULT_INCOMPLETE = "ResultIncomplete"
    RESULT_NOT_POSTED = "ResultNotPosted"
    RESULT_NOT_PUBLISHED = "ResultNotPublished"
    SLOT_NOT_RELEASED = "SlotNotReleased"
    SNAPSHOT_ONLY = "SnapshotOnly"
    STAGING_ACCOUNT_NOT_CHECKED = "StagingAccountNotChecked"
    SWAP_NOT_CHECKED = "SwapNotChecked"
    TRIGGER_OUTCOME_OPEN = "TriggerOutcomeOpen"
    UNMANAGED_DISKS = "UnmanagedDisks"
    VALIDATION_UNAVAILABLE = "ValidationUnavailable"
    VAULT_BLOCKED = "VaultBlocked"
    VAULT_BUSY = "VaultBusy"
    VAULT_NOT_READ = "VaultNotRead"
