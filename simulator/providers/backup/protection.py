"""What a scenario says about protection: a vault's identities, selected disks, soft deletions, findings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator.reading import Node

DEFERRED_DELETE_TIMES = ("End", "Deletion", "Absent")
DELETED_POINTS = ("Listed", "Flagged", "Hidden")


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultIdentity:
    """The identities of a vault, with which a restore may reach the staging account."""

    system_assigned: bool
    user_assigned: tuple[str, ...]

    @classmethod
    def read(cls, node: Node) -> VaultIdentity:
        """Read the identities and close their node."""
        identity = cls(system_assigned=node.flag("systemAssigned"), user_assigned=node.texts("userAssigned"))
        node.close()
        return identity

    @property
    def type(self) -> str:
        """The kinds of identities there are, as the service writes them; empty for none."""
        kinds = {"SystemAssigned": self.system_assigned, "UserAssigned": bool(self.user_assigned)}
        return ", ".join(kind for kind, there in kinds.items() if there)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskExclusion:
    """Which data disks are backed up: those of the list, or all but those."""

    luns: tuple[int, ...]
    inclusion: bool

    @classmethod
    def read(cls, node: Node) -> DiskExclusion:
        """Read the selection and close its node."""
        exclusion = cls(luns=node.wholes("diskLunList"), inclusion=node.flag("isInclusionList"))
        node.close()
        return exclusion

    def backs_up(self, lun: int) -> bool:
        """Return whether a data disk is in the backup."""
        return (lun in self.luns) == self.inclusion

    def body(self) -> dict[str, Any]:
        """Write the selection as the service does."""
        return {"diskLunList": list(self.luns), "isInclusionList": self.inclusion}


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftDelete:
    """The soft deletion of a protected item: how long ago, which time it shows, how its points are listed."""

    deleted_hours_ago: float
    deferred_delete_time: str
    points: str

    @classmethod
    def read(cls, node: Node) -> SoftDelete:
        """Read a soft deletion and close its node."""
        soft_delete = cls(
            deleted_hours_ago=node.number("deletedHoursAgo", 24),
            deferred_delete_time=node.choice("deferredDeleteTime", DEFERRED_DELETE_TIMES, "Deletion"),
            points=node.choice("points", DELETED_POINTS, "Listed"),
        )
        node.close()
        return soft_delete


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the validation of a VM's restore finds wrong."""

    code: str
    message: str
    recommendations: tuple[str, ...]

    @classmethod
    def read(cls, node: Node) -> Finding:
        """Read a finding and close its node."""
        finding = cls(
            code=node.text("code"), message=node.text("message"), recommendations=node.texts("recommendations")
        )
        node.close()
        return finding

    def body(self) -> dict[str, Any]:
        """Write the finding as the service does."""
        return {"code": self.code, "message": self.message, "recommendations": list(self.recommendations)}
