"""The result of Azure Backup's own validation of a restore."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from domain.azure.item_busy import is_busy
from domain.azure.jobs import OperationStatus
from domain.azure.vault_block import is_vault_block
from domain.errors import ErrorDetail
from domain.wire import as_label, as_list, as_object, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_NO_MESSAGE = "The service gave no message."
_MAX_FINDINGS = 100


def _finding(entry: Mapping[str, Any]) -> ErrorDetail:
    message = as_text(entry.get("message")) or _NO_MESSAGE
    advice = " ".join(line for line in as_list(entry.get("recommendations")) if isinstance(line, str))
    return ErrorDetail(code=as_label(entry.get("code")) or "Unknown", message=f"{message} {advice}".strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """One poll of a validation. ``SUCCEEDED`` only says that it ran: with any ``findings`` the restore would fail.

    A validation that itself failed or was cancelled has the service's reason as its only finding, if it gave one.
    """

    status: OperationStatus
    findings: tuple[ErrorDetail, ...] = ()

    @property
    def is_item_busy(self) -> bool:
        """Whether nothing but another operation on the protected item speaks against the restore."""
        return bool(self.findings) and all(is_busy(finding.code) for finding in self.findings)

    @property
    def is_vault_blocked(self) -> bool:
        """Whether the restore was not validated because Azure Backup blocks the vault."""
        return any(is_vault_block(finding.code) for finding in self.findings)

    @property
    def refuses_restore(self) -> bool:
        """Whether the validation has ended, and not in favour of the restore."""
        return self.status is not OperationStatus.RUNNING and (
            bool(self.findings) or self.status is not OperationStatus.SUCCEEDED
        )

    @classmethod
    def from_api(cls, body: Mapping[str, Any]) -> Self:
        """Read a ``backupValidateOperationsStatuses`` body; every member may be missing."""
        status = OperationStatus.read(body.get("status"))
        holder = as_object(body.get("properties")) or body
        response = as_object(holder.get("validateOperationResponse")) or holder
        entries = [as_object(entry) for entry in as_list(response.get("validationResults"))[:_MAX_FINDINGS]]
        if not entries and status in {OperationStatus.FAILED, OperationStatus.CANCELED}:
            entries = [as_object(body.get("error"))]
        return cls(status=status, findings=tuple(_finding(entry) for entry in entries if entry))
