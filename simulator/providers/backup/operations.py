"""Asynchronous operations: what a 202 stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simulator.formats import NO_TIME, iso_time

if TYPE_CHECKING:
    from datetime import datetime

    from simulator.faults import OperationFailure
    from simulator.providers.backup.protection import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation; ``kind`` is ``restore``, ``cancel`` or ``validate``."""

    operation_id: str
    kind: str
    vault: str
    vm_key: str
    started: datetime
    ready: datetime
    job_id: str = ""
    failure: OperationFailure | None = None
    findings: tuple[Finding, ...] = ()

    def status(self, now: datetime) -> str:
        """Return ``InProgress``, ``Succeeded`` or ``Failed``."""
        if now < self.ready:
            return "InProgress"
        return "Failed" if self.failure else "Succeeded"

    def body(self, now: datetime) -> dict[str, Any]:
        """Write the operation's status as the service does."""
        status = self.status(now)
        body: dict[str, Any] = {
            "id": self.operation_id,
            "name": self.operation_id,
            "status": status,
            "startTime": iso_time(self.started),
            "endTime": NO_TIME if status == "InProgress" else iso_time(self.started),
        }
        if status == "Failed" and self.failure:
            body["error"] = {"code": self.failure.code, "message": self.failure.message}
        if status == "Succeeded" and self.kind == "restore":
            body["properties"] = {"objectType": "OperationStatusJobExtendedInfo", "jobId": self.job_id}
        if status == "Succeeded" and self.kind == "validate":
            body["properties"] = {
                "objectType": "OperationStatusValidateOperationExtendedInfo",
                "validateOperationResponse": self.findings_body(),
            }
        return body

    def findings_body(self) -> dict[str, Any]:
        """Write what a validation found."""
        return {"validationResults": [finding.body() for finding in self.findings]}
