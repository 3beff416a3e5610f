"""The settings of a scenario, which hold for the whole simulator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.reading import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A token bucket: its size and what flows in per second."""

    size: int
    refill_per_s: float

    @classmethod
    def read(cls, node: Node, default: Limit) -> Limit:
        """Read a bucket and close its node; ``default`` gives the members that are missing."""
        limit = cls(
            size=node.whole("size", default.size), refill_per_s=node.number("refillPerSecond", default.refill_per_s)
        )
        node.close()
        return limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Page sizes, limits and delays that hold for the whole simulator."""

    page_vaults: int
    page_points: int
    page_items: int
    page_jobs: int
    page_disks: int
    page_vms: int
    page_permissions: int
    page_resources: int
    page_graph_rows: int
    reads: Limit
    writes: Limit
    resource_requests: Limit
    validate_s: float
    cancel_s: float
    graph_delay_s: float
    cores_per_region: int
    identity_secret: str
    identity_failures: int
    different_operation_ids: bool
    other_jobs: bool

    @classmethod
    def read(cls, node: Node) -> Settings:
        """Read the settings and close their node."""
        pages, limits = node.node_or_empty("pageSizes"), node.node_or_empty("limits")
        settings = cls(
            page_vaults=pages.whole("vaults", 100),
            page_points=pages.whole("recoveryPoints", 100),
            page_items=pages.whole("protectedItems", 200),
            page_jobs=pages.whole("jobs", 200),
            page_disks=pages.whole("disks", 200),
            page_vms=pages.whole("virtualMachines", 200),
            page_permissions=pages.whole("permissions", 100),
            page_resources=pages.whole("resources", 100),
            page_graph_rows=pages.whole("resourceGraph", 1000),
            reads=Limit.read(limits.node_or_empty("reads"), Limit(size=250, refill_per_s=25)),
            writes=Limit.read(limits.node_or_empty("writes"), Limit(size=200, refill_per_s=10)),
            resource_requests=Limit.read(limits.node_or_empty("resourceRequests"), Limit(size=1100, refill_per_s=110)),
            validate_s=node.number("validateSeconds", 5),
            cancel_s=node.number("cancelSeconds", 30),
            graph_delay_s=node.number("graphDelaySeconds", 30),
            cores_per_region=node.whole("coresPerRegion", 2000),
            identity_secret=node.text("identitySecret", "simulator"),
            identity_failures=node.whole("identityFailures", 0),
            different_operation_ids=node.flag("differentOperationIds"),
            other_jobs=node.flag("otherJobs", default=True),
        )
        for read in (pages, limits, node):
            read.close()
        return settings
