"""What can go wrong with the calls of a VM to Compute."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.reading import Node

ALWAYS = sys.maxsize
LEFT = ("asked", "former")
CHANGES = ("touch", "tag", "attachDisk", "detachDisks", "start", "deallocate", "powerOff")
"""What somebody else does to a VM; ``touch`` changes its etag alone, and at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeFailure:
    """An error of the named actions, or of all that write: at once, or as the end of the accepted operation.

    ``leaves``: an update that fails in the end leaves the VM's model as it was ``asked`` for, or the ``former`` one.
    """

    code: str
    message: str
    actions: tuple[str, ...]
    count: int
    refused: bool
    leaves: str

    @classmethod
    def read(cls, node: Node) -> ComputeFailure:
        """Read a failure and close its node."""
        failure = cls(
            code=node.text("code"),
            message=node.text("message", "The simulator was told that this goes wrong."),
            actions=node.texts("actions"),
            count=node.whole("count", ALWAYS),
            refused=node.flag("refused"),
            leaves=node.choice("leaves", LEFT, "asked"),
        )
        node.close()
        return failure


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignChange:
    """What somebody else does to a VM ``delay_s`` after the named actions of the caller, or right before them."""

    change: str
    actions: tuple[str, ...]
    before: bool
    delay_s: float
    count: int

    @classmethod
    def read(cls, node: Node) -> ForeignChange:
        """Read a change and close its node."""
        before = node.has("before")
        change = cls(
            change=node.choice("change", CHANGES),
            actions=node.texts("before" if before else "after"),
            before=before,
            delay_s=node.number("delaySeconds", 0.0),
            count=node.whole("count", 1),
        )
        if not change.actions or (before and node.has("after")):
            node.complain("", "expected the names of calls, as before or as after")
        node.close()
        return change


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """How long the named actions take, or all that write."""

    seconds: float
    actions: tuple[str, ...]

    @classmethod
    def read(cls, node: Node) -> Delay:
        """Read a delay and close its node."""
        delay = cls(seconds=node.number("seconds"), actions=node.texts("actions"))
        node.close()
        return delay


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptOutcome:
    """How the scripts of run commands end on a VM."""

    exit_code: int = 0
    output: str = ""
    error: str = ""
    seconds: float = 2.0

    @classmethod
    def read(cls, node: Node) -> ScriptOutcome:
        """Read an outcome and close its node."""
        outcome = cls(
            exit_code=node.whole("exitCode", 0, least=0),
            output=node.text("output", ""),
            error=node.text("error", ""),
            seconds=node.number("seconds", 2.0),
        )
        node.close()
        return outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeFaults:
    """The switches of one VM that concern Compute."""

    failed: tuple[ComputeFailure, ...] = ()
    slow: Delay | None = None
    script: ScriptOutcome = ScriptOutcome()
    foreign: tuple[ForeignChange, ...] = ()
    stale_s: float = 0.0
    agent_s: float | None = None
    hidden_power: int = 0
    replaces_disks: bool = False

    @classmethod
    def read(cls, node: Node) -> ComputeFaults:
        """Read the switches by their JSON names; the node stays open for further ones."""
        return cls(
            failed=tuple(ComputeFailure.read(failed) for failed in node.one_or_more("computeFailed")),
            slow=Delay.read(node.node("slowCompute")) if node.has("slowCompute") else None,
            script=ScriptOutcome.read(node.node_or_empty("runCommand")),
            foreign=tuple(ForeignChange.read(change) for change in node.one_or_more("foreignChanges")),
            stale_s=node.number("staleReads", 0.0),
            agent_s=node.number("agentSeconds") if node.has("agentSeconds") else None,
            hidden_power=node.whole("hiddenPowerState", 0, least=0),
            replaces_disks=node.flag("replacesDisks"),
        )
